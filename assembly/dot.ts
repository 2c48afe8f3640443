/** Matrix products as tiles of 2 × 4 dot products, straight from the operands. */
import { Area } from "./blocks";
import { F32x4 } from "./simd";
import { start } from "./tile";

/** Depth of a block for dot products: 6 rows of it stay in L1. */
const DOT: i32 = 512;
/** Rows of A that stay in L2 beside them. */
const DOT_ROWS: i32 = 96;

/**
 * c[m, n] = a·bᵀ + bias, k contiguous in both; row strides in bytes. An element is a vector of
 * partial sums per block of k, added up at its end.
 */
export function dot_block(
  a: usize,
  as: usize,
  b: usize,
  bs: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
): void {
  start(c, ldc, bias, m, n);
  for (let i = 0; i < m; i += DOT_ROWS) {
    const rows = min(DOT_ROWS, m - i);
    for (let p = 0; p < k; p += DOT) {
      const d = min(DOT, k - p);
      for (let j = 0; j < n; j += 4) {
        const columns = min(4, n - j);
        dot_column(
          rows,
          columns,
          d,
          a + as * i + (p << 2),
          as,
          b + bs * j + (p << 2),
          bs,
          c + ldc * i + (j << 2),
          ldc,
        );
      }
    }
  }
}

/** c[rows, ≤ 4] += a·bᵀ over one block of k. */
function dot_column(
  rows: i32,
  columns: i32,
  k: i32,
  a: usize,
  as: usize,
  b: usize,
  bs: usize,
  c: usize,
  ldc: usize,
): void {
  const steps = k >> 2;
  const tail = k & 3;
  const t = Area.tile;
  let i = 0;
  for (; columns == 1 && i + 4 <= rows; i += 4) {
    let sums = dot1x4(steps, a, as, b);
    if (tail) sums = f32x4.add(sums, rests(tail, a + (steps << 4), as, b + (steps << 4)));
    store<f32>(c, load<f32>(c) + f32x4.extract_lane(sums, 0));
    c += ldc;
    store<f32>(c, load<f32>(c) + f32x4.extract_lane(sums, 1));
    c += ldc;
    store<f32>(c, load<f32>(c) + f32x4.extract_lane(sums, 2));
    c += ldc;
    store<f32>(c, load<f32>(c) + f32x4.extract_lane(sums, 3));
    c += ldc;
    a += as << 2;
  }
  for (; i < rows; i += 2) {
    const height = min(2, rows - i);
    const next = height > 1 ? as : 0;
    // Missing columns read the last one again.
    const b1 = columns > 1 ? bs : 0;
    const b2 = columns > 2 ? bs * 2 : b1;
    const b3 = columns > 3 ? bs * 3 : b2;
    if (columns > 1) dot4(steps, a, a + next, b, b + b1, b + b2, b + b3, t);
    else dot1(steps, a, a + next, b, t);
    const end = steps << 4;
    for (let r = 0; r < height; r++) {
      const from = t + (r << 6);
      for (let j = 0; j < columns; j++) {
        const v = v128.load(from + (j << 4));
        let sum =
          f32x4.extract_lane(v, 0) +
          f32x4.extract_lane(v, 1) +
          (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
        if (tail) sum += rest(tail, a + as * r + end, b + bs * j + end);
        const to = c + ldc * r + (j << 2);
        store<f32>(to, load<f32>(to) + sum);
      }
    }
    a += as * 2;
    c += ldc * 2;
  }
}

function rest(k: i32, a: usize, b: usize): f32 {
  let sum = load<f32>(a) * load<f32>(b);
  for (let p = 1; p < k; p++) sum += load<f32>(a + (p << 2)) * load<f32>(b + (p << 2));
  return sum;
}

/** The same for four rows of a, one in each lane. */
function rests(k: i32, a: usize, as: usize, b: usize): v128 {
  let sums = f32x4.splat(rest(k, a, b));
  sums = f32x4.replace_lane(sums, 1, rest(k, a + as, b));
  sums = f32x4.replace_lane(sums, 2, rest(k, a + as * 2, b));
  return f32x4.replace_lane(sums, 3, rest(k, a + as * 3, b));
}

/** out[2][4] vectors of partial sums, lane l over k = 4i + l. */
function dot4(
  k: i32,
  a0: usize,
  a1: usize,
  b0: usize,
  b1: usize,
  b2: usize,
  b3: usize,
  out: usize,
): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c02 = c00;
  let c03 = c00;
  let c10 = c00;
  let c11 = c00;
  let c12 = c00;
  let c13 = c00;
  for (let p: usize = 0, end = (<usize>k) << 4; p < end; p += 16) {
    const x0 = v128.load(a0 + p);
    const x1 = v128.load(a1 + p);
    let y = v128.load(b0 + p);
    c00 = F32x4.fma(x0, y, c00);
    c10 = F32x4.fma(x1, y, c10);
    y = v128.load(b1 + p);
    c01 = F32x4.fma(x0, y, c01);
    c11 = F32x4.fma(x1, y, c11);
    y = v128.load(b2 + p);
    c02 = F32x4.fma(x0, y, c02);
    c12 = F32x4.fma(x1, y, c12);
    y = v128.load(b3 + p);
    c03 = F32x4.fma(x0, y, c03);
    c13 = F32x4.fma(x1, y, c13);
  }
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out, c02, 32);
  v128.store(out, c03, 48);
  v128.store(out, c10, 64);
  v128.store(out, c11, 80);
  v128.store(out, c12, 96);
  v128.store(out, c13, 112);
}

/** The first column of dot4. */
function dot1(k: i32, a0: usize, a1: usize, b0: usize, out: usize): void {
  let c00 = f32x4.splat(0);
  let c10 = c00;
  for (let p: usize = 0, end = (<usize>k) << 4; p < end; p += 16) {
    const x0 = v128.load(a0 + p);
    const x1 = v128.load(a1 + p);
    const y = v128.load(b0 + p);
    c00 = F32x4.fma(x0, y, c00);
    c10 = F32x4.fma(x1, y, c10);
  }
  v128.store(out, c00);
  v128.store(out, c10, 64);
}

/** Four rows and one column, summed as by dot_column: each row's four partial sums, one row in each lane. */
function dot1x4(k: i32, a: usize, as: usize, b: usize): v128 {
  const a1 = a + as;
  const a2 = a1 + as;
  const a3 = a2 + as;
  let c0 = f32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  for (let p: usize = 0, end = (<usize>k) << 4; p < end; p += 16) {
    const y = v128.load(b + p);
    c0 = F32x4.fma(v128.load(a + p), y, c0);
    c1 = F32x4.fma(v128.load(a1 + p), y, c1);
    c2 = F32x4.fma(v128.load(a2 + p), y, c2);
    c3 = F32x4.fma(v128.load(a3 + p), y, c3);
  }
  // A transposition: x0 and x1 of each row, then x2 and x3.
  const low01 = v128.shuffle<f32>(c0, c1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(c2, c3, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(c0, c1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(c2, c3, 2, 6, 3, 7);
  const first = f32x4.add(
    v128.shuffle<f64>(low01, low23, 0, 2),
    v128.shuffle<f64>(low01, low23, 1, 3),
  );
  const second = f32x4.add(
    v128.shuffle<f64>(high01, high23, 0, 2),
    v128.shuffle<f64>(high01, high23, 1, 3),
  );
  return f32x4.add(first, second);
}
