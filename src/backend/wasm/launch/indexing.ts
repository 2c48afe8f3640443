/** Launchers of rows and elements by index, running sums and sorted order (assembly/indexing.ts). */
import type { Attrs, View } from "../../backend.ts";
import { ValueError } from "../../../errors.ts";
import { around, isSame } from "../../layout.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { suffix } from "./layout.ts";
import { copy } from "./movement.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const WORK = 16384;

const grainOf = (perItem: number): number => Math.ceil(WORK / Math.max(1, perItem));

/** The index in row-major order, every element of it in [0, n). */
function checkedIndex(rt: Runtime, attrs: Attrs, index: View, n: number): number {
  const at = rt.dense(index);
  rt.verify("find_bad_index", [at, index.size, n], (bad) => {
    const found = rt.call("load_i32", at + 4 * bad);
    return new ValueError(
      `${String(attrs.label)}: index ${found} at element ${bad} is outside [0, ${n})`,
    );
  });
  return at;
}

const takeRows: Launcher = (rt, _kernel, [x, index], [y], attrs) => {
  const { outer, n, inner } = around(x, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  if (y.size === 0) return;
  const args = [rt.dense(x), at, rt.pointer(y), n, index.size];
  args.push(inner * (x.dtype === "bool" ? 1 : 4));
  rt.parallel("take_rows", outer * index.size, grainOf(inner), args);
};

const addRows: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const { outer, n, inner } = around(y, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  copy(rt, kernel, [a], [y], attrs);
  if (src.size === 0) return;
  const args = [at, rt.dense(src), rt.pointer(y), n, index.size, inner, attrs.skip as number];
  // A thread reads the whole index for its rows: few chunks.
  const grain = Math.max(Math.ceil((outer * n) / rt.threads), grainOf(inner));
  rt.parallel(`${kernel.wasm}_${suffix[y.dtype]}`, outer * n, grain, args);
};

const putRows: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const [n, inner] = y.shape;
  const at = checkedIndex(rt, attrs, index, n);
  if (!isSame(a, y)) copy(rt, kernel, [a], [y], attrs);
  if (src.size === 0) return;
  const args = [at, rt.dense(src), rt.pointer(y), index.size, inner, ...y.strides];
  rt.parallel("put_rows_f32", inner, grainOf(index.size), args);
};

const gather: Launcher = (rt, _kernel, [x, index], [y], attrs) => {
  const { n } = around(x, attrs.dim as number);
  const { outer, n: m, inner } = around(index, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  if (y.size === 0) return;
  const name = x.dtype === "bool" ? "gather_1" : "gather_4";
  const args = [rt.dense(x), at, rt.pointer(y), n, m, inner];
  rt.parallel(name, outer * m, grainOf(inner), args);
};

const scatterAdd: Launcher = (rt, kernel, [a, index, src], [y], attrs) => {
  const { n } = around(y, attrs.dim as number);
  const { outer, n: m, inner } = around(index, attrs.dim as number);
  const at = checkedIndex(rt, attrs, index, n);
  copy(rt, kernel, [a], [y], attrs);
  if (index.size === 0) return;
  const args = [at, rt.dense(src), rt.pointer(y), n, m, inner];
  rt.parallel(`${kernel.wasm}_${suffix[y.dtype]}`, outer * inner, grainOf(m), args);
};

const cumulate: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const { outer, n, inner } = around(x, attrs.dim as number);
  const args = [rt.dense(x), rt.pointer(y), n, inner];
  rt.parallel(`${kernel.wasm}_${suffix[x.dtype]}`, outer * inner, grainOf(n), args);
};

const argsort: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const n = x.shape[x.shape.length - 1] ?? 1;
  const args = [rt.dense(x), rt.pointer(y), rt.scratch(4 * y.size), n];
  args.push(attrs.descending === true ? 1 : 0);
  rt.parallel(`${kernel.wasm}_${suffix[x.dtype]}`, y.size / n, grainOf(8 * n), args);
};

export const indexingLaunchers: Readonly<Record<string, Launcher>> = {
  takeRows,
  addRows,
  putRows,
  gather,
  scatterAdd,
  cumulate,
  argsort,
};
