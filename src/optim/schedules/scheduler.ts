/**
 * What all learning-rate schedulers share. Names, options (camelCase), the order of calls and the
 * saved keys are those of `torch.optim.lr_scheduler`; the numbers are checked against it.
 *
 * Making a scheduler sets the rate of step 0; call `step()` after each `optimizer.step()` (or after
 * each epoch: the scheduler's "epoch" is whatever it is stepped by). Most are **chainable**: the
 * next rate follows from the present one, so that several may work on one optimizer.
 */
import { live } from "../../capture.ts";
import { ValueError } from "../../errors.ts";
import type { Option, OptionTable } from "../options.ts";
import { checkOption, checkOptions, snakeCase, withDefaults } from "../options.ts";

/** What a scheduler needs of an optimizer: all of ours have it, Schedule-Free ones included. */
export interface Scheduled {
  readonly paramGroups: readonly { lr: number }[];
}

/** A number for all groups, or one per group. */
export type PerGroup<T = number> = T | readonly T[];

export interface SchedulerOptions {
  /** The index of the last epoch done: −1 starts anew; else groups must have `initialLr`. */
  lastEpoch: number;
}

/** Saved state: PyTorch's keys. Functions are not saved. */
export type SchedulerState = Readonly<Record<string, unknown>>;

/** Any scheduler that composes: what `SequentialLR` and `ChainedScheduler` take. */
export interface Steppable {
  readonly optimizer: Scheduled;
  step(): void;
  getLastLr(): number[];
  stateDict(): SchedulerState;
  loadStateDict(state: SchedulerState): void;
}

type Group = { lr: number; initialLr?: number };

const lastEpoch: Option<number> = {
  default: -1,
  expected: "a whole number ≥ -1",
  accepts: (value) => Number.isInteger(value) && (value as number) >= -1,
};

/** PyTorch's keys that snake_case does not give. */
const torchKeys: Readonly<Record<string, string>> = {
  tMax: "T_max",
  t0: "T_0",
  tMult: "T_mult",
  tCur: "T_cur",
  tI: "T_i",
};

export const torchKey = (name: string): string => torchKeys[name] ?? snakeCase(name);

/**
 * Base class. `O` are the options; `counters` is what else changes while it runs. Subclasses have no
 * fields: the first step is taken by this constructor.
 */
export abstract class LRScheduler<O extends object = object> implements Steppable {
  readonly optimizer: Scheduled;
  readonly name: string;
  /** The rates that factors apply to, one per group. */
  readonly baseLrs: number[];
  /** The number of the step that the present rates are for, from 0. */
  lastEpoch: number;
  protected readonly options: O;
  protected readonly counters: Record<string, number>;
  protected stepCount = 0;
  private readonly table: OptionTable<O>;
  private lastLr: number[] = [];

  protected constructor(
    name: string,
    table: OptionTable<O>,
    optimizer: Scheduled,
    options: Partial<O & SchedulerOptions>,
    counters: Record<string, number> = {},
  ) {
    const withEpoch = { ...table, lastEpoch } as OptionTable<O & SchedulerOptions>;
    const { lastEpoch: last, ...rest } = readOptions(name, withEpoch, options);
    this.name = name;
    this.table = table;
    this.optimizer = optimizer;
    this.options = rest as unknown as O;
    this.counters = { ...counters };
    this.lastEpoch = last;
    if (last === -1) this.prepare();
    this.baseLrs = (optimizer.paramGroups as readonly Group[]).map((group, g) => {
      if (last === -1) return (group.initialLr ??= group.lr);
      if (group.initialLr !== undefined) return group.initialLr;
      throw new ValueError(
        `${name}: group ${g} has no initialLr, which lastEpoch = ${last} needs; ` +
          "set it to the rate at the start, or use loadStateDict()",
      );
    });
    this.restart();
  }

  /** Sets every group's rate for the next step. A group added since the last call joins in. */
  step(): void {
    live(() => {
      this.stepCount++;
      this.lastEpoch++;
      this.set((lr, base, g) => this.next(lr, base, g));
    });
  }

  /** The rates that are in effect, one per group. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  /** Options and counters. Save the optimizer's state beside it: rates and momenta are there. */
  stateDict(): SchedulerState {
    const state: Record<string, unknown> = {};
    for (const [name, value] of Object.entries({ ...this.options, ...this.counters })) {
      if (isData(value)) state[torchKey(name)] = Array.isArray(value) ? [...value] : value;
    }
    return {
      ...state,
      base_lrs: [...this.baseLrs],
      last_epoch: this.lastEpoch,
      _step_count: this.stepCount,
      _last_lr: this.getLastLr(),
    };
  }

  /**
   * Restores what `stateDict()` saved, options included, and sets the groups' rates to the saved
   * ones, so that it does not matter whether the optimizer was loaded before.
   *
   * @throws ValueError naming what does not fit; nothing has changed then
   */
  loadStateDict(state: SchedulerState): void {
    const where = `${this.name}.loadStateDict`;
    const n = this.optimizer.paramGroups.length;
    const base = numbers(where, state, "base_lrs", n);
    const last = numbers(where, state, "_last_lr", n);
    const epoch = number(where, state, "last_epoch");
    const count = number(where, state, "_step_count");
    const options: Record<string, unknown> = {};
    for (const name in this.table) {
      const value = state[torchKey(name)];
      if (value === undefined || value === null || !isData(value)) continue;
      checkOption(where, this.table, name, value);
      options[name] = Array.isArray(value) ? [...value] : value;
    }
    const counters: Record<string, number> = {};
    for (const name in this.counters) counters[name] = number(where, state, torchKey(name));
    Object.assign(this.options, options);
    Object.assign(this.counters, counters);
    this.baseLrs.splice(0, this.baseLrs.length, ...base);
    this.lastEpoch = epoch;
    this.stepCount = count;
    this.set((_lr, _base, g) => last[g]);
    this.onLoad();
  }

  /** Takes the first step anew; for `SequentialLR`, which makes its schedulers wait. */
  restart(): void {
    this.stepCount = 0;
    this.step();
  }

  /** Goes back by one epoch without touching rates; for `SequentialLR`. */
  undo(): void {
    this.lastEpoch--;
  }

  /** Sets the rates that belong to an epoch, by the closed form where there is one. */
  jump(epoch: number): void {
    this.stepCount++;
    this.lastEpoch = epoch;
    this.set((lr, base, g) => this.at(lr, base, g));
  }

  /** The rate for `lastEpoch`, from the present rate of group g and its base rate. */
  protected abstract next(lr: number, base: number, g: number): number;

  /** The rate for `lastEpoch` whatever was before; `next` where no closed form is known. */
  protected at(lr: number, base: number, g: number): number {
    return this.next(lr, base, g);
  }

  /** Called before base rates are read when starting anew. */
  protected prepare(): void {}

  /** Called when saved state is in place. */
  protected onLoad(): void {}

  protected set(rate: (lr: number, base: number, g: number) => number): void {
    const groups = this.optimizer.paramGroups as readonly Group[];
    for (let g = this.baseLrs.length; g < groups.length; g++) {
      this.baseLrs.push((groups[g].initialLr ??= groups[g].lr));
    }
    const rates = groups.map((group, g) => rate(group.lr, this.baseLrs[g], g));
    groups.forEach((group, g) => {
      group.lr = rates[g];
    });
    this.lastLr = rates;
  }

  /** A group's value of an option that may be a list. */
  protected pick<T>(name: string, value: PerGroup<T>, g: number): T {
    return pickFor(this.name, name, value, g);
  }
}

/** @throws ValueError when a list has no value for the group */
export function pickFor<T>(where: string, name: string, value: PerGroup<T>, g: number): T {
  if (!Array.isArray(value)) return value as T;
  if (g < value.length) return (value as readonly T[])[g];
  throw new ValueError(
    `${where}: ${name} is a list of ${value.length}; expected one value for each group, ` +
      `and there is a group ${g} (or give one number for all)`,
  );
}

/** The options given over the defaults, every one checked: `undefined` stands for a missing one. */
export function readOptions<O extends object>(
  where: string,
  table: OptionTable<O>,
  options: Partial<O>,
): O {
  checkOptions(where, table, options);
  const result = withDefaults(table, {}, options);
  for (const name in table) checkOption(where, table, name, result[name]);
  return result;
}

export const isFinite = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);

/** An option that may be left out (null) or must be given (undefined). */
export function option<T>(
  preset: T,
  expected: string,
  accepts: (value: unknown) => boolean,
): Option<T> {
  return { default: preset, expected, accepts: (value) => value === preset || accepts(value) };
}

export function required<T>(expected: string, accepts: (value: unknown) => boolean): Option<T> {
  return { default: undefined as T, expected, accepts };
}

export const real = (preset: number): Option<number> => option(preset, "a finite number", isFinite);

/** A whole number that is at least `least`. */
export const isWhole = (value: unknown, least: number): boolean =>
  Number.isInteger(value) && (value as number) >= least;

/** A finite number, or a list of them with one per group. */
export const isPerGroup = (value: unknown): boolean =>
  isFinite(value) || (Array.isArray(value) && value.every(isFinite));

/** A function, or a list of them with one per group. */
export const isFunctionPerGroup = (value: unknown): boolean =>
  typeof value === "function" ||
  (Array.isArray(value) && value.every((item) => typeof item === "function"));

const isData = (value: unknown): boolean =>
  typeof value !== "function" &&
  !(Array.isArray(value) && value.some((item) => typeof item === "function"));

export function number(where: string, state: SchedulerState, key: string): number {
  const value = state[key];
  if (typeof value === "number" && !Number.isNaN(value)) return value;
  throw new ValueError(`${where}: ${key} is ${String(value)}; expected a number`);
}

function numbers(where: string, state: SchedulerState, key: string, n: number): number[] {
  const value = state[key];
  if (Array.isArray(value) && value.length === n && value.every(isFinite)) return [...value];
  throw new ValueError(
    `${where}: ${key} is ${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}; ` +
      `expected ${n} number${n === 1 ? "" : "s"}, one for each group`,
  );
}
