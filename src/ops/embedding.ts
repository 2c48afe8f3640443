/** Rows of a table by index, their norms limited if asked for. */
import { ShapeError, ValueError } from "../errors.ts";
import { run, runInPlace } from "../op.ts";
import { isRecomputing } from "../recompute.ts";
import { formatShape } from "../shape.ts";
import { noGrad } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add, div, mul } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import { gt, where } from "./compare.ts";
import { putRowsKernel, rowAttrs, takeRowsOp } from "./indexing.ts";
import { norm } from "./statistics.ts";

export interface EmbeddingOptions {
  /** The row of `weight` that takes no gradient; negative counts from the end. Default: none. */
  paddingIdx?: number;
  /** Divide the gradient of a row by how often `index` names it. Default false. */
  scaleGradByFreq?: boolean;
  /**
   * Rows that `index` names are first scaled down to this norm where theirs is larger. This changes `weight`
   * itself, in eval mode and in `noGrad` too, and what was computed from it before can no longer be
   * walked back, as after any write. Default: no limit.
   */
  maxNorm?: number;
  /** The p of `maxNorm`'s p-norm; Infinity for the largest magnitude. Default 2. */
  normType?: number;
}

/** The place of the padding row in a table of `rows` rows; -1 for none. */
export function paddingRow(op: string, paddingIdx: number | undefined, rows: number): number {
  if (paddingIdx === undefined) return -1;
  if (Number.isInteger(paddingIdx) && paddingIdx >= -rows && paddingIdx < rows) {
    return paddingIdx < 0 ? paddingIdx + rows : paddingIdx;
  }
  throw new ValueError(
    `${op}: paddingIdx is ${paddingIdx}; expected a whole number from ${-rows} to ${rows - 1}`,
  );
}

/** Rows of a table: index [...] (int32), weight [rows, width] → [..., width]. */
export function embedding(index: Tensor, weight: Tensor, options: EmbeddingOptions = {}): Tensor {
  checkDType("embedding", index, ["int32"]);
  if (weight.ndim !== 2) {
    throw new ShapeError(`embedding: weight ${formatShape(weight.shape)}; expected [rows, width]`);
  }
  checkNorms("embedding", options);
  const skip = paddingRow("embedding", options.paddingIdx, weight.shape[0]);
  const { scaleGradByFreq: scaleByCount = false, maxNorm, normType = 2 } = options;
  const flat = reshape(index, [index.size]);
  // What is computed again for backward must find the weight as the first time left it.
  if (maxNorm !== undefined && !isRecomputing()) limitRows(weight, flat, maxNorm, normType);
  const attrs = { ...rowAttrs("embedding", 0), skip, scaleByCount };
  return reshape(run(takeRowsOp, [weight, flat], attrs), [...index.shape, weight.shape[1]]);
}

/** @throws ValueError for a `maxNorm` or `normType` that is no positive number */
export function checkNorms(op: string, { maxNorm = 1, normType = 2 }: EmbeddingOptions): void {
  for (const [name, value] of Object.entries({ maxNorm, normType })) {
    if (value > 0) continue;
    throw new ValueError(`${op}: ${name} is ${value}; expected a number > 0`);
  }
}

/**
 * Scales the rows named by `index` [m] whose p-norm exceeds `most` by most / (norm + 1e-7), PyTorch's
 * factor, in place.
 */
function limitRows(weight: Tensor, index: Tensor, most: number, p: number): void {
  noGrad(() => {
    const attrs = rowAttrs("embedding", 0);
    const rows = run(takeRowsOp, [weight, index], attrs);
    const size = norm(rows, p, 1, { keepdim: true });
    const limited = where(gt(size, most), mul(rows, div(most, add(size, 1e-7))), rows);
    // What a row named twice becomes follows twice from what it was: the same.
    runInPlace(putRowsKernel, [weight, index, limited], [weight], attrs);
  });
}
