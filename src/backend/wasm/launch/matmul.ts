/** Launcher of kind `matmul`: which kernel a product takes, and how it is cut. */
import type { View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { activate, epilogueOf } from "./epilogue.ts";

/** Multiply-adds a thread takes at a time at least: about 5 µs of work. */
const JOB = 1 << 17;
/** Multiply-adds from which the operand that all threads read is packed once for all of them. */
const SHARED_PACKING = 1 << 20;
/** Elements a thread packs at a time. */
const PACK_JOB = 1 << 15;
/** Chunks per thread: enough to even out a disturbed core. */
const CHUNKS = 4;
/** Columns of a tile (assembly/blocks.ts). */
const COLUMNS = 8;

/** One product; strides in elements, C dense. */
interface Product {
  m: number;
  n: number;
  k: number;
  aRow: number;
  aColumn: number;
  bRow: number;
  bColumn: number;
  bias: number;
  /** Number and slope of an activation. */
  epilogue: readonly number[] | null;
}

/** Dot products straight from the operands beat packing where an operand is read only a few times. */
function prefersDot({ m, n, k, aColumn, bRow }: Product): boolean {
  return aColumn === 1 && bRow === 1 && k >= 16 && Math.min(m, n) < COLUMNS;
}

const matmul: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const [a, b] = inputs;
  const rank = a.shape.length;
  const p: Product = {
    m: a.shape[rank - 2],
    n: b.shape[rank - 1],
    k: a.shape[rank - 1],
    aRow: a.strides[rank - 2],
    aColumn: a.strides[rank - 1],
    bRow: b.strides[rank - 2],
    bColumn: b.strides[rank - 1],
    bias: inputs.length > 2 ? rt.dense(inputs[2]) : 0,
    epilogue: epilogueOf(attrs),
  };
  // An extent of 1 has no stride: take the one that the kernels like.
  if (p.m === 1) p.aRow = 1;
  if (p.n === 1) p.bColumn = 1;
  const dot = prefersDot(p);
  let left = rt.pointer(a);
  let right = rt.pointer(b);
  let [batchA, batchB] = [a, b];
  if (p.n === 1 && p.m > 1 && !dot && p.bias === 0) {
    // A column has the memory of a row: compute Cᵀ = Bᵀ·Aᵀ, whose tiles are full.
    [left, right, batchA, batchB] = [right, left, b, a];
    [p.m, p.n] = [1, p.m];
    [p.aRow, p.aColumn, p.bRow, p.bColumn] = [1, p.bRow, p.aColumn, p.aRow];
  }
  if (rank === 2) single(rt, p, dot, left, right, rt.pointer(y));
  else {
    const { epilogue } = p;
    batch(rt, { ...p, epilogue: null }, dot, left, right, rt.pointer(y), batchDims(batchA, batchB));
    if (epilogue !== null) activate(rt, y, epilogue);
  }
};

function single(rt: Runtime, p: Product, dot: boolean, a: number, b: number, c: number): void {
  const { m, n, k, aRow, aColumn, bRow, bColumn, bias, epilogue } = p;
  if (m * n * k <= JOB) {
    // Not worth a second thread; m is at least the number of row panels.
    if (dot) rt.call("gemm_nt_f32", a, aRow, b, bColumn, c, bias, m, n, k, 0, 0, m);
    else rt.call("gemm_f32", a, aRow, aColumn, b, bRow, bColumn, c, bias, m, n, k, 0, 0, 0, 0, m);
    if (epilogue !== null) rt.call("activate_f32", c, epilogue[0], epilogue[1], 0, m * n);
    return;
  }
  // The longer side is cut, so that what every thread reads is the smaller operand.
  const byColumns = n > m;
  const rows = rt.call("gemm_rows");
  const unit = byColumns ? (dot ? 4 : COLUMNS) : dot ? 2 : rows;
  const units = Math.ceil((byColumns ? n : m) / unit);
  const least = Math.ceil((JOB * units) / (m * n * Math.max(k, 1)));
  const grain = Math.max(least, Math.ceil(units / (rt.threads * CHUNKS)));
  if (dot) {
    const args = [a, aRow, b, bColumn, c, bias, m, n, k, Number(byColumns), ...(epilogue ?? [])];
    const name = epilogue === null ? "gemm_nt_f32" : "gemm_nt_activated_f32";
    rt.parallel(name, byColumns ? n : m, grain * unit, args);
    return;
  }
  let packedLeft = 0;
  let packedRight = 0;
  if (rt.threads > 1 && grain < units && m * n * k >= SHARED_PACKING) {
    if (byColumns) {
      const panels = Math.ceil(m / rows);
      packedLeft = rt.scratch(panels * rows * k * 4);
      const job = Math.ceil(PACK_JOB / (rows * k));
      rt.parallel("gemm_pack_left_f32", panels, job, [a, aRow, aColumn, packedLeft, m, k]);
    } else {
      packedRight = packRight(rt, b, bRow, bColumn, k, n);
    }
  }
  const operands = [a, aRow, aColumn, b, bRow, bColumn, c, bias, m, n, k];
  const args = [...operands, packedLeft, packedRight, Number(byColumns), ...(epilogue ?? [])];
  rt.parallel(epilogue === null ? "gemm_f32" : "gemm_activated_f32", units, grain, args);
}

/** The right matrix B [k, n] in panels, for all products that read it; strides in elements. */
export function packRight(
  rt: Runtime,
  b: number,
  bRow: number,
  bColumn: number,
  k: number,
  n: number,
): number {
  const panels = Math.ceil(n / COLUMNS);
  const packed = rt.scratch(panels * COLUMNS * k * 4);
  const job = Math.ceil(PACK_JOB / (COLUMNS * Math.max(k, 1)));
  rt.parallel("gemm_pack_right_f32", panels, job, [b, bRow, bColumn, packed, k, n]);
  return packed;
}

interface BatchDim {
  count: number;
  a: number;
  b: number;
}

/** The batch dimensions, those merged that lie evenly in both operands; at least one. */
function batchDims(a: View, b: View): BatchDim[] {
  const dims: BatchDim[] = [];
  for (let i = 0; i < a.shape.length - 2; i++) {
    const count = a.shape[i];
    if (count === 1) continue;
    const last = dims[dims.length - 1];
    if (last && last.a === a.strides[i] * count && last.b === b.strides[i] * count) {
      last.count *= count;
      last.a = a.strides[i];
      last.b = b.strides[i];
    } else dims.push({ count, a: a.strides[i], b: b.strides[i] });
  }
  return dims.length > 0 ? dims : [{ count: 1, a: 0, b: 0 }];
}

function batch(
  rt: Runtime,
  p: Product,
  dot: boolean,
  a: number,
  b: number,
  c: number,
  dims: readonly BatchDim[],
): void {
  const { m, n, k } = p;
  const [dim, ...inner] = dims;
  if (inner.length > 0) {
    const step = inner.reduce((size, { count }) => size * count, m * n);
    for (let i = 0; i < dim.count; i++) {
      batch(rt, p, dot, a + i * dim.a * 4, b + i * dim.b * 4, c + i * step * 4, inner);
    }
  } else if (dim.count < 2 * rt.threads && m * n * k >= SHARED_PACKING) {
    for (let i = 0; i < dim.count; i++) {
      single(rt, p, dot, a + i * dim.a * 4, b + i * dim.b * 4, c + i * m * n * 4);
    }
  } else {
    const left = [a, p.aRow, p.aColumn, dim.a];
    const right = [b, p.bRow, p.bColumn, dim.b];
    const args = [...left, ...right, c, p.bias, m, n, k, Number(dot)];
    const grain = Math.ceil(JOB / (m * n * Math.max(k, 1)));
    rt.parallel("gemm_batch_f32", dim.count, grain, args);
  }
}

export const matmulLaunchers: Readonly<Record<string, Launcher>> = { matmul };
