/**
 * 2-d convolutions with kernels of 3 × 3, stride and dilation 1, by Winograd's F(2 × 2, 3 × 3): 2.25 times
 * fewer products, and no larger error than a plain sum. Where the error of F(4 × 4, 3 × 3) matters:
 * the gradient with respect to the input, as the convolution of dy with the filters turned round.
 * (Its errors do not average out over a batch, as all images share the filters' transform. On
 * images with a constant background, sums over the batch that nearly cancel then show them.)
 *
 * A job takes a block of tiles through all stages in the thread's scratch memory, as in winograd.ts:
 *   [ tiles | workspace | V: 16 × (channels × tiles) | M: 16 × (filters × tiles) ]
 */
import { COLUMNS, ROWS } from "./blocks";
import { padded_rows, Plan } from "./conv-plan";
import { scratch, SCRATCH_BYTES } from "./scratch";
import { F32x4 } from "./simd";
import { multiply, ZEROS } from "./tile";
import { SmallData, SmallResult } from "./winograd-lines";
import {
  locate_tiles,
  PATCH,
  patch_input,
  TILE,
  Tile,
  tiles_of,
  WORKSPACE,
} from "./winograd-tiles";

const FREQUENCIES: usize = 16;
const SIZE: i32 = 2;
const GAP: usize = 64;
const RESERVED: usize = 1024;
/** Of V and M in a block: a part of a common L2. */
const BLOCK_BYTES: usize = 1 << 20;
const BLOCK_TILES: i32 = 192;

/** Is this the build whose gradients with respect to the input take this form? */
export function conv2d_winograd_small(): i32 {
  return i32(!F32x4.FUSED);
}

/** Tiles of a block: all, cut evenly into several, each a multiple of 8. */
function block_tiles(plan: Plan): i32 {
  const all = plan.images * tiles_of(plan, SIZE);
  const perTile = FREQUENCIES * 4 * (plan.channels + plan.filters);
  const fitting = <i32>(BLOCK_BYTES / perTile);
  const most = max(COLUMNS, min(min(BLOCK_TILES, fitting), (all + 7) >> 3) & ~7);
  const blocks = (all + most - 1) / most;
  return ((all + blocks - 1) / blocks + 7) & ~7;
}

/** Does the smallest block of this convolution fit the scratch memory? */
export function conv2d_winograd2_fits(p: usize): i32 {
  const plan = Plan.at(p);
  const perTile = FREQUENCIES * 4 * (plan.channels + plan.filters) + TILE;
  const need = perTile * COLUMNS + 2 * FREQUENCIES * GAP + WORKSPACE + RESERVED;
  return i32(need <= <usize>SCRATCH_BYTES);
}

/** Jobs of conv2d_winograd2_f32. */
export function conv2d_winograd2_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const perJob = block_tiles(plan);
  return plan.groups * ((plan.images * tiles_of(plan, SIZE) + perJob - 1) / perJob);
}

/**
 * U = G g Gᵀ of the filters w [groups · channels, filters, 3, 3] turned round, where channels and filters are
 * the plan's: those of the convolution that takes dy. out[group][frequency][panel][channels][gemm_rows],
 * a frequency takes channels · (filters, rounded up to gemm_rows) floats. [begin, end) counts
 * groups · channels.
 */
export function conv2d_winograd2_filters_f32(
  p: usize,
  w: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const k = plan.channels;
  const filters = plan.filters;
  const step = (<usize>(padded_rows(filters) * k)) << 2;
  const half = scratch(); // 3 × 4
  for (let i = begin; i < end; i++) {
    const group = i / k;
    const column = i - group * k;
    const to = out + <usize>group * FREQUENCIES * step;
    for (let row = 0; row < filters; row++) {
      const from = w + ((<usize>((i * filters + row) * 9)) << 2);
      for (let r = 0; r < 3; r++)
        filter_line(from + (2 - r) * 12 + 8, <usize>-4, half + (r << 4), 4);
      const panel = row / ROWS;
      const at = to + ((<usize>((panel * k + column) * ROWS + row - panel * ROWS)) << 2);
      for (let j = 0; j < 4; j++) filter_line(half + (j << 2), 16, at + step * j, step * 4);
    }
  }
}

/** G: three taps, `sf` bytes apart, to four frequencies, `st` bytes apart. */
function filter_line(from: usize, sf: usize, to: usize, st: usize): void {
  const g0 = load<f32>(from);
  const g1 = load<f32>(from + sf);
  const g2 = load<f32>(from + sf * 2);
  const even = (g0 + g2) * 0.5;
  const odd = g1 * 0.5;
  store<f32>(to, g0);
  store<f32>(to + st, even + odd);
  store<f32>(to + st * 2, even - odd);
  store<f32>(to + st * 3, g2);
}

/**
 * y = w ⋆ x, `u` from conv2d_winograd2_filters_f32. [begin, end) of conv2d_winograd2_jobs(plan).
 */
export function conv2d_winograd2_f32(
  p: usize,
  x: usize,
  u: usize,
  y: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const channels = plan.channels;
  const filters = plan.filters;
  const all = plan.images * tiles_of(plan, SIZE);
  const width = block_tiles(plan);
  const jobs = (all + width - 1) / width;
  const tiles = scratch() + RESERVED;
  const work = tiles + width * TILE;
  const v = work + WORKSPACE;
  const vs = ((<usize>(channels * width)) << 2) + GAP;
  const m = v + vs * FREQUENCIES;
  const ms = ((<usize>(filters * width)) << 2) + GAP;
  const us = (<usize>(padded_rows(filters) * channels)) << 2;
  const row = (<usize>width) << 2;
  const plane = (<usize>plan.pixels) << 2;
  for (let job = begin; job < end; job++) {
    const group = job / jobs;
    const first = (job - group * jobs) * width;
    const count = min(width, all - first);
    const padded = (count + 7) & ~7;
    locate_tiles(plan, group, first, count, padded, x, y, tiles, SIZE);
    for (let t = 0; t < padded; t += 4) {
      const to = v + ((<usize>((t >> 3) * channels)) << 5) + ((t & 4) << 2);
      transform_inputs(plan, tiles + t * TILE, channels, work, to, vs);
    }
    for (let f: usize = 0; f < FREQUENCIES; f++) {
      const panels = u + (<usize>group * FREQUENCIES + f) * us;
      // prettier-ignore
      multiply(filters, padded, channels, panels, (channels * ROWS) << 2, ROWS << 2,
        v + vs * f, channels << 5, 32, m + ms * f, row, ZEROS, 0, 0);
    }
    for (let t = 0; t < count; t += 4) {
      const from = m + (t << 2);
      write_results(plan, tiles + t * TILE, filters, plane, work, from, ms, row);
    }
  }
}

/** Bᵀ d B of four tiles in all planes, to `to + 32 · channel` each. */
function transform_inputs(
  plan: Plan,
  tiles: usize,
  channels: i32,
  work: usize,
  to: usize,
  step: usize,
): void {
  const t0 = Tile.at(tiles);
  const t1 = Tile.at(tiles + TILE);
  const t2 = Tile.at(tiles + TILE * 2);
  const t3 = Tile.at(tiles + TILE * 3);
  const inPlace = whole(t0) && whole(t1) && whole(t2) && whole(t3);
  const rowBytes = (<usize>plan.width) << 2;
  const patches = work + 256;
  if (!inPlace) memory.fill(patches, 0, 4 * PATCH);
  for (let c: usize = 0; c < <usize>channels; c++) {
    const skip = c * plan.plane;
    if (inPlace) {
      // prettier-ignore
      input_rows(t0.input + skip, t1.input + skip, t2.input + skip, t3.input + skip, rowBytes, work);
    } else {
      patch_input(t0, t0.input + skip, rowBytes, patches);
      patch_input(t1, t1.input + skip, rowBytes, patches + PATCH);
      patch_input(t2, t2.input + skip, rowBytes, patches + PATCH * 2);
      patch_input(t3, t3.input + skip, rowBytes, patches + PATCH * 3);
      // prettier-ignore
      input_rows(patches, patches + PATCH, patches + PATCH * 2, patches + PATCH * 3, 32, work);
    }
    for (let j: usize = 0; j < 4; j++) {
      const from = work + (j << 4);
      // prettier-ignore
      SmallData.put(v128.load(from), v128.load(from, 64), v128.load(from, 128), v128.load(from, 192),
        to + step * j, step << 2);
    }
    to += 32;
  }
}

function whole(tile: Tile): bool {
  return tile.bottom - tile.top == 4 && tile.right - tile.left == 4;
}

/** First pass over the inputs of four tiles: four rows of four, to lines of 64 bytes. */
function input_rows(p0: usize, p1: usize, p2: usize, p3: usize, rowBytes: usize, to: usize): void {
  for (let r = 0; r < 4; r++) {
    const v0 = v128.load(p0);
    const v1 = v128.load(p1);
    const v2 = v128.load(p2);
    const v3 = v128.load(p3);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const u2 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const u3 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    // prettier-ignore
    SmallData.put(i64x2.shuffle(u0, u1, 0, 2), i64x2.shuffle(u0, u1, 1, 3),
      i64x2.shuffle(u2, u3, 0, 2), i64x2.shuffle(u2, u3, 1, 3), to, 16);
    p0 += rowBytes;
    p1 += rowBytes;
    p2 += rowBytes;
    p3 += rowBytes;
    to += 64;
  }
}

/** y = Aᵀ m A of four tiles in all planes: m from `from + row · filter`. */
function write_results(
  plan: Plan,
  tiles: usize,
  filters: i32,
  plane: usize,
  work: usize,
  from: usize,
  step: usize,
  row: usize,
): void {
  const rowBytes = (<usize>plan.outWidth) << 2;
  const to = work + 256; // two rows of two vectors
  let skip: usize = 0;
  for (let o = 0; o < filters; o++) {
    result_lines(from, step, work);
    // prettier-ignore
    SmallResult.put(v128.load(work), v128.load(work, 16), v128.load(work, 32), v128.load(work, 48), to, 16);
    // prettier-ignore
    SmallResult.put(v128.load(work, 64), v128.load(work, 80), v128.load(work, 96), v128.load(work, 112), to + 32, 16);
    for (let i = 0; i < 4; i++) {
      const tile = Tile.at(tiles + TILE * i);
      const y = tile.result + skip;
      const lane = to + (i << 2);
      if (tile.rows > 0) store<f32>(y, load<f32>(lane));
      if (tile.rows > 0 && tile.columns > 1) store<f32>(y, load<f32>(lane, 16), 4);
      if (tile.rows > 1) store<f32>(y + rowBytes, load<f32>(lane, 32));
      if (tile.rows > 1 && tile.columns > 1) store<f32>(y + rowBytes, load<f32>(lane, 48), 4);
    }
    from += row;
    skip += plane;
  }
}

/** First pass from 16 frequencies: line j to `to + 16·j`, its two results 64 bytes apart. */
function result_lines(from: usize, step: usize, to: usize): void {
  for (let j = 0; j < 4; j++) {
    // prettier-ignore
    SmallResult.put(v128.load(from), v128.load(from + step * 4), v128.load(from + step * 8),
      v128.load(from + step * 12), to, 64);
    from += step;
    to += 16;
  }
}
