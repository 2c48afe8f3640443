/**
 * The error function, its complement, and the normal distribution.
 *
 * |z| < ½: the Taylor series (Abramowitz and Stegun 7.1.5). Beyond: erfc z = e^(-z²) G(t) / (1 + 2z) with
 * t = (z − 4)/(z + 4); G lies between 1 and 1.3 for all z ≥ 0 (M. M. Shepherd and J. G. Laframboise,
 * "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", Math. Comp. 36, 1981). Seven
 * polynomials for G around t = j/4 are made by build/erfc.py. z, z² and e^(-z²) are in two parts: a tail
 * keeps its relative precision.
 */
import { powerOfTwo, scale } from "./bits.ts";
import { productError, sumError } from "./double.ts";
import { expPart, expParts } from "./exp.ts";

/** For t near −¾, −½, …, ¾: coefficients of u¹¹ … u, then the rest of the constant, and itself. */
const TERMS = 13;
const G = Float64Array.from([
  // t near -0.75, error 2.3e-18
  -9.645484317312054e-5, 0.003936054457437832, -0.006696122969706315, -0.03361759632452218,
  0.2257889924050995, -0.698025021039322, 1.4268515068925525, -2.0818844833987438,
  2.166413531852096, -1.4812074006459286, 0.43395824977263736, -3.8888396668715906e-17,
  1.2446256883396998,
  // t near -0.5, error 7.9e-19
  -0.0007619824610436037, 0.0026074672501610646, 0.0018957541126207505, -0.038376332903496055,
  0.1505434536861389, -0.3673840105045626, 0.644397491156071, -0.8390581996800835,
  0.7871006485121267, -0.45066969971237186, -0.006413806256969353, -6.256925376194911e-17,
  1.2874938781059861,
  // t near -0.25, error 9.8e-19
  -0.0006775757631929475, 0.0004676634472442862, 0.005683916964110464, -0.028825731910581225,
  0.08192505157821324, -0.16681980910006589, 0.2588167876571164, -0.3057976945154064,
  0.25452280251551085, -0.09299956505558575, -0.1259362845127604, -9.040170605167948e-17,
  1.2672926603147934,
  // t near 0.0, error 1.1e-18
  -0.0002003944341255878, -0.0007507169923775276, 0.005031989971854481, -0.01619785821194599,
  0.037167515374634065, -0.06633036480455003, 0.09373283499898978, -0.1010390660400187,
  0.06809705425469076, 0.015379652102624998, -0.1396211168405625, -4.7329960980008107e-17,
  1.2329951186255526,
  // t near 0.25, error 3.6e-19
  9.788709914112691e-5, -0.0008187463117674946, 0.002887190951655708, -0.007266209226236002,
  0.014520783248643176, -0.023709279859059414, 0.031121080362100807, -0.02958345667394451,
  0.009205715323732513, 0.03998400479095525, -0.1239796996950294, -3.252609731560608e-18,
  1.1997977821287185,
  // t near 0.5, error 1.1e-19
  0.0001266917790440093, -0.00046886847305797116, 0.0012621122458734712, -0.0027674510668700323,
  0.005097502611142186, -0.007845434691271703, 0.009489666823948301, -0.006639907443841484,
  -0.00669484380523439, 0.0395218700059003, -0.10362004549661602, 6.808994967204964e-17,
  1.171355525372344,
  // t near 0.75, error 1.3e-19
  6.929886780317973e-5, -0.00019716249534984187, 0.00046556526528293953, -0.000951436834177069,
  0.001674705970918805, -0.0024419734841523142, 0.0025099411978033843, 3.17763827455787e-5,
  -0.00928706938889904, 0.03312193661493249, -0.08538249520853605, -7.476271633078896e-17,
  1.1477977119602139,
]);

/** 2/√π in two parts. */
const SLOPE = 1.1283791670955126;
const SLOPE_LOW = 1.533545961316588e-17;
/** (−1)ⁿ 2/√π / (n! (2n + 1)) from n = 12 down to 1. */
const seriesTerms = Float64Array.from([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], (n) => {
  let factorial = 1;
  for (let i = 2; i <= n; i++) factorial *= i;
  return ((n % 2 === 0 ? 1 : -1) * SLOPE) / (factorial * (2 * n + 1));
});

/** What `nearParts` and `tailParts` leave. */
const part = new Float64Array(2);

/** erf(z + low) = part[0] + part[1] to 2^-56, |z| ≤ ½. */
function nearParts(z: number, low: number): void {
  const square = z * z;
  let sum = 0;
  for (let i = 0; i < 12; i++) sum = sum * square + seriesTerms[i];
  const product = z * SLOPE;
  const slope = SLOPE * (1 - square + 0.5 * square * square);
  part[0] = product;
  part[1] = productError(z, SLOPE, product) + z * SLOPE_LOW + low * slope + z * square * sum;
}

/** erfc(z + low) = (part[0] + part[1]) 2^k to 2^-55, from z = ½ to 28; the result is k. */
function tailParts(z: number, low: number): number {
  // u = t − j/4, but the quotient is taken once j is known: its error is then in proportion to u.
  const j = Math.round((4 * (z - 4)) / (z + 4));
  const u = ((1 - j / 4) * z - (4 + j)) / (z + 4);
  const at = (j + 3) * TERMS;
  let polynomial = G[at];
  for (let i = 1; i < 11; i++) polynomial = polynomial * u + G[at + i];
  const constant = G[at + 12];
  const rest = polynomial * u + G[at + 11];
  const g = constant + rest;
  const gLow = constant - g + rest;

  const square = z * z;
  const k = expParts(-square, -productError(z, z, square) - 2 * z * low);
  const e = expPart[0];
  const product = g * e;
  const productLow = productError(g, e, product) + (g * expPart[1] + gLow * e);

  const divisor = 1 + 2 * z;
  const divisorLow = sumError(1, 2 * z, divisor) + 2 * low;
  const q = product / divisor;
  const p = q * divisor;
  const left = product - p - productError(q, divisor, p) + productLow - q * divisorLow;
  part[0] = q;
  part[1] = left / divisor;
  return k;
}

/** erfc(z + low), rounded once. */
function complement(z: number, low: number): number {
  if (z < 28 && z > -7) {
    if (z >= 0.5) {
      const k = tailParts(z, low);
      return scale(4 * (part[0] + part[1]), k - 2);
    }
    if (z > -0.5) {
      nearParts(z, low);
      const high = 1 - part[0];
      return high + (sumError(1, -part[0], high) - part[1]);
    }
    const factor = powerOfTwo(tailParts(-z, -low));
    return 2 - (part[0] + part[1]) * factor;
  }
  if (z !== z) return z;
  return z > 0 ? 0 : 2;
}

/** The error function 2/√π ∫₀ˣ e^(-t²) dt, at most 0.7 ulp. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 0.5) {
    if (a < 1e-290) return x * SLOPE; // no room for a product's error; -0 too
    nearParts(x, 0);
    return part[0] + part[1];
  }
  if (x !== x) return x;
  let value = 1;
  if (a < 6) {
    const factor = powerOfTwo(tailParts(a, 0));
    const tail = part[0] * factor;
    value = 1 - tail;
    value += sumError(1, -tail, value) - part[1] * factor;
  }
  return x < 0 ? -value : value;
}

/** 1 − erf x, at most 0.75 ulp also where it is small; at most 1 ulp where it is subnormal. */
export function erfc(x: number): number {
  return complement(x, 0);
}

/** √½ in two parts. */
const ROOT = 0.7071067811865476;
const ROOT_LOW = -4.833646656726457e-17;

/**
 * Distribution function Φ(x) = ½ erfc(-x/√2) of the standard normal, at most 0.75 ulp also where it is small;
 * at most 1.3 ulp where it is subnormal.
 */
export function normalCdf(x: number): number {
  const z = -x * ROOT;
  return 0.5 * complement(z, productError(-x, ROOT, z) - x * ROOT_LOW);
}

/** 1/√(2π) in two parts. */
const PEAK = 0.3989422804014327;
const PEAK_LOW = -2.49232720227773e-17;

/** Density e^(-x²/2) / √(2π) of the standard normal, at most 0.55 ulp; at most 0.8 ulp where subnormal. */
export function normalDensity(x: number): number {
  if (Math.abs(x) > 40) return 0;
  const square = x * x;
  const k = expParts(-0.5 * square, -0.5 * productError(x, x, square));
  const product = PEAK * expPart[0];
  const low = PEAK * expPart[1] + PEAK_LOW * expPart[0];
  return scale(product + (productError(PEAK, expPart[0], product) + low), k);
}
