/** Activations but for tanh, which is in map-elementary.ts. See map.ts; the gradients are in grad.ts. */
import { map1, map1Slow, MapOp, ParamOp, Params } from "./map";
import { Math4 } from "./math-f32";

/** max(x, 0); pmax keeps a NaN on its left. */
@final
class Relu implements MapOp {
  @inline
  v(x: v128): v128 {
    return f32x4.pmax(x, Math4.zero());
  }
}

export function relu_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1<Relu>(x, y, begin, end);
}

@final
class LeakyRelu implements ParamOp {
  @inline
  v(x: v128, slope: v128, _q: v128): v128 {
    return v128.bitselect(x, f32x4.mul(x, slope), f32x4.gt(x, Math4.zero()));
  }
}

export function leaky_relu_f32(x: usize, y: usize, slope: f32, begin: i32, end: i32): void {
  Params.map<LeakyRelu>(x, y, f32x4.splat(slope), Math4.zero(), begin, end);
}

/** x above 0, alpha·(e^x − 1) up to 0. */
@final
class Elu implements ParamOp {
  @inline
  v(x: v128, alpha: v128, _q: v128): v128 {
    const negative = f32x4.mul(alpha, Math4.expm1(x));
    return v128.bitselect(x, negative, f32x4.gt(x, Math4.zero()));
  }
}

export function elu_f32(x: usize, y: usize, alpha: f32, begin: i32, end: i32): void {
  Params.map<Elu>(x, y, f32x4.splat(alpha), Math4.zero(), begin, end);
}

@final
class Sigmoid implements MapOp {
  @inline
  v(x: v128): v128 {
    return Math4.sigmoid(x);
  }
}

export function sigmoid_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Sigmoid>(x, y, begin, end);
}

/** log(1/(1 + e^-x)) */
@final
class LogSigmoid implements MapOp {
  @inline
  v(x: v128): v128 {
    return f32x4.neg(Math4.softplus(f32x4.neg(x)));
  }
}

export function log_sigmoid_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<LogSigmoid>(x, y, begin, end);
}

/** log(1 + e^(beta·x))/beta; x itself where beta·x exceeds the threshold. */
@final
class Softplus implements ParamOp {
  @inline
  v(x: v128, beta: v128, threshold: v128): v128 {
    const scaled = f32x4.mul(x, beta);
    const soft = f32x4.div(Math4.softplus(scaled), beta);
    return v128.bitselect(x, soft, f32x4.gt(scaled, threshold));
  }
}

export function softplus_f32(
  x: usize,
  y: usize,
  beta: f32,
  threshold: f32,
  begin: i32,
  end: i32,
): void {
  Params.map<Softplus>(x, y, f32x4.splat(beta), f32x4.splat(threshold), begin, end);
}

/** x·sigmoid(x); NaN at -Infinity, as in PyTorch. */
@final
class Silu implements MapOp {
  @inline
  v(x: v128): v128 {
    return f32x4.div(x, f32x4.add(Math4.one(), Math4.exp(f32x4.neg(x))));
  }
}

export function silu_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Silu>(x, y, begin, end);
}

/** x·Φ(x); NaN at -Infinity, as in PyTorch. */
@final
class Gelu implements MapOp {
  @inline
  v(x: v128): v128 {
    // Beyond ±14.2 the density is 0; the bound keeps the halves of x finite.
    const z = f32x4.pmin(f32x4.abs(x), v128.load(BELL_MAX));
    return f32x4.mul(x, Math4.normalCdf(x, Math4.bell(z)));
  }
}

const BELL_MAX: usize = memory.data<f32>([14.2, 14.2, 14.2, 14.2], 16);

export function gelu_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<Gelu>(x, y, begin, end);
}

/** gelu's tanh approximation, x·sigmoid(2u) with u = √(2/π)·(x + 0.044715·x³); NaN at -Infinity. */
@final
class GeluTanh implements MapOp {
  @inline
  v(x: v128): v128 {
    const e = Math4.geluDecay(x);
    const r = f32x4.div(Math4.one(), f32x4.add(Math4.one(), e));
    return f32x4.mul(x, v128.bitselect(r, f32x4.mul(e, r), f32x4.gt(x, Math4.zero())));
  }
}

export function gelu_tanh_f32(x: usize, y: usize, begin: i32, end: i32): void {
  map1Slow<GeluTanh>(x, y, begin, end);
}
