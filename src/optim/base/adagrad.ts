/** Adagrad: options and the optimizer. */
import { fill } from "../../autograd.ts";
import { runInPlace } from "../../op.ts";
import { runScoped } from "../../scope.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { flag, ignored, nonNegative } from "../options.ts";
import { positiveEps } from "../schedule-free/coefficients.ts";
import type { StateKey } from "../state-dict.ts";
import { eachStepNumber, stepKey } from "./base-optimizer.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { AdagradAttrs } from "./kernels.ts";
import { adagradKernel } from "./kernels.ts";

export interface AdagradOptions {
  /** Learning rate γ. Default 0.01. */
  lr: number;
  /** η: step t uses γ/(1 + (t−1)η). Default 0. */
  lrDecay: number;
  /** λ: λp is added to the gradient. Default 0. */
  weightDecay: number;
  /** What a group's sums start at (PyTorch has one value for all groups). Default 0. */
  initialAccumulatorValue: number;
  /** Added to the root of the sum; 0 acts as the smallest normal number. Default 1e-10. */
  eps: number;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** Ascend. Default false. */
  maximize: boolean;
  /** For PyTorch's sake; has no effect. Default false. */
  differentiable: boolean | null;
  /** For PyTorch's sake; has no effect. Default null. */
  fused: boolean | null;
}

const options: OptionTable<AdagradOptions> = {
  lr: nonNegative(0.01),
  lrDecay: nonNegative(0),
  weightDecay: nonNegative(0),
  initialAccumulatorValue: nonNegative(0),
  eps: nonNegative(1e-10),
  foreach: ignored(null),
  maximize: flag(false),
  differentiable: ignored(false),
  fused: ignored(null),
};

type Group = ParamGroup<AdagradOptions, object>;

/**
 * Adagrad (Duchi, Hazan, Singer 2011; PyTorch's `Adagrad`).
 *
 *     d = g + λ p;   s ← s + d²;   p ← p − γ/(1 + (t−1)η) · d/(√s + ε)
 *
 * t counts the steps of each parameter alone; `maximize` takes −g for g. State, there from the
 * beginning: `step`, `sum` (s).
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class Adagrad extends FusedOptimizer<AdagradOptions> {
  constructor(params: ParamsOrGroups<AdagradOptions>, given: Partial<AdagradOptions> = {}) {
    super({ name: "Adagrad", options, counters: {} }, params, given);
  }

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, lrDecay } = group;
    startSums(group, block, active);
    eachStepNumber(block, active, (t, alike) => {
      const attrs: AdagradAttrs = {
        sign: group.maximize ? -1 : 1,
        decay: group.weightDecay,
        lr: lr / (1 + (t - 1) * lrDecay),
        eps: positiveEps(group.eps, block.values.dtype),
      };
      for (const run of block.runs(alike)) {
        take(adagradKernel, run, [block.part(block.block("sum"), run)], attrs);
      }
    });
  }

  protected override onAdd(group: Group, block: FlatGroup): void {
    startSums(
      group,
      block,
      group.params.map(() => true),
    );
  }

  protected override stateKeys(_group: Group): readonly StateKey[] {
    return [stepKey, { key: "sum", block: "sum" }];
  }
}

/** Sums that have not been started (a state that was loaded may lack some) start now. */
function startSums(group: Group, block: FlatGroup, includes: readonly boolean[]): void {
  const fresh = includes.map((is, i) => is && !block.started[i]);
  if (!fresh.includes(true)) return;
  const value = group.initialAccumulatorValue;
  runScoped("Adagrad", () => {
    for (const run of block.runs(fresh)) {
      runInPlace(fill, [], [block.part(block.block("sum"), run)], { value });
    }
  });
  block.start(includes, []);
}
