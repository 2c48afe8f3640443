/**
 * The gradient of a Winograd convolution with respect to its input, by F(3 × 3, 3 × 3): 25 products for 9 results,
 * where F(4 × 4) has 36 for 16, but transforms that cost less, so that it takes the same time. Its errors
 * are smaller: those of the filters' transform do not average out over a batch, as all images share
 * it, and on images with a constant background, sums over the batch that nearly cancel then show them.
 * What matters there is the sum of a tile's errors; ±1 among the points keeps it small.
 */
import { ROWS } from "./blocks";
import { padded_rows, Plan } from "./conv-plan";
import { scratch } from "./scratch";
import { multiply, ZEROS } from "./tile";
import { block_tiles, GAP, most_tiles, RESERVED } from "./winograd-blocks";
import { pack_filters } from "./winograd-filters";
import { add_small_inputs, transform_small_results } from "./winograd-small";
import { locate_tiles, TILE, tiles_of, WORKSPACE } from "./winograd-tiles";

const SIZE: i32 = 3;
const FREQUENCIES: usize = 25;

/**
 * U = G g Gᵀ in left panels, out[group][frequency][panel][filters][gemm_rows], where panels are of channels. A
 * frequency takes filters · (channels, rounded up to gemm_rows) floats. [begin, end) counts groups · filters.
 */
export function conv2d_winograd_grad_input_filters_f32(
  p: usize,
  w: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  pack_filters(Plan.at(p), w, out, SIZE, true, begin, end);
}

/** Images of a grad-input job: whole ones, as their tiles overlap. */
function job_images(plan: Plan): i32 {
  return max(1, most_tiles(plan, SIZE) / max(1, tiles_of(plan, SIZE)));
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
 * dx = the adjoint of the convolution at dy: `u` from conv2d_winograd_grad_input_filters_f32.
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
  const perImage = tiles_of(plan, SIZE);
  const images = job_images(plan);
  const perPart = job_channels(plan);
  const parts = (plan.channels + perPart - 1) / perPart;
  const imageJobs = (plan.images + images - 1) / images;
  const width = block_tiles(images * perImage, most_tiles(plan, SIZE));
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
      locate_tiles(plan, group, first, count, padded, dx, dy, tiles, SIZE);
      for (let t = 0; t < padded; t += 4) {
        const to = m + ((<usize>((t >> 3) * filters)) << 5) + ((t & 4) << 2);
        transform_small_results(plan, tiles + t * TILE, filters, work, to, ms);
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
          const skip = plane * (channel + c);
          add_small_inputs(plan, tiles + t * TILE, skip, work, from, vs);
        }
      }
    }
  }
}
