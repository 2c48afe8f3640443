/**
 * The inner kernels that matrix products and convolutions share.
 *
 * A product is cut into tiles of ROWS × 8 results held in registers. Packed operands are panels:
 * `[k][ROWS]` of the left matrix and `[k][8]` of the right one, so a tile reads both in order.
 * A result starts from `init` (zero, a bias, or C itself) and adds its k products in order, one
 * chain per element: neither the place in a tile nor how the work is cut changes a bit.
 */
import { Area, COLUMNS, ROWS } from "./blocks";
import { F32x4 } from "./simd";

/** 64 bytes of zeros: an `init` with row stride 0. */
export const ZEROS: usize = memory.data(64, 16);

interface Count {
  n(): i32;
}
@final
class One implements Count {
  @inline
  n(): i32 {
    return 1;
  }
}
@final
class Two implements Count {
  @inline
  n(): i32 {
    return 2;
  }
}
@final
class Three implements Count {
  @inline
  n(): i32 {
    return 3;
  }
}
@final
class Four implements Count {
  @inline
  n(): i32 {
    return 4;
  }
}
@final
class Five implements Count {
  @inline
  n(): i32 {
    return 5;
  }
}
@final
class Six implements Count {
  @inline
  n(): i32 {
    return 6;
  }
}

/**
 * c[R, 8] = init[R, 8] + a[R, k] · b[k, 8]. `a` advances by `sa` bytes per step of k and holds R
 * floats there, `b` by `sb` and holds 8; `ldc`, `ldi` are row strides in bytes.
 *
 * One loop, sums loaded before it and only stored after it: with anything more V8 11 (Node 20) no longer keeps all
 * twelve sums in registers (26 instead of 54 GFLOP/s).
 */
function tile<R extends Count>(
  k: i32,
  a: usize,
  sa: usize,
  b: usize,
  sb: usize,
  c: usize,
  ldc: usize,
  init: usize,
  ldi: usize,
): void {
  const rows = changetype<R>(0);
  let c00 = v128.load(init);
  let c01 = v128.load(init, 16);
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  let c40 = c00;
  let c41 = c00;
  let c50 = c00;
  let c51 = c00;
  if (rows.n() > 1) {
    init += ldi;
    c10 = v128.load(init);
    c11 = v128.load(init, 16);
  }
  if (rows.n() > 2) {
    init += ldi;
    c20 = v128.load(init);
    c21 = v128.load(init, 16);
  }
  if (rows.n() > 3) {
    init += ldi;
    c30 = v128.load(init);
    c31 = v128.load(init, 16);
  }
  if (rows.n() > 4) {
    init += ldi;
    c40 = v128.load(init);
    c41 = v128.load(init, 16);
  }
  if (rows.n() > 5) {
    init += ldi;
    c50 = v128.load(init);
    c51 = v128.load(init, 16);
  }
  for (let i = 0; i < k; i++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = F32x4.fma(a0, b0, c00);
    c01 = F32x4.fma(a0, b1, c01);
    if (rows.n() > 1) {
      const a1 = v128.load32_splat(a, 4);
      c10 = F32x4.fma(a1, b0, c10);
      c11 = F32x4.fma(a1, b1, c11);
    }
    if (rows.n() > 2) {
      const a2 = v128.load32_splat(a, 8);
      c20 = F32x4.fma(a2, b0, c20);
      c21 = F32x4.fma(a2, b1, c21);
    }
    if (rows.n() > 3) {
      const a3 = v128.load32_splat(a, 12);
      c30 = F32x4.fma(a3, b0, c30);
      c31 = F32x4.fma(a3, b1, c31);
    }
    if (rows.n() > 4) {
      const a4 = v128.load32_splat(a, 16);
      c40 = F32x4.fma(a4, b0, c40);
      c41 = F32x4.fma(a4, b1, c41);
    }
    if (rows.n() > 5) {
      const a5 = v128.load32_splat(a, 20);
      c50 = F32x4.fma(a5, b0, c50);
      c51 = F32x4.fma(a5, b1, c51);
    }
    a += sa;
    b += sb;
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  if (rows.n() > 1) {
    c += ldc;
    v128.store(c, c10);
    v128.store(c, c11, 16);
  }
  if (rows.n() > 2) {
    c += ldc;
    v128.store(c, c20);
    v128.store(c, c21, 16);
  }
  if (rows.n() > 3) {
    c += ldc;
    v128.store(c, c30);
    v128.store(c, c31, 16);
  }
  if (rows.n() > 4) {
    c += ldc;
    v128.store(c, c40);
    v128.store(c, c41, 16);
  }
  if (rows.n() > 5) {
    c += ldc;
    v128.store(c, c50);
    v128.store(c, c51, 16);
  }
}

/**
 * c[1, 32] = init[1, 32] + a[1, k] · b[k, 32], rows of b in place, `sb` bytes apart: one row in tiles of 8 has only
 * two sums to add to, and waits for them.
 */
function row_tile(
  k: i32,
  a: usize,
  sa: usize,
  b: usize,
  sb: usize,
  c: usize,
  init: usize,
  ij: usize,
): void {
  const step = ij << 3;
  let c0 = v128.load(init);
  let c1 = v128.load(init, 16);
  init += step;
  let c2 = v128.load(init);
  let c3 = v128.load(init, 16);
  init += step;
  let c4 = v128.load(init);
  let c5 = v128.load(init, 16);
  init += step;
  let c6 = v128.load(init);
  let c7 = v128.load(init, 16);
  for (let i = 0; i < k; i++) {
    const x = v128.load32_splat(a);
    c0 = F32x4.fma(x, v128.load(b), c0);
    c1 = F32x4.fma(x, v128.load(b, 16), c1);
    c2 = F32x4.fma(x, v128.load(b, 32), c2);
    c3 = F32x4.fma(x, v128.load(b, 48), c3);
    c4 = F32x4.fma(x, v128.load(b, 64), c4);
    c5 = F32x4.fma(x, v128.load(b, 80), c5);
    c6 = F32x4.fma(x, v128.load(b, 96), c6);
    c7 = F32x4.fma(x, v128.load(b, 112), c7);
    a += sa;
    b += sb;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
  v128.store(c, c4, 64);
  v128.store(c, c5, 80);
  v128.store(c, c6, 96);
  v128.store(c, c7, 112);
}

function tile_rows(
  rows: i32,
  k: i32,
  a: usize,
  sa: usize,
  b: usize,
  sb: usize,
  c: usize,
  ldc: usize,
  init: usize,
  ldi: usize,
): void {
  if (ROWS == 6 && rows == 6) tile<Six>(k, a, sa, b, sb, c, ldc, init, ldi);
  else if (rows == 5) tile<Five>(k, a, sa, b, sb, c, ldc, init, ldi);
  else if (rows == 4) tile<Four>(k, a, sa, b, sb, c, ldc, init, ldi);
  else if (rows == 3) tile<Three>(k, a, sa, b, sb, c, ldc, init, ldi);
  else if (rows == 2) tile<Two>(k, a, sa, b, sb, c, ldc, init, ldi);
  else tile<One>(k, a, sa, b, sb, c, ldc, init, ldi);
}

/** A tile of which only `columns` < 8 exist in C and in init. `b` has all 8. */
function tile_edge(
  rows: i32,
  columns: i32,
  k: i32,
  a: usize,
  sa: usize,
  b: usize,
  sb: usize,
  c: usize,
  ldc: usize,
  init: usize,
  ldi: usize,
): void {
  const t = Area.tile;
  for (let i = 0; i < rows; i++) {
    const row = t + (i << 5);
    v128.store(row, f32x4.splat(0));
    v128.store(row, f32x4.splat(0), 16);
    for (let j = 0; j < columns; j++) {
      store<f32>(row + (j << 2), load<f32>(init + ldi * i + (j << 2)));
    }
  }
  tile_rows(rows, k, a, sa, b, sb, t, 32, t, 32);
  for (let i = 0; i < rows; i++) {
    const row = t + (i << 5);
    for (let j = 0; j < columns; j++) {
      store<f32>(c + ldc * i + (j << 2), load<f32>(row + (j << 2)));
    }
  }
}

/**
 * c[rows, columns] = init + A·B, one block of depth k. Panel i of A is at `a + i·pa`, panel j of
 * B at `b + j·pb`; `ij` is the step of init per column in bytes (4, or 0 where all columns start alike).
 */
export function multiply(
  rows: i32,
  columns: i32,
  k: i32,
  a: usize,
  pa: usize,
  sa: usize,
  b: usize,
  pb: usize,
  sb: usize,
  c: usize,
  ldc: usize,
  init: usize,
  ldi: usize,
  ij: usize,
): void {
  const wide = rows == 1 && pb == 32 ? columns & ~31 : 0;
  for (let j = 0; j < wide; j += 32) {
    row_tile(k, a, sa, b, sb, c, init, ij);
    b += 128;
    c += 128;
    init += ij << 5;
  }
  columns -= wide;
  const full = columns & ~7;
  for (let i = 0; i < rows; i += ROWS) {
    const height = min(ROWS, rows - i);
    let bj = b;
    let cj = c;
    let initj = init;
    for (let j = 0; j < full; j += COLUMNS) {
      // Most tiles are full ones: these are called at once.
      if (ROWS == 6 && height == 6) tile<Six>(k, a, sa, bj, sb, cj, ldc, initj, ldi);
      else if (ROWS == 5 && height == 5) tile<Five>(k, a, sa, bj, sb, cj, ldc, initj, ldi);
      else tile_rows(height, k, a, sa, bj, sb, cj, ldc, initj, ldi);
      bj += pb;
      cj += 32;
      initj += ij << 3;
    }
    if (full < columns) {
      tile_edge(height, columns - full, k, a, sa, bj, sb, cj, ldc, initj, ldi);
    }
    a += pa;
    c += ldc * ROWS;
    init += ldi * ROWS;
  }
}

/** c[m, n] = bias or 0: the product of empty sums. Rows of C are often too short for memory.copy, a call of the engine's. */
export function start(c: usize, ldc: usize, bias: usize, m: i32, n: i32): void {
  const bytes = (<usize>n) << 2;
  for (let i = 0; i < m; i++) {
    for (let j: usize = 0; j < bytes; j += 4) store<f32>(c + j, bias ? load<f32>(bias + j) : 0);
    c += ldc;
  }
}

/** c[m, n] = bias + a·b where k is 1: a column, `ars` bytes apart, times a row in order. */
export function outer(
  a: usize,
  ars: usize,
  b: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  m: i32,
  n: i32,
): void {
  let j = 0;
  for (; j + 16 <= n; j += 16) {
    outer16(a, ars, b, c, ldc, bias ? bias : ZEROS, m);
    b += 64;
    c += 64;
    if (bias) bias += 64;
  }
  for (; j < n; j += 4) {
    const columns = min(4, n - j);
    const y = columns == 4 ? v128.load(b) : F32x4.loadTail(b, columns);
    let init = f32x4.splat(0);
    if (bias) init = columns == 4 ? v128.load(bias) : F32x4.loadTail(bias, columns);
    for (let i = 0; i < m; i++) {
      const v = F32x4.fma(v128.load32_splat(a + ars * i), y, init);
      if (columns == 4) v128.store(c + ldc * i, v);
      else F32x4.storeTail(c + ldc * i, v, columns);
    }
    b += 16;
    c += 16;
    if (bias) bias += 16;
  }
}

function outer16(a: usize, ars: usize, b: usize, c: usize, ldc: usize, init: usize, m: i32): void {
  const b0 = v128.load(b);
  const b1 = v128.load(b, 16);
  const b2 = v128.load(b, 32);
  const b3 = v128.load(b, 48);
  const i0 = v128.load(init);
  const i1 = v128.load(init, 16);
  const i2 = v128.load(init, 32);
  const i3 = v128.load(init, 48);
  for (let i = 0; i < m; i++) {
    const x = v128.load32_splat(a);
    v128.store(c, F32x4.fma(x, b0, i0));
    v128.store(c, F32x4.fma(x, b1, i1), 16);
    v128.store(c, F32x4.fma(x, b2, i2), 32);
    v128.store(c, F32x4.fma(x, b3, i3), 48);
    a += ars;
    c += ldc;
  }
}
