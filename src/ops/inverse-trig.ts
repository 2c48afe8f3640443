/** Inverses of sine, cosine and tangent. */
import * as elementary from "../elementary/index.ts";
import { run } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { add, div, maximum, mul, neg, sub } from "./arithmetic.ts";
import { sumTo } from "./broadcast.ts";
import { defineMap, defineZip, none, toFloat, zip } from "./common.ts";
import { abs, rsqrt, square } from "./math.ts";

/** 1/√(1 − x²); x² would round where x is near 1. */
function arcSlope(x: Tensor): Tensor {
  return rsqrt(mul(sub(1, x), add(x, 1)));
}

const asinOp = defineMap({
  name: "asin",
  reference: elementary.asin,
  wgsl: "f_asin(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(dy, arcSlope(x))],
});
const acosOp = defineMap({
  name: "acos",
  reference: elementary.acos,
  wgsl: "f_acos(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(neg(dy), arcSlope(x))],
});
const atanOp = defineMap({
  name: "atan",
  reference: elementary.atan,
  wgsl: "f_atan(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [div(dy, add(square(x), 1))],
});

const atan2Op = defineZip({
  name: "atan2",
  reference: elementary.atan2,
  wgsl: "f_atan2(a, b)",
  saves: [0, 1],
  // dy · x/(x² + y²) and −dy · y/(x² + y²), scaled so that the squares neither overflow nor vanish.
  vjp: (dz, context) => {
    const [y, x] = context.saved;
    const size = maximum(abs(y), abs(x));
    const [u, v] = [div(x, size), div(y, size)];
    const share = div(dz, mul(add(square(u), square(v)), size));
    return [
      context.needs(0) ? sumTo(mul(share, u), y.shape) : null,
      context.needs(1) ? sumTo(mul(neg(share), v), x.shape) : null,
    ];
  },
});

/** The angle from -π/2 to π/2 whose sine is x; NaN beyond ±1. Gradient ±Infinity at ±1. */
export function asin(x: Tensor): Tensor {
  return run(asinOp, [toFloat(x)], none);
}

/** The angle from 0 to π whose cosine is x; NaN beyond ±1. Gradient -Infinity at ±1. */
export function acos(x: Tensor): Tensor {
  return run(acosOp, [toFloat(x)], none);
}

/** The angle from -π/2 to π/2 whose tangent is x. */
export function atan(x: Tensor): Tensor {
  return run(atanOp, [toFloat(x)], none);
}

/**
 * The angle of the point (x, y), from -π to π, broadcast: the arctangent of y/x in the point's quadrant. Signs
 * of zeros count, as in C. Gradient NaN at the origin.
 */
export function atan2(y: Tensor, x: Tensor): Tensor {
  return zip(atan2Op, toFloat(y), toFloat(x));
}
