/** Choosing rows and elements by index, and its adjoint: adding to rows and elements by index. */
import type { Kernel, NdArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import type { Shape } from "../shape.ts";
import { formatShape, normalizeDim, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType, fromData, typedArray } from "../tensor.ts";
import { div, mul } from "./arithmetic.ts";
import { expand, reshape } from "./broadcast.ts";
import { concat, narrow, unsqueeze } from "./movement.ts";

/** A view of one number as a tensor like `x`. */
export function filledLike(x: Tensor, shape: Shape, value: number): Tensor {
  return expand(fromData(x.backend, typedArray(x.dtype, [value]), [], x.dtype, "scalar"), shape);
}

/** [outer, n, inner] around a dimension. */
function around(shape: Shape, dim: number): { outer: number; n: number; inner: number } {
  return {
    outer: sizeOf(shape.slice(0, dim)),
    n: shape[dim] ?? 1,
    inner: sizeOf(shape.slice(dim + 1)),
  };
}

function checkIndices(op: string, index: ArrayLike<number>, n: number): void {
  for (let k = 0; k < index.length; k++) {
    if (index[k] >= 0 && index[k] < n) continue;
    throw new ValueError(`${op}: index ${index[k]} at element ${k} is outside [0, ${n})`);
  }
}

export interface IndexAttrs {
  dim: number;
  /** Who asked: for messages. */
  label: string;
}

export interface RowAttrs extends IndexAttrs {
  /** The row that takes no gradient; -1 for none. */
  skip: number;
  /** Divide the gradient of a row by how often it was taken. */
  scaleByCount: boolean;
}

export const rowAttrs = (label: string, dim: number): RowAttrs => ({
  dim,
  label,
  skip: -1,
  scaleByCount: false,
});

/** y[o, j] = x[o, index[j]]: x [outer, n, inner], index [m] → [outer, m, inner]. */
export const takeRowsOp: Op<RowAttrs> = defineOp<RowAttrs>({
  name: "takeRows",
  kind: "takeRows",
  wasm: "take_rows",
  reference: (
    [x, index]: readonly NdArray[],
    [y]: readonly NdArray[],
    { dim, label }: RowAttrs,
  ) => {
    const { outer, n, inner } = around(x.shape, dim);
    checkIndices(label, index.data, n);
    const m = index.data.length;
    for (let row = 0; row < outer * m; row++) {
      const from = (Math.floor(row / m) * n + index.data[row % m]) * inner;
      y.data.set(x.data.subarray(from, from + inner), row * inner);
    }
  },
  shape: ([x, index], { dim }) => x.shape.map((n, d) => (d === dim ? index.size : n)),
  saves: [1],
  vjp: (dy, { inputs: [x], saved: [index] }, attrs) => [
    run(
      addRowsOp,
      [filledLike(dy, x.shape, 0), index, attrs.scaleByCount ? perCount(dy, x, index, attrs) : dy],
      attrs,
    ),
    null,
  ],
});

/** dy [m, inner] with every row divided by how often the index names its row of x. */
function perCount(dy: Tensor, x: Tensor, index: Tensor, { dim }: RowAttrs): Tensor {
  const n = x.shape[dim];
  const ones = filledLike(dy, index.shape, 1);
  const attrs = rowAttrs("embedding", 0);
  const counts = run(addRowsOp, [filledLike(dy, [n], 0), index, ones], attrs);
  return div(dy, unsqueeze(run(takeRowsOp, [counts, index], attrs), 1));
}

/** y = a; y[o, index[j]] += src[o, j] for every j in order. */
const addRowsOp: Op<RowAttrs> = defineOp<RowAttrs>({
  name: "addRows",
  kind: "addRows",
  wasm: "add_rows",
  reference: (
    [a, index, src]: readonly NdArray[],
    [y]: readonly NdArray[],
    { dim, skip, label }: RowAttrs,
  ) => {
    const { outer, n, inner } = around(y.shape, dim);
    checkIndices(label, index.data, n);
    const m = index.data.length;
    y.data.set(a.data);
    for (let row = 0; row < outer * m; row++) {
      const r = index.data[row % m];
      if (r === skip) continue;
      const to = (Math.floor(row / m) * n + r) * inner;
      for (let i = 0; i < inner; i++) y.data[to + i] += src.data[row * inner + i];
    }
  },
  shape: ([a]) => a.shape,
  saves: [1],
  vjp: (dy, context, attrs) => [
    dy,
    null,
    context.needs(2) ? run(takeRowsOp, [dy, context.saved[0]], attrs) : null,
  ],
});

/** y = a; y[index[j]] = src[j] for every j in order: a and y [n, inner], index [m], src [m, inner]. y may be a. */
export const putRowsKernel: Kernel = {
  name: "putRows",
  kind: "putRows",
  wasm: "put_rows",
  reference: (
    [a, index, src]: readonly NdArray[],
    [y]: readonly NdArray[],
    { label }: IndexAttrs,
  ) => {
    const [n, inner] = y.shape;
    checkIndices(label, index.data, n);
    y.data.set(a.data);
    index.data.forEach((row: number, j: number) => {
      y.data.set(src.data.subarray(j * inner, (j + 1) * inner), row * inner);
    });
  },
};

/** y[o, j, i] = x[o, index[o, j, i], i]: x [outer, n, inner], index [outer, m, inner]. */
export const gatherOp: Op<IndexAttrs> = defineOp<IndexAttrs>({
  name: "gather",
  kind: "gather",
  wasm: "gather",
  reference: (
    [x, index]: readonly NdArray[],
    [y]: readonly NdArray[],
    { dim, label }: IndexAttrs,
  ) => {
    eachIndex(index, x, dim, label, (from, at) => {
      y.data[at] = x.data[from];
    });
  },
  shape: ([, index]) => index.shape,
  saves: [1],
  vjp: (dy, { inputs: [x], saved: [index] }, attrs) => [
    run(scatterAddOp, [filledLike(dy, x.shape, 0), index, dy], attrs),
    null,
  ],
});

/** y = a; y[o, index[o, j, i], i] += src[o, j, i] for every j in order. */
export const scatterAddOp: Op<IndexAttrs> = defineOp<IndexAttrs>({
  name: "scatterAdd",
  kind: "scatterAdd",
  wasm: "scatter_add",
  reference: (
    [a, index, src]: readonly NdArray[],
    [y]: readonly NdArray[],
    { dim, label }: IndexAttrs,
  ) => {
    y.data.set(a.data);
    eachIndex(index, y, dim, label, (to, at) => {
      y.data[to] += src.data[at];
    });
  },
  shape: ([a]) => a.shape,
  saves: [1],
  vjp: (dy, context, attrs) => [
    dy,
    null,
    context.needs(2) ? run(gatherOp, [dy, context.saved[0]], attrs) : null,
  ],
});

/** Calls `visit` with each element's place in the indexed array [outer, n, inner] and in the index. */
export function eachIndex(
  index: NdArray,
  indexed: NdArray,
  dim: number,
  label: string,
  visit: (place: number, at: number) => void,
): void {
  const { n } = around(indexed.shape, dim);
  checkIndices(label, index.data, n);
  const { n: m, inner } = around(index.shape, dim);
  for (let at = 0; at < index.data.length; at++) {
    const o = Math.floor(at / (m * inner));
    visit((o * n + index.data[at]) * inner + (at % inner), at);
  }
}

/** The dimension that `index` [m] counts along; `index` may be 0-dimensional. */
function checkRows(op: string, x: Tensor, dim: number, index: Tensor): number {
  checkDType(op, index, ["int32"]);
  if (index.ndim > 1) {
    throw new ShapeError(`${op}: index ${formatShape(index.shape)}; expected one dimension`);
  }
  return normalizeDim(op, dim, x.ndim);
}

/** The slices of `x` along `dim` named by `index` (int32 [m]), in that order. */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  const at = checkRows("indexSelect", x, dim, index);
  if (x.ndim > 0) return run(takeRowsOp, [x, index], rowAttrs("indexSelect", at));
  return reshape(run(takeRowsOp, [reshape(x, [1]), index], rowAttrs("indexSelect", 0)), []);
}

/** x with alpha · src[..., j, ...] added to its slice index[j] along `dim`, in the order of j. */
export function indexAdd(
  x: Tensor,
  dim: number,
  index: Tensor,
  src: Tensor,
  options: { alpha?: number } = {},
): Tensor {
  const at = checkRows("indexAdd", x, dim, index);
  checkAddends("indexAdd", x, src);
  const expected = x.shape.map((n, d) => (d === at ? index.size : n));
  if (formatShape(src.shape) !== formatShape(expected)) {
    throw new ShapeError(
      `indexAdd: src ${formatShape(src.shape)}; expected ${formatShape(expected)} for ${index.size} indices into dimension ${at} of ${formatShape(x.shape)}`,
    );
  }
  const { alpha = 1 } = options;
  return run(addRowsOp, [x, index, alpha === 1 ? src : mul(src, alpha)], rowAttrs("indexAdd", at));
}

function checkAddends(op: string, x: Tensor, src: Tensor): void {
  checkDType(op, x, ["float32", "float64", "int32"]);
  checkDType(op, src, [x.dtype]);
}

/** The index has the rank of x, and but for `dim` at most its extents. */
function checkElements(op: string, x: Tensor, dim: number, index: Tensor): number {
  checkDType(op, index, ["int32"]);
  const at = normalizeDim(op, dim, x.ndim);
  const fits =
    index.ndim === x.ndim && index.shape.every((extent, d) => d === at || extent <= x.shape[d]);
  if (!fits) {
    throw new ShapeError(
      `${op}: index ${formatShape(index.shape)} for ${formatShape(x.shape)}; expected as many dimensions, none but ${at} longer`,
    );
  }
  return at;
}

/** x cut to the extents of the index, but for `dim`. */
function within(x: Tensor, extents: Shape, dim: number): Tensor {
  return extents.reduce(
    (part, extent, d) =>
      d === dim || part.shape[d] === extent ? part : narrow(part, d, 0, extent),
    x,
  );
}

/**
 * y[i, j, k] = x[i, index[i, j, k], k] for `dim` 1, likewise for others. The index (int32) has the
 * rank of x; where it is shorter in other dimensions, the rest of x is left out.
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  const at = checkElements("gather", x, dim, index);
  return run(gatherOp, [within(x, index.shape, at), index], { dim: at, label: "gather" });
}

/**
 * x with src[i, j, k] added at [i, index[i, j, k], k] for `dim` 1, likewise for others, in the order of
 * j. Elements of `src` beyond the index are left out.
 */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  return scatterBy(scatterAddOp, x, dim, index, src);
}

/** Scatters into the part of x that the index covers; the rest stays. */
export function scatterBy(
  op: Op<IndexAttrs>,
  x: Tensor,
  dim: number,
  index: Tensor,
  src: Tensor,
): Tensor {
  const at = checkElements(op.name, x, dim, index);
  checkAddends(op.name, x, src);
  const fits = src.ndim === index.ndim && index.shape.every((extent, d) => extent <= src.shape[d]);
  if (!fits) {
    throw new ShapeError(
      `${op.name}: src ${formatShape(src.shape)}; expected at least the extents of the index ${formatShape(index.shape)}`,
    );
  }
  return scatterWithin(op, x, at, index, within(src, index.shape, -1));
}

function scatterWithin(
  op: Op<IndexAttrs>,
  x: Tensor,
  dim: number,
  index: Tensor,
  src: Tensor,
): Tensor {
  const d = x.shape.findIndex((extent, i) => i !== dim && extent !== index.shape[i]);
  if (d < 0) return run(op, [x, index, src], { dim, label: op.name });
  const covered = index.shape[d];
  const head = scatterWithin(op, narrow(x, d, 0, covered), dim, index, src);
  return concat([head, narrow(x, d, covered, x.shape[d] - covered)], d);
}
