/** `--compare OLD NEW`: what changed between two files of figures. */
import { formatNumber } from "./report.ts";
import { advantage } from "./row.ts";
import type { Cell, Unit } from "./row.ts";
import type { Figures } from "./save.ts";

export interface Change {
  readonly name: string;
  readonly engine: string;
  readonly unit: Unit;
  readonly old: number;
  readonly new: number;
  /** New speed over old speed: above 1, it got better. */
  readonly ratio: number;
  /** How far a ratio may be from 1 by noise: the distances of both medians from their best. At least 0.02. */
  readonly noise: number;
}

/** The largest change first. Rows, or engines in them, that only one file has are left out. */
export function changes(old: Figures, now: Figures): Change[] {
  const key = ({ section, name }: { section: string; name: string }): string =>
    `${section}: ${name}`;
  const before = new Map(old.results.map((result) => [key(result), result]));
  const found: Change[] = [];
  for (const result of now.results) {
    const earlier = before.get(key(result));
    if (earlier === undefined) continue;
    for (const [engine, cell] of Object.entries(result.cells)) {
      const was = earlier.cells[engine];
      if (was === undefined || "cannot" in was || "cannot" in cell) continue;
      const ratio = advantage(result.unit, cell, was)!;
      const { unit } = result;
      const noise = Math.max(0.02, spread(unit, was) + spread(unit, cell));
      found.push({ name: key(result), engine, unit, old: was.best, new: cell.best, ratio, noise });
    }
  }
  return found.sort((a, b) => Math.abs(Math.log(b.ratio)) - Math.abs(Math.log(a.ratio)));
}

/** A time that was taken once does not say how it scatters: a tenth is assumed. Sizes do not scatter. */
function spread(unit: Unit, cell: Cell): number {
  if ("cannot" in cell) return 0;
  if (cell.samples === 1) return unit === "kB" || unit === "MB" ? 0 : 0.1;
  return Math.abs(cell.median / cell.best - 1);
}

export function formatChanges(old: Figures, now: Figures): string {
  const all = changes(old, now);
  const certain = all.filter(({ ratio, noise }) => Math.abs(Math.log(ratio)) > Math.log(1 + noise));
  const lines = [
    `${old.commit} (${old.date}) → ${now.commit} (${now.date})`,
    `${all.length} figures in both, ${certain.length} changed by more than their noise`,
  ];
  if (old.machine.cpu !== now.machine.cpu) {
    lines.push(`different machines: ${old.machine.cpu}, ${now.machine.cpu}`);
  }
  for (const [name, version] of Object.entries(now.versions)) {
    const was = old.versions[name];
    if (was !== version) lines.push(`${name}: ${was ?? "none"} → ${version}`);
  }
  if (certain.length > 0) {
    lines.push("", line("", "", "old", "new", "speed", "noise"));
  }
  for (const { name, engine, unit, old: was, new: is, ratio, noise } of certain) {
    const values = [formatNumber(was), `${formatNumber(is)} ${unit}`];
    lines.push(
      line(name, engine, ...values, `${ratio.toFixed(2)}×`, `±${Math.round(100 * noise)}%`),
    );
  }
  return lines.join("\n");
}

const line = (name: string, engine: string, ...cells: string[]): string =>
  [name.padEnd(44), engine.padEnd(9), ...cells.map((cell, i) => cell.padStart([9, 15, 8, 7][i]))]
    .join(" ")
    .trimEnd();
