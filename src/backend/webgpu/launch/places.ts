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
