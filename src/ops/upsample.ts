/** Images and sequences in another size, by interpolation or averages. */
import { ShapeError, ValueError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import type { Pair } from "./conv.ts";
import { pairOf, wholeOf } from "./conv.ts";
import type { Band } from "./resample.ts";
import { averages, checkImages, makeBand, resample } from "./resample.ts";

export interface UpsampleOptions {
  /** Rows and columns of the result, or one number for both; its length for "linear". */
  size?: number | Pair;
  /** Instead of `size`: the result has ⌊scaleFactor·h⌋ rows; one number for both, or a pair. */
  scaleFactor?: number | Pair;
  /**
   * The pixel at ⌊j·h/oh⌋ ("nearest"), that whose centre is nearest ("nearest-exact"), between the four
   * around ("bilinear"), a cubic through the sixteen around ("bicubic"), or the mean of all that a pixel of
   * the result covers ("area", which is `adaptiveAvgPool2d`). "linear" is for sequences, [n, c, l] or
   * [c, l]: between the two around. Default "nearest".
   */
  mode?: "nearest" | "nearest-exact" | "linear" | "bilinear" | "bicubic" | "area";
  /** "linear", "bilinear" and "bicubic": the centres of the corner pixels stay where they are. Default false. */
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

/** Output j of m from n inputs, `step` apart. */
type MakeBand = (n: number, m: number, step: number, alignCorners: boolean) => Band;

const bands: Record<NonNullable<UpsampleOptions["mode"]>, MakeBand> = {
  nearest: (n, m, step) => nearest(n, m, step, 0),
  "nearest-exact": (n, m, step) => nearest(n, m, step, 0.5),
  linear,
  bilinear: linear,
  bicubic: cubic,
  area: averages,
};
const aligning = ["linear", "bilinear", "bicubic"];

function quoted(names: readonly string[]): string {
  const list = names.map((name) => `"${name}"`);
  return `${list.slice(0, -1).join(", ")} or ${list[list.length - 1]}`;
}

/**
 * Images [n, c, h, w] or [c, h, w] in another size, as torch.nn.functional.interpolate: the nearest
 * pixel, between those around, or a mean. With mode "linear" sequences [n, c, l] or [c, l].
 */
export function upsample(x: Tensor, options: UpsampleOptions): Tensor {
  const op = "upsample";
  const { size, scaleFactor, mode = "nearest", alignCorners = false } = options;
  if (!Object.hasOwn(bands, mode)) {
    const known = quoted(Object.keys(bands));
    throw new ValueError(`${op}: mode is ${JSON.stringify(mode)}; expected ${known}`);
  }
  const own = mode === "linear" ? checkSequences(op, x) : checkImages(op, x);
  if (alignCorners && !aligning.includes(mode)) {
    throw new ValueError(
      `${op}: alignCorners is true with mode "${mode}"; it needs mode ${quoted(aligning)}`,
    );
  }
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new ValueError(
      `${op}: ${size === undefined ? "neither size nor scaleFactor is" : "size and scaleFactor are both"} given; expected one of them`,
    );
  }
  const factors = scaleFactor === undefined ? null : factorsOf(op, scaleFactor, own.length);
  const target =
    factors === null
      ? sizeOf(op, size!, own.length)
      : own.map((n, d) => Math.floor(n * factors[d]));
  if (target.some((extent) => extent < 1)) {
    throw new ShapeError(
      `${op}: scaleFactor [${String(factors)}] leaves nothing of ${formatShape(x.shape)}; use a larger one`,
    );
  }
  const given = options.recomputeScaleFactor ? null : factors;
  return own.reduce((y, n, d) => {
    const m = target[d];
    const step = given === null ? n / m : 1 / given[d];
    return resample(y, x.ndim - own.length + d, bands[mode](n, m, step, alignCorners));
  }, x);
}

function checkSequences(op: string, x: Tensor): readonly number[] {
  checkDType(op, x, ["float32", "float64"]);
  const length = x.shape[x.ndim - 1];
  if ((x.ndim === 2 || x.ndim === 3) && length > 0) return [length];
  throw new ShapeError(
    `${op}: input ${formatShape(x.shape)} with mode "linear"; expected [n, c, l] or [c, l] with at least one element`,
  );
}

function sizeOf(op: string, size: number | Pair, dims: number): readonly number[] {
  return dims === 2 ? pairOf(op, "size", size, 1, 1) : [wholeOf(op, "size", size as number, 1)];
}

function factorsOf(op: string, scaleFactor: number | Pair, dims: number): readonly number[] {
  const factors =
    typeof scaleFactor === "number" ? Array<number>(dims).fill(scaleFactor) : scaleFactor;
  if (factors.length === dims && factors.every((v) => v > 0 && v < Infinity)) return factors;
  throw new ValueError(
    `${op}: scaleFactor is ${JSON.stringify(scaleFactor)}; expected a number > 0${dims === 2 ? ", or a pair of them" : ""}`,
  );
}
