/** Base optimizers whose step is one kernel: what a wrapper can put into a pass of its own. */
import type { Kernel } from "../../backend/backend.ts";
import { runInPlace } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { ParamGroup } from "../optimizer.ts";
import type { BaseOptions } from "./base-optimizer.ts";
import { BaseOptimizer } from "./base-optimizer.ts";

/**
 * Takes a step's kernel on one run: grad → what is stepped and then `state` (blocks of the optimizer, or runs of
 * them), all in place.
 */
export type TakeKernel = <A extends object>(
  kernel: Kernel,
  run: Run,
  state: readonly Tensor[],
  attrs: A,
) => void;

export abstract class FusedOptimizer<
  O extends BaseOptions = BaseOptions,
  C extends object = object,
> extends BaseOptimizer<O, C> {
  /**
   * One step of the parameters in `active` without the step itself: moves counters on and hands the kernels over. The
   * runs do not overlap, and are together what is active.
   */
  abstract eachKernel(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    active: readonly boolean[],
    take: TakeKernel,
  ): void;

  override stepRuns(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    target: Tensor,
    active: readonly boolean[],
  ): void {
    this.eachKernel(group, block, active, (kernel, run, state, attrs) => {
      const outputs = [block.part(target, run), ...state];
      runInPlace(kernel, [block.part(block.grads, run)], outputs, attrs);
    });
  }
}

/** The optimizer, if its step is what `eachKernel` hands over and nothing else. */
export function asFused<O extends BaseOptions, C extends object>(
  base: BaseOptimizer<O, C>,
): FusedOptimizer<O, C> | null {
  const { stepRuns } = FusedOptimizer.prototype;
  return base instanceof FusedOptimizer && base.stepRuns === stepRuns ? base : null;
}
