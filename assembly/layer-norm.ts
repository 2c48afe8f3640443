/**
 * Rows of n ≥ 1 numbers brought to variance 1, or, without centring, to mean square 1; the same with
 * weight and bias per column, and the gradient.
 *
 *     mean  = centre ? Σx / n : 0
 *     scale = 1 / √(Σ(x − mean)² / n + eps)
 *     y     = (x − mean)·scale [·weight] [+ bias]
 *     dx    = scale·(g − (centre ? Σg / n : 0) − x̂·Σ(g·x̂) / n)   with x̂ = (x − mean)·scale, g = dy [·weight]
 *     dweight = Σ dy·x̂, dbias = Σ dy over all rows
 *
 * Two passes for the moments, in float64: a large mean costs no digits. `begin … end` counts rows.
 */
import { GradSums, rowSquares, rowSum } from "./row-sums";
import { F32x4 } from "./simd";

/**
 * `weight` and `bias`: n numbers each, or 0 for none. `y` may be `x`. Where `residual` is not 0 the rows are those
 * of `sum`, which becomes x + residual.
 */
export function layer_norm_f32(
  x: usize,
  residual: usize,
  weight: usize,
  bias: usize,
  y: usize,
  sum: usize,
  n: i32,
  centre: i32,
  eps: f64,
  begin: i32,
  end: i32,
): void {
  const bytes = (<usize>n) << 2;
  const whole = (<usize>(n & ~3)) << 2;
  for (let row = begin; row < end; row++) {
    let from = x + <usize>row * bytes;
    if (residual) {
      addRow(from, residual + <usize>row * bytes, sum + <usize>row * bytes, n);
      from = sum + <usize>row * bytes;
    }
    const to = y + <usize>row * bytes;
    const mean = centre ? rowSum(from, n) / <f64>n : 0;
    const scale = 1 / sqrt<f64>(rowSquares(from, n, mean) / <f64>n + eps);
    const m = f64x2.splat(mean);
    const s = f64x2.splat(scale);
    for (let i: usize = 0; i < whole; i += 16) {
      const v = v128.load(from + i);
      const low = f64x2.mul(f64x2.sub(F32x4.low(v), m), s);
      const high = f64x2.mul(f64x2.sub(F32x4.high(v), m), s);
      let r = F32x4.narrow(low, high);
      if (weight) r = f32x4.mul(r, v128.load(weight + i));
      if (bias) r = f32x4.add(r, v128.load(bias + i));
      v128.store(to + i, r);
    }
    for (let i = whole; i < bytes; i += 4) {
      let r = <f32>((<f64>load<f32>(from + i) - mean) * scale);
      if (weight) r *= load<f32>(weight + i);
      if (bias) r += load<f32>(bias + i);
      store<f32>(to + i, r);
    }
  }
}

function addRow(a: usize, b: usize, sum: usize, n: i32): void {
  const bytes = (<usize>n) << 2;
  const whole = bytes & ~15;
  let i: usize = 0;
  for (; i < whole; i += 16) v128.store(sum + i, f32x4.add(v128.load(a + i), v128.load(b + i)));
  for (; i < bytes; i += 4) store<f32>(sum + i, load<f32>(a + i) + load<f32>(b + i));
}

/** Rows whose parts of dweight and dbias are added up before they are written. */
const BLOCK: i32 = 32;

/** Blocks of layer_norm_grad_f32. */
export function layer_norm_blocks(rows: i32): i32 {
  return (rows + BLOCK - 1) / BLOCK;
}

/**
 * From the gradient of y, with g = dy [·weight]. `dweights` and `dbiases` take the sums of dy·x̂ and of dy over
 * each block, [blocks, n]; 0 for none. `plus`, or nothing where that is 0, is added to dx. `begin … end` counts
 * blocks. `dx` may be `dy` or `plus`.
 */
export function layer_norm_grad_f32(
  x: usize,
  dy: usize,
  plus: usize,
  weight: usize,
  dx: usize,
  dweights: usize,
  dbiases: usize,
  rows: i32,
  n: i32,
  centre: i32,
  eps: f64,
  begin: i32,
  end: i32,
): void {
  const bytes = (<usize>n) << 2;
  for (let block = begin; block < end; block++) {
    const stop = min(rows, (block + 1) * BLOCK);
    const dw = dweights ? dweights + bytes * block : 0;
    const db = dbiases + bytes * block;
    if (dw) {
      memory.fill(dw, 0, bytes);
      memory.fill(db, 0, bytes);
    }
    for (let row = block * BLOCK; row < stop; row++) {
      const at = bytes * row;
      const p = plus ? plus + at : 0;
      gradRow(x + at, dy + at, p, weight, dx + at, dw, db, n, centre, eps);
    }
  }
}

function gradRow(
  x: usize,
  dy: usize,
  plus: usize,
  weight: usize,
  dx: usize,
  dweight: usize,
  dbias: usize,
  n: i32,
  centre: i32,
  eps: f64,
): void {
  const mean = centre ? rowSum(x, n) / <f64>n : 0;
  const scale = 1 / sqrt<f64>(rowSquares(x, n, mean) / <f64>n + eps);
  const sums = GradSums.of(x, dy, weight, n, mean);
  const shift = centre ? f64x2.extract_lane(sums, 0) / <f64>n : 0;
  const slope = (f64x2.extract_lane(sums, 1) / <f64>n) * scale * scale;
  const m = f64x2.splat(mean);
  const s = f32x4.splat(<f32>scale);
  const c = f32x4.splat(<f32>shift);
  const d = f32x4.splat(<f32>slope);
  const bytes = (<usize>n) << 2;
  const whole = bytes & ~15;
  for (let i: usize = 0; i < whole; i += 16) {
    const v = v128.load(x + i);
    const given = v128.load(dy + i);
    const g = weight ? f32x4.mul(given, v128.load(weight + i)) : given;
    // Rounded after the subtraction: a large mean costs no digits.
    const distance = F32x4.narrow(f64x2.sub(F32x4.low(v), m), f64x2.sub(F32x4.high(v), m));
    if (dweight) {
      const normal = f32x4.mul(distance, s);
      v128.store(dweight + i, F32x4.fma(given, normal, v128.load(dweight + i)));
      v128.store(dbias + i, f32x4.add(v128.load(dbias + i), given));
    }
    const r = f32x4.mul(F32x4.fnma(distance, d, f32x4.sub(g, c)), s);
    v128.store(dx + i, plus ? f32x4.add(r, v128.load(plus + i)) : r);
  }
  for (let i = whole; i < bytes; i += 4) {
    const given = load<f32>(dy + i);
    const g = weight ? given * load<f32>(weight + i) : given;
    const distance = <f32>(<f64>load<f32>(x + i) - mean);
    if (dweight) {
      store<f32>(dweight + i, load<f32>(dweight + i) + given * (distance * <f32>scale));
      store<f32>(dbias + i, load<f32>(dbias + i) + given);
    }
    const r = (g - <f32>shift - distance * <f32>slope) * <f32>scale;
    store<f32>(dx + i, plus ? r + load<f32>(plus + i) : r);
  }
}
