/** The table: 100 columns, a line per row of figures and one per comparison. */
import type { Engine } from "./engines.ts";
import { isRate } from "./row.ts";
import type { Cell, Result, Unit } from "./row.ts";

const lineWidth = 100;
export const nameWidth = 30;
const cellWidth = 10;

/** What is printed before the rows of a section. */
export function formatHeader(section: string, unit: string, engines: readonly Engine[]): string {
  const title = `${section}, ${unit}`;
  if (title.length < nameWidth) return `\n${columns(title, engines.map(title_))}`;
  return `\n${title}\n${columns("", engines.map(title_))}`;
}

const title_ = ({ name }: Engine): string => name;

export function formatResult(result: Result, engines: readonly Engine[]): string {
  const { name, unit, cells, ratios } = result;
  const lines = [
    columns(
      name,
      engines.map((engine) => (engine.name in cells ? formatCell(unit, cells[engine.name]) : "")),
    ),
  ];
  for (const { label, values } of ratios) {
    const texts = engines.map((engine) =>
      engine.name in values ? formatRatio(values[engine.name]) : "",
    );
    lines.push(columns(`    ${label}`, texts));
  }
  for (const [reason, names] of reasons(cells, engines)) {
    lines.push(`    ${names.join(", ")} cannot: ${reason}`.slice(0, lineWidth));
  }
  return lines.join("\n");
}

/** Why engines have no figure, and which. */
function reasons(cells: Result["cells"], engines: readonly Engine[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of engines) {
    const cell = cells[name];
    if (cell === undefined || !("cannot" in cell)) continue;
    found.set(cell.cannot, [...(found.get(cell.cannot) ?? []), name]);
  }
  return found;
}

/** Texts right under each other; as many lines as they need. */
function columns(name: string, texts: readonly string[]): string {
  const perLine = Math.floor((lineWidth - nameWidth) / cellWidth);
  const lines: string[] = [];
  for (let i = 0; i === 0 || i < texts.length; i += perLine) {
    const cells = texts.slice(i, i + perLine).map((text) => text.padStart(cellWidth));
    lines.push(((i === 0 ? name : "").padEnd(nameWidth) + cells.join("")).trimEnd());
  }
  return lines.join("\n");
}

/** "34.8+4%": the best, and how much more (or less, for a rate) the median is; 99 stands for all above. */
function formatCell(unit: Unit, cell: Cell): string {
  if ("cannot" in cell) return "cannot";
  const { best, median, samples } = cell;
  if (samples === 1) return `${formatNumber(best)}    `;
  const percent = Math.min(Math.round(100 * Math.abs(median / best - 1)), 99);
  return `${formatNumber(best)}${isRate(unit) ? "-" : "+"}${percent}%`.padStart(9);
}

export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const formatRatio = (value: number): string =>
  value >= 10 ? `${formatNumber(value)}   ` : `${value.toFixed(2)}   `;
