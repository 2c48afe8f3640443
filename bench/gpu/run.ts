/** `npm run bench -- --device webgpu`: the adapter's limits, then this library's work held against them. */
import * as roadless from "roadless";
import { preparedOf } from "../engines/roadless-works.ts";
import { Engine } from "../engines.ts";
import type { Options } from "../options.ts";
import { UsageError } from "../options.ts";
import { formatHeader, formatResult, nameWidth } from "../report.ts";
import type { Cell, Ratio, Result, Row } from "../row.ts";
import { summarize } from "../row.ts";
import { describe, save } from "../save.ts";
import { findGpu } from "./adapter.ts";
import type { Limit } from "./limits.ts";
import { copyOf, peakOf } from "./limits.ts";
import { gpuRows, tinyOf } from "./rows.ts";

/** Seconds of a sample, and how many there are. */
interface Turns {
  readonly seconds: number;
  readonly samples: number;
}

const full: Turns = { seconds: 0.3, samples: 6 };
const quick: Turns = { seconds: 0.1, samples: 3 };
/** On a software adapter: to see that it runs. */
const once: Turns = { seconds: 0, samples: 1 };

/** Figures go under this name; nothing is started by it. */
const column = new Engine("webgpu", "roadless", () => []);

const noFigures = "software adapter: no figures";

/** @throws UsageError where there is no adapter, and where no row is chosen */
export async function measureGpu(options: Options): Promise<void> {
  const wanted = ({ section, name }: Row): boolean =>
    options.only.length === 0 || options.only.some((text) => `${section}: ${name}`.includes(text));
  const chosen = gpuRows.filter((row) => wanted(row) && !(options.quick && row.long));
  if (chosen.length === 0)
    throw new UsageError(`--only ${options.only.join()}: no row; see --list`);
  if (options.list) {
    for (const { section, name } of chosen) console.log(`${section}: ${name}`);
    return;
  }
  const { gpu, adapter, name, software } = await findGpu();
  const [precision] = options.precisions;
  console.log(`adapter: ${name}`);
  await roadless.init({ device: "webgpu", gpu, precision });
  try {
    if (software) await tryAll(chosen, adapter);
    else {
      const turns = options.quick ? quick : full;
      const results = await measureAll(chosen, adapter, turns, largeLimits, console.log);
      if (options.json !== "") {
        await record({ ...options, precisions: [precision] }, name, results);
        console.log(`\nwritten to ${options.json}`);
      }
    }
  } finally {
    roadless.backend().close();
  }
}

/** Writes the figures of an adapter to `options.json`. */
export async function record(
  options: Options,
  adapter: string,
  results: readonly Result[],
): Promise<void> {
  const versions = { adapter, node: process.versions.node };
  save(options.json, { ...(await describe([], options)), versions, results });
}

/**
 * Goes the way of the figures with work of tiny sizes, and shows the table without its digits: they would be a CPU's.
 *
 * @throws Error where a row cannot run
 */
async function tryAll(rows: readonly Row[], adapter: GPUAdapter): Promise<void> {
  console.log(`${noFigures}; every row runs a few times at a tiny size, nothing is saved`);
  const print = (text: string): void => console.log(withoutFigures(text));
  const results = await measureAll(rows.map(tinyOf), adapter, once, smallLimits, print);
  console.log(`\n${noFigures}`);
  const broken = results.filter(({ cells }) => "cannot" in cells[column.name]);
  if (broken.length === 0) return;
  const names = broken.map(({ section, name }) => `${section}: ${name}`);
  throw new Error(`${broken.length} of ${results.length} rows cannot run: ${names.join(", ")}`);
}

/** Lines of a table with dots for the digits of figures; names and reasons stay. */
export const withoutFigures = (table: string): string =>
  table
    .split("\n")
    .map((line) => {
      const stays = line.includes(" cannot: ") ? line.length : nameWidth;
      return line.slice(0, stays) + line.slice(stays).replaceAll(/\d/g, "·");
    })
    .join("\n");

async function measureAll(
  rows: readonly Row[],
  adapter: GPUAdapter,
  turns: Turns,
  limitsOf: (device: GPUDevice) => Limit[],
  print: (text: string) => void,
): Promise<Result[]> {
  const results: Result[] = [];
  let section = "";
  let unit = "";
  const show = (result: Result): void => {
    if (result.section !== section || result.unit !== unit) {
      ({ section, unit } = result);
      print(formatHeader(section, unit, [column]));
    }
    print(formatResult(result, [column]));
    results.push(result);
  };
  const limits = await measureLimits(adapter, turns, limitsOf);
  limits.forEach(show);
  for (const row of rows) {
    const cell = await measure(row, turns);
    show({
      section: row.section,
      name: row.name,
      unit: row.unit,
      cells: { [column.name]: cell },
      ratios: shareOf(row, cell, limits),
    });
  }
  return results;
}

/** Rates in GFLOP/s and GB/s as a share of the adapter's. */
export function shareOf(row: Row, cell: Cell, limits: readonly Result[]): Ratio[] {
  const limit = limits.find(({ unit }) => unit === row.unit);
  if (limit === undefined || row.limit === undefined || "cannot" in cell) return [];
  const best = limit.cells[column.name];
  if ("cannot" in best) return [];
  const label = row.unit === "GB/s" ? "of the copy" : "of the peak";
  return [{ label, values: { [column.name]: cell.best / best.best } }];
}

function largeLimits(device: GPUDevice): Limit[] {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const largest = Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 28);
  return [peakOf(device, 8192, 256), copyOf(device, largest - (largest % 4096))];
}

const smallLimits = (device: GPUDevice): Limit[] => [peakOf(device, 4, 8), copyOf(device, 2 ** 16)];

async function measureLimits(
  adapter: GPUAdapter,
  turns: Turns,
  limitsOf: (device: GPUDevice) => Limit[],
): Promise<Result[]> {
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize },
  });
  const results: Result[] = [];
  for (const limit of limitsOf(device)) {
    const { name, unit, amount } = limit;
    const seconds = await samples((times) => limit.run(times), turns);
    limit.release();
    const cell = summarize({ unit, amount }, seconds);
    results.push({ section: "adapter", name, unit, cells: { [column.name]: cell }, ratios: [] });
  }
  device.destroy();
  return results;
}

/** A row that cannot run says why. */
async function measure(row: Row, turns: Turns): Promise<Cell> {
  let release: (() => void) | undefined;
  try {
    const prepared = preparedOf(row.work);
    ({ release } = prepared);
    const seconds = await samples(async (times) => {
      for (let i = 0; i < times; i++) prepared.run();
      await roadless.backend().sync();
    }, turns);
    return summarize(row, seconds);
  } catch (error) {
    return { cannot: (error as Error).message.split("\n")[0] };
  } finally {
    release?.();
  }
}

/** Seconds a call, each a mean over as many as fill a turn; waiting for the GPU is in it. */
export async function samples(
  run: (times: number) => Promise<void>,
  turns: Turns,
): Promise<number[]> {
  const timed = async (times: number): Promise<number> => {
    const start = performance.now();
    await run(times);
    return (performance.now() - start) / 1e3;
  };
  await timed(1); // compiles
  let times = 1;
  let took = await timed(times);
  while (took < turns.seconds / 4 && times < 2 ** 14) took = await timed((times *= 2));
  times = Math.max(1, Math.round((times * turns.seconds) / took));
  const found: number[] = [];
  for (let i = 0; i < turns.samples; i++) found.push((await timed(times)) / times);
  return found;
}
