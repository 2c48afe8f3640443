/** The gradients of a convolution: see conv.ts. */
import { Area, block_depth, COLUMNS, KC, MC, ROWS } from "./blocks";
import { job_pixels, padded_rows, Plan } from "./conv-plan";
import { pack_left, pack_right } from "./pack";
import { multiply, ZEROS } from "./tile";

/** Channels of a grad-input job at most. */
const JOB_CHANNELS: i32 = 36;

/** Channels cut evenly into jobs, each a multiple of ROWS so that its taps begin with a panel. */
function job_channels(channels: i32): i32 {
  const jobs = (channels + JOB_CHANNELS - 1) / JOB_CHANNELS;
  return jobs > 1 ? padded_rows((channels + jobs - 1) / jobs) : JOB_CHANNELS;
}

/** Jobs of conv2d_grad_input_f32. */
export function conv2d_grad_input_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const perJob = job_channels(plan.channels);
  return plan.images * plan.groups * ((plan.channels + perJob - 1) / perJob);
}

/**
 * dx = the adjoint of the convolution at dy. `w` from conv2d_pack_f32 with `transposed`.
 * [begin, end) of conv2d_grad_input_jobs(plan); each job writes some channels of one image.
 */
export function conv2d_grad_input_f32(
  p: usize,
  dy: usize,
  w: usize,
  dx: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const taps = plan.taps;
  const filters = plan.filters;
  const pixels = plan.pixels;
  const plane = plan.plane;
  const area = plan.kernelHeight * plan.kernelWidth;
  const perJob = job_channels(plan.channels);
  const jobs = (plan.channels + perJob - 1) / perJob;
  const perPart = job_pixels(pixels);
  const depth = block_depth(filters);
  const padded = padded_rows(taps);
  const rowBytes = (<usize>pixels) << 2;
  const sums = Area.rest; // [MC][perPart]
  for (let job = begin; job < end; job++) {
    const ig = job / jobs;
    const channel = (job - ig * jobs) * perJob;
    const channels = min(perJob, plan.channels - channel);
    const panels = w + ((<usize>(ig % plan.groups) * padded * filters) << 2);
    const from = dy + <usize>(ig * filters) * rowBytes;
    const image = dx + <usize>(ig * plan.channels) * plane;
    memory.fill(image + <usize>channel * plane, 0, <usize>channels * plane);
    if (filters == 0) continue;
    const tapEnd = (channel + channels) * area;
    for (let s = 0; s < pixels; s += perPart) {
      const n = min(perPart, pixels - s);
      const ldc = (<usize>n) << 2;
      for (let t = channel * area; t < tapEnd; t += MC) {
        const rows = min(MC, tapEnd - t);
        for (let q = 0; q < filters; q += depth) {
          const d = min(depth, filters - q);
          if (t == channel * area || d < filters) {
            pack_right(from + rowBytes * q + (s << 2), rowBytes, 4, d, n, Area.right, d << 5);
          }
          const init = q ? sums : ZEROS;
          // prettier-ignore
          multiply(rows, n, d, panels + (<usize>(q * padded + t * d) << 2), (d * ROWS) << 2,
            ROWS << 2, Area.right, d << 5, 32, sums, ldc, init, q ? ldc : 0, q ? 4 : 0);
        }
        for (let i = 0; i < rows; i++) scatter(plan, image, t + i, s, n, sums + ldc * i);
      }
    }
  }
}

/** Adds the sums of tap k at n pixels from `first` on to the places of dx they came from. */
function scatter(plan: Plan, image: usize, k: i32, first: i32, n: i32, sums: usize): void {
  const area = plan.kernelHeight * plan.kernelWidth;
  const c = k / area;
  const e = k - c * area;
  const r = e / plan.kernelWidth;
  const y0 = r * plan.dilationY - plan.padY;
  const x0 = (e - r * plan.kernelWidth) * plan.dilationX - plan.padX;
  const width = plan.width;
  const stride = plan.strideX;
  const outWidth = plan.outWidth;
  // Result columns whose place is inside the row: [lo, hi).
  const lo = plan.firstColumn(x0);
  const hi = plan.lastColumn(x0);
  const base = image + <usize>c * plan.plane;
  let oy = first / outWidth;
  let ox = first - oy * outWidth;
  const end = first + n;
  let p = first;
  while (p < end) {
    const iy = oy * plan.strideY + y0;
    const rowEnd = min(outWidth, ox + end - p);
    const from = max(lo, ox);
    const count = min(hi, rowEnd) - from;
    if (<u32>iy < <u32>plan.height && count > 0) {
      const to = base + ((iy * width + from * stride + x0) << 2);
      const source = sums + ((p - first + from - ox) << 2);
      if (stride == 1) add_row(to, source, count);
      else add_strided(to, (<usize>stride) << 2, source, count);
    }
    p += rowEnd - ox;
    ox = 0;
    oy++;
  }
}

function add_row(to: usize, from: usize, n: i32): void {
  const end = from + ((<usize>n) << 2);
  while (from + 16 <= end) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  while (from < end) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}

function add_strided(to: usize, step: usize, from: usize, n: i32): void {
  const end = from + ((<usize>n) << 2);
  while (from < end) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += step;
    from += 4;
  }
}

/** Taps of a grad-weight job. */
const JOB_TAPS: i32 = 256;

/**
 * The images are cut into this many parts, each summed on its own: enough for 16 jobs, and no
 * more than 8 parts or images.
 */
export function conv2d_grad_weight_parts(p: usize): i32 {
  const plan = Plan.at(p);
  const jobs = max(1, plan.groups * ((plan.taps + JOB_TAPS - 1) / JOB_TAPS));
  return max(1, min(min(8, plan.images), (16 + jobs - 1) / jobs));
}

/** Jobs of conv2d_grad_weight_f32. */
export function conv2d_grad_weight_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const jobs = plan.groups * ((plan.taps + JOB_TAPS - 1) / JOB_TAPS);
  return conv2d_grad_weight_parts(p) * jobs;
}

/**
 * out[part] = the sum over the part's images of dy · x̂ᵀ: `parts` arrays like the weight, to be
 * added by conv2d_grad_weight_sum_f32. [begin, end) of conv2d_grad_weight_jobs(plan).
 */
export function conv2d_grad_weight_f32(
  p: usize,
  x: usize,
  dy: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const taps = plan.taps;
  const filters = plan.filters;
  const pixels = plan.pixels;
  const perGroup = (taps + JOB_TAPS - 1) / JOB_TAPS;
  const parts = conv2d_grad_weight_parts(p);
  const ldc = (<usize>taps) << 2;
  for (let job = begin; job < end; job++) {
    const tapJob = job % perGroup;
    const rest = job / perGroup;
    const group = rest % plan.groups;
    const part = rest / plan.groups;
    const first = tapJob * JOB_TAPS;
    const columns = min(JOB_TAPS, taps - first);
    const to = out + ((<usize>((part * plan.groups + group) * filters) * taps + first) << 2);
    // Whole parts: images [from, until).
    const from = <i32>((<i64>plan.images * part) / parts);
    const until = <i32>((<i64>plan.images * (part + 1)) / parts);
    if (from == until || pixels == 0) {
      for (let i = 0; i < filters; i++) memory.fill(to + ldc * i, 0, (<usize>columns) << 2);
      continue;
    }
    // Small planes share a block of k, large ones are cut evenly.
    const together = max(1, KC / pixels);
    const depth = block_depth(pixels);
    for (let image = from; image < until; image += together) {
      const count = min(together, until - image);
      for (let s = 0; s < pixels; s += depth) {
        const d = min(depth, pixels - s);
        const k = d * count;
        for (let i = 0; i < count; i++) {
          const xi = x + <usize>(((image + i) * plan.groups + group) * plan.channels) * plan.plane;
          pack_taps(plan, xi, first, columns, s, d, Area.right + ((<usize>(i * d)) << 5), k << 5);
        }
        for (let f = 0; f < filters; f += MC) {
          const rows = min(MC, filters - f);
          for (let i = 0; i < count; i++) {
            const row = ((image + i) * plan.groups + group) * filters + f;
            const a = dy + ((<usize>row * pixels + s) << 2);
            const left = Area.left + <usize>(i * d * ROWS) * 4;
            pack_left(a, (<usize>pixels) << 2, 4, rows, d, left, (k * ROWS) << 2);
          }
          const c = to + ldc * f;
          const fresh = image == from && s == 0;
          // prettier-ignore
          multiply(rows, columns, k, Area.left, (k * ROWS) << 2, ROWS << 2, Area.right, k << 5, 32,
            c, ldc, fresh ? ZEROS : c, fresh ? 0 : ldc, fresh ? 0 : 4);
        }
      }
    }
  }
}

/** out[panel][d][8] = x̂[first + panel·8 + i, s + p] for d pixels. Missing taps of the last
 * panel repeat its last one: their sums are dropped. */
function pack_taps(
  plan: Plan,
  image: usize,
  first: i32,
  columns: i32,
  s: i32,
  d: i32,
  out: usize,
  panel: usize,
): void {
  const area = plan.kernelHeight * plan.kernelWidth;
  const width = plan.width;
  const at = Area.tile; // per tap: address of its plane's origin, row and column offset
  for (let j = 0; j < columns; j += COLUMNS) {
    const m = min(COLUMNS, columns - j);
    let top = i32.MIN_VALUE;
    let bottom = i32.MAX_VALUE;
    let left = i32.MIN_VALUE;
    let right = i32.MAX_VALUE;
    for (let i = 0; i < COLUMNS; i++) {
      const k = first + j + min(i, m - 1);
      const c = k / area;
      const r = (k - c * area) / plan.kernelWidth;
      const y = r * plan.dilationY - plan.padY;
      const x = (k - c * area - r * plan.kernelWidth) * plan.dilationX - plan.padX;
      store<usize>(at + (i << 4), image + <usize>c * plan.plane);
      store<i32>(at + (i << 4), y, 4);
      store<i32>(at + (i << 4), x, 8);
      top = max(top, -y);
      bottom = min(bottom, plan.height - y);
      left = max(left, -x);
      right = min(right, width - x);
    }
    let p = 0;
    let oy = s / plan.outWidth;
    let ox = s - oy * plan.outWidth;
    while (p < d) {
      const count = min(d - p, plan.outWidth - ox);
      const iy = oy * plan.strideY;
      const to = out + ((<usize>p) << 5);
      let done = 0;
      if (plan.strideX == 1 && iy >= top && iy < bottom) {
        // All eight taps read inside the image for result columns [left, right).
        const lo = min(count, max(0, left - ox));
        const hi = min(count, right - ox);
        if (hi - lo >= 4) {
          gather_checked(plan, oy, ox, lo, to);
          gather_vectors(at, width, iy, ox + lo, (hi - lo) >> 2, to + ((<usize>lo) << 5));
          // What is left over: four columns that end at hi, some of them again.
          if ((hi - lo) & 3) {
            gather_vectors(at, width, iy, ox + hi - 4, 1, to + ((<usize>(hi - 4)) << 5));
          }
          done = hi;
        }
      }
      gather_checked(plan, oy, ox + done, count - done, to + ((<usize>done) << 5));
      p += count;
      ox = 0;
      oy++;
    }
    out += panel;
  }
}

/** One result pixel after the other, each tap checked against the image's borders. */
function gather_checked(plan: Plan, oy: i32, ox: i32, count: i32, to: usize): void {
  const at = Area.tile;
  for (let p = 0; p < count; p++) {
    const iy = oy * plan.strideY;
    const ix = (ox + p) * plan.strideX;
    for (let i = 0; i < COLUMNS; i++) {
      let v: f32 = 0;
      const y = iy + load<i32>(at + (i << 4), 4);
      const x = ix + load<i32>(at + (i << 4), 8);
      if (<u32>y < <u32>plan.height && <u32>x < <u32>plan.width) {
        v = load<f32>(load<usize>(at + (i << 4)) + ((y * plan.width + x) << 2));
      }
      store<f32>(to + (i << 2), v);
    }
    to += 32;
  }
}

function gather_vectors(at: usize, width: i32, iy: i32, ix: i32, steps: i32, to: usize): void {
  for (let h = 0; h < 2; h++) {
    gather4(
      tap_address(at, width, iy, ix),
      tap_address(at + 16, width, iy, ix),
      tap_address(at + 32, width, iy, ix),
      tap_address(at + 48, width, iy, ix),
      steps,
      to,
    );
    at += 64;
    to += 16;
  }
}

function tap_address(at: usize, width: i32, iy: i32, ix: i32): usize {
  return load<usize>(at) + (((iy + load<i32>(at, 4)) * width + ix + load<i32>(at, 8)) << 2);
}

/** Four contiguous rows transposed into every 32 bytes of `to`. */
function gather4(a0: usize, a1: usize, a2: usize, a3: usize, steps: i32, to: usize): void {
  for (let i = 0; i < steps; i++) {
    const v0 = v128.load(a0);
    const v1 = v128.load(a1);
    const v2 = v128.load(a2);
    const v3 = v128.load(a3);
    const x0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const x1 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const y0 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const y1 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    v128.store(to, i64x2.shuffle(x0, y0, 0, 2));
    v128.store(to, i64x2.shuffle(x0, y0, 1, 3), 32);
    v128.store(to, i64x2.shuffle(x1, y1, 0, 2), 64);
    v128.store(to, i64x2.shuffle(x1, y1, 1, 3), 96);
    a0 += 16;
    a1 += 16;
    a2 += 16;
    a3 += 16;
    to += 128;
  }
}

/** dw[i] = Σ parts[j][i] in order, for elements [begin, end); parts are `size` elements apart. */
export function conv2d_grad_weight_sum_f32(
  parts: usize,
  count: i32,
  size: i32,
  dw: usize,
  begin: i32,
  end: i32,
): void {
  const step = (<usize>size) << 2;
  for (let i = begin; i < end; i++) {
    let from = parts + (i << 2);
    let sum = load<f32>(from);
    for (let j = 1; j < count; j++) {
      from += step;
      sum += load<f32>(from);
    }
    store<f32>(dw + (i << 2), sum);
  }
}
