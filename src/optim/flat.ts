/**
 * Flat blocks: a group's parameters one after another in one piece of memory (no padding), with
 * their gradients and every kind of optimizer state in blocks beside it, in the same order:
 *
 *     values    | p0 | p1    | p2 |     what the model reads
 *     grads     | g0 | g1    | g2 |     what backward() fills
 *     z, …      | z0 | z1    | z2 |     made when first asked for
 *
 * A step is then one kernel pass over each **run** of neighbouring parameters that take part.
 */
import { copy, fill } from "../autograd.ts";
import { LifetimeError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import { enterScope } from "../scope.ts";
import type { Shape } from "../shape.ts";
import { sizeOf, stridesOf } from "../shape.ts";
import { Storage, Tensor } from "../tensor.ts";
import { checkOwnValues } from "./replaced.ts";

/** Elements `begin` up to `end` of every block. */
export interface Run {
  readonly begin: number;
  readonly end: number;
}

export class FlatGroup {
  readonly params: readonly Tensor[];
  /** The parameters' values, flat. */
  readonly values: Tensor;
  /** The memory of their gradients, flat. */
  readonly grads: Tensor;
  /** Which parameters have optimizer state. */
  readonly started: boolean[];
  /** Steps that each parameter has taken part in, where an optimizer counts per parameter. */
  readonly steps: number[];
  private readonly starts: readonly number[];
  private readonly homes: readonly Storage[];
  private readonly slots: readonly Storage[];
  private readonly blocks = new Map<string, Tensor>();
  private readonly owned = new Map<string, (Tensor | undefined)[]>();
  private readonly everything: readonly Run[];

  /** Moves the parameters: dense float leaves of one dtype on one device, in no scope. */
  constructor(params: readonly Tensor[]) {
    this.params = params;
    this.started = params.map(() => false);
    this.steps = params.map(() => 0);
    const starts = [0];
    for (const param of params) starts.push(starts[starts.length - 1] + param.size);
    this.starts = starts;
    const size = starts[params.length];
    this.everything = size === 0 ? [] : [{ begin: 0, end: size }];
    const [{ backend, dtype }] = params;
    const values = Storage.allocate(backend, size, dtype);
    let grads: Storage;
    try {
      grads = Storage.allocate(backend, size, dtype);
    } catch (error) {
      values.release();
      throw error;
    }
    this.values = new Tensor(values, [size], [1], 0, "parameters");
    this.grads = new Tensor(grads, [size], [1], 0, "gradients");
    this.homes = params.map((param, i) => moveInto(values.part(starts[i]), param));
    this.slots = params.map((param, i) => {
      param.gradSlot?.release();
      param.gradSlot = grads.part(starts[i]);
      return param.gradSlot;
    });
  }

  /** Throws unless every parameter is alive, still lives in this block, and holds its own values. */
  check(where: string): void {
    checkOwnValues(where, this.params);
    for (let i = 0; i < this.params.length; i++) {
      const param = this.params[i];
      param.checkAlive(where);
      if (param.storage === this.homes[i]) continue;
      throw new LifetimeError(
        `${where}: parameter ${i} (${param.describe()}) was moved into the block of an optimizer ` +
          "made later; give each parameter to one optimizer at a time",
      );
    }
  }

  has(name: string): boolean {
    return name === "values" || this.blocks.has(name);
  }

  /** The block of that name, flat; zeros when it is new. "values" are the parameters themselves. */
  block(name: string): Tensor {
    if (name === "values") return this.values;
    const known = this.blocks.get(name);
    if (known !== undefined) return known;
    const made = emptyBlock(this.values, name);
    this.blocks.set(name, made);
    return made;
  }

  /** The same, but what a new block holds is undefined: for what is written before it is read. */
  room(name: string): Tensor {
    if (!this.has(name)) this.blocks.set(name, roomLike(this.values, name));
    return this.block(name);
  }

  /** Frees a block, if there is one of that name. */
  drop(name: string): void {
    this.blocks.get(name)?.dispose();
    this.blocks.delete(name);
  }

  /** State of parameter i that is shaped unlike it, so in no block; zeros when it is new. */
  own(name: string, i: number, shape: Shape): Tensor {
    const tensors = this.owned.get(name) ?? [];
    this.owned.set(name, tensors);
    const known = tensors[i];
    if (known !== undefined) return known;
    const storage = Storage.allocate(this.values.backend, sizeOf(shape), this.values.dtype);
    const made = new Tensor(storage, shape, stridesOf(shape), 0, name);
    tensors[i] = made;
    if (made.size > 0) runInPlace(fill, [], [made], { value: 0 });
    return made;
  }

  /** Parameter i's part of a block, in its shape and in the innermost scope. */
  slice(block: Tensor, i: number): Tensor {
    const { shape } = this.params[i];
    return view(block, this.starts[i], shape);
  }

  /** A run of a block: the block itself if the run is all of it, else in the innermost scope. */
  part(block: Tensor, run: Run): Tensor {
    if (run === this.everything[0]) return block;
    return view(block, run.begin, [run.end - run.begin]);
  }

  /** The longest runs of neighbouring parameters for which `includes` holds; none is empty. */
  runs(includes: readonly boolean[]): readonly Run[] {
    if (!includes.includes(false)) return this.everything;
    const runs: Run[] = [];
    let begin = -1;
    for (let i = 0; i <= includes.length; i++) {
      if (i < includes.length && includes[i]) {
        if (begin < 0) begin = this.starts[i];
      } else if (begin >= 0) {
        if (this.starts[i] > begin) runs.push({ begin, end: this.starts[i] });
        begin = -1;
      }
    }
    return runs;
  }

  /** Does a parameter without state have a gradient? */
  awaitsStart(): boolean {
    for (let i = 0; i < this.params.length; i++) {
      if (!this.started[i] && this.params[i].grad !== null) return true;
    }
    return false;
  }

  /**
   * Which parameters have a gradient. Those that were assigned by hand are copied into the block;
   * the parameter's `grad` stays what it is.
   */
  gather(): boolean[] {
    return this.params.map((param, i) => {
      if (param.grad === null) return false;
      if (param.grad.storage !== this.slots[i] && param.size > 0) {
        runInPlace(copy, [param.grad], [this.slice(this.grads, i)], {});
      }
      return true;
    });
  }

  /** Frees all state. */
  dropAll(): void {
    for (const block of this.blocks.values()) block.dispose();
    this.blocks.clear();
    for (const tensors of this.owned.values()) for (const tensor of tensors) tensor?.dispose();
    this.owned.clear();
    this.steps.fill(0);
  }

  /**
   * Gives state to parameters that take part for the first time: the named blocks start as copies
   * of their values at this moment (others start at 0).
   */
  start(active: readonly boolean[], names: readonly string[]): void {
    let any = false;
    for (let i = 0; i < active.length; i++) any ||= active[i] && !this.started[i];
    if (!any) return;
    const fresh = active.map((takesPart, i) => takesPart && !this.started[i]);
    const runs = this.runs(fresh);
    for (const name of names) this.copyRuns(this.values, this.block(name), runs);
    fresh.forEach((isFresh, i) => {
      if (isFresh) this.started[i] = true;
    });
  }

  /** Copies runs of one block into another. */
  copyRuns(from: Tensor, to: Tensor, runs: readonly Run[]): void {
    for (const run of runs) runInPlace(copy, [this.part(from, run)], [this.part(to, run)], {});
  }

  /** Tells graphs that these parameters' values have changed: backward refuses what it saved. */
  touch(changed: readonly boolean[]): void {
    for (let i = 0; i < changed.length; i++) if (changed[i]) this.homes[i].version++;
  }

  /** The version of each parameter's values. */
  versions(): number[] {
    return this.homes.map((home) => home.version);
  }

  /** Frees gradients' and state's memory. The parameters stay where they are, and usable. */
  dispose(): void {
    this.dropAll();
    this.started.fill(false);
    this.params.forEach((param, i) => {
      if (param.disposed || param.gradSlot !== this.slots[i]) return;
      param.gradSlot.release();
      param.gradSlot = null;
    });
    this.grads.dispose();
    this.values.dispose();
  }
}

/** Zeros of the size and dtype of a block, in no scope. */
export function emptyBlock(like: Tensor, name: string): Tensor {
  const block = roomLike(like, name);
  if (block.size > 0) runInPlace(fill, [], [block], { value: 0 });
  return block;
}

function roomLike(like: Tensor, name: string): Tensor {
  const storage = Storage.allocate(like.backend, like.size, like.dtype);
  return new Tensor(storage, [like.size], [1], 0, name);
}

function view(block: Tensor, begin: number, shape: readonly number[]): Tensor {
  const part = new Tensor(block.storage.retain(), shape, stridesOf(shape), begin, block.label);
  enterScope(part);
  return part;
}

function moveInto(home: Storage, param: Tensor): Storage {
  if (param.size > 0) {
    const place = new Tensor(home.retain(), param.shape, undefined, undefined, "parameter");
    runInPlace(copy, [param], [place], {});
    place.dispose();
  }
  param.moveTo(home);
  return home;
}
