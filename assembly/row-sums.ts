/** Sums over rows of float32 in float64, for normalisations and their gradients. */
import { F32x4 } from "./simd";

/** Both lanes. */
@final
class Pair {
  @inline
  static sum(v: v128): f64 {
    return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
  }
}

/** Σx */
export function rowSum(x: usize, n: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (; n >= 4; n -= 4) {
    const v = v128.load(x);
    low = f64x2.add(low, F32x4.low(v));
    high = f64x2.add(high, F32x4.high(v));
    x += 16;
  }
  let total = Pair.sum(f64x2.add(low, high));
  for (; n > 0; n--) {
    total += <f64>load<f32>(x);
    x += 4;
  }
  return total;
}

/** Σ(x − mean)² */
export function rowSquares(x: usize, n: i32, mean: f64): f64 {
  const m = f64x2.splat(mean);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (; n >= 4; n -= 4) {
    const v = v128.load(x);
    const a = f64x2.sub(F32x4.low(v), m);
    const b = f64x2.sub(F32x4.high(v), m);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
    x += 16;
  }
  let total = Pair.sum(f64x2.add(low, high));
  for (; n > 0; n--) {
    const d = <f64>load<f32>(x) - mean;
    total += d * d;
    x += 4;
  }
  return total;
}

/** A method, because asc warns of exported functions that return vectors. */
@final
export class GradSums {
  /** In its lanes Σg and Σg·(x − mean), with g = dy, or dy·weight where `weight` is not 0. */
  static of(x: usize, dy: usize, weight: usize, n: i32, mean: f64): v128 {
    const m = f64x2.splat(mean);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let dotLow = f64x2.splat(0);
    let dotHigh = f64x2.splat(0);
    for (; n >= 4; n -= 4) {
      const v = v128.load(x);
      let g = v128.load(dy);
      if (weight) {
        g = f32x4.mul(g, v128.load(weight));
        weight += 16;
      }
      const gLow = F32x4.low(g);
      const gHigh = F32x4.high(g);
      low = f64x2.add(low, gLow);
      high = f64x2.add(high, gHigh);
      dotLow = f64x2.add(dotLow, f64x2.mul(gLow, f64x2.sub(F32x4.low(v), m)));
      dotHigh = f64x2.add(dotHigh, f64x2.mul(gHigh, f64x2.sub(F32x4.high(v), m)));
      x += 16;
      dy += 16;
    }
    let sum = Pair.sum(f64x2.add(low, high));
    let dot = Pair.sum(f64x2.add(dotLow, dotHigh));
    for (; n > 0; n--) {
      let g = load<f32>(dy);
      if (weight) {
        g *= load<f32>(weight);
        weight += 4;
      }
      sum += <f64>g;
      dot += <f64>g * (<f64>load<f32>(x) - mean);
      x += 4;
      dy += 4;
    }
    return f64x2.replace_lane(f64x2.splat(sum), 1, dot);
  }
}
