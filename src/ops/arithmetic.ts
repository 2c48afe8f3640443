/** Arithmetic with broadcasting, between tensors and with numbers. */
import type { Kernel } from "../backend/backend.ts";
import type { Op } from "../op.ts";
import { run } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { fromData, typedArray } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";
import type { NoAttrs, Operand } from "./common.ts";
import {
  cast,
  checkOperands,
  defineMap,
  defineZip,
  forScalar,
  none,
  promote,
  toFloat,
  zip,
} from "./common.ts";
import { eq, gt, lt, where } from "./compare.ts";

interface Value {
  value: number;
}

const addOp = defineZip({
  name: "add",
  reference: (a, b) => a + b,
  wgsl: "a + b",
  vjp: (dy, context) => {
    const [a, b] = context.inputs;
    return [
      context.needs(0) ? sumTo(dy, a.shape) : null,
      context.needs(1) ? sumTo(dy, b.shape) : null,
    ];
  },
});

const subOp = defineZip({
  name: "sub",
  reference: (a, b) => a - b,
  wgsl: "a - b",
  vjp: (dy, context) => {
    const [a, b] = context.inputs;
    return [sumTo(dy, a.shape), context.needs(1) ? sumTo(neg(dy), b.shape) : null];
  },
});

const mulOp = defineZip({
  name: "mul",
  reference: (a, b) => a * b,
  wgsl: "a * b",
  saves: [0, 1],
  vjp: (dy, context) => {
    const [a, b] = context.saved;
    return [
      context.needs(0) ? sumTo(mul(dy, b), a.shape) : null,
      context.needs(1) ? sumTo(mul(dy, a), b.shape) : null,
    ];
  },
});

const divOp = defineZip({
  name: "div",
  reference: (a, b) => a / b,
  wgsl: "f_div(a, b)",
  saves: [0, 1],
  vjp: (dy, context) => {
    const [a, b] = context.saved;
    return [
      context.needs(0) ? sumTo(div(dy, b), a.shape) : null,
      context.needs(1) ? sumTo(mul(neg(dy), div(div(a, b), b)), b.shape) : null,
    ];
  },
});

/** The gradient goes to the chosen side, half to each at a tie. */
function defineExtreme(
  name: string,
  reference: (a: number, b: number) => number,
  wgsl: Kernel["wgsl"],
  loses: (a: Tensor, b: Tensor) => Tensor,
): Op<NoAttrs> {
  return defineZip({
    name,
    reference,
    wgsl,
    saves: [0, 1],
    vjp: (dy, context) => {
      const [a, b] = context.saved;
      const shared = where(eq(a, b), div(dy, 2), dy);
      return [
        context.needs(0) ? sumTo(where(loses(a, b), 0, shared), a.shape) : null,
        context.needs(1) ? sumTo(where(loses(b, a), 0, shared), b.shape) : null,
      ];
    },
  });
}

const maximumOp = defineExtreme(
  "maximum",
  (a, b) => Math.max(a, b),
  { float32: "f_max(a, b)", int32: "max(a, b)" },
  (a, b) => lt(a, b),
);
const minimumOp = defineExtreme(
  "minimum",
  (a, b) => Math.min(a, b),
  { float32: "f_min(a, b)", int32: "min(a, b)" },
  (a, b) => gt(a, b),
);

const addScalarOp = defineMap<Value>({
  name: "addScalar",
  wasm: "add_scalar",
  params: ["value"],
  reference: (x, value) => x + value,
  wgsl: "x + value",
  vjp: (dy) => [dy],
});

const mulScalarOp = defineMap<Value>({
  name: "mulScalar",
  wasm: "mul_scalar",
  params: ["value"],
  reference: (x, value) => x * value,
  wgsl: "x * value",
  vjp: (dy, _context, { value }) => [mul(dy, value)],
});

const rsubScalarOp = defineMap<Value>({
  name: "rsubScalar",
  wasm: "rsub_scalar",
  params: ["value"],
  reference: (x, value) => value - x,
  wgsl: "value - x",
  vjp: (dy) => [neg(dy)],
});

const rdivScalarOp = defineMap<Value>({
  name: "rdivScalar",
  wasm: "rdiv_scalar",
  params: ["value"],
  reference: (x, value) => value / x,
  wgsl: "f_div(value, x)",
  saves: [0],
  vjp: (dy, { saved: [x] }, { value }) => [mul(dy, div(div(-value, x), x))],
});

function arithmetic(op: Op<NoAttrs>, a: Tensor, b: Tensor): Tensor {
  const [left, right] = promote(op.name, a, b);
  if (left.dtype !== "bool") return run(op, [left, right], none);
  return run(op, [cast(left, "int32"), cast(right, "int32")], none);
}

/** a + b, broadcast. */
export function add(a: Operand, b: Operand): Tensor {
  checkOperands("add", a, b);
  if (typeof b === "number") return run(addScalarOp, [forScalar(a as Tensor, b)], { value: b });
  if (typeof a === "number") return add(b, a);
  return arithmetic(addOp, a, b);
}

/** a - b, broadcast. */
export function sub(a: Operand, b: Operand): Tensor {
  checkOperands("sub", a, b);
  if (typeof b === "number") return run(addScalarOp, [forScalar(a as Tensor, b)], { value: -b });
  if (typeof a === "number") return run(rsubScalarOp, [forScalar(b, a)], { value: a });
  return arithmetic(subOp, a, b);
}

/** a * b elementwise, broadcast. */
export function mul(a: Operand, b: Operand): Tensor {
  checkOperands("mul", a, b);
  if (typeof b === "number") return run(mulScalarOp, [forScalar(a as Tensor, b)], { value: b });
  if (typeof a === "number") return mul(b, a);
  return arithmetic(mulOp, a, b);
}

/** a / b elementwise, broadcast. Always in floats. */
export function div(a: Operand, b: Operand): Tensor {
  checkOperands("div", a, b);
  if (typeof b === "number") return zip(divOp, toFloat(a as Tensor), scalarLike(a as Tensor, b));
  if (typeof a === "number") return run(rdivScalarOp, [toFloat(b)], { value: a });
  return zip(divOp, toFloat(a), toFloat(b));
}

/** A 0-dimensional tensor with the device and the float type of `x`. */
function scalarLike(x: Tensor, value: number): Tensor {
  const dtype = toFloatType(x);
  return fromData(x.backend, typedArray(dtype, [value]), [], dtype, "scalar");
}

function toFloatType(x: Tensor): "float32" | "float64" {
  return x.dtype === "float32" || x.dtype === "float64" ? x.dtype : x.backend.capabilities().float;
}

/** Larger of a and b, broadcast; NaN wins. A tie shares the gradient. */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return arithmetic(maximumOp, a, b);
}

/** Smaller of a and b, broadcast; NaN wins. A tie shares the gradient. */
export function minimum(a: Tensor, b: Tensor): Tensor {
  return arithmetic(minimumOp, a, b);
}

/** a + weight * (b - a). */
export function lerp(a: Tensor, b: Tensor, weight: Operand): Tensor {
  return add(a, mul(sub(b, a), weight));
}

const negOp = defineMap({
  name: "neg",
  reference: (x) => -x,
  wgsl: "-x",
  vjp: (dy) => [neg(dy)],
});

/** -x */
export function neg(x: Tensor): Tensor {
  return run(negOp, [x.dtype === "bool" ? cast(x, "int32") : x], none);
}
