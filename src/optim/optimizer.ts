/**
 * What all optimizers share: parameter groups with checked options, flat blocks, gradients set to
 * null, `step` around a closure, and saved state with PyTorch's keys.
 */
import { currentCapture, takeEveryTime } from "../capture.ts";
import { copy } from "../autograd.ts";
import { LifetimeError, ShapeError, ValueError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import { leaveScope, runScoped } from "../scope.ts";
import { formatShape, sameShape } from "../shape.ts";
import { enableGrad, withRecording } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { commonBackend, empty, isFloat } from "../tensor.ts";
import { FlatGroup } from "./flat.ts";
import type { OptionTable } from "./options.ts";
import { checkOption, checkOptions, withDefaults } from "./options.ts";
import { checkOwnValues } from "./replaced.ts";
import type { StateDict, StateKey, StateValue } from "./state-dict.ts";
import { assign, counter, exportGroups, numbersOf, parseStateDict, shapeOf } from "./state-dict.ts";

/** Parameters with options of their own, as given to a constructor or `addParamGroup`. */
export type GroupOptions<O> = Partial<O> & { readonly params: readonly Tensor[] };

/** A list of parameters, or of groups whose options go before the constructor's. */
export type ParamsOrGroups<O> = readonly Tensor[] | readonly GroupOptions<O>[];

/** A group in use: every option, the counters of the algorithm, the parameters. */
export type ParamGroup<O, C> = O & C & { readonly params: readonly Tensor[] };

/** What a subclass tells the base class about itself. */
export interface OptimizerSpec<O, C> {
  /** The class's name, for messages. */
  readonly name: string;
  readonly options: OptionTable<O>;
  /** Each group's counters before its first step. */
  readonly counters: C;
  /** Throws ValueError for options that do not go together, and for parameters they do not fit. */
  check?(where: string, group: O & { readonly params: readonly Tensor[] }): void;
}

/**
 * Base class. `O` are the options and `C` the counters of a group.
 *
 * Constructing an optimizer moves the parameters of each group into one block of memory (handles
 * made earlier by `detach()` stay on the old memory) and takes them out of any scope.
 */
export abstract class Optimizer<O extends object = object, C extends object = object> {
  /** The groups. Options may be changed between steps; `step()` checks them before anything else. */
  readonly paramGroups: readonly ParamGroup<O, C>[];
  protected readonly spec: OptimizerSpec<O, C>;
  private readonly groups: ParamGroup<O, C>[] = [];
  private readonly blocks: FlatGroup[] = [];
  private readonly defaults: Partial<O>;
  private readonly optionNames: readonly string[];
  /** What each group's options were when they were checked last. */
  private readonly accepted: unknown[][] = [];

  protected constructor(spec: OptimizerSpec<O, C>, params: ParamsOrGroups<O>, options: Partial<O>) {
    this.spec = spec;
    this.paramGroups = this.groups;
    this.optionNames = Object.keys(spec.options);
    checkOptions(spec.name, spec.options, options);
    this.defaults = { ...options };
    const groups = toGroups<O>(spec.name, params);
    const seen = new Set<Tensor>();
    for (const group of groups) this.checkGroup(spec.name, group, seen);
    for (const group of groups) this.adopt(group);
  }

  /** The class's name, as in messages and checkpoints. */
  get name(): string {
    return this.spec.name;
  }

  /**
   * Adds a group with its own counters; what it does not set has the constructor's value.
   *
   * @throws ValueError for options out of their domain and parameters that cannot be trained
   */
  addParamGroup(group: GroupOptions<O>): void {
    const seen = new Set(this.paramGroups.flatMap((known) => known.params));
    this.checkGroup(`${this.spec.name}.addParamGroup`, group, seen);
    this.adopt(group);
  }

  /** Sets the gradient of every parameter to null: one that takes no part is then skipped. */
  zeroGrad(): void {
    const capture = currentCapture();
    for (const { params } of this.paramGroups) {
      for (const param of params) {
        capture?.noteZeroed(param);
        param.grad?.dispose();
        param.grad = null;
      }
    }
  }

  /**
   * One step with the gradients in `grad`, which stay as they are. Parameters whose gradient is
   * null are skipped.
   *
   * @param closure computes the loss and calls `backward()`; it runs in a scope, with gradients
   *   enabled. What it returns is returned, and lives on in the surrounding scope.
   * @throws ValueError for options out of their domain, LifetimeError in the wrong mode; nothing
   *   has changed then
   */
  step(): undefined;
  step<T>(closure: () => T): T;
  step<T>(closure?: () => T): T | undefined {
    const where = `${this.spec.name}.step`;
    if (takeEveryTime(where, closure, () => this.step())) return undefined;
    this.checkStep(where);
    const result = closure === undefined ? undefined : this.evaluate(closure);
    this.prepare(where);
    withRecording(false, () => runScoped(where, () => this.update(this.blocks)));
    return result;
  }

  /**
   * The state as PyTorch keeps it: `state` by parameter number, tensors copied into the innermost
   * scope; `param_groups` with snake_case options and the numbers of their parameters.
   */
  stateDict(): StateDict {
    for (const { params } of this.paramGroups) {
      checkOwnValues(`${this.spec.name}.stateDict`, params);
    }
    let next = 0;
    const state: Record<number, Record<string, Tensor>> = {};
    this.paramGroups.forEach((group, g) => {
      const block = this.blocks[g];
      group.params.forEach((_param, i) => {
        const number = next++;
        if (!block.started[i]) return;
        state[number] = {};
        for (const key of this.stateKeys(group)) {
          if (key.optional && !block.has(key.block)) continue;
          const saved = snapshot(block, key, i);
          if (saved !== null) state[number][key.key] = saved;
        }
      });
    });
    const groups = exportGroups(this.paramGroups);
    this.eachGroup((group, block, g) => Object.assign(groups[g], this.savedBeside(group, block)));
    return { state, param_groups: groups };
  }

  /**
   * Restores what `stateDict()`, or PyTorch's optimizer of the same name, saved. Load the model's
   * parameters first: they must hold what they held when the state was saved (see `train_mode`).
   *
   * @throws ValueError or ShapeError naming what differs; nothing has changed then
   */
  loadStateDict(dict: StateDict): void {
    const where = `${this.spec.name}.loadStateDict`;
    const loaded = parseStateDict(where, dict, this.paramGroups, this.spec.options, (group) =>
      this.stateKeys(group),
    );
    loaded.forEach(({ scalars, states }, g) => {
      const group = this.paramGroups[g];
      const block = this.blocks[g];
      Object.assign(group, scalars);
      block.dropAll();
      states.forEach((values, i) => {
        block.started[i] = values !== null;
        for (const [key, value] of values ?? []) {
          runScoped(where, () => write(block, key, i, value));
        }
      });
      this.onLoad(group, block, dict.param_groups[g]);
    });
  }

  /**
   * Frees the memory of state and gradients; the parameters stay. The optimizer cannot be used
   * afterwards.
   */
  dispose(): void {
    for (const block of this.blocks) block.dispose();
    this.blocks.length = 0;
    this.groups.length = 0;
    this.accepted.length = 0;
  }

  /** One step of all groups, in a scope and unrecorded; options and gradients are checked. */
  protected abstract update(blocks: readonly FlatGroup[]): void;

  /** What is saved of each parameter that has state. */
  protected abstract stateKeys(group: ParamGroup<O, C>): readonly StateKey[];

  protected evaluate<T>(closure: () => T): T {
    return runScoped(`${this.spec.name}.step`, () => enableGrad(closure));
  }

  protected checkStep(where: string): void {
    if (this.blocks.length === 0) {
      throw new LifetimeError(`${where}: the optimizer was disposed; make a new one`);
    }
    const { spec, groups } = this;
    for (let g = 0; g < groups.length; g++) {
      this.checkGroupOptions(where, groups[g], this.accepted[g]);
      spec.check?.(where, groups[g]);
      this.blocks[g].check(where);
    }
  }

  /** After the closure, before anything changes: gradients are checked, memory is made. */
  protected prepare(where: string): void {
    this.checkGradients(where);
    this.reserve();
  }

  /** Called for each new group; `block` holds its parameters. */
  protected onAdd(_group: ParamGroup<O, C>, _block: FlatGroup): void {}

  /** What is saved with a group beside options and counters, in snake_case. */
  protected savedBeside(_group: ParamGroup<O, C>, _block: FlatGroup): Record<string, unknown> {
    return {};
  }

  /** Counters of a group that its device keeps, by name; they are NaN in `paramGroups`. */
  protected deviceCounters(_group: ParamGroup<O, C>): Readonly<Record<string, Tensor>> {
    return {};
  }

  /** Called for each group when saved state has been put in place; `saved` is the group's entry. */
  protected onLoad(
    _group: ParamGroup<O, C>,
    _block: FlatGroup,
    _saved: Readonly<Record<string, unknown>>,
  ): void {}

  /** Visits groups with their blocks. */
  protected eachGroup(visit: (group: ParamGroup<O, C>, block: FlatGroup, g: number) => void): void {
    this.paramGroups.forEach((group, g) => visit(group, this.blocks[g], g));
  }

  /** Numbers and flags are looked at where they have changed, lists, which may have changed inside, at every step. */
  private checkGroupOptions(where: string, group: O, accepted: unknown[]): void {
    const names = this.optionNames as readonly (keyof O)[];
    for (let i = 0; i < names.length; i++) {
      const value = group[names[i]];
      if (value === accepted[i] && value !== undefined) continue;
      checkOption(where, this.spec.options, names[i], value);
      accepted[i] = typeof value === "object" ? undefined : value;
    }
  }

  private checkGroup(where: string, group: GroupOptions<O>, seen: Set<Tensor>): void {
    checkOptions(where, this.spec.options, group, ["params"]);
    if (!Array.isArray(group.params)) {
      throw new ValueError(`${where}: params of a group is not a list; expected a list of tensors`);
    }
    checkParams(where, group.params, seen);
    const options = withDefaults(this.spec.options, this.defaults, group as Partial<O>);
    this.spec.check?.(where, { ...options, params: group.params });
  }

  private adopt(options: GroupOptions<O>): void {
    const { spec } = this;
    const group = {
      params: [...options.params],
      ...withDefaults(spec.options, this.defaults, options),
      ...spec.counters,
    } as ParamGroup<O, C>;
    const block = new FlatGroup(group.params);
    for (const param of group.params) leaveScope(param);
    this.groups.push(group);
    this.blocks.push(block);
    this.accepted.push(this.optionNames.map(() => undefined));
    this.onAdd(group, block);
  }

  /** Memory for first gradients: if there is none, no group has been stepped yet. */
  private reserve(): void {
    this.eachGroup((group, block) => {
      if (!block.awaitsStart()) return;
      const fresh = group.params.map((param, i) => param.grad !== null && !block.started[i]);
      for (const key of this.stateKeys(group)) {
        if (key.optional || key.count) continue;
        if (key.shape === undefined) block.block(key.block);
        else fresh.forEach((isFresh, i) => isFresh && stateOf(block, key, i)?.dispose());
      }
    });
  }

  private checkGradients(where: string): void {
    for (const { params } of this.paramGroups) {
      for (const param of params) {
        const { grad } = param;
        if (grad === null) continue;
        grad.checkAlive(where);
        if (grad.backend !== param.backend) commonBackend(where, [param, grad]);
        if (sameShape(grad.shape, param.shape) && grad.dtype === param.dtype) continue;
        throw new ShapeError(
          `${where}: the gradient is ${grad.dtype} ${formatShape(grad.shape)}; ` +
            `expected ${param.dtype} ${formatShape(param.shape)}, as its parameter has`,
        );
      }
    }
  }
}

function toGroups<O>(where: string, params: ParamsOrGroups<O>): readonly GroupOptions<O>[] {
  const list: readonly (Tensor | GroupOptions<O>)[] = [...params];
  if (list.length === 0) {
    throw new ValueError(`${where}: the list of parameters is empty; expected tensors or groups`);
  }
  const groups = list.filter((item): item is GroupOptions<O> => "params" in item);
  if (groups.length === list.length) return groups;
  if (groups.length > 0) {
    throw new ValueError(`${where}: tensors and groups are mixed; put the tensors into a group`);
  }
  return [{ params: list as readonly Tensor[] } as GroupOptions<O>];
}

function checkParams(where: string, params: readonly Tensor[], seen: Set<Tensor>): void {
  if (params.length === 0) {
    throw new ValueError(`${where}: a group has no parameters; expected at least one`);
  }
  params.forEach((param, i) => {
    const problem = (found: string, expected: string): never => {
      throw new ValueError(
        `${where}: parameter ${i} (${param.describe()}) ${found}; expected ${expected}`,
      );
    };
    param.checkAlive(where);
    if (seen.has(param)) problem("is given twice", "each parameter once");
    seen.add(param);
    if (!param.isLeaf)
      problem("is the result of an operation", "a leaf, such as a module's weight");
    if (!param.requiresGrad && !param.frozen)
      problem("has requiresGrad false", "requiresGrad = true");
    if (!isFloat(param.dtype)) problem(`has dtype ${param.dtype}`, "float32 or float64");
    if (!param.isContiguous) problem("is a strided view", "a dense tensor");
    if (param.dtype !== params[0].dtype) {
      problem(`differs in dtype from parameter 0`, `${params[0].dtype} throughout a group`);
    }
    if (param.device !== params[0].device) {
      problem(`is on "${param.device}"`, `"${params[0].device}", as parameter 0 is`);
    }
  });
  commonBackend(where, params);
}

/** A handle on one kind of state of parameter i, in the innermost scope; null if it has none. */
function stateOf(block: FlatGroup, key: StateKey, i: number): Tensor | null {
  if (key.shape === undefined) return block.slice(block.block(key.block), i);
  const shape = shapeOf(key, block.params[i]);
  return shape === null ? null : block.own(key.block, i, shape).detach();
}

function snapshot(block: FlatGroup, key: StateKey, i: number): Tensor | null {
  if (key.count) return counter(block.values.backend, key.key, block.steps[i]);
  const state = stateOf(block, key, i);
  if (state === null) return null;
  const result = empty(state.backend, state.shape, state.dtype, key.block);
  if (result.size > 0) runInPlace(copy, [state], [result], {});
  state.dispose();
  return result;
}

function write(block: FlatGroup, key: StateKey, i: number, value: StateValue): void {
  if (key.count) {
    block.steps[i] = numbersOf(value)[0];
    return;
  }
  const state = stateOf(block, key, i);
  if (state !== null) assign(state, value);
}
