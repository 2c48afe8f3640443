/** Hyperbolic functions and their inverses (but tanh), composed so that they are accurate near 0. */
import type { Tensor } from "../tensor.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { toFloat } from "./common.ts";
import { le, where } from "./compare.ts";
import { abs, clamp, exp, expm1, log, log1p, reciprocal, sign, sqrt, square } from "./math.ts";

/** (e^x − e^−x) / 2; infinite where e^|x| is. */
export function sinh(x: Tensor): Tensor {
  const input = toFloat(x);
  return div(sub(expm1(input), expm1(mul(input, -1))), 2);
}

/** (e^x + e^−x) / 2; infinite where e^|x| is. */
export function cosh(x: Tensor): Tensor {
  const input = toFloat(x);
  return div(add(exp(input), exp(mul(input, -1))), 2);
}

/** The inverse of sinh. */
export function asinh(x: Tensor): Tensor {
  const input = toFloat(x);
  // |x| ≤ 1: 2 atanh(x / (1 + √(1 + x²))). Beyond: log|x| + log(1 + √(1 + 1/x²)), which does not overflow.
  const small = clamp(input, { min: -1, max: 1 });
  const inner = atanh(div(small, add(sqrt(add(square(small), 1)), 1)));
  const large = clamp(abs(input), { min: 1 });
  const root = sqrt(add(square(reciprocal(large)), 1));
  const outer = mul(sign(input), add(log(large), log1p(root)));
  return where(le(abs(input), 1), mul(inner, 2), outer);
}

/** The inverse of cosh, ≥ 0; NaN where x < 1. */
export function acosh(x: Tensor): Tensor {
  const beyond = sub(toFloat(x), 1);
  return log1p(add(beyond, mul(sqrt(beyond), sqrt(add(beyond, 2)))));
}

/** The inverse of tanh; ±Infinity at ±1, NaN beyond. */
export function atanh(x: Tensor): Tensor {
  const input = toFloat(x);
  return div(sub(log1p(input), log1p(mul(input, -1))), 2);
}
