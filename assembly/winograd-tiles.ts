/**
 * Winograd's tiles between images and frequencies. Results are cut into tiles of 4 × 4 (or 3 × 3), each
 * from 6 × 6 (5 × 5) inputs; neighbours share two rows or columns of input. A tile that reaches over a
 * border travels through a patch of its own, where what is missing is 0.
 *
 * Vectors hold the same place of four tiles (or four channels of one tile); vector f of 36
 * frequencies lies at `f · step` bytes.
 */
import { Plan } from "./conv-plan";
import { F32x4 } from "./simd";
import { Data, data_lines, Result } from "./winograd-lines";
import { result_adjoint_lines, result_lines, ResultAdjoint } from "./winograd-lines";

/** Bytes of a Tile. */
export const TILE: i32 = 96;
/** Bytes of a patch: six rows of eight floats. */
export const PATCH: i32 = 192;
/** What transforms need beside their operands: six lines of six vectors, four patches, one line. */
const LINES: i32 = 576;
export const WORKSPACE: i32 = (LINES + 4 * PATCH + 96 + 63) & ~63;

/** One tile of one image: where its data are, for the first channel and filter of the group. */
@unmanaged
export class Tile {
  /** Address of the 6 × 6 inputs, which may begin outside the plane. */
  input: usize = 0;
  /** Address of the 4 × 4 results. */
  result: usize = 0;
  /** Rows and columns of the inputs that exist: [top, bottom), [left, right). */
  top: i32 = 0;
  bottom: i32 = 0;
  left: i32 = 0;
  right: i32 = 0;
  /** Rows and columns of the results that exist. */
  rows: i32 = 0;
  columns: i32 = 0;
  // At 32 and 48: all bits of the input's columns that exist; at 64 of the result's.

  @inline
  static at(p: usize): Tile {
    return changetype<Tile>(p);
  }

  @inline
  get wholeInput(): bool {
    return this.bottom - this.top == 6 && this.right - this.left == 6;
  }

  @inline
  get wholeResult(): bool {
    return this.rows == 4 && this.columns == 4;
  }
}

/** Tiles of one image, of `size` × `size` results. */
export function tiles_of(plan: Plan, size: i32): i32 {
  return ((plan.outHeight + size - 1) / size) * ((plan.outWidth + size - 1) / size);
}

/**
 * Writes `padded` tiles of a group from number `first` on (all images in order); those from
 * `count` on are empty. `x` and `y`: the arrays shaped as the convolution's input and result.
 */
export function locate_tiles(
  plan: Plan,
  group: i32,
  first: i32,
  count: i32,
  padded: i32,
  x: usize,
  y: usize,
  to: usize,
  size: i32,
): void {
  const across = (plan.outWidth + size - 1) / size;
  const perImage = tiles_of(plan, size);
  for (let t = 0; t < padded; t++) {
    const tile = Tile.at(to);
    to += TILE;
    if (t >= count) {
      memory.fill(changetype<usize>(tile), 0, TILE);
      continue;
    }
    const image = (first + t) / perImage;
    const place = first + t - image * perImage;
    const oy = (place / across) * size;
    const ox = (place % across) * size;
    const iy = oy - plan.padY;
    const ix = ox - plan.padX;
    const part = image * plan.groups + group;
    tile.input = x + <usize>(part * plan.channels) * plan.plane + ((iy * plan.width + ix) << 2);
    tile.result = y + ((<usize>(part * plan.filters * plan.pixels + oy * plan.outWidth + ox)) << 2);
    tile.top = max(0, -iy);
    tile.bottom = min(size + 2, plan.height - iy);
    tile.left = max(0, -ix);
    tile.right = min(size + 2, plan.width - ix);
    tile.rows = min(size, plan.outHeight - oy);
    tile.columns = min(size, plan.outWidth - ox);
    const p = changetype<usize>(tile);
    v128.store(p, within(0, tile.left, tile.right), 32);
    v128.store(p, within(4, tile.left, tile.right), 48);
    v128.store(p, within(0, 0, tile.columns), 64);
  }
}

/** All bits in the lanes i with low ≤ from + i < high. */
function within(from: i32, low: i32, high: i32): v128 {
  const lane = i32x4.add(i32x4.splat(from), i32x4(0, 1, 2, 3));
  return v128.and(i32x4.ge_s(lane, i32x4.splat(low)), i32x4.lt_s(lane, i32x4.splat(high)));
}

/** Bytes that may be read: whole vectors may reach over the end of an array, not of the memory. */
export function readable(): usize {
  return (<usize>memory.size()) << 16;
}

/** Copies what exists of a tile's inputs at `from` into a patch whose other places are 0 already. */
export function patch_input(tile: Tile, from: usize, rowBytes: usize, patch: usize): void {
  const p = changetype<usize>(tile);
  const low = v128.load(p, 32);
  const high = v128.load(p, 48);
  for (let r = tile.top; r < tile.bottom; r++) {
    const row = from + rowBytes * r;
    const to = patch + (r << 5);
    if (row + 32 <= readable()) {
      v128.store(to, v128.and(v128.load(row), low));
      v128.store(to, v128.and(v128.load(row, 16), high), 16);
    } else {
      for (let i = tile.left; i < tile.right; i++) {
        store<f32>(to + (i << 2), load<f32>(row + (i << 2)));
      }
    }
  }
}

/** The same for results: rows of four. */
export function patch_result(tile: Tile, from: usize, rowBytes: usize, patch: usize): void {
  const mask = v128.load(changetype<usize>(tile), 64);
  for (let r = 0; r < tile.rows; r++) {
    const row = from + rowBytes * r;
    const to = patch + (r << 5);
    if (row + 16 <= readable()) v128.store(to, v128.and(v128.load(row), mask));
    else {
      for (let i = 0; i < tile.columns; i++) {
        store<f32>(to + (i << 2), load<f32>(row + (i << 2)));
      }
    }
  }
}

/** First pass over the inputs of four tiles: six rows of six, `rowBytes` apart, to lines at `to`. */
function input_rows(p0: usize, p1: usize, p2: usize, p3: usize, rowBytes: usize, to: usize): void {
  for (let r = 0; r < 6; r++) {
    const v0 = v128.load(p0);
    const v1 = v128.load(p1);
    const v2 = v128.load(p2);
    const v3 = v128.load(p3);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const u2 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const u3 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    const w0 = v128.load64_lane(p1 + 16, v128.load64_zero(p0, 16), 1);
    const w1 = v128.load64_lane(p3 + 16, v128.load64_zero(p2, 16), 1);
    // prettier-ignore
    Data.put(i64x2.shuffle(u0, u1, 0, 2), i64x2.shuffle(u0, u1, 1, 3), i64x2.shuffle(u2, u3, 0, 2),
      i64x2.shuffle(u2, u3, 1, 3), i32x4.shuffle(w0, w1, 0, 2, 4, 6), i32x4.shuffle(w0, w1, 1, 3, 5, 7), to, 16);
    p0 += rowBytes;
    p1 += rowBytes;
    p2 += rowBytes;
    p3 += rowBytes;
    to += 96;
  }
}

/** First pass over the results of four tiles: four rows of four. */
function result_rows(p0: usize, p1: usize, p2: usize, p3: usize, rowBytes: usize, to: usize): void {
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
    ResultAdjoint.put(i64x2.shuffle(u0, u1, 0, 2), i64x2.shuffle(u0, u1, 1, 3),
      i64x2.shuffle(u2, u3, 0, 2), i64x2.shuffle(u2, u3, 1, 3), to, 16);
    p0 += rowBytes;
    p1 += rowBytes;
    p2 += rowBytes;
    p3 += rowBytes;
    to += 96;
  }
}

/** Bᵀ d B of four tiles in `channels` planes, to `to + 32 · channel` each. */
export function transform_inputs(
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
  const rowBytes = (<usize>plan.width) << 2;
  const plane = plan.plane;
  const inPlace = t0.wholeInput && t1.wholeInput && t2.wholeInput && t3.wholeInput;
  const patches = work + LINES;
  if (!inPlace) memory.fill(patches, 0, 4 * PATCH);
  for (let c: usize = 0; c < <usize>channels; c++) {
    const skip = c * plane;
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
    data_lines(work, to, step * 6, step);
    to += 32;
  }
}

/**
 * The inputs of one tile in `channels` planes, four at a time in the lanes, to `to + 16 · i` each,
 * for `padded` lanes: those beyond the last channel are 0.
 */
export function transform_input_channels(
  plan: Plan,
  tile: Tile,
  first: i32,
  channels: i32,
  padded: i32,
  work: usize,
  to: usize,
  step: usize,
): void {
  const rowBytes = (<usize>plan.width) << 2;
  const plane = plan.plane;
  const patches = work + LINES;
  const inPlace = tile.wholeInput;
  let from = tile.input + plane * first;
  if (!inPlace) memory.fill(patches, 0, 4 * PATCH);
  for (let c = 0; c < padded; c += 4) {
    if (inPlace && c + 4 <= channels) {
      // prettier-ignore
      input_rows(from, from + plane, from + plane * 2, from + plane * 3, rowBytes, work);
    } else {
      if (c + 4 > channels) memory.fill(patches, 0, 4 * PATCH);
      for (let i = 0; i < min(4, channels - c); i++) {
        patch_input(tile, from + plane * i, rowBytes, patches + PATCH * i);
      }
      // prettier-ignore
      input_rows(patches, patches + PATCH, patches + PATCH * 2, patches + PATCH * 3, 32, work);
    }
    data_lines(work, to, step * 6, step);
    from += plane * 4;
    to += 16;
  }
}

/** The same of results and filters. */
export function transform_result_filters(
  plan: Plan,
  tile: Tile,
  first: i32,
  filters: i32,
  padded: i32,
  work: usize,
  to: usize,
  step: usize,
): void {
  const rowBytes = (<usize>plan.outWidth) << 2;
  const plane = (<usize>plan.pixels) << 2;
  const patches = work + LINES;
  const inPlace = tile.wholeResult;
  let from = tile.result + plane * first;
  if (!inPlace) memory.fill(patches, 0, 4 * PATCH);
  for (let f = 0; f < padded; f += 4) {
    if (inPlace && f + 4 <= filters) {
      // prettier-ignore
      result_rows(from, from + plane, from + plane * 2, from + plane * 3, rowBytes, work);
    } else {
      if (f + 4 > filters) memory.fill(patches, 0, 4 * PATCH);
      for (let i = 0; i < min(4, filters - f); i++) {
        patch_result(tile, from + plane * i, rowBytes, patches + PATCH * i);
      }
      // prettier-ignore
      result_rows(patches, patches + PATCH, patches + PATCH * 2, patches + PATCH * 3, 32, work);
    }
    result_adjoint_lines(work, to, step * 6, step);
    from += plane * 4;
    to += 16;
  }
}

/** Second pass of Aᵀ m A with a bias in every lane: four lines to four rows of each tile. */
function store_results(
  from: usize,
  start: f32,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  rowBytes: usize,
  line: usize,
): void {
  const bias = f32x4.splat(start);
  for (let r = 0; r < 4; r++) {
    // prettier-ignore
    Result.put(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48),
      v128.load(from, 64), v128.load(from, 80), line, 16);
    const v0 = f32x4.add(v128.load(line), bias);
    const v1 = f32x4.add(v128.load(line, 16), bias);
    const v2 = f32x4.add(v128.load(line, 32), bias);
    const v3 = f32x4.add(v128.load(line, 48), bias);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const u2 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const u3 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    v128.store(p0, i64x2.shuffle(u0, u1, 0, 2));
    v128.store(p1, i64x2.shuffle(u0, u1, 1, 3));
    v128.store(p2, i64x2.shuffle(u2, u3, 0, 2));
    v128.store(p3, i64x2.shuffle(u2, u3, 1, 3));
    from += 96;
    p0 += rowBytes;
    p1 += rowBytes;
    p2 += rowBytes;
    p3 += rowBytes;
  }
}

/** y = Aᵀ m A + bias of four tiles in one plane, `skip` bytes after the tile's address. */
export function write_results(
  plan: Plan,
  tiles: usize,
  skip: usize,
  bias: f32,
  work: usize,
  from: usize,
  step: usize,
): void {
  const t0 = Tile.at(tiles);
  const t1 = Tile.at(tiles + TILE);
  const t2 = Tile.at(tiles + TILE * 2);
  const t3 = Tile.at(tiles + TILE * 3);
  const rowBytes = (<usize>plan.outWidth) << 2;
  const patches = work + LINES;
  result_lines(from, step * 6, step, work);
  if (t0.wholeResult && t1.wholeResult && t2.wholeResult && t3.wholeResult) {
    // prettier-ignore
    store_results(work, bias, t0.result + skip, t1.result + skip, t2.result + skip, t3.result + skip,
      rowBytes, patches);
    return;
  }
  // prettier-ignore
  store_results(work, bias, patches, patches + PATCH, patches + PATCH * 2, patches + PATCH * 3, 32,
    work + 384);
  for (let i = 0; i < 4; i++) {
    const tile = Tile.at(tiles + TILE * i);
    for (let r = 0; r < tile.rows; r++) {
      const row = patches + PATCH * i + (r << 5);
      const to = tile.result + skip + rowBytes * r;
      if (tile.columns == 4) v128.store(to, v128.load(row));
      else F32x4.storeTail(to, v128.load(row), tile.columns);
    }
  }
}
