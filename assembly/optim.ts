/**
 * Fused optimizer steps over contiguous blocks of float32, and the interpolation that moves
 * parameters between x and y.
 *
 * Arrays are indexed by element and share `begin` … `end`; none may overlap another. Every scalar
 * is derived in float64 by the caller. Multiplications and additions stay separate (no relaxed
 * SIMD): vector body and scalar tail give the same bits, so a range may be cut anywhere, and a
 * block of several parameters may be stepped in one call.
 */

import { firstMoment, secondMoment, secondMomentRoots } from "./moments";
import { scratch } from "./scratch";

/** Bytes of each array that one loop of AdamW leaves in the cache for the next. */
const BLOCK: usize = 4096;

/** p += weight (z − p) */
export function lerp_f32(p: usize, z: usize, weight: f32, begin: i32, end: i32): void {
  const w = f32x4.splat(weight);
  let i = (begin as usize) << 2;
  const stop = (end as usize) << 2;
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    const from = v128.load(p + i);
    const d = f32x4.sub(v128.load(z + i), from);
    v128.store(p + i, f32x4.add(from, f32x4.mul(w, d)));
  }
  for (; i < stop; i += 4) {
    const from = load<f32>(p + i);
    store<f32>(p + i, from + weight * (load<f32>(z + i) - from));
  }
}

/**
 * d = g + decay·y;  y += ckp1 (z − y) + yStep·d;  z −= lr·d
 *
 * with yStep = lr (β(1 − ckp1) − 1). Schedule-Free SGD, arXiv 2405.15682; `grad` is only read.
 */
export function sgd_schedulefree_f32(
  y: usize,
  z: usize,
  grad: usize,
  decay: f32,
  ckp1: f32,
  yStep: f32,
  lr: f32,
  begin: i32,
  end: i32,
): void {
  const decays = f32x4.splat(decay);
  const ckp1s = f32x4.splat(ckp1);
  const ySteps = f32x4.splat(yStep);
  const lrs = f32x4.splat(lr);
  let i = (begin as usize) << 2;
  const stop = (end as usize) << 2;
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    const yi = v128.load(y + i);
    const zi = v128.load(z + i);
    const d = f32x4.add(v128.load(grad + i), f32x4.mul(decays, yi));
    const mixed = f32x4.add(yi, f32x4.mul(ckp1s, f32x4.sub(zi, yi)));
    v128.store(y + i, f32x4.add(mixed, f32x4.mul(ySteps, d)));
    v128.store(z + i, f32x4.sub(zi, f32x4.mul(lrs, d)));
  }
  for (; i < stop; i += 4) {
    const yi = load<f32>(y + i);
    const zi = load<f32>(z + i);
    const d = load<f32>(grad + i) + decay * yi;
    const mixed = yi + ckp1 * (zi - yi);
    store<f32>(y + i, mixed + yStep * d);
    store<f32>(z + i, zi - lr * d);
  }
}

/**
 * v = beta2·v + (1 − beta2) g²;  d = g / (√(v·invBias2) + eps) + decay·y;
 * y += ckp1 (z − y) + yStep·d;  z −= lr·d
 *
 * Schedule-Free AdamW, arXiv 2405.15682; `grad` is only read. Denormals are 85 times slower than
 * other numbers: v below `tinyV` becomes 0, and so does g² for |g| below `tinyG` (NaN stays NaN).
 */
export function adamw_schedulefree_f32(
  y: usize,
  z: usize,
  v: usize,
  grad: usize,
  beta2: f32,
  oneMinusBeta2: f32,
  invBias2: f32,
  eps: f32,
  decay: f32,
  ckp1: f32,
  yStep: f32,
  lr: f32,
  tinyV: f32,
  tinyG: f32,
  begin: i32,
  end: i32,
): void {
  const stop = (end as usize) << 2;
  for (let i = (begin as usize) << 2; i < stop; i += BLOCK) {
    const next = min<usize>(i + BLOCK, stop);
    const roots = scratch() - i;
    secondMomentRoots(v, roots, grad, beta2, oneMinusBeta2, invBias2, eps, tinyV, tinyG, i, next);
    move(y, z, grad, roots, decay, ckp1, yStep, lr, i, next);
  }
}

/**
 * The same with inner momentum: m = momentum·m + (1 − momentum) g takes the place of g in d, as
 * m·invBias1. Denormal m become 0.
 */
export function adamw_schedulefree_momentum_f32(
  y: usize,
  z: usize,
  v: usize,
  m: usize,
  grad: usize,
  momentum: f32,
  oneMinusMomentum: f32,
  invBias1: f32,
  beta2: f32,
  oneMinusBeta2: f32,
  invBias2: f32,
  eps: f32,
  decay: f32,
  ckp1: f32,
  yStep: f32,
  lr: f32,
  tinyV: f32,
  tinyG: f32,
  begin: i32,
  end: i32,
): void {
  const stop = (end as usize) << 2;
  for (let i = (begin as usize) << 2; i < stop; i += BLOCK) {
    const next = min<usize>(i + BLOCK, stop);
    const roots = scratch() - i;
    const direction = roots + BLOCK;
    secondMomentRoots(v, roots, grad, beta2, oneMinusBeta2, invBias2, eps, tinyV, tinyG, i, next);
    firstMoment(m, grad, momentum, oneMinusMomentum, i, next);
    scale(direction, m, invBias1, i, next);
    move(y, z, direction, roots, decay, ckp1, yStep, lr, i, next);
  }
}

/**
 * v = beta2·v + (1 − beta2) g²;  d = g + decay·y;  y += ckp1 (z − y) + yStep·d;  z −= lr·d
 *
 * Schedule-Free RAdam before its rectification sets in: steps of SGD while the second moment grows.
 */
export function radam_schedulefree_f32(
  y: usize,
  z: usize,
  v: usize,
  grad: usize,
  beta2: f32,
  oneMinusBeta2: f32,
  decay: f32,
  ckp1: f32,
  yStep: f32,
  lr: f32,
  tinyV: f32,
  tinyG: f32,
  begin: i32,
  end: i32,
): void {
  const block = (BLOCK >> 2) as i32;
  for (let i = begin; i < end; i += block) {
    const next = min<i32>(i + block, end);
    const from = (i as usize) << 2;
    const to = (next as usize) << 2;
    secondMoment(v, grad, beta2, oneMinusBeta2, tinyV, tinyG, from, to);
    sgd_schedulefree_f32(y, z, grad, decay, ckp1, yStep, lr, i, next);
  }
}

// AdamW in one loop needs more constants than there are registers, and its square roots and divisions wait for
// one unit: loops over blocks in the first cache, each with one of the two, run at 0.85 of what that unit can do.
// `i` and `stop` count bytes.

/** to = factor·from */
function scale(to: usize, from: usize, factor: f32, i: usize, stop: usize): void {
  const factors = f32x4.splat(factor);
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) v128.store(to + i, f32x4.mul(v128.load(from + i), factors));
  for (; i < stop; i += 4) store<f32>(to + i, load<f32>(from + i) * factor);
}

/** d = direction / roots + decay·y;  y += ckp1 (z − y) + yStep·d;  z −= lr·d */
function move(
  y: usize,
  z: usize,
  direction: usize,
  roots: usize,
  decay: f32,
  ckp1: f32,
  yStep: f32,
  lr: f32,
  i: usize,
  stop: usize,
): void {
  const decays = f32x4.splat(decay);
  const ckp1s = f32x4.splat(ckp1);
  const ySteps = f32x4.splat(yStep);
  const lrs = f32x4.splat(lr);
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    const yi = v128.load(y + i);
    const zi = v128.load(z + i);
    const ratio = f32x4.div(v128.load(direction + i), v128.load(roots + i));
    const d = f32x4.add(ratio, f32x4.mul(decays, yi));
    const mixed = f32x4.add(yi, f32x4.mul(ckp1s, f32x4.sub(zi, yi)));
    v128.store(y + i, f32x4.add(mixed, f32x4.mul(ySteps, d)));
    v128.store(z + i, f32x4.sub(zi, f32x4.mul(lrs, d)));
  }
  for (; i < stop; i += 4) {
    const yi = load<f32>(y + i);
    const zi = load<f32>(z + i);
    const d = load<f32>(direction + i) / load<f32>(roots + i) + decay * yi;
    const mixed = yi + ckp1 * (zi - yi);
    store<f32>(y + i, mixed + yStep * d);
    store<f32>(z + i, zi - lr * d);
  }
}
