/** Two-dimensional convolution (cross-correlation, as PyTorch) with its two gradients. */
import { gradientOf } from "../autograd.ts";
import type { Kernel, NdArray, TypedArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run, runInPlace } from "../op.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { VjpContext } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { sum } from "./broadcast.ts";
import type { NamedPadding } from "./conv-padding.ts";
import { paddedByName, withBatch } from "./conv-padding.ts";
import type { EpilogueOptions } from "./epilogue.ts";
import { epilogueOf, withEpilogue } from "./epilogue.ts";
import { squeeze, unsqueeze } from "./movement.ts";

/** Rows and columns. */
export type Pair = readonly [number, number];

export interface ConvOptions {
  /** Default 1. */
  stride?: number | Pair;
  /**
   * Zeros added on each side; "valid": none; "same": as many as keep the extents, one more at the end
   * than at the start if their number is odd, for stride 1. Default 0.
   */
  padding?: number | Pair | NamedPadding;
  /** Distance between kernel elements. Default 1. */
  dilation?: number | Pair;
  /** Input and output channels are split into this many independent groups. Default 1. */
  groups?: number;
}

export interface ConvAttrs {
  stride: Pair;
  padding: Pair;
  dilation: Pair;
  groups: number;
}

/** A number for both, or [rows, columns]; whole numbers from `least` up. */
export function pairOf(
  op: string,
  name: string,
  value: number | Pair | undefined,
  standard: number | Pair,
  least: number,
): Pair {
  const given = value ?? standard;
  const pair: Pair = typeof given === "number" ? [given, given] : given;
  if (pair.length !== 2 || !pair.every((v) => Number.isInteger(v) && v >= least)) {
    throw new ValueError(
      `${op}: ${name} is ${JSON.stringify(given)}; expected a whole number from ${least} up, or a pair of them`,
    );
  }
  return pair;
}

/** Positions of a window of `kernel` elements along an extent of `n`. */
export function windowCount(
  n: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
): number {
  return Math.floor((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

interface ConvGeometry extends ConvAttrs {
  x: readonly number[];
  w: readonly number[];
  y: readonly number[];
}

/**
 * Calls `visit` for every row of products x[xi + k * stride[1]] * w[wi] that belong to y[yi + k],
 * k = 0 ... count - 1, with padding left out.
 */
function eachRow(
  { x, w, y, stride, padding, dilation, groups }: ConvGeometry,
  visit: (xi: number, wi: number, yi: number, count: number) => void,
): void {
  const [, c, h, width] = x;
  const [, cg, kh, kw] = w;
  const [n, o, oh, ow] = y;
  const perGroup = o / groups;
  for (let plane = 0; plane < n * o; plane++) {
    const f = plane % o;
    const firstChannel = ((plane - f) / o) * c + Math.floor(f / perGroup) * cg;
    for (let tap = 0; tap < cg * kh * kw; tap++) {
      const kj = tap % kw;
      const ki = Math.floor(tap / kw) % kh;
      const channel = firstChannel + Math.floor(tap / (kw * kh));
      const left = kj * dilation[1] - padding[1];
      const from = left < 0 ? Math.ceil(-left / stride[1]) : 0;
      const to = Math.min(ow, Math.floor((width - 1 - left) / stride[1]) + 1);
      if (to <= from) continue;
      for (let i = 0; i < oh; i++) {
        const row = i * stride[0] + ki * dilation[0] - padding[0];
        if (row < 0 || row >= h) continue;
        visit(
          (channel * h + row) * width + from * stride[1] + left,
          f * cg * kh * kw + tap,
          (plane * oh + i) * ow + from,
          to - from,
        );
      }
    }
  }
}

// The inner loops, in functions of their own so that engines optimise each once.

/** target[t + k * tStep] += weight * source[s + k * sStep] */
function addRow(
  target: TypedArray,
  t: number,
  tStep: number,
  source: TypedArray,
  s: number,
  sStep: number,
  weight: number,
  count: number,
): void {
  for (let k = 0; k < count; k++) target[t + k * tStep] += weight * source[s + k * sStep];
}

/** Sum of a[i + k * aStep] * b[j + k] */
function dotRow(
  a: TypedArray,
  i: number,
  aStep: number,
  b: TypedArray,
  j: number,
  count: number,
): number {
  let total = 0;
  for (let k = 0; k < count; k++) total += a[i + k * aStep] * b[j + k];
  return total;
}

export const conv2dOp: Op<ConvAttrs> = defineOp<ConvAttrs>({
  name: "conv2d",
  kind: "conv2d",
  wasm: "conv2d",
  reference: (inputs: readonly NdArray[], [y]: readonly NdArray[], attrs: ConvAttrs) => {
    const [x, w, bias] = inputs;
    const [xs, ws, ys] = [x.data, w.data, y.data];
    const plane = y.shape[2] * y.shape[3];
    const channels = y.shape[1];
    for (let i = 0; i < y.data.length; i++) {
      y.data[i] = bias?.data[Math.floor(i / plane) % channels] ?? 0;
    }
    const step = attrs.stride[1];
    eachRow({ x: x.shape, w: w.shape, y: y.shape, ...attrs }, (xi, wi, yi, count) => {
      addRow(ys, yi, 1, xs, xi, step, ws[wi], count);
    });
  },
  shape: ([x, w], { stride, padding, dilation }) => [
    x.shape[0],
    w.shape[0],
    windowCount(x.shape[2], w.shape[2], stride[0], padding[0], dilation[0]),
    windowCount(x.shape[3], w.shape[3], stride[1], padding[1], dilation[1]),
  ],
  saves: [0, 1],
  vjp: (dy, context, attrs) => {
    const [x, w] = context.saved;
    const dx = context.needs(0) ? run(gradInputOp, [dy, w], { ...attrs, xShape: x.shape }) : null;
    return [dx, ...parameterGradients([x, dy], context, attrs)];
  },
});

/** The same and an activation. Where x needs no gradient, relu's is part of the parameters'. */
const activatedOp = withEpilogue(conv2dOp, (dy, y, context, attrs) => {
  if (attrs.activation !== "relu" || context.needs(0) || !context.needs(1)) return null;
  return [null, ...parameterGradients([context.saved[0], dy, y], context, attrs)];
});

/** Those of weight and bias, as far as they are needed, from what gradWeightKernel takes. */
function parameterGradients(
  inputs: readonly Tensor[],
  context: VjpContext,
  attrs: ConvAttrs,
): (Tensor | null)[] {
  const dw = context.needs(1) ? gradientOf(context, 1) : null;
  if (context.inputs.length < 3 || !context.needs(2)) {
    if (dw !== null) runInPlace(gradWeightKernel, inputs, [dw], attrs);
    return [dw];
  }
  if (dw === null) return [null, sum(inputs[1], [0, 2, 3])];
  const dbias = gradientOf(context, 2);
  runInPlace(gradWeightKernel, inputs, [dw, dbias], attrs);
  return [dw, dbias];
}

export const gradInputOp: Op<ConvAttrs & { xShape: readonly number[] }> = defineOp<
  ConvAttrs & { xShape: readonly number[] }
>({
  name: "conv2dGradInput",
  kind: "conv2dGradInput",
  wasm: "conv2d_grad_input",
  reference: ([dy, w]: readonly NdArray[], [dx]: readonly NdArray[], attrs: ConvAttrs) => {
    const [dys, ws, dxs] = [dy.data, w.data, dx.data];
    dxs.fill(0);
    const step = attrs.stride[1];
    eachRow({ x: dx.shape, w: w.shape, y: dy.shape, ...attrs }, (xi, wi, yi, count) => {
      addRow(dxs, xi, step, dys, yi, 1, ws[wi], count);
    });
  },
  shape: (_inputs, { xShape }) => xShape,
});

/**
 * x, dy, y? → dweight, and dbias if there is a second output. With a y, the convolution's result after a relu,
 * dy is that before the relu's gradient: it counts where y is not ≤ 0.
 */
export const gradWeightKernel: Kernel = {
  name: "conv2dGradWeight",
  kind: "conv2dGradWeight",
  wasm: "conv2d_grad_weight",
  reference: (
    [x, dy, y]: readonly NdArray[],
    [dw, dbias]: readonly NdArray[],
    attrs: ConvAttrs,
  ) => {
    const [xs, dws] = [x.data, dw.data];
    const dys = y === undefined ? dy.data : dy.data.map((v, i) => (y.data[i] <= 0 ? 0 : v));
    dws.fill(0);
    const step = attrs.stride[1];
    eachRow({ x: x.shape, w: dw.shape, y: dy.shape, ...attrs }, (xi, wi, yi, count) => {
      dws[wi] += dotRow(xs, xi, step, dys, yi, count);
    });
    if (dbias === undefined) return;
    dbias.data.fill(0);
    const plane = dy.shape[2] * dy.shape[3];
    const channels = dy.shape[1];
    for (let i = 0; i < dys.length; i++) dbias.data[Math.floor(i / plane) % channels] += dys[i];
  },
};

/** Checks inputs with a number of axes (columns alone, or rows and columns), one batch or a single example. */
function checkRanks(op: string, axes: number, x: Tensor, weight: Tensor): void {
  if (weight.ndim === axes + 2 && (x.ndim === axes + 2 || x.ndim === axes + 1)) return;
  const [batch, single, kernel] =
    axes === 1
      ? ["[n, c, l]", "[c, l]", "[o, c/groups, k]"]
      : ["[n, c, h, w]", "[c, h, w]", "[o, c/groups, kh, kw]"];
  throw new ShapeError(
    `${op}: input ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}; expected ${batch} or ${single}, and ${kernel}`,
  );
}

/** Checks inputs whose ranks are right against each other. */
function checkConvolution(
  op: string,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null | undefined,
  attrs: ConvAttrs,
): void {
  const axes = op === "conv1d" ? ["columns"] : ["rows", "columns"];
  const { groups } = attrs;
  const channels = x.shape[x.ndim - axes.length - 1];
  if (!Number.isInteger(groups) || groups < 1 || weight.shape[0] % groups !== 0) {
    throw new ValueError(
      `${op}: groups is ${groups}; expected a whole number from 1 up that divides the ${weight.shape[0]} output channels`,
    );
  }
  if (channels !== weight.shape[1] * groups) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)} has ${channels} channels; weight ${formatShape(weight.shape)} ` +
        `with groups ${groups} expects ${weight.shape[1] * groups}`,
    );
  }
  if (bias && !sameShape(bias.shape, [weight.shape[0]])) {
    throw new ShapeError(
      `${op}: bias has the shape ${formatShape(bias.shape)}; expected [${weight.shape[0]}], one number per output channel`,
    );
  }
  axes.forEach((axis, i) => {
    const k = i + 2 - axes.length;
    const reach = attrs.dilation[k] * (weight.shape[i + 2] - 1) + 1;
    const room = x.shape[x.ndim - axes.length + i] + 2 * attrs.padding[k];
    if (reach > room) {
      throw new ShapeError(
        `${op}: the kernel covers ${reach} ${axis}, the padded input has ${room} ` +
          `(input ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}); use a smaller kernel or more padding`,
      );
    }
  });
  checkDType(op, x, ["float32", "float64"]);
  checkDType(op, weight, [x.dtype]);
}

/**
 * Convolution as torch.nn.functional.conv2d: x [n, c, h, w], weight [o, c/groups, kh, kw], bias
 * [o] → [n, o, oh, ow] with oh = ⌊(h + 2·padding - dilation·(kh - 1) - 1) / stride⌋ + 1. A single x
 * [c, h, w] gives [o, oh, ow]. Bias and `options.activation` are applied inside.
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options: ConvOptions & EpilogueOptions = {},
): Tensor {
  const op = "conv2d";
  checkRanks(op, 2, x, weight);
  const stride = pairOf(op, "stride", options.stride, 1, 1);
  const dilation = pairOf(op, "dilation", options.dilation, 1, 1);
  const kernel: Pair = [weight.shape[2], weight.shape[3]];
  const named = paddedByName(op, x, options.padding, kernel, stride, dilation);
  const padding =
    named?.padding ?? pairOf(op, "padding", options.padding as number | Pair | undefined, 0, 0);
  const attrs: ConvAttrs = { stride, padding, dilation, groups: options.groups ?? 1 };
  const input = named?.x ?? x;
  checkConvolution(op, input, weight, bias, attrs);
  const epilogue = epilogueOf(op, options);
  return withBatch(input, 4, (x) => {
    const inputs = bias ? [x, weight, bias] : [x, weight];
    if (epilogue === null) return run(conv2dOp, inputs, attrs);
    return run(activatedOp, inputs, { ...attrs, ...epilogue });
  });
}

export interface Conv1dOptions {
  /** Default 1. */
  stride?: number;
  /** Zeros added on each side, or "valid" or "same" as for conv2d. Default 0. */
  padding?: number | NamedPadding;
  /** Distance between kernel elements. Default 1. */
  dilation?: number;
  /** Input and output channels are split into this many independent groups. Default 1. */
  groups?: number;
}

/** A whole number from `least` up. */
export function wholeOf(op: string, name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new ValueError(
    `${op}: ${name} is ${JSON.stringify(value)}; expected a whole number from ${least} up`,
  );
}

/**
 * Convolution as torch.nn.functional.conv1d, by conv2d on one row: x [n, c, l], weight
 * [o, c/groups, k], bias [o] → [n, o, ol] with ol = ⌊(l + 2·padding - dilation·(k - 1) - 1) / stride⌋ + 1. A
 * single x [c, l] gives [o, ol].
 */
export function conv1d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options: Conv1dOptions = {},
): Tensor {
  const op = "conv1d";
  checkRanks(op, 1, x, weight);
  const { groups = 1 } = options;
  const stride: Pair = [1, wholeOf(op, "stride", options.stride ?? 1, 1)];
  const dilation: Pair = [1, wholeOf(op, "dilation", options.dilation ?? 1, 1)];
  const kernel: Pair = [1, weight.shape[2]];
  const named = paddedByName(op, x, options.padding, kernel, stride, dilation);
  const padding: Pair = named?.padding ?? [
    0,
    wholeOf(op, "padding", (options.padding as number | undefined) ?? 0, 0),
  ];
  const attrs: ConvAttrs = { stride, padding, dilation, groups };
  const input = named?.x ?? x;
  checkConvolution(op, input, weight, bias, attrs);
  const row = unsqueeze(weight, 2);
  return withBatch(input, 3, (x) => {
    const inputs = [unsqueeze(x, 2), row];
    return squeeze(run(conv2dOp, bias ? [...inputs, bias] : inputs, attrs), 2);
  });
}
