/**
 * What the kernels of one attention share: its shape, where its operands lie, and how it is cut.
 *
 * Everything is computed for panels of 8 queries: scores stand in memory as [key][8], so that a row
 * of weights is summed down the lanes, and the weights are what tile.ts takes for a right panel.
 */
import { Area, COLUMNS, ROWS } from "./blocks";
import { Hash } from "./hash";
import { pack_right } from "./pack";
import { SCRATCH_BYTES } from "./scratch";

/** Operands by number, as attention_operand and attention_dimension take them. */
export const Q: i32 = 0;
export const K: i32 = 1;
export const V: i32 = 2;
export const MASK: i32 = 3;
export const Y: i32 = 4;
export const DY: i32 = 5;
export const DQ: i32 = 6;
export const DK: i32 = 7;
export const DV: i32 = 8;
const OPERANDS: i32 = 9;

/** Bytes before the dimensions, and of one of them. */
const HEADER: i32 = 192;
const DIMENSION: i32 = 4 + 4 * OPERANDS;

@unmanaged
export class Heads {
  /** Queries and keys of a head, widths of keys and of values. */
  l: i32 = 0;
  s: i32 = 0;
  e: i32 = 0;
  v: i32 = 0;
  causal: i32 = 0;
  /** Factor of the scores. */
  scale: f32 = 0;
  /** Dropout: hashes below the threshold drop a weight (0: none), the others grow by `growth`. */
  threshold: u32 = 0;
  growth: f32 = 0;
  key: u32 = 0;
  /** Of each query the largest score and 1 / Σ e^(score − largest): [head][2][l]. */
  statistics: usize = 0;
  /** Leading dimensions. */
  dims: i32 = 0;
  /** Queries of a block. */
  block: i32 = 0;

  @inline
  static at(p: usize): Heads {
    return changetype<Heads>(p);
  }

  @inline
  private operand(i: i32): usize {
    return changetype<usize>(this) + 64 + 12 * i;
  }

  /** Address of an operand's first element in head number `head`. */
  address(i: i32, head: i32): usize {
    let at = load<usize>(this.operand(i));
    for (let d = this.dims - 1; d >= 0; d--) {
      const dimension = changetype<usize>(this) + HEADER + DIMENSION * d;
      const extent = load<i32>(dimension);
      const rest = head / extent;
      at += <usize>load<i32>(dimension + 4 + 4 * i) * (head - rest * extent);
      head = rest;
    }
    return at;
  }

  /** Is there such an operand? */
  @inline
  has(i: i32): bool {
    return load<usize>(this.operand(i)) != 0;
  }

  /** Bytes between rows (queries or keys), and between columns. */
  @inline
  row(i: i32): usize {
    return load<usize>(this.operand(i), 4);
  }
  @inline
  column(i: i32): usize {
    return load<usize>(this.operand(i), 8);
  }

  /** Keys that any query before `end` may see. */
  @inline
  visible(end: i32): i32 {
    return this.causal ? min(this.s, end) : this.s;
  }

  /**
   * Panels [width][8] of an operand's rows from `first` on, n of them, times `factor`, to `out`;
   * missing rows of the last panel are 0.
   */
  panels(i: i32, at: usize, first: i32, n: i32, width: i32, factor: f32, out: usize): void {
    const row = this.row(i);
    pack_right(at + row * first, this.column(i), row, width, n, out, (<usize>width) << 5);
    multiply_by(out, factor, ((n + COLUMNS - 1) / COLUMNS) * width * COLUMNS);
  }
}

/** x[0 … n] *= factor; n is a multiple of 8. */
export function multiply_by(x: usize, factor: f32, n: i32): void {
  if (factor == 1) return;
  const f = f32x4.splat(factor);
  for (const end = x + ((<usize>n) << 2); x < end; x += 32) {
    v128.store(x, f32x4.mul(v128.load(x), f));
    v128.store(x, f32x4.mul(v128.load(x, 16), f), 16);
  }
}

/** Bytes of a plan with that many leading dimensions. */
export function attention_bytes(dims: i32): i32 {
  return HEADER + DIMENSION * dims;
}

/**
 * The queries (and, in the gradient, keys) of a block: so many that what the gradient packs of them
 * fits the thread's scratch memory; at most 128, at least 8 up to widths of 4096.
 */
export function attention_block(e: i32, v: i32): i32 {
  const width = max(e, v) + COLUMNS;
  const room = (SCRATCH_BYTES - <i32>(Area.left - Area.tile)) >> 2;
  let block = 128;
  while (
    block > COLUMNS &&
    block * 8 * width + 2 * block * (block + ROWS) + 6 * COLUMNS * max(block, width) > room
  ) {
    block >>= 1;
  }
  return block;
}

export function attention_plan(
  out: usize,
  dims: i32,
  l: i32,
  s: i32,
  e: i32,
  v: i32,
  causal: i32,
  scale: f32,
  threshold: u32,
  growth: f32,
  seed: u32,
  call: u32,
  statistics: usize,
): void {
  memory.fill(out, 0, HEADER);
  const heads = Heads.at(out);
  heads.l = l;
  heads.s = s;
  heads.e = e;
  heads.v = v;
  heads.causal = causal;
  heads.scale = scale;
  heads.threshold = threshold;
  heads.growth = growth;
  heads.key = Hash.key(seed, call);
  heads.statistics = statistics;
  heads.dims = dims;
  heads.block = attention_block(e, v);
}

/** Operand i of the plan: its address, the strides of its rows and columns in elements. */
export function attention_operand(out: usize, i: i32, pointer: usize, row: i32, column: i32): void {
  const operand = out + 64 + 12 * i;
  store<usize>(operand, pointer);
  store<i32>(operand, row << 2, 4);
  store<i32>(operand, column << 2, 8);
}

/** Leading dimension d (outermost first): its extent, and operand i's stride in elements. */
export function attention_dimension(out: usize, d: i32, extent: i32, i: i32, stride: i32): void {
  const dimension = out + HEADER + DIMENSION * d;
  store<i32>(dimension, extent);
  store<i32>(dimension + 4 + 4 * i, stride << 2);
}
