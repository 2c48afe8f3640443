/**
 * Dispatches noted below the launchers, to be recorded again: pipelines, bind groups and parameters are made
 * once, so that a replay is three calls of WebGPU for each dispatch, and one compute pass until the batch is full.
 * Calls that compute elements are made one dispatch where they can be (fusion/), once all calls are known.
 */
import type { Attrs, Buffer, Kernel, Program, TypedArray, View } from "../backend.ts";
import { ProgramScratch } from "../program-scratch.ts";
import { elementOf } from "./fusion/element.ts";
import type { Step } from "./fusion/plan.ts";
import { plan } from "./fusion/plan.ts";
import type { Allocation } from "./pool.ts";
import type { Queue } from "./queue.ts";
import { PARAMETER_BYTES } from "./queue.ts";
import type { Dispatch } from "./runtime.ts";

/** A dispatch as the queue takes it, without its parameters and bind group. */
export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly buffers: readonly Allocation[];
  readonly grid: readonly [number, number];
}

/** A dispatch with PARAMETER_BYTES of parameters of its own. */
export interface Noted extends Prepared {
  readonly parameters: Uint32Array<ArrayBuffer>;
}

/** Where a runtime notes what launchers do. */
export interface Recorder {
  dispatch(noted: Noted): void;
  /** Bytes, to the same place in another buffer. */
  copy(from: Allocation, to: Allocation, at: number, byteLength: number): void;
  /** The next dispatch may note a bad index. */
  expectFaults(): void;
  /** Scratch memory, which stays the program's: later launches of it use it again. */
  take(byteLength: number): Allocation;
  give(block: Allocation): void;
}

/** What a program needs of the backend. */
export interface ProgramHost {
  readonly queue: Queue;
  /** Runs a launcher; with a recorder, what it does is noted there. */
  launch(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    recorder: Recorder | null,
  ): void;
  /** What the dispatch would be, if it ran. */
  note(dispatch: Dispatch): Noted;
  /** Arrays that a dispatch can have. */
  readonly mostArrays: number;
  write(buffer: Buffer, offset: number, data: TypedArray): void;
  /** Throws what has happened on the device. */
  check(op: string): void;
  /** The next read looks whether an index was bad. */
  expectFaults(): void;
  alloc(byteLength: number): Allocation;
  free(block: Allocation): void;
  group(
    layout: GPUBindGroupLayout,
    parameters: Allocation,
    buffers: readonly Allocation[],
  ): GPUBindGroup;
}

/** What a call does, in order: dispatches, and other things. */
interface NotedStep extends Step {
  readonly actions: (Noted | (() => void))[];
}

export class GpuProgram implements Program, Recorder {
  readonly #host: ProgramHost;
  readonly #steps: NotedStep[] = [];
  readonly #releases: { before: number; buffer: Buffer }[] = [];
  /** What a run does, as soon as one has been asked for. */
  #calls: (() => void)[] | null = null;
  #parameters: Allocation | null = null;
  readonly #scratch = new ProgramScratch<Allocation>();

  constructor(host: ProgramHost) {
    this.#host = host;
  }

  add(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    changing: boolean,
  ): void {
    const host = this.#host;
    const element = changing ? null : elementOf({ kernel, inputs, outputs, attrs });
    if (element === null) {
      // Outputs may be changed in place, or in parts.
      const step = this.#note([...inputs, ...outputs], outputs);
      if (changing) step.actions.push(() => host.launch(kernel, inputs, outputs, attrs, null));
    } else {
      const reads = element.operands.map(({ view }) => view);
      this.#note(reads, outputs, element);
    }
    host.launch(kernel, inputs, outputs, attrs, changing ? null : this);
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    const { length: size } = data;
    const to: View = { buffer, offset, shape: [size], strides: [1], size, dtype: "float32" };
    this.#note([], [to]).actions.push(() => this.#host.write(buffer, offset, data));
  }

  release(buffer: Buffer): void {
    this.#releases.push({ before: this.#steps.length, buffer });
  }

  run(): void {
    this.#host.check("compile");
    const calls = (this.#calls ??= this.#prepare());
    for (let i = 0; i < calls.length; i++) calls[i]();
  }

  free(): void {
    this.#unprepare();
    this.#steps.length = 0;
    this.#releases.length = 0;
    this.#scratch.freeAll((block) => this.#host.free(block));
  }

  dispatch(noted: Noted): void {
    this.#act(noted);
  }

  copy(from: Allocation, to: Allocation, at: number, byteLength: number): void {
    this.#act(() => this.#host.queue.copy(from, at, to, at, byteLength));
  }

  expectFaults(): void {
    this.#act(() => this.#host.expectFaults());
  }

  take(byteLength: number): Allocation {
    return this.#scratch.take(byteLength, (bytes) => this.#host.alloc(bytes));
  }

  give(block: Allocation): void {
    this.#scratch.give(block);
  }

  #note(
    reads: readonly View[],
    writes: readonly View[],
    element: Step["element"] = null,
  ): NotedStep {
    this.#unprepare();
    const step = { reads, writes, element, actions: [] };
    this.#steps.push(step);
    return step;
  }

  /** What the last step does next. */
  #act(action: Noted | (() => void)): void {
    this.#steps[this.#steps.length - 1].actions.push(action);
  }

  /** What runs, in order: chains as one dispatch, all else as it was noted. */
  #actions(): (Noted | (() => void))[] {
    const steps = this.#steps;
    const { mostArrays } = this.#host;
    return plan(steps, this.#releases, mostArrays).flatMap(({ steps: [first, ...more], chain }) => {
      if (chain?.idle === true) return [];
      if (chain === null || more.length === 0) return steps[first].actions;
      return [this.#host.note(chain.dispatch())];
    });
  }

  /** Puts the parameters of all dispatches into a buffer, and makes their bind groups with it. */
  #prepare(): (() => void)[] {
    const host = this.#host;
    const { queue } = host;
    const actions = this.#actions();
    const dispatches = actions.filter((action) => typeof action !== "function");
    const words = new Uint32Array((dispatches.length * PARAMETER_BYTES) / 4);
    const block = dispatches.length === 0 ? null : host.alloc(words.byteLength);
    this.#parameters = block;
    let at = 0;
    const calls = actions.map((action) => {
      if (typeof action === "function") return action;
      const { pipeline, layout, buffers, grid, parameters } = action;
      const offset = at;
      words.set(parameters, offset / 4);
      at += PARAMETER_BYTES;
      const group = host.group(layout, block!, buffers);
      const touched = [block!, ...buffers];
      return () => queue.replay(pipeline, group, offset, touched, grid);
    });
    if (block !== null) queue.write(block, 0, new Uint8Array(words.buffer));
    return calls;
  }

  #unprepare(): void {
    if (this.#parameters !== null) this.#host.free(this.#parameters);
    this.#parameters = null;
    this.#calls = null;
  }
}
