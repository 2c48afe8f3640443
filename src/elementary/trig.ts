/**
 * Sine, cosine and tangent. The argument modulo π/2 (reduce.ts) is a + t with a a multiple of 1/64;
 * sin a and cos a come from a table in double-double, sin t and cos t − 1 from short series.
 */
import type { Double } from "./double.ts";
import { add, div, mul, productError, quotient } from "./double.ts";
import { reduceQuarter, remainder } from "./reduce.ts";

/** sin(j/64) and cos(j/64) for j up to 51 > 64 π/4, in two parts each. */
const SIN = new Float64Array(52);
const SIN_LOW = new Float64Array(52);
const COS = new Float64Array(52);
const COS_LOW = new Float64Array(52);
{
  const [sin1, cos1] = [seriesAt64th(1), seriesAt64th(0)];
  const minusSin1: Double = [-sin1[0], -sin1[1]];
  let sin: Double = [0, 0];
  let cos: Double = [1, 0];
  for (let j = 0; j < 52; j++) {
    [SIN[j], SIN_LOW[j]] = sin;
    [COS[j], COS_LOW[j]] = cos;
    const next = add(mul(sin, cos1), mul(cos, sin1));
    cos = add(mul(cos, cos1), mul(sin, minusSin1));
    sin = next;
  }
}

/** x − x³/3! + … (first = 1) or 1 − x²/2! + … (first = 0) for x = 1/64. */
function seriesAt64th(first: 0 | 1): Double {
  let sum: Double = [0, 0];
  for (let n = 20 + first; n >= first; n -= 2) {
    // 1 − x²/((n+1)(n+2)) · sum
    const factor = div([-1 / 4096, 0], [(n + 1) * (n + 2), 0]);
    sum = add([1, 0], mul(sum, factor));
  }
  return first === 1 ? mul(sum, [1 / 64, 0]) : sum;
}

/** sin t − t, |t| ≤ ¼ */
function sinRest(t: number): number {
  const z = t * t;
  const tail = 1 / 120 + z * (-1 / 5040 + z * (1 / 362880 + z * (-1 / 39916800 + z / 6227020800)));
  return t * z * (-1 / 6 + z * tail);
}

/** cos t − 1 + t²/2, |t| ≤ ¼ */
function cosRest(t: number): number {
  const z = t * t;
  const tail = -1 / 720 + z * (1 / 40320 + z * (-1 / 3628800 + z / 479001600));
  return z * z * (1 / 24 + z * tail);
}

/** sin t − t, |t| ≤ 1/128 and a bit */
function shortSinRest(t: number): number {
  const z = t * t;
  return t * z * (-1 / 6 + z * (1 / 120 - z * (1 / 5040)));
}

/** cos t − 1, |t| ≤ 1/128 and a bit */
function shortCosRest(t: number): number {
  const z = t * t;
  return z * (-0.5 + z * (1 / 24 - z * (1 / 720)));
}

/** What `sinParts` and `cosParts` leave: the value is trigPart[0] + trigPart[1]. */
const trigPart = new Float64Array(2);

function setPart(high: number, low: number): void {
  const sum = high + low;
  trigPart[0] = sum;
  trigPart[1] = high - sum + low;
}

/** sin(x + low) to 2^-58, |x| ≤ π/4. */
function sinParts(x: number, low: number): void {
  const a = Math.abs(x);
  if (a < 0.25) {
    setPart(x, sinRest(x) + low * (1 - 0.5 * x * x));
    return;
  }
  const j = (a * 64 + 0.5) | 0;
  const t = a - j * 0.015625;
  const tLow = x < 0 ? -low : low;
  const rest = COS[j] * (t + (shortSinRest(t) + tLow)) + SIN[j] * shortCosRest(t) + SIN_LOW[j];
  setPart(x < 0 ? -SIN[j] : SIN[j], x < 0 ? -rest : rest);
}

/** cos(x + low) to 2^-58, |x| ≤ π/4. */
function cosParts(x: number, low: number): void {
  const a = Math.abs(x);
  if (a < 0.25) {
    const half = 0.5 * x * x;
    const high = 1 - half;
    setPart(high, 1 - high - half + (cosRest(x) - x * low));
    return;
  }
  const j = (a * 64 + 0.5) | 0;
  const t = a - j * 0.015625;
  const tLow = x < 0 ? -low : low;
  const sin = SIN[j] * (t + (shortSinRest(t) + tLow));
  setPart(COS[j], COS_LOW[j] + (COS[j] * shortCosRest(t) - sin));
}

/** The sine of remainder + quarters · π/2. */
function turned(quarters: number): number {
  if ((quarters & 1) === 0) sinParts(remainder[0], remainder[1]);
  else cosParts(remainder[0], remainder[1]);
  const value = trigPart[0] + trigPart[1];
  return (quarters & 2) === 0 ? value : -value;
}

/** Sine of x in radians, at most 0.55 ulp for every x. */
export function sin(x: number): number {
  if (Math.abs(x) < 0.7853981633974483) {
    if (Math.abs(x) < 1e-8) return x; // -0 too
    sinParts(x, 0);
    return trigPart[0] + trigPart[1];
  }
  if (x - x !== 0) return NaN;
  return turned(reduceQuarter(x));
}

/** Cosine of x in radians, at most 0.55 ulp for every x. */
export function cos(x: number): number {
  if (Math.abs(x) < 0.7853981633974483) {
    cosParts(x, 0);
    return trigPart[0] + trigPart[1];
  }
  if (x - x !== 0) return NaN;
  return turned(reduceQuarter(x) + 1);
}

/** Tangent of x in radians, at most 0.6 ulp for every x. */
export function tan(x: number): number {
  if (Math.abs(x) < 1e-9) return x; // -0 too
  if (x - x !== 0) return NaN;
  const quarters = reduceQuarter(x);
  sinParts(remainder[0], remainder[1]);
  const sin = trigPart[0];
  const sinLow = trigPart[1];
  cosParts(remainder[0], remainder[1]);
  const cos = trigPart[0];
  const cosLow = trigPart[1];
  return (quarters & 1) === 0
    ? quotient(sin, sinLow, cos, cosLow)
    : -quotient(cos, cosLow, sin, sinLow);
}

/** cos(πx), at most 0.55 ulp; exact where the cosine is 0, ±½ or ±1. */
export function cosPi(x: number): number {
  const period = Math.abs(x) % 2;
  const half = period > 1 ? 2 - period : period;
  // cos(πr) from 0 to ¼, sin(π(½ − r)) up to ½: both differences are exact.
  const mirrored = half > 0.5 ? 1 - half : half;
  const r = mirrored > 0.25 ? 0.5 - mirrored : mirrored;
  const angle = r * Math.PI;
  const low = productError(r, Math.PI, angle) + r * 1.2246467991473532e-16;
  if (mirrored > 0.25) sinParts(angle, low);
  else cosParts(angle, low);
  const value = trigPart[0] + trigPart[1];
  return half > 0.5 && value !== 0 ? -value : value;
}
