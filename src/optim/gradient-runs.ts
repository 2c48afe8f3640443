/** Gradients in the longest pieces of memory: where they are neighbours in an optimizer's block, one pass does for all. */
import type { Kernel } from "../backend/backend.ts";
import { copy } from "../autograd.ts";
import { runInPlace } from "../op.ts";
import { enterScope } from "../scope.ts";
import { Tensor } from "../tensor.ts";

/** Gradients that are neighbours in memory, and the run that they are. */
export interface GradientRun {
  readonly run: Tensor;
  readonly grads: readonly Tensor[];
}

/** The gradients that there are; neighbours of a block together. Runs live in the innermost scope. */
export function gradientRuns(params: readonly Tensor[]): GradientRun[] {
  const runs: { grads: Tensor[]; end: number }[] = [];
  for (const { grad } of params) {
    if (grad === null || grad.size === 0) continue;
    const last = runs.at(-1);
    const before = last?.grads[0];
    const joins =
      before !== undefined &&
      grad.buffer === before.buffer &&
      grad.dtype === before.dtype &&
      grad.offset === last!.end &&
      grad.isContiguous &&
      before.isContiguous;
    if (joins) {
      last!.grads.push(grad);
      last!.end += grad.size;
    } else {
      runs.push({ grads: [grad], end: grad.offset + grad.size });
    }
  }
  return runs.map(({ grads, end }) => {
    const [first] = grads;
    if (grads.length === 1) return { run: first, grads };
    const size = end - first.offset;
    const run = new Tensor(first.storage.retain(), [size], [1], first.offset, "gradients");
    enterScope(run);
    return { run, grads };
  });
}

/** Every element in place; `operands` come after it. */
export function change(
  { run, grads }: GradientRun,
  kernel: Kernel,
  attrs: Record<string, number>,
  operands: readonly Tensor[] = [],
): void {
  if (run.isContiguous) {
    runInPlace(kernel, [run, ...operands], [run], attrs);
  } else {
    const dense = run.contiguous();
    runInPlace(kernel, [dense, ...operands], [dense], attrs);
    runInPlace(copy, [dense], [run], {});
  }
  for (const { storage } of grads) if (storage !== run.storage) storage.version++;
}
