/** How arrays lie, on any device: strided views with dimensions merged or grouped around one; steps of sequences. */
import type { Shape, Strides } from "../shape.ts";
import { broadcastStrides } from "../shape.ts";
import type { View } from "./backend.ts";

/** Extents and the strides of each array, outermost first; at least one dimension. */
export interface Layout {
  readonly shape: number[];
  readonly strides: number[][];
}

/** Drops extents of 1 and merges neighbours that all arrays step through evenly. */
export function collapse(shape: Shape, strides: readonly Strides[]): Layout {
  const extents: number[] = [];
  const merged = strides.map((): number[] => []);
  for (let d = 0; d < shape.length; d++) {
    const extent = shape[d];
    if (extent === 1) continue;
    const last = extents.length - 1;
    let even = last >= 0;
    for (let k = 0; even && k < strides.length; k++) {
      even = merged[k][last] === strides[k][d] * extent;
    }
    if (even) extents[last] *= extent;
    else extents.push(extent);
    const at = extents.length - 1;
    for (let k = 0; k < strides.length; k++) merged[k][at] = strides[k][d];
  }
  if (extents.length === 0) {
    extents.push(1);
    for (const list of merged) list.push(1);
  }
  return { shape: extents, strides: merged };
}

/** The view read as if it had that shape. */
export function broadcastTo(view: View, shape: Shape, size: number): View {
  const strides = broadcastStrides(view.shape, view.strides, shape);
  return { ...view, shape, strides, size };
}

/** Are they the same elements, as where a kernel writes in place? */
export function isSame(a: View, b: View): boolean {
  return (
    a.buffer === b.buffer && a.offset === b.offset && a.strides.every((n, d) => n === b.strides[d])
  );
}

/** From the first element of the view to behind its last one, in its buffer. */
export function rangeOf({ offset, shape, strides, size }: View): [low: number, high: number] {
  let low = offset;
  let high = size === 0 ? offset : offset + 1;
  for (let d = 0; size > 0 && d < shape.length; d++) {
    const reach = (shape[d] - 1) * strides[d];
    if (reach < 0) low += reach;
    else high += reach;
  }
  return [low, high];
}

/** [outer, n, inner] around a dimension; everything in n without one. */
export function around(
  x: View,
  dim: number | undefined,
): { outer: number; n: number; inner: number } {
  if (dim === undefined || x.shape.length === 0) return { outer: 1, n: x.size, inner: 1 };
  let outer = 1;
  let inner = 1;
  for (let d = 0; d < dim; d++) outer *= x.shape[d];
  for (let d = dim + 1; d < x.shape.length; d++) inner *= x.shape[d];
  return { outer, n: x.shape[dim], inner };
}

/** The step that is the i-th to run, and the places of the states before and after it. */
export function stepAt(
  i: number,
  time: number,
  reverse: boolean,
): { at: number; before: number; after: number } {
  return reverse
    ? { at: time - 1 - i, before: time - i, after: time - 1 - i }
    : { at: i, before: i, after: i + 1 };
}
