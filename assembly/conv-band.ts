/**
 * Bands of rows for convolutions that are summed directly (conv-direct.ts). Some rows of the source planes are
 * copied, padded with zeros, so that kernel elements need not know of borders. Where only every s-th
 * row or column counts, those of one remainder stand together, as a plane of their own: a sum over
 * kernel elements then reads neighbours whatever the stride, and a whole band as if it were one row.
 */
import { Area } from "./blocks";
import { F32x4 } from "./simd";

/** Numbers that are computed at a time: what reads or writes planes may go so far beyond their end. */
export const BLOCK: i32 = 32;

/** Numbers of a band, if it has more than a row: most of a common L1. */
const COMMON: i32 = 6144;

// The thread's scratch memory: the band itself, tables of kernel elements, planes.
const TABLE: usize = 256;
/** Kernel elements that the tables have room for. */
export const MOST_TAPS: i32 = 4096;
const PLANES: usize = TABLE + <usize>MOST_TAPS * 24 + 64;
/** Numbers that planes have room for. */
export const MOST: i32 = 262144;

/** The copied planes: row b, column j is (b · strideY + remainder − padY, …) of the source, or 0. */
@unmanaged
export class Band {
  /** Source planes, and their extents. */
  count: i32 = 0;
  height: i32 = 0;
  width: i32 = 0;
  strideY: i32 = 0;
  strideX: i32 = 0;
  /** Remainders that are used. */
  phasesY: i32 = 0;
  phasesX: i32 = 0;
  padY: i32 = 0;
  padX: i32 = 0;
  /** Rows of results in all, columns of results, and how far beyond them kernel elements reach. */
  height1: i32 = 0;
  columns: i32 = 0;
  reachY: i32 = 0;
  reachX: i32 = 0;
  /** From row to row. */
  pitch: i32 = 0;
  /** Rows of results at a time. */
  rows: i32 = 0;
  /** Bytes of a copied plane. */
  size: usize = 0;

  /** That of the thread. */
  @inline
  static get mine(): Band {
    return changetype<Band>(Area.left);
  }

  /** For 16 bytes, or less, per kernel element. */
  @inline
  static get table(): usize {
    return Area.left + TABLE;
  }

  /** For 8 bytes, or less, per kernel element, and 64 more. */
  @inline
  static get places(): usize {
    return Area.left + TABLE + ((<usize>MOST_TAPS) << 4);
  }

  @inline
  static get planes(): usize {
    return Area.left + PLANES;
  }

  /** What follows the copied planes: planes of results. */
  @inline
  get results(): usize {
    return Band.planes + this.size * (this.count * this.phasesY * this.phasesX);
  }

  /** Bytes of a plane of results. */
  @inline
  get resultSize(): usize {
    return (<usize>(this.rows * this.pitch + BLOCK)) << 2;
  }

  /** Chooses the rows for so many planes of results; false if there is no room for a single one. */
  cut(results: i32, taps: i32): bool {
    const planes = <f64>this.count * this.phasesY * this.phasesX;
    const pitch = <f64>this.columns + this.reachX;
    const least = planes * (pitch * (1 + <f64>this.reachY) + BLOCK) + results * (pitch + BLOCK);
    if (least > <f64>MOST || taps > MOST_TAPS) return false;
    this.pitch = this.columns + this.reachX;
    const beyond = <i32>planes * this.pitch * this.reachY;
    const perRow = max(1, (<i32>planes + results) * this.pitch);
    this.rows = max(1, min(this.height1, (COMMON - beyond) / perRow));
    this.size = (<usize>((this.rows + this.reachY) * this.pitch + BLOCK)) << 2;
    return true;
  }

  /** Where the source's row y, column x stands in its first plane, both from a result's first. */
  @inline
  place(y: i32, x: i32): usize {
    const phase = (y % this.strideY) * this.phasesX + (x % this.strideX);
    const i = (y / this.strideY) * this.pitch + x / this.strideX;
    return this.size * phase + ((<usize>i) << 2);
  }

  /** Copies what `n` rows of results from row `y0` on need. `plane`: bytes from plane to plane. */
  fill(from: usize, plane: usize, y0: i32, n: i32): void {
    let to = Band.planes;
    for (let c = 0; c < this.count; c++) {
      for (let fy = 0; fy < this.phasesY; fy++) {
        for (let fx = 0; fx < this.phasesX; fx++) {
          this.fillPlane(from, to, y0 * this.strideY + fy - this.padY, fx - this.padX, n);
          to += this.size;
        }
      }
      from += plane;
    }
  }

  /** Rows from `y`, columns from `x` on. */
  fillPlane(from: usize, to: usize, y: i32, x: i32, n: i32): void {
    const step = this.strideX;
    const lo = x < 0 ? min(this.pitch, (step - 1 - x) / step) : 0;
    const hi = x < this.width ? min(this.pitch, (this.width - x + step - 1) / step) : 0;
    const first = x + lo * step;
    const bytes = (<usize>this.pitch) << 2;
    const wide = step <= 2 && this.width >= 8;
    for (let b = n + this.reachY; b > 0; b--) {
      const end = to + bytes;
      if (<u32>y >= <u32>this.height || hi <= lo) {
        zeros(to, end);
      } else {
        const row = from + ((<usize>(y * this.width + first)) << 2);
        const left = to + ((<usize>lo) << 2);
        const right = to + ((<usize>hi) << 2);
        // Where another row follows, in the source as here, whole vectors may go beyond the end.
        if (!wide || y + 1 >= this.height) pad_row(to, left, right, end, row, step);
        else if (step == 1) pad_whole(to, left, right, end, row);
        else pad_even(to, left, right, end, row);
      }
      to = end;
      y += this.strideY;
    }
    zeros(to, to + ((<usize>BLOCK) << 2));
  }
}

/** What stands from `left` to `right` = every `step`-th of x; 0 before and after. */
export function pad_row(
  to: usize,
  left: usize,
  right: usize,
  end: usize,
  x: usize,
  step: i32,
): void {
  zeros(to, left);
  if (step == 1) copy(left, x, <i32>((right - left) >> 2));
  else copy_strided(left, 4, x, (<usize>step) << 2, <i32>((right - left) >> 2));
  zeros(right, end);
}

/** pad_row for neighbours, in whole vectors: may read and write up to three numbers too many. */
export function pad_whole(to: usize, left: usize, right: usize, end: usize, x: usize): void {
  const zero = f32x4.splat(0);
  for (; to < left; to += 16) v128.store(to, zero);
  for (to = left; to < right; to += 16) {
    v128.store(to, v128.load(x));
    x += 16;
  }
  for (to = right; to < end; to += 16) v128.store(to, zero);
}

/** The same for every second of x: may read up to six numbers too many. */
function pad_even(to: usize, left: usize, right: usize, end: usize, x: usize): void {
  const zero = f32x4.splat(0);
  for (; to < left; to += 16) v128.store(to, zero);
  for (to = left; to < right; to += 16) {
    v128.store(to, v128.shuffle<f32>(v128.load(x), v128.load(x, 12), 0, 2, 5, 7));
    x += 32;
  }
  for (to = right; to < end; to += 16) v128.store(to, zero);
}

export function zeros(to: usize, end: usize): void {
  const zero = f32x4.splat(0);
  for (; to + 16 <= end; to += 16) v128.store(to, zero);
  for (; to < end; to += 4) store<f32>(to, 0);
}

export function copy(to: usize, x: usize, n: i32): void {
  const end = to + ((<usize>(n & ~3)) << 2);
  for (; to < end; to += 16) {
    v128.store(to, v128.load(x));
    x += 16;
  }
  const tail = n & 3;
  if (tail) F32x4.storeTail(to, F32x4.loadTail(x, tail), tail);
}

/** Rows of n numbers, `pitch` apart, to rows that follow one another. */
export function copy_rows(to: usize, x: usize, pitch: i32, n: i32, rows: i32): void {
  const bytes = (<usize>n) << 2;
  for (; rows > 0; rows--) {
    // Three numbers too many are overwritten by a next row that has as many.
    if (rows > 1 && n > 3) pad_whole(to, to, to + bytes, to + bytes, x);
    else copy(to, x, n);
    to += bytes;
    x += (<usize>pitch) << 2;
  }
}

/** to[2i] = a[i], to[2i + 1] = b[i], `n` numbers. */
export function interleave(to: usize, a: usize, b: usize, n: i32): void {
  const end = to + ((<usize>(n & ~7)) << 2);
  for (; to < end; to += 32) {
    const even = v128.load(a);
    const odd = v128.load(b);
    v128.store(to, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
    a += 16;
    b += 16;
  }
  const rest = n & 7;
  copy_strided(to, 8, a, 4, (rest + 1) >> 1);
  copy_strided(to + 4, 8, b, 4, rest >> 1);
}

export function copy_strided(to: usize, toStep: usize, x: usize, step: usize, n: i32): void {
  for (; n > 0; n--) {
    store<f32>(to, load<f32>(x));
    to += toStep;
    x += step;
  }
}
