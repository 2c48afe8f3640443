/** Where a chain finds the elements of its arrays, as WGSL expressions of `i`. */
import { stridesOf } from "../../../shape.ts";
import type { Shape, Strides } from "../../../shape.ts";

/**
 * The place of element `i` in a strided array, as an expression. Extents and strides are constants there, as a program has
 * the same in every run, and dividing by constants is cheap.
 */
export function placeIn(shape: Shape, strides: Strides): string {
  const inner = stridesOf(shape);
  const terms: string[] = [];
  for (let d = 0; d < shape.length; d++) {
    if (strides[d] === 0) continue;
    const from = inner[d] === 1 ? "i" : `i / ${inner[d]}u`;
    const along = d === 0 ? from : `${from} % ${shape[d]}u`;
    terms.push(strides[d] === 1 ? `(${along})` : `(${along}) * ${strides[d] >>> 0}u`);
  }
  return terms.length === 0 ? "0u" : terms.join(" + ");
}

/**
 * Where element `i` of an array lies in a window that begins at its element `from`: whether it does, and its place
 * in the other array. Strides are those of the window, and of the other. Null where they are not those of a window.
 */
export function windowIn(
  shape: Shape,
  [window, other]: readonly Strides[],
  from: number,
): { inside: string; place: string } | null {
  const last = shape.length - 1;
  const checks: string[] = [];
  const terms: string[] = [];
  for (let d = 0; d <= last; d++) {
    const stride = window[d];
    const outer = d === 0 ? null : window[d - 1];
    if (stride <= 0 || (outer !== null && (outer % stride !== 0 || outer < stride * shape[d]))) {
      return null;
    }
    const rest = `(i - ${from}u)${outer === null ? "" : ` % ${outer}u`}`;
    const along = `${rest} / ${stride}u`;
    checks.push(`${along} < ${shape[d]}u`);
    if (other[d] !== 0) terms.push(`(${along}) * ${other[d] >>> 0}u`);
  }
  if (window[last] !== 1) checks.push(`(i - ${from}u) % ${window[last]}u == 0u`);
  return { inside: checks.join(" && "), place: terms.length === 0 ? "0u" : terms.join(" + ") };
}
