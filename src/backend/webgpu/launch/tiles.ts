/** Which tile of a product a workgroup computes, and how many workgroups share a long sum. */

/** A tile of rows × columns, of which each lane holds laneRows × laneColumns in registers. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly laneRows: number;
  readonly laneColumns: number;
  readonly lanes: number;
}

export interface Plan {
  readonly tile: Tile;
  /** Workgroups that sum parts of k of the same tile. */
  readonly splits: number;
  /** Length of such a part: a multiple of DEPTH. */
  readonly part: number;
}

/** What an adapter allows a workgroup. */
export interface GroupLimits {
  readonly lanes: number;
  readonly bytes: number;
}

/** Columns of A and rows of B that lie in workgroup memory at a time. */
export const DEPTH = 16;

const tileOf = (rows: number, columns: number, laneRows: number, laneColumns: number): Tile => ({
  rows,
  columns,
  laneRows,
  laneColumns,
  lanes: (rows / laneRows) * (columns / laneColumns),
});

/** With 8 × 8 a lane reads 4 vec4 of workgroup memory for 16 vec4 multiply-adds, with 4 × 4 2 for 4. */
const large = tileOf(128, 128, 8, 8);
const medium = tileOf(64, 64, 8, 4);
const small = tileOf(32, 32, 4, 4);
const low = tileOf(16, 64, 4, 4);
const tall = tileOf(64, 16, 4, 4);

/** Workgroups that keep an adapter busy; WebGPU does not tell how many cores there are. */
const BUSY = 128;
/** A part of a sum is at least that long, so that it outweighs writing and reading its result. */
const SHORTEST_PART = 8 * DEPTH;
/** Elements that all parts write at most. */
const MOST_PARTIAL = 2 ** 22;

/** Multiply-adds below which a product is done before a GPU notices. */
const SMALL = 2 ** 16;

/**
 * Small products of all shapes share a kernel without vec4 and constants: compiling another one would cost more than it could
 * ever win.
 */
export const isSmall = (m: number, n: number, k: number, batch: number): boolean =>
  m * n * k * batch < SMALL;

const bytesOf = ({ rows, columns }: Tile): number => 4 * DEPTH * (rows + columns);

/**
 * The largest tile that leaves no more than half of itself empty and, with the sum in parts, gives enough workgroups.
 * `inParts` may forbid the latter. It depends on shapes and limits alone, and so does the order of every sum.
 */
export function planOf(
  m: number,
  n: number,
  k: number,
  batch: number,
  limits: GroupLimits,
  inParts = true,
): Plan {
  const allowed = ({ lanes }: Tile): boolean => lanes <= limits.lanes;
  const fits = (tile: Tile): boolean =>
    allowed(tile) && bytesOf(tile) <= limits.bytes && m > tile.rows / 2 && n > tile.columns / 2;
  if (isSmall(m, n, k, batch)) return split(small, m, n, k, batch, false);
  const thin = m <= 16 ? low : n <= 16 ? tall : small;
  let plan = split(thin, m, n, k, batch, inParts);
  if (thin !== small) return plan;
  for (const tile of [medium, large]) {
    if (!fits(tile)) continue;
    const larger = split(tile, m, n, k, batch, inParts);
    if (groupsOf(larger, m, n, batch) >= Math.min(BUSY, groupsOf(plan, m, n, batch))) plan = larger;
  }
  return plan;
}

function groupsOf({ tile, splits }: Plan, m: number, n: number, batch: number): number {
  return Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns) * batch * splits;
}

function split(tile: Tile, m: number, n: number, k: number, batch: number, inParts: boolean): Plan {
  const whole: Plan = { tile, splits: 1, part: Math.ceil(k / DEPTH) * DEPTH };
  const wanted = Math.floor(BUSY / groupsOf(whole, m, n, batch));
  const possible = Math.min(
    wanted,
    Math.floor(k / SHORTEST_PART),
    Math.floor(MOST_PARTIAL / (m * n * batch)),
  );
  if (possible < 2 || !inParts) return whole;
  const part = Math.ceil(k / possible / DEPTH) * DEPTH;
  return { tile, splits: Math.ceil(k / part), part };
}
