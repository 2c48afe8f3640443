/**
 * Broadcasting and its adjoint: reshape, expand and sum, whose gradients are each other, and the
 * pieces that all reductions share.
 */
import type { NdArray } from "../backend/backend.ts";
import { copy } from "../autograd.ts";
import { ShapeError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, defineView, run, runView } from "../op.ts";
import type { Shape } from "../shape.ts";
import {
  broadcastStrides,
  checkShape,
  formatShape,
  isContiguous,
  normalizeDims,
  reducedShape,
  reshapedStrides,
  sameShape,
  sizeOf,
  stridesOf,
} from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { broadcastDims, inputShape, none } from "./common.ts";

export const contiguousOp = defineOp({
  ...copy,
  name: "contiguous",
  shape: inputShape,
  vjp: (dy) => [dy],
});

/** The tensor in row-major order; itself if it is already. */
export function contiguous(x: Tensor): Tensor {
  return isContiguous(x.shape, x.strides) ? x : run(contiguousOp, [x], none);
}

const reshapeOp = defineView<{ shape: Shape }>({
  name: "reshape",
  view: (x, { shape }) => ({
    shape,
    strides: reshapedStrides(x.shape, x.strides, shape)!,
    offset: x.offset,
  }),
  vjp: (dy, { inputs: [x] }) => [reshape(dy, x.shape)],
});

/** Fills in one -1 and checks that the number of elements stays. */
function resolveShape(op: string, x: Tensor, shape: Shape): Shape {
  const unknown = shape.indexOf(-1);
  let resolved = shape;
  if (unknown >= 0) {
    const known = shape.reduce(
      (product, extent, i) => (i === unknown ? product : product * extent),
      1,
    );
    if (shape.lastIndexOf(-1) !== unknown || known === 0 || x.size % known !== 0) {
      throw new ShapeError(
        `${op}: cannot turn ${formatShape(x.shape)} (${x.size} elements) into ${formatShape(shape)}; ` +
          "at most one extent is -1, and the others must divide the number of elements",
      );
    }
    resolved = shape.map((extent) => (extent === -1 ? x.size / known : extent));
  }
  checkShape(op, resolved);
  if (sizeOf(resolved) !== x.size) {
    throw new ShapeError(
      `${op}: ${formatShape(x.shape)} has ${x.size} elements, ${formatShape(shape)} has ${sizeOf(resolved)}; they must be equal`,
    );
  }
  return resolved;
}

/** The same elements in another shape; one extent may be -1. A view where strides can express it. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  x.checkAlive("reshape");
  const resolved = resolveShape("reshape", x, shape);
  if (sameShape(resolved, x.shape)) return x;
  const view = reshapedStrides(x.shape, x.strides, resolved) !== null;
  return runView(reshapeOp, view ? x : contiguous(x), { shape: resolved });
}

const expandOp = defineView<{ shape: Shape }>({
  name: "expand",
  view: (x, { shape }) => ({
    shape,
    strides: broadcastStrides(x.shape, x.strides, shape),
    offset: x.offset,
  }),
  vjp: (dy, { inputs: [x] }) => [sumTo(dy, x.shape)],
});

/** Repeats extents of 1 without copying; -1 keeps an extent. New dimensions go in front. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const lead = shape.length - x.ndim;
  const resolved = shape.map((extent, i) =>
    extent === -1 && i >= lead ? x.shape[i - lead] : extent,
  );
  const fits = lead >= 0 && x.shape.every((n, i) => n === resolved[i + lead] || n === 1);
  if (!fits) {
    throw new ShapeError(
      `expand: ${formatShape(x.shape)} cannot become ${formatShape(shape)}; only extents of 1 can be repeated`,
    );
  }
  checkShape("expand", resolved);
  return runView(expandOp, x, { shape: resolved });
}

export interface ReduceOptions {
  /** Keep reduced dimensions with the extent 1. Default false. */
  keepdim?: boolean;
}

/** One dimension, several, or all of them. */
export type Dims = number | readonly number[];

export interface ReduceAttrs {
  dims: readonly number[];
  keepdim: boolean;
}

/** Calls `fold` for each output element with the input elements that belong to it. */
export function eachGroup(
  x: NdArray,
  dims: readonly number[],
  fold: (read: (k: number) => number, n: number, at: number) => void,
): void {
  const strides = stridesOf(x.shape);
  const offsetsOf = (list: readonly number[]): number[] => {
    let offsets = [0];
    for (const d of list) {
      offsets = offsets.flatMap((base) =>
        Array.from({ length: x.shape[d] }, (_, i) => base + i * strides[d]),
      );
    }
    return offsets;
  };
  const kept = x.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const inner = offsetsOf(dims);
  offsetsOf(kept).forEach((base, at) => {
    fold((k) => x.data[base + inner[k]], inner.length, at);
  });
}

export function defineReduce(
  name: string,
  start: number,
  combine: (sum: number, value: number) => number,
  finish: (sum: number, n: number) => number,
  rest: Pick<Op<ReduceAttrs>, "dtype" | "saves" | "vjp">,
): Op<ReduceAttrs> {
  return defineOp<ReduceAttrs>({
    name,
    kind: "reduce",
    wasm: name,
    reference: ([x]: readonly NdArray[], [y]: readonly NdArray[], { dims }: ReduceAttrs) => {
      eachGroup(x, dims, (read, n, at) => {
        let value = start;
        for (let k = 0; k < n; k++) value = combine(value, read(k));
        y.data[at] = finish(value, n);
      });
    },
    shape: ([x], { dims, keepdim }) => reducedShape(x.shape, dims, keepdim),
    ...rest,
  });
}

/** A reduced tensor (or its gradient) spread over the shape it came from. */
export function spread(y: Tensor, x: Tensor, dims: readonly number[]): Tensor {
  return expand(reshape(y, reducedShape(x.shape, dims, true)), x.shape);
}

const sumOp = defineReduce(
  "sum",
  0,
  (sum, value) => sum + value,
  (sum) => sum,
  {
    dtype: ([x]) => (x.dtype === "bool" ? "int32" : x.dtype),
    vjp: (dy, { inputs: [x] }, { dims }) => [spread(dy, x, dims)],
  },
);

export function reduce(
  op: Op<ReduceAttrs>,
  x: Tensor,
  dim: Dims | undefined,
  options: ReduceOptions,
): Tensor {
  const dims = normalizeDims(op.name, dim, x.ndim);
  return run(op, [x], { dims, keepdim: options.keepdim ?? false });
}

/** Sum over `dim` (default: all). int32 and bool give int32. The sum of nothing is 0. */
export function sum(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return reduce(sumOp, x, dim, options);
}

/** The gradient of a broadcast: sums `x` over what was repeated, so that it has the shape `shape`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const dims = broadcastDims(shape, x.shape);
  if (dims === null) return x;
  return reshape(sum(x, dims, { keepdim: true }), shape);
}
