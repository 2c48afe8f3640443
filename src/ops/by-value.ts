/**
 * Results whose shapes depend on values, so that somebody has to read them first: at once where the device can,
 * and in the asynchronous forms everywhere. Those read what the tensor holds when they are called.
 */
import type { TypedArray } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import { run } from "../op.ts";
import { runScoped } from "../scope.ts";
import { broadcastShapes, sizeOf } from "../shape.ts";
import { withRecording } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType, checkSyncReads, fromData } from "../tensor.ts";
import { expand, reshape } from "./broadcast.ts";
import { cast } from "./common.ts";
import { filledLike, indexSelect, scatterAddOp } from "./indexing.ts";
import { amax } from "./reduce.ts";

/** What `read` gives of a tensor that `make` makes for it alone. */
function readFrom<T>(op: string, make: () => Tensor, read: (x: Tensor) => T): T {
  return withRecording(false, () => runScoped(op, () => ({ values: read(make()) }))).values;
}

const now = (x: Tensor): TypedArray => x.dataSync();
const later = (x: Tensor): Promise<TypedArray> => x.data();

/** Places of the values that are not 0. */
function placesIn(values: TypedArray): Int32Array {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) found.push(i);
  return Int32Array.from(found);
}

/** Indices of the elements that are not 0, int32 [count, dimensions], in row-major order. Reads x. */
export function nonzero(x: Tensor): Tensor {
  checkSyncReads("nonzero", x, "await nonzeroAsync(x)");
  return coordinates(
    x,
    readFrom("nonzero", () => cast(x, "bool"), now),
  );
}

/** `nonzero` on every device, "webgpu" too. */
export async function nonzeroAsync(x: Tensor): Promise<Tensor> {
  return coordinates(x, await readFrom("nonzero", () => cast(x, "bool"), later));
}

function coordinates(x: Tensor, values: TypedArray): Tensor {
  const flat = placesIn(values);
  const rank = x.ndim;
  const data = new Int32Array(flat.length * rank);
  flat.forEach((place, row) => {
    for (let d = rank - 1, rest = place; d >= 0; d--) {
      data[row * rank + d] = rest % x.shape[d];
      rest = Math.floor(rest / x.shape[d]);
    }
  });
  return fromData(x.backend, data, [flat.length, rank], "int32", "nonzero");
}

/** The elements of x where `mask` is true, in row-major order, [count]; broadcast. Reads the mask. */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  checkSyncReads("maskedSelect", x, "await maskedSelectAsync(x, mask)");
  return chosen(
    x,
    mask,
    readFrom("maskedSelect", () => spreadMask(x, mask), now),
  );
}

/** `maskedSelect` on every device, "webgpu" too. */
export async function maskedSelectAsync(x: Tensor, mask: Tensor): Promise<Tensor> {
  return chosen(x, mask, await readFrom("maskedSelect", () => spreadMask(x, mask), later));
}

function spreadMask(x: Tensor, mask: Tensor): Tensor {
  return cast(expand(mask, broadcastShapes("maskedSelect", x.shape, mask.shape)), "bool");
}

function chosen(x: Tensor, mask: Tensor, values: TypedArray): Tensor {
  const shape = broadcastShapes("maskedSelect", x.shape, mask.shape);
  const flat = placesIn(values);
  const index = fromData(x.backend, flat, [flat.length], "int32", "nonzero");
  return indexSelect(reshape(expand(x, shape), [sizeOf(shape)]), 0, index);
}

/**
 * index [...] (int32) → int32 [..., numClasses], 1 at the index and 0 elsewhere. `numClasses`
 * defaults to the largest index + 1 (so does -1; this reads the tensor).
 */
export function oneHot(index: Tensor, numClasses = -1): Tensor {
  checkDType("oneHot", index, ["int32"]);
  if (numClasses !== -1) return hot(index, numClasses);
  if (index.size === 0) return hot(index, 0);
  checkSyncReads("oneHot", index, "oneHot(index, numClasses), or await oneHotAsync(index)");
  return hot(index, readFrom("oneHot", () => amax(index), now)[0] + 1);
}

/** `oneHot` on every device, "webgpu" too, also where the number of classes has to be found out. */
export async function oneHotAsync(index: Tensor, numClasses = -1): Promise<Tensor> {
  checkDType("oneHot", index, ["int32"]);
  if (numClasses !== -1 || index.size === 0) return oneHot(index, numClasses);
  const [largest] = await readFrom("oneHot", () => amax(index), later);
  return hot(index, largest + 1);
}

function hot(index: Tensor, classes: number): Tensor {
  if (!Number.isInteger(classes) || classes < 1) {
    throw new ValueError(`oneHot: numClasses is ${classes}; expected a whole number from 1 up`);
  }
  const column = reshape(index, [index.size, 1]);
  const zeros = filledLike(index, [index.size, classes], 0);
  const ones = filledLike(index, column.shape, 1);
  const rows = run(scatterAddOp, [zeros, column, ones], { dim: 1, label: "oneHot" });
  return reshape(rows, [...index.shape, classes]);
}
