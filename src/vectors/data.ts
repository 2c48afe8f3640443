/** Batches of training runs, from what a trace file holds: rows of arrays, or windows of a text. */
import type { NdArray, TypedArray } from "../index.ts";
import { ValueError } from "../index.ts";
import type { JsonNumbers } from "./format.ts";
import { toNumbers } from "./format.ts";

/** Inputs and class indices, one example per row of the first dimension. */
export interface RowData {
  readonly x: { readonly shape: readonly number[]; readonly data: JsonNumbers };
  readonly y: { readonly shape: readonly number[]; readonly data: readonly number[] };
  readonly batch_size: number;
  /** The first so many rows are trained on, in a circle; the others are the test set. */
  readonly train_rows: number;
}

export interface TextData {
  readonly text: string;
  readonly vocabulary: string;
  readonly train_length: number;
  readonly batch_size: number;
  readonly block: number;
  readonly stride: number;
  readonly test_starts: readonly number[];
}

export type RunData = RowData | TextData;

/** A batch: inputs, and class indices. */
export interface Batch {
  readonly x: NdArray;
  readonly y: NdArray;
}

/** Where a run's inputs and targets come from. */
export interface Source {
  /** The training batch of a step, from 0 on. */
  train(step: number): Batch;
  /** Makes the batches of the test set, one after another. */
  readonly test: readonly (() => Batch)[];
}

export function sourceOf(data: RunData): Source {
  return "text" in data ? textSource(data) : rowSource(data);
}

function rowSource({ x, y, batch_size, train_rows }: RowData): Source {
  const rows = x.shape[0];
  if (
    y.data.length !== rows ||
    !(train_rows > 0 && train_rows < rows && batch_size <= train_rows)
  ) {
    throw new ValueError(
      `vectors: found ${rows} rows of x, ${y.data.length} of y, train_rows ${train_rows} and batch_size ` +
        `${batch_size}; expected as many of y as of x, more than train_rows, and batches not larger than that`,
    );
  }
  const values = Float32Array.from(toNumbers(x.data));
  const size = values.length / rows;
  const take = (indices: readonly number[]): Batch => {
    const inputs = new Float32Array(indices.length * size);
    indices.forEach((row, i) => {
      inputs.set(values.subarray(row * size, (row + 1) * size), i * size);
    });
    return {
      x: { data: inputs, shape: [indices.length, ...x.shape.slice(1)] },
      y: { data: Int32Array.from(indices, (row) => y.data[row]), shape: [indices.length] },
    };
  };
  const range = (first: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => first + i);
  return {
    train: (step) => take(range(step * batch_size, batch_size).map((row) => row % train_rows)),
    test: [() => take(range(train_rows, rows - train_rows))],
  };
}

function textSource(data: TextData): Source {
  const { block, batch_size, stride, train_length, test_starts } = data;
  const ids = Int32Array.from(data.text, (character) => data.vocabulary.indexOf(character));
  // Inputs [rows, block], and as targets [rows · block] the characters that follow them.
  const windows = (starts: readonly number[]): Batch => {
    const take = (shift: number): Int32Array =>
      Int32Array.from({ length: starts.length * block }, (_, i) => {
        return ids[starts[Math.floor(i / block)] + (i % block) + shift];
      });
    return {
      x: { data: take(0), shape: [starts.length, block] },
      y: { data: take(1), shape: [starts.length * block] },
    };
  };
  return {
    train: (step) =>
      windows(
        Array.from(
          { length: batch_size },
          (_, row) => ((step * batch_size + row) * stride) % (train_length - block - 1),
        ),
      ),
    test: [() => windows(test_starts)],
  };
}

/** The same batches with their examples in reverse order: the same mathematics, rounded otherwise. */
export function reversed(source: Source): Source {
  return { ...source, train: (step) => reverse(source.train(step)) };
}

function reverse({ x, y }: Batch): Batch {
  const rows = x.shape[0];
  return { x: reverseRows(x, rows), y: reverseRows(y, rows) };
}

function reverseRows({ data, shape }: NdArray, rows: number): NdArray {
  const size = data.length / rows;
  const result = data.slice() as TypedArray;
  for (let row = 0; row < rows; row++) {
    result.set(data.subarray(row * size, (row + 1) * size), (rows - 1 - row) * size);
  }
  return { data: result, shape };
}
