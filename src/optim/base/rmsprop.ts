/** RMSprop: options and the optimizer. */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { flag, ignored, nonNegative, unit } from "../options.ts";
import { positiveEps } from "../schedule-free/coefficients.ts";
import type { StateKey } from "../state-dict.ts";
import { countSteps, stepKey } from "./base-optimizer.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { RmspropAttrs } from "./kernels.ts";
import { rmspropKernel } from "./kernels.ts";

export interface RMSpropOptions {
  /** Learning rate γ. Default 0.01. */
  lr: number;
  /** α: coefficient of the running averages. Default 0.99. */
  alpha: number;
  /** Added to the root of the second moment; 0 acts as the smallest normal number. Default 1e-8. */
  eps: number;
  /** λ: λp is added to the gradient. Default 0. */
  weightDecay: number;
  /** μ: a buffer of normalised gradients decays by it. 0: no buffer. Default 0. */
  momentum: number;
  /** Divide by the deviation from the average gradient instead. Default false. */
  centered: boolean;
  /** For PyTorch's sake; has no effect. Default false. */
  capturable: boolean | null;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** Ascend. Default false. */
  maximize: boolean;
  /** For PyTorch's sake; has no effect. Default false. */
  differentiable: boolean | null;
}

const options: OptionTable<RMSpropOptions> = {
  lr: nonNegative(0.01),
  alpha: unit(0.99),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  momentum: nonNegative(0),
  centered: flag(false),
  capturable: ignored(false),
  foreach: ignored(null),
  maximize: flag(false),
  differentiable: ignored(false),
};

type Group = ParamGroup<RMSpropOptions, object>;

/**
 * RMSprop (Hinton's lecture 6e; centered: arXiv 1308.0850; PyTorch's `RMSprop`).
 *
 *     d = g + λ p;   v ← α v + (1−α) d²;   u = d/(√v + ε);   p ← p − γ u
 *
 * With `centered`, a ← α a + (1−α) d and √(v − a²) takes the place of √v (where rounding makes v − a²
 * negative it is 0; PyTorch gives NaN). With momentum, b ← μ b + u and p ← p − γ b. `maximize`
 * takes −g for g. State: `step`, `square_avg` (v), `grad_avg` (a), `momentum_buffer` (b).
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class RMSprop extends FusedOptimizer<RMSpropOptions> {
  constructor(params: ParamsOrGroups<RMSpropOptions>, given: Partial<RMSpropOptions> = {}) {
    super({ name: "RMSprop", options, counters: {} }, params, given);
  }

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, alpha, momentum, centered } = group;
    block.start(active, []);
    countSteps(block, active);
    const attrs: RmspropAttrs = {
      sign: group.maximize ? -1 : 1,
      decay: group.weightDecay,
      lr,
      alpha,
      oneMinusAlpha: 1 - alpha,
      eps: positiveEps(group.eps, block.values.dtype),
      momentum,
      centered: centered ? 1 : 0,
    };
    for (const run of block.runs(active)) {
      const part = (name: string): Tensor => block.part(block.block(name), run);
      const state = [part("squareAvg")];
      if (centered) state.push(part("gradAvg"));
      if (momentum > 0) state.push(part("momentumBuffer"));
      take(rmspropKernel, run, state, attrs);
    }
  }

  protected override stateKeys({ momentum, centered }: Group): readonly StateKey[] {
    return [
      stepKey,
      { key: "square_avg", block: "squareAvg" },
      { key: "momentum_buffer", block: "momentumBuffer", optional: momentum === 0 },
      { key: "grad_avg", block: "gradAvg", optional: !centered },
    ];
  }
}
