/** How Winograd's tiles are cut into blocks that fit the caches: see winograd.ts. */
import { COLUMNS } from "./blocks";
import { Plan } from "./conv-plan";
import { SCRATCH_BYTES } from "./scratch";
import { TILE, tiles_of, WORKSPACE } from "./winograd-tiles";

/** Bytes between frequencies beyond what they take. */
export const GAP: usize = 64;
/** What tile.ts needs of the scratch memory. */
export const RESERVED: usize = 1024;
/** Of V and M in a block: a part of a common L2. */
const BLOCK_BYTES: i32 = 1 << 20;
/** Tiles of a block at most, so that there are several jobs. */
const BLOCK_TILES: i32 = 96;

/** Of tiles of `size` × `size` results. */
function frequencies(size: i32): i32 {
  return (size + 2) * (size + 2);
}

/** Bytes of a tile in the frequency domain. */
function tile_bytes(plan: Plan, size: i32): i32 {
  return frequencies(size) * 4 * (plan.channels + plan.filters);
}

/** Tiles of a block at most; a multiple of 8. */
export function most_tiles(plan: Plan, size: i32): i32 {
  const fitting = BLOCK_BYTES / tile_bytes(plan, size);
  const several = (plan.images * tiles_of(plan, size) + 7) >> 3;
  return max(COLUMNS, min(min(BLOCK_TILES, fitting), several) & ~7);
}

/** n tiles cut evenly into blocks of at most `most`, each a multiple of 8. */
export function block_tiles(n: i32, most: i32): i32 {
  const blocks = (n + most - 1) / most;
  return ((n + blocks - 1) / blocks + 7) & ~7;
}

/** Does the smallest block of this convolution fit the scratch memory? */
export function fits(plan: Plan, size: i32): bool {
  const tiles = (tile_bytes(plan, size) + TILE) * COLUMNS;
  const beside = 2 * frequencies(size) * <i32>GAP + WORKSPACE + <i32>RESERVED;
  return tiles + beside <= SCRATCH_BYTES;
}
