/** What a row's figures are compared with. */
import type { Engine } from "./engines.ts";
import { advantage } from "./row.ts";
import type { Cell, Ratio, Result, Row, Unit } from "./row.ts";

const peers: Record<string, string> = {
  pytorch: "× PyTorch",
  "gcc -O3": "× gcc -O3",
  native: "× gcc native",
  "jax-js": "× jax-js",
  tfjs: "× tfjs",
};

/** Names of the rows that hold the machine's limits. */
export const peakName = (fused: boolean, threads: number): string =>
  `${fused ? "fused multiply-add" : "multiply, then add"}, ${plural(threads)}`;
export const triadName = (threads: number): string => `triad, ${plural(threads)}`;

const plural = (threads: number): string => `${threads} thread${threads === 1 ? "" : "s"}`;

/** `earlier` holds the machine's rows and those of the row's own section. */
export function ratiosOf(
  row: Row,
  cells: Record<string, Cell>,
  engines: readonly Engine[],
  earlier: readonly Result[],
): Ratio[] {
  const own = engines.filter(({ group, name }) => group === "roadless" && name in cells);
  const ratios: Ratio[] = [];
  const add = (label: string, value: (engine: Engine) => number | undefined, of = own): void => {
    const values: Record<string, number> = {};
    for (const engine of of) {
      const found = value(engine);
      if (found !== undefined) values[engine.name] = found;
    }
    if (Object.keys(values).length > 0) ratios.push({ label, values });
  };

  const { limit, against } = row;
  if (limit === "peak") {
    add("of the peak", ({ name, fused, threads }) => {
      return share(cells[name], machine(earlier, peakName(fused, threads)));
    });
  } else if (limit !== undefined) {
    const gigabytes = (cell: Cell): Cell => ({ ...cell, best: bytesRate(row, cell, limit.bytes) });
    add("of the triad", ({ name, threads }) => {
      return share(gigabytes(cells[name]), machine(earlier, triadName(threads)));
    });
  }
  for (const [peer, label] of Object.entries(peers)) {
    if (peer in cells) add(label, ({ name }) => advantage(row.unit, cells[name], cells[peer]));
  }
  if (against !== undefined) {
    const base = earlier.find(({ section, name }) => section === row.section && name === against);
    const all = engines.filter(({ name }) => name in cells && base && name in base.cells);
    add(
      `times "${against}"`,
      ({ name }) => advantage(row.unit, base!.cells[name], cells[name]),
      all,
    );
  }
  return ratios;
}

const machine = (earlier: readonly Result[], name: string): Cell | undefined =>
  earlier.find((result) => result.section === "machine" && result.name === name)?.cells.machine;

function share(cell: Cell, limit: Cell | undefined): number | undefined {
  if (limit === undefined) return undefined;
  return advantage("GFLOP/s" satisfies Unit, cell, limit);
}

/** GB/s of a cell of M/s. */
function bytesRate({ amount = 1 }: Row, cell: Cell, bytes: number): number {
  return "cannot" in cell ? NaN : (cell.best * 1e6 * (bytes / amount)) / 1e9;
}
