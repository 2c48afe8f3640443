/** Kernel calls noted below the launchers: exports with their numbers, ready to be called again. */
import type { Attrs, Buffer, Kernel, Program, TypedArray, View } from "../backend.ts";
import { ProgramScratch } from "../program-scratch.ts";
import type { Allocation } from "./allocator.ts";
import type { KernelFunction } from "./module.ts";

/** What a program needs of the backend. */
export interface ProgramHost {
  /** Runs a launcher; with a recorder, its calls are noted there. */
  launch(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    recorder: Recorder | null,
  ): void;
  write(buffer: Buffer, offset: number, data: TypedArray): void;
  alloc(byteLength: number): Allocation;
  free(block: Allocation): void;
  /** Runs `f(...args, begin, end)` over [0, total) on several threads. */
  parallel(
    name: string,
    f: KernelFunction,
    total: number,
    grain: number,
    args: readonly number[],
  ): void;
  /** A trap, as an error that names the operation. */
  explain(error: unknown, operation: string): unknown;
}

/** Where a runtime notes the calls of a launcher. */
export interface Recorder {
  call(f: KernelFunction, args: readonly number[]): void;
  /** A call whose result, unless negative, is an error. */
  verify(f: KernelFunction, args: readonly number[], explain: (bad: number) => Error): void;
  parallel(
    name: string,
    f: KernelFunction,
    total: number,
    grain: number,
    args: readonly number[],
  ): void;
  /** Scratch memory, which stays the program's: later launches of it use it again. */
  take(byteLength: number): Allocation;
  give(block: Allocation): void;
}

export class CpuProgram implements Program, Recorder {
  readonly #host: ProgramHost;
  readonly #calls: (() => unknown)[] = [];
  /** The operation that each call belongs to. */
  readonly #operations: string[] = [];
  readonly #scratch = new ProgramScratch<Allocation>();
  #operation = "";

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
    this.#operation = kernel.name;
    const host = this.#host;
    if (changing) {
      this.#note(() => host.launch(kernel, inputs, outputs, attrs, null));
      host.launch(kernel, inputs, outputs, attrs, null);
    } else {
      host.launch(kernel, inputs, outputs, attrs, this);
    }
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    this.#operation = "write";
    this.#note(() => this.#host.write(buffer, offset, data));
  }

  run(): void {
    const calls = this.#calls;
    let i = 0;
    try {
      for (; i < calls.length; i++) calls[i]();
    } catch (error) {
      throw this.#host.explain(error, this.#operations[i]);
    }
  }

  free(): void {
    this.#calls.length = 0;
    this.#scratch.freeAll((block) => this.#host.free(block));
  }

  call(f: KernelFunction, args: readonly number[]): void {
    // Bound arguments cost less than an array that is spread at every call.
    this.#note(f.bind(null, ...args));
  }

  verify(f: KernelFunction, args: readonly number[], explain: (bad: number) => Error): void {
    const find = f.bind(null, ...args);
    this.#note(() => {
      const bad = find();
      if (bad >= 0) throw explain(bad);
    });
  }

  parallel(
    name: string,
    f: KernelFunction,
    total: number,
    grain: number,
    args: readonly number[],
  ): void {
    this.#note(() => this.#host.parallel(name, f, total, grain, args));
  }

  take(byteLength: number): Allocation {
    return this.#scratch.take(byteLength, (bytes) => this.#host.alloc(bytes));
  }

  give(block: Allocation): void {
    this.#scratch.give(block);
  }

  #note(call: () => unknown): void {
    this.#calls.push(call);
    this.#operations.push(this.#operation);
  }
}
