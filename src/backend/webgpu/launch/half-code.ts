/**
 * WGSL of products whose tiles are rounded to f16: half the workgroup memory and half the traffic there, sums in f32.
 *
 * Products of two halves are exact in f32, so that an error is that of the operands: 2^-11 of each where the driver rounds to
 * nearest (WGSL allows either neighbour), or 6e-8 where |value| < 6e-5. Some drivers take those for 0. That is too little
 * for gradients, whose magnitudes are anything: they never come here.
 *
 * What f16 does not hold, |value| > 65504, NaN and infinities, is left to f32: lanes note it when they fill a tile, and all lanes
 * then multiply these DEPTH steps of k from the operands in memory. It costs ordinary numbers one comparison as they are
 * loaded and one read of workgroup memory a step, where a scale for each tile would cost a maximum over all lanes; and one
 * large element takes no digits from the rest of its tile, as a common scale would.
 */
import type { Operand, Product } from "./product.ts";
import { DEPTH } from "./tiles.ts";

/** Workgroup memory beside the tiles. */
export const FLAG_BYTES = 16;

/** For each of the two tiles, the step of k before which the last was filled that f16 does not hold. */
const flags = `var<workgroup> beyond: array<atomic<u32>, 2>;
fn is_beyond(x: vec4f) -> bool {
  return any((bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x477fe000u));
}`;

/** What stands outside: flags, and functions that give four rows of A, or columns of B, at a step of k as they are. */
export function beyondCode(product: Product): string {
  return `${flags}
${exact("a", "row", "p.m", product.a, product)}
${exact("b", "column", "p.n", product.b, product)}`;
}

function exact(
  name: string,
  across: "row" | "column",
  limit: string,
  { alongK, wide, value, place, step }: Operand,
  { setup = "" }: Product,
): string {
  // A vec4 is found by the index of any of its elements.
  const element = wide ? `${value}[${alongK ? "k" : across} % 4u]` : value;
  return `fn exact_${name}(batch: u32, first: u32, k: u32) -> vec4f {
  var values = vec4f();
${setup}
  ${step === undefined ? "" : `let step = ${step};`}
  for (var j = 0u; j < 4u; j++) {
    let ${across} = first + j;
    if (${across} >= ${limit}) { break; }
    ${place === undefined ? "" : `let place = ${place};`}
    values[j] = ${element};
  }
  return values;
}`;
}

/** Notes values that f16 does not hold, for the step of k that multiplies them. */
export const noteBeyond = (values: readonly string[]): string =>
  `if (${values.map((value) => `is_beyond(${value})`).join(" || ")}) { atomicStore(&beyond[side], start + ${DEPTH}u); }`;

/** The step's multiply-adds, `step` of a tile in halves, or `sums` of a0 … and b0 … from the first of `rows` and `columns`. */
export const exactStep = (
  rows: readonly string[],
  columns: readonly string[],
  sums: string,
  step: string,
): string => `      if (atomicLoad(&beyond[side]) == start) {
        for (var k = start - ${DEPTH}u; k < min(start, end); k++) {
${rows.map((row, q) => `          let a${q} = exact_a(batch, ${row}, k);`).join("\n")}
${columns.map((column, q) => `          let b${q} = exact_b(batch, ${column}, k);`).join("\n")}
${sums}
        }
      } else {
${step}
      }`;
