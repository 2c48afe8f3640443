/** Squared differences, and the gradient of their sum or mean; all dense. */
import { Words } from "./lanes";
import { F32x4 } from "./simd";
import { zip, ZipOp } from "./zip";

@final
class SquaredDifference implements ZipOp {
  @inline
  v(a: v128, b: v128): v128 {
    const d = f32x4.sub(a, b);
    return f32x4.mul(d, d);
  }
}

/** y = (a − b)² */
export function squared_difference_f32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<SquaredDifference, Words, Words>(a, b, y, begin, end);
}

@final
class Mse {
  @inline
  static gradient(a: v128, b: v128, scale: v128): v128 {
    const d = f32x4.sub(a, b);
    return f32x4.mul(scale, f32x4.add(d, d));
  }
}

/** da = (dy / count) · 2(a − b), where `dy` points to one number */
export function mse_grad_f32(
  a: usize,
  b: usize,
  dy: usize,
  da: usize,
  count: f32,
  begin: i32,
  end: i32,
): void {
  const scale = f32x4.splat(load<f32>(dy) / count);
  let i = (<usize>begin) << 2;
  const stop = (<usize>end) << 2;
  for (; i + 16 <= stop; i += 16) {
    v128.store(da + i, Mse.gradient(v128.load(a + i), v128.load(b + i), scale));
  }
  if (i < stop) {
    const n = <i32>((stop - i) >> 2);
    const last = Mse.gradient(F32x4.loadTail(a + i, n), F32x4.loadTail(b + i, n), scale);
    F32x4.storeTail(da + i, last, n);
  }
}
