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

// The thread's scratch memory: the band itself, a table of kernel elements, planes.
const TABLE: usize = 256;
const MOST_TAPS: i32 = 8192;
const PLANES: usize = TABLE + ((<usize>MOST_TAPS) << 4);
const MOST: f64 = 262144;

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
    if (least > MOST || taps > MOST_TAPS) return false;
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
    for (let b = n + this.reachY; b > 0; b--) {
      if (<u32>y >= <u32>this.height || hi <= lo) zeros(to, to + bytes);
      else pad_row(to, from + ((<usize>(y * this.width + first)) << 2), lo, hi, this.pitch, step);
      to += bytes;
      y += this.strideY;
    }
    zeros(to, to + ((<usize>BLOCK) << 2));
  }
}

/** to[lo … hi) = every `step`-th of x; 0 before and after, up to `n`. */
export function pad_row(to: usize, x: usize, lo: i32, hi: i32, n: i32, step: i32): void {
  const start = to + ((<usize>lo) << 2);
  const end = to + ((<usize>hi) << 2);
  zeros(to, start);
  if (step == 1) copy(start, x, hi - lo);
  else if (step == 2) copy_even(start, x, hi - lo);
  else copy_strided(start, 4, x, (<usize>step) << 2, hi - lo);
  zeros(end, to + ((<usize>n) << 2));
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

/** to[i] = x[2i] */
function copy_even(to: usize, x: usize, n: i32): void {
  const end = to + ((<usize>(n & ~3)) << 2);
  for (; to < end; to += 16) {
    v128.store(to, v128.shuffle<f32>(v128.load(x), v128.load(x, 12), 0, 2, 5, 7));
    x += 32;
  }
  copy_strided(to, 4, x, 8, n & 3);
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
