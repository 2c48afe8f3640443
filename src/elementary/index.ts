/**
 * Elementary functions with the same bits on every JavaScript engine: the language leaves the precision of
 * `Math.exp` and its like, and of `**`, to the engine. These use only what IEEE 754 and the language
 * define exactly. docs/elementary.md has method, source and measured error of each.
 */
export { powerOfTwo } from "./bits.ts";
export { erf, erfc, normalCdf, normalDensity } from "./erf.ts";
export { exp, expm1 } from "./exp.ts";
export { acos, asin, atan, atan2 } from "./inverse-trig.ts";
export { log, log10, log1p, log2 } from "./log.ts";
export { logOnePlusExp, sigmoid, tanh } from "./logistic.ts";
export { pow } from "./pow.ts";
export { cos, cosPi, sin, tan } from "./trig.ts";
