/**
 * Another size: a banded matrix along a dimension. The gradient is the transposed matrix, which is
 * banded too. Adaptive averages are such; interpolation is in upsample.ts.
 */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, run } from "../op.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType, fromData, typedArray } from "../tensor.ts";
import type { Pair } from "./conv.ts";
import { pairOf } from "./conv.ts";

/**
 * A matrix [m, n] whose row j has the weights offsets[j] … offsets[j + 1] − 1 in neighbouring
 * columns from starts[j] on.
 */
export interface Band {
  n: number;
  starts: Int32Array;
  /** One more than there are rows. */
  offsets: Int32Array;
  weights: Float64Array;
}

/** The band with `row(j)`'s first column and weights as row j. */
export function makeBand(
  n: number,
  m: number,
  row: (j: number) => { start: number; weights: readonly number[] },
): Band {
  const starts = new Int32Array(m);
  const offsets = new Int32Array(m + 1);
  const all: number[] = [];
  for (let j = 0; j < m; j++) {
    const { start, weights } = row(j);
    starts[j] = start;
    for (const weight of weights) all.push(weight);
    offsets[j + 1] = all.length;
  }
  return { n, starts, offsets, weights: Float64Array.from(all) };
}

/** Rows begin ever further right, so what a column holds is neighbours too. */
function transposed({ n, starts, offsets, weights }: Band): Band {
  const columns = Array.from({ length: n }, () => ({ start: 0, weights: [] as number[] }));
  for (let j = 0; j < starts.length; j++) {
    for (let k = offsets[j]; k < offsets[j + 1]; k++) {
      const column = columns[starts[j] + k - offsets[j]];
      if (column.weights.length === 0) column.start = j;
      column.weights.push(weights[k]);
    }
  }
  return makeBand(starts.length, n, (i) => columns[i]);
}

interface ResampleAttrs {
  dim: number;
  band: Band;
}

const resampleOp = defineOp<ResampleAttrs>({
  name: "resample",
  kind: "resample",
  wasm: "resample",
  reference: (inputs: readonly NdArray[], [y]: readonly NdArray[], { dim }: ResampleAttrs) => {
    const [x, starts, offsets, weights] = inputs;
    const [n, m] = [x.shape[dim], y.shape[dim]];
    const inner = y.shape.slice(dim + 1).reduce((product, extent) => product * extent, 1);
    for (let i = 0; i < y.data.length; i++) {
      const row = Math.floor(i / inner);
      const j = row % m;
      let at = (Math.floor(row / m) * n + starts.data[j]) * inner + (i % inner);
      let total = 0;
      for (let k = offsets.data[j]; k < offsets.data[j + 1]; k++) {
        total += x.data[at] * weights.data[k];
        at += inner;
      }
      y.data[i] = total;
    }
  },
  shape: ([x], { dim, band }) => x.shape.map((n, d) => (d === dim ? band.starts.length : n)),
  vjp: (dy, _context, { dim, band }) => [resample(dy, dim, transposed(band)), null, null, null],
});

export function resample(x: Tensor, dim: number, band: Band): Tensor {
  const { starts, offsets, weights } = band;
  const tables = [starts, offsets].map((table) => fromData(x.backend, table, [table.length]));
  const factors = fromData(x.backend, typedArray(x.dtype, weights), [weights.length], x.dtype);
  return run(resampleOp, [x, ...tables, factors], { dim, band });
}

export function checkImages(op: string, x: Tensor): Pair {
  checkDType(op, x, ["float32", "float64"]);
  const [h, w] = x.shape.slice(-2);
  if ((x.ndim === 3 || x.ndim === 4) && h > 0 && w > 0) return [h, w];
  throw new ShapeError(
    `${op}: input ${formatShape(x.shape)}; expected [n, c, h, w] or [c, h, w] with at least one row and column`,
  );
}

/** Output j is the mean of the inputs from ⌊jn/m⌋ to ⌈(j + 1)n/m⌉ − 1. */
export const averages = (n: number, m: number): Band =>
  makeBand(n, m, (j) => {
    const start = Math.floor((j * n) / m);
    const count = Math.ceil(((j + 1) * n) / m) - start;
    return { start, weights: Array.from({ length: count }, () => 1 / count) };
  });

/**
 * Mean of each of oh·ow windows that cover the image evenly, [n, c, h, w] or [c, h, w] →
 * [..., oh, ow], as torch.nn.functional.adaptive_avg_pool2d: window j of m reaches from ⌊j·h/m⌋ to
 * ⌈(j + 1)·h/m⌉.
 *
 * @param outputSize one number for both, or [rows, columns]; null keeps the input's
 */
export function adaptiveAvgPool2d(
  x: Tensor,
  outputSize: number | null | readonly [number | null, number | null],
): Tensor {
  const op = "adaptiveAvgPool2d";
  const own = checkImages(op, x);
  const [rows, columns] =
    typeof outputSize === "number" || outputSize === null ? [outputSize, outputSize] : outputSize;
  const size = pairOf(op, "outputSize", [rows ?? own[0], columns ?? own[1]], 1, 1);
  const y = resample(x, x.ndim - 2, averages(own[0], size[0]));
  return resample(y, x.ndim - 1, averages(own[1], size[1]));
}
