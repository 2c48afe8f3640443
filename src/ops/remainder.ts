/** Remainders of divisions, elementwise with broadcasting. */
import type { Kernel } from "../backend/backend.ts";
import type { Op } from "../op.ts";
import { run } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { fromData, typedArray } from "../tensor.ts";
import { div, mul, neg } from "./arithmetic.ts";
import { sumTo } from "./broadcast.ts";
import type { NoAttrs, Operand } from "./common.ts";
import { cast, checkOperands, defineZip, forScalar, none, promote } from "./common.ts";
import { floor, trunc } from "./math.ts";

/** a - b·whole(a / b): the gradient reaches a unchanged, and b times minus the quotient's whole part. */
function defineRemainder(
  name: string,
  reference: (a: number, b: number) => number,
  wgsl: Kernel["wgsl"],
  whole: (quotient: Tensor) => Tensor,
): Op<NoAttrs> {
  return defineZip({
    name,
    reference,
    wgsl,
    saves: [0, 1],
    vjp: (dy, context) => {
      const [a, b] = context.saved;
      return [
        context.needs(0) ? sumTo(dy, a.shape) : null,
        context.needs(1) ? sumTo(mul(neg(dy), whole(div(a, b))), b.shape) : null,
      ];
    },
  });
}

const fmodOp = defineRemainder(
  "fmod",
  (a, b) => a % b,
  { float32: "f_mod(a, b)", int32: "i_mod(a, b)" },
  trunc,
);

const remainderOp = defineRemainder(
  "remainder",
  (a, b) => {
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  },
  { float32: "f_remainder(a, b)", int32: "i_remainder(a, b)" },
  floor,
);

function rest(op: Op<NoAttrs>, a: Operand, b: Operand): Tensor {
  checkOperands(op.name, a, b);
  const scalar = (value: number, x: Tensor): Tensor =>
    fromData(x.backend, typedArray(x.dtype, [value]), [], x.dtype, "scalar");
  if (typeof a === "number") {
    const x = forScalar(b as Tensor, a);
    return run(op, [scalar(a, x), x], none);
  }
  if (typeof b === "number") {
    const x = forScalar(a, b);
    return run(op, [x, scalar(b, x)], none);
  }
  const [left, right] = promote(op.name, a, b);
  if (left.dtype !== "bool") return run(op, [left, right], none);
  return run(op, [cast(left, "int32"), cast(right, "int32")], none);
}

/**
 * What is left of a / b cut towards 0, broadcast: it has the sign of a. Exact. For b = 0 NaN, in int32 0
 * (where PyTorch raises).
 */
export function fmod(a: Operand, b: Operand): Tensor {
  return rest(fmodOp, a, b);
}

/**
 * What is left of a / b rounded down, broadcast: it has the sign of b, as Python's %. Exact but for the one
 * addition where the signs differ. For b = 0 NaN, in int32 0 (where PyTorch raises).
 */
export function remainder(a: Operand, b: Operand): Tensor {
  return rest(remainderOp, a, b);
}
