/** Transposed convolutions as layers. */
import { ShapeError } from "../errors.ts";
import type { Pair } from "../ops/conv.ts";
import { pairOf, wholeOf } from "../ops/conv.ts";
import type { ConvTranspose1dOptions, ConvTransposeOptions } from "../ops/conv-transpose.ts";
import { convTranspose1d, convTranspose2d } from "../ops/conv-transpose.ts";
import { zeros } from "../ops/creation.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkChannels } from "./conv.ts";
import type { LayerOptions } from "./layers.ts";
import { initialise } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

/** The output padding with which the last dimensions get the size that is asked for. */
function outputPaddingFor(
  op: string,
  x: Tensor,
  outputSize: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Record<"stride" | "padding" | "dilation", readonly number[]>,
): number[] {
  const least = kernel.map((k, axis) => {
    const extent = x.shape[x.ndim - kernel.length + axis];
    return (extent - 1) * stride[axis] - 2 * padding[axis] + dilation[axis] * (k - 1) + 1;
  });
  const extra = least.map((n, axis) => outputSize[axis] - n);
  if (
    outputSize.length === kernel.length &&
    extra.every((n, axis) => Number.isInteger(n) && n >= 0 && n < stride[axis])
  ) {
    return extra;
  }
  const most = least.map((n, axis) => n + stride[axis] - 1);
  throw new ShapeError(
    `${op}: outputSize is ${formatShape(outputSize)}; expected ${formatShape(least)} to ${formatShape(most)} for ${x.describe()}`,
  );
}

/**
 * Transposed convolution [n, in, l] → [n, out, ol], or without n; see `convTranspose1d`. weight
 * [in, out/groups, k], bias [out].
 */
export class ConvTranspose1d extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: number;
  readonly options: Required<ConvTranspose1dOptions>;
  weight: Tensor;
  bias: Tensor | null;

  /** Defaults: stride 1, padding 0, outputPadding 0, dilation 1, groups 1, bias true. */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    options: ConvTranspose1dOptions & LayerOptions & { bias?: boolean } = {},
  ) {
    super();
    const op = "ConvTranspose1d";
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1 } = options;
    const { groups = 1, device, dtype } = options;
    checkChannels(op, inChannels, outChannels, groups);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = wholeOf(op, "kernelSize", kernelSize, 1);
    this.options = {
      stride: wholeOf(op, "stride", stride, 1),
      padding: wholeOf(op, "padding", padding, 0),
      outputPadding: wholeOf(op, "outputPadding", outputPadding, 0),
      dilation: wholeOf(op, "dilation", dilation, 1),
      groups,
    };
    const perGroup = outChannels / groups;
    this.weight = parameter(zeros([inChannels, perGroup, kernelSize], { device, dtype }));
    this.bias = (options.bias ?? true) ? parameter(zeros([outChannels], { device, dtype })) : null;
    // PyTorch takes the weight's second dimension for the inputs here too.
    initialise(this.weight, this.bias, perGroup * kernelSize, options.generator);
  }

  /** `outputSize`: columns of the result, of those that the stride leaves open, in place of `outputPadding`. */
  forward(x: Tensor, outputSize?: number): Tensor {
    const { weight, bias, kernelSize, options } = this;
    if (!this.training) warnAtY("ConvTranspose1d in eval mode", [weight]);
    if (outputSize === undefined) return convTranspose1d(x, weight, bias, options);
    const { stride, padding, dilation } = options;
    const attrs = { stride: [stride], padding: [padding], dilation: [dilation] };
    const [outputPadding] = outputPaddingFor(
      "ConvTranspose1d",
      x,
      [outputSize],
      [kernelSize],
      attrs,
    );
    return convTranspose1d(x, weight, bias, { ...options, outputPadding });
  }
}

/**
 * Transposed convolution [n, in, h, w] → [n, out, oh, ow], or without n; see `convTranspose2d`. weight
 * [in, out/groups, kh, kw], bias [out].
 */
export class ConvTranspose2d extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly options: ConvTransposeOptions & Record<"stride" | "padding" | "dilation", Pair>;
  weight: Tensor;
  bias: Tensor | null;

  /** Defaults: stride 1, padding 0, outputPadding 0, dilation 1, groups 1, bias true. */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | Pair,
    options: ConvTransposeOptions & LayerOptions & { bias?: boolean } = {},
  ) {
    super();
    const op = "ConvTranspose2d";
    const { groups = 1, device, dtype } = options;
    checkChannels(op, inChannels, outChannels, groups);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = pairOf(op, "kernelSize", kernelSize, 1, 1);
    this.options = {
      stride: pairOf(op, "stride", options.stride, 1, 1),
      padding: pairOf(op, "padding", options.padding, 0, 0),
      outputPadding: pairOf(op, "outputPadding", options.outputPadding, 0, 0),
      dilation: pairOf(op, "dilation", options.dilation, 1, 1),
      groups,
    };
    const perGroup = outChannels / groups;
    const shape = [inChannels, perGroup, ...this.kernelSize];
    this.weight = parameter(zeros(shape, { device, dtype }));
    this.bias = (options.bias ?? true) ? parameter(zeros([outChannels], { device, dtype })) : null;
    // PyTorch takes the weight's second dimension for the inputs here too.
    const fanIn = perGroup * this.kernelSize[0] * this.kernelSize[1];
    initialise(this.weight, this.bias, fanIn, options.generator);
  }

  /** `outputSize`: rows and columns of the result, of those that the stride leaves open, in place of `outputPadding`. */
  forward(x: Tensor, outputSize?: Pair): Tensor {
    const { weight, bias, kernelSize, options } = this;
    const op = "ConvTranspose2d";
    if (!this.training) warnAtY(`${op} in eval mode`, [weight]);
    if (outputSize === undefined) return convTranspose2d(x, weight, bias, options);
    const [rows, columns] = outputPaddingFor(op, x, outputSize, kernelSize, options);
    return convTranspose2d(x, weight, bias, { ...options, outputPadding: [rows, columns] });
  }
}
