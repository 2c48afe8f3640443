/** Reductions over some or all dimensions. */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import { formatShape, normalizeDim, normalizeDims, reducedShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { fromData, isFloat } from "../tensor.ts";
import type { Dims, ReduceAttrs, ReduceOptions } from "./broadcast.ts";
import { defineReduce, eachGroup, reduce, reshape, spread, sum } from "./broadcast.ts";
import { cast } from "./common.ts";
import { div, mul } from "./arithmetic.ts";
import { eq, where } from "./compare.ts";
import { flatten } from "./movement.ts";

const meanOp = defineReduce(
  "mean",
  0,
  (sum, value) => sum + value,
  (sum, n) => sum / n,
  {
    dtype: ([x]) => (isFloat(x.dtype) ? x.dtype : x.backend.capabilities().float),
    vjp: (dy, { inputs: [x] }, { dims }) => {
      const n = dims.reduce((product, d) => product * x.shape[d], 1);
      return [spread(div(dy, n), x, dims)];
    },
  },
);

/** Equal shares between ties. */
const extremeGrad: Op<ReduceAttrs>["vjp"] = (dy, { saved: [x, y] }, { dims }) => {
  const ties = cast(eq(x, spread(y, x, dims)), dy.dtype);
  const share = div(
    reshape(dy, reducedShape(x.shape, dims, true)),
    sum(ties, dims, { keepdim: true }),
  );
  return [mul(ties, share)];
};

const pickNaN = (best: number, value: number, better: boolean): number =>
  Number.isNaN(best) ? best : Number.isNaN(value) || better ? value : best;

const amaxOp = defineReduce(
  "amax",
  -Infinity,
  (best, value) => pickNaN(best, value, value > best),
  (best) => best,
  { saves: [0, "y"], vjp: extremeGrad },
);

const aminOp = defineReduce(
  "amin",
  Infinity,
  (best, value) => pickNaN(best, value, value < best),
  (best) => best,
  { saves: [0, "y"], vjp: extremeGrad },
);

/** Mean over `dim` (default: all). int32 and bool give floats. The mean of nothing is NaN. */
export function mean(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return reduce(meanOp, x, dim, options);
}

function checkNotEmpty(op: string, x: Tensor, dims: readonly number[]): void {
  if (dims.some((d) => x.shape[d] === 0)) {
    throw new ShapeError(
      `${op}: ${formatShape(x.shape)} has nothing to choose from along [${dims.join(", ")}]`,
    );
  }
}

/** Largest element over `dim` (default: all). Ties share the gradient equally; NaN wins. */
export function amax(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkNotEmpty("amax", x, normalizeDims("amax", dim, x.ndim));
  return reduce(amaxOp, x, dim, options);
}

/** Smallest element over `dim` (default: all). Ties share the gradient equally; NaN wins. */
export function amin(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  checkNotEmpty("amin", x, normalizeDims("amin", dim, x.ndim));
  return reduce(aminOp, x, dim, options);
}

interface ArgAttrs {
  dim: number;
  keepdim: boolean;
}

function defineArg(name: string, better: (a: number, b: number) => boolean): Op<ArgAttrs> {
  return defineOp<ArgAttrs>({
    name,
    kind: "argreduce",
    wasm: name,
    reference: ([x]: readonly NdArray[], [y]: readonly NdArray[], { dim }: ArgAttrs) => {
      eachGroup(x, x.shape.length === 0 ? [] : [dim], (read, n, at) => {
        let best = 0;
        for (let k = 1; k < n; k++) {
          if (Number.isNaN(read(best))) break;
          if (Number.isNaN(read(k)) || better(read(k), read(best))) best = k;
        }
        y.data[at] = best;
      });
    },
    shape: ([x], { dim, keepdim }) => reducedShape(x.shape, x.ndim === 0 ? [] : [dim], keepdim),
    dtype: () => "int32",
  });
}

const argmaxOp = defineArg("argmax", (a, b) => a > b);
const argminOp = defineArg("argmin", (a, b) => a < b);

function argreduce(
  op: Op<ArgAttrs>,
  x: Tensor,
  dim: number | undefined,
  options: ReduceOptions,
): Tensor {
  const over = dim === undefined ? flatten(x) : x;
  const at = normalizeDim(op.name, dim ?? 0, over.ndim);
  checkNotEmpty(op.name, over, over.ndim === 0 ? [] : [at]);
  const result = run(op, [over], { dim: at, keepdim: options.keepdim ?? false });
  if (dim !== undefined) return result;
  return options.keepdim
    ? reshape(
        result,
        x.shape.map(() => 1),
      )
    : reshape(result, []);
}

/**
 * Index of the largest element along `dim`, int32; without `dim` the index into the flattened
 * tensor. The first of several; NaN wins.
 */
export function argmax(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor {
  return argreduce(argmaxOp, x, dim, options);
}

/** Index of the smallest element; as `argmax`. */
export function argmin(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor {
  return argreduce(argminOp, x, dim, options);
}

/** `max` along one dimension has the values of `amax`; its gradient goes to the first maximum alone. */
function definePick(
  name: string,
  values: Op<ReduceAttrs>,
  choose: (x: Tensor, dim: number) => Tensor,
): Op<ReduceAttrs> {
  return defineOp<ReduceAttrs>({
    ...values,
    name,
    saves: [0],
    vjp: (dy, { saved: [x] }, { dims: [dim] }) => {
      if (x.ndim === 0) return [dy];
      const shape = reducedShape(x.shape, [dim], true);
      const along = x.shape.map((n, d) => (d === dim ? n : 1));
      const positions = fromData(
        x.backend,
        Int32Array.from({ length: x.shape[dim] }, (_, i) => i),
        along,
      );
      const hit = eq(positions, reshape(choose(x, dim), shape));
      return [where(hit, reshape(dy, shape), 0)];
    },
  });
}

const maxOp = definePick("max", amaxOp, (x, dim) => argmax(x, dim));
const minOp = definePick("min", aminOp, (x, dim) => argmin(x, dim));

/** What `max(x, dim)` and `min(x, dim)` return: the extremes and where they are (int32). */
export interface Extremes {
  values: Tensor;
  indices: Tensor;
}

function pick(
  op: Op<ReduceAttrs>,
  choose: typeof argmax,
  x: Tensor,
  dim: number,
  options: ReduceOptions,
): Extremes {
  const at = normalizeDim(op.name, dim, x.ndim);
  if (x.ndim === 0) return { values: reduce(op, x, [], options), indices: choose(x, 0) };
  checkNotEmpty(op.name, x, [at]);
  return { values: reduce(op, x, at, options), indices: choose(x, at, options) };
}

/**
 * Without `dim` the largest element (ties share the gradient); with `dim` the largest along it and
 * its index (the gradient goes to the first of several). NaN wins.
 */
export function max(x: Tensor): Tensor;
export function max(x: Tensor, dim: number, options?: ReduceOptions): Extremes;
export function max(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | Extremes {
  return dim === undefined ? amax(x) : pick(maxOp, argmax, x, dim, options);
}

/** As `max`, for the smallest element. */
export function min(x: Tensor): Tensor;
export function min(x: Tensor, dim: number, options?: ReduceOptions): Extremes;
export function min(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | Extremes {
  return dim === undefined ? amin(x) : pick(minOp, argmin, x, dim, options);
}
