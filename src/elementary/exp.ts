/**
 * e^x and e^x − 1 by P. T. P. Tang, "Table-driven implementation of the exponential function in IEEE
 * floating-point arithmetic", ACM TOMS 15, 1989: x = (128 k + j) ln 2 / 128 + r, |r| ≤ ln 2 / 256, and
 * e^x = 2^k 2^(j/128) e^r with 2^(j/128) from a table in double-double.
 */
import { powerOfTwo, scale } from "./bits.ts";
import type { Double } from "./double.ts";
import { mul, sqrt, sumError, upperHalf } from "./double.ts";

const TABLE_HIGH = new Float64Array(128);
const TABLE_LOW = new Float64Array(128);
{
  let root: Double = [2, 0];
  for (let i = 0; i < 7; i++) root = sqrt(root);
  let power: Double = [1, 0];
  for (let j = 0; j < 128; j++) {
    [TABLE_HIGH[j], TABLE_LOW[j]] = power;
    power = mul(power, root);
  }
}

const STEPS_PER_UNIT = 184.6649652337873; // 128 / ln 2
/** ln 2 / 128 in 36 bits, so that its products with up to 17 bits are exact; and what is left. */
const STEP = 0.005415212348111709;
const STEP_LOW = 1.2864023111638346e-14;
/** 1.5 · 2^52: adding and taking it away rounds to a whole number. */
const ROUND = 6755399441055744;

/** e^r − 1 for |r| ≤ 0.0028: Taylor; what is left out is below 2^-59 r. */
function series(r: number): number {
  return r + r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120))));
}

/** e^x, at most 0.51 ulp; at most 0.76 ulp where the result is subnormal. */
export function exp(x: number): number {
  if (!(x <= 709.782712893384)) return x > 0 ? Infinity : x;
  if (x < -745.1332191019412) return 0;
  const n = x * STEPS_PER_UNIT + ROUND - ROUND;
  const p = series(x - n * STEP - n * STEP_LOW);
  const j = n & 127;
  const high = TABLE_HIGH[j];
  return scale(high + (TABLE_LOW[j] + high * p), n >> 7);
}

/** What `expParts` leaves: e^(x + low) = (expPart[0] + expPart[1]) · 2^k. */
export const expPart = new Float64Array(2);

/**
 * e^(x + low) = (expPart[0] + expPart[1]) 2^k, relative error below 2^-60; the result is k.
 * |x| ≤ 1000, |low| ≤ 2^-20.
 */
export function expParts(x: number, low: number): number {
  const n = x * STEPS_PER_UNIT + ROUND - ROUND;
  const p = series(x - n * STEP - n * STEP_LOW + low);
  const j = n & 127;
  const high = TABLE_HIGH[j];
  const rest = TABLE_LOW[j] + high * p;
  const sum = high + rest;
  expPart[0] = sum;
  expPart[1] = high - sum + rest;
  return n >> 7;
}

/** 1/n! from n = 13 down to 3. */
const expm1Terms = Float64Array.from([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3], (n) => {
  let factorial = 1;
  for (let i = 2; i <= n; i++) factorial *= i;
  return 1 / factorial;
});

/** What `expm1Parts` leaves: e^(x + low) − 1 = the sum of the two. */
export const expm1Part = new Float64Array(2);

/** e^x − 1 as expm1Part[0] + expm1Part[1], relative error below 2^-57. |x| ≤ 700. */
export function expm1Parts(x: number): void {
  if (Math.abs(x) < 0.25) {
    // x + x²/2 with the square in two parts, then x³/6 + …
    const upper = upperHalf(x);
    const half = 0.5 * upper * upper;
    const high = x + half;
    let sum = 0;
    for (let i = 0; i < 11; i++) sum = sum * x + expm1Terms[i];
    const rest = 0.5 * (x - upper) * (x + upper) + x * x * x * sum;
    setExpm1(high, half - (high - x) + rest);
    return;
  }
  const factor = powerOfTwo(expParts(x, 0));
  const a = expPart[0] * factor;
  const high = a - 1;
  setExpm1(high, sumError(a, -1, high) + expPart[1] * factor);
}

function setExpm1(high: number, low: number): void {
  const sum = high + low;
  expm1Part[0] = sum;
  expm1Part[1] = high - sum + low;
}

/** e^x − 1, at most 0.55 ulp, also near 0. */
export function expm1(x: number): number {
  if (Math.abs(x) < 5e-17) return x; // -0 too
  if (x > 700) return exp(x);
  if (x < -40) return -1;
  if (x !== x) return x;
  expm1Parts(x);
  return expm1Part[0] + expm1Part[1];
}
