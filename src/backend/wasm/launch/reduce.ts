/** Launchers of kinds `reduce` and `argreduce`: chains of reductions of [outer, n, inner] over n. */
import type { DType, Kernel, View } from "../../backend.ts";
import { around } from "../../layout.ts";
import type { Shape } from "../../../shape.ts";
import { isContiguous, stridesOf } from "../../../shape.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { exportName } from "./layout.ts";
import { fillWith } from "./movement.ts";

/** Elements a thread takes at a time. */
const WORK = 32768;
/** A longer row is summed block by block, so that threads can share it. */
const ROW_BLOCK = 16384;
/** So are longer columns, where there are few of them. */
const COLUMN_BLOCK = 1024;
const FEW_COLUMNS = 4096;

const ofNothing: Readonly<Record<string, number>> = {
  sum: 0,
  mean: NaN,
  prod: 1,
  amax: -Infinity,
  amin: Infinity,
};

export const sum: Kernel = { name: "sum", kind: "reduce", wasm: "sum", reference: () => {} };
export const mean: Kernel = { name: "mean", kind: "reduce", wasm: "mean", reference: () => {} };

interface Group {
  reduced: boolean;
  extent: number;
}

export const reduce: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const dims = attrs.dims as readonly number[];
  let n = 1;
  for (let i = 0; i < dims.length; i++) n *= x.shape[dims[i]];
  if (n === 0) {
    fillWith(rt, y, ofNothing[kernel.wasm]);
    return;
  }
  const { pointer, groups } = denseGroups(rt, x, dims);
  fold(rt, kernel, x.dtype, pointer, groups, n, rt.pointer(y));
};

/** The sum or mean of `n` float32 numbers in a row. */
export function reduceRow(rt: Runtime, kernel: Kernel, from: number, n: number, y: View): void {
  if (n === 0) fillWith(rt, y, ofNothing[kernel.wasm]);
  else fold(rt, kernel, "float32", from, [{ reduced: true, extent: n }], n, rt.pointer(y));
}

/** Reduces group after group, the last one first; `n` elements for each result. */
function fold(
  rt: Runtime,
  kernel: Kernel,
  dtype: DType,
  from: number,
  groups: Group[],
  n: number,
  y: number,
): void {
  while (true) {
    const at = lastReduced(groups);
    const extent = groups[at].extent;
    const outer = product(groups, 0, at);
    const inner = product(groups, at + 1, groups.length);
    const block = blockFor(extent, outer, inner);
    const blocks = Math.ceil(extent / block);
    const last = blocks === 1 && isFirstReduced(groups, at);
    const size = outer * blocks * inner;
    const to = last ? y : rt.scratch(4 * size);
    step(rt, kernel, dtype, last ? n : 1, from, to, extent, inner, block, size);
    if (last) return;
    from = to;
    dtype = kernel.wasm === "mean" ? "float32" : dtype === "bool" ? "int32" : dtype;
    if (blocks === 1) groups.splice(at, 1);
    else groups[at].extent = blocks;
  }
}

function lastReduced(groups: readonly Group[]): number {
  let at = groups.length - 1;
  while (!groups[at].reduced) at--;
  return at;
}

function isFirstReduced(groups: readonly Group[], at: number): boolean {
  for (let i = 0; i < at; i++) if (groups[i].reduced) return false;
  return true;
}

function product(groups: readonly Group[], begin: number, end: number): number {
  let result = 1;
  for (let i = begin; i < end; i++) result *= groups[i].extent;
  return result;
}

function blockFor(n: number, outer: number, inner: number): number {
  if (inner === 1) return n > 2 * ROW_BLOCK ? ROW_BLOCK : n;
  return n > 2 * COLUMN_BLOCK && outer * inner < FEW_COLUMNS ? COLUMN_BLOCK : n;
}

/** One pass: [outer, n, inner] to [outer, ⌈n/block⌉, inner], `size` results. */
function step(
  rt: Runtime,
  kernel: Kernel,
  dtype: DType,
  count: number,
  from: number,
  to: number,
  n: number,
  inner: number,
  block: number,
  size: number,
): void {
  const stem = kernel.wasm;
  const floats = stem === "mean" || (stem === "sum" && dtype === "float32");
  const named = floats && dtype === "float32" ? sum : kernel;
  const name = exportName(named, dtype, inner > 1 ? "_cols" : "_rows");
  const grain = inner > 1 ? Math.ceil(WORK / block / 16) * 16 : Math.ceil(WORK / block);
  const args = inner > 1 ? [from, to, n, inner, block] : [from, to, n, block];
  if (floats) args.push(count === 1 || stem === "sum" ? 1 : count);
  rt.parallel(name, size, grain, args);
}

/**
 * The elements in a dense order, as runs of dimensions that are reduced or kept. A permuted view
 * stays where it is if the kept dimensions are in order.
 */
function denseGroups(
  rt: Runtime,
  x: View,
  dims: readonly number[],
): { pointer: number; groups: Group[] } {
  if (isContiguous(x.shape, x.strides)) {
    return { pointer: rt.pointer(x), groups: groupsOf(x.shape, dims, null) };
  }
  const order = x.shape.map((_, d) => d).filter((d) => x.shape[d] !== 1);
  const sorted = order.slice().sort((a, b) => x.strides[b] - x.strides[a]);
  const shape = sorted.map((d) => x.shape[d]);
  const kept = sorted.filter((d) => !dims.includes(d));
  const inOrder = kept.every((d, i) => i === 0 || d > kept[i - 1]);
  const dense = stridesOf(shape).every((stride, i) => stride === x.strides[sorted[i]]);
  if (inOrder && dense) {
    return { pointer: rt.pointer(x), groups: groupsOf(x.shape, dims, sorted) };
  }
  return { pointer: rt.dense(x), groups: groupsOf(x.shape, dims, null) };
}

/** Neighbouring dimensions (in that order; null: their own) that are all reduced or all kept, merged. */
function groupsOf(shape: Shape, dims: readonly number[], order: readonly number[] | null): Group[] {
  const groups: Group[] = [];
  let any = false;
  const count = order === null ? shape.length : order.length;
  for (let i = 0; i < count; i++) {
    const d = order === null ? i : order[i];
    const extent = shape[d];
    if (extent === 1) continue;
    const reduced = dims.includes(d);
    any ||= reduced;
    const last = groups.length === 0 ? undefined : groups[groups.length - 1];
    if (last !== undefined && last.reduced === reduced) last.extent *= extent;
    else groups.push({ reduced, extent });
  }
  if (!any) groups.push({ reduced: true, extent: 1 });
  return groups;
}

export const argreduce: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const dim = attrs.dim as number | undefined;
  const { outer, n, inner } = around(x, dim);
  const args = [rt.dense(x), rt.pointer(y), n];
  if (inner > 1) args.push(inner);
  const name = exportName(kernel, x.dtype, inner > 1 ? "_cols" : "_rows");
  rt.parallel(name, outer * inner, Math.ceil(WORK / 4 / n), args);
};
