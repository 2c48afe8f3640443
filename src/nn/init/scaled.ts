/** Values scaled by the number of inputs and outputs, so that signals keep their size through layers. */
import { ShapeError, ValueError } from "../../errors.ts";
import type { Generator } from "../../random.ts";
import { formatShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { normal, uniform } from "./fill.ts";

/** What follows a layer, for the factor that makes up for it. */
export type Nonlinearity = "linear" | "conv" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/**
 * The factor by which to scale weights before a nonlinearity, with PyTorch's values: linear, conv and sigmoid 1,
 * tanh 5/3, relu √2, leakyRelu √(2 / (1 + slope²)), selu 3/4.
 *
 * @param slope of leakyRelu where its input is negative. Default 0.01
 */
export function calculateGain(nonlinearity: Nonlinearity, slope = 0.01): number {
  switch (nonlinearity) {
    case "linear":
    case "conv":
    case "sigmoid":
      return 1;
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leakyRelu":
      if (!Number.isFinite(slope)) {
        throw new ValueError(`init.calculateGain: slope is ${slope}; expected a number`);
      }
      return Math.sqrt(2 / (1 + slope * slope));
    case "selu":
      return 3 / 4;
    default:
      throw new ValueError(
        `init.calculateGain: nonlinearity is "${String(nonlinearity)}"; expected linear, conv, sigmoid, tanh, relu, leakyRelu or selu`,
      );
  }
}

/** Inputs and outputs per unit of a weight [out, in, ...]: for convolutions times the kernel's size. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  if (weight.ndim < 2) {
    throw new ShapeError(
      `init: fan-in and fan-out need [out, in, ...]; found ${formatShape(weight.shape)}`,
    );
  }
  const receptive = weight.shape.slice(2).reduce((product, extent) => product * extent, 1);
  return { fanIn: weight.shape[1] * receptive, fanOut: weight.shape[0] * receptive };
}

export interface XavierOptions {
  /** Factor for what follows; see `calculateGain`. Default 1. */
  gain?: number;
  /** Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/** Uniform on ±gain·√(6 / (fanIn + fanOut)) (X. Glorot and Y. Bengio, AISTATS 2010). */
export function xavierUniform(weight: Tensor, options: XavierOptions = {}): Tensor {
  const std = xavierStd("xavierUniform", weight, options);
  if (weight.size === 0) return weight;
  const bound = Math.sqrt(3) * std;
  return uniform(weight, -bound, bound, options.generator);
}

/** Normal with std gain·√(2 / (fanIn + fanOut)) (X. Glorot and Y. Bengio, AISTATS 2010). */
export function xavierNormal(weight: Tensor, options: XavierOptions = {}): Tensor {
  const std = xavierStd("xavierNormal", weight, options);
  return weight.size === 0 ? weight : normal(weight, 0, std, options.generator);
}

function xavierStd(name: string, weight: Tensor, { gain = 1 }: XavierOptions): number {
  if (!(gain > 0 && gain < Infinity)) {
    throw new ValueError(`init.${name}: gain is ${gain}; expected a number above 0`);
  }
  const { fanIn, fanOut } = fans(weight);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}

export interface KaimingOptions {
  /** Slope of leakyRelu where its input is negative. Default 0: that of relu. */
  a?: number;
  /** Keep the size of signals ("fanIn", default) or of gradients ("fanOut"). */
  mode?: "fanIn" | "fanOut";
  /** What follows; see `calculateGain`. Default "leakyRelu". */
  nonlinearity?: Nonlinearity;
  /** Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/**
 * Uniform on ±gain·√(3 / fan), with the gain of the nonlinearity that follows, √(2 / (1 + a²)) by default
 * (He et al., arXiv 1502.01852). PyTorch's layers use a = √5, that is ±1/√fanIn.
 */
export function kaimingUniform(weight: Tensor, options: KaimingOptions = {}): Tensor {
  const { gain, fan } = kaiming("kaimingUniform", weight, options);
  if (weight.size === 0) return weight;
  const bound = gain * Math.sqrt(3 / fan);
  return uniform(weight, -bound, bound, options.generator);
}

/** Normal with std gain/√fan; see `kaimingUniform`. */
export function kaimingNormal(weight: Tensor, options: KaimingOptions = {}): Tensor {
  const { gain, fan } = kaiming("kaimingNormal", weight, options);
  return weight.size === 0 ? weight : normal(weight, 0, gain / Math.sqrt(fan), options.generator);
}

function kaiming(
  name: string,
  weight: Tensor,
  options: KaimingOptions,
): { gain: number; fan: number } {
  const { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" } = options;
  if (!Number.isFinite(a)) throw new ValueError(`init.${name}: a is ${a}; expected a number`);
  if (mode !== "fanIn" && mode !== "fanOut") {
    throw new ValueError(`init.${name}: mode is "${String(mode)}"; expected "fanIn" or "fanOut"`);
  }
  return { gain: calculateGain(nonlinearity, a), fan: fans(weight)[mode] };
}
