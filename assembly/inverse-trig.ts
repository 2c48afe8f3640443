/**
 * Inverses of sine, cosine and tangent: the angle of a point, in float64, rounded to float32 once. See map.ts
 * and zip.ts.
 */
import { Words } from "./lanes";
import { map1Slow, MapOp } from "./map";
import { F32x4, F64x2 } from "./simd";
import { zip, zipNd, ZipOp } from "./zip";

const ONE: usize = memory.data<f64>([1, 1], 16);
const INF: usize = memory.data<f64>([Infinity, Infinity], 16);
const SIGN: usize = memory.data<i64>([i64.MIN_VALUE, i64.MIN_VALUE], 16);
const PI: usize = memory.data<f64>([3.141592653589793, 3.141592653589793], 16);
const PI_2: usize = memory.data<f64>([1.5707963267948966, 1.5707963267948966], 16);
const PI_4: usize = memory.data<f64>([0.7853981633974483, 0.7853981633974483], 16);
/** tan(π/8) */
const TAN_PI_8: usize = memory.data<f64>([0.41421356237309503, 0.41421356237309503], 16);
// atan u = u + u³ (A0 + A1·u² + … + A5·u¹⁰), |u| ≤ tan(π/8): by Chebyshev points, error 1e-10 of atan u
const A0: usize = memory.data<f64>([-0.33333333278951577, -0.33333333278951577], 16);
const A1: usize = memory.data<f64>([0.19999977153974205, 0.19999977153974205], 16);
const A2: usize = memory.data<f64>([-0.14284145548273774, -0.14284145548273774], 16);
const A3: usize = memory.data<f64>([0.11071260444313767, 0.11071260444313767], 16);
const A4: usize = memory.data<f64>([-0.08623896669600505, -0.08623896669600505], 16);
const A5: usize = memory.data<f64>([0.05046128167603517, 0.05046128167603517], 16);

/** The angles of two points, from -π to π, with C's rules for zeros, infinities and NaN. */
function angle(y: v128, x: v128): v128 {
  const one = v128.load(ONE);
  const a = f64x2.abs(y);
  const b = f64x2.abs(x);
  const n = f64x2.min(a, b);
  // In the first octant; 0/0 is 0 and Infinity/Infinity 1.
  let t = f64x2.div(n, f64x2.max(a, b));
  t = v128.andnot(t, f64x2.eq(n, i64x2.splat(0)));
  t = v128.bitselect(one, t, f64x2.eq(n, v128.load(INF)));
  // In the first half of it: atan t = π/4 + atan((t − 1)/(t + 1)).
  const second = f64x2.gt(t, v128.load(TAN_PI_8));
  const turned = f64x2.div(f64x2.sub(t, one), f64x2.add(t, one));
  const u = v128.bitselect(turned, t, second);
  const z = f64x2.mul(u, u);
  let p = F64x2.fma(v128.load(A5), z, v128.load(A4));
  p = F64x2.fma(p, z, v128.load(A3));
  p = F64x2.fma(p, z, v128.load(A2));
  p = F64x2.fma(p, z, v128.load(A1));
  p = F64x2.fma(p, z, v128.load(A0));
  let r = F64x2.fma(f64x2.mul(p, z), u, u);
  r = f64x2.add(r, v128.and(v128.load(PI_4), second));
  r = v128.bitselect(f64x2.sub(v128.load(PI_2), r), r, f64x2.gt(a, b));
  r = v128.bitselect(f64x2.sub(v128.load(PI), r), r, i64x2.shr_s(x, 63));
  return v128.bitselect(y, r, v128.load(SIGN));
}

/** √(1 − x²), without the rounding of x²; NaN beyond ±1. */
function leg(x: v128): v128 {
  const one = v128.load(ONE);
  return f64x2.sqrt(f64x2.mul(f64x2.sub(one, x), f64x2.add(one, x)));
}

@final
class Asin implements MapOp {
  @inline
  v(x: v128): v128 {
    const low = F32x4.low(x);
    const high = F32x4.high(x);
    return F32x4.narrow(angle(low, leg(low)), angle(high, leg(high)));
  }
}

export function asin_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Asin>(x, y, begin, end);
}

@final
class Acos implements MapOp {
  @inline
  v(x: v128): v128 {
    const low = F32x4.low(x);
    const high = F32x4.high(x);
    return F32x4.narrow(angle(leg(low), low), angle(leg(high), high));
  }
}

export function acos_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Acos>(x, y, begin, end);
}

@final
class Atan implements MapOp {
  @inline
  v(x: v128): v128 {
    const one = v128.load(ONE);
    return F32x4.narrow(angle(F32x4.low(x), one), angle(F32x4.high(x), one));
  }
}

export function atan_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Atan>(x, y, begin, end);
}

@final
class Atan2 implements ZipOp {
  @inline
  v(y: v128, x: v128): v128 {
    const low = angle(F32x4.low(y), F32x4.low(x));
    return F32x4.narrow(low, angle(F32x4.high(y), F32x4.high(x)));
  }
}

export function atan2_f32(a: usize, b: usize, y: usize, begin: i32, end: i32): void {
  zip<Atan2, Words, Words>(a, b, y, begin, end);
}

export function atan2_nd_f32(
  a: usize,
  b: usize,
  y: usize,
  layout: usize,
  rank: i32,
  begin: i32,
  end: i32,
): void {
  zipNd<Atan2, Words, Words>(a, b, y, layout, rank, begin, end);
}
