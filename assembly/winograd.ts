/**
 * 2-d convolutions with kernels of 3 × 3, stride and dilation 1, by Winograd's F(4 × 4, 3 × 3)
 * (winograd-lines.ts): a quarter of the products, and transforms around them. With U, V and M the
 * filters, inputs and results in the frequency domain, for each of 36 frequencies
 *   forward      M[o, t] = Σ_c U[o, c] · V[c, t]
 *   grad input   V̄[c, t] = Σ_o U[o, c] · M̄[o, t]
 *   grad weight  Ū[o, c] = Σ_t M̄[o, t] · V[c, t]
 * where t runs over tiles. Gradients are the exact adjoints: the same tiles the other way round.
 *
 * A job takes a block of tiles through all three stages in the thread's scratch memory:
 *   [ tiles | workspace | V: 36 × (channels × tiles) | M: 36 × (filters × tiles) ]
 * Frequencies are 64 bytes further apart than they need, as powers of two would share cache sets.
 * Neither blocks nor jobs change what is added to what.
 */
import { COLUMNS, ROWS } from "./blocks";
import { padded_rows, Plan } from "./conv-plan";
import { scratch, SCRATCH_BYTES } from "./scratch";
import { multiply, ZEROS } from "./tile";
import { add_inputs, locate_tiles, TILE, tiles_of, transform_inputs } from "./winograd-tiles";
import { transform_results, WORKSPACE, write_results } from "./winograd-tiles";

export { conv2d_winograd_filters_f32 } from "./winograd-filters";
export * from "./winograd-small";
export * from "./winograd-weights";

const FREQUENCIES: usize = 36;
/** Bytes between frequencies beyond what they take. */
const GAP: usize = 64;
/** What tile.ts needs of the scratch memory. */
const RESERVED: usize = 1024;
/** Of V and M in a block: a part of a common L2. */
const BLOCK_BYTES: i32 = 1 << 20;
/** Tiles of a block at most, so that there are several jobs. */
const BLOCK_TILES: i32 = 96;

/** Tiles of a block at most; a multiple of 8. */
function most_tiles(plan: Plan): i32 {
  const perTile = FREQUENCIES * 4 * (plan.channels + plan.filters);
  const fitting = <i32>(<usize>BLOCK_BYTES / perTile);
  const several = (plan.images * tiles_of(plan) + 7) >> 3;
  return max(COLUMNS, min(min(BLOCK_TILES, fitting), several) & ~7);
}

/** n tiles cut evenly into blocks of at most `most`, each a multiple of 8. */
function block_tiles(n: i32, most: i32): i32 {
  const blocks = (n + most - 1) / most;
  return ((n + blocks - 1) / blocks + 7) & ~7;
}

/** Does the smallest block of this convolution fit the scratch memory? */
export function conv2d_winograd_fits(p: usize): i32 {
  const plan = Plan.at(p);
  const perTile = FREQUENCIES * 4 * (plan.channels + plan.filters) + TILE;
  const need = perTile * COLUMNS + 2 * FREQUENCIES * GAP + WORKSPACE + RESERVED;
  return i32(need <= <usize>SCRATCH_BYTES);
}

/** Jobs of conv2d_winograd_f32. */
export function conv2d_winograd_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const all = plan.images * tiles_of(plan);
  const perJob = block_tiles(all, most_tiles(plan));
  return plan.groups * ((all + perJob - 1) / perJob);
}

/**
 * y = w ⋆ x + bias: `u` from conv2d_winograd_filters_f32, bias [groups · filters] or 0.
 * [begin, end) of conv2d_winograd_jobs(plan).
 */
export function conv2d_winograd_f32(
  p: usize,
  x: usize,
  u: usize,
  bias: usize,
  y: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const channels = plan.channels;
  const filters = plan.filters;
  const all = plan.images * tiles_of(plan);
  const width = block_tiles(all, most_tiles(plan));
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
    locate_tiles(plan, group, first, count, padded, x, y, tiles);
    for (let t = 0; t < padded; t += 4) {
      const to = v + ((<usize>((t >> 3) * channels)) << 5) + ((t & 4) << 2);
      transform_inputs(plan, tiles + t * TILE, channels, work, to, vs, 32);
    }
    for (let f: usize = 0; f < FREQUENCIES; f++) {
      const panels = u + (<usize>group * FREQUENCIES + f) * us;
      // prettier-ignore
      multiply(filters, padded, channels, panels, (channels * ROWS) << 2, ROWS << 2,
        v + vs * f, channels << 5, 32, m + ms * f, row, ZEROS, 0, 0);
    }
    for (let o = 0; o < filters; o++) {
      const b: f32 = bias ? load<f32>(bias + ((<usize>(group * filters + o)) << 2)) : 0;
      for (let t = 0; t < count; t += 4) {
        const from = m + row * o + (t << 2);
        write_results(plan, tiles + t * TILE, plane * o, b, work, from, ms);
      }
    }
  }
}

/** Images of a grad-input job: whole ones, as their tiles overlap. */
function job_images(plan: Plan): i32 {
  return max(1, most_tiles(plan) / max(1, tiles_of(plan)));
}

/** Channels of a grad-input job: all of them, unless there are few images. */
function job_channels(plan: Plan): i32 {
  const perJob = job_images(plan);
  const jobs = plan.groups * ((plan.images + perJob - 1) / perJob);
  const parts = max(1, min(8 / jobs, plan.channels / (2 * ROWS)));
  return padded_rows((plan.channels + parts - 1) / parts);
}

/** Jobs of conv2d_winograd_grad_input_f32. */
export function conv2d_winograd_grad_input_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const images = job_images(plan);
  const channels = job_channels(plan);
  const parts = (plan.channels + channels - 1) / channels;
  return plan.groups * ((plan.images + images - 1) / images) * parts;
}

/**
 * dx = the adjoint of the convolution at dy: `u` from conv2d_winograd_filters_f32 with `transposed`.
 * [begin, end) of conv2d_winograd_grad_input_jobs(plan); each job writes some channels of some images.
 */
export function conv2d_winograd_grad_input_f32(
  p: usize,
  dy: usize,
  u: usize,
  dx: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const filters = plan.filters;
  const perImage = tiles_of(plan);
  const images = job_images(plan);
  const perPart = job_channels(plan);
  const parts = (plan.channels + perPart - 1) / perPart;
  const imageJobs = (plan.images + images - 1) / images;
  const width = block_tiles(images * perImage, most_tiles(plan));
  const tiles = scratch() + RESERVED;
  const work = tiles + width * TILE;
  const m = work + WORKSPACE;
  const ms = ((<usize>(filters * width)) << 2) + GAP;
  const v = m + ms * FREQUENCIES;
  const vs = ((<usize>(perPart * width)) << 2) + GAP;
  const us = (<usize>(padded_rows(plan.channels) * filters)) << 2;
  const row = (<usize>width) << 2;
  const plane = plan.plane;
  for (let job = begin; job < end; job++) {
    const part = job % parts;
    const group = job / parts / imageJobs;
    const image = ((job / parts) % imageJobs) * images;
    const channel = part * perPart;
    const channels = min(perPart, plan.channels - channel);
    const until = min(plan.images, image + images);
    for (let i = image; i < until; i++) {
      const to = dx + <usize>((i * plan.groups + group) * plan.channels + channel) * plane;
      memory.fill(to, 0, plane * channels);
    }
    for (let first = image * perImage; first < until * perImage; first += width) {
      const count = min(width, until * perImage - first);
      const padded = (count + 7) & ~7;
      locate_tiles(plan, group, first, count, padded, dx, dy, tiles);
      for (let t = 0; t < padded; t += 4) {
        const to = m + ((<usize>((t >> 3) * filters)) << 5) + ((t & 4) << 2);
        transform_results(plan, tiles + t * TILE, filters, work, to, ms, 32);
      }
      for (let f: usize = 0; f < FREQUENCIES; f++) {
        const panels =
          u + (<usize>group * FREQUENCIES + f) * us + ((<usize>(channel * filters)) << 2);
        // prettier-ignore
        multiply(channels, padded, filters, panels, (filters * ROWS) << 2, ROWS << 2,
          m + ms * f, filters << 5, 32, v + vs * f, row, ZEROS, 0, 0);
      }
      for (let c = 0; c < channels; c++) {
        for (let t = 0; t < count; t += 4) {
          const from = v + row * c + (t << 2);
          add_inputs(plan, tiles + t * TILE, plane * (channel + c), work, from, vs);
        }
      }
    }
  }
}
