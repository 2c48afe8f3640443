/** Schedule-Free around any base optimizer: the form for training, and the one for reading. */
import { copy } from "../../autograd.ts";
import { runInPlace } from "../../op.ts";
import { add, mul, sub } from "../../ops/arithmetic.ts";
import type { Tensor } from "../../tensor.ts";
import type { BaseOptimizer, BaseOptions } from "../base/base-optimizer.ts";
import { asFused } from "../base/fused-optimizer.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { ParamGroup } from "../optimizer.ts";
import { xToY, yToX } from "./coefficients.ts";
import { lerpInPlace } from "./kernels.ts";
import type { ScheduleFreeWrapperOptions, Side } from "./wrapper-base.ts";
import { ScheduleFreeAround } from "./wrapper-base.ts";
import type { AfterAttrs, BeforeAttrs, WrappedAttrs } from "./wrapper-kernels.ts";
import { wrappedKernel, wrapperAfter, wrapperBefore } from "./wrapper-kernels.ts";

/**
 * Makes any base optimizer Schedule-Free (upstream `ScheduleFreeWrapper`):
 *
 *     z ← z − γλ y;   y ← y − (1−β) γλ y;   x = y + (1 − 1/β)(z − y)
 *     z ← base's step of z with ∇f(y);   x ← (1−c) x + c z;   y ← (1−β) z + β x
 *
 * with γ = lr of the base's group, where schedulers set it, and c weighted by γ (by γ·d if the group
 * has a number `d`, as D-adapting optimizers write).
 *
 *     const base = new optim.RMSprop(model.parameters(), { lr: 0.0025 });
 *     const optimizer = new optim.ScheduleFreeWrapper(base, { weightDecayAtY: 0.1 });
 *
 * The base's own momentum can stay 0: β does that work. Parameters without gradient are skipped.
 * Parameters hold y in train mode and x in eval mode; it starts in **eval** mode. Do not call the
 * base's `step()`. State: `z` (kept here) and what the base has.
 *
 * Upstream puts z into the base's own state, so that Adam, AdamW, RMSprop and RAdam raise; leaves its
 * mode out of saved state; divides 0 by 0 when lr starts at 0. None of that here.
 *
 * @throws ValueError for options out of their domain and for what cannot be wrapped
 */
export class ScheduleFreeWrapper<
  O extends BaseOptions,
  C extends object,
> extends ScheduleFreeAround<O, C> {
  constructor(base: BaseOptimizer<O, C>, options: Partial<ScheduleFreeWrapperOptions> = {}) {
    super("ScheduleFreeWrapper", base, options);
  }

  /** With β = 0, y is z and says nothing of x, which is then kept too. */
  protected override kept(): readonly string[] {
    return this.options.momentum === 0 ? ["z", "x"] : ["z"];
  }

  protected override stepGroup(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    side: Side,
    ckp1: number,
  ): void {
    const { momentum: beta, weightDecayAtY } = this.options;
    const zDecay = group.lr * weightDecayAtY;
    const active = block.gather();
    side.start(active, this.kept());
    const yDecay = zDecay * (1 - beta);
    const toX = beta === 0 ? 0 : yToX(beta);
    const toY = xToY(beta);
    const fused = asFused(this.base);
    if (fused === null) {
      this.stepApart(group, block, side, active, { zDecay, yDecay, toX, ckp1, toY });
    } else {
      const z = side.get("z");
      fused.eachKernel(group, block, active, (kernel, run, state, attrs) => {
        const outputs = [block.part(block.values, run), block.part(z, run), ...state];
        const inputs = [block.part(block.grads, run)];
        if (beta === 0) outputs.push(block.part(side.get("x"), run));
        runInPlace<WrappedAttrs>(wrappedKernel(kernel), inputs, outputs, {
          step: attrs,
          keepsX: beta === 0 ? 1 : 0,
          zDecay,
          yDecay,
          toX,
          ckp1,
          toY,
        });
      });
    }
    block.touch(active);
  }

  /** The base's step between passes of the wrapper, where it is more than a kernel. */
  private stepApart(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    side: Side,
    active: readonly boolean[],
    numbers: BeforeAttrs & AfterAttrs,
  ): void {
    const z = side.get("z");
    const runs = block.runs(active);
    for (const run of runs) {
      wrapperBefore(block.part(block.values, run), block.part(z, run), numbers);
    }
    this.base.stepRuns(group, block, z, active);
    if (this.options.momentum === 0) {
      lerpRuns(block, side.get("x"), z, numbers.ckp1, runs);
      block.copyRuns(z, block.values, runs);
      return;
    }
    for (const run of runs) {
      wrapperAfter(block.part(block.values, run), block.part(z, run), numbers);
    }
  }

  protected override toX(side: Side, block: FlatGroup): void {
    const beta = this.options.momentum;
    const runs = block.runs(side.started);
    block.copyRuns(block.values, side.get("y"), runs);
    if (beta === 0) block.copyRuns(side.get("x"), block.values, runs);
    else lerpRuns(block, block.values, side.get("z"), yToX(beta), runs);
  }

  protected override toY(side: Side, block: FlatGroup, changed: readonly boolean[]): void {
    const beta = this.options.momentum;
    const same = side.started.map((is, i) => is && side.has("y") && !changed[i]);
    const runs = block.runs(side.started.map((is, i) => is && !same[i]));
    if (same.includes(true)) block.copyRuns(side.get("y"), block.values, block.runs(same));
    if (beta === 0) block.copyRuns(block.values, side.get("x"), runs);
    lerpRuns(block, block.values, side.get("z"), xToY(beta), runs);
    side.drop("y");
  }
}

/**
 * The wrapper as equations, with x, y and z stored (upstream `ScheduleFreeWrapperReference`); see
 * `ScheduleFreeWrapper`. Parameters without gradient do take part, as upstream: decay and averaging
 * go on without the base's step. State: `x`, `y`, `z`.
 *
 * @throws ValueError for options out of their domain and for what cannot be wrapped
 */
export class ScheduleFreeWrapperReference<
  O extends BaseOptions,
  C extends object,
> extends ScheduleFreeAround<O, C> {
  constructor(base: BaseOptimizer<O, C>, options: Partial<ScheduleFreeWrapperOptions> = {}) {
    super("ScheduleFreeWrapperReference", base, options);
  }

  protected override kept(): readonly string[] {
    return ["x", "y", "z"];
  }

  protected override stepGroup(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    side: Side,
    c: number,
  ): void {
    const { momentum: beta, weightDecayAtY } = this.options;
    const all = side.params.map(() => true);
    side.start(all, this.kept());
    const [x, y, z] = this.kept().map((name) => side.get(name));
    assign(z, sub(z, mul(y, group.lr * weightDecayAtY)));
    this.base.stepRuns(group, block, z, block.gather());
    assign(x, add(mul(x, 1 - c), mul(z, c)));
    assign(y, add(mul(x, beta), mul(z, 1 - beta)));
    assign(block.values, y);
    block.touch(all);
  }

  protected override toX(side: Side, block: FlatGroup): void {
    block.copyRuns(side.get("x"), block.values, block.runs(side.started));
  }

  protected override toY(side: Side, block: FlatGroup, changed: readonly boolean[]): void {
    const beta = this.options.momentum;
    for (const run of block.runs(changed)) {
      const [x, y, z] = this.kept().map((name) => block.part(side.get(name), run));
      assign(x, block.part(block.values, run));
      assign(y, add(mul(x, beta), mul(z, 1 - beta)));
    }
    block.copyRuns(side.get("y"), block.values, block.runs(side.started));
  }
}

/** target += weight (towards − target), by runs. */
function lerpRuns(
  block: FlatGroup,
  target: Tensor,
  towards: Tensor,
  weight: number,
  runs: readonly Run[],
): void {
  for (const run of runs) {
    lerpInPlace(block.part(target, run), block.part(towards, run), weight);
  }
}

/** target ← value */
function assign(target: Tensor, value: Tensor): void {
  if (target.size > 0) runInPlace(copy, [value], [target], {});
}
