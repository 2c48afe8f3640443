/** Schedule-Free AdamW: options, the fused optimizer, and the paper's form of it. */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { OptimizerSpec, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { betas, decayRate, flag, nonNegative } from "../options.ts";
import type { StateKey } from "../state-dict.ts";
import type { AveragingStep } from "./coefficients.ts";
import { biasCorrection, positiveEps, yStep } from "./coefficients.ts";
import { FusedScheduleFree } from "./fused.ts";
import type { Average } from "./kernels.ts";
import { adamwStep } from "./kernels.ts";
import type { Counters, Group } from "./schedule-free.ts";
import { counters } from "./schedule-free.ts";

/** What every form of Schedule-Free AdamW takes. */
export interface AdamWScheduleFreeBaseOptions {
  /** Learning rate γ; 1 to 10 times what AdamW with a schedule would use. Default 0.0025. */
  lr: number;
  /**
   * β₁: the interpolation between z (0) and x (1), where gradients are taken (0.95 to 0.98 for very
   * long runs). β₂: coefficient of the second moment. Default [0.9, 0.999].
   */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 0 acts as the smallest normal number. Default 1e-8. */
  eps: number;
  /** λ: decoupled weight decay, λy beside the normalised gradient. Default 0. */
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

export interface AdamWScheduleFreeOptions extends AdamWScheduleFreeBaseOptions {
  /** μ: a bias-corrected running average of gradients takes the gradient's place. Default 0. */
  innerMomentum: number;
}

export const adamwBaseOptions: OptionTable<AdamWScheduleFreeBaseOptions> = {
  lr: nonNegative(0.0025),
  betas: betas([0.9, 0.999]),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  warmupSteps: nonNegative(0),
  r: nonNegative(0),
  weightLrPower: nonNegative(2),
  foreach: flag(true),
};

export const adamwOptions: OptionTable<AdamWScheduleFreeOptions> = {
  ...adamwBaseOptions,
  innerMomentum: decayRate(0),
};

/** `t` is the number of this step, from 1; `bias2` what the second moment is divided by. */
export interface AdamWRunStep extends Average {
  t: number;
  bias2: number;
  innerMomentum: number;
  lr: number;
  ckp1: number;
  yStep: number;
}

/** The fused kernel on one run of a group. */
export function stepAdamWRun(
  group: Pick<AdamWScheduleFreeBaseOptions, "betas" | "eps" | "weightDecay">,
  block: FlatGroup,
  run: Run,
  { t, bias2, innerMomentum, lr, ckp1, yStep: factor, x, mean }: AdamWRunStep,
): void {
  const beta2 = group.betas[1];
  adamwStep(
    block.part(block.grads, run),
    {
      y: block.part(block.values, run),
      z: block.part(block.block("z"), run),
      v: block.part(block.block("expAvgSq"), run),
      m: innerMomentum > 0 ? block.part(block.block("expAvg"), run) : null,
    },
    { x, mean },
    {
      beta2,
      oneMinusBeta2: 1 - beta2,
      invBias2: 1 / bias2,
      eps: positiveEps(group.eps, block.values.dtype),
      momentum: innerMomentum,
      oneMinusMomentum: 1 - innerMomentum,
      invBias1: 1 / biasCorrection(innerMomentum, t),
      decay: group.weightDecay,
      ckp1,
      yStep: factor,
      lr,
    },
  );
}

/**
 * Schedule-Free AdamW (arXiv 2405.15682, Algorithm 1; upstream `AdamWScheduleFree`).
 *
 *     y = (1−β₁) z + β₁ x;   v ← β₂ v + (1−β₂) g²,  g = ∇f(y)
 *     z ← z − γ (g / (√(v / (1−β₂^t)) + ε) + λ y);   x ← (1−c) x + c z
 *
 * With `innerMomentum` μ > 0, m / (1−μ^t) takes the place of g in the second line, where
 * m ← μ m + (1−μ) g. Counters belong to the group: a parameter whose first gradient comes late is
 * under-corrected, as upstream.
 *
 * Parameters hold y in train mode and x in eval mode; it starts in **eval** mode. Call `train()`
 * before training, `eval()` before evaluating and saving, or use `withEval`. State: `z`,
 * `exp_avg_sq`, and `exp_avg` with inner momentum.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class AdamWScheduleFree extends FusedScheduleFree<AdamWScheduleFreeOptions> {
  constructor(
    params: ParamsOrGroups<AdamWScheduleFreeOptions>,
    options: Partial<AdamWScheduleFreeOptions> = {},
  ) {
    const name = "AdamWScheduleFree";
    super({ name, options: adamwOptions, counters: counters(false) }, params, options);
  }

  protected override beta(group: Group<AdamWScheduleFreeOptions>): number {
    return group.betas[0];
  }

  protected override stepRun(
    group: Group<AdamWScheduleFreeOptions>,
    block: FlatGroup,
    run: Run,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
    mean: Tensor | undefined,
  ): void {
    stepAdamWRun(group, block, run, {
      t,
      bias2: biasCorrection(group.betas[1], t),
      innerMomentum: group.innerMomentum,
      lr,
      ckp1,
      yStep: yStep(lr, group.betas[0], ckp1),
      mean,
    });
  }

  protected override stateKeys(group: Group<AdamWScheduleFreeOptions>): readonly StateKey[] {
    return [...super.stateKeys(group), ...momentKeys(group.innerMomentum)];
  }
}

export function momentKeys(innerMomentum: number): StateKey[] {
  const keys: StateKey[] = [{ key: "exp_avg_sq", block: "expAvgSq" }];
  if (innerMomentum > 0) keys.push({ key: "exp_avg", block: "expAvg" });
  return keys;
}

/**
 * Schedule-Free AdamW with the bias correction where the paper's Algorithm 1 has it: in the learning
 * rate, γ_t = γ √(1−β₂^t), and so in the averaging weights too; v is not corrected (upstream
 * `AdamWScheduleFreePaper`). Everything else is as in `AdamWScheduleFree`, but no inner momentum.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class AdamWScheduleFreePaper extends FusedScheduleFree<AdamWScheduleFreeBaseOptions> {
  constructor(
    params: ParamsOrGroups<AdamWScheduleFreeBaseOptions>,
    options: Partial<AdamWScheduleFreeBaseOptions> = {},
  ) {
    const spec: OptimizerSpec<AdamWScheduleFreeBaseOptions, Counters> = {
      name: "AdamWScheduleFreePaper",
      options: adamwBaseOptions,
      counters: counters(false),
    };
    super(spec, params, options);
  }

  protected override beta(group: Group<AdamWScheduleFreeBaseOptions>): number {
    return group.betas[0];
  }

  protected override stepLr(group: Group<AdamWScheduleFreeBaseOptions>): number {
    return super.stepLr(group) * Math.sqrt(biasCorrection(group.betas[1], group.k + 1));
  }

  protected override stepRun(
    group: Group<AdamWScheduleFreeBaseOptions>,
    block: FlatGroup,
    run: Run,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
    mean: Tensor | undefined,
  ): void {
    stepAdamWRun(group, block, run, {
      t,
      bias2: 1,
      innerMomentum: 0,
      lr,
      ckp1,
      yStep: yStep(lr, group.betas[0], ckp1),
      mean,
    });
  }

  protected override stateKeys(group: Group<AdamWScheduleFreeBaseOptions>): readonly StateKey[] {
    return [...super.stateKeys(group), ...momentKeys(0)];
  }
}
