/** A row of the table: what is asked, and what came of it. */
import type { Group } from "./engines.ts";
import type { Work } from "./work.ts";

/** Rates are better when larger, all else when smaller. */
export type Unit = "ms" | "µs" | "GFLOP/s" | "GB/s" | "M/s" | "steps/s" | "MB" | "kB";

export interface Row {
  readonly section: string;
  /** At most 29 characters. */
  readonly name: string;
  readonly work: Work;
  readonly unit: Unit;
  /** What one call does, for rates: operations, bytes, parameters. */
  readonly amount?: number;
  readonly groups: readonly Group[];
  /** Compared with the machine: arithmetic ("peak"), or memory moved by `bytes` a call ("triad"). */
  readonly limit?: "peak" | { readonly bytes: number };
  /** The name of a row of this section that stands before it and is compared with it, engine by engine. */
  readonly against?: string;
  /** Left out by --quick. */
  readonly long?: true;
}

export type Cell =
  | { best: number; median: number; samples: number; settings?: string }
  | { cannot: string };

export interface Ratio {
  /** What is divided by what, for example "× PyTorch": how many times as fast as PyTorch. */
  readonly label: string;
  readonly values: Record<string, number>;
}

export interface Result {
  readonly section: string;
  readonly name: string;
  readonly unit: Unit;
  /** By engine. */
  readonly cells: Record<string, Cell>;
  readonly ratios: Ratio[];
}

export const isRate = (unit: Unit): boolean => unit.endsWith("/s");

/** A figure from seconds a call. */
export function figure(
  { unit, amount = 1 }: Pick<Row, "unit" | "amount">,
  seconds: number,
): number {
  switch (unit) {
    case "ms":
      return seconds * 1e3;
    case "µs":
      return seconds * 1e6;
    case "steps/s":
      return amount / seconds;
    case "M/s":
      return amount / seconds / 1e6;
    default:
      return amount / seconds / 1e9;
  }
}

/** A cell from all samples, in seconds a call. */
export function summarize(
  row: Pick<Row, "unit" | "amount">,
  seconds: readonly number[],
  settings?: string,
): Cell {
  const sorted = [...seconds].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return {
    best: figure(row, sorted[0]),
    median: figure(row, median),
    samples: sorted.length,
    settings,
  };
}

/** How many times as fast (or as small) `a` is as `b`. */
export function advantage(unit: Unit, a: Cell, b: Cell): number | undefined {
  if ("cannot" in a || "cannot" in b) return undefined;
  return isRate(unit) ? a.best / b.best : b.best / a.best;
}
