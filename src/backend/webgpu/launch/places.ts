/** From the number of an element to its places in strided arrays. */
import { collapse } from "../../layout.ts";
import type { Shape, Strides } from "../../../shape.ts";

export interface Places {
  /** Says which code it is. */
  readonly key: string;
  readonly u32: Record<string, number>;
  readonly code: string;
}

/**
 * WGSL that declares, from the row-major number `from`, the place `NAME_i` in every array, `starts[NAME]`
 * being where it begins (default: where the view does). One dimension, which is what dense and scalar operands
 * collapse to, costs a multiplication.
 */
export function placesOf(
  shape: Shape,
  strides: Readonly<Record<string, Strides>>,
  from = "i",
  starts: Readonly<Record<string, string>> = {},
): Places {
  const names = Object.keys(strides);
  const layout = collapse(
    shape,
    names.map((name) => strides[name]),
  );
  const u32: Record<string, number> = {};
  const prefix = names.join("_");
  const lines = names.map((name) => `  var ${name}_i = ${starts[name] ?? `p.${name}_at`};`);
  const rest = `${prefix}_rest`;
  lines.push(`  var ${rest} = ${from};`);
  for (let d = layout.shape.length - 1; d >= 0; d--) {
    const extent = `${prefix}_n${d}`;
    if (d > 0) u32[extent] = layout.shape[d];
    const along = d > 0 ? `(${rest} % p.${extent})` : rest;
    names.forEach((name, k) => {
      u32[`${name}_s${d}`] = layout.strides[k][d];
      lines.push(`  ${name}_i += ${along} * p.${name}_s${d};`);
    });
    if (d > 0) lines.push(`  ${rest} /= p.${extent};`);
  }
  return { key: `${prefix}${layout.shape.length}`, u32, code: lines.join("\n") };
}

/** Arrays that lie in fours: what `placesOf` takes to find them. */
export interface Fours {
  /** Of fours. */
  readonly shape: Shape;
  /** Of each array: in vec4 where it is wide, else in elements, one of which is for all four. */
  readonly strides: readonly Strides[];
  readonly wide: readonly boolean[];
}

/**
 * The arrays with four neighbours of the innermost dimension taken together, where every array has these side by
 * side, at a multiple of four, or one element for all of them (a scalar, a column); null where one does not.
 */
export function foursOf(
  shape: Shape,
  arrays: readonly { readonly offset: number; readonly strides: Strides }[],
): Fours | null {
  const layout = collapse(
    shape,
    arrays.map(({ strides }) => strides),
  );
  const last = layout.shape.length - 1;
  if (layout.shape[last] % 4 !== 0) return null;
  layout.shape[last] /= 4;
  const wide: boolean[] = [];
  for (let k = 0; k < arrays.length; k++) {
    const strides = layout.strides[k];
    const beside = strides[last] === 1;
    if (!beside && strides[last] !== 0) return null;
    wide.push(beside);
    if (!beside) continue;
    if (arrays[k].offset % 4 !== 0) return null;
    for (let d = 0; d < last; d++) {
      if (strides[d] % 4 !== 0) return null;
      strides[d] /= 4;
    }
  }
  return { shape: layout.shape, strides: layout.strides, wide };
}
