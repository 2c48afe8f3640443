/**
 * The Schedule-Free optimizers without modes: between steps the parameters hold x, and only while
 * the closure runs do they hold y. No `train()` or `eval()` to forget, one block of memory more
 * during the step, and the loss has to be a function that `step` calls.
 */
import { ValueError } from "../../errors.ts";
import { withRecording } from "../../tape.ts";
import { runScoped } from "../../scope.ts";
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { OptimizerSpec, ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import { Optimizer } from "../optimizer.ts";
import type { StateKey } from "../state-dict.ts";
import type { AdamWScheduleFreeBaseOptions } from "./adamw.ts";
import { adamwBaseOptions, momentKeys, stepAdamWRun } from "./adamw.ts";
import type { AveragingCounters, AveragingOptions, AveragingStep } from "./coefficients.ts";
import { averagingStep, biasCorrection, warmupLr, xToY } from "./coefficients.ts";
import { lerpKeeping } from "./kernels.ts";
import type { SGDScheduleFreeOptions } from "./sgd.ts";
import { sgdOptions, stepSgdRun } from "./sgd.ts";

export type ClosureGroup<O> = ParamGroup<O, AveragingCounters>;

export const closureCounters: AveragingCounters = { k: 0, weightSum: 0, lrMax: 0, scheduledLr: 0 };

/** Base class of the forms without modes. */
export abstract class ScheduleFreeClosure<O extends AveragingOptions> extends Optimizer<
  O,
  AveragingCounters
> {
  protected constructor(
    spec: OptimizerSpec<O, AveragingCounters>,
    params: ParamsOrGroups<O>,
    options: Partial<O>,
  ) {
    super(spec, params, options);
  }

  /**
   * Moves the parameters to y, calls `closure` (it computes the loss and calls `backward()`), steps,
   * and leaves the parameters at x. When the closure throws, they are at x as before.
   *
   * A parameter that has state but gets no gradient in this step stays at y, as upstream.
   */
  override step(): never;
  override step<T>(closure: () => T): T;
  override step<T>(closure?: () => T): T {
    if (typeof closure !== "function") {
      throw new ValueError(
        `${this.spec.name}.step: called without a closure; expected a function that computes the ` +
          "loss and calls backward()",
      );
    }
    try {
      return super.step(closure);
    } catch (error) {
      this.moved("back to x", (_group, block) => {
        if (block.has("x"))
          block.copyRuns(block.block("x"), block.values, block.runs(block.started));
      });
      throw error;
    } finally {
      this.eachGroup((_group, block) => block.drop("x"));
    }
  }

  protected abstract beta(group: ClosureGroup<O>): number;

  /** z ← z − γ d(y) on one run, by the fused kernel, and y ← x + c (z − x), where `x` is the run's x. */
  protected abstract stepRun(
    group: ClosureGroup<O>,
    block: FlatGroup,
    run: Run,
    x: Tensor,
    step: AveragingStep,
  ): void;

  /** γ of the group's next step. */
  protected stepLr(group: ClosureGroup<O>): number {
    return warmupLr(group.lr, group.warmupSteps ?? 0, group.k);
  }

  protected override evaluate<T>(closure: () => T): T {
    this.moved("to y", (group, block) => {
      block.room("x");
      for (const run of block.runs(block.started)) {
        const part = (name: string): Tensor => block.part(block.block(name), run);
        lerpKeeping(part("values"), part("x"), part("z"), xToY(this.beta(group)));
      }
    });
    return super.evaluate(closure);
  }

  protected override update(blocks: readonly FlatGroup[]): void {
    const steps = this.paramGroups.map((group) =>
      averagingStep(this.spec.name, group, group, this.stepLr(group)),
    );
    for (const block of blocks) block.room("x"); // now, while nothing has changed
    this.paramGroups.forEach((group, g) => {
      this.stepGroup(group, blocks[g], steps[g]);
      const { k, weightSum, lrMax, scheduledLr } = steps[g];
      Object.assign(group, { k, weightSum, lrMax, scheduledLr });
    });
  }

  protected override stateKeys(_group: ClosureGroup<O>): readonly StateKey[] {
    return [{ key: "z", block: "z" }];
  }

  private stepGroup(group: ClosureGroup<O>, block: FlatGroup, step: AveragingStep): void {
    const active = block.gather();
    block.start(active, ["x", "z"]);
    for (const run of block.runs(active)) {
      this.stepRun(group, block, run, block.part(block.block("x"), run), step);
    }
    block.touch(active);
  }

  private moved(label: string, move: (group: ClosureGroup<O>, block: FlatGroup) => void): void {
    withRecording(false, () =>
      runScoped(`${this.spec.name}.step, ${label}`, () =>
        this.eachGroup((group, block) => {
          if (!block.started.includes(true)) return;
          move(group, block);
          block.touch(block.started);
        }),
      ),
    );
  }
}

/**
 * Schedule-Free SGD with a closure (upstream `SGDScheduleFreeClosure`); equations and options as for
 * `SGDScheduleFree`, but parameters hold x between steps and there are no modes. State: `z`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class SGDScheduleFreeClosure extends ScheduleFreeClosure<SGDScheduleFreeOptions> {
  constructor(
    params: ParamsOrGroups<SGDScheduleFreeOptions>,
    options: Partial<SGDScheduleFreeOptions> = {},
  ) {
    super(
      { name: "SGDScheduleFreeClosure", options: sgdOptions, counters: closureCounters },
      params,
      options,
    );
  }

  protected override beta(group: ClosureGroup<SGDScheduleFreeOptions>): number {
    return group.momentum;
  }

  protected override stepRun(
    group: ClosureGroup<SGDScheduleFreeOptions>,
    block: FlatGroup,
    run: Run,
    x: Tensor,
    { scheduledLr: lr, ckp1 }: AveragingStep,
  ): void {
    stepSgdRun(group, block, run, { lr, ckp1, yStep: 0, x });
  }
}

/**
 * Schedule-Free AdamW with a closure (upstream `AdamWScheduleFreeClosure`); equations and options as
 * for `AdamWScheduleFree`, but no inner momentum, parameters hold x between steps and there are no
 * modes. State: `z`, `exp_avg_sq`.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class AdamWScheduleFreeClosure extends ScheduleFreeClosure<AdamWScheduleFreeBaseOptions> {
  constructor(
    params: ParamsOrGroups<AdamWScheduleFreeBaseOptions>,
    options: Partial<AdamWScheduleFreeBaseOptions> = {},
  ) {
    const name = "AdamWScheduleFreeClosure";
    super({ name, options: adamwBaseOptions, counters: closureCounters }, params, options);
  }

  protected override beta(group: ClosureGroup<AdamWScheduleFreeBaseOptions>): number {
    return group.betas[0];
  }

  protected override stepRun(
    group: ClosureGroup<AdamWScheduleFreeBaseOptions>,
    block: FlatGroup,
    run: Run,
    x: Tensor,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
  ): void {
    const bias2 = biasCorrection(group.betas[1], t);
    stepAdamWRun(group, block, run, { t, bias2, innerMomentum: 0, lr, ckp1, yStep: 0, x });
  }

  protected override stateKeys(
    group: ClosureGroup<AdamWScheduleFreeBaseOptions>,
  ): readonly StateKey[] {
    return [...super.stateKeys(group), ...momentKeys(0)];
  }
}
