/** Schedule-Free RAdam: rectification in place of warmup. */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { flag } from "../options.ts";
import type { StateKey } from "../state-dict.ts";
import type { AdamWRunStep, AdamWScheduleFreeBaseOptions } from "./adamw.ts";
import { adamwBaseOptions, momentKeys, stepAdamWRun } from "./adamw.ts";
import type { ClosureGroup } from "./closure.ts";
import { closureCounters, ScheduleFreeClosure } from "./closure.ts";
import type { AveragingStep } from "./coefficients.ts";
import { biasCorrection, positiveEps, rectification, yStep } from "./coefficients.ts";
import { FusedScheduleFree } from "./fused.ts";
import { radamSgdStep } from "./kernels.ts";
import type { Group } from "./schedule-free.ts";
import { counters } from "./schedule-free.ts";

export interface RAdamScheduleFreeOptions extends Omit<
  AdamWScheduleFreeBaseOptions,
  "warmupSteps"
> {
  /**
   * What happens before the rectification sets in (the first steps: 4 with β₂ = 0.999). true: lr is
   * 0, only the second moment moves. false: steps of SGD with the full lr. Default true.
   */
  silentSgdPhase: boolean;
}

const { warmupSteps: _none, ...withoutWarmup } = adamwBaseOptions;

const radamOptions: OptionTable<RAdamScheduleFreeOptions> = {
  ...withoutWarmup,
  silentSgdPhase: flag(true),
};

/** The second moment is trusted from here on (`torch.optim.RAdam`: 5). */
const BOUNDARY = 4;

/** γ of a group's next step: lr times the rectification, or what the first phase has. */
function rectifiedLr(group: RAdamScheduleFreeOptions & { k: number }): number {
  const factor = rectification(group.betas[1], group.k + 1, BOUNDARY);
  return group.lr * (factor ?? (group.silentSgdPhase ? 0 : 1));
}

/** The fused kernel on one run: AdamW's once rectified, SGD's with a second moment before. */
function stepRAdamRun(
  group: RAdamScheduleFreeOptions,
  block: FlatGroup,
  run: Run,
  { t, lr, ckp1, yStep: factor, x, mean }: Omit<AdamWRunStep, "bias2" | "innerMomentum">,
): void {
  const beta2 = group.betas[1];
  if (rectification(beta2, t, BOUNDARY) !== null) {
    const bias2 = biasCorrection(beta2, t);
    stepAdamWRun(group, block, run, {
      t,
      bias2,
      innerMomentum: 0,
      lr,
      ckp1,
      yStep: factor,
      x,
      mean,
    });
    return;
  }
  radamSgdStep(
    block.part(block.grads, run),
    {
      y: block.part(block.values, run),
      z: block.part(block.block("z"), run),
      v: block.part(block.block("expAvgSq"), run),
    },
    { x, mean },
    {
      beta2,
      oneMinusBeta2: 1 - beta2,
      eps: positiveEps(group.eps, block.values.dtype),
      decay: group.weightDecay,
      ckp1,
      yStep: factor,
      lr,
    },
  );
}

/**
 * Schedule-Free RAdam (upstream `RAdamScheduleFree`): needs neither warmup nor schedule.
 *
 *     y = (1−β₁) z + β₁ x;   v ← β₂ v + (1−β₂) g²,  g = ∇f(y)
 *     z ← z − γ_t (g / (√(v / (1−β₂^t)) + ε) + λ y);   x ← (1−c) x + c z
 *
 * with γ_t = γ · rectification (arXiv 1908.03265) once ρ_t > 4, and c weighted by γ_t. Before that,
 * γ_t = 0 (silent), or with `silentSgdPhase: false` z ← z − γ (g + λ y). With β₂ ≤ 0.6, ρ_t never
 * gets there: silent RAdam then never trains, as upstream.
 *
 * Modes and counters as in `AdamWScheduleFree`; starts in **eval** mode. State: `z`, `exp_avg_sq`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class RAdamScheduleFree extends FusedScheduleFree<RAdamScheduleFreeOptions> {
  constructor(
    params: ParamsOrGroups<RAdamScheduleFreeOptions>,
    options: Partial<RAdamScheduleFreeOptions> = {},
  ) {
    const name = "RAdamScheduleFree";
    super({ name, options: radamOptions, counters: counters(false) }, params, options);
  }

  protected override beta(group: Group<RAdamScheduleFreeOptions>): number {
    return group.betas[0];
  }

  protected override stepLr(group: Group<RAdamScheduleFreeOptions>): number {
    return rectifiedLr(group);
  }

  protected override stepRun(
    group: Group<RAdamScheduleFreeOptions>,
    block: FlatGroup,
    run: Run,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
    mean: Tensor | undefined,
  ): void {
    const factor = yStep(lr, group.betas[0], ckp1);
    stepRAdamRun(group, block, run, { t, lr, ckp1, yStep: factor, mean });
  }

  protected override stateKeys(group: Group<RAdamScheduleFreeOptions>): readonly StateKey[] {
    return [...super.stateKeys(group), ...momentKeys(0)];
  }
}

/**
 * Schedule-Free RAdam with a closure (upstream `RAdamScheduleFreeClosure`); equations and options as
 * for `RAdamScheduleFree`, but parameters hold x between steps and there are no modes. State: `z`,
 * `exp_avg_sq`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class RAdamScheduleFreeClosure extends ScheduleFreeClosure<RAdamScheduleFreeOptions> {
  constructor(
    params: ParamsOrGroups<RAdamScheduleFreeOptions>,
    options: Partial<RAdamScheduleFreeOptions> = {},
  ) {
    const name = "RAdamScheduleFreeClosure";
    super({ name, options: radamOptions, counters: closureCounters }, params, options);
  }

  protected override beta(group: ClosureGroup<RAdamScheduleFreeOptions>): number {
    return group.betas[0];
  }

  protected override stepLr(group: ClosureGroup<RAdamScheduleFreeOptions>): number {
    return rectifiedLr(group);
  }

  protected override stepRun(
    group: ClosureGroup<RAdamScheduleFreeOptions>,
    block: FlatGroup,
    run: Run,
    x: Tensor,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
  ): void {
    stepRAdamRun(group, block, run, { t, lr, ckp1, yStep: 0, x });
  }

  protected override stateKeys(group: ClosureGroup<RAdamScheduleFreeOptions>): readonly StateKey[] {
    return [...super.stateKeys(group), ...momentKeys(0)];
  }
}
