/**
 * 2-d convolutions with kernels of 3 × 3, stride and dilation 1, by Winograd's F(4 × 4, 3 × 3)
 * (winograd-lines.ts): a quarter of the products, and transforms around them. With U, V and M the
 * filters, inputs and results in the frequency domain, for each of 36 frequencies
 *   forward      M[o, t] = Σ_c U[o, c] · V[c, t]
 *   grad input   V̄[c, t] = Σ_o U[o, c] · M̄[o, t]
 *   grad weight  Ū[o, c] = Σ_t M̄[o, t] · V[c, t]
 * where t runs over tiles. Gradients are exact adjoints, that of the input of a form with smaller tiles.
 *
 * A job takes a block of tiles through all three stages in the thread's scratch memory:
 *   [ tiles | workspace | V: 36 × (channels × tiles) | M: 36 × (filters × tiles) ]
 * Frequencies are 64 bytes further apart than they need, as powers of two would share cache sets.
 * Neither blocks nor jobs change what is added to what.
 */
import { ROWS } from "./blocks";
import { padded_rows, Plan } from "./conv-plan";
import { scratch } from "./scratch";
import { multiply, ZEROS } from "./tile";
import { block_tiles, fits, GAP, most_tiles, RESERVED } from "./winograd-blocks";
import { locate_tiles, TILE, tiles_of } from "./winograd-tiles";
import { transform_inputs, WORKSPACE, write_results } from "./winograd-tiles";

export { conv2d_winograd_filters_f32 } from "./winograd-filters";
export * from "./winograd-inputs";
export * from "./winograd-weights";

const FREQUENCIES: usize = 36;
const SIZE: i32 = 4;

/** Does the smallest block of this convolution, and of its gradients, fit the scratch memory? */
export function conv2d_winograd_fits(p: usize): i32 {
  return i32(fits(Plan.at(p), SIZE));
}

/** Jobs of conv2d_winograd_f32. */
export function conv2d_winograd_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const all = plan.images * tiles_of(plan, SIZE);
  const perJob = block_tiles(all, most_tiles(plan, SIZE));
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
  const all = plan.images * tiles_of(plan, SIZE);
  const width = block_tiles(all, most_tiles(plan, SIZE));
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
    for (let o = 0; o < filters; o++) {
      const b: f32 = bias ? load<f32>(bias + ((<usize>(group * filters + o)) << 2)) : 0;
      for (let t = 0; t < count; t += 4) {
        const from = m + row * o + (t << 2);
        write_results(plan, tiles + t * TILE, plane * o, b, work, from, ms);
      }
    }
  }
}
