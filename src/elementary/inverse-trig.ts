/**
 * Inverses of sine, cosine and tangent: all are the angle of a point (x, y), as `atan2` gives it. The point is
 * turned into the first octant, where atan(n/d) = atan(j/64) + atan r with r = (n − d j/64) / (d + n j/64): a
 * table in double-double and a short series, r in two parts (in the manner of the tables in J.-M. Muller,
 * "Elementary Functions", third edition, 2016, chapter 6).
 */
import { powerOfTwo } from "./bits.ts";
import type { Double } from "./double.ts";
import { add, div, mul, productError, sumError } from "./double.ts";

/** atan(j/64), j = 0 … 64, in two parts. */
const ATAN = new Float64Array(65);
const ATAN_LOW = new Float64Array(65);
{
  let angle: Double = [0, 0];
  for (let j = 1; j < 65; j++) {
    angle = add(angle, series([64, 0], [4096 + j * (j - 1), 0])); // atan(j/64) − atan((j − 1)/64)
    [ATAN[j], ATAN_LOW[j]] = angle;
  }
}

/** atan(a/b) = q − q³/3 + q⁵/5 − …, q = a/b ≤ 1/64. */
function series(a: Double, b: Double): Double {
  const q = div(a, b);
  const square = mul(q, q);
  let sum: Double = [0, 0];
  for (let n = 19; n > 0; n -= 2)
    sum = add(div([1, 0], [n, 0]), mul(sum, [-square[0], -square[1]]));
  return mul(sum, q);
}

/** π/2 in two parts. */
const QUARTER = 1.5707963267948966;
const QUARTER_LOW = 6.123233995736766e-17;
/** 2^-30: an angle below it is its own tangent, to 2^-60 of it. */
const SMALL = 9.313225746154785e-10;

/** What `octant` and `other` leave. */
const part = new Float64Array(2);

/**
 * atan((n + nLow) / (d + dLow)) as part[0] + part[1] to 2^-58 of it: 2^-30 d < n ≤ d, d from 2^-500 to 2^500.
 */
function octant(n: number, nLow: number, d: number, dLow: number): void {
  const j = Math.round((64 * n) / d);
  const c = j / 64;
  const down = c * d;
  const numerator = n - down;
  const numeratorLow = sumError(n, -down, numerator) - productError(c, d, down) + nLow - c * dLow;
  const up = c * n;
  const denominator = d + up;
  const denominatorLow = sumError(d, up, denominator) + productError(c, n, up) + dLow + c * nLow;
  const r = numerator / denominator;
  const p = r * denominator;
  const left = numerator - p - productError(r, denominator, p) + numeratorLow - r * denominatorLow;
  const z = r * r;
  const bend = r * z * (-1 / 3 + z * (1 / 5 + z * (-1 / 7 + z * (1 / 9)))); // atan r − r
  const high = ATAN[j] + r;
  part[0] = high;
  part[1] = sumError(ATAN[j], r, high) + (ATAN_LOW[j] + left / denominator + bend);
}

/**
 * The angle of the point (x + xLow, y + yLow), to the left (the negative x) if `left`: from 0 to π. Neither is
 * negative, nor are both 0 or infinite.
 */
function angle(y: number, yLow: number, x: number, xLow: number, left: boolean): number {
  const steep = y > x;
  const t = steep ? x / y : y / x;
  part[0] = t;
  part[1] = 0;
  if (t > SMALL) {
    // The pieces of products neither overflow nor vanish between 2^-500 and 2^500.
    const size = Math.max(x, y);
    const k = size > 1e150 ? powerOfTwo(-600) : size < 1e-150 ? powerOfTwo(600) : 1;
    if (steep) octant(x * k, xLow * k, y * k, yLow * k);
    else octant(y * k, yLow * k, x * k, xLow * k);
  }
  const sign = steep === left ? 1 : -1;
  const quarters = steep ? 1 : left ? 2 : 0;
  const from = quarters * QUARTER;
  const high = from + sign * part[0];
  return high + (sumError(from, sign * part[0], high) + (sign * part[1] + quarters * QUARTER_LOW));
}

/** √(1 − x²) as part[0] + part[1], |x| ≤ 1. */
function other(x: number): void {
  const square = x * x;
  const h = 1 - square;
  const hLow = sumError(1, -square, h) - productError(x, x, square);
  const root = Math.sqrt(h);
  const p = root * root;
  const low = root === 0 ? 0 : (h - p - productError(root, root, p) + hLow) / (2 * root);
  part[0] = root + low; // where x is near 1, low is more than a rounding of root
  part[1] = root - part[0] + low;
}

/** The angle from -π to π of the point (x, y), at most 0.51 ulp. Special values as in C, annex F. */
export function atan2(y: number, x: number): number {
  if (x !== x || y !== y) return NaN;
  const left = x < 0 || Object.is(x, -0);
  const [a, b] = [Math.abs(x), Math.abs(y)];
  let value = left ? 2 * QUARTER : 0;
  if (a === Infinity && b === Infinity) value = angle(1, 0, 1, 0, left);
  else if (b !== 0) value = angle(b, 0, a, 0, left);
  return y < 0 || Object.is(y, -0) ? -value : value;
}

/** The angle from -π/2 to π/2 whose tangent is x, at most 0.51 ulp. */
export function atan(x: number): number {
  return atan2(x, 1);
}

/** The angle from -π/2 to π/2 whose sine is x, at most 0.51 ulp; NaN beyond ±1. */
export function asin(x: number): number {
  const a = Math.abs(x);
  if (!(a <= 1)) return NaN;
  if (a < SMALL) return x;
  other(x);
  const value = angle(a, 0, part[0], part[1], false);
  return x < 0 ? -value : value;
}

/** The angle from 0 to π whose cosine is x, at most 0.51 ulp; NaN beyond ±1. */
export function acos(x: number): number {
  const a = Math.abs(x);
  if (!(a <= 1)) return NaN;
  other(x);
  return angle(part[0], part[1], a, 0, x < 0);
}
