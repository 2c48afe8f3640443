/**
 * Schedule-Free with y and z in memory and one kernel pass per step: x = y + (1 − 1/β)(z − y) is
 * computed when `eval()` asks for it. With β = 0 that is impossible (y is z), so x is kept beside.
 */
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { OptimizerSpec, ParamsOrGroups } from "../optimizer.ts";
import type { StateKey } from "../state-dict.ts";
import type { AveragingOptions, AveragingStep } from "./coefficients.ts";
import { xToY, yToX } from "./coefficients.ts";
import { lerpInPlace } from "./kernels.ts";
import type { Counters, Group } from "./schedule-free.ts";
import { ScheduleFree } from "./schedule-free.ts";

export abstract class FusedScheduleFree<O extends AveragingOptions> extends ScheduleFree<O> {
  /** The β that each group's y was made with: options may change between steps. */
  private readonly betas = new WeakMap<FlatGroup, number>();

  protected constructor(
    spec: OptimizerSpec<O, Counters>,
    params: ParamsOrGroups<O>,
    options: Partial<O>,
  ) {
    super(spec, params, options);
  }

  /** The interpolation between z (0) and x (1). */
  protected abstract beta(group: Group<O>): number;

  /** The fused kernel on one run. Blocks: "z", and what else the algorithm keeps; `mean`: the run's x where it is kept. */
  protected abstract stepRun(
    group: Group<O>,
    block: FlatGroup,
    run: Run,
    step: AveragingStep,
    mean: Tensor | undefined,
  ): void;

  protected override stepGroup(group: Group<O>, block: FlatGroup, step: AveragingStep): void {
    const beta = this.beta(group);
    this.rebase(block, beta);
    const active = block.gather();
    block.start(active, beta === 0 ? ["z", "x"] : ["z"]);
    for (const run of block.runs(active)) {
      const mean = beta === 0 ? block.part(block.block("x"), run) : undefined;
      this.stepRun(group, block, run, step, mean);
    }
    block.touch(active);
  }

  protected override toX(_group: Group<O>, block: FlatGroup): void {
    const runs = block.runs(block.started);
    block.copyRuns(block.values, block.block("y"), runs);
    this.setX(block, this.betas.get(block)!, runs);
  }

  protected override toY(group: Group<O>, block: FlatGroup, changed: readonly boolean[]): void {
    const { started } = block;
    const beta = this.beta(group);
    const exact = block.has("y") && beta === this.betas.get(block);
    const same = started.map((isStarted, i) => isStarted && exact && !changed[i]);
    const other = started.map((isStarted, i) => isStarted && !same[i]);
    if (same.includes(true)) block.copyRuns(block.block("y"), block.values, block.runs(same));
    if (other.includes(true)) this.setY(block, beta, block.runs(other));
    block.drop("y");
    if (beta !== 0) block.drop("x");
    this.betas.set(block, beta);
  }

  protected override stateKeys(group: Group<O>): readonly StateKey[] {
    return [
      { key: "z", block: "z" },
      { key: "x", block: "x", optional: this.beta(group) !== 0 },
      ...(group.trainMode ? [] : [{ key: "y", block: "y", optional: true }]),
    ];
  }

  /** A β changed after the last step has not moved y yet: say which one y was made with. */
  protected override savedBeside(group: Group<O>, block: FlatGroup): Record<string, unknown> {
    const made = this.betas.get(block) ?? this.beta(group);
    const beside = super.savedBeside(group, block);
    return made === this.beta(group) ? beside : { ...beside, y_beta: made };
  }

  protected override onLoad(
    group: Group<O>,
    block: FlatGroup,
    saved: Readonly<Record<string, unknown>>,
  ): void {
    super.onLoad(group, block, saved);
    const made = saved.y_beta;
    this.betas.set(block, typeof made === "number" ? made : this.beta(group));
  }

  /** β has changed since y was made: x and z stay, and y moves to its new place between them. */
  private rebase(block: FlatGroup, beta: number): void {
    const known = this.betas.get(block);
    if (known === beta) return;
    const before = known ?? beta;
    this.betas.set(block, beta);
    if (before === beta || !block.started.includes(true)) return;
    const runs = block.runs(block.started);
    this.setX(block, before, runs);
    this.setY(block, beta, runs);
    block.touch(block.started);
    if (beta !== 0) block.drop("x");
  }

  private setX(block: FlatGroup, beta: number, runs: readonly Run[]): void {
    if (beta === 0) {
      block.copyRuns(block.block("x"), block.values, runs);
      return;
    }
    const z = block.block("z");
    for (const run of runs) {
      lerpInPlace(block.part(block.values, run), block.part(z, run), yToX(beta));
    }
  }

  private setY(block: FlatGroup, beta: number, runs: readonly Run[]): void {
    const z = block.block("z");
    if (beta === 0) {
      block.copyRuns(block.values, block.block("x"), runs);
      block.copyRuns(z, block.values, runs);
      return;
    }
    for (const run of runs) {
      lerpInPlace(block.part(block.values, run), block.part(z, run), xToY(beta));
    }
  }
}
