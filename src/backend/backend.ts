/**
 * What a backend is: it owns buffers and runs kernels on views of them. It knows nothing of
 * tensors, graphs or scopes. Three exist: `wasm` (device "cpu"), `reference` and `webgpu`.
 */
import type { Shape, Strides } from "../shape.ts";

export type DeviceName = "cpu" | "reference" | "webgpu";

/** float64 exists on the reference alone. bool is one byte, 0 or 1. */
export type DType = "float32" | "float64" | "int32" | "bool";

export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A block of backend memory. Its content after `alloc` is undefined. */
export interface Buffer {
  readonly byteLength: number;
}

/** A strided window on a buffer. `offset` and `strides` count elements of `dtype`. */
export interface View {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: Strides;
  readonly size: number;
  readonly dtype: DType;
}

/** A dense row-major array in JavaScript memory: what reference functions see. */
export interface NdArray<T extends TypedArray = TypedArray> {
  readonly data: T;
  readonly shape: Shape;
}

/** The arguments of an operation that are not tensors. */
export type Attrs = Readonly<Record<string, unknown>>;

/** Reads dense float64/int inputs, fills the outputs (all of them, whatever they held). */
export type ReferenceFunction<A = Attrs> = (
  inputs: readonly NdArray[],
  outputs: readonly NdArray[],
  attrs: A,
) => void;

/** y[i] = f(x[i], ...params) */
export type MapFunction = (x: number, ...params: number[]) => number;
/** y[i] = f(a[i], b[i]), a and b broadcast to y */
export type ZipFunction = (a: number, b: number) => number;

/**
 * One thing a backend can compute. `kind` selects how it is called:
 * - `map`, `zip`: elementwise; `reference` is the function of numbers that defines it, `params`
 *   names the attributes passed after x.
 * - anything else: `reference` fills dense outputs from dense inputs; a backend has one launcher
 *   per kind.
 *
 * `wasm` is the stem of the kernel's export; the launcher appends the type (`relu` → `relu_f32`).
 * `wgsl` is the GPU's expression for `map` (of x) and `zip` (of a and b) and the names in `params`, for all
 * dtypes or for each that there is; it may call what src/backend/webgpu/functions.ts holds.
 * Inputs may be strided or broadcast views; outputs are dense unless the kind says otherwise.
 */
export interface Kernel {
  readonly name: string;
  readonly kind: string;
  readonly reference: MapFunction | ZipFunction | ReferenceFunction<never>;
  readonly wasm: string;
  readonly wgsl?: string | Readonly<Partial<Record<DType, string>>>;
  readonly params?: readonly string[];
  /** Is it a gradient of the kind of a forward operation? Then precision "fast" does not round its operands. */
  readonly gradient?: boolean;
}

export interface Capabilities {
  readonly device: DeviceName;
  /** The type float tensors have unless another is asked for. */
  readonly float: "float32" | "float64";
  readonly dtypes: readonly DType[];
  /** Threads that share the work, the calling one included. */
  readonly threads: number;
  /** `strict`: the same bits on every runtime. `fast`: relaxed SIMD where the engine has it. */
  readonly precision: "strict" | "fast";
  /** Bytes that the backend has reserved from the system, in use or not. */
  readonly reservedBytes: number;
  /** False where results can only be read asynchronously. */
  readonly syncReads: boolean;
  /**
   * What the GPU is called, and the optional features that are used: in precision "fast", as far as the adapter has them, "subgroups" for
   * sums and "shader-f16" for the operands of forward products.
   */
  readonly adapter?: string;
  readonly features?: readonly string[];
}

/** Kernel calls with their buffers, to be made again in the same order. */
export interface Program {
  /**
   * Runs the kernel, and again with every `run()`.
   *
   * @param changing `attrs` will have other values then
   */
  add(
    kernel: Kernel,
    inputs: readonly View[],
    outputs: readonly View[],
    attrs: Attrs,
    changing: boolean,
  ): void;
  /** With every `run()`, copies `data` into the buffer from element `offset` on. */
  write(buffer: Buffer, offset: number, data: TypedArray): void;
  /** Nobody reads any more what the buffer holds after the calls so far: `run()` may leave it unwritten. */
  release?(buffer: Buffer): void;
  run(): void;
  /** Releases what it holds beside the buffers it was given. */
  free(): void;
}

export interface Backend {
  readonly device: DeviceName;
  /** Throws OutOfMemoryError and stays usable when there is no room. `size` counts elements. */
  alloc(size: number, dtype: DType): Buffer;
  free(buffer: Buffer): void;
  /** Copies `data` into the buffer from element `offset` on. */
  write(buffer: Buffer, offset: number, data: TypedArray): void;
  /** A copy of `size` elements from element `offset` on. */
  read(buffer: Buffer, offset: number, size: number, dtype: DType): Promise<TypedArray>;
  readSync(buffer: Buffer, offset: number, size: number, dtype: DType): TypedArray;
  /** Runs one kernel. Throws BackendError naming the kernel when there is none. */
  run(kernel: Kernel, inputs: readonly View[], outputs: readonly View[], attrs: Attrs): void;
  /** A new program; backends that have none of their own run kernel after kernel. */
  program?(): Program;
  /** Resolves when all work handed over so far is done. */
  sync(): Promise<void>;
  capabilities(): Capabilities;
  /** Ends worker threads; the backend cannot be used afterwards. */
  close(): void;
}

export const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  int32: 4,
  bool: 1,
};

/** A new typed array that holds elements of `dtype`. */
export function arrayOf(dtype: DType, size: number): TypedArray {
  switch (dtype) {
    case "float32":
      return new Float32Array(size);
    case "float64":
      return new Float64Array(size);
    case "int32":
      return new Int32Array(size);
    case "bool":
      return new Uint8Array(size);
  }
}
