/** Shapes, strides and broadcasting. Strides count elements, not bytes. */
import { ShapeError } from "./errors.ts";

export type Shape = readonly number[];
export type Strides = readonly number[];

export function sizeOf(shape: Shape): number {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i];
  return n;
}

/** Row-major strides of a dense array. */
export function stridesOf(shape: Shape): number[] {
  const strides = shape.slice(); // Array.from({ length }) costs ten times as much
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

export function isContiguous(shape: Shape, strides: Strides): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== step) return false;
    step *= shape[i];
  }
  return true;
}

/**
 * Strides that show the elements of an array, in row-major order, in another shape of the same
 * size; null where only a copy can.
 */
export function reshapedStrides(from: Shape, strides: Strides, to: Shape): number[] | null {
  if (isContiguous(from, strides)) return stridesOf(to);
  const result = stridesOf(to);
  let d = to.length - 1;
  let count = 1; // elements of the run of evenly spaced dimensions that ends here
  let step = 1; // between them
  for (let i = from.length - 1; i >= 0; i--) {
    if (count === 1) step = strides[i];
    count *= from[i];
    const even = i > 0 && (from[i - 1] === 1 || strides[i - 1] === count * step);
    if (even) continue;
    let reached = 1;
    for (; d >= 0 && (reached < count || to[d] === 1); d--) {
      result[d] = reached * step;
      reached *= to[d];
    }
    if (reached !== count) return null;
    count = 1;
  }
  return result;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `[2, 3]`: as shapes appear in messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Throws unless every extent is a whole number from 0 up. */
export function checkShape(op: string, shape: Shape): void {
  for (const extent of shape) {
    if (!Number.isInteger(extent) || extent < 0) {
      throw new ShapeError(
        `${op}: shape ${formatShape(shape)} has the extent ${extent}; extents are whole numbers from 0 up`,
      );
    }
  }
}

/** NumPy's rule: align at the right; extents must be equal or 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const shape = Array.from<number>({ length: rank });
  for (let i = 1; i <= rank; i++) {
    const m = i <= a.length ? a[a.length - i] : 1;
    const n = i <= b.length ? b[b.length - i] : 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${op}: shapes do not broadcast: ${formatShape(a)} and ${formatShape(b)} ` +
          `(dimension ${rank - i}: ${m} vs ${n}; aligned at the right, extents must be equal or 1)`,
      );
    }
    shape[rank - i] = m === 1 ? n : m;
  }
  return shape;
}

/** Strides that read `from` (an array of that shape and strides) as if it had the shape `to`. */
export function broadcastStrides(from: Shape, strides: Strides, to: Shape): number[] {
  const lead = to.length - from.length;
  const result: number[] = [];
  for (let i = 0; i < to.length; i++) {
    result.push(i < lead || (from[i - lead] === 1 && to[i] !== 1) ? 0 : strides[i - lead]);
  }
  return result;
}

/** Negative dimensions count from the end. A 0-dimensional tensor accepts 0 and -1. */
export function normalizeDim(op: string, dim: number, rank: number): number {
  const limit = Math.max(rank, 1);
  if (!Number.isInteger(dim) || dim < -limit || dim >= limit) {
    throw new ShapeError(
      `${op}: dim ${dim} is out of range for ${rank} dimension${rank === 1 ? "" : "s"} (expected ${-limit} to ${limit - 1})`,
    );
  }
  return dim < 0 ? dim + limit : dim;
}

/** One dimension, several, or all (`undefined`), as sorted non-negative numbers without repeats. */
export function normalizeDims(
  op: string,
  dim: number | readonly number[] | undefined,
  rank: number,
): number[] {
  if (dim === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof dim === "number" ? [dim] : [...dim]).map((d) => normalizeDim(op, d, rank));
  list.sort((a, b) => a - b);
  for (let i = 1; i < list.length; i++) {
    if (list[i] === list[i - 1]) {
      throw new ShapeError(`${op}: dim ${list[i]} is named twice in [${String(dim)}]`);
    }
  }
  return rank === 0 ? [] : list;
}

/** The shape after reducing `dims`. */
export function reducedShape(shape: Shape, dims: readonly number[], keepdim: boolean): number[] {
  const result: number[] = [];
  for (let i = 0; i < shape.length; i++) {
    if (!dims.includes(i)) result.push(shape[i]);
    else if (keepdim) result.push(1);
  }
  return result;
}
