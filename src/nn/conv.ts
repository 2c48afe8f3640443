/** Convolutions as layers. */
import { ValueError } from "../errors.ts";
import type { Conv1dOptions, ConvOptions, Pair } from "../ops/conv.ts";
import { conv1d, conv2d, pairOf, wholeOf } from "../ops/conv.ts";
import type { NamedPadding } from "../ops/conv-padding.ts";
import { checkNamedPadding, sameAmounts } from "../ops/conv-padding.ts";
import { zeros } from "../ops/creation.ts";
import { pad } from "../ops/pad.ts";
import type { EpilogueOptions } from "../ops/epilogue.ts";
import type { Tensor } from "../tensor.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount, initialise } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

export interface ConvLayerOptions extends LayerOptions {
  /** Add a bias. Default true. */
  bias?: boolean;
  /** What the padding consists of; see `pad` for all but "zeros". Default "zeros". */
  paddingMode?: PaddingMode;
}

export type PaddingMode = "zeros" | "reflect" | "replicate" | "circular";

const paddingModes: readonly PaddingMode[] = ["zeros", "reflect", "replicate", "circular"];

export function checkChannels(op: string, inputs: number, outputs: number, groups: number): void {
  checkCount(op, "inChannels", inputs);
  checkCount(op, "outChannels", outputs);
  checkCount(op, "groups", groups);
  if (inputs % groups === 0 && outputs % groups === 0) return;
  throw new ValueError(
    `${op}: groups is ${groups}; expected a divisor of ${inputs} input and ${outputs} output channels`,
  );
}

/** Checks the mode; the function that pads by it, null for zeros, which the convolution adds itself. */
function bordering(
  op: string,
  mode: PaddingMode,
  padding: NamedPadding | readonly number[],
  kernel: readonly number[],
  dilation: readonly number[],
): ((x: Tensor) => Tensor) | null {
  if (!paddingModes.includes(mode)) {
    throw new ValueError(
      `${op}: paddingMode is ${JSON.stringify(mode)}; expected ${paddingModes.map((name) => `"${name}"`).join(", ")}`,
    );
  }
  if (mode === "zeros" || padding === "valid") return null;
  const amounts = kernel
    .map((k, axis) =>
      padding === "same" ? sameAmounts(k, dilation[axis]) : [padding[axis], padding[axis]],
    )
    .toReversed() // pad() begins at the last dimension
    .flat();
  return (x) => pad(x, amounts, { mode });
}

/**
 * Convolution [n, in, l] → [n, out, ol], or without n; see `conv1d`. weight [out, in/groups, k], bias
 * [out].
 */
export class Conv1d extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly options: Conv1dOptions;
  weight: Tensor;
  bias: Tensor | null;
  private readonly border: ((x: Tensor) => Tensor) | null;

  /** Defaults: stride 1, padding 0, dilation 1, groups 1, bias true, paddingMode "zeros". */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    options: Conv1dOptions & ConvLayerOptions = {},
  ) {
    super();
    const op = "Conv1d";
    const { padding = 0, groups = 1, paddingMode = "zeros", device, dtype } = options;
    checkChannels(op, inChannels, outChannels, groups);
    const kernel = wholeOf(op, "kernelSize", kernelSize, 1);
    const stride = wholeOf(op, "stride", options.stride ?? 1, 1);
    const dilation = wholeOf(op, "dilation", options.dilation ?? 1, 1);
    if (typeof padding === "string") checkNamedPadding(op, padding, [stride]);
    else wholeOf(op, "padding", padding, 0);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = kernel;
    this.options = { stride, padding, dilation, groups };
    const amounts = typeof padding === "string" ? padding : [padding];
    this.border = bordering(op, paddingMode, amounts, [kernel], [dilation]);
    const perGroup = inChannels / groups;
    this.weight = parameter(zeros([outChannels, perGroup, kernel], { device, dtype }));
    this.bias = (options.bias ?? true) ? parameter(zeros([outChannels], { device, dtype })) : null;
    initialise(this.weight, this.bias, perGroup * kernel, options.generator);
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, options, border } = this;
    if (!this.training) warnAtY("Conv1d in eval mode", [weight]);
    if (border === null) return conv1d(x, weight, bias, options);
    return conv1d(border(x), weight, bias, { ...options, padding: 0 });
  }
}

/**
 * Convolution [n, in, h, w] → [n, out, oh, ow], or without n; see `conv2d`. weight
 * [out, in/groups, kh, kw], bias [out].
 */
export class Conv2d extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly options: ConvOptions;
  weight: Tensor;
  bias: Tensor | null;
  private readonly border: ((x: Tensor) => Tensor) | null;

  /** Defaults: stride 1, padding 0, dilation 1, groups 1, bias true, paddingMode "zeros". */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | Pair,
    options: ConvOptions & ConvLayerOptions = {},
  ) {
    super();
    const op = "Conv2d";
    const { groups = 1, paddingMode = "zeros", device, dtype } = options;
    checkChannels(op, inChannels, outChannels, groups);
    const kernel = pairOf(op, "kernelSize", kernelSize, 1, 1);
    const stride = pairOf(op, "stride", options.stride, 1, 1);
    const dilation = pairOf(op, "dilation", options.dilation, 1, 1);
    let padding: Pair | NamedPadding;
    if (typeof options.padding === "string") {
      padding = options.padding;
      checkNamedPadding(op, padding, stride);
    } else {
      padding = pairOf(op, "padding", options.padding, 0, 0);
    }
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = kernel;
    this.options = { stride, padding, dilation, groups };
    this.border = bordering(op, paddingMode, padding, kernel, dilation);
    const perGroup = inChannels / groups;
    this.weight = parameter(zeros([outChannels, perGroup, ...kernel], { device, dtype }));
    this.bias = (options.bias ?? true) ? parameter(zeros([outChannels], { device, dtype })) : null;
    initialise(this.weight, this.bias, perGroup * kernel[0] * kernel[1], options.generator);
  }

  /** `epilogue.activation` is applied inside the convolution; `Sequential` asks for it by itself. */
  forward(x: Tensor, epilogue: EpilogueOptions = {}): Tensor {
    const { weight, bias, options, border } = this;
    if (!this.training) warnAtY("Conv2d in eval mode", [weight]);
    if (border === null) return conv2d(x, weight, bias, { ...options, ...epilogue });
    return conv2d(border(x), weight, bias, { ...options, ...epilogue, padding: 0 });
  }
}
