/** Launchers of kinds `matmul`, `linear` and `linearGrad`: which kernel a product takes, and how it is cut. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { grainOf, JOB } from "./cut.ts";
import { epilogueOf } from "./epilogue.ts";
import { reduce, sum } from "./reduce.ts";

/** Multiply-adds from which the operand that all threads read is packed once for all of them. */
const SHARED_PACKING = 1 << 20;
/** Elements a thread packs at a time. */
const PACK_JOB = 1 << 15;
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

const matmul: Launcher = (rt, _kernel, [a, b], [y]) => {
  if (y.size === 0) return;
  const rank = a.shape.length;
  const p: Product = {
    m: a.shape[rank - 2],
    n: b.shape[rank - 1],
    k: a.shape[rank - 1],
    aRow: a.strides[rank - 2],
    aColumn: a.strides[rank - 1],
    bRow: b.strides[rank - 2],
    bColumn: b.strides[rank - 1],
    bias: 0,
    epilogue: null,
  };
  const c = rt.pointer(y);
  if (rank === 2) multiply(rt, p, rt.pointer(a), rt.pointer(b), c);
  else if (turned(p)) batch(rt, p, rt.pointer(b), rt.pointer(a), c, batchDims(b, a));
  else batch(rt, p, rt.pointer(a), rt.pointer(b), c, batchDims(a, b));
};

/** One product of matrices at these addresses. */
function multiply(rt: Runtime, p: Product, a: number, b: number, c: number): void {
  if (turned(p)) single(rt, p, b, a, c);
  else single(rt, p, a, b, c);
}

/**
 * Gives extents of 1, which have no stride, the one that kernels like. A column has the memory of a row: where
 * C is one, `p` becomes Cᵀ = Bᵀ·Aᵀ, whose tiles are full. True if so; the operands are then exchanged.
 */
function turned(p: Product): boolean {
  if (p.m === 1) p.aRow = 1;
  if (p.n === 1) p.bColumn = 1;
  if (p.n !== 1 || p.m === 1 || p.bias !== 0 || prefersDot(p)) return false;
  const { m, aRow, aColumn } = p;
  p.m = 1;
  p.n = m;
  p.aRow = 1;
  p.aColumn = p.bRow;
  p.bRow = aColumn;
  p.bColumn = aRow;
  return true;
}

/** x [m, k], weight [n, k], bias? → x · weightᵀ + bias */
const linear: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const [x, weight] = inputs;
  const p: Product = {
    m: x.shape[0],
    n: weight.shape[0],
    k: x.shape[1],
    aRow: x.strides[0],
    aColumn: x.strides[1],
    bRow: weight.strides[1],
    bColumn: weight.strides[0],
    bias: inputs.length > 2 ? rt.dense(inputs[2]) : 0,
    epilogue: epilogueOf(attrs),
  };
  multiply(rt, p, rt.pointer(x), rt.pointer(weight), rt.pointer(y));
};

const overRows: Attrs = { dims: [0] };

/** x, weight, dy → those of dx = dy · weight, dweight = dyᵀ · x, dbias that are asked for */
const linearGrad: Launcher = (rt, _kernel, [x, weight, dy], outputs, attrs) => {
  const rows = dy.strides[0];
  const columns = dy.strides[1];
  let next = 0;
  if (attrs.dx) gradient(rt, dy, rows, columns, weight, outputs[next++]);
  if (attrs.dweight) gradient(rt, dy, columns, rows, x, outputs[next++]);
  if (attrs.dbias) reduce(rt, sum, [dy], [outputs[next]], overRows);
};

/** c [m, n] = dy, or its transpose, of those strides · b */
function gradient(rt: Runtime, dy: View, aRow: number, aColumn: number, b: View, c: View): void {
  if (c.size === 0) return;
  const p: Product = {
    m: c.shape[0],
    n: c.shape[1],
    k: b.shape[0],
    aRow,
    aColumn,
    bRow: b.strides[0],
    bColumn: b.strides[1],
    bias: 0,
    epilogue: null,
  };
  multiply(rt, p, rt.pointer(dy), rt.pointer(b), rt.pointer(c));
}

function single(rt: Runtime, p: Product, a: number, b: number, c: number): void {
  const dot = prefersDot(p);
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
  const grain = grainOf(units, m * n * k, rt.threads);
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
      batch(rt, p, a + i * dim.a * 4, b + i * dim.b * 4, c + i * step * 4, inner);
    }
  } else if (dim.count < 2 * rt.threads && m * n * k >= SHARED_PACKING) {
    for (let i = 0; i < dim.count; i++) {
      single(rt, p, a + i * dim.a * 4, b + i * dim.b * 4, c + i * m * n * 4);
    }
  } else {
    const left = [a, p.aRow, p.aColumn, dim.a];
    const right = [b, p.bRow, p.bColumn, dim.b];
    const args = [...left, ...right, c, p.bias, m, n, k, Number(prefersDot(p))];
    const grain = Math.ceil(JOB / (m * n * Math.max(k, 1)));
    rt.parallel("gemm_batch_f32", dim.count, grain, args);
  }
}

export const matmulLaunchers: Readonly<Record<string, Launcher>> = {
  matmul,
  linear,
  linearGrad,
};
