/**
 * Stable sorting of many rows at once, and kind `argsort`: a bitonic network over positions, of which there is one for each
 * element and as many more as make a power of two; those come last. Blocks are sorted in workgroup memory, longer rows by
 * dispatches for the steps between blocks. Positions break ties, so the order is the only one there is.
 */
import type { View } from "../../backend.ts";
import { wgslType } from "../pipelines.ts";
import type { Launcher, Runtime } from "../runtime.ts";

/** Elements of a block: two for each lane. */
const LANES = 128;
const BLOCK = 2 * LANES;

export interface Sorting {
  readonly keys: View;
  readonly rows: number;
  /** Elements of a row. */
  readonly n: number;
  /** Distance of a row's elements: row `r` begins at (r / inner) · n · inner + r % inner. */
  readonly inner: number;
  readonly descending?: boolean;
}

/** Positions in their order: rows of `size` (a power of two) of type int32, of which the first n count. */
export interface Sorted {
  readonly order: View;
  readonly size: number;
}

export function sortRows(rt: Runtime, sorting: Sorting): Sorted {
  const { rows, n } = sorting;
  let size = 2;
  while (size < n) size *= 2;
  const order = rt.scratch(rows * size, "int32");
  const inBlock = Math.min(size, BLOCK);
  sortBlocks(rt, sorting, order, size, 2, inBlock);
  for (let phase = 2 * inBlock; phase <= size; phase *= 2) {
    for (let apart = phase / 2; apart >= BLOCK; apart /= 2) {
      exchange(rt, sorting, order, size, phase, apart);
    }
    sortBlocks(rt, sorting, order, size, phase, phase);
  }
  return { order, size };
}

const keyOf = (row: string, position: string): string =>
  `keys[p.keys_at + (${row} / p.inner) * p.n * p.inner + ${row} % p.inner + ${position} * p.inner]`;

/** The function `before`: does element i come before element k? NaN is the largest number. */
function comparison({ keys: { dtype }, descending = false }: Sorting): string {
  const type = wgslType[dtype];
  const less = dtype === "float32" ? "!is_nan(a) && (is_nan(b) || a < b)" : "a < b";
  const [up, down] = descending ? ["b, a", "a, b"] : ["a, b", "b, a"];
  return `fn less(a: ${type}, b: ${type}) -> bool { return ${less}; }
fn before(a: ${type}, i: u32, b: ${type}, k: u32) -> bool {
  if (i >= p.n || k >= p.n) { return i < k; }
  if (less(${up})) { return true; }
  return !less(${down}) && i < k;
}`;
}

/** The steps of phases `first` to `last` that stay in a block; the first phase makes the positions. */
function sortBlocks(
  rt: Runtime,
  sorting: Sorting,
  order: View,
  size: number,
  first: number,
  last: number,
): void {
  const { keys, n, inner, descending = false } = sorting;
  const type = wgslType[keys.dtype];
  const begin = first === 2;
  rt.run({
    key: `sort ${begin ? "begin" : "merge"} ${descending ? "down" : "up"}`,
    reads: { keys },
    writes: { order },
    u32: { n, inner, size, first, last, total: order.size },
    groups: Math.ceil(order.size / BLOCK),
    lanes: LANES,
    code: () => ({
      outside: `var<workgroup> values: array<${type}, ${BLOCK}>;
var<workgroup> positions: array<u32, ${BLOCK}>;
${comparison(sorting)}`,
      body: `  let start = group * ${BLOCK}u;
  for (var e = lane; e < ${BLOCK}u; e += ${LANES}u) {
    let at = start + e;
    var position = at % p.size;
    ${begin ? "" : "if (at < p.total) { position = u32(order[at]); }"}
    if (at < p.total && position < p.n) { values[e] = ${keyOf("(at / p.size)", "position")}; }
    positions[e] = position;
  }
  for (var phase = p.first; phase <= p.last; phase *= 2u) {
    for (var apart = min(phase / 2u, ${LANES}u); apart > 0u; apart /= 2u) {
      workgroupBarrier();
      let e = 2u * lane - (lane & (apart - 1u));
      let f = e + apart;
      let up = (((start + e) % p.size) & phase) == 0u;
      if (before(values[f], positions[f], values[e], positions[e]) == up) {
        let value = values[e];
        let position = positions[e];
        values[e] = values[f];
        positions[e] = positions[f];
        values[f] = value;
        positions[f] = position;
      }
    }
  }
  workgroupBarrier();
  for (var e = lane; e < ${BLOCK}u; e += ${LANES}u) {
    if (start + e < p.total) { order[start + e] = i32(positions[e]); }
  }`,
    }),
  });
}

/** One step of a phase, between elements of different blocks. */
function exchange(
  rt: Runtime,
  sorting: Sorting,
  order: View,
  size: number,
  phase: number,
  apart: number,
): void {
  const { keys, n, inner, descending = false } = sorting;
  rt.run({
    key: `sort exchange ${descending ? "down" : "up"}`,
    reads: { keys },
    writes: { order },
    u32: { n, inner, size, phase, apart },
    items: order.size / 2,
    code: () => ({
      outside: comparison(sorting),
      body: `  let e = 2u * i - (i & (p.apart - 1u));
  let f = e + p.apart;
  let row = e / p.size;
  let i_e = u32(order[e]);
  let i_f = u32(order[f]);
  let e_first = before(${keyOf("row", "min(i_e, p.n - 1u)")}, i_e, ${keyOf("row", "min(i_f, p.n - 1u)")}, i_f);
  let up = ((e % p.size) & p.phase) == 0u;
  if (e_first != up) {
    order[e] = i32(i_f);
    order[f] = i32(i_e);
  }`,
    }),
  });
}

export const argsort: Launcher = (rt, _kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const n = x.shape[x.shape.length - 1] ?? 1;
  const descending = attrs.descending === true;
  const keys = rt.dense(x);
  const { order, size } = sortRows(rt, { keys, rows: y.size / n, n, inner: 1, descending });
  rt.run({
    key: "argsort",
    reads: { order },
    writes: { y },
    u32: { n, size },
    items: y.size,
    code: () => "  y[p.y_at + i] = order[i / p.n * p.size + i % p.n];",
  });
};
