/** Losses of classes. Reductions are "mean" (default), "sum" or "none", as in PyTorch. */
import type { NdArray } from "../backend/backend.ts";
import { exp, log } from "../elementary/index.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { defineOp, run } from "../op.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType, fromData, isFloat, typedArray } from "../tensor.ts";
import { reshape, sum } from "./broadcast.ts";
import { add, div, mul, neg, sub } from "./arithmetic.ts";
import { cast } from "./common.ts";
import { eq, where } from "./compare.ts";
import type { LossOptions, Reduction } from "./loss-common.ts";
import { checkReduction, checkSameShape } from "./loss-common.ts";
import { rowAttrs, takeRowsOp } from "./indexing.ts";
import { permute } from "./movement.ts";
import { logSoftmax } from "./softmax.ts";

export interface CrossEntropyOptions extends LossOptions {
  /** [c]: a factor for every class. Default: 1. */
  weight?: Tensor | null;
  /** Rows with this class index count for nothing. Default -100. */
  ignoreIndex?: number;
  /** Mixes the target with the uniform distribution, 0 to 1. Default 0. */
  labelSmoothing?: number;
}

interface FusedAttrs {
  reduction: Reduction;
  ignoreIndex: number;
}

/** NaN where the largest is infinite, as PyTorch's log_softmax. */
function logSumExp(logits: NdArray, row: number, c: number): number {
  let top = -Infinity;
  for (let k = 0; k < c; k++) top = Math.max(top, logits.data[row * c + k]);
  let total = 0;
  for (let k = 0; k < c; k++) total += exp(logits.data[row * c + k] - top);
  return top + log(total);
}

/** -log softmax(logits)[target] in one pass: the common case, class indices without extras. */
const crossEntropyOp = defineOp<FusedAttrs>({
  name: "crossEntropy",
  kind: "crossEntropy",
  wasm: "cross_entropy",
  reference: (
    [logits, target]: readonly NdArray[],
    [loss, lse, count]: readonly NdArray[],
    { reduction, ignoreIndex }: FusedAttrs,
  ) => {
    const [n, c] = logits.shape;
    let total = 0;
    let counted = 0;
    for (let row = 0; row < n; row++) {
      const index = target.data[row];
      lse.data[row] = logSumExp(logits, row, c);
      let value = 0;
      if (index !== ignoreIndex) {
        if (index < 0 || index >= c) {
          throw new ValueError(
            `crossEntropy: target[${row}] is ${index}, outside [0, ${c}) and not ignoreIndex ${ignoreIndex}`,
          );
        }
        value = lse.data[row] - logits.data[row * c + index];
        counted++;
      }
      if (reduction === "none") loss.data[row] = value;
      total += value;
    }
    count.data[0] = counted;
    if (reduction !== "none") loss.data[0] = reduction === "mean" ? total / counted : total;
  },
  shape: ([logits], { reduction }) => (reduction === "none" ? [logits.shape[0]] : []),
  extra: ([logits]) => [
    { shape: [logits.shape[0]], dtype: logits.dtype },
    { shape: [], dtype: logits.dtype },
  ],
  saves: [0, 1, "extra0", "extra1"],
  vjp: (dy, { saved: [logits, target, lse, count] }, attrs) => [
    run(crossEntropyGradOp, [logits, target, lse, count, dy], attrs),
    null,
  ],
});

const crossEntropyGradOp = defineOp<FusedAttrs>({
  name: "crossEntropyGrad",
  kind: "crossEntropyGrad",
  wasm: "cross_entropy_grad",
  reference: (
    [logits, target, lse, count, dy]: readonly NdArray[],
    [dx]: readonly NdArray[],
    { reduction, ignoreIndex }: FusedAttrs,
  ) => {
    const [n, c] = logits.shape;
    for (let row = 0; row < n; row++) {
      const index = target.data[row];
      const given = reduction === "none" ? dy.data[row] : dy.data[0];
      const scale = reduction === "mean" ? given / count.data[0] : given;
      for (let k = 0; k < c; k++) {
        const at = row * c + k;
        const p = exp(logits.data[at] - lse.data[row]);
        dx.data[at] = index === ignoreIndex ? 0 : scale * (p - Number(k === index));
      }
    }
  },
  shape: ([logits]) => logits.shape,
});

/**
 * Cross entropy of logits against classes, as torch.nn.functional.cross_entropy.
 *
 * `input` [n, c], [c] or [n, c, ...]: unnormalised scores. `target`: class indices (int32) of
 * the shape of `input` without the class dimension, or probabilities of its shape.
 */
export function crossEntropy(
  input: Tensor,
  target: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const op = "crossEntropy";
  const { weight = null, ignoreIndex = -100, labelSmoothing = 0 } = options;
  const reduction = checkReduction(op, options.reduction);
  const { c, rowShape } = checkClasses(op, input, weight);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new ValueError(`${op}: labelSmoothing is ${labelSmoothing}; expected 0 to 1`);
  }
  const logits = classesLast(input);
  if (isFloat(target.dtype)) {
    checkSameShape(op, input, target);
    const probabilities = classesLast(target);
    return probabilityLoss(logits, probabilities, weight, labelSmoothing, reduction, rowShape);
  }
  const indices = classIndices(op, input, target, rowShape);
  if (weight === null && labelSmoothing === 0) {
    const loss = run(crossEntropyOp, [logits, indices], { reduction, ignoreIndex });
    return reduction === "none" ? reshape(loss, rowShape) : loss;
  }
  checkIndices(op, indices, c, ignoreIndex);
  const losses = indexLoss(logSoftmax(logits, 1), indices, weight, ignoreIndex, labelSmoothing);
  return reducedByWeight(losses, reduction, rowShape);
}

export type NllLossOptions = Pick<CrossEntropyOptions, "reduction" | "weight" | "ignoreIndex">;

/**
 * -weight[target]·input[target] per row, as torch.nn.functional.nll_loss; "mean" divides by the sum of the
 * weights.
 *
 * `input` [n, c], [c] or [n, c, ...]: logarithms of probabilities. `target`: class indices (int32) of
 * the shape of `input` without the class dimension.
 */
export function nllLoss(input: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  const op = "nllLoss";
  const { weight = null, ignoreIndex = -100 } = options;
  const reduction = checkReduction(op, options.reduction);
  const { c, rowShape } = checkClasses(op, input, weight);
  if (isFloat(target.dtype)) {
    throw new ValueError(
      `${op}: ${target.describe()} has dtype ${target.dtype}; expected class indices, int32 (for probabilities use klDivLoss or crossEntropy)`,
    );
  }
  const indices = classIndices(op, input, target, rowShape);
  checkIndices(op, indices, c, ignoreIndex);
  const losses = indexLoss(classesLast(input), indices, weight, ignoreIndex, 0);
  return reducedByWeight(losses, reduction, rowShape);
}

/** Checks the scores of classes; their number and the shape of the rows. */
function checkClasses(
  op: string,
  input: Tensor,
  weight: Tensor | null,
): { c: number; rowShape: readonly number[] } {
  checkDType(op, input, ["float32", "float64"]);
  if (input.ndim === 0) {
    throw new ShapeError(`${op}: input is 0-dimensional; expected [n, c], [c] or [n, c, ...]`);
  }
  const classDim = input.ndim === 1 ? 0 : 1;
  const c = input.shape[classDim];
  if (weight && !sameShape(weight.shape, [c])) {
    throw new ShapeError(
      `${op}: weight has the shape ${formatShape(weight.shape)}; expected [${c}], one number per class`,
    );
  }
  return { c, rowShape: input.shape.filter((_, d) => d !== classDim) };
}

/** The class of every row, [rows]. */
function classIndices(
  op: string,
  input: Tensor,
  target: Tensor,
  rowShape: readonly number[],
): Tensor {
  if (!sameShape(target.shape, rowShape)) {
    throw new ShapeError(
      `${op}: input ${formatShape(input.shape)} has class indices of the shape ${formatShape(rowShape)}; found ${formatShape(target.shape)}`,
    );
  }
  return reshape(cast(target, "int32"), [sizeOf(rowShape)]);
}

function reducedByWeight(
  losses: { each: Tensor; weights: Tensor },
  reduction: Reduction,
  rowShape: readonly number[],
): Tensor {
  if (reduction === "none") return reshape(losses.each, rowShape);
  const total = sum(losses.each);
  return reduction === "sum" ? total : div(total, losses.weights);
}

/** [n, c, ...] → [rows, c] */
function classesLast(x: Tensor): Tensor {
  if (x.ndim === 1) return reshape(x, [1, x.shape[0]]);
  if (x.ndim === 2) return x;
  const order = [0, ...x.shape.map((_, d) => d).slice(2), 1];
  return reshape(permute(x, order), [x.shape[1] === 0 ? 0 : x.size / x.shape[1], x.shape[1]]);
}

/** Per row: weighted, smoothed losses; and the sum of the weights that "mean" divides by. */
function indexLoss(
  logs: Tensor,
  indices: Tensor,
  weight: Tensor | null,
  ignoreIndex: number,
  smoothing: number,
): { each: Tensor; weights: Tensor } {
  const [rows, c] = logs.shape;
  const classes = fromData(
    logs.backend,
    Int32Array.from({ length: c }, (_, k) => k),
    [1, c],
  );
  const column = reshape(indices, [rows, 1]);
  const hit = cast(eq(classes, column), logs.dtype);
  const kept = cast(eq(cast(eq(indices, ignoreIndex), "int32"), 0), logs.dtype);
  const factors = weight ?? ones(logs, c);
  const logProbabilities = mul(logs, factors);
  // A product with 0 would turn the -Infinity of an impossible class into NaN.
  const chosen = neg(sum(where(hit, logProbabilities, 0), 1));
  const smoothed =
    smoothing === 0
      ? chosen
      : sub(mul(chosen, 1 - smoothing), mul(sum(logProbabilities, 1), smoothing / c));
  const rowWeights = mul(sum(mul(hit, factors), 1), kept);
  return { each: where(kept, smoothed, 0), weights: sum(rowWeights) };
}

function checkIndices(op: string, indices: Tensor, c: number, ignoreIndex: number): void {
  if (!indices.backend.capabilities().syncReads) {
    // The device checks a lookup's indices, and tells with the next read.
    const classes = fromData(indices.backend, new Int32Array(c), [c]);
    const looked = where(eq(indices, ignoreIndex), 0, indices);
    run(takeRowsOp, [classes, looked], rowAttrs(`${op}: target`, 0));
    return;
  }
  const values = indices.dataSync();
  values.forEach((index, row) => {
    if (index === ignoreIndex || (index >= 0 && index < c)) return;
    throw new ValueError(
      `${op}: target[${row}] is ${index}, outside [0, ${c}) and not ignoreIndex ${ignoreIndex}`,
    );
  });
}

function ones(like: Tensor, n: number): Tensor {
  return fromData(
    like.backend,
    typedArray(
      like.dtype,
      Array.from({ length: n }, () => 1),
    ),
    [n],
    like.dtype,
  );
}

function probabilityLoss(
  logits: Tensor,
  target: Tensor,
  weight: Tensor | null,
  smoothing: number,
  reduction: Reduction,
  rowShape: readonly number[],
): Tensor {
  const c = logits.shape[1];
  const smoothed = smoothing === 0 ? target : add(mul(target, 1 - smoothing), smoothing / c);
  const logProbabilities = logSoftmax(logits, 1);
  const weighted = weight ? mul(logProbabilities, weight) : logProbabilities;
  const each = neg(sum(mul(weighted, smoothed), 1));
  if (reduction === "none") return reshape(each, rowShape);
  return reduction === "sum" ? sum(each) : div(sum(each), Math.max(sizeOf(rowShape), 0));
}
