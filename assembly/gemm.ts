/**
 * Matrix products C = A·B + bias, float32. Strides count elements; C is dense [m, n]; bias is [n]
 * or 0 for none. The order in which an element of C is summed depends on m, n, k, the strides
 * and the variant alone, not on begin and end.
 */
import { Area, block_depth, block_width, COLUMNS, MC, ROWS } from "./blocks";
import { dot_block } from "./dot";
import { pack_left, pack_right } from "./pack";
import { multiply, outer, start, ZEROS } from "./tile";

/** Rows of a tile: 6 in the relaxed binaries, 5 in the strict ones. */
export function gemm_rows(): i32 {
  return ROWS;
}

/**
 * Packs row panels [begin, end) of A [m, k] for gemm_f32: for each block of k, panels
 * [depth][gemm_rows]. `out` has room for k · (m rounded up to gemm_rows) floats.
 */
export function gemm_pack_left_f32(
  a: usize,
  row: i32,
  column: i32,
  out: usize,
  m: i32,
  k: i32,
  begin: i32,
  end: i32,
): void {
  const rs = (<usize>row) << 2;
  const cs = (<usize>column) << 2;
  const depth = block_depth(k);
  const first = begin * ROWS;
  const rows = min(m, end * ROWS) - first;
  const padded = ((m + ROWS - 1) / ROWS) * ROWS;
  for (let p = 0; p < k; p += depth) {
    const d = min(depth, k - p);
    pack_left(a + rs * first + cs * p, rs, cs, rows, d, out + ((first * d) << 2), (d * ROWS) << 2);
    out += (d * padded) << 2;
  }
}

/**
 * Packs column panels [begin, end) of B [k, n] for gemm_f32: for each block of k, panels [depth][8].
 * `out` has room for k · (n rounded up to 8) floats.
 */
export function gemm_pack_right_f32(
  b: usize,
  row: i32,
  column: i32,
  out: usize,
  k: i32,
  n: i32,
  begin: i32,
  end: i32,
): void {
  const rs = (<usize>row) << 2;
  const cs = (<usize>column) << 2;
  const depth = block_depth(k);
  const first = begin * COLUMNS;
  const columns = min(n, end * COLUMNS) - first;
  const padded = ((n + COLUMNS - 1) / COLUMNS) * COLUMNS;
  for (let p = 0; p < k; p += depth) {
    const d = min(depth, k - p);
    pack_right(b + cs * first + rs * p, rs, cs, d, columns, out + ((first * d) << 2), d << 5);
    out += (d * padded) << 2;
  }
}

/**
 * C = A·B + bias through packed panels. [begin, end) counts panels: of gemm_rows() rows, or of 8 columns
 * where `byColumns`. `left` (needs byColumns) and `right` (needs rows) are what gemm_pack_*_f32
 * wrote for the whole operand, or 0: then the kernel packs the part it needs itself.
 */
export function gemm_f32(
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  c: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  left: usize,
  right: usize,
  byColumns: i32,
  begin: i32,
  end: i32,
): void {
  const ars = (<usize>aRow) << 2;
  const acs = (<usize>aColumn) << 2;
  const brs = (<usize>bRow) << 2;
  const bcs = (<usize>bColumn) << 2;
  const ldc = (<usize>n) << 2;
  if (byColumns) {
    const first = begin * COLUMNS;
    const columns = min(n, end * COLUMNS) - first;
    if (bias) bias += first << 2;
    b += bcs * first;
    c += first << 2;
    block(a, ars, acs, b, brs, bcs, c, ldc, bias, m, columns, k, left, 0);
  } else {
    const first = begin * ROWS;
    const rows = min(m, end * ROWS) - first;
    block(a + ars * first, ars, acs, b, brs, bcs, c + ldc * first, ldc, bias, rows, n, k, 0, right);
  }
}

/** A product on the calling thread; strides in bytes. */
function block(
  a: usize,
  ars: usize,
  acs: usize,
  b: usize,
  brs: usize,
  bcs: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  left: usize,
  right: usize,
): void {
  if (k == 0) {
    start(c, ldc, bias, m, n);
    return;
  }
  if (k == 1 && bcs == 4) {
    outer(a, ars, b, c, ldc, bias, m, n);
    return;
  }
  const depth = block_depth(k);
  const paddedRows = ((m + ROWS - 1) / ROWS) * ROWS;
  const paddedColumns = ((n + COLUMNS - 1) / COLUMNS) * COLUMNS;
  // Small or barely reused operands that lie as a tile wants them are read in place.
  const leftInPlace = left == 0 && ars == 4 && (n <= 16 || m * k <= 4096);
  const rightInPlace = right == 0 && bcs == 4 && (m <= 12 || n * k <= 4096);
  const width = block_width(n);
  for (let j = 0; j < n; j += width) {
    const columns = min(width, n - j);
    const full = rightInPlace ? columns & ~7 : 0;
    for (let p = 0; p < k; p += depth) {
      const d = min(depth, k - p);
      const bp = b + brs * p + bcs * j;
      let packed = Area.right;
      if (right) packed = right + ((p * paddedColumns + j * d) << 2);
      else if (full < columns) {
        pack_right(bp + bcs * full, brs, bcs, d, columns - full, packed, d << 5);
      }
      for (let i = 0; i < m; i += MC) {
        const rows = min(MC, m - i);
        const ap = a + ars * i + acs * p;
        let panels = ap;
        let panel: usize = ROWS << 2;
        let step = acs;
        if (!leftInPlace) {
          panel = (d * ROWS) << 2;
          step = ROWS << 2;
          if (left) panels = left + ((p * paddedRows + i * d) << 2);
          else {
            panels = Area.left;
            pack_left(ap, ars, acs, rows, d, panels, panel);
          }
        }
        const to = c + ldc * i + (j << 2);
        let init = to;
        let ldi = ldc;
        let ij: usize = 4;
        if (p == 0) {
          ldi = 0;
          if (bias) init = bias + (j << 2);
          else {
            init = ZEROS;
            ij = 0;
          }
        }
        if (full) {
          multiply(rows, full, d, panels, panel, step, bp, 32, brs, to, ldc, init, ldi, ij);
        }
        if (full < columns) {
          const skip = (<usize>full) << 2;
          // prettier-ignore
          multiply(rows, columns - full, d, panels, panel, step, packed, d << 5, 32,
            to + skip, ldc, init + ij * full, ldi, ij);
        }
      }
    }
  }
}

/**
 * C = A·Bᵀ + bias where k is the contiguous dimension of both (a[i·lda + p], b[j·ldb + p]): tiles
 * of 2 × 4 dot products straight from the operands, without packing. Pays when m or n is so small
 * that packing costs more than it gains. [begin, end) counts rows of C, or columns where `byColumns`.
 */
export function gemm_nt_f32(
  a: usize,
  lda: i32,
  b: usize,
  ldb: i32,
  c: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  byColumns: i32,
  begin: i32,
  end: i32,
): void {
  const as = (<usize>lda) << 2;
  const bs = (<usize>ldb) << 2;
  const ldc = (<usize>n) << 2;
  if (byColumns) {
    b += bs * begin;
    c += begin << 2;
    if (bias) bias += begin << 2;
    n = end - begin;
  } else {
    a += as * begin;
    c += ldc * begin;
    m = end - begin;
  }
  dot_block(a, as, b, bs, c, ldc, bias, m, n, k);
}

/**
 * Products [begin, end) of a batch, each on one thread: the operands of product i are `aBatch`
 * and `bBatch` elements apart (0 repeats one), its result is C[i] of [batch, m, n]. `dot` as in gemm_nt_f32.
 */
export function gemm_batch_f32(
  a: usize,
  aRow: i32,
  aColumn: i32,
  aBatch: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  bBatch: i32,
  c: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  dot: i32,
  begin: i32,
  end: i32,
): void {
  const ars = (<usize>aRow) << 2;
  const acs = (<usize>aColumn) << 2;
  const brs = (<usize>bRow) << 2;
  const bcs = (<usize>bColumn) << 2;
  const ldc = (<usize>n) << 2;
  for (let i = begin; i < end; i++) {
    const ai = a + ((<usize>i * aBatch) << 2);
    const bi = b + ((<usize>i * bBatch) << 2);
    const ci = c + ldc * m * i;
    if (dot) dot_block(ai, ars, bi, bcs, ci, ldc, bias, m, n, k);
    else block(ai, ars, acs, bi, brs, bcs, ci, ldc, bias, m, n, k, 0, 0);
  }
}
