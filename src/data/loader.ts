/** Batches of tensors from a dataset, each in a scope of its own. */
import type { Backend, DType, NdArray } from "../backend/backend.ts";
import { writeBuffer } from "../capture.ts";
import { backendOf } from "../device.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { defaultGenerator, Generator, permutation } from "../random.ts";
import { openScope, type Scope } from "../scope.ts";
import { checkShape, formatShape, sizeOf } from "../shape.ts";
import { empty, type Tensor, typedArray } from "../tensor.ts";
import type { Dataset, HostBatch } from "./dataset.ts";

export interface DataLoaderOptions {
  /** Examples per batch. Default 1. */
  batchSize?: number;
  /** Another order in every epoch; otherwise the order of the dataset. Default false. */
  shuffle?: boolean;
  /** Decides all orders. Default: drawn from the default generator when the loader is made. */
  seed?: number;
  /** Leaves out the last batch of an epoch when it is smaller than the others. Default false. */
  dropLast?: boolean;
}

/** Where a loader is. Plain data: survives JSON. */
export interface DataLoaderState {
  /** null: not shuffled. */
  readonly seed: number | null;
  readonly batchSize: number;
  /** Number of examples in the dataset. */
  readonly examples: number;
  /** The epoch that the next batch belongs to, from 0. */
  readonly epoch: number;
  /** Number of that batch within its epoch. */
  readonly position: number;
}

/**
 * Iterates over a dataset in batches of tensors on the default device:
 *
 *     for (const [x, y] of loader) { ... }
 *
 * Each iteration is a scope: the batch and all tensors made in the loop's body are released when
 * the next batch is asked for and when the loop is left, by whatever way. A scope that the body
 * opens and does not end is a LifetimeError.
 *
 * Every `for` loop is one epoch. With `shuffle` the order of epoch e follows from `seed` and e
 * alone. float32 and float64 arrays become the device's float type, int32 stays int32.
 */
export class DataLoader implements Iterable<Tensor[]> {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly dropLast: boolean;
  #seed: number | null;
  /** What `state()` reports. */
  #epoch = 0;
  #position = 0;
  /** The next loop goes on from there; otherwise it begins epoch `#nextEpoch`. */
  #resume = true;
  #nextEpoch = 1;

  constructor(dataset: Dataset, options: DataLoaderOptions = {}) {
    const { batchSize = 1, shuffle = false, seed, dropLast = false, ...rest } = options;
    const unknown = Object.keys(rest)[0];
    if (unknown !== undefined) {
      throw new ValueError(
        `DataLoader: unknown option "${unknown}"; expected batchSize, shuffle, seed or dropLast`,
      );
    }
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new ValueError(
        `DataLoader: batchSize is ${String(batchSize)}; expected a whole number from 1 up`,
      );
    }
    if (typeof shuffle !== "boolean" || typeof dropLast !== "boolean") {
      const [name, value] =
        typeof shuffle === "boolean" ? ["dropLast", dropLast] : ["shuffle", shuffle];
      throw new ValueError(`DataLoader: ${name} is ${String(value)}; expected true or false`);
    }
    if (seed !== undefined) checkNumber("DataLoader", "seed", seed);
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.dropLast = dropLast;
    this.#seed = shuffle ? (seed ?? defaultGenerator().nextSeed()) : null;
  }

  /** Batches per epoch. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  get shuffle(): boolean {
    return this.#seed !== null;
  }

  *[Symbol.iterator](): Iterator<Tensor[], void, undefined> {
    const { dataset, batchSize, length } = this;
    const resumed = this.#resume;
    const epoch = resumed ? this.#epoch : this.#nextEpoch++;
    const start = resumed ? this.#position : 0;
    this.#resume = false;
    const order = this.#order(epoch);
    for (let batch = start; batch < length; batch++) {
      const indices = order.subarray(batch * batchSize, (batch + 1) * batchSize);
      const last = batch + 1 === length;
      const scope = openScope("DataLoader");
      try {
        const tensors = toTensors(dataset.batch(indices), indices.length);
        // Whoever saves the state inside the loop's body is done with this batch.
        this.#epoch = last ? epoch + 1 : epoch;
        this.#position = last ? 0 : batch + 1;
        yield tensors;
      } finally {
        endScope(scope);
      }
    }
  }

  /** The numbers of the examples in the order of that epoch. */
  #order(epoch: number): Int32Array {
    const n = this.dataset.length;
    if (this.#seed === null) return Int32Array.from({ length: n }, (_, i) => i);
    const generator = new Generator(this.#seed);
    generator.setState({ seed: this.#seed, call: epoch });
    return permutation(n, generator);
  }

  /**
   * Epoch and position, to go on from after an interruption. Inside the loop's body the position
   * is that of the batch after the present one.
   */
  state(): DataLoaderState {
    return {
      seed: this.#seed,
      batchSize: this.batchSize,
      examples: this.dataset.length,
      epoch: this.#epoch,
      position: this.#position,
    };
  }

  /**
   * Makes the next `for` loop go on from `state`, with its seed. Throws ValueError when batch size,
   * number of examples or shuffling differ from the loader's, as the rest would be other batches.
   */
  loadState(state: DataLoaderState): void {
    const op = "DataLoader.loadState";
    const expected = { ...this.state(), shuffle: this.shuffle };
    const found = { ...state, shuffle: state.seed !== null };
    for (const key of ["batchSize", "examples", "shuffle"] as const) {
      if (found[key] !== expected[key]) {
        throw new ValueError(
          `${op}: ${key} is ${String(found[key])} in the state and ${String(expected[key])} in this loader; ` +
            "make the loader with the options and the dataset it had when the state was saved",
        );
      }
    }
    if (state.seed !== null) checkNumber(op, "seed", state.seed);
    checkNumber(op, "epoch", state.epoch);
    checkNumber(op, "position", state.position);
    if (state.position > 0 && state.position >= this.length) {
      throw new ValueError(
        `${op}: position is ${state.position}; an epoch has ${this.length} batches`,
      );
    }
    this.#seed = state.seed;
    this.#epoch = state.epoch;
    this.#position = state.position;
    this.#nextEpoch = state.epoch + 1;
    this.#resume = true;
  }
}

/** Ends the iteration's scope. If the body left one open inside it, that ends too, with an error. */
function endScope(scope: Scope): void {
  try {
    scope.end();
  } catch (error) {
    scope.unwind();
    throw error;
  }
}

function checkNumber(op: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ValueError(
      `${op}: ${name} is ${String(value)}; expected a whole number from 0 to 2^53 - 1`,
    );
  }
}

function toTensors(batch: HostBatch, size: number): Tensor[] {
  const backend = backendOf();
  const { float } = backend.capabilities();
  return batch.map((array, i) => {
    const { data, shape } = array;
    checkShape("DataLoader", shape);
    if (shape[0] !== size || data.length !== sizeOf(shape)) {
      throw new ShapeError(
        `DataLoader: the dataset's batch has ${data.length} elements of shape ${formatShape(shape)} ` +
          `as array ${i}; expected [${size}, ...] for ${size} examples`,
      );
    }
    return toTensor(backend, array, float);
  });
}

function toTensor(backend: Backend, { data, shape }: NdArray, float: DType): Tensor {
  const dtype = data instanceof Int32Array ? "int32" : float;
  const tensor = empty(backend, shape, dtype, "batch");
  writeBuffer(tensor.storage, tensor.offset, typedArray(dtype, data));
  return tensor;
}
