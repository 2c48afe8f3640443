/**
 * Capturing: while a function runs under `compile`, the kernel calls it makes are noted with their
 * buffers, in order, to be made again without the function. op.ts notes kernels, storage.ts takes
 * memory from the capture's arena (which keeps it when it is freed, as the calls will want it
 * again), and whatever cannot be noted says so here.
 */
import type {
  Attrs,
  Backend,
  Buffer,
  Kernel,
  Program,
  TypedArray,
  View,
} from "./backend/backend.ts";
import { BackendError, LifetimeError } from "./errors.ts";
import type { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** Memory of one capture: see arena.ts. */
export interface Arena {
  take(size: number, dtype: View["dtype"]): Buffer;
  give(buffer: Buffer): void;
  /** Called with every buffer that is given. */
  given: ((buffer: Buffer) => void) | null;
}

let current: Capture | null = null;

/** The capture under way; null outside `compile` and inside `live(fn)`. */
export function currentCapture(): Capture | null {
  return current;
}

/** What was noted of one run of a function. */
export class Capture {
  readonly backend: Backend;
  readonly arena: Arena;
  /** To be done at every replay, in order. */
  readonly steps: (() => void)[] = [];
  /** What comes before them: random draws. */
  readonly draws: (() => void)[] = [];
  readonly programs: Program[] = [];
  /** Tensors that the function found outside, and the storage each had. */
  readonly outside: Map<Tensor, Storage> = new Map();
  private readonly known: Set<Storage> = new Set();
  /** Scopes opened since have higher numbers. */
  private readonly since: number;
  /** Storages outside that kernels overwrite. */
  readonly written: Set<Storage> = new Set();
  /** Leaves whose gradients were added to what was there: where that was; null where there was none. */
  readonly gradsBefore: Map<Tensor, Storage | null> = new Map();
  /** All leaves whose gradients changed. */
  private readonly leaves: Set<Tensor> = new Set();
  private readonly held: Gradients[] = [];
  private readonly changing: Set<object> = new Set();
  private program: Program | null = null;
  /** The program that has used each buffer last. */
  private readonly users: Map<Buffer, Program> = new Map();

  constructor(backend: Backend, arena: Arena, since: number) {
    this.backend = backend;
    this.arena = arena;
    this.since = since;
    // Then no tensor is left that could read it, here, in a later program or in what runs between them.
    arena.given = (buffer) => this.users.get(buffer)?.release?.(buffer);
  }

  /** Runs `fn` with its kernel calls noted here. */
  during<T>(fn: () => T): T {
    const before = current;
    current = this;
    try {
      return fn();
    } finally {
      current = before;
    }
  }

  /** Runs a kernel and notes it. */
  run(
    kernel: Kernel,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    attrs: Attrs,
    inPlace: boolean,
  ): void {
    for (const x of inputs) this.noteOutside(x);
    if (inPlace) for (const x of outputs) this.noteWritten(x.storage);
    const program = this.openProgram(outputs[0].backend);
    for (const x of inputs) this.users.set(x.storage.buffer, program);
    for (const x of outputs) this.users.set(x.storage.buffer, program);
    program.add(kernel, inputs.map(viewOf), outputs.map(viewOf), attrs, this.changing.has(attrs));
  }

  write(backend: Backend, buffer: Buffer, offset: number, data: TypedArray): void {
    const program = this.openProgram(backend);
    this.users.set(buffer, program);
    program.write(buffer, offset, data.slice());
  }

  /** Notes memory that a kernel overwrites: a buffer's, or a gradient's, whose handles come and go. */
  private noteWritten(storage: Storage): void {
    if (storage.arena === this.arena) return;
    this.written.add(storage);
    if (!this.known.has(storage)) this.known.add(storage.retain());
  }

  /** Notes a tensor that was not made under this capture. */
  noteOutside(x: Tensor): void {
    if (x.storage.arena === this.arena || this.known.has(x.storage)) return;
    const inside = x.scope !== null && x.scope.number > this.since;
    if (x.scope !== null && !inside) {
      throw new LifetimeError(
        `compile: the function uses ${x.describe()}, a temporary from outside, which the next call would not see; ` +
          "pass it as an argument, or keep it outside every scope if it is a constant",
      );
    }
    this.known.add(x.storage.retain());
    if (!inside) this.outside.set(x, x.storage);
  }

  /** Lets go of all that was noted; the arena's memory and programs are the caller's. */
  release(): void {
    for (const storage of this.known) storage.release();
    this.known.clear();
    for (const program of this.programs) program.free();
    for (const grads of this.held.splice(0)) for (const [, grad] of grads) grad?.dispose();
  }

  /** A leaf is about to receive a gradient. */
  noteGradient(leaf: Tensor): void {
    if (!this.leaves.has(leaf)) this.gradsBefore.set(leaf, leaf.grad?.storage ?? null);
    this.leaves.add(leaf);
  }

  /** A leaf's gradient is about to become null. */
  noteZeroed(leaf: Tensor): void {
    this.leaves.add(leaf);
  }

  /** The gradients as they are now, for `placeGradients`. */
  gradients(): Gradients {
    const grads: Gradients = [...this.leaves].map((leaf) => [leaf, leaf.grad?.alias() ?? null]);
    this.held.push(grads);
    return grads;
  }

  /** `fn` runs now, unnoted, and again at every replay. */
  everyTime<T>(fn: () => T): T {
    this.program = null;
    const grads = this.gradients();
    this.steps.push(() => {
      placeGradients(grads);
      fn();
    });
    return uncaptured(fn);
  }

  /** Attributes that `refresh` renews before every replay: kernels noted with them read them anew. */
  changes(attrs: object, refresh: () => void): void {
    this.changing.add(attrs);
    this.draws.push(refresh);
  }

  private openProgram(backend: Backend): Program {
    if (backend !== this.backend) {
      throw new BackendError(
        `compile: the function uses the devices "${this.backend.device}" and "${backend.device}"; expected one`,
      );
    }
    if (this.program !== null) return this.program;
    const program = backend.program?.() ?? new KernelList(backend);
    this.programs.push(program);
    this.steps.push(() => program.run());
    this.program = program;
    return program;
  }
}

/** Leaves and their gradients at some point; null: none. */
export type Gradients = readonly (readonly [leaf: Tensor, grad: Tensor | null])[];

/** Makes the leaves' gradients those, which hold what kernels have written since. */
export function placeGradients(grads: Gradients): void {
  for (let i = 0; i < grads.length; i++) {
    const [leaf, grad] = grads[i];
    if (leaf.grad === null ? grad === null : leaf.grad.storage === grad?.storage) continue;
    leaf.grad?.dispose();
    leaf.grad = grad?.alias() ?? null;
  }
}

/** Runs `fn` as if nothing were captured. */
export function uncaptured<T>(fn: () => T): T {
  const before = current;
  current = null;
  try {
    return fn();
  } finally {
    current = before;
  }
}

/**
 * Inside a function given to `compile`: runs `fn` in every call, not only in the one that is captured. For
 * counters, logs, schedulers. What `fn` computes is not part of the captured step: tensors that it makes must not
 * be used outside it. Elsewhere this is `fn()`.
 */
export function live<T>(fn: () => T): T {
  return current === null ? fn() : current.everyTime(fn);
}

/**
 * Inside a capture: takes an optimizer's step now and in every call, as counters, rates and coefficients
 * are JavaScript's. False elsewhere.
 */
export function takeEveryTime(where: string, closure: unknown, step: () => void): boolean {
  if (current === null) return false;
  if (closure !== undefined) {
    throw new LifetimeError(
      `${where}: a step with a closure cannot be captured by compile(); call backward() before a step() without one`,
    );
  }
  current.everyTime(step);
  return true;
}

/** Throws where a read would put a number of this call into all later ones. */
export function refuseRead(op: string, x: { describe(): string }): void {
  if (current === null) return;
  throw new LifetimeError(
    `compile: ${op}() of ${x.describe()} inside a compiled function, where later calls do not come by; ` +
      "return the tensor and read it outside, or read it inside live(() => ...)",
  );
}

/** Throws where a random draw would be the same in all later calls. */
export function refuseDraw(): void {
  if (current === null) return;
  throw new LifetimeError(
    "compile: random numbers are drawn inside a compiled function, and later calls would repeat them; " +
      "draw outside and pass the tensor as an argument (dropout is fine)",
  );
}

/** Writes to a storage from JavaScript memory: inside a capture, at every replay. */
export function writeBuffer(storage: Storage, offset: number, data: TypedArray): void {
  const { backend, buffer } = storage;
  if (current !== null) current.write(backend, buffer, offset, data);
  backend.write(buffer, offset, data);
}

function viewOf({ buffer, offset, shape, strides, size, dtype }: Tensor): View {
  return { buffer, offset, shape, strides, size, dtype };
}

/** For backends without a program of their own. */
class KernelList implements Program {
  readonly #backend: Backend;
  readonly #calls: (() => void)[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  add(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void {
    this.#calls.push(() => this.#backend.run(kernel, inputs, outputs, attrs));
    this.#backend.run(kernel, inputs, outputs, attrs);
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    this.#calls.push(() => this.#backend.write(buffer, offset, data));
  }

  run(): void {
    for (const call of this.#calls) call();
  }

  free(): void {
    this.#calls.length = 0;
  }
}

let epoch = 0;

/** Raised by whatever makes a function of the same arguments do something else: train(), eval(), freezing. */
export function changeModes(): void {
  epoch++;
}

export function modes(): number {
  return epoch;
}
