/** Examples in JavaScript memory, gathered into batches. */
import type { NdArray, TypedArray } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { checkShape, formatShape, sizeOf } from "../shape.ts";
import type { LookupArray } from "./idx.ts";

/** Dense arrays [batch, ...] of float32, float64 or int32, one for each part of an example. */
export type HostBatch = readonly NdArray<Float32Array | Float64Array | Int32Array>[];

/** A numbered collection of examples. Write your own to load from elsewhere or to augment. */
export interface Dataset {
  /** Number of examples. */
  readonly length: number;
  /** The examples with the given numbers, each from 0 to length - 1, in that order. */
  batch(indices: Int32Array): HostBatch;
}

type Source = NdArray & { readonly lookup?: Float32Array };

/**
 * A dataset of arrays with the same leading extent: images [n, 28, 28] and labels [n], say.
 *
 * Batches keep the other dimensions: [n, 28, 28] → [batch, 28, 28]. Bytes from `normalize` are
 * looked up in its table and become float32; other bytes, such as labels, become int32. Arrays are
 * not copied: leave them as they are while the dataset is in use.
 */
export class ArrayDataset implements Dataset {
  readonly length: number;
  readonly #arrays: readonly Source[];

  constructor(...arrays: readonly (NdArray | LookupArray)[]) {
    if (arrays.length === 0) {
      throw new ValueError("ArrayDataset: no arrays; expected at least one");
    }
    arrays.forEach(({ data, shape }, i) => {
      checkShape("ArrayDataset", shape);
      if (shape.length === 0) {
        throw new ShapeError(
          `ArrayDataset: array ${i} has the shape []; expected [n, ...], n being the number of examples`,
        );
      }
      if (data.length !== sizeOf(shape)) {
        throw new ShapeError(
          `ArrayDataset: array ${i} has ${data.length} elements; its shape ${formatShape(shape)} has ${sizeOf(shape)}`,
        );
      }
    });
    const extents = arrays.map(({ shape }) => shape[0]);
    if (extents.some((extent) => extent !== extents[0])) {
      throw new ShapeError(
        `ArrayDataset: leading extents differ: ${arrays.map(({ shape }) => formatShape(shape)).join(", ")} ` +
          "(each array has one row per example)",
      );
    }
    this.length = extents[0];
    this.#arrays = arrays;
  }

  batch(indices: Int32Array): HostBatch {
    for (let i = 0; i < indices.length; i++) {
      if (indices[i] < 0 || indices[i] >= this.length) {
        throw new ValueError(
          `ArrayDataset.batch: index ${indices[i]} (position ${i}) is out of range for ${this.length} examples`,
        );
      }
    }
    return this.#arrays.map(({ data, shape, lookup }) => {
      const row = sizeOf(shape.slice(1));
      const out = batchArray(data, lookup, row * indices.length);
      if (lookup === undefined) gather(data, row, indices, out);
      else gatherLookup(data, lookup, row, indices, out);
      return { data: out, shape: [indices.length, ...shape.slice(1)] };
    });
  }

  /** The examples from `start` up to but not including `end`, on the same memory. */
  subset(start: number, end: number = this.length): ArrayDataset {
    if (
      !Number.isInteger(start) ||
      !Number.isInteger(end) ||
      start < 0 ||
      start > end ||
      end > this.length
    ) {
      throw new ValueError(
        `ArrayDataset.subset: start is ${start}, end is ${end}; expected whole numbers with ` +
          `0 <= start <= end <= ${this.length}, the number of examples`,
      );
    }
    return new ArrayDataset(
      ...this.#arrays.map((array) => {
        const row = sizeOf(array.shape.slice(1));
        return {
          ...array,
          data: array.data.subarray(start * row, end * row),
          shape: [end - start, ...array.shape.slice(1)],
        };
      }),
    );
  }

  /** The first `n` examples. */
  take(n: number): ArrayDataset {
    return this.subset(0, n);
  }
}

function batchArray(
  data: TypedArray,
  lookup: Float32Array | undefined,
  n: number,
): Float32Array | Float64Array | Int32Array {
  if (lookup !== undefined || data instanceof Float32Array) return new Float32Array(n);
  return data instanceof Float64Array ? new Float64Array(n) : new Int32Array(n);
}

/** So many elements are copied one by one before a view of them would be made. */
const SHORT = 64;

/** Neighbouring rows that are asked for one after the other are copied in one go. */
function gather(data: TypedArray, row: number, indices: Int32Array, out: TypedArray): void {
  if (row === 1) {
    for (let i = 0; i < indices.length; i++) out[i] = data[indices[i]];
    return;
  }
  for (let i = 0; i < indices.length;) {
    const first = i;
    do i++;
    while (i < indices.length && indices[i] === indices[i - 1] + 1);
    const from = indices[first] * row;
    const to = first * row;
    const count = (i - first) * row;
    if (count > SHORT) out.set(data.subarray(from, from + count), to);
    else for (let k = 0; k < count; k++) out[to + k] = data[from + k];
  }
}

function gatherLookup(
  data: TypedArray,
  lookup: Float32Array,
  row: number,
  indices: Int32Array,
  out: TypedArray,
): void {
  let to = 0;
  for (let i = 0; i < indices.length; i++) {
    let from = indices[i] * row;
    for (const end = to + row; to < end; to++) out[to] = lookup[data[from++]];
  }
}
