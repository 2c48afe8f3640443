/** The gradient of a Winograd convolution's filters: see winograd.ts. */
import { ROWS } from "./blocks";
import { Plan } from "./conv-plan";
import { scratch } from "./scratch";
import { multiply, ZEROS } from "./tile";
import { GAP, RESERVED } from "./winograd-blocks";
import { write_filters } from "./winograd-filters";
import { locate_tiles, TILE, Tile, tiles_of, WORKSPACE } from "./winograd-tiles";
import { transform_input_channels, transform_result_filters } from "./winograd-tiles";

const FREQUENCIES: usize = 36;
const SIZE: i32 = 4;
/** Filters and channels of a job at most. */
const SIDE: i32 = 64;
/** Of a job's transformed inputs and results at a time: with the sums, a common L2. */
const BLOCK_BYTES: usize = 3 << 18;
const BLOCK_TILES: i32 = 96;

/** n cut evenly into pieces of at most SIDE, each a multiple of 8. */
function side(n: i32): i32 {
  const pieces = (n + SIDE - 1) / SIDE;
  return ((n + pieces - 1) / pieces + 7) & ~7;
}

function pieces(n: i32): i32 {
  const each = side(n);
  return (n + each - 1) / each;
}

/** The tiles are cut into this many parts, each summed on its own: enough for 16 jobs. */
export function conv2d_winograd_grad_weight_parts(p: usize): i32 {
  const plan = Plan.at(p);
  const jobs = plan.groups * pieces(plan.filters) * pieces(plan.channels);
  const tiles = plan.images * tiles_of(plan, SIZE);
  return max(1, min(min(8, (tiles + 63) >> 6), (16 + jobs - 1) / jobs));
}

/** Jobs of conv2d_winograd_grad_weight_f32. */
export function conv2d_winograd_grad_weight_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  const jobs = plan.groups * pieces(plan.filters) * pieces(plan.channels);
  return jobs * conv2d_winograd_grad_weight_parts(p);
}

/** Bytes between the frequencies of a job's sums. */
function frequency_bytes(plan: Plan): usize {
  return ((<usize>(side(plan.filters) * side(plan.channels))) << 2) + GAP;
}

/** Bytes of what conv2d_winograd_grad_weight_f32 writes for one job. */
export function conv2d_winograd_grad_weight_bytes(p: usize): usize {
  return frequency_bytes(Plan.at(p)) * FREQUENCIES;
}

/**
 * out[part][group][filters][channels] = Ū of some filters and channels over some tiles,
 * to be finished by conv2d_winograd_grad_weight_sum_f32. [begin, end) of conv2d_winograd_grad_weight_jobs(plan).
 */
export function conv2d_winograd_grad_weight_f32(
  p: usize,
  x: usize,
  dy: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const parts = conv2d_winograd_grad_weight_parts(p);
  const rows = side(plan.filters);
  const columns = side(plan.channels);
  const rowPieces = pieces(plan.filters);
  const columnPieces = pieces(plan.channels);
  const all = plan.images * tiles_of(plan, SIZE);
  const depth = min(BLOCK_TILES, <i32>(BLOCK_BYTES / (FREQUENCIES * 4 * (rows + columns))));
  const tiles = scratch() + RESERVED;
  const work = tiles + depth * TILE;
  const m = work + WORKSPACE;
  const ms = ((<usize>(depth * rows)) << 2) + GAP;
  const v = m + ms * FREQUENCIES;
  const vs = ((<usize>(depth * columns)) << 2) + GAP;
  const us = frequency_bytes(plan);
  const mRow = (<usize>rows) << 2;
  const vRow = (<usize>columns) << 2;
  for (let job = begin; job < end; job++) {
    const channel = (job % columnPieces) * columns;
    const filter = ((job / columnPieces) % rowPieces) * rows;
    const rest = job / columnPieces / rowPieces;
    const group = rest % plan.groups;
    const part = rest / plan.groups;
    const channels = min(columns, plan.channels - channel);
    const filters = min(rows, plan.filters - filter);
    const until = <i32>((<i64>all * (part + 1)) / parts);
    const u = out + us * FREQUENCIES * job;
    let fresh = true;
    for (let first = <i32>((<i64>all * part) / parts); first < until; first += depth) {
      const count = min(depth, until - first);
      locate_tiles(plan, group, first, count, count, x, dy, tiles, SIZE);
      for (let t = 0; t < count; t++) {
        const tile = Tile.at(tiles + t * TILE);
        transform_input_channels(plan, tile, channel, channels, columns, work, v + vRow * t, vs);
        transform_result_filters(plan, tile, filter, filters, rows, work, m + mRow * t, ms);
      }
      for (let f: usize = 0; f < FREQUENCIES; f++) {
        const c = u + us * f;
        // prettier-ignore
        multiply(filters, columns, count, m + ms * f, ROWS << 2, mRow, v + vs * f, 32, vRow,
          c, vRow, fresh ? ZEROS : c, fresh ? 0 : vRow, fresh ? 0 : 4);
      }
      fresh = false;
    }
  }
}

/** dw from the sums of all parts. [begin, end) counts groups · filters. */
export function conv2d_winograd_grad_weight_sum_f32(
  p: usize,
  sums: usize,
  dw: usize,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const parts = conv2d_winograd_grad_weight_parts(p);
  const rows = side(plan.filters);
  const columns = side(plan.channels);
  const rowPieces = pieces(plan.filters);
  const columnPieces = pieces(plan.channels);
  const us = frequency_bytes(plan);
  const block = us * FREQUENCIES;
  const part = block * (plan.groups * rowPieces * columnPieces);
  for (let i = begin; i < end; i++) {
    const group = i / plan.filters;
    const filter = i - group * plan.filters;
    const piece = (group * rowPieces + filter / rows) * columnPieces;
    const row = (<usize>((filter % rows) * columns)) << 2;
    for (let c = 0; c < plan.channels; c += 4) {
      const from = sums + block * (piece + c / columns) + row + ((<usize>(c % columns)) << 2);
      const to = dw + ((<usize>((i * plan.channels + c) * 9)) << 2);
      write_filters(from, us, parts, part, min(4, plan.channels - c), to);
    }
  }
}
