/** `compile(step)`: one run of a training step is captured, and its kernel calls made again. */
import { Arena } from "./arena.ts";
import { copy } from "./autograd.ts";
import type { Attrs } from "./backend/backend.ts";
import type { Gradients } from "./capture.ts";
import { Capture, currentCapture, modes, placeGradients } from "./capture.ts";
import { backendOf } from "./device.ts";
import { ValueError } from "./errors.ts";
import { isTraced } from "./op.ts";
import { currentScope, runScoped } from "./scope.ts";
import { sameShape } from "./shape.ts";
import type { Storage } from "./storage.ts";
import { isRecording } from "./tape.ts";
import { empty, Tensor } from "./tensor.ts";

/** A function with the same arguments and results as the one it was made from. */
export interface Compiled<Args extends readonly unknown[], Result> {
  (...args: Args): Result;
  /** How often the function itself has run. */
  readonly captures: number;
  /** Releases the memory of all captured steps. The function can still be called: it captures anew. */
  dispose(): void;
}

/** Captured steps kept for different shapes, devices and modes; the one unused for longest goes first. */
const MOST_PROGRAMS = 8;

const noAttrs: Attrs = {};

/**
 * Makes a function of a training step (or of any computation) that runs it once, notes the kernel calls it
 * makes, and from then on makes those calls without it: without building a graph, checking shapes, or
 * allocating. Results have the same bits. It pays where kernels are small; a step that takes milliseconds
 * hardly changes.
 *
 *     const step = compile((x: Tensor, y: Tensor) => {
 *       optimizer.zeroGrad();
 *       const loss = crossEntropy(model.forward(x), y);
 *       loss.backward();
 *       optimizer.step();
 *       return loss;
 *     });
 *     for (const [x, y] of loader) console.log(step(x, y).itemSync());
 *
 * - Tensors that change from call to call are arguments, alone or in arrays and plain objects; parameters, buffers
 *   and constants may come from outside. Results (also in arrays and objects) are copies outside the graph.
 * - Live in every call: dropout, what `optimizer.step()` reads and counts (learning rate, averages),
 *   batch norm's statistics, and whatever stands in `live(() => ...)`. All other JavaScript runs when a step is captured, alone.
 * - A step is captured anew for other shapes, dtypes or devices of arguments, other numbers and strings
 *   among them, after `train()`, `eval()` or freezing, when parameters have moved (into another
 *   optimizer), and when gradients are there that were not, or the other way round. `captures` counts.
 * - While somebody observes operations (`setTracer`, debug level 2) and inside another compiled function this is `fn`.
 * - The memory of a captured step stays until `dispose()`, or until a step is captured anew when the modes
 *   have changed or what it used from outside is gone; `memory()` counts it.
 *
 * @throws LifetimeError where the function reads a tensor (`itemSync()`), draws random numbers, uses a temporary
 *   from outside, or takes an optimizer step with a closure; ValueError for an argument that requires a
 *   gradient, and results that are not tensors, numbers, or arrays and objects of them
 */
export function compile<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
): Compiled<Args, Result> {
  const programs: Captured[] = [];
  let captures = 0;
  const call = (...args: Args): Result => {
    if (currentCapture() !== null || isTraced()) return fn(...args);
    // The one used last comes first.
    for (let i = programs.length - 1; i >= 0; i--) {
      const tensors: Tensor[] = [];
      const program = programs[i];
      if (!program.fits(args, tensors)) continue;
      if (i < programs.length - 1) programs.push(...programs.splice(i, 1));
      return program.replay(tensors) as Result;
    }
    captures++;
    discard(programs);
    const [made, result] = capture(fn, args);
    programs.push(made);
    if (programs.length > MOST_PROGRAMS) programs.shift()!.dispose();
    return result as Result;
  };
  const dispose = (): void => {
    for (const program of programs.splice(0)) program.dispose();
  };
  return Object.defineProperty(Object.assign(call, { dispose }), "captures", {
    get: () => captures,
  }) as Compiled<Args, Result>;
}

/** Gives back the memory of the steps that can never be made again. */
function discard(programs: Captured[]): void {
  for (let i = programs.length - 1; i >= 0; i--) {
    if (programs[i].outlived()) programs.splice(i, 1)[0].dispose();
  }
}

/** One captured run. */
class Captured {
  private readonly capture: Capture;
  private readonly arena: Arena;
  /** The arguments, with tensors in the arena. */
  private readonly args: unknown;
  private readonly slots: readonly Tensor[];
  private readonly modes = modes();
  private readonly recording = isRecording();
  /** What the function returned, with tensors in the arena. */
  private readonly result: unknown;
  private readonly grads: Gradients;
  // What the capture keeps in maps and sets, as lists: they are walked in every call.
  private readonly outside: readonly Tensor[];
  private readonly homes: readonly Storage[];
  private readonly leaves: readonly Tensor[];
  private readonly gradsBefore: readonly (Storage | null)[];
  private readonly written: readonly Storage[];

  constructor(
    captured: Capture,
    arena: Arena,
    args: unknown,
    slots: readonly Tensor[],
    result: unknown,
  ) {
    this.capture = captured;
    this.arena = arena;
    this.args = args;
    this.slots = slots;
    this.result = result;
    this.grads = captured.gradients();
    this.outside = [...captured.outside.keys()];
    this.homes = [...captured.outside.values()];
    this.leaves = [...captured.gradsBefore.keys()];
    this.gradsBefore = [...captured.gradsBefore.values()];
    this.written = [...captured.written];
  }

  /** Will it fit no arguments any more? Modes are numbered, what has moved does not come back. */
  outlived(): boolean {
    return this.modes !== modes() || !this.atHome();
  }

  /** Are the tensors from outside where they were? */
  private atHome(): boolean {
    const { outside, homes } = this;
    for (let i = 0; i < outside.length; i++) {
      if (outside[i].disposed || outside[i].storage !== homes[i]) return false;
    }
    return true;
  }

  /** Would the function do the same with these arguments? Collects their tensors. */
  fits(args: unknown, tensors: Tensor[]): boolean {
    if (this.modes !== modes() || this.recording !== isRecording()) return false;
    if (!matches(this.args, args, tensors)) return false;
    if (tensors.length === 0 && backendOf() !== this.capture.backend) return false;
    if (!this.atHome()) return false;
    const { leaves, gradsBefore } = this;
    for (let i = 0; i < leaves.length; i++) {
      const { grad } = leaves[i];
      if ((grad === null ? null : grad.storage) !== gradsBefore[i]) return false;
    }
    return true;
  }

  replay(tensors: readonly Tensor[]): unknown {
    const { written } = this;
    const { backend, draws, steps } = this.capture;
    for (let i = 0; i < tensors.length; i++) {
      tensors[i].checkAlive("compile");
      backend.run(copy, [tensors[i]], [this.slots[i]], noAttrs);
    }
    for (let i = 0; i < draws.length; i++) draws[i]();
    for (let i = 0; i < steps.length; i++) steps[i]();
    placeGradients(this.grads);
    for (let i = 0; i < written.length; i++) written[i].version++;
    return copied(this.result);
  }

  dispose(): void {
    for (const slot of this.slots) slot.dispose();
    eachTensor(this.result, (x) => x.dispose());
    this.capture.release();
    this.arena.close();
  }
}

/** Runs the function with its kernel calls noted; also its result, in the surrounding scope. */
function capture(fn: (...args: never[]) => unknown, args: readonly unknown[]): [Captured, unknown] {
  const tensors: Tensor[] = [];
  eachTensor(args, (x) => tensors.push(x));
  const backend = tensors.length > 0 ? tensors[0].backend : backendOf();
  const arena = new Arena(backend);
  const since = runScoped("compile", () => currentScope()!.number);
  const captured = new Capture(backend, arena, since);
  const slots: Tensor[] = [];
  let result: unknown;
  try {
    for (const x of tensors) slots.push(captured.during(() => slotFor(x)));
    let next = 0;
    const inside = mapTensors(args, () => slots[next++]) as never[];
    result = runScoped("compile", () => {
      const made = captured.during(() => fn(...inside));
      return mapTensors(made, (x) => x.alias(), refuseResult);
    });
    return [new Captured(captured, arena, inside, slots, result), copied(result)];
  } catch (error) {
    for (const slot of slots) slot.dispose();
    eachTensor(result, (x) => x.dispose());
    captured.release();
    arena.close();
    throw error;
  }
}

/** A dense tensor of the argument's shape, with its values, in no scope. */
function slotFor(x: Tensor): Tensor {
  x.checkAlive("compile");
  if (x.requiresGrad) {
    throw new ValueError(
      `compile: argument ${x.describe()} requires a gradient; expected data (make it a parameter outside the function)`,
    );
  }
  return runScoped("compile", () => {
    const slot = empty(x.backend, x.shape, x.dtype, "argument");
    x.backend.run(copy, [x], [slot], {});
    return slot.alias();
  });
}

function refuseResult(value: unknown): never {
  throw new ValueError(
    `compile: the function returned ${typeof value === "object" ? "an object of a class" : typeof value}; ` +
      "expected tensors, numbers, or arrays and plain objects of them",
  );
}

/** New tensors in the innermost scope with the values of those in the arena. */
function copied(result: unknown): unknown {
  return mapTensors(result, copyOf);
}

function copyOf(x: Tensor): Tensor {
  const made = empty(x.backend, x.shape, x.dtype, x.label);
  if (x.size > 0) x.backend.run(copy, [x], [made], noAttrs);
  return made;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The same value with other tensors, those in arrays and plain objects included. */
function mapTensors(
  value: unknown,
  map: (x: Tensor) => Tensor,
  other: (value: unknown) => unknown = (same) => same,
): unknown {
  if (value instanceof Tensor) return map(value);
  if (Array.isArray(value)) return value.map((item) => mapTensors(item, map, other));
  if (typeof value === "object" && value !== null) {
    if (!isPlain(value)) return other(value);
    const entries = Object.entries(value).map(([k, item]) => [k, mapTensors(item, map, other)]);
    return Object.fromEntries(entries);
  }
  return typeof value === "function" ? other(value) : value;
}

function eachTensor(value: unknown, visit: (x: Tensor) => void): void {
  mapTensors(value, (x) => {
    visit(x);
    return x;
  });
}

/** Whether `value` has the tensors' shapes, dtypes and devices, and else the content, of `pattern`; collects its tensors. */
function matches(pattern: unknown, value: unknown, tensors: Tensor[]): boolean {
  if (pattern instanceof Tensor) {
    if (!(value instanceof Tensor)) return false;
    tensors.push(value);
    return (
      value.dtype === pattern.dtype &&
      value.backend === pattern.backend &&
      sameShape(value.shape, pattern.shape)
    );
  }
  if (typeof pattern !== "object" || pattern === null) return Object.is(pattern, value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value) || value.length !== pattern.length) return false;
    for (let i = 0; i < pattern.length; i++) {
      if (!matches(pattern[i], value[i], tensors)) return false;
    }
    return true;
  }
  if (!isPlain(pattern)) return pattern === value;
  if (!isPlain(value)) return false;
  const names = Object.keys(pattern);
  return (
    names.length === Object.keys(value).length &&
    names.every(
      (name) =>
        name in value &&
        matches(
          (pattern as Record<string, unknown>)[name],
          (value as Record<string, unknown>)[name],
          tensors,
        ),
    )
  );
}
