/** Models from lists of layers, as golden/1 traces describe them. */
import type { Pair, Tensor } from "../index.ts";
import * as rl from "../index.ts";
import type { FloatType } from "./format.ts";
import { Unsupported } from "./format.ts";
import type { TransformerSpec } from "./transformer.ts";
import { transformerLm, transformerParameters } from "./transformer.ts";

/** One layer; its `type` says which of the others it has. */
export interface Layer extends TransformerSpec {
  type: string;
  name: string;
  in: number;
  out: number;
  kernel: Pair;
  stride: Pair;
  padding: Pair;
  groups: number;
  bias: boolean;
  approximate: "none" | "tanh";
  negative_slope: number;
  features: number;
  momentum: number;
  dims: number[];
  /** transformer_lm: the number of different ids; where parameters are listed it is in their shapes. */
  vocabulary: number;
}

/** A layer as it is written: `{ type: "linear", name: "fc", in: 8, out: 3, bias: true }`. */
export type LayerSpec = { readonly type: string } & Readonly<Partial<Layer>>;

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: "hash" | "ones" | "zeros";
  /** Its number, counting all. */
  readonly t?: number;
  readonly fan_in?: number;
}

const layerTypes = [
  "flatten",
  "linear",
  "conv2d",
  "batch_norm2d",
  "relu",
  "tanh",
  "silu",
  "gelu",
  "leaky_relu",
  "max_pool2d",
  "avg_pool2d",
  "mean",
  "transformer_lm",
];

/** The parameters of a list of layers, in order; t counts them all. */
export function parametersOf(layers: readonly LayerSpec[]): ParameterSpec[] {
  const parameters = layers.flatMap((layer) => {
    const found = parametersOfLayer(layer);
    for (const { name, shape } of found) {
      if (!name.startsWith("undefined.") && shape.every((extent) => extent > 0)) continue;
      throw new rl.ValueError(
        `vectors: the layer ${JSON.stringify(layer)} has the parameter ${name} [${shape.join(", ")}]; ` +
          "expected a name, and whole numbers from 1 up for its sizes",
      );
    }
    return found;
  });
  return parameters.map((spec, t) => ({ ...spec, t }));
}

function parametersOfLayer(spec: LayerSpec): ParameterSpec[] {
  const layer = spec as Layer;
  const { type, name, bias } = layer;
  const affine = (shape: number[]): ParameterSpec[] => {
    const fan_in = shape.slice(1).reduce((n, extent) => n * extent, 1);
    const weight = { name: `${name}.weight`, shape, init: "hash", fan_in } as const;
    const offset = { name: `${name}.bias`, shape: [shape[0]], init: "hash", fan_in } as const;
    return bias ? [weight, offset] : [weight];
  };
  switch (type) {
    case "linear":
      return affine([layer.out, layer.in]);
    case "conv2d":
      return affine([layer.out, layer.in / layer.groups, ...[layer.kernel].flat()]);
    case "batch_norm2d":
      return [
        { name: `${name}.weight`, shape: [layer.features], init: "ones" },
        { name: `${name}.bias`, shape: [layer.features], init: "zeros" },
      ];
    case "transformer_lm":
      return transformerParameters(layer, layer.vocabulary);
    default:
      return [];
  }
}

export type Step = (x: Tensor) => Tensor;

/** What layers look at beside their parameters. */
export interface ModelState {
  training: boolean;
  readonly dtype: FloatType;
  /** Running statistics by name. */
  readonly buffers: Map<string, Tensor>;
}

/** What a layer computes, given its parameters by name. */
export function stepOf(layer: Layer, parameters: Map<string, Tensor>, state: ModelState): Step {
  const weight = (): Tensor => parameters.get(`${layer.name}.weight`)!;
  const bias = (): Tensor | undefined => parameters.get(`${layer.name}.bias`);
  switch (layer.type) {
    case "flatten":
      return (x) => rl.flatten(x, 1);
    case "linear":
      return (x) => rl.linear(x, weight(), bias());
    case "conv2d": {
      const { stride, padding, groups } = layer;
      return (x) => rl.conv2d(x, weight(), bias(), { stride, padding, groups });
    }
    case "batch_norm2d": {
      const { name, features, eps, momentum } = layer;
      const runningMean = rl.zeros([features], { dtype: state.dtype });
      const runningVar = rl.ones([features], { dtype: state.dtype });
      state.buffers.set(`${name}.running_mean`, runningMean);
      state.buffers.set(`${name}.running_var`, runningVar);
      return (x) =>
        rl.batchNorm(x, {
          runningMean,
          runningVar,
          weight: weight(),
          bias: bias(),
          training: state.training,
          momentum,
          eps,
        });
    }
    case "relu":
      return rl.relu;
    case "tanh":
      return rl.tanh;
    case "silu":
      return rl.silu;
    case "gelu":
      return (x) => rl.gelu(x, { approximate: layer.approximate });
    case "leaky_relu":
      return (x) => rl.leakyRelu(x, layer.negative_slope);
    case "max_pool2d":
      return (x) => rl.maxPool2d(x, layer.kernel, { stride: layer.stride });
    case "avg_pool2d":
      return (x) => rl.avgPool2d(x, layer.kernel, { stride: layer.stride });
    case "mean":
      return (x) => rl.mean(x, layer.dims);
    case "transformer_lm":
      return transformerLm(layer, parameters);
    default:
      throw new Unsupported(
        `layer ${layer.type}`,
        `vectors: found the layer "${layer.type}"; expected one of ${layerTypes.join(", ")}`,
      );
  }
}

/** Initial values: the MurmurHash3 finaliser of position, tensor and seed. */
export function initialValues(
  { shape, init, t = 0, fan_in = 1 }: ParameterSpec,
  seed: number,
): Float32Array {
  const values = new Float32Array(shape.reduce((n, extent) => n * extent, 1));
  if (init === "zeros") return values;
  if (init === "ones") return values.fill(1);
  const start = Math.imul(0x9e3779b9, t + 1) + Math.imul(0x7f4a7c15, seed);
  for (let i = 0; i < values.length; i++) {
    let h = (start + i) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
    values[i] = ((2 * (h + 0.5)) / 4294967296 - 1) / Math.sqrt(fan_in);
  }
  return values;
}
