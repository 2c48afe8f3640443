/**
 * Images of another size: interpolation and adaptive averages. Both are a banded matrix along rows,
 * then one along columns; the gradient is the transposed matrix, which is banded too.
 */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
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
interface Band {
  n: number;
  starts: Int32Array;
  /** One more than there are rows. */
  offsets: Int32Array;
  weights: Float64Array;
}

/** The band with `row(j)`'s first column and weights as row j. */
function makeBand(
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

function resample(x: Tensor, dim: number, band: Band): Tensor {
  const { starts, offsets, weights } = band;
  const tables = [starts, offsets].map((table) => fromData(x.backend, table, [table.length]));
  const factors = fromData(x.backend, typedArray(x.dtype, weights), [weights.length], x.dtype);
  return run(resampleOp, [x, ...tables, factors], { dim, band });
}

/** The last two dimensions in another size. */
function resamplePlanes(
  x: Tensor,
  size: Pair,
  band: (n: number, m: number, axis: 0 | 1) => Band,
): Tensor {
  const rows = x.ndim - 2;
  const y = resample(x, rows, band(x.shape[rows], size[0], 0));
  return resample(y, rows + 1, band(x.shape[rows + 1], size[1], 1));
}

function checkImages(op: string, x: Tensor): Pair {
  checkDType(op, x, ["float32", "float64"]);
  const [h, w] = x.shape.slice(-2);
  if ((x.ndim === 3 || x.ndim === 4) && h > 0 && w > 0) return [h, w];
  throw new ShapeError(
    `${op}: input ${formatShape(x.shape)}; expected [n, c, h, w] or [c, h, w] with at least one row and column`,
  );
}

/** Output j is the mean of the inputs from ⌊jn/m⌋ to ⌈(j + 1)n/m⌉ − 1. */
const averages = (n: number, m: number): Band =>
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
  return resamplePlanes(x, size, averages);
}

export interface UpsampleOptions {
  /** Rows and columns of the result, or one number for both. */
  size?: number | Pair;
  /** Instead of `size`: the result has ⌊scaleFactor·h⌋ rows; one number for both, or a pair. */
  scaleFactor?: number | Pair;
  /**
   * The pixel at ⌊j·h/oh⌋ ("nearest"), that whose centre is nearest ("nearest-exact"), between the four
   * around ("bilinear"), or a cubic through the sixteen around ("bicubic"). Default "nearest".
   */
  mode?: "nearest" | "nearest-exact" | "bilinear" | "bicubic";
  /** Not "nearest": the centres of the corner pixels stay where they are. Default false. */
  alignCorners?: boolean;
  /** Take the distance between samples from the sizes, not from scaleFactor. Default false. */
  recomputeScaleFactor?: boolean;
}

/**
 * One position for every output, `offset` (0, or 0.5 for the centre) into its pixel. Rounded to float32
 * before it is cut, as in PyTorch: 2.9999999999 is 3.
 */
function nearest(n: number, m: number, step: number, offset: number): Band {
  return makeBand(n, m, (j) => {
    const at = n === m ? j : Math.floor(Math.fround(step * (j + offset)));
    return { start: Math.min(at, n - 1), weights: [1] };
  });
}

function linear(n: number, m: number, step: number, alignCorners: boolean): Band {
  const aligned = m > 1 ? (n - 1) / (m - 1) : 0;
  return makeBand(n, m, (j) => {
    if (n === m) return { start: j, weights: [1] };
    const at = alignCorners ? aligned * j : Math.max(step * (j + 0.5) - 0.5, 0);
    const start = Math.min(Math.floor(at), n - 1);
    const beyond = Math.min(at - start, 1);
    return { start, weights: start + 1 < n ? [1 - beyond, beyond] : [1] };
  });
}

/** Weights of the four pixels around a point t beyond the second, by cubic convolution with a = -0.75. */
function cubicWeights(t: number): number[] {
  const near = (x: number): number => (1.25 * x - 2.25) * x * x + 1;
  const far = (x: number): number => ((-0.75 * x + 3.75) * x - 6) * x + 3;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** R. Keys 1981; beyond the border lies the outermost pixel. */
function cubic(n: number, m: number, step: number, alignCorners: boolean): Band {
  const aligned = m > 1 ? (n - 1) / (m - 1) : 0;
  return makeBand(n, m, (j) => {
    if (n === m) return { start: j, weights: [1] };
    const at = alignCorners ? aligned * j : step * (j + 0.5) - 0.5;
    const second = Math.floor(at);
    const inside = (i: number): number => Math.min(Math.max(i, 0), n - 1);
    const start = inside(second - 1);
    const weights = Array.from({ length: inside(second + 2) - start + 1 }, () => 0);
    cubicWeights(at - second).forEach((weight, k) => {
      weights[inside(second - 1 + k) - start] += weight;
    });
    return { start, weights };
  });
}

const modes = ["nearest", "nearest-exact", "bilinear", "bicubic"] as const;

function bandOf(
  mode: (typeof modes)[number],
  n: number,
  m: number,
  step: number,
  alignCorners: boolean,
): Band {
  switch (mode) {
    case "nearest":
      return nearest(n, m, step, 0);
    case "nearest-exact":
      return nearest(n, m, step, 0.5);
    case "bilinear":
      return linear(n, m, step, alignCorners);
    case "bicubic":
      return cubic(n, m, step, alignCorners);
  }
}

/**
 * Images [n, c, h, w] or [c, h, w] in another size, as torch.nn.functional.interpolate: the nearest
 * pixel, or between those around.
 */
export function upsample(x: Tensor, options: UpsampleOptions): Tensor {
  const op = "upsample";
  const { size, scaleFactor, mode = "nearest", alignCorners } = options;
  const own = checkImages(op, x);
  if (!modes.includes(mode)) {
    throw new ValueError(
      `${op}: mode is ${JSON.stringify(mode)}; expected "nearest", "nearest-exact", "bilinear" or "bicubic"`,
    );
  }
  if (mode.startsWith("nearest") && alignCorners) {
    throw new ValueError(
      `${op}: alignCorners is true with mode "${mode}"; it needs mode "bilinear" or "bicubic"`,
    );
  }
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new ValueError(
      `${op}: ${size === undefined ? "neither size nor scaleFactor is" : "size and scaleFactor are both"} given; expected one of them`,
    );
  }
  const factors = scaleFactor === undefined ? null : factorsOf(op, scaleFactor);
  const target: Pair =
    factors === null
      ? pairOf(op, "size", size, 1, 1)
      : [Math.floor(own[0] * factors[0]), Math.floor(own[1] * factors[1])];
  if (target[0] < 1 || target[1] < 1) {
    throw new ShapeError(
      `${op}: scaleFactor [${String(factors)}] leaves nothing of ${formatShape(x.shape)}; use a larger one`,
    );
  }
  const given = options.recomputeScaleFactor ? null : factors;
  return resamplePlanes(x, target, (n, m, axis) => {
    const step = given === null ? n / m : 1 / given[axis];
    return bandOf(mode, n, m, step, alignCorners ?? false);
  });
}

function factorsOf(op: string, scaleFactor: number | Pair): Pair {
  const pair: Pair = typeof scaleFactor === "number" ? [scaleFactor, scaleFactor] : scaleFactor;
  if (pair.length === 2 && pair.every((v) => v > 0 && v < Infinity)) return pair;
  throw new ValueError(
    `${op}: scaleFactor is ${JSON.stringify(scaleFactor)}; expected a number > 0, or a pair of them`,
  );
}
