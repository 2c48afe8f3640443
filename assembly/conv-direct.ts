/**
 * Convolutions whose groups have one or two filters (depthwise ones above all): tiles of a matrix
 * product would be nearly empty, so sums over kernel elements are taken directly, on bands of rows
 * (conv-band.ts) that make all of them alike: for result i of a band,
 *   forward      y[i]  = bias + Σ_k w[k] · x[i + offset[k]]
 *   grad input   the same with dy for x, for each remainder of rows and columns by the strides alone
 *   grad weight  dw[k] = Σ_i dy[i] · x[i + offset[k]]
 * Zeros around dy stand for what is no result: an infinity or NaN in x may make more elements
 * of its channel's dw NaN than those it takes part in.
 */
import { Area } from "./blocks";
import { Band, BLOCK, copy, copy_rows, copy_strided, interleave } from "./conv-band";
import { MOST_TAPS, pad_row, pad_whole, zeros } from "./conv-band";
import { Plan } from "./conv-plan";
import { F32x4 } from "./simd";

/** Kernel elements whose products are summed at a time. */
const DOTS: i32 = 9;

/** May the three kernels below be called? 0 where a row and its padding alone are too large. */
export function conv2d_direct_fits(p: usize): i32 {
  const plan = Plan.at(p);
  return i32(forward_band(plan, plan.channels, 1) && adjoint_band(plan));
}

/** The band for `planes` of x at a time, and `results` planes beside them; false where it has no room. */
export function forward_band(plan: Plan, planes: i32, results: i32): bool {
  const band = Band.mine;
  const farY = (plan.kernelHeight - 1) * plan.dilationY;
  const farX = (plan.kernelWidth - 1) * plan.dilationX;
  band.count = planes;
  band.height = plan.height;
  band.width = plan.width;
  band.strideY = plan.strideY;
  band.strideX = plan.strideX;
  band.phasesY = min(plan.strideY, farY + 1);
  band.phasesX = min(plan.strideX, farX + 1);
  band.padY = plan.padY;
  band.padX = plan.padX;
  band.height1 = plan.outHeight;
  band.columns = plan.outWidth;
  band.reachY = farY / plan.strideY;
  band.reachX = farX / plan.strideX;
  return band.cut(results, plan.taps);
}

/**
 * y = w ⋆ x + bias with w [groups · filters, taps], bias [groups · filters] or 0.
 * [begin, end) counts result planes: images · groups · filters.
 */
export function conv2d_direct_f32(
  p: usize,
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const band = Band.mine;
  forward_band(plan, plan.channels, 1);
  const all = plan.groups * plan.filters;
  const table = Band.table;
  const tableEnd = table + ((<usize>plan.taps) << 3);
  forward_places(plan, band, plan.channels, table + 4, 8);
  for (let job = begin; job < end; job++) {
    const image = job / all;
    const filter = job - image * all;
    const from = x + plan.plane * ((image * plan.groups + filter / plan.filters) * plan.channels);
    const start: f32 = bias ? load<f32>(bias + ((<usize>filter) << 2)) : 0;
    copy_strided(table, 8, w + ((<usize>(filter * plan.taps)) << 2), 4, plan.taps);
    let to = y + ((<usize>job * plan.pixels) << 2);
    for (let y0 = 0; y0 < plan.outHeight; y0 += band.rows) {
      const n = min(band.rows, plan.outHeight - y0);
      band.fill(from, plan.plane, y0, n);
      correlate(band.results, n * band.pitch, table, tableEnd, start);
      copy_rows(to, band.results, band.pitch, plan.outWidth, n);
      to += (<usize>(n * plan.outWidth)) << 2;
    }
  }
}

/** Where each kernel element meets the first result in the copied planes; written `step` bytes apart. */
export function forward_places(
  plan: Plan,
  band: Band,
  channels: i32,
  to: usize,
  step: usize,
): void {
  const plane = band.size * (band.phasesY * band.phasesX);
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < plan.kernelHeight; r++) {
      for (let s = 0; s < plan.kernelWidth; s++) {
        const place = band.place(r * plan.dilationY, s * plan.dilationX);
        store<u32>(to, <u32>(Band.planes + plane * c + place));
        to += step;
      }
    }
  }
}

/** y[i] = start + Σ over the table of weight · (number i from the place on), for i < n rounded up to whole blocks. */
function correlate(y: usize, n: i32, table: usize, tableEnd: usize, start: f32): void {
  const end = (<usize>n) << 2;
  for (let i: usize = 0; i < end; i += (<usize>BLOCK) << 2) {
    correlate_block(i, y + i, table, tableEnd, start);
  }
}

function correlate_block(i: usize, y: usize, table: usize, tableEnd: usize, start: f32): void {
  let y0 = f32x4.splat(start);
  let y1 = y0;
  let y2 = y0;
  let y3 = y0;
  let y4 = y0;
  let y5 = y0;
  let y6 = y0;
  let y7 = y0;
  while (table < tableEnd) {
    const w = v128.load32_splat(table);
    const from = i + <usize>load<u32>(table, 4);
    y0 = F32x4.fma(w, v128.load(from), y0);
    y1 = F32x4.fma(w, v128.load(from, 16), y1);
    y2 = F32x4.fma(w, v128.load(from, 32), y2);
    y3 = F32x4.fma(w, v128.load(from, 48), y3);
    y4 = F32x4.fma(w, v128.load(from, 64), y4);
    y5 = F32x4.fma(w, v128.load(from, 80), y5);
    y6 = F32x4.fma(w, v128.load(from, 96), y6);
    y7 = F32x4.fma(w, v128.load(from, 112), y7);
    table += 8;
  }
  v128.store(y, y0);
  v128.store(y, y1, 16);
  v128.store(y, y2, 32);
  v128.store(y, y3, 48);
  v128.store(y, y4, 64);
  v128.store(y, y5, 80);
  v128.store(y, y6, 96);
  v128.store(y, y7, 112);
}

/** ⌊a / b⌋ */
function floor_div(a: i32, b: i32): i32 {
  const q = a / b;
  return q * b > a ? q - 1 : q;
}

/**
 * The band for planes of dy. Row i · stride + phase of dx takes kernel row r from dy's row i + ρ,
 * ρ = (phase + pad − r · dilation) / stride, where that is a whole number; pads are minus the least ρ.
 */
function adjoint_band(plan: Plan): bool {
  const band = Band.mine;
  band.count = plan.filters;
  band.height = plan.outHeight;
  band.width = plan.outWidth;
  band.strideY = band.strideX = band.phasesY = band.phasesX = 1;
  band.padY = -floor_div(plan.padY - (plan.kernelHeight - 1) * plan.dilationY, plan.strideY);
  band.padX = -floor_div(plan.padX - (plan.kernelWidth - 1) * plan.dilationX, plan.strideX);
  band.height1 = (plan.height + plan.strideY - 1) / plan.strideY;
  band.columns = (plan.width + plan.strideX - 1) / plan.strideX;
  band.reachY = (plan.strideY - 1 + plan.padY) / plan.strideY + band.padY;
  band.reachX = (plan.strideX - 1 + plan.padX) / plan.strideX + band.padX;
  return band.cut(plan.strideX, plan.filters * plan.kernelHeight * plan.kernelWidth);
}

/** dx = the adjoint of the convolution at dy. [begin, end) counts planes of dx: images · groups · channels. */
export function conv2d_direct_grad_input_f32(
  p: usize,
  dy: usize,
  w: usize,
  dx: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const band = Band.mine;
  adjoint_band(plan);
  const planeBytes = (<usize>plan.pixels) << 2;
  const area = plan.kernelHeight * plan.kernelWidth;
  for (let job = begin; job < end; job++) {
    const ig = job / plan.channels; // image · groups + group
    const channel = job - ig * plan.channels;
    const first = (ig % plan.groups) * plan.filters * plan.channels + channel;
    const taps = w + ((<usize>(first * area)) << 2);
    const from = dy + planeBytes * (ig * plan.filters);
    const to = dx + plan.plane * job;
    for (let y0 = 0; y0 < band.height1; y0 += band.rows) {
      const n = min(band.rows, band.height1 - y0);
      band.fill(from, planeBytes, y0, n);
      for (let fy = 0; fy < plan.strideY; fy++) {
        let result = band.results;
        for (let fx = 0; fx < plan.strideX; fx++) {
          const tableEnd = adjoint_table(plan, band, taps, fy, fx);
          correlate(result, n * band.pitch, Band.table, tableEnd, 0);
          result += band.resultSize;
        }
        spread(plan, band, to, y0 * plan.strideY + fy, n);
      }
    }
  }
}

/** The kernel elements for rows and columns of those remainders; gives the table's end. */
function adjoint_table(plan: Plan, band: Band, w: usize, fy: i32, fx: i32): usize {
  const fromFilter = (<usize>plan.taps) << 2;
  let to = Band.table;
  for (let f = 0; f < plan.filters; f++) {
    for (let r = 0; r < plan.kernelHeight; r++) {
      const y = fy + plan.padY - r * plan.dilationY;
      const row = y / plan.strideY;
      if (row * plan.strideY != y) continue;
      const before = (row + band.padY) * band.pitch + band.padX;
      for (let s = 0; s < plan.kernelWidth; s++) {
        const x = fx + plan.padX - s * plan.dilationX;
        const column = x / plan.strideX;
        if (column * plan.strideX != x) continue;
        const place = band.size * f + ((<usize>(before + column)) << 2);
        store<f32>(to, load<f32>(w + ((<usize>(r * plan.kernelWidth + s)) << 2)));
        store<u32>(to, <u32>(Band.planes + place), 4);
        to += 8;
      }
    }
    w += fromFilter;
  }
  return to;
}

/** Writes rows y, y + stride, … of dx from the planes of results: one for each remainder of columns. */
function spread(plan: Plan, band: Band, dx: usize, y: i32, n: i32): void {
  const step = plan.strideX;
  let row = band.results;
  if (step == 1 && plan.strideY == 1) {
    copy_rows(dx + ((<usize>(y * plan.width)) << 2), row, band.pitch, plan.width, n);
    return;
  }
  for (; n > 0 && y < plan.height; n--) {
    const to = dx + ((<usize>(y * plan.width)) << 2);
    if (step == 1) {
      copy(to, row, plan.width);
    } else if (step == 2) {
      interleave(to, row, row + band.resultSize, plan.width);
    } else {
      for (let f = 0; f < min(step, plan.width); f++) {
        const columns = (plan.width - f + step - 1) / step;
        const from = row + band.resultSize * f;
        copy_strided(to + ((<usize>f) << 2), (<usize>step) << 2, from, 4, columns);
      }
    }
    row += (<usize>band.pitch) << 2;
    y += plan.strideY;
  }
}

/**
 * dw [groups · filters, taps] = Σ over images and pixels of dy · x, float32 within a band, float64 over bands.
 * [begin, end) counts planes of dw: groups · filters · channels.
 */
export function conv2d_direct_grad_weight_f32(
  p: usize,
  x: usize,
  dy: usize,
  dw: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const band = Band.mine;
  forward_band(plan, 1, 1);
  const all = plan.groups * plan.filters;
  const area = plan.kernelHeight * plan.kernelWidth;
  const planeBytes = (<usize>plan.pixels) << 2;
  const sums = Band.table; // two float64 per kernel element
  const places = Band.places;
  forward_places(plan, band, 1, places, 4);
  // The last group repeats the last element.
  for (let k = area; k % DOTS; k++) {
    const at = places + ((<usize>k) << 2);
    store<u32>(at, load<u32>(at - 4));
  }
  const most = max(1, MOST_TAPS / area); // planes of dw whose sums have room
  for (; begin < end; begin += most) {
    const last = min(end, begin + most);
    memory.fill(sums, 0, (<usize>((last - begin) * area)) << 4);
    for (let image = 0; image < plan.images; image++) {
      let to = sums;
      for (let job = begin; job < last; job++) {
        const filter = job / plan.channels;
        const channel = (filter / plan.filters) * plan.channels + (job - filter * plan.channels);
        const from = x + plan.plane * (image * plan.groups * plan.channels + channel);
        add_plane(plan, band, from, dy + planeBytes * (image * all + filter), to);
        to += (<usize>area) << 4;
      }
    }
    let to = dw + ((<usize>(begin * area)) << 2);
    const sumsEnd = sums + ((<usize>((last - begin) * area)) << 4);
    for (let at = sums; at < sumsEnd; at += 16) {
      store<f32>(to, <f32>(load<f64>(at) + load<f64>(at, 8)));
      to += 4;
    }
  }
}

/** sums += what one plane of x and one of dy contribute. */
function add_plane(plan: Plan, band: Band, x: usize, dy: usize, sums: usize): void {
  const area = plan.kernelHeight * plan.kernelWidth;
  const places = Band.places;
  for (let y0 = 0; y0 < plan.outHeight; y0 += band.rows) {
    const n = min(band.rows, plan.outHeight - y0);
    band.fill(x, 0, y0, n);
    fill_given(plan, band, dy, y0, n);
    const numbers = (n - 1) * band.pitch + plan.outWidth;
    for (let k = 0; k < area; k += DOTS) {
      const at = sums + ((<usize>k) << 4);
      add_dots(places + ((<usize>k) << 2), band.results, numbers, at, min(DOTS, area - k));
    }
  }
}

/** dy's rows, as far apart as those of the band. */
function fill_given(plan: Plan, band: Band, dy: usize, y0: i32, n: i32): void {
  const width = (<usize>plan.outWidth) << 2;
  const bytes = (<usize>band.pitch) << 2;
  let to = band.results;
  let from = dy + width * y0;
  for (let y = y0; y < y0 + n; y++) {
    const wide = y + 1 < plan.outHeight && plan.outWidth > 3;
    if (wide) pad_whole(to, to, to + width, to + bytes, from);
    else pad_row(to, to, to + width, to + bytes, from, 1);
    to += bytes;
    from += width;
  }
  zeros(to, to + ((<usize>BLOCK) << 2));
}

/** sums[j] += Σ_{i < n} y[i] · x[j][i], for `count` of DOTS places x. */
function add_dots(x: usize, y: usize, n: i32, sums: usize, count: i32): void {
  let found = Area.tile;
  dots(x, y, n, found);
  for (; count > 0; count--) {
    const v = v128.load(found);
    v128.store(sums, f64x2.add(v128.load(sums), f64x2.add(F32x4.low(v), F32x4.high(v))));
    found += 16;
    sums += 16;
  }
}

/** to[j] = Σ_{i < n} y[i] · x[j][i], in four lanes, for the nine places x. */
function dots(x: usize, y: usize, n: i32, to: usize): void {
  const x0 = <usize>load<u32>(x);
  const x1 = <usize>load<u32>(x, 4);
  const x2 = <usize>load<u32>(x, 8);
  const x3 = <usize>load<u32>(x, 12);
  const x4 = <usize>load<u32>(x, 16);
  const x5 = <usize>load<u32>(x, 20);
  const x6 = <usize>load<u32>(x, 24);
  const x7 = <usize>load<u32>(x, 28);
  const x8 = <usize>load<u32>(x, 32);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let s6 = s0;
  let s7 = s0;
  let s8 = s0;
  const end = (<usize>n) << 2;
  // Twice: the second half shares its addresses with the first.
  for (let i: usize = 0; i < end; i += 32) {
    const v = v128.load(y + i);
    const u = v128.load(y + i, 16);
    const p0 = x0 + i;
    s0 = F32x4.fma(v, v128.load(p0), s0);
    s0 = F32x4.fma(u, v128.load(p0, 16), s0);
    const p1 = x1 + i;
    s1 = F32x4.fma(v, v128.load(p1), s1);
    s1 = F32x4.fma(u, v128.load(p1, 16), s1);
    const p2 = x2 + i;
    s2 = F32x4.fma(v, v128.load(p2), s2);
    s2 = F32x4.fma(u, v128.load(p2, 16), s2);
    const p3 = x3 + i;
    s3 = F32x4.fma(v, v128.load(p3), s3);
    s3 = F32x4.fma(u, v128.load(p3, 16), s3);
    const p4 = x4 + i;
    s4 = F32x4.fma(v, v128.load(p4), s4);
    s4 = F32x4.fma(u, v128.load(p4, 16), s4);
    const p5 = x5 + i;
    s5 = F32x4.fma(v, v128.load(p5), s5);
    s5 = F32x4.fma(u, v128.load(p5, 16), s5);
    const p6 = x6 + i;
    s6 = F32x4.fma(v, v128.load(p6), s6);
    s6 = F32x4.fma(u, v128.load(p6, 16), s6);
    const p7 = x7 + i;
    s7 = F32x4.fma(v, v128.load(p7), s7);
    s7 = F32x4.fma(u, v128.load(p7, 16), s7);
    const p8 = x8 + i;
    s8 = F32x4.fma(v, v128.load(p8), s8);
    s8 = F32x4.fma(u, v128.load(p8, 16), s8);
  }
  v128.store(to, s0);
  v128.store(to, s1, 16);
  v128.store(to, s2, 32);
  v128.store(to, s3, 48);
  v128.store(to, s4, 64);
  v128.store(to, s5, 80);
  v128.store(to, s6, 96);
  v128.store(to, s7, 112);
  v128.store(to, s8, 128);
}
