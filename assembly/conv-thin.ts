/**
 * Convolutions with few input channels, the first layers of networks: packing their pixels for a matrix
 * product would cost as much as the product. Tiles of 4 filters × 8 pixels read their pixels where they
 * stand, in padded bands of rows (conv-band.ts), through a table of the kernel elements' places:
 *   y[o, i] = max(floor, bias[o] + Σ_k w[o, k] · x[i + place[k]])
 * Each result adds its products in the order of k, as the matrix product does: the bits are the same.
 */
import { Area } from "./blocks";
import { Band, MOST } from "./conv-band";
import { forward_band, forward_places } from "./conv-direct";
import { Plan } from "./conv-plan";
import { F32x4 } from "./simd";

/** Filters of a tile. */
const FILTERS: i32 = 4;
/** Pixels of a tile. */
const PIXELS: i32 = 8;
/** Columns of results from which on tiles are full enough. */
const LEAST_COLUMNS: i32 = 6;

/** Bytes of the packed filters of one group: in panels of 4, each their biases, then [taps][4]. */
function filter_bytes(plan: Plan): usize {
  return <usize>((plan.filters + FILTERS - 1) / FILTERS) * panel_bytes(plan);
}

function panel_bytes(plan: Plan): usize {
  return (<usize>(plan.taps + 1)) << 4;
}

/** May conv2d_thin_f32 be called? 0 where rows are too short for tiles, or a band and the filters too large. */
export function conv2d_thin_fits(p: usize): i32 {
  const plan = Plan.at(p);
  if (plan.outWidth < LEAST_COLUMNS || plan.taps == 0) return 0;
  const filters = <f64>(plan.taps + 1) * (<f64>plan.filters + FILTERS);
  if (filters > MOST || !forward_band(plan, plan.channels, 0)) return 0;
  return i32(Band.mine.results - Band.planes + filter_bytes(plan) <= (<usize>MOST) << 2);
}

/** Jobs of conv2d_thin_f32: a band of an image and a group each. */
export function conv2d_thin_jobs(p: usize): i32 {
  const plan = Plan.at(p);
  forward_band(plan, plan.channels, 0);
  return plan.images * plan.groups * bands_of(plan);
}

function bands_of(plan: Plan): i32 {
  const rows = Band.mine.rows;
  return (plan.outHeight + rows - 1) / rows;
}

/**
 * y = max(floor, w ⋆ x + bias) with w [groups · filters, taps], bias [groups · filters] or 0. A `floor` of 0 is relu,
 * of −∞ none; NaN stays. [begin, end) of conv2d_thin_jobs(plan).
 */
export function conv2d_thin_f32(
  p: usize,
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  floor: f32,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const band = Band.mine;
  forward_band(plan, plan.channels, 0);
  const bands = bands_of(plan);
  const places = Band.table;
  forward_places(plan, band, plan.channels, places, 4);
  const panels = band.results;
  let packed = -1;
  for (let job = begin; job < end; job++) {
    const ig = job / bands; // image · groups + group
    const group = ig % plan.groups;
    if (group != packed) {
      pack_filters(plan, w, bias, group * plan.filters, panels);
      packed = group;
    }
    const y0 = (job - ig * bands) * band.rows;
    const n = min(band.rows, plan.outHeight - y0);
    band.fill(x + plan.plane * (ig * plan.channels), plan.plane, y0, n);
    const first = ig * plan.filters * plan.pixels + y0 * plan.outWidth;
    const to = y + ((<usize>first) << 2);
    correlate_band(plan, places, panels, to, n, f32x4.splat(floor));
  }
}

/** Filters from `first` on, 0 where there is none. */
function pack_filters(plan: Plan, w: usize, bias: usize, first: i32, to: usize): void {
  const taps = plan.taps;
  for (let f = 0; f < plan.filters; f += FILTERS) {
    for (let i = 0; i < FILTERS; i++) {
      const exists = f + i < plan.filters;
      const filter = first + f + i;
      let at = to + (i << 2);
      store<f32>(at, exists && bias ? load<f32>(bias + ((<usize>filter) << 2)) : 0);
      let from = w + ((<usize>(filter * taps)) << 2);
      for (let k = 0; k < taps; k++) {
        at += 16;
        store<f32>(at, exists ? load<f32>(from) : 0);
        from += 4;
      }
    }
    to += panel_bytes(plan);
  }
}

/** `n` rows of results of all filters, the first at `y`. */
function correlate_band(
  plan: Plan,
  places: usize,
  panels: usize,
  y: usize,
  n: i32,
  floor: v128,
): void {
  const placesEnd = places + ((<usize>plan.taps) << 2);
  const plane = (<usize>plan.pixels) << 2;
  const pitch = (<usize>Band.mine.pitch) << 2;
  const width = plan.outWidth;
  for (let f = 0; f < plan.filters; f += FILTERS) {
    const filters = min(FILTERS, plan.filters - f);
    let row: usize = 0;
    let to = y;
    for (let r = 0; r < n; r++) {
      // What a tile writes beyond its row is overwritten by the next one; in the last, tiles overlap.
      const last = r + 1 == n;
      const edge = filters < FILTERS || (last && width < PIXELS);
      for (let c = 0; c < width; c += PIXELS) {
        const column = last && !edge ? min(c, width - PIXELS) : c;
        const at = row + ((<usize>column) << 2);
        const result = to + ((<usize>column) << 2);
        if (edge) {
          const columns = min(PIXELS, width - c);
          tile_edge(places, placesEnd, at, panels, result, plane, floor, filters, columns);
        } else if (width - column > 4) {
          tile8(places, placesEnd, at, panels, result, plane, floor);
        } else tile4(places, placesEnd, at, panels, result, plane, floor);
      }
      row += pitch;
      to += (<usize>width) << 2;
    }
    panels += panel_bytes(plan);
    y += plane * FILTERS;
  }
}

/** A tile of which only some filters and columns exist. */
function tile_edge(
  places: usize,
  placesEnd: usize,
  at: usize,
  panel: usize,
  y: usize,
  plane: usize,
  floor: v128,
  filters: i32,
  columns: i32,
): void {
  let from = Area.tile;
  tile8(places, placesEnd, at, panel, from, PIXELS << 2, floor);
  for (; filters > 0; filters--) {
    for (let c = 0; c < columns; c++) {
      store<f32>(y + ((<usize>c) << 2), load<f32>(from + ((<usize>c) << 2)));
    }
    from += PIXELS << 2;
    y += plane;
  }
}

/** Four filters at eight pixels, `at` bytes from the places. One loop: see tile.ts. */
function tile8(
  places: usize,
  placesEnd: usize,
  at: usize,
  panel: usize,
  y: usize,
  plane: usize,
  floor: v128,
): void {
  let y00 = v128.load32_splat(panel);
  let y10 = v128.load32_splat(panel, 4);
  let y20 = v128.load32_splat(panel, 8);
  let y30 = v128.load32_splat(panel, 12);
  let y01 = y00;
  let y11 = y10;
  let y21 = y20;
  let y31 = y30;
  for (; places < placesEnd; places += 4) {
    panel += 16;
    const from = at + <usize>load<u32>(places);
    const x0 = v128.load(from);
    const x1 = v128.load(from, 16);
    const w0 = v128.load32_splat(panel);
    y00 = F32x4.fma(w0, x0, y00);
    y01 = F32x4.fma(w0, x1, y01);
    const w1 = v128.load32_splat(panel, 4);
    y10 = F32x4.fma(w1, x0, y10);
    y11 = F32x4.fma(w1, x1, y11);
    const w2 = v128.load32_splat(panel, 8);
    y20 = F32x4.fma(w2, x0, y20);
    y21 = F32x4.fma(w2, x1, y21);
    const w3 = v128.load32_splat(panel, 12);
    y30 = F32x4.fma(w3, x0, y30);
    y31 = F32x4.fma(w3, x1, y31);
  }
  // pmax keeps a NaN on its left.
  v128.store(y, f32x4.pmax(y00, floor));
  v128.store(y, f32x4.pmax(y01, floor), 16);
  y += plane;
  v128.store(y, f32x4.pmax(y10, floor));
  v128.store(y, f32x4.pmax(y11, floor), 16);
  y += plane;
  v128.store(y, f32x4.pmax(y20, floor));
  v128.store(y, f32x4.pmax(y21, floor), 16);
  y += plane;
  v128.store(y, f32x4.pmax(y30, floor));
  v128.store(y, f32x4.pmax(y31, floor), 16);
}

/** The same at four pixels. */
function tile4(
  places: usize,
  placesEnd: usize,
  at: usize,
  panel: usize,
  y: usize,
  plane: usize,
  floor: v128,
): void {
  let y0 = v128.load32_splat(panel);
  let y1 = v128.load32_splat(panel, 4);
  let y2 = v128.load32_splat(panel, 8);
  let y3 = v128.load32_splat(panel, 12);
  for (; places < placesEnd; places += 4) {
    panel += 16;
    const x = v128.load(at + <usize>load<u32>(places));
    y0 = F32x4.fma(v128.load32_splat(panel), x, y0);
    y1 = F32x4.fma(v128.load32_splat(panel, 4), x, y1);
    y2 = F32x4.fma(v128.load32_splat(panel, 8), x, y2);
    y3 = F32x4.fma(v128.load32_splat(panel, 12), x, y3);
  }
  v128.store(y, f32x4.pmax(y0, floor));
  y += plane;
  v128.store(y, f32x4.pmax(y1, floor));
  y += plane;
  v128.store(y, f32x4.pmax(y2, floor));
  y += plane;
  v128.store(y, f32x4.pmax(y3, floor));
}
