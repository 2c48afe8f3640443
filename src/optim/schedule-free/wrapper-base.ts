/**
 * What the two wrappers share: Schedule-Free around an optimizer that knows nothing of it. The
 * sequences and counters are kept here, apart from the state of the wrapped optimizer, which steps z
 * as if z were the parameters.
 */
import { takeEveryTime } from "../../capture.ts";
import { copy } from "../../autograd.ts";
import { ValueError } from "../../errors.ts";
import { runInPlace } from "../../op.ts";
import { runScoped } from "../../scope.ts";
import { enableGrad, withRecording } from "../../tape.ts";
import type { Tensor } from "../../tensor.ts";
import { empty } from "../../tensor.ts";
import type { BaseOptions } from "../base/base-optimizer.ts";
import { BaseOptimizer } from "../base/base-optimizer.ts";
import type { FlatGroup } from "../flat.ts";
import { emptyBlock } from "../flat.ts";
import type { GroupOptions, ParamGroup } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { checkOptions, nonNegative, unit, withDefaults } from "../options.ts";
import type { StateDict, StateValue } from "../state-dict.ts";
import { assign, parseStateDict } from "../state-dict.ts";
import type { AveragingStep } from "./coefficients.ts";
import { averagingStep } from "./coefficients.ts";
import type { ModalGroup } from "./modes.ts";
import { markSequence, Modes, unmarkSequence } from "./modes.ts";

export interface ScheduleFreeWrapperOptions {
  /** β, the interpolation between z (0) and x (1), where gradients are taken. Default 0.9. */
  momentum: number;
  /** λ: lr·λy is taken from z. (Weight decay of the wrapped optimizer acts at z.) Default 0. */
  weightDecayAtY: number;
  /** Step t weighs (t + 1)^r in the average. Default 0. */
  r: number;
  /** Step t weighs (largest lr so far)^weightLrPower in the average. Default 2. */
  weightLrPower: number;
}

const wrapperOptions: OptionTable<ScheduleFreeWrapperOptions> = {
  momentum: unit(0.9),
  weightDecayAtY: nonNegative(0),
  r: nonNegative(0),
  weightLrPower: nonNegative(2),
};

/** A group's counters. `lr` is the wrapped optimizer's, where schedulers set it. */
export interface WrapperCounters {
  k: number;
  weightSum: number;
  lrMax: number;
}

const atStart: WrapperCounters = { k: 0, weightSum: 0, lrMax: 0 };

/** The Schedule-Free side of one group of the wrapped optimizer. */
export class Side implements ModalGroup, WrapperCounters {
  k = 0;
  weightSum = 0;
  lrMax = 0;
  trainMode: boolean;
  readonly params: readonly Tensor[];
  /** Which parameters have sequences. */
  readonly started: boolean[];
  private readonly block: FlatGroup;
  private readonly sequences = new Map<string, Tensor>();

  constructor(block: FlatGroup, trainMode: boolean) {
    this.block = block;
    this.params = block.params;
    this.started = block.params.map(() => false);
    this.trainMode = trainMode;
  }

  has(name: string): boolean {
    return this.sequences.has(name);
  }

  /** A sequence in the order of the group's block; zeros when it is new. */
  get(name: string): Tensor {
    const known = this.sequences.get(name);
    if (known !== undefined) return known;
    const made = emptyBlock(this.block.values, name);
    this.sequences.set(name, made);
    return made;
  }

  drop(name: string): void {
    this.sequences.get(name)?.dispose();
    this.sequences.delete(name);
  }

  dropAll(): void {
    for (const sequence of this.sequences.values()) sequence.dispose();
    this.sequences.clear();
  }

  /** The named sequences of parameters that take part for the first time are their values now. */
  start(active: readonly boolean[], names: readonly string[]): void {
    const fresh = active.map((takesPart, i) => takesPart && !this.started[i]);
    if (!fresh.includes(true)) return;
    const runs = this.block.runs(fresh);
    for (const name of names) this.block.copyRuns(this.block.values, this.get(name), runs);
    fresh.forEach((isFresh, i) => {
      if (isFresh) this.started[i] = true;
    });
  }
}

/** A wrapped group; D-adapting optimizers write their estimate as `d`, which scales lr. */
type BaseGroup<O, C> = ParamGroup<O, C> & { readonly d?: number };

export abstract class ScheduleFreeAround<O extends BaseOptions, C extends object> {
  /** The wrapped optimizer; its groups hold lr. */
  readonly base: BaseOptimizer<O, C>;
  readonly options: Readonly<ScheduleFreeWrapperOptions>;
  private readonly className: string;
  private readonly modes: Modes<Side>;
  private readonly sides: Side[] = [];

  protected constructor(
    className: string,
    base: BaseOptimizer<O, C>,
    options: Partial<ScheduleFreeWrapperOptions>,
  ) {
    if (!(base instanceof BaseOptimizer)) {
      throw new ValueError(
        `${className}: the first argument is no optimizer that can be wrapped; expected SGD, Adam, ` +
          "AdamW, RMSprop, Adagrad, RAdam or another subclass of BaseOptimizer",
      );
    }
    checkOptions(className, wrapperOptions, options);
    this.className = className;
    this.base = base;
    this.options = withDefaults(wrapperOptions, {}, options);
    this.modes = new Modes<Side>(false, {
      name: className,
      eachGroup: (visit) => this.eachGroup((_group, block, side) => visit(side, block)),
      started: ({ started }) => started,
      toX: (side, block) => this.toX(side, block),
      toY: (side, block, changed) => this.toY(side, block, changed),
    });
    this.eachGroup(() => {});
  }

  /** Both classes' names, as in checkpoints. */
  get name(): string {
    return `${this.className}(${this.base.name})`;
  }

  /** The wrapped optimizer's groups: set lr here. */
  get paramGroups(): readonly ParamGroup<O, C>[] {
    return this.base.paramGroups;
  }

  /** Averaging counters and mode of each group. */
  get counters(): readonly (Readonly<WrapperCounters> & { readonly trainMode: boolean })[] {
    this.eachGroup(() => {});
    return this.sides;
  }

  /** Adds a group to the wrapped optimizer; here it has its own counters and the current mode. */
  addParamGroup(group: GroupOptions<O>): void {
    this.base.addParamGroup(group);
    this.eachGroup(() => {});
  }

  zeroGrad(): void {
    this.base.zeroGrad();
  }

  /** Makes the parameters hold y, where gradients are taken. Idempotent. */
  train(): void {
    this.modes.switchTo(true);
  }

  /** Makes the parameters hold x, the average: to evaluate and to save. Idempotent. */
  eval(): void {
    this.modes.switchTo(false);
  }

  /** Runs `fn` with the parameters at x and goes back to the mode of before; see `ScheduleFree`. */
  withEval<T>(fn: () => T): T {
    return this.modes.withEval(fn);
  }

  /**
   * One step with the gradients in `grad`, which stay as they are.
   *
   * @param closure computes the loss and calls `backward()`; it runs in a scope, with gradients
   *   enabled. What it returns is returned, and lives on in the surrounding scope.
   * @throws ValueError for options out of their domain, LifetimeError in the wrong mode; nothing
   *   has changed then
   */
  step(): undefined;
  step<T>(closure: () => T): T;
  step<T>(closure?: () => T): T | undefined {
    const where = `${this.className}.step`;
    if (takeEveryTime(where, closure, () => this.step())) return undefined;
    this.modes.checkStep(where, this.counters);
    this.base.checkStep(where);
    const result = closure && runScoped(where, () => enableGrad(closure));
    this.base.prepare(where);
    const steps: AveragingStep[] = [];
    this.eachGroup((group, _block, side) => {
      const lr = group.lr * (group.d ?? 1);
      steps.push(averagingStep(this.className, this.options, side, lr));
      for (const name of this.kept()) side.get(name); // now, while nothing has changed
    });
    withRecording(false, () =>
      runScoped(where, () =>
        this.eachGroup((group, block, side, g) => {
          this.stepGroup(group, block, side, steps[g].ckp1);
          const { k, weightSum, lrMax } = steps[g];
          Object.assign(side, { k, weightSum, lrMax });
        }),
      ),
    );
    return result;
  }

  /** The wrapped optimizer's state, with sequences, counters and mode added under upstream's keys. */
  stateDict(): StateDict {
    const saved = this.base.stateDict();
    const state: Record<number, Record<string, StateValue>> = {};
    const groups: Record<string, unknown>[] = [];
    let next = 0;
    this.eachGroup((_group, block, side, g) => {
      side.params.forEach((_param, i) => {
        const number = next++;
        const ofBase = saved.state[number];
        if (ofBase !== undefined || side.started[i]) state[number] = { ...ofBase };
        if (!side.started[i]) return;
        for (const name of this.saved(side)) {
          if (side.has(name)) state[number][name] = copyOf(block.slice(side.get(name), i));
        }
      });
      const written = this.modes.written(side, block);
      groups.push({
        ...saved.param_groups[g],
        ...(written.includes(true) ? { written } : {}),
        k: side.k,
        weight_sum: side.weightSum,
        lr_max: side.lrMax,
        train_mode: side.trainMode,
        wrapper_momentum: this.options.momentum,
      });
    });
    return { state, param_groups: groups };
  }

  /**
   * Restores what `stateDict()`, or upstream's wrapper, saved (upstream leaves out the mode: the
   * current one stays). Load the model's parameters first: they must hold what they held when the
   * state was saved.
   *
   * @throws ValueError or ShapeError naming what differs; nothing has changed then
   */
  loadStateDict(dict: StateDict): void {
    const where = `${this.className}.loadStateDict`;
    const targets = this.counters.map((side) => ({
      ...atStart,
      trainMode: side.trainMode,
      params: (side as Side).params,
    }));
    const loaded = parseStateDict(where, dict, targets, {}, (side) =>
      this.saved(side).map((key) => ({ key, block: key, optional: true })),
    );
    dict.param_groups.forEach(({ wrapper_momentum: made }, g) => {
      const { momentum } = this.options;
      if (made === undefined || made === momentum) return;
      throw new ValueError(
        `${where}: group ${g} was saved with momentum ${String(made)}; expected ${momentum}, as ` +
          "this optimizer has: its y would not fit x and z",
      );
    });
    for (const state of Object.values(dict.state)) {
      const missing = "z" in state ? this.kept().find((name) => !(name in state)) : undefined;
      if (missing === undefined) continue;
      throw new ValueError(
        `${where}: a state has z but no ${missing} (it has ${Object.keys(state).join(", ")}); was ` +
          "it saved by the other wrapper?",
      );
    }
    this.base.loadStateDict({ ...dict, state: withoutSequences(dict.state) });
    this.eachGroup((_group, block, side, g) => {
      const { scalars, states } = loaded[g];
      Object.assign(side, atStart, scalars);
      side.dropAll();
      states.forEach((values, i) => {
        side.started[i] = values?.some(([{ key }]) => key === "z") ?? false;
        if (!side.started[i] || side.params[i].size === 0) return;
        for (const [{ block: name }, value] of values!) {
          runScoped(where, () => assign(block.slice(side.get(name), i), value));
        }
      });
      const { written } = dict.param_groups[g];
      this.modes.loaded(side, block, Array.isArray(written) ? (written as boolean[]) : []);
    });
  }

  /** Frees the memory of state and gradients, the wrapped optimizer's too; the parameters stay. */
  dispose(): void {
    for (const side of this.sides) {
      unmarkSequence(side);
      side.dropAll();
    }
    this.sides.length = 0;
    this.base.dispose();
  }

  /** A group's step; `ckp1` is the weight of the new z in the average. */
  protected abstract stepGroup(
    group: ParamGroup<O, C>,
    block: FlatGroup,
    side: Side,
    ckp1: number,
  ): void;

  protected abstract toX(side: Side, block: FlatGroup): void;

  protected abstract toY(side: Side, block: FlatGroup, changed: readonly boolean[]): void;

  /** The sequences that each parameter with a z has. */
  protected abstract kept(): readonly string[];

  /** In eval mode also y, so that coming back is exact. */
  private saved({ trainMode }: ModalGroup): string[] {
    return [...new Set([...this.kept(), ...(trainMode ? [] : ["y"])])];
  }

  /** Visits groups; sides of groups that have come since are made. */
  private eachGroup(
    visit: (group: BaseGroup<O, C>, block: FlatGroup, side: Side, g: number) => void,
  ): void {
    this.base.eachGroup((group, block, g) => {
      if (g === this.sides.length) {
        const side = new Side(block, this.modes.trainMode);
        this.sides.push(side);
        markSequence(side);
      }
      visit(group, block, this.sides[g], g);
    });
  }
}

/** A copy in the innermost scope. */
function copyOf(slice: Tensor): Tensor {
  const result = empty(slice.backend, slice.shape, slice.dtype, slice.label);
  if (result.size > 0) runInPlace(copy, [slice], [result], {});
  slice.dispose();
  return result;
}

/** What is the wrapped optimizer's own; a parameter that has nothing else has no state there. */
function withoutSequences(state: StateDict["state"]): StateDict["state"] {
  return Object.fromEntries(
    Object.entries(state).map(([number, { x: _x, y: _y, z: _z, ...rest }]) => [number, rest]),
  );
}
