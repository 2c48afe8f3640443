/**
 * Gradients of elementwise operations in one pass: dx[i] = dy[i]·f'(saved[i]), where `saved` is
 * the operation's x or y as the names say. Dense; `dx` may be `dy` or `saved`.
 */
import { Math4 } from "./math-f32";
import { Math2 } from "./math-f64";
import { F32x4 } from "./simd";

interface GradOp {
  /** `p`, `q`: the operation's parameters in every lane. */
  v(saved: v128, dy: v128, p: v128, q: v128): v128;
}

function grad<T extends GradOp>(
  saved: usize,
  dy: usize,
  dx: usize,
  p: v128,
  q: v128,
  begin: i32,
  end: i32,
): void {
  const op = changetype<T>(0);
  let i = (<usize>begin) << 2;
  const stop = (<usize>end) << 2;
  for (; i + 16 <= stop; i += 16) {
    v128.store(dx + i, op.v(v128.load(saved + i), v128.load(dy + i), p, q));
  }
  if (i < stop) {
    const n = <i32>((stop - i) >> 2);
    const last = op.v(F32x4.loadTail(saved + i, n), F32x4.loadTail(dy + i, n), p, q);
    F32x4.storeTail(dx + i, last, n);
  }
}

/** Cheap ones: four vectors at a time. */
function gradCheap<T extends GradOp>(
  saved: usize,
  dy: usize,
  dx: usize,
  p: v128,
  q: v128,
  begin: i32,
  end: i32,
): void {
  const op = changetype<T>(0);
  const stop = (<usize>end) << 2;
  let i = (<usize>begin) << 2;
  for (; i + 64 <= stop; i += 64) {
    const a = op.v(v128.load(saved + i), v128.load(dy + i), p, q);
    const b = op.v(v128.load(saved + i, 16), v128.load(dy + i, 16), p, q);
    const c = op.v(v128.load(saved + i, 32), v128.load(dy + i, 32), p, q);
    const d = op.v(v128.load(saved + i, 48), v128.load(dy + i, 48), p, q);
    v128.store(dx + i, a);
    v128.store(dx + i, b, 16);
    v128.store(dx + i, c, 32);
    v128.store(dx + i, d, 48);
  }
  grad<T>(saved, dy, dx, p, q, <i32>(i >> 2), end);
}

/** 0 at 0; NaN lets dy through, as in PyTorch. */
@final
class ReluGrad implements GradOp {
  @inline
  v(y: v128, dy: v128, _p: v128, _q: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, Math4.zero()));
  }
}

export function relu_grad_f32(y: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  gradCheap<ReluGrad>(y, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·(1 − y²) */
@final
class TanhGrad implements GradOp {
  @inline
  v(y: v128, dy: v128, _p: v128, _q: v128): v128 {
    return f32x4.mul(dy, F32x4.fnma(y, y, Math4.one()));
  }
}

export function tanh_grad_f32(y: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  gradCheap<TanhGrad>(y, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·y·(1 − y) */
@final
class SigmoidGrad implements GradOp {
  @inline
  v(y: v128, dy: v128, _p: v128, _q: v128): v128 {
    return f32x4.mul(f32x4.mul(dy, y), f32x4.sub(Math4.one(), y));
  }
}

export function sigmoid_grad_f32(y: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  gradCheap<SigmoidGrad>(y, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·(Φ(x) + x·φ(x)) */
@final
class GeluGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    // Beyond ±20 the density is 0; the bound keeps x² finite.
    const z = f32x4.pmin(f32x4.pmax(x, v128.load(MINUS_20)), v128.load(PLUS_20));
    const bell = Math4.bell(z);
    const density = f32x4.mul(v128.load(INV_SQRT_2PI), bell);
    return f32x4.mul(dy, F32x4.fma(z, density, Math4.normalCdf(z, bell)));
  }
}

export function gelu_grad_f32(x: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  grad<GeluGrad>(x, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·(s + x·s·(1 − s)·(2u)'), s = sigmoid(2u), u = √(2/π)·(x + 0.044715·x³) */
@final
class GeluTanhGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    const z = f32x4.pmin(f32x4.pmax(x, v128.load(MINUS_20)), v128.load(PLUS_20));
    const z2 = f32x4.mul(z, z);
    const slope = f32x4.mul(
      v128.load(GELU_SCALE),
      F32x4.fma(v128.load(GELU_CUBIC_3), z2, Math4.one()),
    );
    // Both s and 1 − s from e^(−2|u|): the difference would lose the digits that x multiplies.
    const e = Math4.geluDecay(x);
    const r = f32x4.div(Math4.one(), f32x4.add(Math4.one(), e));
    const er = f32x4.mul(e, r);
    const s = v128.bitselect(r, er, f32x4.gt(z, Math4.zero()));
    const bend = f32x4.mul(f32x4.mul(z, slope), f32x4.mul(r, er));
    return f32x4.mul(dy, f32x4.add(s, bend));
  }
}

export function gelu_tanh_grad_f32(x: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  grad<GeluTanhGrad>(x, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·s·(1 + x·(1 − s)), s = sigmoid(x) */
@final
class SiluGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    // Beyond ±100 the gradient is 1 or 0; the bound keeps 0·Infinity out.
    const z = f32x4.pmin(f32x4.pmax(x, v128.load(MINUS_100)), v128.load(PLUS_100));
    // Both s and 1 − s from e^−|x|: the difference would lose the digits that x multiplies.
    const e = Math4.exp(f32x4.neg(f32x4.abs(z)));
    const r = f32x4.div(Math4.one(), f32x4.add(Math4.one(), e));
    const er = f32x4.mul(e, r);
    const positive = f32x4.gt(z, Math4.zero());
    const s = v128.bitselect(r, er, positive);
    const bend = F32x4.fma(z, v128.bitselect(er, r, positive), Math4.one());
    return f32x4.mul(dy, f32x4.mul(s, bend));
  }
}

export function silu_grad_f32(x: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  grad<SiluGrad>(x, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·2/√π·e^(−x²) */
@final
class ErfGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    const z = f32x4.pmin(f32x4.abs(x), v128.load(PLUS_20));
    const bell = Math4.exp(f32x4.neg(f32x4.mul(z, z)));
    return f32x4.mul(dy, f32x4.mul(v128.load(TWO_OVER_SQRT_PI), bell));
  }
}

export function erf_grad_f32(x: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  grad<ErfGrad>(x, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy·sigmoid(−x) */
@final
class LogSigmoidGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    return f32x4.mul(dy, Math4.sigmoid(f32x4.neg(x)));
  }
}

export function log_sigmoid_grad_f32(x: usize, dy: usize, dx: usize, begin: i32, end: i32): void {
  grad<LogSigmoidGrad>(x, dy, dx, Math4.zero(), Math4.zero(), begin, end);
}

/** dy above 0, slope·dy elsewhere. */
@final
class LeakyReluGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, slope: v128, _q: v128): v128 {
    return v128.bitselect(dy, f32x4.mul(dy, slope), f32x4.gt(x, Math4.zero()));
  }
}

export function leaky_relu_grad_f32(
  x: usize,
  dy: usize,
  dx: usize,
  slope: f32,
  begin: i32,
  end: i32,
): void {
  gradCheap<LeakyReluGrad>(x, dy, dx, f32x4.splat(slope), Math4.zero(), begin, end);
}

/** dy above 0, dy·alpha·e^x up to 0. */
@final
class EluGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, alpha: v128, _q: v128): v128 {
    const negative = f32x4.mul(dy, f32x4.mul(alpha, Math4.exp(x)));
    return v128.bitselect(negative, dy, f32x4.le(x, Math4.zero()));
  }
}

export function elu_grad_f32(
  x: usize,
  dy: usize,
  dx: usize,
  alpha: f32,
  begin: i32,
  end: i32,
): void {
  grad<EluGrad>(x, dy, dx, f32x4.splat(alpha), Math4.zero(), begin, end);
}

/** dy·sigmoid(beta·x); dy where beta·x exceeds the threshold. */
@final
class SoftplusGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, beta: v128, threshold: v128): v128 {
    const scaled = f32x4.mul(x, beta);
    const soft = f32x4.mul(dy, Math4.sigmoid(scaled));
    return v128.bitselect(dy, soft, f32x4.gt(scaled, threshold));
  }
}

export function softplus_grad_f32(
  x: usize,
  dy: usize,
  dx: usize,
  beta: f32,
  threshold: f32,
  begin: i32,
  end: i32,
): void {
  grad<SoftplusGrad>(x, dy, dx, f32x4.splat(beta), f32x4.splat(threshold), begin, end);
}

/** dy inside and at the bounds, 0 outside and at NaN. */
@final
class ClampGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, low: v128, high: v128): v128 {
    return v128.and(dy, v128.and(f32x4.ge(x, low), f32x4.le(x, high)));
  }
}

export function clamp_grad_f32(
  x: usize,
  dy: usize,
  dx: usize,
  low: f32,
  high: f32,
  begin: i32,
  end: i32,
): void {
  grad<ClampGrad>(x, dy, dx, f32x4.splat(low), f32x4.splat(high), begin, end);
}

const PLUS_20: usize = memory.data<f32>([20, 20, 20, 20], 16);
const MINUS_20: usize = memory.data<f32>([-20, -20, -20, -20], 16);
const PLUS_100: usize = memory.data<f32>([100, 100, 100, 100], 16);
const MINUS_100: usize = memory.data<f32>([-100, -100, -100, -100], 16);
const INV_SQRT_2PI: usize = memory.data<f32>([0.39894228, 0.39894228, 0.39894228, 0.39894228], 16);
const TWO_OVER_SQRT_PI: usize = memory.data<f32>(
  [1.12837917, 1.12837917, 1.12837917, 1.12837917],
  16,
);
const GELU_CUBIC_3: usize = memory.data<f32>([0.134145, 0.134145, 0.134145, 0.134145], 16);
/** 2·√(2/π) */
const GELU_SCALE: usize = memory.data<f32>(
  [1.5957691216, 1.5957691216, 1.5957691216, 1.5957691216],
  16,
);

/** dy·p·x^q with q = p − 1 in float64. */
@final
class PowScalarGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, p: v128, q: v128): v128 {
    const power = F32x4.narrow(Math2.pow(F32x4.low(x), q), Math2.pow(F32x4.high(x), q));
    return f32x4.mul(dy, f32x4.mul(p, power));
  }
}

/** 2·x·dy */
@final
class SquareGrad implements GradOp {
  @inline
  v(x: v128, dy: v128, _p: v128, _q: v128): v128 {
    return f32x4.mul(dy, f32x4.add(x, x));
  }
}

/** dy·exponent·x^(exponent − 1); 0 everywhere for exponent 0. */
export function pow_scalar_grad_f32(
  x: usize,
  dy: usize,
  dx: usize,
  exponent: f32,
  begin: i32,
  end: i32,
): void {
  const p = f32x4.splat(exponent);
  if (exponent == 0) {
    memory.fill(dx + ((<usize>begin) << 2), 0, (<usize>(end - begin)) << 2);
  } else if (exponent == 2) {
    grad<SquareGrad>(x, dy, dx, p, p, begin, end);
  } else {
    grad<PowScalarGrad>(x, dy, dx, p, f64x2.splat(<f64>exponent - 1), begin, end);
  }
}
