/** `compile(step)`: one run of a training step is captured, and its kernel calls made again. */
import { Arena } from "./arena.ts";
import { copy } from "./autograd.ts";
import type { Attrs, Backend } from "./backend/backend.ts";
import type { Gradients } from "./capture.ts";
import { Capture, currentCapture, modes, placeGradients } from "./capture.ts";
import { backendOf } from "./device.ts";
import { ValueError } from "./errors.ts";
import { isTraced } from "./op.ts";
import { currentScope, runScoped } from "./scope.ts";
import { formatShape } from "./shape.ts";
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
 * - The memory of a captured step stays until `dispose()`; `memory()` counts it.
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
    const tensors: Tensor[] = [];
    const key = describeArguments(args, tensors);
    const backend = tensors.length > 0 ? tensors[0].backend : backendOf();
    let at = programs.findIndex((program) => program.key === key && program.holds(backend));
    if (at < 0) {
      captures++;
      const [made, result] = capture(fn, args, tensors, key, backend);
      programs.push(made);
      if (programs.length > MOST_PROGRAMS) programs.shift()!.dispose();
      return result as Result;
    }
    const program = programs[at];
    for (; at < programs.length - 1; at++) programs[at] = programs[at + 1];
    programs[at] = program;
    return program.replay(tensors) as Result;
  };
  const dispose = (): void => {
    for (const program of programs.splice(0)) program.dispose();
  };
  return Object.defineProperty(Object.assign(call, { dispose }), "captures", {
    get: () => captures,
  }) as Compiled<Args, Result>;
}

/** One captured run. */
class Captured {
  readonly key: string;
  private readonly capture: Capture;
  private readonly arena: Arena;
  private readonly slots: readonly Tensor[];
  /** What the function returned, with tensors in the arena. */
  private readonly result: unknown;
  private readonly grads: Gradients;

  constructor(
    key: string,
    captured: Capture,
    arena: Arena,
    slots: readonly Tensor[],
    result: unknown,
  ) {
    this.key = key;
    this.capture = captured;
    this.arena = arena;
    this.slots = slots;
    this.result = result;
    this.grads = captured.gradients();
  }

  /** Would the function do the same again? */
  holds(backend: Backend): boolean {
    if (backend !== this.capture.backend) return false;
    for (const [x, storage] of this.capture.outside) {
      if (x.disposed || x.storage !== storage) return false;
    }
    for (const [leaf, before] of this.capture.gradsBefore) {
      if ((leaf.grad?.storage ?? null) !== before) return false;
    }
    return true;
  }

  replay(tensors: readonly Tensor[]): unknown {
    const { backend, draws, steps, written } = this.capture;
    for (let i = 0; i < tensors.length; i++) {
      tensors[i].checkAlive("compile");
      backend.run(copy, [tensors[i]], [this.slots[i]], noAttrs);
    }
    for (let i = 0; i < draws.length; i++) draws[i]();
    for (let i = 0; i < steps.length; i++) steps[i]();
    placeGradients(this.grads);
    for (const storage of written) storage.version++;
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
function capture(
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  tensors: readonly Tensor[],
  key: string,
  backend: Backend,
): [Captured, unknown] {
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
    return [new Captured(key, captured, arena, slots, result), copied(result)];
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
  if (result === undefined) return undefined;
  return mapTensors(result, (x) => {
    const copy_ = empty(x.backend, x.shape, x.dtype, x.label);
    if (x.size > 0) x.backend.run(copy, [x], [copy_], noAttrs);
    return copy_;
  });
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

const identities = new WeakMap<object, number>();
let named = 0;

/** What a capture depends on, in words; collects the tensors in the order of `mapTensors`. */
function describeArguments(args: readonly unknown[], tensors: Tensor[]): string {
  let key = `${modes()} ${isRecording()}`;
  const describe = (value: unknown): void => {
    if (value instanceof Tensor) {
      tensors.push(value);
      key += ` ${value.device} ${value.dtype}${formatShape(value.shape)}`;
    } else if (Array.isArray(value)) {
      key += " [";
      value.forEach(describe);
      key += " ]";
    } else if (typeof value === "object" && value !== null && isPlain(value)) {
      key += " {";
      for (const [name, item] of Object.entries(value)) {
        key += ` ${name}:`;
        describe(item);
      }
      key += " }";
    } else if ((typeof value === "object" && value !== null) || typeof value === "function") {
      const known = identities.get(value) ?? ++named;
      identities.set(value, known);
      key += ` #${known}`;
    } else key += ` ${typeof value} ${String(value)}`;
  };
  args.forEach(describe);
  return key;
}
