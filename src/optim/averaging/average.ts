/**
 * What weight averages share. An average stands beside the training: `update()` takes the weights in
 * as they are now, `withAverage(fn)` evaluates at the average and always comes back.
 *
 * Memory: one copy of the parameters for the average (LAWA: k more), and one more from `swap()` to
 * `restore()`; `memory()` counts both.
 */
import { live } from "../../capture.ts";
import { LifetimeError, ValueError } from "../../errors.ts";
import type { OptionTable } from "../options.ts";
import { checkOption, checkOptions, snakeCase, withDefaults } from "../options.ts";
import { checkOwnValues, markReplaced, unmarkReplaced } from "../replaced.ts";
import type { StateValue } from "../state-dict.ts";
import type { Tensor } from "../../tensor.ts";
import { lerpInPlace } from "../schedule-free/kernels.ts";
import type { Block } from "./flat-copy.ts";
import { disposeBlock, FlatCopies } from "./flat-copy.ts";

/** An optimizer, as averages see it: `withEval` where it has modes. */
export interface AveragedOptimizer {
  readonly paramGroups: readonly { readonly params: readonly Tensor[] }[];
  withEval?<T>(fn: () => T): T;
}

/** An average as saved: PyTorch's `n_averaged`, options in snake_case, tensors by parameter number. */
export interface AverageState {
  readonly n_averaged: number;
  readonly average: Readonly<Record<number, StateValue>>;
  readonly [key: string]: unknown;
}

/** What a parameter was before the average took its place. */
interface Before {
  readonly storage: Tensor["storage"];
  readonly version: number;
  readonly sequence: Tensor["sequence"];
}

/** Versions while averages are swapped in are negative and far apart, so that none comes twice. */
const VERSIONS_PER_SWAP = 2 ** 20;
let swaps = 0;

/**
 * Base class. Give it an **optimizer**, or a list of tensors. With a Schedule-Free optimizer what is
 * averaged is x, whatever the mode (`update()` goes through `withEval`); averaging y would average
 * noise that x is already rid of. A list of parameters that hold y is therefore refused.
 *
 * Until the first update the average is what the parameters were when it was made. BatchNorm's
 * statistics are not averaged: measure them anew inside `withAverage`.
 */
export abstract class WeightAverage<O extends object = object> {
  readonly name: string;
  protected readonly options: O;
  protected readonly copies: FlatCopies;
  protected readonly average: Block;
  private readonly table: OptionTable<O>;
  private readonly optimizer: AveragedOptimizer | null;
  private updates = 0;
  private kept: { readonly values: Block; readonly before: readonly Before[] } | null = null;
  private disposed = false;

  protected constructor(
    name: string,
    table: OptionTable<O>,
    of: readonly Tensor[] | AveragedOptimizer,
    options: Partial<O>,
  ) {
    checkOptions(name, table, options);
    this.name = name;
    this.table = table;
    this.options = withDefaults(table, {}, options);
    this.optimizer = "paramGroups" in of ? of : null;
    this.copies = new FlatCopies(name, "paramGroups" in of ? paramsOf(of) : of);
    this.checkHolders(name);
    this.average = this.copies.allocate(name);
    this.atX(() => this.copies.read(this.average));
  }

  /** How many updates are in the average. */
  get nAveraged(): number {
    return this.updates;
  }

  /**
   * Takes the present weights in.
   *
   * @throws LifetimeError while the average is swapped in, or when the parameters hold y and no
   *   optimizer was given that could make them hold x
   */
  update(): void {
    live(() => {
      const where = `${this.name}.update`;
      this.checkUsable(where);
      this.checkHolders(where);
      this.atX(() => this.accumulate(this.updates));
      this.updates++;
    });
  }

  /** The average: a copy per parameter, in its shape and in the innermost scope. */
  values(): Tensor[] {
    this.checkUsable(`${this.name}.values`);
    this.materialize();
    return this.copies.unpack(this.average, this.name);
  }

  /**
   * Puts the average into the parameters and keeps their values until `restore()`. In between, a
   * step, a change of mode and saving the optimizer's state are errors.
   */
  swap(): void {
    const where = `${this.name}.swap`;
    this.checkUsable(where);
    checkOwnValues(where, this.copies.params);
    this.materialize();
    const values = this.copies.allocate("kept weights");
    this.copies.read(values);
    const before = this.copies.params.map(({ storage, sequence }) => {
      return { storage, version: storage.version, sequence };
    });
    this.copies.write(this.average);
    swaps++;
    for (const param of this.copies.params) {
      // A number of its own: graphs of before, of inside and of after can tell each other apart.
      param.storage.version = -swaps * VERSIONS_PER_SWAP;
      if (param.sequence !== null) param.sequence = "x";
      markReplaced(param, this.name);
    }
    this.kept = { values, before };
  }

  /** Takes back `swap()`, to the bit: graphs recorded before it are as good as ever. */
  restore(): void {
    if (this.kept === null) {
      throw new LifetimeError(`${this.name}.restore: nothing is swapped in; call swap() first`);
    }
    const { values, before } = this.kept;
    this.copies.write(values);
    this.copies.params.forEach((param, i) => {
      const { storage, version, sequence } = before[i];
      if (param.storage === storage) storage.version = version;
      else param.storage.version++;
      param.sequence = sequence;
    });
    this.forget();
  }

  /**
   * Runs `fn` with the parameters at the average and comes back, also when `fn` throws, or when the
   * promise it returns settles. Returns what `fn` returns.
   */
  withAverage<T>(fn: () => T): T {
    this.swap();
    let pending = false;
    try {
      const result = fn();
      if (!(result instanceof Promise)) return result;
      pending = true;
      return result.finally(() => this.restore()) as T;
    } finally {
      if (!pending) this.restore();
    }
  }

  /** Everything that is needed to go on; tensors are copied into the innermost scope. */
  stateDict(): AverageState {
    const options: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(this.options)) options[snakeCase(name)] = value;
    return { ...options, n_averaged: this.updates, average: { ...this.values() } };
  }

  /**
   * Restores what `stateDict()` saved, options included; tensors may be given as flat lists.
   *
   * @throws ValueError or ShapeError naming what differs; nothing has changed then
   */
  loadStateDict(state: AverageState): void {
    const where = `${this.name}.loadStateDict`;
    this.checkUsable(where);
    const updates = state?.n_averaged;
    if (!Number.isInteger(updates) || updates < 0) {
      throw new ValueError(
        `${where}: n_averaged is ${String(updates)}; expected a whole number ≥ 0`,
      );
    }
    const options: Record<string, unknown> = {};
    for (const name in this.table) {
      const value = state[snakeCase(name)];
      if (value === undefined) continue;
      checkOption(where, this.table, name, value);
      options[name] = value;
    }
    const values = this.copies.check(where, state.average);
    this.loadMore(where, state, { ...this.options, ...options } as O);
    this.copies.pack(this.average, values);
    Object.assign(this.options, options);
    this.updates = updates;
  }

  /** Frees the average, after restoring what it may have replaced. */
  dispose(): void {
    if (this.disposed) return;
    if (this.kept !== null) {
      if (this.copies.params.some((param) => param.disposed)) this.forget();
      else this.restore();
    }
    disposeBlock(this.average);
    this.disposed = true;
  }

  /** Takes the parameters in; `n` updates came before. */
  protected abstract accumulate(n: number): void;

  /** Makes `average` what it should be, where `accumulate` does not. */
  protected materialize(): void {}

  /** Checks and loads what a subclass has beside the average. */
  protected loadMore(_where: string, _state: AverageState, _options: O): void {}

  /** average ← average + weight (parameters − average) */
  protected moveTowards(weight: number): void {
    this.copies.eachRun(this.average, (params, part) => lerpInPlace(part, params, weight));
  }

  private forget(): void {
    for (const param of this.copies.params) unmarkReplaced(param);
    disposeBlock(this.kept!.values);
    this.kept = null;
  }

  private atX(fn: () => void): void {
    if (this.optimizer?.withEval === undefined) fn();
    else this.optimizer.withEval(fn);
  }

  private checkUsable(where: string): void {
    if (this.disposed) throw new LifetimeError(`${where}: it was disposed; make a new one`);
    if (this.kept === null) {
      for (const param of this.copies.params) param.checkAlive(where);
      return;
    }
    throw new LifetimeError(
      `${where}: the parameters hold the average since swap(); call restore() first`,
    );
  }

  private checkHolders(where: string): void {
    const { params } = this.copies;
    checkOwnValues(where, params);
    if (this.optimizer !== null) {
      const now = paramsOf(this.optimizer).length;
      if (now === params.length) return;
      throw new ValueError(
        `${where}: the optimizer has ${now} parameters; expected ${params.length}, as when the ` +
          "average was made (make a new one after addParamGroup)",
      );
    }
    const held = params.findIndex(({ sequence }) => sequence === "y");
    if (held < 0) return;
    throw new LifetimeError(
      `${where}: parameter ${held} (${params[held].describe()}) holds y of a Schedule-Free ` +
        "optimizer, and what to average is x; give the optimizer in place of its parameters",
    );
  }
}

const paramsOf = ({ paramGroups }: AveragedOptimizer): Tensor[] =>
  paramGroups.flatMap(({ params }) => params);
