/**
 * Normalisation of [outer, channels, inner] per channel, by given moments, and its gradient.
 *
 *     y  = (x − mean)·scale [+ bias]         with scale = [weight] / √(variance + eps)
 *     dx = scale·(dy − Σdy / n − x̂·Σ(dy·x̂) / n)   with x̂ = (x − mean) / √(variance + eps)
 *     dweight = Σ dy·x̂, dbias = Σ dy
 *
 * The sums are over the n = outer·inner numbers of a channel, in float64 and in an order of their own for
 * each channel, so threads share the channels. With inner = 1 the lanes are channels.
 */
import { Quad } from "./lanes";
import { GradSums, rowSquares, rowSum } from "./row-sums";
import { F32x4 } from "./simd";

/** Mean and biased variance of channels [begin, end). */
export function batch_moments_f32(
  x: usize,
  mean: usize,
  variance: usize,
  outer: i32,
  channels: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const n = <f64>outer * <f64>inner;
  const stride = (<usize>(channels * inner)) << 2;
  if (inner == 1) {
    for (let channel = begin; channel < end; channel += 4) {
      const at = (<usize>channel) << 2;
      columnMoments(x + at, mean + at, variance + at, stride, outer, min(4, end - channel));
    }
    return;
  }
  for (let channel = begin; channel < end; channel++) {
    const from = x + ((<usize>(channel * inner)) << 2);
    let sum: f64 = 0;
    for (let i = 0; i < outer; i++) sum += rowSum(from + stride * i, inner);
    const m = sum / n;
    let squares: f64 = 0;
    for (let i = 0; i < outer; i++) squares += rowSquares(from + stride * i, inner, m);
    const at = (<usize>channel) << 2;
    store<f32>(mean + at, <f32>m);
    store<f32>(variance + at, <f32>(squares / n));
  }
}

/** Up to four channels, numbers `stride` bytes apart. */
function columnMoments(
  x: usize,
  mean: usize,
  variance: usize,
  stride: usize,
  count: i32,
  lanes: i32,
): void {
  const n = f64x2.splat(<f64>count);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i = 0; i < count; i++) {
    const v = Quad.load(x + stride * i, lanes);
    low = f64x2.add(low, F32x4.low(v));
    high = f64x2.add(high, F32x4.high(v));
  }
  const meanLow = f64x2.div(low, n);
  const meanHigh = f64x2.div(high, n);
  low = f64x2.splat(0);
  high = f64x2.splat(0);
  for (let i = 0; i < count; i++) {
    const v = Quad.load(x + stride * i, lanes);
    const a = f64x2.sub(F32x4.low(v), meanLow);
    const b = f64x2.sub(F32x4.high(v), meanHigh);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  Quad.store(mean, F32x4.narrow(meanLow, meanHigh), lanes);
  Quad.store(variance, F32x4.narrow(f64x2.div(low, n), f64x2.div(high, n)), lanes);
}

/** scale of all channels; `weight` may be 0 for none. */
export function batch_norm_scale_f32(
  variance: usize,
  weight: usize,
  scale: usize,
  eps: f64,
  channels: i32,
): void {
  const bytes = (<usize>channels) << 2;
  for (let i: usize = 0; i < bytes; i += 4) {
    const inverse = 1 / sqrt<f64>(<f64>load<f32>(variance + i) + eps);
    store<f32>(scale + i, <f32>(weight ? inverse * <f64>load<f32>(weight + i) : inverse));
  }
}

/** `bias` may be 0 for none. `begin … end` counts planes of `inner` numbers, or rows of channels if inner = 1. */
export function batch_norm_f32(
  x: usize,
  mean: usize,
  scale: usize,
  bias: usize,
  y: usize,
  channels: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  if (inner == 1) {
    const bytes = (<usize>channels) << 2;
    for (let row = begin; row < end; row++) {
      normalizeRow(x + bytes * row, mean, scale, bias, y + bytes * row, channels);
    }
    return;
  }
  const bytes = (<usize>inner) << 2;
  for (let plane = begin; plane < end; plane++) {
    const at = (<usize>(plane % channels)) << 2;
    const b: f32 = bias ? load<f32>(bias + at) : 0;
    // prettier-ignore
    normalizePlane(x + bytes * plane, y + bytes * plane, inner, load<f32>(mean + at), load<f32>(scale + at), b);
  }
}

function normalizeRow(x: usize, mean: usize, scale: usize, bias: usize, y: usize, n: i32): void {
  const bytes = (<usize>n) << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    const lanes = min(4, <i32>((bytes - i) >> 2));
    const distance = f32x4.sub(Quad.load(x + i, lanes), Quad.load(mean + i, lanes));
    let r = f32x4.mul(distance, Quad.load(scale + i, lanes));
    if (bias) r = f32x4.add(r, Quad.load(bias + i, lanes));
    Quad.store(y + i, r, lanes);
  }
}

function normalizePlane(x: usize, y: usize, n: i32, mean: f32, scale: f32, bias: f32): void {
  const m = f32x4.splat(mean);
  const s = f32x4.splat(scale);
  const b = f32x4.splat(bias);
  for (; n >= 4; n -= 4) {
    v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), m), s), b));
    x += 16;
    y += 16;
  }
  for (; n > 0; n--) {
    store<f32>(y, (load<f32>(x) - mean) * scale + bias);
    x += 4;
    y += 4;
  }
}

/**
 * Channels [begin, end). `fixed`: the moments are constants, not those of x, so that dx is scale·dy. `weight` may be
 * 0 for none; dweight and dbias are written all the same.
 */
export function batch_norm_grad_f32(
  x: usize,
  dy: usize,
  mean: usize,
  variance: usize,
  weight: usize,
  dx: usize,
  dweight: usize,
  dbias: usize,
  eps: f64,
  fixed: i32,
  outer: i32,
  channels: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const stride = (<usize>(channels * inner)) << 2;
  if (inner == 1) {
    for (let channel = begin; channel < end; channel += 4) {
      const at = (<usize>channel) << 2;
      // prettier-ignore
      gradColumns(x + at, dy + at, mean + at, variance + at, weight ? weight + at : 0, dx + at,
        dweight + at, dbias + at, eps, fixed, stride, outer, min(4, end - channel));
    }
    return;
  }
  const n = <f64>outer * <f64>inner;
  for (let channel = begin; channel < end; channel++) {
    const at = (<usize>channel) << 2;
    const skip = (<usize>(channel * inner)) << 2;
    const m = load<f32>(mean + at);
    let sums = f64x2.splat(0);
    for (let i = 0; i < outer; i++) {
      const plane = skip + stride * i;
      sums = f64x2.add(sums, GradSums.of(x + plane, dy + plane, 0, inner, <f64>m));
    }
    const sum = f64x2.extract_lane(sums, 0);
    const inverse = 1 / sqrt<f64>(<f64>load<f32>(variance + at) + eps);
    const slope = f64x2.extract_lane(sums, 1) * inverse;
    store<f32>(dweight + at, <f32>slope);
    store<f32>(dbias + at, <f32>sum);
    const scale = <f32>(weight ? inverse * <f64>load<f32>(weight + at) : inverse);
    const shift: f32 = fixed ? 0 : <f32>(sum / n);
    const tilt: f32 = fixed ? 0 : <f32>((slope * inverse) / n);
    for (let i = 0; i < outer; i++) {
      const plane = skip + stride * i;
      gradPlane(x + plane, dy + plane, dx + plane, inner, m, shift, tilt, scale);
    }
  }
}

/** dx = ((dy − shift) − (x − mean)·slope)·scale */
function gradPlane(
  x: usize,
  dy: usize,
  dx: usize,
  n: i32,
  mean: f32,
  shift: f32,
  slope: f32,
  scale: f32,
): void {
  const m = f32x4.splat(mean);
  const c = f32x4.splat(shift);
  const d = f32x4.splat(slope);
  const s = f32x4.splat(scale);
  for (; n >= 4; n -= 4) {
    const g = f32x4.sub(v128.load(dy), c);
    v128.store(dx, f32x4.mul(F32x4.fnma(f32x4.sub(v128.load(x), m), d, g), s));
    x += 16;
    dy += 16;
    dx += 16;
  }
  for (; n > 0; n--) {
    store<f32>(dx, (load<f32>(dy) - shift - (load<f32>(x) - mean) * slope) * scale);
    x += 4;
    dy += 4;
    dx += 4;
  }
}

/** Up to four channels, numbers `stride` bytes apart. */
function gradColumns(
  x: usize,
  dy: usize,
  mean: usize,
  variance: usize,
  weight: usize,
  dx: usize,
  dweight: usize,
  dbias: usize,
  eps: f64,
  fixed: i32,
  stride: usize,
  count: i32,
  lanes: i32,
): void {
  const m = Quad.load(mean, lanes);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let dotLow = f64x2.splat(0);
  let dotHigh = f64x2.splat(0);
  for (let i = 0; i < count; i++) {
    const g = Quad.load(dy + stride * i, lanes);
    const distance = f32x4.sub(Quad.load(x + stride * i, lanes), m);
    const gLow = F32x4.low(g);
    const gHigh = F32x4.high(g);
    low = f64x2.add(low, gLow);
    high = f64x2.add(high, gHigh);
    dotLow = f64x2.add(dotLow, f64x2.mul(gLow, F32x4.low(distance)));
    dotHigh = f64x2.add(dotHigh, f64x2.mul(gHigh, F32x4.high(distance)));
  }
  const v = Quad.load(variance, lanes);
  const one = f64x2.splat(1);
  const e = f64x2.splat(eps);
  const inverseLow = f64x2.div(one, f64x2.sqrt(f64x2.add(F32x4.low(v), e)));
  const inverseHigh = f64x2.div(one, f64x2.sqrt(f64x2.add(F32x4.high(v), e)));
  const slopeLow = f64x2.mul(dotLow, inverseLow);
  const slopeHigh = f64x2.mul(dotHigh, inverseHigh);
  Quad.store(dweight, F32x4.narrow(slopeLow, slopeHigh), lanes);
  Quad.store(dbias, F32x4.narrow(low, high), lanes);
  let scale = F32x4.narrow(inverseLow, inverseHigh);
  if (weight) scale = f32x4.mul(scale, Quad.load(weight, lanes));
  let shift = f32x4.splat(0);
  let slope = f32x4.splat(0);
  if (!fixed) {
    const n = f64x2.splat(<f64>count);
    shift = F32x4.narrow(f64x2.div(low, n), f64x2.div(high, n));
    const tiltLow = f64x2.div(f64x2.mul(slopeLow, inverseLow), n);
    slope = F32x4.narrow(tiltLow, f64x2.div(f64x2.mul(slopeHigh, inverseHigh), n));
  }
  for (let i = 0; i < count; i++) {
    const g = f32x4.sub(Quad.load(dy + stride * i, lanes), shift);
    const distance = f32x4.sub(Quad.load(x + stride * i, lanes), m);
    Quad.store(dx + stride * i, f32x4.mul(F32x4.fnma(distance, slope, g), scale), lanes);
  }
}
