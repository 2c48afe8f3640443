/**
 * Logarithms. x = 2^k m with m from [√½, √2), c ≈ 1/m from a table of 128 short numbers, and
 * log x = k ln 2 − log c + log(1 + r), r = c m − 1. In the manner of P. T. P. Tang, "Table-driven
 * implementation of the logarithm function in IEEE floating-point arithmetic", ACM TOMS 16, 1990; but
 * c has so few bits that r is exact as a sum of two float64. Around 1, c is 1: no cancellation.
 */
import { highWord, powerOfTwo } from "./bits.ts";
import type { Double } from "./double.ts";
import { add, div, mul, productError, sumError, upperHalf } from "./double.ts";

/** ln 2 in multiples of 2^-42, so that products with 11 bits are exact; and what is left. */
const LN2_HIGH = 0.6931471805598903;
const LN2_LOW = 5.497923018708371e-14;

/** By the 7 leading bits of the fraction: c in multiples of 1/512, −log c (in 2^-42), the rest. */
const INVERSE = new Float64Array(128);
const LOG_HIGH = new Float64Array(128);
const LOG_LOW = new Float64Array(128);
/** From here on m is below 1: 1 + 53/128 is the first number above √2. */
const WRAP = 53;
for (let i = 0; i < 128; i++) {
  if (i === 0 || i === 127) {
    INVERSE[i] = 1;
    continue;
  }
  const middle = (1 + (i + 0.5) / 128) * (i < WRAP ? 1 : 0.5);
  INVERSE[i] = Math.round(512 / middle) / 512;
  const [high, low] = minusLog(INVERSE[i]);
  LOG_HIGH[i] = Math.round(high * 4398046511104) / 4398046511104; // 2^42
  LOG_LOW[i] = high - LOG_HIGH[i] + low;
}

/** −log c = −2 atanh s = −2 (s + s³/3 + s⁵/5 + …), s = (c − 1)/(c + 1), |s| < 0.18. */
function minusLog(c: number): Double {
  const s = div([c - 1, 0], [c + 1, 0]);
  const square = mul(s, s);
  let sum: Double = [0, 0];
  for (let n = 45; n > 0; n -= 2) sum = add(mul(sum, square), div([-2, 0], [n, 0]));
  return mul(sum, s);
}

/** What `reduce` leaves. r = R + R_LOW; k ln 2 − log c = BASE + BASE_LOW, BASE a multiple of 2^-42. */
const reduced = new Float64Array(5);
const [R, R_LOW, BASE, BASE_LOW, EXPONENT] = [0, 1, 2, 3, 4];

/** Reduces x + low: x > 0 finite, |low| at most 2^-20 x. */
function reduce(x: number, low: number): void {
  let lifted = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984; // 2^54: subnormal numbers have fewer bits
    lifted = 54;
  }
  const word = highWord(x);
  const i = (word >>> 13) & 127;
  const exponent = (word >>> 20) - (i < WRAP ? 1023 : 1022);
  const k = exponent - lifted;
  const factor = powerOfTwo(-exponent);
  const m = x * factor;
  const upper = m + 50331648 - 50331648; // 1.5 · 2^25: rounded to multiples of 2^-27
  const inverse = INVERSE[i];
  const high = upper * inverse - 1;
  const rest = (m - upper) * inverse + low * factor * inverse;
  const r = high + rest;
  reduced[R] = r;
  reduced[R_LOW] = high - r + rest;
  reduced[BASE] = k * LN2_HIGH + LOG_HIGH[i];
  reduced[BASE_LOW] = k * LN2_LOW + LOG_LOW[i];
  reduced[EXPONENT] = k;
}

/** (log(1 + r) − r + r²/2) / r³, |r| ≤ 2^-7: Taylor; what is left out is below 2^-59 r. */
function series(r: number): number {
  const z = r * r;
  return 1 / 3 - r * 0.25 + z * (0.2 - r * (1 / 6) + z * (1 / 7 - r * 0.125));
}

/** The same with what is left out below 2^-77 r, for logarithms in two parts. */
function longSeries(r: number): number {
  const z = r * r;
  const tail = 1 / 9 - r * 0.1 + z * (1 / 11);
  return 1 / 3 - r * 0.25 + z * (0.2 - r * (1 / 6) + z * (1 / 7 - r * 0.125 + z * tail));
}

/** What logarithms in two parts leave: the value is logPart[0] + logPart[1]. */
export const logPart = new Float64Array(2);

/** log(1 + x + low) as logPart[0] + logPart[1] to 2^-58; x > -1, |low| at most 2% of |x|. */
export function logOnePlusParts(x: number, low: number): void {
  if (Math.abs(x) < 0.0078125) {
    logPart[0] = x;
    logPart[1] = low - x * low + x * x * (x * series(x) - 0.5);
    return;
  }
  const sum = 1 + x;
  reduce(sum, sumError(1, x, sum) + low);
  const r = reduced[R];
  const base = reduced[BASE];
  const high = base + r;
  const rest = r * r * (r * series(r) - 0.5);
  logPart[0] = high;
  logPart[1] = base - high + r + (reduced[BASE_LOW] + reduced[R_LOW] + rest);
}

/** log x as logPart[0] + logPart[1] to 2^-66 of it; x > 0, finite. */
export function logFine(x: number): void {
  reduce(x, 0);
  addLogOfRest(reduced[BASE], reduced[BASE_LOW]);
}

/** base + baseLow + log(1 + r) with r²/2 in two parts. */
function addLogOfRest(base: number, baseLow: number): void {
  const r = reduced[R];
  const rLow = reduced[R_LOW];
  const square = r * r;
  const upper = upperHalf(r);
  const lower = r - upper;
  const squareLow = upper * upper - square + 2 * upper * lower + lower * lower;
  const first = base + r;
  const firstLow = base - first + r;
  const second = first - 0.5 * square;
  const secondLow = sumError(first, -0.5 * square, second);
  const rest = rLow - r * rLow - 0.5 * squareLow + r * square * longSeries(r);
  const low = firstLow + secondLow + (baseLow + rest);
  const high = second + low;
  logPart[0] = high;
  logPart[1] = second - high + low;
}

/** log of 0, ±Infinity, NaN and of negative numbers. */
function outside(x: number): number {
  if (x === 0) return -Infinity;
  return x > 0 ? x : NaN;
}

/** Natural logarithm, at most 0.52 ulp. */
export function log(x: number): number {
  if (!(x > 0 && x < Infinity)) return outside(x);
  reduce(x, 0);
  const r = reduced[R];
  const base = reduced[BASE];
  const high = base + r;
  const rest = r * r * (r * series(r) - 0.5);
  return high + (base - high + r + (reduced[BASE_LOW] + reduced[R_LOW] + rest));
}

/** log(1 + x), at most 0.53 ulp, also near 0. */
export function log1p(x: number): number {
  if (!(x > -1 && x < Infinity)) return outside(x + 1);
  if (Math.abs(x) < 1e-16) return x; // -0 too
  logOnePlusParts(x, 0);
  return logPart[0] + logPart[1];
}

/** Logarithm to base 2, at most 0.52 ulp; exact for powers of two. */
export function log2(x: number): number {
  if (!(x > 0 && x < Infinity)) return outside(x);
  reduce(x, 0);
  const k = reduced[EXPONENT];
  // log c alone: k is added after the division by ln 2. BASE is exact, so this is.
  addLogOfRest(reduced[BASE] - k * LN2_HIGH, reduced[BASE_LOW] - k * LN2_LOW);
  rebase(1.4426950408889634, 2.0355273740931033e-17);
  const sum = k + logPart[0];
  return sum + (sumError(k, logPart[0], sum) + logPart[1]);
}

/** Logarithm to base 10, at most 0.52 ulp; exact for powers of ten. */
export function log10(x: number): number {
  if (!(x > 0 && x < Infinity)) return outside(x);
  logFine(x);
  rebase(0.4342944819032518, 1.098319650216765e-17);
  return logPart[0] + logPart[1];
}

/** logPart times f + fLow, the inverse of a base's logarithm. */
function rebase(f: number, fLow: number): void {
  const a = logPart[0];
  const product = a * f;
  logPart[1] = productError(a, f, product) + (logPart[1] * f + a * fLow);
  logPart[0] = product;
}
