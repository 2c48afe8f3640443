/** Lion: options and the optimizer. */
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { decayRates, flag, ignored, nonNegative } from "../options.ts";
import type { StateKey } from "../state-dict.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { LionAttrs } from "./kernels.ts";
import { lionKernel } from "./kernels.ts";

export interface LionOptions {
  /** Learning rate γ; 3 to 10 times smaller than AdamW's. Default 0.0001. */
  lr: number;
  /** [β₁, β₂]: how much momentum counts in the step, and how long it lasts. Default [0.9, 0.99]. */
  betas: readonly [number, number];
  /** λ: p shrinks by γλp; 3 to 10 times larger than AdamW's. Default 0. */
  weightDecay: number;
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

const options: OptionTable<LionOptions> = {
  lr: nonNegative(0.0001),
  betas: decayRates([0.9, 0.99]),
  weightDecay: nonNegative(0),
  maximize: flag(false),
  foreach: ignored(null),
  capturable: ignored(false),
  differentiable: ignored(false),
  fused: ignored(null),
};

type Group = ParamGroup<LionOptions, object>;

/**
 * Lion, "evolved sign momentum" (arXiv 2302.06675, program 1; defaults of its authors' code).
 *
 *     p ← p − γ (sign(β₁ m + (1−β₁) g) + λ p);   m ← β₂ m + (1−β₂) g
 *
 * The sign of 0 is 0; `maximize` takes −g for g. PyTorch has no Lion. State: `exp_avg` (m).
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class Lion extends FusedOptimizer<LionOptions> {
  constructor(params: ParamsOrGroups<LionOptions>, given: Partial<LionOptions> = {}) {
    super({ name: "Lion", options, counters: {} }, params, given);
  }

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, betas, weightDecay } = group;
    const [beta1, beta2] = betas;
    block.start(active, []);
    const attrs: LionAttrs = {
      sign: group.maximize ? -1 : 1,
      shrink: 1 - lr * weightDecay,
      lr,
      beta1,
      oneMinusBeta1: 1 - beta1,
      beta2,
      oneMinusBeta2: 1 - beta2,
    };
    for (const run of block.runs(active)) {
      take(lionKernel, run, [block.part(block.block("expAvg"), run)], attrs);
    }
  }

  protected override stateKeys(_group: Group): readonly StateKey[] {
    return [{ key: "exp_avg", block: "expAvg" }];
  }
}
