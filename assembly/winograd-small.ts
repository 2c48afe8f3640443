/**
 * Tiles of 3 × 3 results and 5 × 5 inputs for the gradient with respect to the input: see winograd-inputs.ts. Vectors hold the same place of four tiles; vector f of 25
 * frequencies lies at `f · step` bytes.
 */
import { Plan } from "./conv-plan";
import { SmallDataAdjoint, SmallResultAdjoint } from "./winograd-lines";
import { PATCH, patch_result, readable, TILE, Tile } from "./winograd-tiles";

/** Five lines of five vectors. */
const LINES: usize = 400;
/** Bytes between tiles that are neighbours in a row. */
const NEXT: usize = 12;

/** A dy Aᵀ of four tiles in `filters` planes, to `to + 32 · filter` each. */
export function transform_small_results(
  plan: Plan,
  tiles: usize,
  filters: i32,
  work: usize,
  to: usize,
  step: usize,
): void {
  const t0 = Tile.at(tiles);
  const t1 = Tile.at(tiles + TILE);
  const t2 = Tile.at(tiles + TILE * 2);
  const t3 = Tile.at(tiles + TILE * 3);
  const rowBytes = (<usize>plan.outWidth) << 2;
  const plane = (<usize>plan.pixels) << 2;
  const reach = plane * (filters - 1) + rowBytes * 2 + 16;
  const inPlace =
    is_whole(t0, reach) && is_whole(t1, reach) && is_whole(t2, reach) && is_whole(t3, reach);
  const patches = work + LINES;
  if (!inPlace) memory.fill(patches, 0, 4 * PATCH);
  for (let f: usize = 0; f < <usize>filters; f++) {
    const skip = f * plane;
    if (inPlace) {
      // prettier-ignore
      result_rows(t0.result + skip, t1.result + skip, t2.result + skip, t3.result + skip, rowBytes, work);
    } else {
      patch_result(t0, t0.result + skip, rowBytes, patches);
      patch_result(t1, t1.result + skip, rowBytes, patches + PATCH);
      patch_result(t2, t2.result + skip, rowBytes, patches + PATCH * 2);
      patch_result(t3, t3.result + skip, rowBytes, patches + PATCH * 3);
      // prettier-ignore
      result_rows(patches, patches + PATCH, patches + PATCH * 2, patches + PATCH * 3, 32, work);
    }
    result_lines(work, to, step * 5, step);
    to += 32;
  }
}

/** Are there 3 × 3 results, and may `reach` bytes be read from the first on? */
function is_whole(tile: Tile, reach: usize): bool {
  return tile.rows == 3 && tile.columns == 3 && tile.result + reach <= readable();
}

/** First pass over the results of four tiles: three rows of three, to lines of 80 bytes. */
function result_rows(p0: usize, p1: usize, p2: usize, p3: usize, rowBytes: usize, to: usize): void {
  for (let r = 0; r < 3; r++) {
    const v0 = v128.load(p0);
    const v1 = v128.load(p1);
    const v2 = v128.load(p2);
    const v3 = v128.load(p3);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const u2 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const u3 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    // prettier-ignore
    SmallResultAdjoint.put(i64x2.shuffle(u0, u1, 0, 2), i64x2.shuffle(u0, u1, 1, 3),
      i64x2.shuffle(u2, u3, 0, 2), to, 16);
    p0 += rowBytes;
    p1 += rowBytes;
    p2 += rowBytes;
    p3 += rowBytes;
    to += 80;
  }
}

/** Second pass: line j, whose three vectors lie 80 bytes apart at `from + 16·j`, to `to + nt·j`, `step` bytes apart. */
function result_lines(from: usize, to: usize, step: usize, nt: usize): void {
  for (let j = 0; j < 5; j++) {
    SmallResultAdjoint.put(v128.load(from), v128.load(from, 80), v128.load(from, 160), to, step);
    from += 16;
    to += nt;
  }
}

/** dx += B m Bᵀ of four tiles in one plane, `skip` bytes after the tile's address. */
export function add_small_inputs(
  plan: Plan,
  tiles: usize,
  skip: usize,
  work: usize,
  from: usize,
  step: usize,
): void {
  const rowBytes = (<usize>plan.width) << 2;
  const patches = work + LINES;
  data_adjoint_lines(from, step * 5, step, work);
  const first = Tile.at(tiles);
  if (is_run(first, Tile.at(tiles + TILE), Tile.at(tiles + TILE * 2), Tile.at(tiles + TILE * 3))) {
    add_run(work, first.input + skip, rowBytes);
    return;
  }
  data_adjoint_rows(work);
  store_patches(work, patches);
  for (let i = 0; i < 4; i++) {
    const tile = Tile.at(tiles + TILE * i);
    add_patch(tile, tile.input + skip, rowBytes, patches + PATCH * i);
  }
}

/** Are these neighbours in a row, all of whose inputs exist? */
function is_run(t0: Tile, t1: Tile, t2: Tile, t3: Tile): bool {
  return (
    t1.input == t0.input + NEXT &&
    t2.input == t0.input + NEXT * 2 &&
    t3.input == t0.input + NEXT * 3 &&
    t0.bottom - t0.top == 5 &&
    t0.left == 0 &&
    t3.right == 5
  );
}

/** First pass: line j from `from + nf·j`, `step` bytes apart, to `to + 16·j`, 80 bytes apart. */
function data_adjoint_lines(from: usize, step: usize, nf: usize, to: usize): void {
  for (let j = 0; j < 5; j++) {
    // prettier-ignore
    SmallDataAdjoint.put(v128.load(from), v128.load(from + step), v128.load(from + step * 2),
      v128.load(from + step * 3), v128.load(from + step * 4), to, 80);
    from += nf;
    to += 16;
  }
}

/** Second pass, in place: five lines to five rows. */
function data_adjoint_rows(from: usize): void {
  for (let r = 0; r < 5; r++) {
    // prettier-ignore
    SmallDataAdjoint.put(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48),
      v128.load(from, 64), from, 16);
    from += 80;
  }
}

/** The second pass for four neighbours, which share two columns each: five rows of 14 += their sums. */
function add_run(from: usize, to: usize, rowBytes: usize): void {
  const zero = f32x4.splat(0);
  const line = from;
  for (let r = 0; r < 5; r++) {
    // prettier-ignore
    SmallDataAdjoint.put(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48),
      v128.load(from, 64), line, 16);
    const v3 = v128.load(line, 48);
    const v4 = v128.load(line, 64);
    const v0 = f32x4.add(v128.load(line), i32x4.shuffle(zero, v3, 0, 4, 5, 6));
    const v1 = f32x4.add(v128.load(line, 16), i32x4.shuffle(zero, v4, 0, 4, 5, 6));
    const v2 = v128.load(line, 32);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v1, v2, 1, 5, 2, 6);
    const u2 = i32x4.shuffle(v0, v1, 3, 7, 3, 7);
    const w0 = i32x4.shuffle(u0, v2, 0, 1, 4, 2);
    const w1 = i32x4.shuffle(u1, v0, 0, 1, 6, 2);
    const w2 = i32x4.shuffle(v2, u2, 2, 4, 5, 3);
    const w3 = i32x4.shuffle(v3, v4, 3, 7, 3, 7);
    v128.store(to, f32x4.add(v128.load(to), w0));
    v128.store(to, f32x4.add(v128.load(to, 16), w1), 16);
    v128.store(to, f32x4.add(v128.load(to, 32), w2), 32);
    v128.store64_lane(to, f32x4.add(v128.load64_zero(to, 48), w3), 0, 48);
    from += 80;
    to += rowBytes;
  }
}

/** Five rows of four tiles to their patches. */
function store_patches(from: usize, patches: usize): void {
  for (let r = 0; r < 5; r++) {
    const v0 = v128.load(from);
    const v1 = v128.load(from, 16);
    const v2 = v128.load(from, 32);
    const v3 = v128.load(from, 48);
    const v4 = v128.load(from, 64);
    const u0 = i32x4.shuffle(v0, v1, 0, 4, 1, 5);
    const u1 = i32x4.shuffle(v2, v3, 0, 4, 1, 5);
    const u2 = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
    const u3 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
    v128.store(patches, i64x2.shuffle(u0, u1, 0, 2));
    v128.store(patches, i64x2.shuffle(u0, u1, 1, 3), PATCH);
    v128.store(patches, i64x2.shuffle(u2, u3, 0, 2), PATCH * 2);
    v128.store(patches, i64x2.shuffle(u2, u3, 1, 3), PATCH * 3);
    v128.store32_lane(patches, v4, 0, 16);
    v128.store32_lane(patches, v4, 1, PATCH + 16);
    v128.store32_lane(patches, v4, 2, PATCH * 2 + 16);
    v128.store32_lane(patches, v4, 3, PATCH * 3 + 16);
    from += 80;
    patches += 32;
  }
}

/** What exists of a tile's inputs += its patch. */
function add_patch(tile: Tile, to: usize, rowBytes: usize, patch: usize): void {
  const whole = tile.right - tile.left == 5;
  for (let r = tile.top; r < tile.bottom; r++) {
    const row = to + rowBytes * r;
    const from = patch + (r << 5);
    if (whole) {
      v128.store(row, f32x4.add(v128.load(row), v128.load(from)));
      store<f32>(row, load<f32>(row, 16) + load<f32>(from, 16), 16);
    } else {
      for (let c = tile.left; c < tile.right; c++) {
        const at = row + (c << 2);
        store<f32>(at, load<f32>(at) + load<f32>(from + (c << 2)));
      }
    }
  }
}
