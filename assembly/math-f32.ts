/**
 * Elementary functions of four float32 lanes. They are polynomials of our own, so that a result
 * does not depend on the engine. Errors are the largest that test/kernels/math.test.ts meets.
 *
 * Constants are loaded from memory, because engines rebuild a vector literal at every use.
 */
import { F32x4, F64x2 } from "./simd";

const ZERO: usize = memory.data<f32>([0, 0, 0, 0], 16);
const HALF: usize = memory.data<f32>([0.5, 0.5, 0.5, 0.5], 16);
const ONE: usize = memory.data<f32>([1, 1, 1, 1], 16);
const TWO: usize = memory.data<f32>([2, 2, 2, 2], 16);
const SIGN_BIT: usize = memory.data<i32>(
  [i32.MIN_VALUE, i32.MIN_VALUE, i32.MIN_VALUE, i32.MIN_VALUE],
  16,
);
const INF: usize = memory.data<f32>([Infinity, Infinity, Infinity, Infinity], 16);
const HUGE: usize = memory.data<f32>([3e38, 3e38, 3e38, 3e38], 16);

// exp: 2^n · e^r with n = round(x·log2 e), r = x − n·ln 2 (in two parts)
const LOG2E: usize = memory.data<f32>([1.442695, 1.442695, 1.442695, 1.442695], 16);
const LN2_HIGH: usize = memory.data<f32>([0.6933594, 0.6933594, 0.6933594, 0.6933594], 16);
const LN2_LOW: usize = memory.data<f32>(
  [-0.00021219444, -0.00021219444, -0.00021219444, -0.00021219444],
  16,
);
/** 1.5·2^23: adding it rounds to an integer, which then sits in the low bits. */
const ROUND: usize = memory.data<f32>([12582912, 12582912, 12582912, 12582912], 16);
/** Above, e^x exceeds float32. */
const EXP_MAX: usize = memory.data<f32>([88.72283, 88.72283, 88.72283, 88.72283], 16);
/** Below, e^x is a denormal number or 0. */
const EXP_MIN: usize = memory.data<f32>([-87.3365, -87.3365, -87.3365, -87.3365], 16);
// e^r = 1 + r + r²·(E0 + E1·r + … + E4·r⁴), |r| ≤ ln(2)/2: minimax, error 3e-9
const E0: usize = memory.data<f32>([0.49999994, 0.49999994, 0.49999994, 0.49999994], 16);
const E1: usize = memory.data<f32>([0.16666521, 0.16666521, 0.16666521, 0.16666521], 16);
const E2: usize = memory.data<f32>([0.04166839, 0.04166839, 0.04166839, 0.04166839], 16);
const E3: usize = memory.data<f32>([0.008368725, 0.008368725, 0.008368725, 0.008368725], 16);
const E4: usize = memory.data<f32>([0.0013814581, 0.0013814581, 0.0013814581, 0.0013814581], 16);
/** expm1 is -1 to float32's precision below this. */
const EXPM1_MIN: usize = memory.data<f32>([-18, -18, -18, -18], 16);
/** Exponent bits of 1/2. */
const HALF_BITS: usize = memory.data<i32>([0x3f000000, 0x3f000000, 0x3f000000, 0x3f000000], 16);

// log: k·ln 2 + log(1 + f), sqrt(1/2) ≤ 1 + f < sqrt(2): Cephes logf
const SQRT_HALF_BITS: usize = memory.data<i32>(
  [0x3f3504f3, 0x3f3504f3, 0x3f3504f3, 0x3f3504f3],
  16,
);
const NORMAL_MIN: usize = memory.data<f32>(
  [1.17549435e-38, 1.17549435e-38, 1.17549435e-38, 1.17549435e-38],
  16,
);
const TWO_23: usize = memory.data<f32>([8388608, 8388608, 8388608, 8388608], 16);
const MINUS_23: usize = memory.data<i32>([-23, -23, -23, -23], 16);
const MINUS_INF: usize = memory.data<f32>([-Infinity, -Infinity, -Infinity, -Infinity], 16);
const L0: usize = memory.data<f32>([0.3333333, 0.3333333, 0.3333333, 0.3333333], 16);
const L1: usize = memory.data<f32>([-0.24999994, -0.24999994, -0.24999994, -0.24999994], 16);
const L2: usize = memory.data<f32>([0.20000714, 0.20000714, 0.20000714, 0.20000714], 16);
const L3: usize = memory.data<f32>([-0.16668057, -0.16668057, -0.16668057, -0.16668057], 16);
const L4: usize = memory.data<f32>([0.14249323, 0.14249323, 0.14249323, 0.14249323], 16);
const L5: usize = memory.data<f32>([-0.12420141, -0.12420141, -0.12420141, -0.12420141], 16);
const L6: usize = memory.data<f32>([0.116769984, 0.116769984, 0.116769984, 0.116769984], 16);
const L7: usize = memory.data<f32>([-0.1151461, -0.1151461, -0.1151461, -0.1151461], 16);
const L8: usize = memory.data<f32>([0.070376836, 0.070376836, 0.070376836, 0.070376836], 16);

// erf: odd polynomial up to the limit, above it 1 − e^q(|x|): N. Juffa's minimax coefficients
const ERF_LIMIT: usize = memory.data<f32>([0.9277344, 0.9277344, 0.9277344, 0.9277344], 16);
const P0: usize = memory.data<f32>([0.12837917, 0.12837917, 0.12837917, 0.12837917], 16);
const P1: usize = memory.data<f32>([-0.37612534, -0.37612534, -0.37612534, -0.37612534], 16);
const P2: usize = memory.data<f32>([0.112819925, 0.112819925, 0.112819925, 0.112819925], 16);
const P3: usize = memory.data<f32>([-0.026768135, -0.026768135, -0.026768135, -0.026768135], 16);
const P4: usize = memory.data<f32>([0.0049911942, 0.0049911942, 0.0049911942, 0.0049911942], 16);
const P5: usize = memory.data<f32>(
  [-0.0005967617, -0.0005967617, -0.0005967617, -0.0005967617],
  16,
);
const Q1: usize = memory.data<f32>([-0.12871751, -0.12871751, -0.12871751, -0.12871751], 16);
const Q2: usize = memory.data<f32>([-0.6348467, -0.6348467, -0.6348467, -0.6348467], 16);
const Q3: usize = memory.data<f32>([-0.10677788, -0.10677788, -0.10677788, -0.10677788], 16);
const Q4: usize = memory.data<f32>([0.024254622, 0.024254622, 0.024254622, 0.024254622], 16);
const Q5: usize = memory.data<f32>(
  [-0.0038839644, -0.0038839644, -0.0038839644, -0.0038839644],
  16,
);
const Q6: usize = memory.data<f32>(
  [0.00038319713, 0.00038319713, 0.00038319713, 0.00038319713],
  16,
);
const Q7: usize = memory.data<f32>(
  [-1.7285347e-5, -1.7285347e-5, -1.7285347e-5, -1.7285347e-5],
  16,
);

/** √(8/π), and 0.044715 times that. */
const GELU_SCALE: usize = memory.data<f64>([1.5957691216057308, 1.5957691216057308], 16);
const GELU_CUBIC: usize = memory.data<f64>([0.07135481627260025, 0.07135481627260025], 16);
/** Beyond, e^(−2|u|) is 0. */
const GELU_MAX: usize = memory.data<f32>([11, 11, 11, 11], 16);

@final
export class Math4 {
  @inline
  static zero(): v128 {
    return v128.load(ZERO);
  }

  @inline
  static half(): v128 {
    return v128.load(HALF);
  }

  @inline
  static one(): v128 {
    return v128.load(ONE);
  }

  /** e^r − 1 for |r| ≤ ln(2)/2. */
  @inline
  private static expm1Reduced(r: v128): v128 {
    let q = F32x4.fma(v128.load(E4), r, v128.load(E3));
    q = F32x4.fma(q, r, v128.load(E2));
    q = F32x4.fma(q, r, v128.load(E1));
    q = F32x4.fma(q, r, v128.load(E0));
    return F32x4.fma(f32x4.mul(q, r), r, r);
  }

  /**
   * e^x, within 1 ulp. 0 below -87.3365, where float32's normal numbers end: denormals cost 85
   * times as much.
   */
  @inline
  static exp(x: v128): v128 {
    const shifted = F32x4.fma(x, v128.load(LOG2E), v128.load(ROUND));
    const n = f32x4.sub(shifted, v128.load(ROUND));
    const r = F32x4.fnma(n, v128.load(LN2_LOW), F32x4.fnma(n, v128.load(LN2_HIGH), x));
    const p = f32x4.add(Math4.expm1Reduced(r), v128.load(ONE));
    // Adds n to the exponent; n is in the low bits of `shifted`, whose other bits are shifted out.
    const y = i32x4.add(p, i32x4.shl(shifted, 23));
    // x·3e38 is infinite above the limit and NaN where x is.
    const bounded = v128.bitselect(
      y,
      f32x4.mul(x, v128.load(HUGE)),
      f32x4.le(x, v128.load(EXP_MAX)),
    );
    return v128.andnot(bounded, f32x4.lt(x, v128.load(EXP_MIN)));
  }

  /** e^x − 1, also where x is tiny; within 1.4 ulp. */
  @inline
  static expm1(x: v128): v128 {
    const bounded = f32x4.pmax(x, v128.load(EXPM1_MIN)); // keeps NaN
    const shifted = F32x4.fma(bounded, v128.load(LOG2E), v128.load(ROUND));
    const n = f32x4.sub(shifted, v128.load(ROUND));
    const r = F32x4.fnma(n, v128.load(LN2_LOW), F32x4.fnma(n, v128.load(LN2_HIGH), bounded));
    const p = Math4.expm1Reduced(r);
    // 2·(2^(n−1)·p + (2^(n−1) − 1/2)): n − 1, because 2^128 is infinite
    const scale = i32x4.add(v128.load(HALF_BITS), i32x4.shl(shifted, 23));
    const y = F32x4.fma(scale, p, f32x4.sub(scale, v128.load(HALF)));
    return v128.bitselect(
      f32x4.add(y, y),
      f32x4.mul(x, v128.load(HUGE)),
      f32x4.le(x, v128.load(EXP_MAX)),
    );
  }

  /** Natural logarithm, within 0.7 ulp: NaN below 0, -Infinity at 0, right for denormal numbers. */
  @inline
  static log(x: v128): v128 {
    const denormal = f32x4.lt(x, v128.load(NORMAL_MIN));
    const normal = v128.bitselect(f32x4.mul(x, v128.load(TWO_23)), x, denormal);
    const k = i32x4.shr_s(i32x4.sub(normal, v128.load(SQRT_HALF_BITS)), 23);
    const f = f32x4.sub(i32x4.sub(normal, i32x4.shl(k, 23)), v128.load(ONE));
    const e = f32x4.convert_i32x4_s(i32x4.add(k, v128.and(denormal, v128.load(MINUS_23))));
    let p = F32x4.fma(v128.load(L8), f, v128.load(L7));
    p = F32x4.fma(p, f, v128.load(L6));
    p = F32x4.fma(p, f, v128.load(L5));
    p = F32x4.fma(p, f, v128.load(L4));
    p = F32x4.fma(p, f, v128.load(L3));
    p = F32x4.fma(p, f, v128.load(L2));
    p = F32x4.fma(p, f, v128.load(L1));
    p = F32x4.fma(p, f, v128.load(L0));
    const f2 = f32x4.mul(f, f);
    let y = F32x4.fma(e, v128.load(LN2_LOW), f32x4.mul(f32x4.mul(f, p), f2));
    y = F32x4.fnma(v128.load(HALF), f2, y);
    y = F32x4.fma(e, v128.load(LN2_HIGH), f32x4.add(f, y));
    const inside = v128.and(f32x4.gt(x, v128.load(ZERO)), f32x4.lt(x, v128.load(INF)));
    const outside = v128.bitselect(
      v128.load(MINUS_INF),
      f32x4.sqrt(x), // NaN below 0, Infinity at Infinity
      f32x4.eq(x, v128.load(ZERO)),
    );
    return v128.bitselect(y, outside, inside);
  }

  /**
   * log(1 + x), also where x is tiny: log of the rounded sum and what rounding took away. Within
   * 1.3 ulp.
   */
  @inline
  static log1p(x: v128): v128 {
    const u = f32x4.add(v128.load(ONE), x);
    const lost = f32x4.sub(x, f32x4.sub(u, v128.load(ONE)));
    const correction = f32x4.div(lost, u);
    // NaN at -1 and Infinity, where there is nothing to correct.
    return f32x4.add(Math4.log(u), v128.and(correction, f32x4.eq(correction, correction)));
  }

  /** 1/(1 + e^-x), within 2.1 ulp. */
  @inline
  static sigmoid(x: v128): v128 {
    return f32x4.div(v128.load(ONE), f32x4.add(v128.load(ONE), Math4.exp(f32x4.neg(x))));
  }

  /** t/(t + 2) with t = e^2|x| − 1, within 2.4 ulp. */
  @inline
  static tanh(x: v128): v128 {
    const a = f32x4.abs(x);
    // 9.1: 1 − tanh is less than half an ulp. pmin keeps NaN.
    const t = Math4.expm1(f32x4.pmin(f32x4.add(a, a), v128.load(TANH_MAX)));
    const y = f32x4.div(t, f32x4.add(t, v128.load(TWO)));
    return Math4.copySign(y, x);
  }

  @inline
  static copySign(magnitude: v128, sign: v128): v128 {
    return v128.bitselect(sign, magnitude, v128.load(SIGN_BIT));
  }

  /** log(1 + e^x) = max(x, 0) + log1p(e^-|x|) */
  @inline
  static softplus(x: v128): v128 {
    const e = Math4.exp(f32x4.neg(f32x4.abs(x)));
    return f32x4.add(f32x4.pmax(x, v128.load(ZERO)), Math4.log1p(e));
  }

  /** log(1 − erf(t)) for t from 0.9277 up */
  @inline
  private static logErfc(t: v128, s: v128): v128 {
    const r = F32x4.fma(v128.load(Q7), t, v128.load(Q6));
    const u = F32x4.fma(v128.load(Q5), t, v128.load(Q4));
    let q = F32x4.fma(r, s, u);
    q = F32x4.fma(q, t, v128.load(Q3));
    q = F32x4.fma(q, t, v128.load(Q2));
    q = F32x4.fma(q, t, v128.load(Q1));
    return F32x4.fnma(v128.load(ONE), t, f32x4.mul(q, t));
  }

  /** erf(x) for |x| up to 0.9277 */
  @inline
  private static erfSmall(x: v128, s: v128): v128 {
    let p = F32x4.fma(v128.load(P5), s, v128.load(P4));
    p = F32x4.fma(p, s, v128.load(P3));
    p = F32x4.fma(p, s, v128.load(P2));
    p = F32x4.fma(p, s, v128.load(P1));
    p = F32x4.fma(p, s, v128.load(P0));
    return F32x4.fma(p, x, x);
  }

  /** Within 1.1 ulp. */
  @inline
  static erf(x: v128): v128 {
    const t = f32x4.pmin(f32x4.abs(x), v128.load(ERF_MAX));
    const s = f32x4.mul(t, t);
    const small = Math4.erfSmall(t, s);
    const large = f32x4.sub(v128.load(ONE), Math4.exp(Math4.logErfc(t, s)));
    const y = v128.bitselect(large, small, f32x4.gt(t, v128.load(ERF_LIMIT)));
    return Math4.copySign(y, x);
  }

  /** e^(−x²/2) for |x| up to 20, in two factors: the rounding of x² itself would count x²/2 times. */
  @inline
  static bell(x: v128): v128 {
    const high = v128.and(x, v128.load(UPPER_12)); // its square is exact
    const e = Math4.exp(f32x4.mul(f32x4.mul(high, high), v128.load(MINUS_HALF)));
    const rest = f32x4.mul(f32x4.sub(x, high), f32x4.add(x, high));
    const d = f32x4.mul(rest, v128.load(MINUS_HALF));
    let c = F32x4.fma(d, v128.load(SIXTH_4), v128.load(SIXTH));
    c = F32x4.fma(c, d, v128.load(HALF));
    c = F32x4.fma(c, d, v128.load(ONE));
    return F32x4.fma(e, f32x4.mul(c, d), e);
  }

  /** 2u = √(8/π)·(x + 0.044715·x³) of two float64 */
  @inline
  private static geluInner(x: v128): v128 {
    const factor = F64x2.fma(v128.load(GELU_CUBIC), f64x2.mul(x, x), v128.load(GELU_SCALE));
    return f64x2.mul(factor, x);
  }

  /**
   * e^(−2|u|) with gelu's u = √(2/π)·(x + 0.044715·x³), the exponent in two parts: what rounding it loses would
   * count 2|u| times.
   */
  @inline
  static geluDecay(x: v128): v128 {
    const a = f32x4.pmin(f32x4.abs(x), v128.load(GELU_MAX)); // keeps NaN
    const low = Math4.geluInner(F32x4.low(a));
    const high = Math4.geluInner(F32x4.high(a));
    const inner = F32x4.narrow(low, high);
    const rest = F32x4.narrow(f64x2.sub(low, F32x4.low(inner)), f64x2.sub(high, F32x4.high(inner)));
    const e = Math4.exp(f32x4.neg(inner));
    return F32x4.fnma(e, rest, e);
  }

  /**
   * The normal distribution's Φ(x) = (1 + erf(x/√2))/2, within 4 ulp in the lower tail too; `bell`
   * is e^(−x²/2). Beyond 0.9277 with t = |x|/√2: erfc(t) = e^(−t²)·R(q)/(1 + 2t), q = (t − 2)/(t + 2),
   * R a least-squares fit of degree 8 on [0.9277, 10.1] (relative error 1.4e-9).
   */
  @inline
  static normalCdf(x: v128, bell: v128): v128 {
    const t = f32x4.pmin(f32x4.abs(f32x4.mul(x, v128.load(SQRT_HALF))), v128.load(ERF_MAX));
    const s = f32x4.mul(t, t);
    const half = v128.load(HALF);
    const small = F32x4.fma(half, Math4.copySign(Math4.erfSmall(t, s), x), half);
    const two = v128.load(TWO);
    const q = f32x4.div(f32x4.sub(t, two), f32x4.add(t, two));
    let r = F32x4.fma(v128.load(R8), q, v128.load(R7));
    r = F32x4.fma(r, q, v128.load(R6));
    r = F32x4.fma(r, q, v128.load(R5));
    r = F32x4.fma(r, q, v128.load(R4));
    r = F32x4.fma(r, q, v128.load(R3));
    r = F32x4.fma(r, q, v128.load(R2));
    r = F32x4.fma(r, q, v128.load(R1));
    r = F32x4.fma(r, q, v128.load(R0));
    const scaled = f32x4.div(r, F32x4.fma(two, t, v128.load(ONE)));
    const tail = f32x4.mul(f32x4.mul(half, bell), scaled);
    const positive = f32x4.gt(x, v128.load(ZERO));
    const large = v128.bitselect(f32x4.sub(v128.load(ONE), tail), tail, positive);
    return v128.bitselect(large, small, f32x4.gt(t, v128.load(ERF_LIMIT)));
  }
}

/** R0 … R8 of `normalCdf`. */
const R0: usize = memory.data<f32>([1.2769784, 1.2769784, 1.2769784, 1.2769784], 16);
const R1: usize = memory.data<f32>([-0.09276381, -0.09276381, -0.09276381, -0.09276381], 16);
const R2: usize = memory.data<f32>([-0.16603026, -0.16603026, -0.16603026, -0.16603026], 16);
const R3: usize = memory.data<f32>([0.16405037, 0.16405037, 0.16405037, 0.16405037], 16);
const R4: usize = memory.data<f32>([-0.054224085, -0.054224085, -0.054224085, -0.054224085], 16);
const R5: usize = memory.data<f32>([-0.008016491, -0.008016491, -0.008016491, -0.008016491], 16);
const R6: usize = memory.data<f32>([0.008759055, 0.008759055, 0.008759055, 0.008759055], 16);
const R7: usize = memory.data<f32>([0.001127007, 0.001127007, 0.001127007, 0.001127007], 16);
const R8: usize = memory.data<f32>(
  [-0.0015278202, -0.0015278202, -0.0015278202, -0.0015278202],
  16,
);
const MINUS_HALF: usize = memory.data<f32>([-0.5, -0.5, -0.5, -0.5], 16);
const SIXTH: usize = memory.data<f32>([0.16666667, 0.16666667, 0.16666667, 0.16666667], 16);
const SIXTH_4: usize = memory.data<f32>([0.041666668, 0.041666668, 0.041666668, 0.041666668], 16);
/** Keeps 12 bits of a mantissa. */
const UPPER_12: usize = memory.data<u32>([0xfffff000, 0xfffff000, 0xfffff000, 0xfffff000], 16);
const TANH_MAX: usize = memory.data<f32>([18.2, 18.2, 18.2, 18.2], 16);
/** erf(x) is ±1 beyond, and 1 − erf(x) 0. */
const ERF_MAX: usize = memory.data<f32>([10, 10, 10, 10], 16);
const SQRT_HALF: usize = memory.data<f32>([0.70710677, 0.70710677, 0.70710677, 0.70710677], 16);
