/** Operators of single elements: arithmetic, comparison, functions. */
import * as rl from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import { typeName } from "../decode.ts";
import type { Node, Operator, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

const map =
  (f: (x: Tensor) => Tensor): Operator =>
  (node) =>
    f(node.x());

const zip =
  (f: (a: Tensor, b: Tensor) => Tensor): Operator =>
  (node) =>
    f(node.x(), node.x(1));

/** Any number of inputs, combined from the left. */
const fold =
  (f: (a: Tensor, b: Tensor) => Tensor): Operator =>
  (node) =>
    node.inputs.map((_, i) => node.x(i)).reduce((a, b) => f(a, b));

const isInteger = (x: Tensor): boolean => x.dtype === "int32";

/** Whole numbers divide towards zero. */
function div(a: Tensor, b: Tensor): Tensor {
  return isInteger(a) ? rl.trunc(rl.div(a, b)).to("int32") : rl.div(a, b);
}

/** The remainder has the sign of the dividend (`fmod`), or of the divisor. */
function mod(node: Node): Tensor {
  return (node.number("fmod", 0) === 1 ? rl.fmod : rl.remainder)(node.x(), node.x(1));
}

/** The result has the type of the base. */
function pow(a: Tensor, b: Tensor): Tensor {
  return rl.pow(a, b).to(a.dtype);
}

/** Bounds are inputs since version 11, attributes before. */
function clip(node: Node): Tensor {
  const min = node.value(1) ?? node.number("min", -Infinity);
  const max = node.value(2) ?? node.number("max", Infinity);
  return rl.clamp(node.x(), { min, max });
}

function isInf(node: Node): Tensor {
  const x = node.x();
  const positive = node.number("detect_positive", 1) === 1;
  const negative = node.number("detect_negative", 1) === 1;
  if (positive && negative) return rl.isinf(x);
  if (!positive && !negative) throw new NotApplicable("neither infinity is asked for");
  return rl.eq(x, positive ? Infinity : -Infinity);
}

/** Casts to float32 round; the value then has the device's float type again. */
function cast(x: Tensor, type: string): Tensor {
  const { float, dtypes } = rl.backend().capabilities();
  if (type === "float32") return x.to("float32").to(float);
  if (type === "int64") return x.to("int32");
  if (type === "int32" || type === "bool") return x.to(type);
  if (type !== "float64") throw new NotApplicable(`no dtype ${type}`);
  if (!dtypes.includes("float64")) throw new NotApplicable("float64 exists on reference alone");
  return x.to(type);
}

export const elementwise: Operators = {
  Abs: map(rl.abs),
  Acos: map(rl.acos),
  Acosh: map(rl.acosh),
  Add: zip(rl.add),
  And: zip(rl.logicalAnd),
  Asin: map(rl.asin),
  Asinh: map(rl.asinh),
  Atan: map(rl.atan),
  Atanh: map(rl.atanh),
  Cast: (node) => cast(node.x(), typeName(node.number("to", 0))),
  CastLike: (node) => node.x().to(node.x(1).dtype),
  Ceil: map(rl.ceil),
  Clip: clip,
  Cos: map(rl.cos),
  Cosh: map(rl.cosh),
  Div: zip(div),
  Equal: zip(rl.eq),
  Erf: map(rl.erf),
  Exp: map(rl.exp),
  Floor: map(rl.floor),
  Greater: zip(rl.gt),
  GreaterOrEqual: zip(rl.ge),
  Identity: (node) => node.x(),
  IsInf: isInf,
  IsNaN: map(rl.isnan),
  Less: zip(rl.lt),
  LessOrEqual: zip(rl.le),
  Log: map(rl.log),
  Max: fold(rl.maximum),
  Mean: (node) => rl.mean(rl.stack(node.inputs.map((_, i) => node.x(i))), 0),
  Min: fold(rl.minimum),
  Mod: mod,
  Mul: zip(rl.mul),
  Neg: map(rl.neg),
  Not: map(rl.logicalNot),
  Or: zip(rl.logicalOr),
  Pow: zip(pow),
  Reciprocal: map(rl.reciprocal),
  Round: map(rl.round),
  Sign: map(rl.sign),
  Sin: map(rl.sin),
  Sinh: map(rl.sinh),
  Sqrt: map(rl.sqrt),
  Sub: zip(rl.sub),
  Sum: fold(rl.add),
  Tan: map(rl.tan),
  Where: (node) => rl.where(node.x(), node.x(1), node.x(2)),
  Xor: zip(rl.logicalXor),
};
