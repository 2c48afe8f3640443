/** RAdam: options and the optimizer. */
import { pow } from "../../elementary/index.ts";
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { decayRates, flag, ignored, nonNegative } from "../options.ts";
import { biasCorrection, positiveEps } from "../schedule-free/coefficients.ts";
import type { StateKey } from "../state-dict.ts";
import { adamKeys } from "./adam.ts";
import { eachStepNumber } from "./base-optimizer.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { AdamAttrs } from "./kernels.ts";
import { adamKernel } from "./kernels.ts";

export interface RAdamOptions {
  /** Learning rate γ. Default 0.001. */
  lr: number;
  /** [β₁, β₂]: coefficients of the running averages of g and g². Default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 0 acts as the smallest normal number. Default 1e-8. */
  eps: number;
  /** λ: λp is added to the gradient. Default 0. */
  weightDecay: number;
  /** Shrink p by γλp instead, as AdamW does. Default false. */
  decoupledWeightDecay: boolean;
  /** Ascend. Default false. */
  maximize: boolean;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** For PyTorch's sake; has no effect. Default false. */
  capturable: boolean | null;
  /** For PyTorch's sake; has no effect. Default false. */
  differentiable: boolean | null;
}

const options: OptionTable<RAdamOptions> = {
  lr: nonNegative(0.001),
  betas: decayRates([0.9, 0.999]),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  decoupledWeightDecay: flag(false),
  maximize: flag(false),
  foreach: ignored(null),
  capturable: ignored(false),
  differentiable: ignored(false),
};

type Group = ParamGroup<RAdamOptions, object>;

/**
 * Rectified Adam (arXiv 1908.03265; PyTorch's `RAdam`).
 *
 *     d = g + λ p;   m ← β₁ m + (1−β₁) d;   v ← β₂ v + (1−β₂) d²;   m̂ = m/(1−β₁^t)
 *     ρ∞ = 2/(1−β₂) − 1;   ρ = ρ∞ − 2 t β₂^t/(1−β₂^t)
 *     ρ > 5:  p ← p − γ r m̂ √(1−β₂^t)/(√v + ε),  r² = (ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ)
 *     else:   p ← p − γ m̂
 *
 * t counts the steps of each parameter alone; `maximize` takes −g for g. The boundary is 5 as in
 * PyTorch (4 in the paper and in `RAdamScheduleFree`). State: `step`, `exp_avg` (m), `exp_avg_sq` (v).
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class RAdam extends FusedOptimizer<RAdamOptions> {
  constructor(params: ParamsOrGroups<RAdamOptions>, given: Partial<RAdamOptions> = {}) {
    super({ name: "RAdam", options, counters: {} }, params, given);
  }

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, betas, weightDecay, decoupledWeightDecay: decoupled } = group;
    const [beta1, beta2] = betas;
    block.start(active, []);
    eachStepNumber(block, active, (t, alike) => {
      const factor = rectification(beta2, t);
      const attrs: AdamAttrs = {
        sign: group.maximize ? -1 : 1,
        decay: decoupled ? 0 : weightDecay,
        shrink: decoupled ? 1 - lr * weightDecay : 1,
        lr: (lr / biasCorrection(beta1, t)) * (factor ?? 1),
        momentum: beta1,
        oneMinusMomentum: 1 - beta1,
        beta2,
        oneMinusBeta2: 1 - beta2,
        invRoot: 1,
        eps: positiveEps(group.eps, block.values.dtype),
        adaptive: factor === null ? 0 : 1,
      };
      for (const run of block.runs(alike)) {
        const part = (name: string): Tensor => block.part(block.block(name), run);
        take(adamKernel, run, [part("expAvg"), part("expAvgSq")], attrs);
      }
    });
  }

  protected override stateKeys(_group: Group): readonly StateKey[] {
    return adamKeys;
  }
}

/** r √(1−β₂^t); null while the second moment is not to be trusted (ρ ≤ 5). */
function rectification(beta2: number, t: number): number | null {
  const bias2 = biasCorrection(beta2, t);
  const limit = 2 / (1 - beta2) - 1;
  const rho = limit - (2 * t * pow(beta2, t)) / bias2;
  if (!(rho > 5)) return null;
  const square = ((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho);
  return Math.sqrt(square) * Math.sqrt(bias2);
}
