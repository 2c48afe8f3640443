/** Device "cpu": buffers in the linear memory of the kernel module, launchers that call its exports. */
import type {
  Attrs,
  Backend,
  Buffer,
  Capabilities,
  DType,
  Kernel,
  Program,
  TypedArray,
  View,
} from "../backend.ts";
import { bytesPerElement } from "../backend.ts";
import { BackendError, ValueError } from "../../errors.ts";
import { isContiguous, stridesOf } from "../../shape.ts";
import type { MemoryStats } from "./allocator.ts";
import { Allocation, Allocator } from "./allocator.ts";
import { launchers as allLaunchers } from "./launch/index.ts";
import type { CpuOptions, KernelFunction, Kernels } from "./module.ts";
import { loadKernels, loadKernelsAsync } from "./module.ts";
import type { Recorder } from "./program.ts";
import { CpuProgram } from "./program.ts";
import type { Launcher, Runtime } from "./runtime.ts";
import { invoke, Pool } from "./threads.ts";

export type { CpuOptions } from "./module.ts";

export function createCpuBackend(options: CpuOptions = {}): CpuBackend {
  return new CpuBackend(loadKernels(options), allLaunchers);
}

/** For pages, which may not compile on their main thread, and for a `Response`. */
export async function createCpuBackendAsync(options: CpuOptions = {}): Promise<CpuBackend> {
  return new CpuBackend(await loadKernelsAsync(options), allLaunchers);
}

const dtypes: readonly DType[] = ["float32", "int32", "bool"];

const copyKernel: Kernel = { name: "copy", kind: "copy", wasm: "copy", reference: () => {} };
const noAttrs: Attrs = {};

export class CpuBackend implements Backend {
  readonly device = "cpu";
  readonly #kernels: Kernels;
  readonly #memory: LinearMemory;
  readonly #allocator: Allocator;
  readonly #runtime: CpuRuntime;
  readonly #launchers: ReadonlyMap<string, Launcher>;
  readonly #pool: Pool | null;
  #closed = false;

  /**
   * Memory: static data, one scratch region per thread, then what the allocator hands out.
   */
  constructor(kernels: Kernels, launchers: Readonly<Record<string, Launcher>>) {
    this.#kernels = kernels;
    this.#launchers = new Map(Object.entries(launchers));
    this.#memory = new LinearMemory(kernels.memory);
    let next = Math.ceil(kernels.heapBase / 64) * 64;
    const scratch: number[] = [];
    for (let thread = 0; thread < kernels.threads; thread++) {
      scratch.push(next);
      next += Math.ceil(kernels.scratchBytes / 64) * 64;
    }
    const missing = next - this.#memory.byteLength;
    if (missing > 0 && !this.#memory.grow(missing)) {
      throw new BackendError(
        `cpu: no room for the scratch memory of ${kernels.threads} threads (${next} bytes); use fewer`,
      );
    }
    kernels.functions.get("set_scratch")?.(scratch[0]);
    this.#allocator = new Allocator(this.#memory, next);
    this.#pool = kernels.threads > 1 ? new Pool(kernels, scratch.slice(1)) : null;
    const copy = this.#launchers.get("copy");
    this.#runtime = new CpuRuntime(kernels, this.#allocator, this.#pool, copy);
  }

  alloc(size: number, dtype: DType): Allocation {
    if (this.#closed) this.#throwClosed("alloc");
    checkDType("alloc", dtype);
    return this.#allocator.alloc(size * bytesPerElement[dtype]);
  }

  free(buffer: Buffer): void {
    // Tensors may outlive the backend; their memory is gone already.
    if (!this.#closed) this.#allocator.free(buffer as Allocation);
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    const bytes = data.BYTES_PER_ELEMENT;
    const start = this.#window("write", buffer, offset * bytes, data.byteLength) / bytes;
    const views = this.#memory.views();
    if (data instanceof Float32Array) views.float32.set(data, start);
    else if (data instanceof Int32Array) views.int32.set(data, start);
    else if (data instanceof Uint8Array) views.bool.set(data, start);
    else checkDType("write", "float64");
  }

  readSync(buffer: Buffer, offset: number, size: number, dtype: DType): TypedArray {
    checkDType("read", dtype);
    const bytes = bytesPerElement[dtype];
    const start = this.#window("read", buffer, offset * bytes, size * bytes) / bytes;
    return this.#memory.views()[dtype as "float32" | "int32" | "bool"].slice(start, start + size);
  }

  async read(buffer: Buffer, offset: number, size: number, dtype: DType): Promise<TypedArray> {
    return this.readSync(buffer, offset, size, dtype);
  }

  run(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void {
    this.#launch(kernel, inputs, outputs, attrs, null);
  }

  program(): Program {
    const runtime = this.#runtime;
    return new CpuProgram({
      launch: (...launch) => this.#launch(...launch),
      write: (buffer, offset, data) => this.write(buffer, offset, data),
      alloc: (byteLength) => this.#allocator.alloc(byteLength),
      free: (block) => this.free(block),
      parallel: (name, f, total, grain, args) => this.#pool!.run(name, f, total, grain, args),
      explain: (error, operation) => {
        runtime.operation = operation;
        return runtime.explain(error);
      },
    });
  }

  #launch(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    recorder: Recorder | null,
  ): void {
    if (this.#closed) this.#throwClosed(kernel.name);
    const launcher = this.#launchers.get(kernel.kind);
    if (launcher === undefined) {
      throw new BackendError(
        `cpu: no launcher for kind ${kernel.kind}, which ${kernel.name} needs`,
      );
    }
    const runtime = this.#runtime;
    runtime.operation = kernel.name;
    runtime.recorder = recorder;
    try {
      launcher(runtime, kernel, inputs, outputs, attrs);
    } catch (error) {
      throw runtime.explain(error);
    } finally {
      if (runtime.held > 0) runtime.release();
      runtime.recorder = null;
    }
  }

  async sync(): Promise<void> {}

  capabilities(): Capabilities {
    return {
      device: "cpu",
      float: "float32",
      dtypes,
      threads: this.#runtime.threads,
      precision: this.#kernels.precision,
      reservedBytes: this.#memory.byteLength,
      syncReads: true,
    };
  }

  /** Bytes in use (scratch memory of the threads left out), their peak, and all reserved bytes. */
  stats(): MemoryStats {
    return this.#allocator.stats();
  }

  close(): void {
    this.#closed = true;
    this.#pool?.close();
  }

  /** Address of `byteLength` bytes from `byteOffset` on. */
  #window(op: string, buffer: Buffer, byteOffset: number, byteLength: number): number {
    if (this.#closed) this.#throwClosed(op);
    const { ptr } = buffer as Allocation;
    if (!(ptr > 0)) throwNotAlive(op, buffer);
    if (!(byteOffset >= 0 && byteOffset + byteLength <= buffer.byteLength)) {
      throw new BackendError(
        `cpu: ${op}: bytes ${byteOffset} to ${byteOffset + byteLength} of a buffer of ${buffer.byteLength}`,
      );
    }
    return ptr + byteOffset;
  }

  #throwClosed(op: string): never {
    throw new BackendError(`cpu: ${op}: the backend is closed; init() starts a new one`);
  }
}

/** What launchers see. */
class CpuRuntime implements Runtime {
  readonly threads: number;
  /** The operation that is running, and the export it called last: for messages. */
  operation = "";
  kernel = "";
  /** Where calls are noted, while a program is made. */
  recorder: Recorder | null = null;
  /** How many scratch blocks are held. */
  held = 0;
  readonly #scratch: (Allocation | null)[] = [];
  readonly #functions: ReadonlyMap<string, KernelFunction>;
  readonly #allocator: Allocator;
  readonly #pool: Pool | null;
  readonly #copy: Launcher | undefined;

  constructor(
    kernels: Kernels,
    allocator: Allocator,
    pool: Pool | null,
    copy: Launcher | undefined,
  ) {
    this.threads = kernels.threads;
    this.#functions = kernels.functions;
    this.#allocator = allocator;
    this.#pool = pool;
    this.#copy = copy;
  }

  pointer(view: View): number {
    const { ptr } = view.buffer as Allocation;
    if (!(ptr > 0)) throwNotAlive(this.operation, view.buffer);
    return ptr + view.offset * bytesPerElement[view.dtype];
  }

  dense(view: View): number {
    const { shape, size, dtype } = view;
    if (isContiguous(shape, view.strides)) return this.pointer(view);
    if (this.#copy === undefined) {
      throw new BackendError(`cpu: no launcher for kind copy, which ${this.operation} needs`);
    }
    const buffer = this.#hold(size * bytesPerElement[dtype]);
    const target: View = { buffer, offset: 0, shape, strides: stridesOf(shape), size, dtype };
    this.#copy(this, copyKernel, [view], [target], noAttrs);
    return buffer.ptr;
  }

  scratch(byteLength: number): number {
    return this.#hold(byteLength).ptr;
  }

  /** Frees all scratch blocks. */
  release(): void {
    while (this.held > 0) {
      const block = this.#scratch[--this.held]!;
      this.#scratch[this.held] = null;
      if (this.recorder === null) this.#allocator.free(block);
      else this.recorder.give(block);
    }
  }

  has(name: string): boolean {
    return this.#functions.has(name);
  }

  call(name: string, ...args: number[]): number {
    const f = this.#function(name);
    this.recorder?.call(f, args);
    return f(...args);
  }

  verify(name: string, args: readonly number[], explain: (bad: number) => Error): void {
    const f = this.#function(name);
    this.recorder?.verify(f, args, explain);
    const bad = f(...args);
    if (bad >= 0) throw explain(bad);
  }

  parallel(name: string, total: number, grain: number, args: readonly number[]): void {
    const f = this.#function(name);
    if (this.#pool === null || total <= grain) {
      this.recorder?.call(f, [...args, 0, total]);
      invoke(f, args, 0, total);
    } else {
      this.recorder?.parallel(name, f, total, grain, args);
      this.#pool.run(name, f, total, grain, args);
    }
  }

  /** WASM traps say neither which kernel trapped nor what to do about it. */
  explain(error: unknown): unknown {
    if (!(error instanceof WebAssembly.RuntimeError)) return error;
    return new BackendError(
      `cpu: kernel ${this.kernel} (of ${this.operation}) trapped: ${error.message}`,
      { cause: error },
    );
  }

  #function(name: string): KernelFunction {
    const f = this.#functions.get(name);
    if (f === undefined) {
      throw new BackendError(
        `cpu: no kernel ${name}, which ${this.operation} needs for these dtypes`,
      );
    }
    this.kernel = name;
    return f;
  }

  #hold(byteLength: number): Allocation {
    const block = this.recorder?.take(byteLength) ?? this.#allocator.alloc(byteLength);
    this.#scratch[this.held++] = block;
    return block;
  }
}

interface MemoryViews {
  readonly float32: Float32Array;
  readonly int32: Int32Array;
  readonly bool: Uint8Array;
}

/** A WebAssembly.Memory and views on it that survive its growth. */
class LinearMemory {
  readonly #memory: WebAssembly.Memory;
  #buffer: ArrayBufferLike;
  #views: MemoryViews;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#buffer = memory.buffer;
    this.#views = viewsOf(this.#buffer);
  }

  get byteLength(): number {
    return this.#memory.buffer.byteLength;
  }

  grow(bytes: number): boolean {
    try {
      this.#memory.grow(Math.ceil(bytes / 65536));
      return true;
    } catch {
      return false; // a RangeError: past the maximum, or the system has no more
    }
  }

  /** Valid until the next growth, which detaches them or, if shared, leaves them too short. */
  views(): MemoryViews {
    const { buffer } = this.#memory;
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#views = viewsOf(buffer);
    }
    return this.#views;
  }
}

function viewsOf(buffer: ArrayBufferLike): MemoryViews {
  return {
    float32: new Float32Array(buffer),
    int32: new Int32Array(buffer),
    bool: new Uint8Array(buffer),
  };
}

function checkDType(op: string, dtype: DType): void {
  if (dtype === "float64") {
    throw new ValueError(
      `cpu: ${op}: float64 exists on the reference device only; use float32 here, or ` +
        'await init({ device: "reference" })',
    );
  }
  if (!dtypes.includes(dtype)) {
    throw new ValueError(`cpu: ${op}: dtype ${String(dtype)} (expected ${dtypes.join(", ")})`);
  }
}

function throwNotAlive(op: string, buffer: Buffer): never {
  const freed = buffer instanceof Allocation;
  throw new BackendError(
    `cpu: ${op}: ${freed ? "the buffer is freed already" : "the buffer belongs to another backend"}`,
  );
}
