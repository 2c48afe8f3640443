/**
 * Pooling of [n, c, h, w], plane by plane: `begin … end` counts planes of n·c. A window is clipped
 * at the input's borders; whatever sticks out further (ceil mode) counts as nothing.
 */
import { F32x4 } from "./simd";

/** Columns 0, 2, 4, 6 of the eight numbers at p. */
@final
class Pairs {
  @inline
  static even(p: usize): v128 {
    return v128.shuffle<f32>(v128.load(p), v128.load(p, 16), 0, 2, 4, 6);
  }
  @inline
  static odd(p: usize): v128 {
    return v128.shuffle<f32>(v128.load(p), v128.load(p, 16), 1, 3, 5, 7);
  }
}

/**
 * y = the largest of each window, index = its place in the plane, row·w + column: the first of
 * several, the first NaN before anything else. Padding is never chosen: a window that holds nothing
 * else (possible with dilation) gives -Infinity and the index -1. Where `relu`, y = max(0, the largest), and
 * the index is -1 where that is not the largest itself: no gradient goes there.
 */
export function max_pool_f32(
  x: usize,
  y: usize,
  index: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  strideH: i32,
  strideW: i32,
  padH: i32,
  padW: i32,
  dilationH: i32,
  dilationW: i32,
  relu: i32,
  begin: i32,
  end: i32,
): void {
  const planeOut = (<usize>(oh * ow)) << 2;
  for (let plane = begin; plane < end; plane++) {
    const from = x + ((<usize>(plane * h * w)) << 2);
    let at = <usize>plane * planeOut;
    for (let row = 0; row < oh; row++) {
      let top = row * strideH - padH;
      const bottom = min(top + (kh - 1) * dilationH + 1, h);
      while (top < 0) top += dilationH;
      for (let column = 0; column < ow; column++) {
        let left = column * strideW - padW;
        const right = min(left + (kw - 1) * dilationW + 1, w);
        while (left < 0) left += dilationW;
        let best: f32 = -Infinity;
        let place = top < bottom && left < right ? top * w + left : -1;
        for (let i = top; i < bottom; i += dilationH) {
          for (let j = left; j < right; j += dilationW) {
            const v = load<f32>(from + ((<usize>(i * w + j)) << 2));
            if (v > best || (v != v && best == best)) {
              best = v;
              place = i * w + j;
            }
          }
        }
        if (relu && best <= 0) {
          best = 0;
          place = -1;
        }
        store<f32>(y + at, best);
        store<i32>(index + at, place);
        at += 4;
      }
    }
  }
}

/** Windows of 2 × 2, stride 2, no padding. */
export function max_pool_2x2_f32(
  x: usize,
  y: usize,
  index: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  relu: i32,
  begin: i32,
  end: i32,
): void {
  // What is at most this becomes 0: nothing, or what is not positive.
  const floor: f32 = relu ? 0 : NaN;
  for (let plane = begin; plane < end; plane++) {
    for (let row = 0; row < oh; row++) {
      const from = plane * h * w + 2 * row * w;
      const to = (<usize>((plane * oh + row) * ow)) << 2;
      maxPoolRow(x + ((<usize>from) << 2), y + to, index + to, w, ow, 2 * row * w, floor);
    }
  }
}

function maxPoolRow(
  x: usize,
  y: usize,
  index: usize,
  w: i32,
  ow: i32,
  place: i32,
  floor: f32,
): void {
  const below = (<usize>w) << 2;
  let column = 0;
  let first = i32x4.add(i32x4.splat(place), i32x4(0, 2, 4, 6));
  const one = i32x4.splat(1);
  const down = i32x4.splat(w);
  for (; column + 4 <= ow; column += 4) {
    let best = Pairs.even(x);
    let at = first;
    let v = Pairs.odd(x);
    let better = v128.or(f32x4.gt(v, best), v128.andnot(F32x4.isNaN(v), F32x4.isNaN(best)));
    best = v128.bitselect(v, best, better);
    at = v128.bitselect(i32x4.add(first, one), at, better);
    v = Pairs.even(x + below);
    better = v128.or(f32x4.gt(v, best), v128.andnot(F32x4.isNaN(v), F32x4.isNaN(best)));
    best = v128.bitselect(v, best, better);
    const second = i32x4.add(first, down);
    at = v128.bitselect(second, at, better);
    v = Pairs.odd(x + below);
    better = v128.or(f32x4.gt(v, best), v128.andnot(F32x4.isNaN(v), F32x4.isNaN(best)));
    best = v128.bitselect(v, best, better);
    at = v128.bitselect(i32x4.add(second, one), at, better);
    const none = f32x4.le(best, f32x4.splat(floor));
    v128.store(y, v128.andnot(best, none));
    v128.store(index, v128.or(at, none));
    first = i32x4.add(first, i32x4.splat(8));
    x += 32;
    y += 16;
    index += 16;
  }
  for (; column < ow; column++) {
    const at = place + 2 * column;
    let best = load<f32>(x);
    let found = at;
    let v = load<f32>(x, 4);
    if (v > best || (v != v && best == best)) {
      best = v;
      found = at + 1;
    }
    v = load<f32>(x + below);
    if (v > best || (v != v && best == best)) {
      best = v;
      found = at + w;
    }
    v = load<f32>(x + below, 4);
    if (v > best || (v != v && best == best)) {
      best = v;
      found = at + w + 1;
    }
    if (best <= floor) {
      best = 0;
      found = -1;
    }
    store<f32>(y, best);
    store<i32>(index, found);
    x += 8;
    y += 4;
    index += 4;
  }
}

/**
 * dx[index] += dy in each plane, but for index -1; dx is cleared first. `size`, `outSize`: elements of
 * a plane.
 */
export function max_pool_grad_f32(
  dy: usize,
  index: usize,
  dx: usize,
  size: i32,
  outSize: i32,
  begin: i32,
  end: i32,
): void {
  for (let plane = begin; plane < end; plane++) {
    const to = dx + ((<usize>(plane * size)) << 2);
    memory.fill(to, 0, (<usize>size) << 2);
    let i = (<usize>(plane * outSize)) << 2;
    const stop = i + ((<usize>outSize) << 2);
    for (; i < stop; i += 4) {
      const place = load<i32>(index + i);
      if (place < 0) continue;
      const at = to + ((<usize>place) << 2);
      store<f32>(at, load<f32>(at) + load<f32>(dy + i));
    }
  }
}

/** The same of windows of 2 × 2, stride 2, no padding: they do not overlap, so every element is written once. */
export function max_pool_grad_2x2_f32(
  dy: usize,
  index: usize,
  dx: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  begin: i32,
  end: i32,
): void {
  const rest = (<usize>((h - 2 * oh) * w)) << 2;
  for (let plane = begin; plane < end; plane++) {
    let to = dx + ((<usize>(plane * h * w)) << 2);
    for (let row = 0; row < oh; row++) {
      const from = (<usize>((plane * oh + row) * ow)) << 2;
      maxPoolGradRow(dy + from, index + from, to, w, ow, 2 * row * w);
      to += (<usize>w) << 3;
    }
    memory.fill(to, 0, rest);
  }
}

/** Two rows of dx from one of dy. */
function maxPoolGradRow(dy: usize, index: usize, dx: usize, w: i32, ow: i32, place: i32): void {
  const below = (<usize>w) << 2;
  const one = i32x4.splat(1);
  const down = i32x4.splat(w);
  let first = i32x4.add(i32x4.splat(place), i32x4(0, 2, 4, 6));
  let column = 0;
  for (; column + 4 <= ow; column += 4) {
    const d = v128.load(dy);
    const at = v128.load(index);
    const second = i32x4.add(first, down);
    const v0 = v128.and(d, i32x4.eq(at, first));
    const v1 = v128.and(d, i32x4.eq(at, i32x4.add(first, one)));
    const v2 = v128.and(d, i32x4.eq(at, second));
    const v3 = v128.and(d, i32x4.eq(at, i32x4.add(second, one)));
    v128.store(dx, v128.shuffle<f32>(v0, v1, 0, 4, 1, 5));
    v128.store(dx, v128.shuffle<f32>(v0, v1, 2, 6, 3, 7), 16);
    v128.store(dx + below, v128.shuffle<f32>(v2, v3, 0, 4, 1, 5));
    v128.store(dx + below, v128.shuffle<f32>(v2, v3, 2, 6, 3, 7), 16);
    first = i32x4.add(first, i32x4.splat(8));
    dy += 16;
    index += 16;
    dx += 32;
  }
  for (; column < ow; column++) {
    const d = load<f32>(dy);
    const at = load<i32>(index) - place - 2 * column;
    store<f32>(dx, at == 0 ? d : 0);
    store<f32>(dx, at == 1 ? d : 0, 4);
    store<f32>(dx + below, at == w ? d : 0);
    store<f32>(dx + below, at == w + 1 ? d : 0, 4);
    dy += 4;
    index += 4;
    dx += 8;
  }
  for (column *= 2; column < w; column++) {
    store<f32>(dx, 0);
    store<f32>(dx + below, 0);
    dx += 4;
  }
}

/** PyTorch's divisor: the window with padding, clipped at the padded border; or without padding. */
function divisor(
  top: i32,
  left: i32,
  kh: i32,
  kw: i32,
  h: i32,
  w: i32,
  padH: i32,
  padW: i32,
  countPad: i32,
): f32 {
  const bottom = min(top + kh, h + padH);
  const right = min(left + kw, w + padW);
  if (countPad) return <f32>((bottom - top) * (right - left));
  return <f32>((min(bottom, h) - max(top, 0)) * (min(right, w) - max(left, 0)));
}

export function avg_pool_f32(
  x: usize,
  y: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  strideH: i32,
  strideW: i32,
  padH: i32,
  padW: i32,
  countPad: i32,
  begin: i32,
  end: i32,
): void {
  for (let plane = begin; plane < end; plane++) {
    const from = x + ((<usize>(plane * h * w)) << 2);
    let to = y + ((<usize>(plane * oh * ow)) << 2);
    for (let row = 0; row < oh; row++) {
      const top = row * strideH - padH;
      const bottom = min(top + kh, h);
      for (let column = 0; column < ow; column++) {
        const left = column * strideW - padW;
        const right = min(left + kw, w);
        let sum: f32 = 0;
        for (let i = max(top, 0); i < bottom; i++) {
          for (let j = max(left, 0); j < right; j++) {
            sum += load<f32>(from + ((<usize>(i * w + j)) << 2));
          }
        }
        const empty = bottom <= max(top, 0) || right <= max(left, 0);
        const by = divisor(top, left, kh, kw, h, w, padH, padW, countPad);
        store<f32>(to, empty ? 0 : sum / by);
        to += 4;
      }
    }
  }
}

/** Windows of 2 × 2, stride 2, no padding. */
export function avg_pool_2x2_f32(
  x: usize,
  y: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  begin: i32,
  end: i32,
): void {
  for (let plane = begin; plane < end; plane++) {
    for (let row = 0; row < oh; row++) {
      const from = plane * h * w + 2 * row * w;
      avgPoolRow(x + ((<usize>from) << 2), y + ((<usize>((plane * oh + row) * ow)) << 2), w, ow);
    }
  }
}

function avgPoolRow(x: usize, y: usize, w: i32, ow: i32): void {
  const below = (<usize>w) << 2;
  const quarter = f32x4.splat(0.25);
  for (; ow >= 4; ow -= 4) {
    const upper = f32x4.add(Pairs.even(x), Pairs.odd(x));
    const lower = f32x4.add(Pairs.even(x + below), Pairs.odd(x + below));
    v128.store(y, f32x4.mul(f32x4.add(upper, lower), quarter));
    x += 32;
    y += 16;
  }
  for (; ow > 0; ow--) {
    const upper = load<f32>(x) + load<f32>(x, 4);
    const lower = load<f32>(x + below) + load<f32>(x + below, 4);
    store<f32>(y, (upper + lower) * 0.25);
    x += 8;
    y += 4;
  }
}

/** The adjoint: dx += dy/divisor over each window; dx is cleared first. */
export function avg_pool_grad_f32(
  dy: usize,
  dx: usize,
  h: i32,
  w: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  strideH: i32,
  strideW: i32,
  padH: i32,
  padW: i32,
  countPad: i32,
  begin: i32,
  end: i32,
): void {
  for (let plane = begin; plane < end; plane++) {
    const to = dx + ((<usize>(plane * h * w)) << 2);
    memory.fill(to, 0, (<usize>(h * w)) << 2);
    let from = dy + ((<usize>(plane * oh * ow)) << 2);
    for (let row = 0; row < oh; row++) {
      const top = row * strideH - padH;
      const bottom = min(top + kh, h);
      for (let column = 0; column < ow; column++) {
        const left = column * strideW - padW;
        const right = min(left + kw, w);
        const share = load<f32>(from) / divisor(top, left, kh, kw, h, w, padH, padW, countPad);
        for (let i = max(top, 0); i < bottom; i++) {
          for (let j = max(left, 0); j < right; j++) {
            const at = to + ((<usize>(i * w + j)) << 2);
            store<f32>(at, load<f32>(at) + share);
          }
        }
        from += 4;
      }
    }
  }
}
