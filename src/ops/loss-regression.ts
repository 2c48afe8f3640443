/** Losses of numbers against numbers. Reductions are "mean" (default), "sum" or "none", as in PyTorch. */
import type { NdArray } from "../backend/backend.ts";
import { warnOnce } from "../debug.ts";
import { ValueError } from "../errors.ts";
import { defineOp, run } from "../op.ts";
import { broadcastShapes, formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { isFloat } from "../tensor.ts";
import { div, mul, neg, sub } from "./arithmetic.ts";
import { inputShape } from "./common.ts";
import type { LossOptions } from "./loss-common.ts";
import { checkReduction, reduced } from "./loss-common.ts";
import { abs, clamp, square } from "./math.ts";

interface MseAttrs {
  reduction: "mean" | "sum";
}

/** a, b of one shape → sum or mean of (a - b)² in one pass. */
const mseOp = defineOp<MseAttrs>({
  name: "mse",
  kind: "mse",
  wasm: "mse",
  reference: (
    [{ data: a }, { data: b }]: readonly NdArray[],
    [{ data: y }]: readonly NdArray[],
    { reduction }: MseAttrs,
  ) => {
    let total = 0;
    for (let i = 0; i < a.length; i++) total += (a[i] - b[i]) * (a[i] - b[i]);
    y[0] = reduction === "mean" ? total / a.length : total;
  },
  shape: () => [],
  saves: [0, 1],
  vjp: (dy, context, attrs) => {
    const [a, b] = context.saved;
    const da = run(mseGradOp, [a, b, dy], attrs);
    return [da, context.needs(1) ? neg(da) : null];
  },
});

/** a, b, dy [] → dy / count · 2 (a - b); count is 1 for the sum. */
const mseGradOp = defineOp<MseAttrs>({
  name: "mseGrad",
  kind: "mseGrad",
  wasm: "mse_grad",
  reference: (
    [{ data: a }, { data: b }, { data: dy }]: readonly NdArray[],
    [{ data: da }]: readonly NdArray[],
    { reduction }: MseAttrs,
  ) => {
    const scale = reduction === "mean" ? dy[0] / a.length : dy[0];
    for (let i = 0; i < a.length; i++) da[i] = scale * (2 * (a[i] - b[i]));
  },
  shape: inputShape,
});

/** (input - target)², any shape; shapes that differ broadcast, as in all losses here, with a warning. */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkBroadcast("mseLoss", input, target);
  const reduction = checkReduction("mseLoss", options.reduction);
  const alike = input.dtype === target.dtype && sameShape(input.shape, target.shape);
  if (reduction !== "none" && alike && isFloat(input.dtype)) {
    return run(mseOp, [input, target], { reduction });
  }
  return reduced(square(sub(input, target)), reduction);
}

/** |input - target|, any shape. Gradient 0 where they are equal. */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkBroadcast("l1Loss", input, target);
  const reduction = checkReduction("l1Loss", options.reduction);
  return reduced(abs(sub(input, target)), reduction);
}

export interface SmoothL1LossOptions extends LossOptions {
  /** Where the parabola becomes a line; 0 gives l1Loss. Default 1. */
  beta?: number;
}

/** With d = |input - target|: d²/(2·beta) where d < beta, else d - beta/2 (R. Girshick, arXiv 1504.08083). */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  options: SmoothL1LossOptions = {},
): Tensor {
  const op = "smoothL1Loss";
  const { beta = 1 } = options;
  checkBroadcast(op, input, target);
  const reduction = checkReduction(op, options.reduction);
  if (!(beta >= 0 && beta < Infinity)) {
    throw new ValueError(`${op}: beta is ${beta}; expected a number ≥ 0`);
  }
  const distance = abs(sub(input, target));
  return reduced(beta === 0 ? distance : div(huber(distance, beta), beta), reduction);
}

export interface HuberLossOptions extends LossOptions {
  /** Where the parabola becomes a line. Default 1. */
  delta?: number;
}

/** With d = |input - target|: d²/2 where d < delta, else delta·(d - delta/2) (P. J. Huber, 1964). */
export function huberLoss(input: Tensor, target: Tensor, options: HuberLossOptions = {}): Tensor {
  const op = "huberLoss";
  const { delta = 1 } = options;
  checkBroadcast(op, input, target);
  const reduction = checkReduction(op, options.reduction);
  if (!(delta > 0 && delta < Infinity)) {
    throw new ValueError(`${op}: delta is ${delta}; expected a number > 0`);
  }
  return reduced(huber(abs(sub(input, target)), delta), reduction);
}

/** m·(d - m/2) with m = min(d, delta): both branches at once, and no 0·Infinity in the gradient. */
function huber(distance: Tensor, delta: number): Tensor {
  const m = clamp(distance, { max: delta });
  return mul(m, sub(distance, mul(m, 0.5)));
}

/** As PyTorch: shapes may broadcast, but that is so often a mistake ([n, 1] and [n] give [n, n]) that it warns once. */
function checkBroadcast(op: string, input: Tensor, target: Tensor): void {
  if (sameShape(input.shape, target.shape)) return;
  const shape = broadcastShapes(op, input.shape, target.shape);
  warnOnce(
    `${op}: input ${formatShape(input.shape)} and target ${formatShape(target.shape)} differ in shape and are broadcast to ` +
      `${formatShape(shape)}, which may not be what you want; reshape one of them`,
  );
}
