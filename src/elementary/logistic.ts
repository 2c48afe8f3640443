/** The logistic function and its relatives, from e^x in two parts, so that only the last step rounds. */
import { powerOfTwo } from "./bits.ts";
import { quotient, sumError } from "./double.ts";
import { exp, expm1Part, expm1Parts, expPart, expParts } from "./exp.ts";
import { logOnePlusParts, logPart } from "./log.ts";

/** Beyond ±40 the smaller of e^x and 1 is below an eighth of a unit in the last place of the sum. */
const FAR = 40;

/** 1 / (1 + e^-x), at most 0.55 ulp at both ends; at most 0.76 ulp where the result is subnormal. */
export function sigmoid(x: number): number {
  if (x > FAR) return 1;
  if (x < -FAR) return exp(x);
  const factor = powerOfTwo(expParts(-Math.abs(x), 0));
  const e = expPart[0] * factor;
  const eLow = expPart[1] * factor;
  const sum = 1 + e;
  const sumLow = e - (sum - 1) + eLow;
  return x < 0 ? quotient(e, eLow, sum, sumLow) : quotient(1, 0, sum, sumLow);
}

/** log(1 + e^x), at most 0.55 ulp; at most 0.76 ulp where the result is subnormal. */
export function logOnePlusExp(x: number): number {
  if (x > FAR) return x;
  if (x < -FAR) return exp(x);
  const factor = powerOfTwo(expParts(-Math.abs(x), 0));
  logOnePlusParts(expPart[0] * factor, expPart[1] * factor);
  if (!(x > 0)) return logPart[0] + logPart[1];
  const sum = x + logPart[0];
  return sum + (sumError(x, logPart[0], sum) + logPart[1]);
}

/** Hyperbolic tangent, at most 0.55 ulp: e/(e + 2) with e = e^2x − 1. */
export function tanh(x: number): number {
  const a = Math.abs(x);
  if (a < 1e-8) return x; // -0 too
  if (a > FAR / 2) return x > 0 ? 1 : -1;
  expm1Parts(2 * a);
  const e = expm1Part[0];
  const eLow = expm1Part[1];
  const sum = e + 2;
  const value = quotient(e, eLow, sum, sumError(e, 2, sum) + eLow);
  return x < 0 ? -value : value;
}
