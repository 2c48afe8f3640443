/** Comparison, logic and selection, with broadcasting. */
import type { NdArray } from "../backend/backend.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import { broadcastShapes } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { fromData, typedArray } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";
import type { NoAttrs, Operand } from "./common.ts";
import { cast, checkOperands, defineMap, defineZip, forScalar, none, promote } from "./common.ts";

/** `symbol` compares in WGSL, where NaN needs words of its own. */
function defineCompare(
  name: string,
  symbol: string,
  holds: (a: number, b: number) => boolean,
): Op<NoAttrs> {
  const plain = `a ${symbol} b`;
  const float = name === "ne" ? `!ordered(a, b) || ${plain}` : `ordered(a, b) && ${plain}`;
  return defineZip({
    name,
    dtype: () => "bool",
    reference: (a, b) => Number(holds(a, b)),
    wgsl: { float32: float, int32: plain, bool: plain },
  });
}

const eqOp = defineCompare("eq", "==", (a, b) => a === b);
const neOp = defineCompare("ne", "!=", (a, b) => a !== b);
const ltOp = defineCompare("lt", "<", (a, b) => a < b);
const leOp = defineCompare("le", "<=", (a, b) => a <= b);
const gtOp = defineCompare("gt", ">", (a, b) => a > b);
const geOp = defineCompare("ge", ">=", (a, b) => a >= b);

function compare(op: Op<NoAttrs>, a: Tensor, b: Operand): Tensor {
  if (typeof b !== "number") {
    const [left, right] = promote(op.name, a, b);
    const wide = left.dtype === "bool" && op !== eqOp && op !== neOp;
    return wide
      ? run(op, [cast(left, "int32"), cast(right, "int32")], none)
      : run(op, [left, right], none);
  }
  const x = forScalar(a, b);
  return run(op, [x, fromData(x.backend, typedArray(x.dtype, [b]), [], x.dtype, "scalar")], none);
}

/** a = b elementwise, broadcast, bool. NaN equals nothing. */
export function eq(a: Tensor, b: Operand): Tensor {
  return compare(eqOp, a, b);
}

/** a ≠ b elementwise, broadcast, bool. */
export function ne(a: Tensor, b: Operand): Tensor {
  return compare(neOp, a, b);
}

/** a < b elementwise, broadcast, bool. */
export function lt(a: Tensor, b: Operand): Tensor {
  return compare(ltOp, a, b);
}

/** a ≤ b elementwise, broadcast, bool. */
export function le(a: Tensor, b: Operand): Tensor {
  return compare(leOp, a, b);
}

/** a > b elementwise, broadcast, bool. */
export function gt(a: Tensor, b: Operand): Tensor {
  return compare(gtOp, a, b);
}

/** a ≥ b elementwise, broadcast, bool. */
export function ge(a: Tensor, b: Operand): Tensor {
  return compare(geOp, a, b);
}

const logicalAndOp = defineZip({
  name: "logicalAnd",
  wasm: "logical_and",
  reference: (a, b) => Number(a !== 0 && b !== 0),
  wgsl: "a & b",
});
const logicalOrOp = defineZip({
  name: "logicalOr",
  wasm: "logical_or",
  reference: (a, b) => Number(a !== 0 || b !== 0),
  wgsl: "a | b",
});
const logicalNotOp = defineMap({
  name: "logicalNot",
  wasm: "not",
  reference: (x) => Number(x === 0),
  wgsl: "x ^ 1u",
});

/** Both are true (not 0), broadcast. */
export function logicalAnd(a: Tensor, b: Tensor): Tensor {
  return run(logicalAndOp, [cast(a, "bool"), cast(b, "bool")], none);
}

/** At least one is true (not 0), broadcast. */
export function logicalOr(a: Tensor, b: Tensor): Tensor {
  return run(logicalOrOp, [cast(a, "bool"), cast(b, "bool")], none);
}

/** One is true (not 0), the other not; broadcast. */
export function logicalXor(a: Tensor, b: Tensor): Tensor {
  return run(neOp, [cast(a, "bool"), cast(b, "bool")], none);
}

/** True where x is NaN. */
export function isnan(x: Tensor): Tensor {
  return ne(x, x);
}

/** True where x is Infinity or -Infinity. */
export function isinf(x: Tensor): Tensor {
  return logicalOr(eq(x, Infinity), eq(x, -Infinity));
}

/** True where x is neither infinite nor NaN. */
export function isfinite(x: Tensor): Tensor {
  return logicalAnd(lt(x, Infinity), gt(x, -Infinity));
}

/** True where x is 0. */
export function logicalNot(x: Tensor): Tensor {
  return run(logicalNotOp, [cast(x, "bool")], none);
}

const whereOp = defineOp({
  name: "where",
  kind: "where",
  wasm: "where",
  reference: ([c, a, b]: readonly NdArray[], [y]: readonly NdArray[]) => {
    for (let i = 0; i < y.data.length; i++) y.data[i] = c.data[i] !== 0 ? a.data[i] : b.data[i];
  },
  shape: ([condition, a, b]) =>
    broadcastShapes("where", condition.shape, broadcastShapes("where", a.shape, b.shape)),
  dtype: ([, a]) => a.dtype,
  saves: [0],
  vjp: (dy, context) => {
    const [condition] = context.saved;
    const [, a, b] = context.inputs;
    return [
      null,
      context.needs(1) ? sumTo(where(condition, dy, 0), a.shape) : null,
      context.needs(2) ? sumTo(where(condition, 0, dy), b.shape) : null,
    ];
  },
});

/** a where `condition` is true (not 0), b elsewhere; broadcast. At least one of a, b is a tensor. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkOperands("where", a, b);
  const like = (typeof a === "number" ? b : a) as Tensor;
  const toTensor = (value: Operand): Tensor =>
    typeof value === "number"
      ? fromData(like.backend, typedArray(like.dtype, [value]), [], like.dtype, "scalar")
      : value;
  const [left, right] = promote("where", toTensor(a), toTensor(b));
  return run(whereOp, [cast(condition, "bool"), left, right], none);
}

/** x with `value` wherever `mask` is true. */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  return where(mask, value, x);
}
