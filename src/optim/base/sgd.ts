/** SGD: options and the optimizer. */
import { ValueError } from "../../errors.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { finite, flag, ignored, nonNegative } from "../options.ts";
import type { StateKey } from "../state-dict.ts";
import type { TakeKernel } from "./fused-optimizer.ts";
import { FusedOptimizer } from "./fused-optimizer.ts";
import type { SgdAttrs } from "./kernels.ts";
import { sgdKernel } from "./kernels.ts";

export interface SGDOptions {
  /** Learning rate γ. Default 0.001. */
  lr: number;
  /** μ: the buffer of gradients decays by it. 0: no buffer. Default 0. */
  momentum: number;
  /** τ: gradients enter the buffer times 1 − τ (the first one whole). Default 0. */
  dampening: number;
  /** λ: decay λp is added to the gradient. Default 0. */
  weightDecay: number;
  /** Step by g + μ·(buffer) instead of the buffer; needs momentum > 0, dampening 0. Default false. */
  nesterov: boolean;
  /** Ascend. Default false. */
  maximize: boolean;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** For PyTorch's sake; has no effect. Default false. */
  differentiable: boolean | null;
  /** For PyTorch's sake; has no effect. Default null. */
  fused: boolean | null;
}

const options: OptionTable<SGDOptions> = {
  lr: nonNegative(0.001),
  momentum: nonNegative(0),
  dampening: finite(0),
  weightDecay: nonNegative(0),
  nesterov: flag(false),
  maximize: flag(false),
  foreach: ignored(null),
  differentiable: ignored(false),
  fused: ignored(null),
};

type Group = ParamGroup<SGDOptions, object>;

/**
 * Stochastic gradient descent (PyTorch's `SGD`; Sutskever et al. 2013 for momentum, with the
 * learning rate outside the buffer).
 *
 *     d = g + λ p;   b ← μ b + (1−τ) d  (b ← d at first);   p ← p − γ b
 *
 * With `nesterov`, p ← p − γ (d + μ b); without momentum, p ← p − γ d. `maximize` takes −g for g.
 * State: `momentum_buffer`, with momentum.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class SGD extends FusedOptimizer<SGDOptions> {
  constructor(params: ParamsOrGroups<SGDOptions>, given: Partial<SGDOptions> = {}) {
    super({ name: "SGD", options, counters: {}, check: checkNesterov }, params, given);
  }

  override eachKernel(
    group: Group,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void {
    const { lr, momentum, dampening, weightDecay: decay, nesterov } = group;
    const sign = group.maximize ? -1 : 1;
    const step = (includes: readonly boolean[], keep: number, gain: number): void => {
      for (const run of block.runs(includes)) {
        const state = momentum === 0 ? [] : [block.part(block.block("momentumBuffer"), run)];
        const look = nesterov ? momentum : 0;
        take<SgdAttrs>(sgdKernel, run, state, { sign, decay, lr, keep, gain, look });
      }
    };
    if (momentum === 0) {
      step(active, 0, 1);
      return;
    }
    // The buffer is 0 before the first gradient, which enters it whole.
    const fresh = active.map((is, i) => is && !block.started[i]);
    if (fresh.includes(true)) step(fresh, 0, 1);
    const known = active.map((is, i) => is && block.started[i]);
    if (known.includes(true)) step(known, momentum, 1 - dampening);
    block.start(active, []);
  }

  protected override stateKeys({ momentum }: Group): readonly StateKey[] {
    return [{ key: "momentum_buffer", block: "momentumBuffer", optional: momentum === 0 }];
  }
}

function checkNesterov(where: string, { nesterov, momentum, dampening }: SGDOptions): void {
  if (!nesterov || (momentum > 0 && dampening === 0)) return;
  throw new ValueError(
    `${where}: nesterov with momentum ${momentum} and dampening ${dampening}; ` +
      "expected momentum > 0 and dampening 0",
  );
}
