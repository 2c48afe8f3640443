/**
 * Dispatches noted below the launchers, to be recorded again: pipelines, bind groups and parameters are made
 * once, so that a replay is three calls of WebGPU for each dispatch, and one compute pass until the batch is full.
 */
import type { Attrs, Buffer, Kernel, Program, TypedArray, View } from "../backend.ts";
import { ProgramScratch } from "../program-scratch.ts";
import type { Allocation } from "./pool.ts";
import type { Queue } from "./queue.ts";
import { PARAMETER_BYTES } from "./queue.ts";

/** A dispatch as the queue takes it, without its parameters and bind group. */
export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly buffers: readonly Allocation[];
  readonly grid: readonly [number, number];
}

/** Where a runtime notes what launchers do. */
export interface Recorder {
  /** `parameters`: PARAMETER_BYTES of them, the recorder's to keep. */
  dispatch(prepared: Prepared, parameters: Uint32Array<ArrayBuffer>): void;
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

export class GpuProgram implements Program, Recorder {
  readonly #host: ProgramHost;
  readonly #calls: (() => void)[] = [];
  readonly #dispatches: {
    readonly prepared: Prepared;
    readonly words: Uint32Array<ArrayBuffer>;
  }[] = [];
  /** Of all dispatches, in their order; null until they are replayed. */
  #parameters: Allocation | null = null;
  #groups: GPUBindGroup[] = [];
  /** What each dispatch touches: its parameters and arrays. */
  #touched: (readonly Allocation[])[] = [];
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
    this.#unprepare();
    if (changing) this.#calls.push(() => host.launch(kernel, inputs, outputs, attrs, null));
    host.launch(kernel, inputs, outputs, attrs, changing ? null : this);
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    this.#calls.push(() => this.#host.write(buffer, offset, data));
  }

  run(): void {
    this.#host.check("compile");
    if (this.#parameters === null && this.#dispatches.length > 0) this.#prepare();
    const calls = this.#calls;
    for (let i = 0; i < calls.length; i++) calls[i]();
  }

  free(): void {
    this.#unprepare();
    this.#calls.length = 0;
    this.#dispatches.length = 0;
    this.#scratch.freeAll((block) => this.#host.free(block));
  }

  dispatch(prepared: Prepared, words: Uint32Array<ArrayBuffer>): void {
    const { pipeline, grid } = prepared;
    const { queue } = this.#host;
    const k = this.#dispatches.push({ prepared, words }) - 1;
    const offset = k * PARAMETER_BYTES;
    this.#calls.push(() => queue.replay(pipeline, this.#groups[k], offset, this.#touched[k], grid));
  }

  copy(from: Allocation, to: Allocation, at: number, byteLength: number): void {
    this.#calls.push(() => this.#host.queue.copy(from, at, to, at, byteLength));
  }

  expectFaults(): void {
    this.#calls.push(() => this.#host.expectFaults());
  }

  take(byteLength: number): Allocation {
    return this.#scratch.take(byteLength, (bytes) => this.#host.alloc(bytes));
  }

  give(block: Allocation): void {
    this.#scratch.give(block);
  }

  /** Puts the parameters of all dispatches into a buffer, and makes their bind groups with it. */
  #prepare(): void {
    const host = this.#host;
    const count = this.#dispatches.length;
    const parameters = host.alloc(count * PARAMETER_BYTES);
    const words = new Uint32Array((count * PARAMETER_BYTES) / 4);
    this.#dispatches.forEach((each, k) => words.set(each.words, (k * PARAMETER_BYTES) / 4));
    host.queue.write(parameters, 0, new Uint8Array(words.buffer));
    this.#parameters = parameters;
    for (const { prepared } of this.#dispatches) {
      const { layout, buffers } = prepared;
      this.#groups.push(host.group(layout, parameters, buffers));
      this.#touched.push([parameters, ...buffers]);
    }
  }

  #unprepare(): void {
    if (this.#parameters !== null) this.#host.free(this.#parameters);
    this.#parameters = null;
    this.#groups = [];
    this.#touched = [];
  }
}
