/** Elementary functions of every element. */
import * as elementary from "../elementary/index.ts";
import type { Op } from "../op.ts";
import { run } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";
import { add, div, mul, neg, sub } from "./arithmetic.ts";
import type { NoAttrs, Operand } from "./common.ts";
import { cast, checkOperands, defineMap, defineZip, none, toFloat, zip } from "./common.ts";
import { eq, ge, logicalAnd, where } from "./compare.ts";

/** Nearest whole number, halves to the even one (IEEE 754 roundTiesToEven). */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const absOp = defineMap({
  name: "abs",
  reference: Math.abs,
  wgsl: "abs(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(dy, sign(x))],
});
const squareOp = defineMap({
  name: "square",
  reference: (x) => x * x,
  wgsl: "x * x",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(dy, mul(x, 2))],
});
const zeroGradient = (dy: Tensor): Tensor[] => [mul(dy, 0)];
const signOp = defineMap({
  name: "sign",
  reference: (x) => Number(x > 0) - Number(x < 0),
  wgsl: { float32: "f_sign(x)", int32: "sign(x)" },
  vjp: zeroGradient,
});
const floorOp = defineMap({
  name: "floor",
  reference: Math.floor,
  wgsl: "floor(x)",
  vjp: zeroGradient,
});
const ceilOp = defineMap({
  name: "ceil",
  reference: Math.ceil,
  wgsl: "ceil(x)",
  vjp: zeroGradient,
});
const roundOp = defineMap({
  name: "round",
  reference: roundHalfEven,
  wgsl: "round(x)", // halves to the even one, too
  vjp: zeroGradient,
});
const truncOp = defineMap({
  name: "trunc",
  reference: Math.trunc,
  wgsl: "trunc(x)",
  vjp: zeroGradient,
});

/** d(a^b)/da = b a^(b-1), 0 where b = 0; d(a^b)/db = a^b log a, 0 where a = 0 and b >= 0. */
const powOp = defineZip({
  name: "pow",
  reference: elementary.pow,
  wgsl: "f_pow(a, b)",
  saves: [0, 1, "y"],
  vjp: (dy, context) => {
    const [a, b, y] = context.saved;
    const da = (): Tensor => where(eq(b, 0), 0, mul(dy, mul(b, pow(a, sub(b, 1)))));
    const db = (): Tensor => where(logicalAnd(eq(a, 0), ge(b, 0)), 0, mul(dy, mul(y, log(a))));
    return [
      context.needs(0) ? sumTo(da(), a.shape) : null,
      context.needs(1) ? sumTo(db(), b.shape) : null,
    ];
  },
});

const powScalarOp = defineMap<{ exponent: number }>({
  name: "powScalar",
  wasm: "pow_scalar",
  params: ["exponent"],
  // As PyTorch: √ differs from IEEE 754's pow at -Infinity (NaN) and -0 (-0).
  reference: (x, exponent) => {
    if (exponent === 0.5) return Math.sqrt(x);
    return exponent === -0.5 ? 1 / Math.sqrt(x) : elementary.pow(x, exponent);
  },
  wgsl: "f_pow_scalar(x, exponent)",
  saves: [0],
  vjp: (dy, { saved: [x] }, { exponent }) => [
    exponent === 0 ? mul(dy, 0) : mul(dy, mul(pow(x, exponent - 1), exponent)),
  ],
});

const scalarPowOp = defineMap<{ base: number }>({
  name: "scalarPow",
  wasm: "scalar_pow",
  params: ["base"],
  reference: (x, base) => elementary.pow(base, x),
  wgsl: "f_pow(base, x)",
  saves: [0, "y"],
  vjp: (dy, { saved: [x, y] }, { base }) => {
    const dx = mul(dy, mul(y, elementary.log(base)));
    return [base === 0 ? where(ge(x, 0), 0, dx) : dx];
  },
});

/** a ^ b elementwise, broadcast. Always in floats. */
export function pow(a: Operand, b: Operand): Tensor {
  checkOperands("pow", a, b);
  if (typeof b === "number") return run(powScalarOp, [toFloat(a as Tensor)], { exponent: b });
  if (typeof a === "number") return run(scalarPowOp, [toFloat(b)], { base: a });
  return zip(powOp, toFloat(a), toFloat(b));
}

const clampOp = defineMap<{ min: number; max: number }>({
  name: "clamp",
  params: ["min", "max"],
  reference: (x, min, max) => Math.min(Math.max(x, min), max),
  wgsl: "f_min(f_max(x, min), max)",
  saves: [0],
  vjp: (dy, { saved: [x] }, { min, max }) => [run(clampGradOp, [x, dy], { min, max })],
});

const clampGradOp = defineZip<{ min: number; max: number }>({
  name: "clampGrad",
  wasm: "clamp_grad",
  params: ["min", "max"],
  reference: (x, dy, min, max) => (x >= min && x <= max ? dy : 0),
  wgsl: "select(0.0, b, !is_nan(a) && a >= min && a <= max)",
});

/** x limited to [min, max]; a bound left out does not limit. The gradient passes at both bounds. */
export function clamp(x: Tensor, options: { min?: number; max?: number }): Tensor {
  const { min = -Infinity, max = Infinity } = options;
  const whole = (bound: number): boolean => Number.isInteger(bound) || !Number.isFinite(bound);
  const input = x.dtype === "int32" && whole(min) && whole(max) ? x : toFloat(x);
  return run(clampOp, [input], { min, max });
}

const expOp = defineMap({
  name: "exp",
  reference: elementary.exp,
  wgsl: "f_exp(x)",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [mul(dy, y)],
});
const expm1Op = defineMap({
  name: "expm1",
  reference: elementary.expm1,
  wgsl: "f_expm1(x)",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [mul(dy, add(y, 1))],
});
const logOp = defineMap({
  name: "log",
  reference: elementary.log,
  wgsl: "f_log(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [div(dy, x)],
});
const log1pOp = defineMap({
  name: "log1p",
  reference: elementary.log1p,
  wgsl: "f_log1p(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [div(dy, add(x, 1))],
});
const log2Op = defineMap({
  name: "log2",
  reference: elementary.log2,
  wgsl: "f_log2(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [div(dy, mul(x, Math.LN2))],
});
const log10Op = defineMap({
  name: "log10",
  reference: elementary.log10,
  wgsl: "f_log10(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [div(dy, mul(x, Math.LN10))],
});
const sqrtOp = defineMap({
  name: "sqrt",
  reference: Math.sqrt,
  wgsl: "f_sqrt(x)",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [div(dy, mul(y, 2))],
});
const rsqrtOp = defineMap({
  name: "rsqrt",
  reference: (x) => 1 / Math.sqrt(x),
  wgsl: "f_div(1.0, f_sqrt(x))",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [mul(mul(dy, -0.5), mul(y, square(y)))],
});
const reciprocalOp = defineMap({
  name: "reciprocal",
  reference: (x) => 1 / x,
  wgsl: "f_div(1.0, x)",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [mul(neg(dy), square(y))],
});
const sinOp = defineMap({
  name: "sin",
  reference: elementary.sin,
  wgsl: "f_sin(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(dy, cos(x))],
});
const cosOp = defineMap({
  name: "cos",
  reference: elementary.cos,
  wgsl: "f_cos(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(neg(dy), sin(x))],
});
const tanOp = defineMap({
  name: "tan",
  reference: elementary.tan,
  wgsl: "f_div(f_sin(x), f_cos(x))",
  saves: ["y"],
  vjp: (dy, { saved: [y] }) => [mul(dy, add(square(y), 1))],
});
const erfOp = defineMap({
  name: "erf",
  reference: elementary.erf,
  wgsl: "f_erf(x)",
  saves: [0],
  vjp: (dy, { saved: [x] }) => [mul(mul(dy, 2 / Math.sqrt(Math.PI)), exp(neg(square(x))))],
});

function exact(op: Op<NoAttrs>, x: Tensor): Tensor {
  return run(op, [x.dtype === "bool" ? cast(x, "int32") : x], none);
}

function whole(op: Op<NoAttrs>, x: Tensor): Tensor {
  return x.dtype === "int32" || x.dtype === "bool" ? x : run(op, [x], none);
}

function smooth(op: Op<NoAttrs>, x: Tensor): Tensor {
  return run(op, [toFloat(x)], none);
}

/** |x|. Gradient 0 at 0. */
export function abs(x: Tensor): Tensor {
  return exact(absOp, x);
}

/** x² */
export function square(x: Tensor): Tensor {
  return exact(squareOp, x);
}

/** -1, 0 or 1. Gradient 0. */
export function sign(x: Tensor): Tensor {
  return exact(signOp, x);
}

/** Largest whole number ≤ x. Gradient 0. */
export function floor(x: Tensor): Tensor {
  return whole(floorOp, x);
}

/** Smallest whole number ≥ x. Gradient 0. */
export function ceil(x: Tensor): Tensor {
  return whole(ceilOp, x);
}

/** Nearest whole number, halves to the even one. Gradient 0. */
export function round(x: Tensor): Tensor {
  return whole(roundOp, x);
}

/** The whole part. Gradient 0. */
export function trunc(x: Tensor): Tensor {
  return whole(truncOp, x);
}

/** e^x */
export function exp(x: Tensor): Tensor {
  return smooth(expOp, x);
}

/** e^x - 1, accurate near 0. */
export function expm1(x: Tensor): Tensor {
  return smooth(expm1Op, x);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return smooth(logOp, x);
}

/** log(1 + x), accurate near 0. */
export function log1p(x: Tensor): Tensor {
  return smooth(log1pOp, x);
}

/** Logarithm to base 2. */
export function log2(x: Tensor): Tensor {
  return smooth(log2Op, x);
}

/** Logarithm to base 10. */
export function log10(x: Tensor): Tensor {
  return smooth(log10Op, x);
}

/** Square root. */
export function sqrt(x: Tensor): Tensor {
  return smooth(sqrtOp, x);
}

/** 1 / √x */
export function rsqrt(x: Tensor): Tensor {
  return smooth(rsqrtOp, x);
}

/** 1 / x */
export function reciprocal(x: Tensor): Tensor {
  return smooth(reciprocalOp, x);
}

/** Sine of x in radians. */
export function sin(x: Tensor): Tensor {
  return smooth(sinOp, x);
}

/** Cosine of x in radians. */
export function cos(x: Tensor): Tensor {
  return smooth(cosOp, x);
}

/** Tangent of x in radians. */
export function tan(x: Tensor): Tensor {
  return smooth(tanOp, x);
}

/** The error function 2/√π ∫₀ˣ exp(-t²) dt. */
export function erf(x: Tensor): Tensor {
  return smooth(erfOp, x);
}
