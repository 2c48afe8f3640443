/** Device "webgpu": float32 on the GPU, through queues that nobody waits for but readers. */
import type {
  Attrs,
  Backend,
  Buffer,
  Capabilities,
  DType,
  Kernel,
  TypedArray,
  View,
} from "../backend.ts";
import { BackendError, OutOfMemoryError, ValueError } from "../../errors.ts";
import type { GpuOptions } from "./adapter.ts";
import { nameOf, openDevice } from "./adapter.ts";
import { Faults, FAULT_WORDS } from "./faults.ts";
import { GpuRuntime } from "./gpu-runtime.ts";
import { Pipelines } from "./pipelines.ts";
import type { PoolStats } from "./pool.ts";
import { Allocation, Pool } from "./pool.ts";
import type { ProgramHost } from "./program.ts";
import { GpuProgram } from "./program.ts";
import { Queue } from "./queue.ts";

const dtypes: readonly DType[] = ["float32", "int32", "bool"];
/** How long a failed read waits for what the device has to say. */
const REPORT_MS = 200;

/** @throws BackendError when there is no adapter */
export async function createGpuBackend(options: GpuOptions = {}): Promise<GpuBackend> {
  const { adapter, device } = await openDevice(options);
  return new GpuBackend(nameOf(adapter), device, options.precision ?? "strict");
}

export class GpuBackend implements Backend {
  readonly device = "webgpu";
  /** The adapter, for people. */
  readonly adapter: string;
  readonly #gpu: GPUDevice;
  readonly #precision: "strict" | "fast";
  readonly #pool: Pool;
  readonly #queue: Queue;
  readonly #pipelines: Pipelines;
  readonly #runtime: GpuRuntime;
  readonly #host: ProgramHost;
  readonly #faults = new Faults();
  readonly #fault: Allocation;
  /** What went wrong on the device since the last call, which could not be told then. */
  #trouble: Error | null = null;
  /** Has memory run out, and has what ran since not been waited for? */
  #starving = false;
  #lost: string | null = null;

  constructor(adapter: string, gpu: GPUDevice, precision: "strict" | "fast") {
    this.adapter = adapter;
    this.#gpu = gpu;
    this.#precision = precision;
    this.#pool = new Pool(gpu, () => {
      this.#starving = true;
      this.#trouble ??= this.#outOfMemory();
    });
    this.#queue = new Queue(gpu);
    this.#fault = this.#pool.alloc(4 * FAULT_WORDS);
    this.#pipelines = new Pipelines(gpu, this.#queue.parameters);
    this.#runtime = new GpuRuntime(
      gpu,
      this.#pool,
      this.#queue,
      this.#pipelines,
      this.#faults,
      this.#fault,
    );
    this.#host = this.#programHost();
    // Commands on a buffer that there was no memory for are refused before it is told that there was none.
    gpu.onuncapturederror = ({ error }) => {
      void this.#pool.settled().then(() => {
        this.#trouble ??= this.#starving ? this.#outOfMemory() : this.#explain(error);
      });
    };
    void gpu.lost.then(({ reason, message }) => {
      this.#lost ??=
        `webgpu: the device was lost (${reason === "destroyed" ? "destroyed" : message || "for an unknown reason"}); ` +
        "its tensors are gone: await init() starts anew, then load the last checkpoint";
    });
  }

  alloc(size: number, dtype: DType): Allocation {
    this.#check("alloc");
    checkDType("alloc", dtype);
    return this.#pool.alloc(4 * size);
  }

  free(buffer: Buffer): void {
    if (this.#lost === null) this.#pool.free(buffer as Allocation);
  }

  write(buffer: Buffer, offset: number, data: TypedArray): void {
    this.#check("write");
    if (data instanceof Float64Array) checkDType("write", "float64");
    const allocation = this.#allocation("write", buffer, offset, data.length);
    // bool is a u32 there; and what is shared memory may not be handed over.
    const words = data instanceof Uint8Array ? Uint32Array.from(data, Number) : data;
    const own =
      words.buffer instanceof ArrayBuffer
        ? new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
        : new Uint8Array(words.buffer, words.byteOffset, words.byteLength).slice();
    this.#queue.write(allocation, 4 * offset, own as Uint8Array<ArrayBuffer>);
  }

  readSync(): TypedArray {
    throw new BackendError(
      "webgpu: results can only be read asynchronously: use await t.data() or await t.item()",
    );
  }

  async read(buffer: Buffer, offset: number, size: number, dtype: DType): Promise<TypedArray> {
    this.#check("read");
    checkDType("read", dtype);
    const from = this.#allocation("read", buffer, offset, size);
    const bytes = await this.#wait({ from, at: 4 * offset, byteLength: 4 * size });
    if (dtype === "float32") return new Float32Array(bytes);
    return dtype === "int32" ? new Int32Array(bytes) : Uint8Array.from(new Uint32Array(bytes));
  }

  run(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void {
    this.#check(kernel.name);
    this.#runtime.operate(kernel, inputs, outputs, attrs, null);
  }

  program(): GpuProgram {
    return new GpuProgram(this.#host);
  }

  async sync(): Promise<void> {
    this.#check("sync");
    // A few bytes, as mapping waits only for what uses the buffer: without a copy, for nothing.
    await this.#wait({ from: this.#fault, at: 0, byteLength: 4 * FAULT_WORDS });
  }

  capabilities(): Capabilities {
    return {
      device: "webgpu",
      float: "float32",
      dtypes,
      threads: 1,
      precision: this.#precision,
      reservedBytes: this.#pool.stats().reservedBytes,
      syncReads: false,
      adapter: this.adapter,
      features: [...this.#gpu.features].filter((name) => name !== "core-features-and-limits"),
    };
  }

  /** Buffers in use, all bytes that the pool holds, and the number of dispatches so far. */
  stats(): PoolStats & { dispatches: number } {
    return { ...this.#pool.stats(), dispatches: this.#queue.recorded };
  }

  close(): void {
    this.#lost ??= "webgpu: the backend is closed; await init() starts a new one";
    this.#gpu.destroy();
  }

  /** The bytes, once everything handed over so far has run without an error. */
  async #wait(window: { from: Allocation; at: number; byteLength: number }): Promise<ArrayBuffer> {
    const fault = { from: this.#fault, at: 0, byteLength: 4 * FAULT_WORDS };
    const windows = this.#faults.pending ? [window, fault] : [window];
    let read: ArrayBuffer[];
    try {
      read = await this.#queue.read(windows);
    } catch (cause) {
      // If the device is gone, its own report says why; some hosts have it later.
      const { lost } = this.#gpu;
      await Promise.race([lost, new Promise((resolve) => setTimeout(resolve, REPORT_MS))]);
      this.#check("read");
      throw new BackendError(`webgpu: read: ${String(cause)}`, { cause });
    }
    await this.#pool.settled();
    if (this.#pool.excessive) {
      this.#queue.submit(); // what was recorded meanwhile
      this.#pool.trim();
      this.#pipelines.forgetGroups();
    }
    this.#check("read");
    this.#starving = this.#pool.starved;
    if (read.length > 1) {
      const error = this.#faults.explain(new Int32Array(read[1]));
      if (error !== null) {
        this.#queue.write(this.#fault, 0, new Uint8Array(4 * FAULT_WORDS));
        throw error;
      }
    }
    return read[0];
  }

  #programHost(): ProgramHost {
    return {
      queue: this.#queue,
      launch: (kernel, inputs, outputs, attrs, recorder) => {
        this.#check(kernel.name);
        this.#runtime.operate(kernel, inputs, outputs, attrs, recorder);
      },
      note: (dispatch) => this.#runtime.note(dispatch),
      mostArrays: this.#gpu.limits.maxStorageBuffersPerShaderStage,
      write: (buffer, offset, data) => this.write(buffer, offset, data),
      check: (op) => this.#check(op),
      expectFaults: () => {
        this.#faults.pending = true;
      },
      alloc: (byteLength) => this.#pool.alloc(byteLength),
      free: (block) => this.free(block),
      group: (layout, parameters, buffers) =>
        this.#pipelines.make(layout, parameters.gpu!, buffers),
    };
  }

  /** Throws what happened on the device since the last call. */
  #check(op: string): void {
    if (this.#lost !== null) throw new BackendError(this.#lost);
    if (this.#trouble === null) return;
    const trouble = this.#trouble;
    this.#trouble = null;
    trouble.message += ` (noticed in ${op})`;
    throw trouble;
  }

  #explain(error: GPUError): Error {
    if (error.constructor.name === "GPUOutOfMemoryError") return this.#outOfMemory();
    return new BackendError(`webgpu: the device refused a command: ${error.message}`);
  }

  #outOfMemory(): Error {
    const { bytesInUse, reservedBytes } = this.#pool.stats();
    return new OutOfMemoryError(
      `webgpu: the GPU has no more memory: ${bytesInUse} bytes are in use, ${reservedBytes} reserved; ` +
        "use smaller batches, or release tensors by scopes or dispose(). What ran since has no result: " +
        "load the last checkpoint",
    );
  }

  #allocation(op: string, buffer: Buffer, offset: number, size: number): Allocation {
    if (!(buffer instanceof Allocation) || buffer.gpu === null) {
      const freed = buffer instanceof Allocation;
      throw new BackendError(
        `webgpu: ${op}: ${freed ? "the buffer is freed already" : "the buffer belongs to another backend"}`,
      );
    }
    if (!(offset >= 0 && 4 * (offset + size) <= buffer.byteLength)) {
      throw new BackendError(
        `webgpu: ${op}: elements ${offset} to ${offset + size} of a buffer of ${buffer.byteLength / 4}`,
      );
    }
    return buffer;
  }
}

function checkDType(op: string, dtype: DType): void {
  if (dtype === "float64") {
    throw new ValueError(
      `webgpu: ${op}: float64 exists on the reference device only; use float32 here, or ` +
        'await init({ device: "reference" })',
    );
  }
  if (!dtypes.includes(dtype)) {
    throw new ValueError(`webgpu: ${op}: dtype ${String(dtype)} (expected ${dtypes.join(", ")})`);
  }
}
