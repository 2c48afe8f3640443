/**
 * Kinds `addRows`, `putRows` and `scatterAdd`. What adds at indices looks for its summands from where they go, in order: WGSL
 * has no atomic floats, and their order would be anybody's. A few indices are looked through one by one; more are sorted
 * first (sort.ts, stable), so that each element finds its own side by side and adds them in the same order.
 */
import type { View } from "../../backend.ts";
import { around, isSame } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";
import { checkedIndex } from "./indexing.ts";
import { copy } from "./movement.ts";
import { sortRows } from "./sort.ts";

/** As many indices as cost less to look through than to sort. */
const FEW = 64;

/** a, index [m], src → y: rows of src are added to those of a; those at `skip` are left out. */
export const addRows: Launcher = (rt, _kernel, [a, index, src], [y], attrs) => {
  const { n, inner } = around(y, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  const reads = { a: rt.dense(a), index: at, src: rt.dense(src) };
  const m = index.size;
  const skip = attrs.skip as number;
  const own = `  let row = i / p.inner;
  let block = (row / p.n) * p.m;
  var value = a[p.a_at + i];
  let own = row % p.n;`;
  const add = (k: string): string => `src[p.src_at + (block + ${k}) * p.inner + i % p.inner]`;
  if (m <= FEW) {
    rt.run({
      key: "addRows",
      reads,
      writes: { y },
      u32: { n, m, inner },
      i32: { skip },
      items: y.size,
      code: () => `${own}
  if (i32(own) != p.skip) {
    for (var k = 0u; k < p.m; k++) {
      if (index[p.index_at + k] == i32(own)) { value += ${add("k")}; }
    }
  }
  y[p.y_at + i] = value;`,
    });
    return;
  }
  const { order } = sortRows(rt, { keys: at, rows: 1, n: m, inner: 1 });
  const starts = rt.scratch(n + 1, "int32");
  rt.run({
    key: "addRows starts",
    reads: { index: at, order },
    writes: { starts },
    u32: { m },
    items: n + 1,
    code: () => `${search("i32(i)", "u32(order[middle])")}
  starts[i] = i32(low);`,
  });
  rt.run({
    key: "addRows sorted",
    reads: { a: reads.a, src: reads.src, order, starts },
    writes: { y },
    u32: { n, m, inner },
    i32: { skip },
    items: y.size,
    code: () => `${own}
  if (i32(own) != p.skip) {
    for (var t = starts[own]; t < starts[own + 1u]; t++) { value += ${add("u32(order[t])")}; }
  }
  y[p.y_at + i] = value;`,
  });
};

/** a, index [m], src [m, inner] → y: rows of a are those of src, in place where y is a. The last of several writes alone. */
export const putRows: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const [n, inner] = y.shape;
  const at = checkedIndex(rt, attrs, index, n);
  if (!isSame(a, y)) copy(rt, kernel, [a], [y], attrs);
  const m = index.size;
  const reads: Record<string, View> = { index: at, src: rt.dense(src) };
  const sorted = m > FEW;
  if (sorted) reads.order = sortRows(rt, { keys: at, rows: 1, n: m, inner: 1 }).order;
  const [rowStride, columnStride] = y.strides;
  rt.run({
    key: `putRows ${sorted ? "sorted" : ""}`,
    reads,
    writes: { y },
    u32: { n, m, inner, rowStride, columnStride },
    items: m * inner,
    code: () => `  let t = i / p.inner;
  let k = ${sorted ? "u32(order[t])" : "t"};
  let row = index[p.index_at + k];
  if (row < 0 || row >= i32(p.n)) { return; }
  ${sorted ? lastSorted : last}
  let column = i % p.inner;
  let to = u32(row) * p.rowStride + column * p.columnStride;
  y[p.y_at + to] = src[p.src_at + k * p.inner + column];`,
  });
};

/** Return where index k is not the last that names its row. */
const last = `for (var later = k + 1u; later < p.m; later++) {
    if (index[p.index_at + later] == row) { return; }
  }`;
const lastSorted = "if (t + 1u < p.m && index[p.index_at + u32(order[t + 1u])] == row) { return; }";

/** Declares `low`, the first of p.m sorted indices that is at least `least`; `place` sees `middle`. */
const search = (least: string, place: string): string => `  var low = 0u;
  var high = p.m;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (index[p.index_at + ${place}] < ${least}) { low = middle + 1u; } else { high = middle; }
  }`;

/** Kernel `scatter` overwrites instead of adding: the last of several stays. */
export const scatterAdd: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const { n } = around(y, attrs.dim as number);
  const { outer, n: m, inner } = around(index, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  const reads = { a: rt.dense(a), index: at, src: rt.dense(src) };
  const sign = kernel.wasm === "scatter" ? "=" : "+=";
  const own = `  let row = i / p.inner;
  let own = i32(row % p.n);
  let first = (row / p.n) * p.m * p.inner + i % p.inner;
  var value = a[p.a_at + i];`;
  if (m <= FEW) {
    rt.run({
      key: kernel.wasm,
      reads,
      writes: { y },
      u32: { n, m, inner },
      items: y.size,
      code: () => `${own}
  for (var k = 0u; k < p.m; k++) {
    let place = first + k * p.inner;
    if (index[p.index_at + place] == own) { value ${sign} src[p.src_at + place]; }
  }
  y[p.y_at + i] = value;`,
    });
    return;
  }
  const { order, size } = sortRows(rt, { keys: at, rows: outer * inner, n: m, inner });
  rt.run({
    key: `${kernel.wasm} sorted`,
    reads: { ...reads, order },
    writes: { y },
    u32: { n, m, inner, size },
    items: y.size,
    code: () => `${own}
  let line = (row / p.n * p.inner + i % p.inner) * p.size;
${search("own", "first + u32(order[line + middle]) * p.inner")}
  for (var t = low; t < p.m; t++) {
    let place = first + u32(order[line + t]) * p.inner;
    if (index[p.index_at + place] != own) { break; }
    value ${sign} src[p.src_at + place];
  }
  y[p.y_at + i] = value;`,
  });
};
