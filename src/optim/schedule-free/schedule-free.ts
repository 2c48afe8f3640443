/**
 * What the Schedule-Free optimizers with modes share: averaging counters, `train()`, `eval()`.
 *
 * Three sequences (arXiv 2405.15682, section 2): gradients are taken at
 * y_t = (1−β) z_t + β x_t, the base iterate moves by z_{t+1} = z_t − γ d(y_t), and
 * x_{t+1} = (1−c) x_t + c z_{t+1} is its weighted average, which is what to evaluate and to keep.
 */
import type { FlatGroup } from "../flat.ts";
import type { OptimizerSpec, ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import { Optimizer } from "../optimizer.ts";
import type { AveragingCounters, AveragingOptions, AveragingStep } from "./coefficients.ts";
import { averagingStep, warmupLr } from "./coefficients.ts";
import { markSequence, Modes, unmarkSequence } from "./modes.ts";

/** A group's counters. `scheduledLr` is the learning rate of its last step, warmup included. */
export interface Counters extends AveragingCounters {
  /** True while the group's parameters hold y, false while they hold x. */
  trainMode: boolean;
}

/** `lrMax` starts below every learning rate. */
export const counters = (trainMode: boolean): Counters => ({
  k: 0,
  weightSum: 0,
  lrMax: -1,
  scheduledLr: 0,
  trainMode,
});

export type Group<O, C = Counters> = ParamGroup<O, C>;

export abstract class ScheduleFree<
  O extends AveragingOptions,
  C extends Counters = Counters,
> extends Optimizer<O, C> {
  /** Undefined while the base constructor adds the first groups. */
  private readonly modes: Modes<Group<O, C>> | undefined;

  protected constructor(spec: OptimizerSpec<O, C>, params: ParamsOrGroups<O>, options: Partial<O>) {
    super(spec, params, options);
    this.modes = new Modes<Group<O, C>>(spec.counters.trainMode, {
      name: spec.name,
      eachGroup: (visit) => this.eachGroup(visit),
      started: (_group, block) => block.started,
      toX: (group, block) => this.toX(group, block),
      toY: (group, block, changed) => this.toY(group, block, changed),
    });
  }

  /** Makes the parameters hold y, where gradients are taken. Idempotent. */
  train(): void {
    this.modes!.switchTo(true);
  }

  /** Makes the parameters hold x, the average: to evaluate and to save. Idempotent. */
  eval(): void {
    this.modes!.switchTo(false);
  }

  /**
   * Runs `fn` with the parameters at x and goes back to the mode of before, also when `fn` throws,
   * or when the promise it returns settles. Coming back is exact to the bit unless `fn` changes
   * parameters. Returns what `fn` returns.
   */
  withEval<T>(fn: () => T): T {
    return this.modes!.withEval(fn);
  }

  /** A group's step; counters are moved on by the caller. */
  protected abstract stepGroup(group: Group<O, C>, block: FlatGroup, step: AveragingStep): void;

  /** Sets the parameters that have state from y to x. */
  protected abstract toX(group: Group<O, C>, block: FlatGroup): void;

  /**
   * Sets the parameters that have state from x to y: to the bits they had before `toX`, but for
   * those in `changed`, which were written since and get the y that belongs to their new x.
   */
  protected abstract toY(group: Group<O, C>, block: FlatGroup, changed: readonly boolean[]): void;

  /** γ of the group's next step. */
  protected stepLr(group: Group<O, C>): number {
    return warmupLr(group.lr, group.warmupSteps ?? 0, group.k);
  }

  /** The scalars of the group's next step; throws for what would make every parameter NaN. */
  protected nextStep(group: Group<O, C>): AveragingStep {
    return averagingStep(this.spec.name, group, group, this.stepLr(group));
  }

  protected override update(blocks: readonly FlatGroup[]): void {
    // All scalars first: one that is out of range must not leave half of the groups stepped.
    const steps = this.paramGroups.map((group) => this.nextStep(group));
    this.paramGroups.forEach((group: AveragingCounters & Group<O, C>, g) => {
      const step = steps[g];
      this.stepGroup(group, blocks[g], step);
      group.k = step.k;
      group.weightSum = step.weightSum;
      group.lrMax = step.lrMax;
      group.scheduledLr = step.scheduledLr;
    });
  }

  protected override checkStep(where: string): void {
    this.modes!.checkStep(where, this.paramGroups);
    super.checkStep(where);
  }

  /** A group that comes late starts in the mode that the others are in. */
  protected override onAdd(group: Group<O, C>, _block: FlatGroup): void {
    group.trainMode = this.modes?.trainMode ?? group.trainMode;
    markSequence(group);
  }

  override dispose(): void {
    this.eachGroup(unmarkSequence);
    super.dispose();
  }

  /** Weights written in eval mode are a new x, whose y is not yet computed: say which. */
  protected override savedBeside(group: Group<O, C>, block: FlatGroup): Record<string, unknown> {
    const written = this.modes!.written(group, block);
    return written.includes(true) ? { written } : {};
  }

  protected override onLoad(
    group: Group<O, C>,
    block: FlatGroup,
    saved: Readonly<Record<string, unknown>>,
  ): void {
    const written = Array.isArray(saved.written) ? (saved.written as boolean[]) : [];
    this.modes!.loaded(group, block, written);
  }
}
