/**
 * The gradients of the filters and biases of convolutions with few input channels (conv-thin.ts):
 *   dw[o, k] = Σ_i dy[o, i] · x[i + place[k]],  dbias[o] = Σ_i dy[o, i]
 * in one pass over dy, whose rows are copied to stand as far apart as those of the band. Where the
 * convolution ended in a relu, dy counts where its result is not ≤ 0: that gradient needs no pass of its own.
 *
 * Sums are float32 within a band (of a bias: within a row), float64 over the bands and images of a part.
 */
import { Area } from "./blocks";
import { Band, BLOCK, MOST, zeros } from "./conv-band";
import { forward_band, forward_places } from "./conv-direct";
import { Plan } from "./conv-plan";
import { F32x4 } from "./simd";

/** Filters and kernel elements whose products are summed at a time. */
const FILTERS: i32 = 2;
const TAPS: i32 = 3;
/** Jobs that are enough for all threads. */
const JOBS: i32 = 16;

/** Kernel elements rounded up. */
function whole_taps(plan: Plan): i32 {
  return ((plan.taps + TAPS - 1) / TAPS) * TAPS;
}

/** Sums of a filter, two float64 each: kernel elements, then its bias. */
function filter_bytes(plan: Plan): usize {
  return (<usize>(whole_taps(plan) + 1)) << 4;
}

function sum_bytes(plan: Plan): usize {
  return filter_bytes(plan) * ((plan.filters + 1) & ~1);
}

/**
 * May conv2d_thin_grad_weight_f32 be called? 0 where a row of dy is short, a band and the sums too large, or a band
 * so short beside the filters that adding its sums to all others would take longer than its products.
 */
export function conv2d_thin_grad_weight_fits(p: usize): i32 {
  const plan = Plan.at(p);
  if (plan.outWidth < 4 || plan.taps == 0) return 0;
  const sums = (<f64>plan.taps + 4) * (<f64>plan.filters + 1) * 4;
  if (sums > MOST || !forward_band(plan, plan.channels, FILTERS)) return 0;
  const band = Band.mine;
  if (band.rows * band.pitch < 2 * plan.taps) return 0;
  return i32(sums_at() - Band.planes + sum_bytes(plan) <= (<usize>MOST) << 2);
}

/** Where the sums stand: after the copies of x and dy. */
function sums_at(): usize {
  const band = Band.mine;
  return (band.results + band.resultSize * FILTERS + 15) & ~15;
}

/** The images are cut into this many parts, each summed on its own. */
export function conv2d_thin_grad_weight_parts(p: usize): i32 {
  const plan = Plan.at(p);
  return max(1, min(plan.images, (JOBS + plan.groups - 1) / plan.groups));
}

/**
 * out[part] = those of the part's images: [groups · filters, taps], then the biases' [groups · filters].
 * `y` is the convolution's result after its relu, or 0. [begin, end) counts parts · groups.
 */
export function conv2d_thin_grad_weight_f32(
  p: usize,
  x: usize,
  dy: usize,
  y: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const band = Band.mine;
  forward_band(plan, plan.channels, FILTERS);
  const parts = conv2d_thin_grad_weight_parts(p);
  const taps = plan.taps;
  const all = plan.groups * plan.filters;
  const places = Band.places;
  forward_places(plan, band, plan.channels, places, 4);
  // The last three repeat the last element.
  for (let k = taps; k % TAPS; k++) {
    const at = places + ((<usize>k) << 2);
    store<u32>(at, load<u32>(at - 4));
  }
  const sums = sums_at();
  for (let job = begin; job < end; job++) {
    const part = job / plan.groups;
    const group = job - part * plan.groups;
    const until = <i32>((<i64>plan.images * (part + 1)) / parts);
    memory.fill(sums, 0, sum_bytes(plan));
    for (let image = <i32>((<i64>plan.images * part) / parts); image < until; image++) {
      const ig = image * plan.groups + group;
      add_image(plan, x + plan.plane * (ig * plan.channels), dy, y, ig * plan.filters, sums);
    }
    const to = out + ((<usize>(all * (taps + 1) * part + group * plan.filters * taps)) << 2);
    const biases =
      out + ((<usize>(all * (taps + 1) * part + all * taps + group * plan.filters)) << 2);
    write_sums(plan, sums, to, biases);
  }
}

/** sums += what one image and group contribute; `plane` is the first of its planes of dy. */
function add_image(plan: Plan, x: usize, dy: usize, y: usize, plane: i32, sums: usize): void {
  const band = Band.mine;
  const fromFilter = filter_bytes(plan);
  const biases = fromFilter - 16;
  const placesEnd = Band.places + ((<usize>whole_taps(plan)) << 2);
  for (let y0 = 0; y0 < plan.outHeight; y0 += band.rows) {
    const n = min(band.rows, plan.outHeight - y0);
    band.fill(x, plan.plane, y0, n);
    const end = (<usize>((n - 1) * band.pitch + plan.outWidth)) << 2;
    let to = sums;
    for (let f = 0; f < plan.filters; f += FILTERS) {
      const first = (plane + f) * plan.pixels + y0 * plan.outWidth;
      const at = (<usize>first) << 2;
      // Beside an odd last filter stands that before it, or nothing of use: what it gives is dropped.
      const pair = f + 1 < plan.filters;
      const next = pair ? (<usize>plan.pixels) << 2 : 0;
      fill_given(plan, dy + at, y ? y + at : 0, band.results, n, to + biases);
      if (pair) {
        const given = band.results + band.resultSize;
        const into = to + fromFilter + biases;
        fill_given(plan, dy + at + next, y ? y + at + next : 0, given, n, into);
      }
      const second = pair ? band.resultSize : 0;
      let tap = to;
      for (let k = Band.places; k < placesEnd; k += TAPS << 2) {
        dots(k, band.results, second, end, Area.tile);
        add_sums(Area.tile, tap);
        if (pair) add_sums(Area.tile + (TAPS << 4), tap + fromFilter);
        tap += TAPS << 4;
      }
      to += fromFilter * FILTERS;
    }
  }
}

/**
 * `n` rows of dy, 0 where y ≤ 0 (if there is a y), as far apart as those of the band, zeros between them. Adds
 * their sum to the two float64 at `sum`.
 */
function fill_given(plan: Plan, dy: usize, y: usize, to: usize, n: i32, sum: usize): void {
  const width = plan.outWidth;
  const whole = (<usize>(width & ~3)) << 2;
  const tail = width & 3;
  const pitch = (<usize>Band.mine.pitch) << 2;
  let total = v128.load(sum);
  for (; n > 0; n--) {
    let row = y ? copy_positive(to, dy, y, whole) : copy_given(to, dy, whole);
    const stop = to + pitch;
    to += whole;
    dy += whole;
    y += y ? whole : 0;
    if (tail) {
      let v = F32x4.loadTail(dy, tail);
      if (y) v = v128.andnot(v, f32x4.le(F32x4.loadTail(y, tail), f32x4.splat(0)));
      row = f32x4.add(row, v);
      // What stands beyond the row's end is written below.
      v128.store(to, v);
      to += (<usize>tail) << 2;
      dy += (<usize>tail) << 2;
      y += y ? (<usize>tail) << 2 : 0;
    }
    total = f64x2.add(total, f64x2.add(F32x4.low(row), F32x4.high(row)));
    zeros(to, stop);
    to = stop;
  }
  zeros(to, to + ((<usize>BLOCK) << 2));
  v128.store(sum, total);
}

/** Copies whole vectors; their sum. */
function copy_given(to: usize, dy: usize, bytes: usize): v128 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(dy + i);
    v128.store(to + i, v);
    sum = f32x4.add(sum, v);
  }
  return sum;
}

/** The same with 0 where y ≤ 0, as relu's gradient has it: a NaN lets dy through. */
function copy_positive(to: usize, dy: usize, y: usize, bytes: usize): v128 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.andnot(v128.load(dy + i), f32x4.le(v128.load(y + i), f32x4.splat(0)));
    v128.store(to + i, v);
    sum = f32x4.add(sum, v);
  }
  return sum;
}

/**
 * to[3f + j] = Σ_i y[f][i] · x[j][i] in four lanes, for the three places x and the two rows of `end` bytes
 * at y and `second` bytes on. Six sums: with nine, V8 11 (Node 20) takes twice as long.
 */
function dots(x: usize, y: usize, second: usize, end: usize, to: usize): void {
  const x0 = <usize>load<u32>(x);
  const x1 = <usize>load<u32>(x, 4);
  const x2 = <usize>load<u32>(x, 8);
  const z = y + second;
  let y0 = f32x4.splat(0);
  let y1 = y0;
  let y2 = y0;
  let z0 = y0;
  let z1 = y0;
  let z2 = y0;
  for (let i: usize = 0; i < end; i += 16) {
    const u = v128.load(y + i);
    const v = v128.load(z + i);
    const v0 = v128.load(x0 + i);
    y0 = F32x4.fma(u, v0, y0);
    z0 = F32x4.fma(v, v0, z0);
    const v1 = v128.load(x1 + i);
    y1 = F32x4.fma(u, v1, y1);
    z1 = F32x4.fma(v, v1, z1);
    const v2 = v128.load(x2 + i);
    y2 = F32x4.fma(u, v2, y2);
    z2 = F32x4.fma(v, v2, z2);
  }
  v128.store(to, y0);
  v128.store(to, y1, 16);
  v128.store(to, y2, 32);
  v128.store(to, z0, 48);
  v128.store(to, z1, 64);
  v128.store(to, z2, 80);
}

/** Adds the lanes of each of the three sums to two float64. */
function add_sums(from: usize, to: usize): void {
  for (let i = 0; i < TAPS; i++) {
    const v = v128.load(from);
    v128.store(to, f64x2.add(v128.load(to), f64x2.add(F32x4.low(v), F32x4.high(v))));
    from += 16;
    to += 16;
  }
}

/** Both float64 of each sum together, in float32. */
function write_sums(plan: Plan, sums: usize, dw: usize, dbias: usize): void {
  const bytes = (<usize>plan.taps) << 4;
  for (let f = 0; f < plan.filters; f++) {
    for (let i: usize = 0; i < bytes; i += 16) {
      store<f32>(dw, total(sums + i));
      dw += 4;
    }
    sums += filter_bytes(plan);
    store<f32>(dbias, total(sums - 16));
    dbias += 4;
  }
}

function total(sum: usize): f32 {
  return <f32>(load<f64>(sum) + load<f64>(sum, 8));
}
