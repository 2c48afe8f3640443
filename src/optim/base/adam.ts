/** Adam and AdamW: options and the optimizers. */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { decayRates, flag, ignored, nonNegative } from "../options.ts";
import { biasCorrection, positiveEps } from "../schedule-free/coefficients.ts";
import type { StateKey } from "../state-dict.ts";
import { eachStepNumber, stepKey } from "./base-optimizer.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { AdamAttrs } from "./kernels.ts";
import { adamKernel } from "./kernels.ts";

export interface AdamOptions {
  /** Learning rate γ. Default 0.001. */
  lr: number;
  /** [β₁, β₂]: coefficients of the running averages of g and g². Default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 0 acts as the smallest normal number. Default 1e-8. */
  eps: number;
  /** λ. Adam: λp is added to the gradient, default 0. AdamW: p shrinks by γλp, default 0.01. */
  weightDecay: number;
  /** Divide by the largest second moment so far (AMSGrad). Default false. */
  amsgrad: boolean;
  /** Ascend. Default false. */
  maximize: boolean;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** For PyTorch's sake; has no effect. Default false. */
  capturable: boolean | null;
  /** For PyTorch's sake; has no effect. Default false. */
  differentiable: boolean | null;
  /** For PyTorch's sake; has no effect. Default null. */
  fused: boolean | null;
}

const adamOptions: OptionTable<AdamOptions> = {
  lr: nonNegative(0.001),
  betas: decayRates([0.9, 0.999]),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  amsgrad: flag(false),
  maximize: flag(false),
  foreach: ignored(null),
  capturable: ignored(false),
  differentiable: ignored(false),
  fused: ignored(null),
};

const adamwOptions: OptionTable<AdamOptions> = { ...adamOptions, weightDecay: nonNegative(0.01) };

type Group = ParamGroup<AdamOptions, object>;

/** Adam with the weight decay of the gradient, or decoupled. */
abstract class AdamBase extends FusedOptimizer<AdamOptions> {
  protected abstract readonly decoupled: boolean;

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, betas, weightDecay, amsgrad } = group;
    const [beta1, beta2] = betas;
    block.start(active, []);
    eachStepNumber(block, active, (t, alike) => {
      const attrs: AdamAttrs = {
        sign: group.maximize ? -1 : 1,
        decay: this.decoupled ? 0 : weightDecay,
        shrink: this.decoupled ? 1 - lr * weightDecay : 1,
        lr: lr / biasCorrection(beta1, t),
        momentum: beta1,
        oneMinusMomentum: 1 - beta1,
        beta2,
        oneMinusBeta2: 1 - beta2,
        invRoot: 1 / Math.sqrt(biasCorrection(beta2, t)),
        eps: positiveEps(group.eps, block.values.dtype),
        adaptive: 1,
      };
      for (const run of block.runs(alike)) {
        const part = (name: string): Tensor => block.part(block.block(name), run);
        const state = [part("expAvg"), part("expAvgSq")];
        if (amsgrad) state.push(part("maxExpAvgSq"));
        take(adamKernel, run, state, attrs);
      }
    });
  }

  protected override stateKeys({ amsgrad }: Group): readonly StateKey[] {
    return [...adamKeys, { key: "max_exp_avg_sq", block: "maxExpAvgSq", optional: !amsgrad }];
  }
}

export const adamKeys: readonly StateKey[] = [
  stepKey,
  { key: "exp_avg", block: "expAvg" },
  { key: "exp_avg_sq", block: "expAvgSq" },
];

/**
 * Adam (arXiv 1412.6980; PyTorch's `Adam`).
 *
 *     d = g + λ p;   m ← β₁ m + (1−β₁) d;   v ← β₂ v + (1−β₂) d²
 *     p ← p − γ m/(1−β₁^t) / (√(v/(1−β₂^t)) + ε)
 *
 * t counts the steps of each parameter alone. With `amsgrad` (Reddi et al. 2018) the largest v so
 * far takes the place of v in the second line; `maximize` takes −g for g. State: `step`, `exp_avg`
 * (m), `exp_avg_sq` (v), `max_exp_avg_sq`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class Adam extends AdamBase {
  protected override readonly decoupled = false;

  constructor(params: ParamsOrGroups<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super({ name: "Adam", options: adamOptions, counters: {} }, params, options);
  }
}

/**
 * Adam with decoupled weight decay (arXiv 1711.05101; PyTorch's `AdamW`): as `Adam`, but d = g and
 * p ← p − γ λ p before each step. Options and state are Adam's; weightDecay is 0.01 by default.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class AdamW extends AdamBase {
  protected override readonly decoupled = true;

  constructor(params: ParamsOrGroups<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super({ name: "AdamW", options: adamwOptions, counters: {} }, params, options);
  }
}
