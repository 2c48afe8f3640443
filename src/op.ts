/**
 * Operation records and the one place that runs them: `run` checks that inputs are alive and on
 * one device, infers shapes, allocates, hands over to the backend, and records for backward.
 */
import type { Attrs, Backend, DType, Kernel } from "./backend/backend.ts";
import { currentCapture } from "./capture.ts";
import { debug, log } from "./debug.ts";
import { enterScope } from "./scope.ts";
import type { Shape, Strides } from "./shape.ts";
import { formatShape, sizeOf, stridesOf } from "./shape.ts";
import type { Vjp } from "./tape.ts";
import { isRecording, putOnTape } from "./tape.ts";
import { commonBackend, Storage, Tensor } from "./tensor.ts";

export interface OutputSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** One record per operation: everything that is known about it. */
export interface Op<A = object> extends Kernel {
  /** The output's shape; throws ShapeError or ValueError for inputs that do not fit. */
  readonly shape: (inputs: readonly Tensor[], attrs: A) => Shape;
  /** The output's dtype; by default the first input's. */
  readonly dtype?: (inputs: readonly Tensor[], attrs: A) => DType;
  /** Further outputs (indices, row statistics), which carry no gradient; `runAll` returns them. */
  readonly extra?: (inputs: readonly Tensor[], attrs: A, shape: Shape) => readonly OutputSpec[];
  /**
   * What outlives the forward pass for the gradient: inputs by position (left out where there are fewer
   * inputs), "y" for the output, "extra0", … for further outputs.
   */
  readonly saves?: readonly (number | "y" | "extra0" | "extra1")[];
  readonly vjp?: Vjp<A>;
}

/** An operation that only looks at the same memory in another way. */
export interface ViewOp<A = object> {
  readonly name: string;
  readonly view: (x: Tensor, attrs: A) => { shape: Shape; strides: Strides; offset: number };
  readonly vjp: Vjp<A>;
}

/** Every record by name, so that tests and tools can ask for all of them. */
export const operations: Map<string, Op<never> | ViewOp<never>> = new Map();

export function defineOp<A = object>(op: Op<A>): Op<A> {
  operations.set(op.name, op as unknown as Op<never>);
  return op;
}

export function defineView<A = object>(op: ViewOp<A>): ViewOp<A> {
  operations.set(op.name, op as unknown as ViewOp<never>);
  return op;
}

/** One run of a kernel, as observers see it; see `setTracer`. */
export interface TraceEvent {
  readonly op: string;
  /** The record (or in-place kernel) that ran. */
  readonly kernel: Kernel;
  readonly attrs: Attrs;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** True where `outputs` had values that the kernel reads or overwrites. */
  readonly inPlace: boolean;
  /** 0 before the kernel ran. */
  readonly milliseconds: number;
}

/** Called after every operation; as an object, also before it. */
export type Tracer =
  | ((event: TraceEvent) => void)
  | { before(event: TraceEvent): void; after(event: TraceEvent): void };

let tracer: Tracer | null = null;

/** Is somebody watching every operation? */
export function isTraced(): boolean {
  return tracer !== null || debug.level >= 2;
}

/** Observes every operation that is run (null ends it). Returns the previous observer. */
export function setTracer(observe: Tracer | null): Tracer | null {
  const before = tracer;
  tracer = observe;
  return before;
}

const noOutputs: readonly Tensor[] = [];

/** Runs an operation; its first output. */
export function run<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor {
  const output = prepare(op, inputs, attrs);
  const extras = compute(op, inputs, output, attrs);
  enterScope(output);
  if (isRecording() && op.vjp !== undefined && anyRequiresGrad(inputs)) {
    record(op, inputs, output, extras, attrs);
  } else {
    for (const extra of extras) extra.dispose();
  }
  return output;
}

/** Runs an operation for all its outputs. Nothing is recorded: for gradients, and other records without a vjp. */
export function runAll<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor[] {
  const output = prepare(op, inputs, attrs);
  const outputs = [output, ...compute(op, inputs, output, attrs)];
  for (const each of outputs) enterScope(each);
  return outputs;
}

/** Checks the inputs and allocates the first output. */
function prepare<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor {
  for (let i = 0; i < inputs.length; i++) if (inputs[i].disposed) inputs[i].checkAlive(op.name);
  const backend = commonBackend(op.name, inputs);
  const shape = op.shape(inputs, attrs);
  const dtype = op.dtype === undefined ? inputs[0].dtype : op.dtype(inputs, attrs);
  return allocate(backend, op.name, shape, dtype);
}

/** Fills the output and allocates and fills the others, which it returns; on an error all are gone. */
function compute<A>(
  op: Op<A>,
  inputs: readonly Tensor[],
  output: Tensor,
  attrs: A,
): readonly Tensor[] {
  let extras = noOutputs;
  try {
    if (op.extra !== undefined) {
      const made: Tensor[] = [];
      extras = made;
      for (const spec of op.extra(inputs, attrs, output.shape)) {
        made.push(allocate(output.backend, op.name, spec.shape, spec.dtype));
      }
    }
    const outputs = extras.length === 0 ? [output] : [output, ...extras];
    execute(op, inputs, outputs, attrs as Attrs, false);
    return extras;
  } catch (error) {
    output.dispose();
    for (const extra of extras) extra.dispose();
    throw error;
  }
}

/** A new tensor with undefined content, in no scope yet. */
function allocate(backend: Backend, label: string, shape: Shape, dtype: DType): Tensor {
  const storage = Storage.allocate(backend, sizeOf(shape), dtype);
  return new Tensor(storage, shape, stridesOf(shape), 0, label);
}

/**
 * Runs a kernel that overwrites `outputs` in place: fused optimizer steps, accumulation. Raises
 * the version of every output's storage. Nothing is recorded.
 */
export function runInPlace<A extends object>(
  kernel: Kernel,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  attrs: A,
): void {
  const { backend } = outputs[0];
  let together = true;
  for (let i = 0; i < inputs.length; i++) {
    if (inputs[i].disposed) inputs[i].checkAlive(kernel.name);
    together &&= inputs[i].backend === backend;
  }
  for (let i = 0; i < outputs.length; i++) {
    if (outputs[i].disposed) outputs[i].checkAlive(kernel.name);
    together &&= outputs[i].backend === backend;
  }
  if (!together) commonBackend(kernel.name, [...outputs, ...inputs]);
  execute(kernel, inputs, outputs, attrs as unknown as Attrs, true);
  for (let i = 0; i < outputs.length; i++) outputs[i].storage.version++;
}

/** Another view of the same memory, recorded like any operation. */
export function runView<A>(op: ViewOp<A>, x: Tensor, attrs: A): Tensor {
  if (x.disposed) x.checkAlive(op.name);
  currentCapture()?.noteOutside(x);
  const { shape, strides, offset } = op.view(x, attrs);
  const output = new Tensor(x.storage.retain(), shape, strides, offset, op.name);
  enterScope(output);
  if (isRecording() && x.requiresGrad) {
    putOnTape(op, attrs, [x], output, noOutputs, noOutputs);
  }
  return output;
}

function anyRequiresGrad(inputs: readonly Tensor[]): boolean {
  for (let i = 0; i < inputs.length; i++) if (inputs[i].requiresGrad) return true;
  return false;
}

function record<A>(
  op: Op<A>,
  inputs: readonly Tensor[],
  output: Tensor,
  extras: readonly Tensor[],
  attrs: A,
): void {
  const { saves } = op;
  if (saves === undefined) {
    putOnTape(op, attrs, inputs, output, noOutputs, extras);
    return;
  }
  const saved = Array<Tensor>(saves.length);
  let count = 0;
  for (let i = 0; i < saves.length; i++) {
    const what = saves[i];
    if (typeof what !== "number") {
      saved[count++] = what === "y" ? output : extras[what === "extra0" ? 0 : 1];
    } else if (what < inputs.length) saved[count++] = inputs[what];
  }
  if (count < saved.length) saved.length = count;
  putOnTape(op, attrs, inputs, output, saved, extras);
}

function execute(
  kernel: Kernel,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  attrs: Attrs,
  inPlace: boolean,
): void {
  const backend = outputs[0].backend;
  const capture = currentCapture();
  if (capture !== null) {
    capture.run(kernel, inputs, outputs, attrs, inPlace);
    return;
  }
  if (tracer === null && debug.level < 2) {
    backend.run(kernel, inputs, outputs, attrs);
    return;
  }
  const event = { op: kernel.name, kernel, attrs, inputs, outputs, inPlace, milliseconds: 0 };
  if (typeof tracer === "object") tracer?.before(event);
  const start = performance.now();
  backend.run(kernel, inputs, outputs, attrs);
  const milliseconds = performance.now() - start;
  if (tracer !== null) {
    const after = typeof tracer === "function" ? tracer : tracer.after;
    after({ ...event, milliseconds });
  }
  if (debug.level >= 2) {
    const from = inputs.map((x) => formatShape(x.shape)).join(" ");
    const to = outputs.map((x) => formatShape(x.shape)).join(" ");
    const bytes = outputs.reduce((sum, x) => sum + x.storage.buffer.byteLength, 0);
    log(2, `${kernel.name} ${from} -> ${to} ${milliseconds.toFixed(3)} ms ${bytes} bytes`);
  }
}
