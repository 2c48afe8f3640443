/**
 * Tensors: a typed, shaped, strided window on a storage, with its place in the graph.
 * The methods that compute (`add`, `matmul`, …) are attached by methods.ts.
 */
import type { Backend, Buffer, DeviceName, DType, TypedArray, View } from "./backend/backend.ts";

import { BackendError, LifetimeError, ShapeError, ValueError } from "./errors.ts";
import { refuseRead, writeBuffer } from "./capture.ts";
import { enterScope, leaveScope, Scoped } from "./scope.ts";
import type { Shape, Strides } from "./shape.ts";
import { formatShape, isContiguous, sizeOf, stridesOf } from "./shape.ts";
import { counts, Storage } from "./storage.ts";

export type { MemoryInfo } from "./storage.ts";
export { memory, Storage } from "./storage.ts";

/** What the tape needs of a graph node here: that a tensor holds it. */
export interface GraphNode {
  hold(): void;
  drop(): void;
}

export class Tensor extends Scoped implements View {
  readonly backend: Backend;
  storage: Storage;
  buffer: Buffer;
  /** First element, counted in the buffer. */
  offset: number;
  readonly shape: Shape;
  readonly strides: Strides;
  readonly size: number;
  readonly dtype: DType;
  /** What made it, for messages. */
  readonly label: string;
  /** True when operations on it are recorded. Set it on leaves only. */
  requiresGrad = false;
  /** Frozen by `Module.requiresGrad(false)`: a parameter all the same, not a buffer. */
  frozen = false;
  /** The gradient that `backward()` accumulated here; null before and after `zeroGrad()`. */
  grad: Tensor | null = null;
  /** Where `grad` lives when an optimizer holds gradients in one block. */
  gradSlot: Storage | null = null;
  /** The sequence of Schedule-Free learning that an optimizer keeps here now, if one does. */
  sequence: "x" | "y" | null = null;
  /** The operation that made it, when recorded. */
  node: GraphNode | null = null;
  disposed = false;

  /** Takes over one reference to `storage`. */
  constructor(
    storage: Storage,
    shape: Shape,
    strides: Strides = stridesOf(shape),
    offset = storage.offset,
    label = "tensor",
  ) {
    super();
    this.backend = storage.backend;
    this.storage = storage;
    this.buffer = storage.buffer;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    this.size = sizeOf(shape);
    this.dtype = storage.dtype;
    this.label = label;
    counts.tensors++;
  }

  get device(): DeviceName {
    return this.backend.device;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  get isLeaf(): boolean {
    return this.node === null;
  }

  get isContiguous(): boolean {
    return isContiguous(this.shape, this.strides);
  }

  /** Throws LifetimeError when the tensor has been released. */
  checkAlive(op: string): void {
    if (this.disposed) {
      throw new LifetimeError(
        `${op}: ${this.describe()} was released when its scope ended (or by dispose()); ` +
          "return it from the scope, or keep() it, to use it later",
      );
    }
  }

  /** `relu float32 [64, 128]`: as tensors appear in messages. */
  describe(): string {
    return `${this.label} ${this.dtype} ${formatShape(this.shape)}`;
  }

  /** A copy of the elements in row-major order. float32 → Float32Array, bool → Uint8Array, … */
  async data(): Promise<TypedArray> {
    this.checkAlive("data");
    refuseRead("data", this);
    if (this.isContiguous) {
      return this.backend.read(this.buffer, this.offset, this.size, this.dtype);
    }
    const [start, extent] = this.span();
    return this.elementsOf(await this.backend.read(this.buffer, start, extent, this.dtype), start);
  }

  /** `data()` at once, on devices that can. */
  dataSync(): TypedArray {
    this.checkAlive("dataSync");
    refuseRead("dataSync", this);
    if (this.isContiguous) {
      return this.backend.readSync(this.buffer, this.offset, this.size, this.dtype);
    }
    const [start, extent] = this.span();
    return this.elementsOf(this.backend.readSync(this.buffer, start, extent, this.dtype), start);
  }

  /** The value of a one-element tensor. */
  async item(): Promise<number> {
    this.checkItem("item");
    return (await this.data())[0];
  }

  /** `item()` at once, on devices that can. */
  itemSync(): number {
    this.checkItem("itemSync");
    return this.dataSync()[0];
  }

  /** Nested arrays of numbers; a number for a 0-dimensional tensor. */
  toArray(): unknown {
    const data = this.dataSync();
    let at = 0;
    const nest = (dim: number): unknown =>
      dim === this.shape.length
        ? data[at++]
        : Array.from({ length: this.shape[dim] }, () => nest(dim + 1));
    return nest(0);
  }

  /**
   * Overwrites the elements in place (an array of the same size, row-major). Raises the storage's
   * version: a backward pass that saved the old values will refuse to run.
   */
  copyFrom(data: ArrayLike<number>): this {
    this.checkAlive("copyFrom");
    if (data.length !== this.size) {
      throw new ShapeError(
        `copyFrom: ${data.length} numbers for ${this.describe()}; expected ${this.size}`,
      );
    }
    if (!this.isContiguous) {
      throw new ShapeError(
        `copyFrom: ${this.describe()} is a strided view; write to contiguous() or to the tensor it views`,
      );
    }
    writeBuffer(this.storage, this.offset, typedArray(this.dtype, data));
    this.storage.version++;
    return this;
  }

  /** Another tensor on the same memory, outside the graph. Writes to one show in the other. */
  detach(): Tensor {
    this.checkAlive("detach");
    const tensor = this.alias("detach");
    enterScope(tensor);
    return tensor;
  }

  /** A second handle on the same memory, in no scope and no graph. */
  alias(label: string = this.label): Tensor {
    return new Tensor(this.storage.retain(), this.shape, this.strides, this.offset, label);
  }

  /** Moves the tensor's home to a part of a block; its content must have been copied there. */
  moveTo(storage: Storage): void {
    const before = this.storage;
    this.storage = storage;
    this.buffer = storage.buffer;
    this.offset = storage.offset;
    before.release();
  }

  /** Releases the tensor now; its memory is reused once nothing else needs it. Idempotent. */
  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    leaveScope(this);
    counts.tensors--;
    this.node?.drop();
    this.storage.release();
    this.grad?.dispose();
    this.gradSlot?.release();
  }

  override toString(): string {
    return `Tensor(${this.describe()}, ${this.device}${this.requiresGrad ? ", requiresGrad" : ""}${this.disposed ? ", disposed" : ""})`;
  }

  private checkItem(op: string): void {
    if (this.size !== 1) {
      throw new ShapeError(
        `${op}: ${this.describe()} has ${this.size} elements; expected exactly one (reduce it, or use data())`,
      );
    }
    this.checkAlive(op);
  }

  /** First element and number of elements of the memory that a strided view touches. */
  private span(): [start: number, extent: number] {
    if (this.size === 0) return [this.offset, 0];
    let low = 0;
    let high = 0;
    for (let i = 0; i < this.shape.length; i++) {
      const reach = (this.shape[i] - 1) * this.strides[i];
      if (reach < 0) low += reach;
      else high += reach;
    }
    return [this.offset + low, high - low + 1];
  }

  private elementsOf(source: TypedArray, start: number): TypedArray {
    const result = typedArray(this.dtype, this.size);
    copyStrided(source, this.offset - start, this.shape, this.strides, result);
    return result;
  }
}

function copyStrided(
  source: TypedArray,
  offset: number,
  shape: Shape,
  strides: Strides,
  target: TypedArray,
): void {
  const index = Array.from<number>({ length: shape.length }).fill(0);
  let at = offset;
  for (let i = 0; i < target.length; i++) {
    target[i] = source[at];
    for (let d = shape.length - 1; d >= 0; d--) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

/** A typed array of `dtype` made from numbers, or zeroed with a given length. */
export function typedArray(dtype: DType, source: ArrayLike<number> | number): TypedArray {
  const from = source as ArrayLike<number>;
  switch (dtype) {
    case "float32":
      return source instanceof Float32Array ? source : new Float32Array(from);
    case "float64":
      return source instanceof Float64Array ? source : new Float64Array(from);
    case "int32":
      return source instanceof Int32Array ? source : new Int32Array(from);
    case "bool":
      return typeof source === "number"
        ? new Uint8Array(source)
        : Uint8Array.from(source, (v) => (v ? 1 : 0));
  }
}

/** A new tensor with undefined content, in the innermost scope. */
export function empty(backend: Backend, shape: Shape, dtype: DType, label: string): Tensor {
  const storage = Storage.allocate(backend, sizeOf(shape), dtype);
  const tensor = new Tensor(storage, shape, stridesOf(shape), 0, label);
  enterScope(tensor);
  return tensor;
}

/** A new tensor from numbers in row-major order, in the innermost scope. */
export function fromData(
  backend: Backend,
  data: TypedArray,
  shape: Shape,
  dtype: DType = dtypeOf(data),
  label = "tensor",
): Tensor {
  const tensor = empty(backend, shape, dtype, label);
  writeBuffer(tensor.storage, 0, typedArray(dtype, data));
  return tensor;
}

/** The dtype whose elements a typed array holds; bytes are bools. */
export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "bool";
}

/** The backend that all `tensors` share; an error names the two that differ. */
export function commonBackend(op: string, tensors: readonly Tensor[]): Backend {
  const backend = tensors[0].backend;
  for (let i = 1; i < tensors.length; i++) {
    if (tensors[i].backend !== backend) {
      const devices =
        tensors[i].device === backend.device
          ? `both are on "${backend.device}", but init() was called in between`
          : `"${backend.device}" and "${tensors[i].device}"`;
      throw new BackendError(
        `${op}: inputs 0 and ${i} are on different devices (${devices}); make them on one device`,
      );
    }
  }
  return backend;
}

/** Throws ValueError unless the tensor has one of the dtypes. */
export function checkDType(op: string, tensor: Tensor, expected: readonly DType[]): void {
  if (expected.includes(tensor.dtype)) return;
  throw new ValueError(
    `${op}: ${tensor.describe()} has dtype ${tensor.dtype}; expected ${expected.join(" or ")} (convert with .to(dtype))`,
  );
}

/** Throws BackendError where results cannot be read at once; `instead` is what to call there. */
export function checkSyncReads(op: string, x: Tensor, instead: string): void {
  if (x.backend.capabilities().syncReads) return;
  throw new BackendError(
    `${op}: reads values, which device "${x.device}" gives asynchronously; use ${instead}`,
  );
}

export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64";
}
