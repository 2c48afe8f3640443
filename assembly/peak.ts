/**
 * What the machine can do at most with these instructions. Not among the kernels of the library: the benchmarks
 * compile this file alone, strict and relaxed, and compare the kernels with it.
 */
import { F32x4 } from "./simd";

/**
 * n times twelve independent c = c·a + b of four lanes, in registers: 96 n operations. As many sums as a tile
 * of a matrix product has; with a < 1 they converge and nothing overflows or becomes denormal. Returns their
 * sum, so that none can be left out.
 */
export function peak_f32(n: i32, a: f32, b: f32): f32 {
  const x = f32x4.splat(a);
  const y = f32x4.splat(b);
  let c0 = f32x4.splat(0.1);
  let c1 = f32x4.splat(0.2);
  let c2 = f32x4.splat(0.3);
  let c3 = f32x4.splat(0.4);
  let c4 = f32x4.splat(0.5);
  let c5 = f32x4.splat(0.6);
  let c6 = f32x4.splat(0.7);
  let c7 = f32x4.splat(0.8);
  let c8 = f32x4.splat(0.9);
  let c9 = f32x4.splat(1.1);
  let c10 = f32x4.splat(1.2);
  let c11 = f32x4.splat(1.3);
  for (let i = 0; i < n; i++) {
    c0 = F32x4.fma(c0, x, y);
    c1 = F32x4.fma(c1, x, y);
    c2 = F32x4.fma(c2, x, y);
    c3 = F32x4.fma(c3, x, y);
    c4 = F32x4.fma(c4, x, y);
    c5 = F32x4.fma(c5, x, y);
    c6 = F32x4.fma(c6, x, y);
    c7 = F32x4.fma(c7, x, y);
    c8 = F32x4.fma(c8, x, y);
    c9 = F32x4.fma(c9, x, y);
    c10 = F32x4.fma(c10, x, y);
    c11 = F32x4.fma(c11, x, y);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)), f32x4.add(c4, c5));
  const high = f32x4.add(f32x4.add(f32x4.add(c6, c7), f32x4.add(c8, c9)), f32x4.add(c10, c11));
  return F32x4.sum(f32x4.add(low, high));
}

/** y = a + s·b over n elements, n a multiple of 8: STREAM's triad, two reads and a write. */
export function triad_f32(y: usize, a: usize, b: usize, s: f32, n: i32): void {
  const scale = f32x4.splat(s);
  const end = y + ((<usize>n) << 2);
  for (; y < end; y += 32) {
    v128.store(y, F32x4.fma(v128.load(b), scale, v128.load(a)));
    v128.store(y, F32x4.fma(v128.load(b, 16), scale, v128.load(a, 16)), 16);
    a += 32;
    b += 32;
  }
}
