/** Two-dimensional pooling. */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import type { Pair } from "./conv.ts";
import { pairOf } from "./conv.ts";
import { withBatch } from "./conv-padding.ts";

export interface MaxPoolOptions {
  /** Default: the kernel's size. */
  stride?: number | Pair;
  /** -Infinity on each side, at most half of the kernel. Default 0. */
  padding?: number | Pair;
  /** Distance between the elements of a window. Default 1. */
  dilation?: number | Pair;
  /** Let the last window stick out. Default false. */
  ceilMode?: boolean;
}

export interface ReluOptions {
  /**
   * "relu": of the result. As the largest element is the same before and after it, this gives the numbers of
   * relu() before the pooling, without a pass over what is pooled, forward or backward. Default: none.
   */
  activation?: "relu" | null;
}

export interface AvgPoolOptions {
  /** Default: the kernel's size. */
  stride?: number | Pair;
  /** Zeros on each side, at most half of the kernel. Default 0. */
  padding?: number | Pair;
  /** Let the last window stick out. Default false. */
  ceilMode?: boolean;
  /** Divide by the window's size with padding. Default true. */
  countIncludePad?: boolean;
}

export interface PoolAttrs {
  kernelSize: Pair;
  stride: Pair;
  padding: Pair;
  dilation: Pair;
  ceilMode: boolean;
  countIncludePad: boolean;
}

function pooledExtent(n: number, axis: 0 | 1, attrs: PoolAttrs): number {
  const [kernel, stride, padding, dilation] = [
    attrs.kernelSize[axis],
    attrs.stride[axis],
    attrs.padding[axis],
    attrs.dilation[axis],
  ];
  const room = n + 2 * padding - dilation * (kernel - 1) - 1;
  if (!attrs.ceilMode) return Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  // The last window must start inside the input or its left padding.
  return (count - 1) * stride >= n + padding ? count - 1 : count;
}

function pooledShape([x]: readonly Tensor[], attrs: PoolAttrs): number[] {
  const [n, c, h, w] = x.shape;
  return [n, c, pooledExtent(h, 0, attrs), pooledExtent(w, 1, attrs)];
}

/** Calls `visit` for each window with its rows and columns [from, to) before clipping. */
function eachWindow(
  x: readonly number[],
  y: readonly number[],
  { stride, padding }: PoolAttrs,
  visit: (plane: number, at: number, top: number, left: number) => void,
): void {
  const [n, c, oh, ow] = y;
  const area = x[2] * x[3];
  for (let p = 0; p < n * c; p++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++) {
        visit(
          p * area,
          (p * oh + i) * ow + j,
          i * stride[0] - padding[0],
          j * stride[1] - padding[1],
        );
      }
    }
  }
}

/** The largest of each window and its place. */
function poolReference(
  [x]: readonly NdArray[],
  [y, index]: readonly NdArray[],
  attrs: PoolAttrs,
): void {
  const [, , h, w] = x.shape;
  const { kernelSize, dilation } = attrs;
  eachWindow(x.shape, y.shape, attrs, (plane, at, top, left) => {
    let best = -1;
    for (let i = 0; i < kernelSize[0]; i++) {
      const row = top + i * dilation[0];
      if (row < 0 || row >= h) continue;
      for (let j = 0; j < kernelSize[1]; j++) {
        const column = left + j * dilation[1];
        if (column < 0 || column >= w) continue;
        const k = row * w + column;
        const value = x.data[plane + k];
        if (best < 0 || value > x.data[plane + best] || Number.isNaN(value)) best = k;
        if (Number.isNaN(x.data[plane + best])) break;
      }
      if (best >= 0 && Number.isNaN(x.data[plane + best])) break;
    }
    y.data[at] = best < 0 ? -Infinity : x.data[plane + best]; // nothing but padding
    index.data[at] = best;
  });
}

export const maxPoolOp: Op<PoolAttrs> = defineOp<PoolAttrs>({
  name: "maxPool2d",
  kind: "maxPool2d",
  wasm: "max_pool2d",
  reference: poolReference,
  shape: pooledShape,
  extra: (_inputs, _attrs, shape) => [{ shape, dtype: "int32" }],
  saves: ["extra0"],
  vjp: (dy, { saved: [index], inputs: [x] }, attrs) => [
    run(maxPoolGradOp, [dy, index], { ...attrs, xShape: x.shape }),
  ],
});

/** The same and relu: where it gives 0, the index is -1. */
const activatedOp = defineOp<PoolAttrs & { activation: "relu" }>({
  ...maxPoolOp,
  name: "maxPool2dActivated",
  reference: (inputs: readonly NdArray[], [y, index]: readonly NdArray[], attrs: PoolAttrs) => {
    poolReference(inputs, [y, index], attrs);
    for (let i = 0; i < y.data.length; i++) {
      if (!(y.data[i] <= 0)) continue;
      y.data[i] = 0;
      index.data[i] = -1;
    }
  },
});

const maxPoolGradOp = defineOp<PoolAttrs & { xShape: readonly number[] }>({
  name: "maxPool2dGrad",
  kind: "maxPool2dGrad",
  wasm: "max_pool2d_grad",
  reference: ([dy, index]: readonly NdArray[], [dx]: readonly NdArray[]) => {
    const area = dx.shape[2] * dx.shape[3];
    const pooled = dy.shape[2] * dy.shape[3];
    dx.data.fill(0);
    for (let i = 0; i < dy.data.length; i++) {
      if (index.data[i] < 0) continue;
      dx.data[Math.floor(i / pooled) * area + index.data[i]] += dy.data[i];
    }
  },
  shape: (_inputs, { xShape }) => xShape,
});

/** The clipped window and the number that PyTorch divides by. */
function avgWindow(
  h: number,
  w: number,
  top: number,
  left: number,
  { kernelSize, padding, countIncludePad }: PoolAttrs,
): { rows: Pair; columns: Pair; divisor: number } {
  const bottom = Math.min(top + kernelSize[0], h + padding[0]);
  const right = Math.min(left + kernelSize[1], w + padding[1]);
  const rows: Pair = [Math.max(top, 0), Math.min(bottom, h)];
  const columns: Pair = [Math.max(left, 0), Math.min(right, w)];
  const divisor = countIncludePad
    ? (bottom - top) * (right - left)
    : (rows[1] - rows[0]) * (columns[1] - columns[0]);
  return { rows, columns, divisor };
}

const avgPoolOp = defineOp<PoolAttrs>({
  name: "avgPool2d",
  kind: "avgPool2d",
  wasm: "avg_pool2d",
  reference: ([x]: readonly NdArray[], [y]: readonly NdArray[], attrs: PoolAttrs) => {
    const [, , h, w] = x.shape;
    eachWindow(x.shape, y.shape, attrs, (plane, at, top, left) => {
      const { rows, columns, divisor } = avgWindow(h, w, top, left, attrs);
      let total = 0;
      for (let i = rows[0]; i < rows[1]; i++) {
        for (let j = columns[0]; j < columns[1]; j++) total += x.data[plane + i * w + j];
      }
      y.data[at] = total / divisor;
    });
  },
  shape: pooledShape,
  vjp: (dy, { inputs: [x] }, attrs) => [run(avgPoolGradOp, [dy], { ...attrs, xShape: x.shape })],
});

const avgPoolGradOp = defineOp<PoolAttrs & { xShape: readonly number[] }>({
  name: "avgPool2dGrad",
  kind: "avgPool2dGrad",
  wasm: "avg_pool2d_grad",
  reference: ([dy]: readonly NdArray[], [dx]: readonly NdArray[], attrs: PoolAttrs) => {
    const [, , h, w] = dx.shape;
    dx.data.fill(0);
    eachWindow(dx.shape, dy.shape, attrs, (plane, at, top, left) => {
      const { rows, columns, divisor } = avgWindow(h, w, top, left, attrs);
      for (let i = rows[0]; i < rows[1]; i++) {
        for (let j = columns[0]; j < columns[1]; j++) {
          dx.data[plane + i * w + j] += dy.data[at] / divisor;
        }
      }
    });
  },
  shape: (_inputs, { xShape }) => xShape,
});

export function poolAttrs(
  op: string,
  x: Tensor,
  kernelSize: number | Pair,
  options: MaxPoolOptions & AvgPoolOptions,
): PoolAttrs {
  const kernel = pairOf(op, "kernelSize", kernelSize, 1, 1);
  const attrs: PoolAttrs = {
    kernelSize: kernel,
    stride: pairOf(op, "stride", options.stride, kernel, 1),
    padding: pairOf(op, "padding", options.padding, 0, 0),
    dilation: pairOf(op, "dilation", options.dilation, 1, 1),
    ceilMode: options.ceilMode ?? false,
    countIncludePad: options.countIncludePad ?? true,
  };
  if (x.ndim !== 4 && x.ndim !== 3) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)}; expected [n, c, h, w] or [c, h, w]`,
    );
  }
  checkDType(op, x, ["float32", "float64"]);
  for (const axis of [0, 1] as const) {
    if (attrs.padding[axis] * 2 > kernel[axis]) {
      throw new ValueError(
        `${op}: padding [${attrs.padding}] is more than half of the kernel [${kernel}]; windows of nothing but padding have no value`,
      );
    }
    if (pooledExtent(x.shape[x.ndim - 2 + axis], axis, attrs) < 1) {
      throw new ShapeError(
        `${op}: the kernel [${kernel}] (dilation [${attrs.dilation}]) does not fit into ${formatShape(x.shape)} with padding [${attrs.padding}]`,
      );
    }
  }
  return attrs;
}

/**
 * Largest element of each window: x [n, c, h, w] → [n, c, oh, ow], or without n. The gradient goes to the first
 * maximum of a window; NaN wins.
 */
export function maxPool2d(
  x: Tensor,
  kernelSize: number | Pair,
  options: MaxPoolOptions & ReluOptions = {},
): Tensor {
  const op = "maxPool2d";
  const attrs = poolAttrs(op, x, kernelSize, options);
  const { activation = null } = options;
  if (activation === null) return withBatch(x, 4, (x) => run(maxPoolOp, [x], attrs));
  if (activation !== "relu") {
    throw new ValueError(
      `${op}: activation is ${JSON.stringify(activation)}; expected "relu" (others do not commute with it: call them on the result)`,
    );
  }
  return withBatch(x, 4, (x) => run(activatedOp, [x], { ...attrs, activation }));
}

/** Mean of each window: x [n, c, h, w] → [n, c, oh, ow], or without n. */
export function avgPool2d(
  x: Tensor,
  kernelSize: number | Pair,
  options: AvgPoolOptions = {},
): Tensor {
  const attrs = poolAttrs("avgPool2d", x, kernelSize, options);
  return withBatch(x, 4, (x) => run(avgPoolOp, [x], attrs));
}
