/**
 * A runtime for launchers alone: one thread, memory handed out in one direction. It surrounds
 * arrays with NaN, so that what a kernel reads beside them shows, and cuts work as told.
 */
import type { View } from "../../src/backend/backend.ts";
import { loadKernels } from "../../src/backend/wasm/module.ts";
import type { Launcher, Runtime } from "../../src/backend/wasm/runtime.ts";
import { isContiguous, sizeOf, stridesOf } from "../../src/shape.ts";

export type Precision = "strict" | "fast";

const BORDER = 64; // bytes of NaN around each array
/** What launchers are told that they run. */
export const testKernel = { name: "test", kind: "test", wasm: "test", reference: () => {} };

interface Block {
  readonly byteLength: number;
  readonly ptr: number;
}

export class TestRuntime implements Runtime {
  /** What launchers take for the number of threads. */
  threads = 1;
  /** Cuts `parallel` into chunks of at most the grain, the last chunk first. */
  cut = false;
  readonly #functions: ReadonlyMap<string, (...args: number[]) => number>;
  readonly #memory: WebAssembly.Memory;
  readonly #start: number;
  #next: number;

  constructor(precision: Precision) {
    const kernels = loadKernels({ threads: 1, precision });
    this.#functions = kernels.functions;
    this.#memory = kernels.memory;
    const scratch = Math.ceil(kernels.heapBase / 64) * 64;
    kernels.functions.get("set_scratch")!(scratch);
    this.#start = this.#next = scratch + kernels.scratchBytes;
  }

  /** Forgets all arrays. */
  reset(): void {
    this.#next = this.#start;
  }

  /** An array of that shape; `strides` other than dense are what a view of a larger array has. */
  array(
    data: Float32Array,
    shape: readonly number[],
    strides = stridesOf(shape),
    offset = 0,
  ): View {
    const ptr = this.scratch(data.byteLength);
    new Float32Array(this.#memory.buffer, ptr, data.length).set(data);
    const buffer: Block = { byteLength: data.byteLength, ptr };
    return { buffer, offset, shape, strides, size: sizeOf(shape), dtype: "float32" };
  }

  /** A result, NaN so far. */
  result(shape: readonly number[]): View {
    return this.array(new Float32Array(sizeOf(shape)).fill(NaN), shape);
  }

  read(view: View): Float32Array {
    return new Float32Array(this.#memory.buffer, this.pointer(view), view.size).slice();
  }

  /** Throws unless the memory right before and after the array is as it was. */
  checkBorder(view: View): void {
    const { ptr, byteLength } = view.buffer as Block;
    const size = BORDER / 4;
    const after = new Float32Array(this.#memory.buffer, ptr + Math.ceil(byteLength / 4) * 4, size);
    const before = new Float32Array(this.#memory.buffer, ptr - BORDER, size);
    if (![...before, ...after].every(Number.isNaN)) throw new Error("written outside the result");
  }

  launch(
    launcher: Launcher,
    inputs: readonly View[],
    shape: readonly number[],
    attrs = {},
  ): Float32Array {
    return this.launchAll(launcher, inputs, [shape], attrs)[0];
  }

  /** The same with several results. */
  launchAll(
    launcher: Launcher,
    inputs: readonly View[],
    shapes: readonly (readonly number[])[],
    attrs = {},
  ): Float32Array[] {
    const results = shapes.map((shape) => this.result(shape));
    launcher(this, testKernel, inputs, results, attrs);
    return results.map((result) => {
      this.checkBorder(result);
      return this.read(result);
    });
  }

  pointer(view: View): number {
    return (view.buffer as Block).ptr + view.offset * 4;
  }

  dense(view: View): number {
    if (!isContiguous(view.shape, view.strides)) throw new Error("test: dense() of a strided view");
    return this.pointer(view);
  }

  scratch(byteLength: number): number {
    const ptr = this.#next + BORDER;
    this.#next = Math.ceil((ptr + byteLength + BORDER) / 64) * 64;
    const missing = this.#next - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / 65536));
    new Float32Array(this.#memory.buffer, ptr - BORDER, (this.#next - ptr + BORDER) / 4).fill(NaN);
    return ptr;
  }

  has(name: string): boolean {
    return this.#functions.has(name);
  }

  call(name: string, ...args: number[]): number {
    return this.#functions.get(name)!(...args);
  }

  verify(name: string, args: readonly number[], explain: (bad: number) => Error): void {
    const bad = this.call(name, ...args);
    if (bad >= 0) throw explain(bad);
  }

  parallel(name: string, total: number, grain: number, args: readonly number[]): void {
    if (!(grain > 0)) throw new Error(`${name}: grain ${grain}`);
    const chunks = this.cut ? Math.ceil(total / grain) : 1;
    const step = this.cut ? grain : total;
    for (let i = chunks - 1; i >= 0; i--) {
      this.call(name, ...args, i * step, Math.min(total, (i + 1) * step));
    }
  }
}

/** Deterministic numbers: mulberry32. */
export class Numbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from low to high, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)];
  }

  array(size: number): Float32Array {
    return Float32Array.from({ length: size }, () => this.next() * 2 - 1);
  }
}

/** `found` against sums of products whose absolute values add up to `scale`. */
export function worstError(
  found: Float32Array,
  expected: Float64Array,
  scale: Float64Array,
): number {
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    const error = Math.abs(found[i] - expected[i]) / (scale[i] || 1);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}
