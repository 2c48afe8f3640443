/** Schedule-Free SGD: options and the fused optimizer. */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { flag, nonNegative, unit } from "../options.ts";
import type { AveragingStep } from "./coefficients.ts";
import { yStep } from "./coefficients.ts";
import { FusedScheduleFree } from "./fused.ts";
import type { Average } from "./kernels.ts";
import { sgdStep } from "./kernels.ts";
import type { Group } from "./schedule-free.ts";
import { counters } from "./schedule-free.ts";

export interface SGDScheduleFreeOptions {
  /** Learning rate γ; 10 to 50 times what SGD with a schedule would use. Default 1. */
  lr: number;
  /** β, the interpolation between z (0) and x (1), where gradients are taken. Default 0.9. */
  momentum: number;
  /** λ: decay λy is added to the gradient. Default 0. */
  weightDecay: number;
  /** Steps over which lr grows linearly from 0. Default 0. */
  warmupSteps: number;
  /** Step t weighs (t + 1)^r in the average. Default 0. */
  r: number;
  /** Step t weighs (largest lr so far)^weightLrPower in the average. Default 2. */
  weightLrPower: number;
  /** For upstream's sake; has no effect (steps are always fused over flat blocks). */
  foreach: boolean;
}

export const sgdOptions: OptionTable<SGDScheduleFreeOptions> = {
  lr: nonNegative(1),
  momentum: unit(0.9),
  weightDecay: nonNegative(0),
  warmupSteps: nonNegative(0),
  r: nonNegative(0),
  weightLrPower: nonNegative(2),
  foreach: flag(true),
};

/** The fused kernel on one run of a group. */
export function stepSgdRun(
  group: SGDScheduleFreeOptions,
  block: FlatGroup,
  run: Run,
  step: { lr: number; ckp1: number; yStep: number } & Average,
): void {
  sgdStep(
    block.part(block.grads, run),
    block.part(block.values, run),
    block.part(block.block("z"), run),
    step,
    { decay: group.weightDecay, lr: step.lr, ckp1: step.ckp1, yStep: step.yStep },
  );
}

/**
 * Schedule-Free SGD (arXiv 2405.15682, section 2; upstream `SGDScheduleFree`).
 *
 *     y = (1−β) z + β x;   z ← z − γ (∇f(y) + λ y);   x ← (1−c) x + c z
 *
 * Parameters hold y in train mode and x in eval mode; it starts in **eval** mode. Call `train()`
 * before training, `eval()` before evaluating and saving, or use `withEval`. State: `z`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class SGDScheduleFree extends FusedScheduleFree<SGDScheduleFreeOptions> {
  constructor(
    params: ParamsOrGroups<SGDScheduleFreeOptions>,
    options: Partial<SGDScheduleFreeOptions> = {},
  ) {
    const name = "SGDScheduleFree";
    super({ name, options: sgdOptions, counters: counters(false) }, params, options);
  }

  protected override beta(group: Group<SGDScheduleFreeOptions>): number {
    return group.momentum;
  }

  protected override stepRun(
    group: Group<SGDScheduleFreeOptions>,
    block: FlatGroup,
    run: Run,
    { scheduledLr: lr, ckp1 }: AveragingStep,
    mean: Tensor | undefined,
  ): void {
    stepSgdRun(group, block, run, { lr, ckp1, yStep: yStep(lr, group.momentum, ckp1), mean });
  }
}
