/** Filters of a Winograd convolution to and from the frequency domain: see winograd.ts. */
import { ROWS } from "./blocks";
import { padded_rows, Plan } from "./conv-plan";
import { scratch } from "./scratch";
import { Filter, FilterAdjoint, SmallFilter } from "./winograd-lines";

const FREQUENCIES: i32 = 36;

/**
 * U = G g Gᵀ in left panels, out[group][frequency][panel][channels][gemm_rows], where panels are of filters. A
 * frequency takes channels · (filters, rounded up to gemm_rows) floats. [begin, end) counts groups · filters.
 */
export function conv2d_winograd_filters_f32(
  p: usize,
  w: usize,
  out: usize,
  begin: i32,
  end: i32,
): void {
  pack_filters(Plan.at(p), w, out, 4, false, begin, end);
}

/** The same for tiles of `size` × `size`; where `transposed`, panels are of channels and k of filters. */
export function pack_filters(
  plan: Plan,
  w: usize,
  out: usize,
  size: i32,
  transposed: bool,
  begin: i32,
  end: i32,
): void {
  const channels = plan.channels;
  const filters = plan.filters;
  const k = transposed ? filters : channels;
  const step = (<usize>(padded_rows(transposed ? channels : filters) * k)) << 2;
  const line = size + 2;
  const lineBytes = (<usize>line) << 4;
  const frequencies = line * line;
  const taps = scratch(); // 3 × 3 vectors
  const half = taps + 144; // 3 lines
  const all = half + lineBytes * 3; // as many as a line is long
  for (let i = begin; i < end; i++) {
    const group = i / filters;
    const o = i - group * filters;
    const to = out + <usize>(group * frequencies) * step;
    for (let c = 0; c < channels; c += 4) {
      const n = min(4, channels - c);
      gather(w + ((<usize>((i * channels + c) * 9)) << 2), n, taps);
      filter_lines(size, 3, taps, 16, 48, half, 16, lineBytes);
      filter_lines(size, line, half, lineBytes, 16, all, lineBytes, 16);
      for (let lane = 0; lane < n; lane++) {
        const row = transposed ? c + lane : o;
        const column = transposed ? o : c + lane;
        const panel = row / ROWS;
        const place = (panel * k + column) * ROWS + row - panel * ROWS;
        scatter(frequencies, all + (lane << 2), to + ((<usize>place) << 2), step);
      }
    }
  }
}

/** Nine vectors: tap k of n ≤ 4 filters, 9 floats apart, one per lane. */
function gather(from: usize, n: i32, to: usize): void {
  for (let k = 0; k < 9; k++) {
    let v = v128.load32_zero(from);
    if (n > 1) v = v128.load32_lane(from + 36, v, 1);
    if (n > 2) v = v128.load32_lane(from + 72, v, 2);
    if (n > 3) v = v128.load32_lane(from + 108, v, 3);
    v128.store(to, v);
    from += 4;
    to += 16;
  }
}

/** The same lane of n vectors to floats `step` bytes apart. */
function scatter(n: i32, from: usize, to: usize, step: usize): void {
  for (let f = 0; f < n; f++) {
    store<f32>(to, load<f32>(from));
    from += 16;
    to += step;
  }
}

/** n lines of F(size, 3): from vectors `sf` bytes apart, `nf` from line to line, to vectors `st` and `nt` apart. */
function filter_lines(
  size: i32,
  n: i32,
  from: usize,
  sf: usize,
  nf: usize,
  to: usize,
  st: usize,
  nt: usize,
): void {
  for (let j = 0; j < n; j++) {
    // prettier-ignore
    if (size == 4) Filter.put(v128.load(from), v128.load(from + sf), v128.load(from + sf * 2), to, st);
    else SmallFilter.put(v128.load(from), v128.load(from + sf), v128.load(from + sf * 2), to, st);
    from += nf;
    to += nt;
  }
}

/** The same of FilterAdjoint. */
function filter_adjoint_lines(
  n: i32,
  from: usize,
  sf: usize,
  nf: usize,
  to: usize,
  st: usize,
  nt: usize,
): void {
  for (let j = 0; j < n; j++) {
    // prettier-ignore
    FilterAdjoint.put(v128.load(from), v128.load(from + sf), v128.load(from + sf * 2),
      v128.load(from + sf * 3), v128.load(from + sf * 4), v128.load(from + sf * 5), to, st);
    from += nf;
    to += nt;
  }
}

/**
 * dw = Gᵀ Ū G of n ≤ 4 filters in the lanes, 9 floats apart. Ū is the sum, in order, of `parts`
 * sums `part` bytes apart, whose frequencies are `step` bytes apart.
 */
export function write_filters(
  from: usize,
  step: usize,
  parts: i32,
  part: usize,
  n: i32,
  dw: usize,
): void {
  const all = scratch(); // 6 × 6 vectors
  const half = all + 576; // 3 × 6
  const taps = half + 288; // 3 × 3
  sum_parts(from, step, parts, part, all);
  filter_adjoint_lines(6, all, 96, 16, half, 96, 16);
  filter_adjoint_lines(3, half, 16, 96, taps, 16, 48);
  for (let lane = 0; lane < n; lane++) scatter(9, taps + (lane << 2), dw + lane * 36, 4);
}

function sum_parts(from: usize, step: usize, parts: i32, part: usize, to: usize): void {
  for (let f = 0; f < FREQUENCIES; f++) {
    let sum = v128.load(from);
    for (let i = 1; i < parts; i++) sum = f32x4.add(sum, v128.load(from + part * i));
    v128.store(to, sum);
    from += step;
    to += 16;
  }
}
