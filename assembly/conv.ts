/**
 * 2-d convolution (cross-correlation) as matrix products that read NCHW images in place:
 *   forward      y[o, p]  = bias[o] + Σ_k w[o, k] · x̂[k, p]
 *   grad input   ĉ[k, p] = Σ_o w[o, k] · dy[o, p], scattered onto dx
 *   grad weight  dw[o, k] = Σ_p dy[o, p] · x̂[k, p]
 * k runs over (channel, kernel row, kernel column) of a group, p over the pixels of the result,
 * x̂[k, p] is the input under kernel element k at pixel p, 0 in the padding. x̂ is never stored:
 * panels of it are packed as the tiles need them.
 *
 * What is added to what, and in which order, depends on shapes alone.
 */
import { Area, block_depth, COLUMNS, ROWS } from "./blocks";
import { job_pixels, padded_rows, Plan } from "./conv-plan";
import { multiply, ZEROS } from "./tile";

export { conv2d_pack_f32, conv2d_plan } from "./conv-plan";
export * from "./conv-direct";
export * from "./conv-grad";
export * from "./conv-thin";
export * from "./conv-thin-grad";

/** Jobs of conv2d_f32. */
export function conv2d_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const perPlane = job_pixels(plan.pixels);
  return plan.images * plan.groups * ((plan.pixels + perPlane - 1) / perPlane);
}

/** out[i][8] = bias[i] eight times, for filters [begin, end): the `bias` of conv2d_f32. */
export function conv2d_bias_f32(bias: usize, out: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    const v = v128.load32_splat(bias + (i << 2));
    v128.store(out + (i << 5), v);
    v128.store(out + (i << 5) + 16, v);
  }
}

/**
 * y = w ⋆ x + bias. `w` from conv2d_pack_f32, `bias` from conv2d_bias_f32 or 0.
 * [begin, end) of conv2d_jobs(plan).
 */
export function conv2d_f32(
  p: usize,
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const taps = plan.taps;
  const filters = plan.filters;
  const pixels = plan.pixels;
  const perJob = job_pixels(pixels);
  const perPlane = (pixels + perJob - 1) / perJob;
  const depth = block_depth(taps);
  const padded = padded_rows(filters);
  const ldc = (<usize>pixels) << 2;
  const low = x;
  const high = x + <usize>(plan.images * plan.groups * plan.channels) * plan.plane;
  for (let job = begin; job < end; job++) {
    const ig = job / perPlane; // image · groups + group
    const group = ig % plan.groups;
    const first = (job - ig * perPlane) * perJob;
    const columns = min(perJob, pixels - first);
    const image = x + <usize>(ig * plan.channels) * plan.plane;
    const to = y + ((<usize>(ig * filters) * pixels + first) << 2);
    let panels = w + ((<usize>(group * padded) * taps) << 2);
    let q = 0;
    do {
      const d = min(depth, taps - q);
      pack_pixels(plan, image, low, high, q, d, first, columns, Area.right);
      let init = to;
      let ldi = ldc;
      let ij: usize = 4;
      if (q == 0) {
        init = bias ? bias + ((<usize>(group * filters)) << 5) : ZEROS;
        ldi = bias ? 32 : 0;
        ij = 0;
      }
      // prettier-ignore
      multiply(filters, columns, d, panels, (d * ROWS) << 2, ROWS << 2, Area.right, d << 5, 32,
        to, ldc, init, ldi, ij);
      panels += (<usize>(d * padded)) << 2;
      q += d;
    } while (q < taps);
  }
}

/**
 * out[panel][d][8] = x̂[q + i, first + p] for n pixels of one image and group. Missing pixels of
 * the last panel become zeros.
 */
function pack_pixels(
  plan: Plan,
  image: usize,
  low: usize,
  high: usize,
  q: i32,
  d: i32,
  first: i32,
  n: i32,
  out: usize,
): void {
  const width = plan.width;
  const height = plan.height;
  const area = plan.kernelHeight * plan.kernelWidth;
  const plane = plan.plane;
  const whole = d == area * plan.channels;
  // Of the panel's 8 pixels at kernel element 0: offset in the plane, row, column, in first run?
  const at = Area.tile;
  for (let s = 0; s < n; s += COLUMNS) {
    const runs = locate(plan, first + s, min(COLUMNS, n - s), at);
    const begin = load<i32>(at);
    const end = load<i32>(at, 28) - 7;
    for (let r = 0, e = 0; r < plan.kernelHeight; r++) {
      const dy = r * plan.dilationY;
      for (let t = 0; t < plan.kernelWidth; t++, e++) {
        const dx = t * plan.dilationX;
        // Channels c for which tap c·area + e is in [q, q + d).
        let c = 0;
        let count = plan.channels;
        if (!whole) {
          c = q > e ? (q - e + area - 1) / area : 0;
          const left = q + d - c * area - e;
          if (left <= 0) continue;
          count = (left + area - 1) / area;
        }
        const inY0 = i32x4.lt_u(i32x4.add(v128.load(at, 32), i32x4.splat(dy)), i32x4.splat(height));
        const inY1 = i32x4.lt_u(i32x4.add(v128.load(at, 48), i32x4.splat(dy)), i32x4.splat(height));
        const inX0 = i32x4.lt_u(i32x4.add(v128.load(at, 64), i32x4.splat(dx)), i32x4.splat(width));
        const inX1 = i32x4.lt_u(i32x4.add(v128.load(at, 80), i32x4.splat(dx)), i32x4.splat(width));
        const valid0 = v128.and(inY0, inX0);
        const valid1 = v128.and(inY1, inX1);
        const mask = i32x4.bitmask(valid0) | (i32x4.bitmask(valid1) << 4);
        const to = out + ((<usize>(c * area + e - q)) << 5);
        const step = (<usize>area) << 5;
        const origin = image + plane * c + ((dy * width + dx) << 2);
        const one = origin + (begin << 2);
        const two = origin + (end << 2);
        const reach = plane * (count - 1) + 32;
        if (mask == 0) copy_none(to, step, count);
        else if (runs == 1 && mask == 255) copy_vectors(one, plane, to, step, count);
        else if (runs <= 2 && min(one, two) >= low && max(one, two) + reach <= high) {
          copy_runs(one, two, plane, to, step, count, at + 96, valid0, valid1);
        } else {
          for (let i = 0; i < COLUMNS; i++) {
            if ((mask >> i) & 1) {
              const from = origin + (load<i32>(at + (i << 2)) << 2);
              copy_column(from, plane, to + (i << 2), step, count);
            } else zero_column(to + (i << 2), step, count);
          }
        }
      }
    }
    out += (<usize>d) << 5;
  }
}

/**
 * Where the m ≤ 8 pixels from `pixel` on (and those after them, 8 in all) are in the input.
 * Returns of how many contiguous runs they consist, 3 meaning more than two.
 */
function locate(plan: Plan, pixel: i32, m: i32, at: usize): i32 {
  let oy = pixel / plan.outWidth;
  let ox = pixel - oy * plan.outWidth;
  let runs = 1;
  let previous = 0;
  for (let i = 0; i < COLUMNS; i++) {
    const iy = oy * plan.strideY - plan.padY;
    const ix = ox * plan.strideX - plan.padX;
    const offset = iy * plan.width + ix;
    if (i > 0 && offset != previous + 1) runs++;
    previous = offset;
    const to = at + (i << 2);
    store<i32>(to, offset);
    store<i32>(to, iy, 32);
    store<i32>(to, i < m ? ix : i32.MIN_VALUE >> 1, 64);
    store<i32>(to, runs == 1 ? -1 : 0, 96);
    if (++ox == plan.outWidth) {
      ox = 0;
      oy++;
    }
  }
  return min(runs, 3);
}

function copy_none(to: usize, step: usize, count: i32): void {
  for (let c = 0; c < count; c++) {
    v128.store(to, f32x4.splat(0));
    v128.store(to, f32x4.splat(0), 16);
    to += step;
  }
}

function copy_vectors(from: usize, plane: usize, to: usize, step: usize, count: i32): void {
  for (let c = 0; c < count; c++) {
    const v0 = v128.load(from);
    const v1 = v128.load(from, 16);
    v128.store(to, v0);
    v128.store(to, v1, 16);
    from += plane;
    to += step;
  }
}

/** Lanes of the first run from `one`, the others from `two`; 0 where not valid. */
function copy_runs(
  one: usize,
  two: usize,
  plane: usize,
  to: usize,
  step: usize,
  count: i32,
  first: usize,
  valid0: v128,
  valid1: v128,
): void {
  const first0 = v128.load(first);
  const first1 = v128.load(first, 16);
  for (let c = 0; c < count; c++) {
    const v0 = v128.bitselect(v128.load(one), v128.load(two), first0);
    const v1 = v128.bitselect(v128.load(one, 16), v128.load(two, 16), first1);
    v128.store(to, v128.and(v0, valid0));
    v128.store(to, v128.and(v1, valid1), 16);
    one += plane;
    two += plane;
    to += step;
  }
}

function copy_column(from: usize, plane: usize, to: usize, step: usize, count: i32): void {
  for (let c = 0; c < count; c++) {
    store<f32>(to, load<f32>(from));
    from += plane;
    to += step;
  }
}

function zero_column(to: usize, step: usize, count: i32): void {
  for (let c = 0; c < count; c++) {
    store<f32>(to, 0);
    to += step;
  }
}
