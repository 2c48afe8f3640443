/** Dropout by the counter hash of hash.ts. */
import { Hash } from "./hash";
import { F32x4 } from "./simd";

/** y[i] = x[i]·scale where i is kept, else 0, whatever x[i]. `y` may be `x`. */
export function dropout_f32(
  x: usize,
  y: usize,
  threshold: u32,
  scale: f32,
  seed: u32,
  call: u32,
  begin: i32,
  end: i32,
): void {
  const key = i32x4.splat(Hash.key(seed, call));
  dropoutRange(x, y, i32x4.splat(threshold), f32x4.splat(scale), key, begin, end);
}

function dropoutRange(
  x: usize,
  y: usize,
  threshold: v128,
  scale: v128,
  key: v128,
  begin: i32,
  end: i32,
): void {
  const m1 = i32x4.splat(Hash.FIRST);
  const m2 = i32x4.splat(Hash.SECOND);
  let counter = i32x4.add(i32x4.splat(begin), i32x4(0, 1, 2, 3));
  let i = (<usize>begin) << 2;
  const stop = (<usize>end) << 2;
  for (; i < stop; i += 16) {
    const keep = Hash.keep(counter, key, threshold, m1, m2);
    if (i + 16 <= stop) {
      v128.store(y + i, v128.and(f32x4.mul(v128.load(x + i), scale), keep));
    } else {
      const n = <i32>((stop - i) >> 2);
      const v = v128.and(f32x4.mul(F32x4.loadTail(x + i, n), scale), keep);
      F32x4.storeTail(y + i, v, n);
    }
    counter = i32x4.add(counter, i32x4.splat(4));
  }
}
