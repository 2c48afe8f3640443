/**
 * How matrix products and convolutions are cut: into tiles of ROWS × COLUMNS results, and blocks
 * that fit the caches. All sizes are chosen here, and where in the scratch memory blocks lie.
 */
import { scratch } from "./scratch";
import { F32x4 } from "./simd";

/** A tile. Without fused multiply-add every product needs a register too: a sixth row would spill. */
export const ROWS: i32 = F32x4.FUSED ? 6 : 5;
export const COLUMNS: i32 = 8;

/**
 * Blocks: KC·8 floats of a right panel stay in L1, KC·NC of the right matrix in most of an L2 of 1 MB. The left one
 * is packed once per NC columns.
 */
export const MC: i32 = 32 * ROWS;
export const KC: i32 = 320;
const NC: i32 = 704;

// Thread scratch: a tile, a block of the left matrix, one of the right, what is left.
const TILE_BYTES: i32 = 1024;
const LEFT_BYTES: i32 = MC * KC * 4;
const RIGHT_BYTES: i32 = KC * NC * 4;

@final
export class Area {
  @inline
  static get tile(): usize {
    return scratch();
  }
  @inline
  static get left(): usize {
    return scratch() + TILE_BYTES;
  }
  @inline
  static get right(): usize {
    return scratch() + TILE_BYTES + LEFT_BYTES;
  }
  @inline
  static get rest(): usize {
    return scratch() + TILE_BYTES + LEFT_BYTES + RIGHT_BYTES;
  }
}

/** The depth of a block: k cut evenly into as few blocks of at most KC as will do. */
export function block_depth(k: i32): i32 {
  const blocks = (k + KC - 1) / KC;
  return blocks > 1 ? (k + blocks - 1) / blocks : k;
}

/** The width of a block: n columns cut evenly into as few blocks of at most NC as will do; whole pairs of panels. */
export function block_width(n: i32): i32 {
  const blocks = (n + NC - 1) / NC;
  const pair = 2 * COLUMNS;
  return blocks > 1 ? (((n + blocks - 1) / blocks + pair - 1) / pair) * pair : n;
}
