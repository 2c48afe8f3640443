/** `npm run bench -- --device webgpu`: the adapter's limits, then this library's work held against them. */
import * as roadless from "roadless";
import { preparedOf } from "../engines/roadless-works.ts";
import { Engine } from "../engines.ts";
import type { Options } from "../options.ts";
import { UsageError } from "../options.ts";
import { formatHeader, formatResult } from "../report.ts";
import type { Cell, Ratio, Result, Row } from "../row.ts";
import { summarize } from "../row.ts";
import { describe, save } from "../save.ts";
import { findGpu } from "./adapter.ts";
import { copyOf, peakOf } from "./limits.ts";
import { gpuRows, isSmall } from "./rows.ts";

/** Seconds of a sample, and how many there are. */
interface Turns {
  readonly seconds: number;
  readonly samples: number;
}

const full: Turns = { seconds: 0.3, samples: 6 };
const quick: Turns = { seconds: 0.1, samples: 3 };

/** Figures go under this name; nothing is started by it. */
const column = new Engine("webgpu", "roadless", () => []);

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
  console.log(`adapter: ${name}`);
  await roadless.init({ device: "webgpu", gpu, precision: options.precisions[0] });
  if (software) {
    await tryAll(chosen);
  } else {
    const results = await measureAll(options, chosen, adapter);
    if (options.json !== "") {
      const about = await describe([], options);
      const versions = { adapter: name, node: process.versions.node };
      save(options.json, { ...about, versions, results });
      console.log(`\nwritten to ${options.json}`);
    }
  }
  roadless.backend().close();
}

/** Software adapters show that the kernels run, not how fast. */
async function tryAll(rows: readonly Row[]): Promise<void> {
  console.log(
    "a software adapter: what it can do in reasonable time runs once, and there are no figures",
  );
  for (const row of rows) {
    const label = `${row.section}: ${row.name}`;
    if (!isSmall(row)) {
      console.log(`${label}: left out, too large`);
      continue;
    }
    const { run, release } = preparedOf(row.work);
    run();
    await roadless.backend().sync();
    release?.();
    console.log(`${label}: ran without an error`);
  }
}

async function measureAll(
  options: Options,
  rows: readonly Row[],
  adapter: GPUAdapter,
): Promise<Result[]> {
  const turns = options.quick ? quick : full;
  const limits = await measureLimits(adapter, turns);
  const results: Result[] = [...limits];
  let section = "";
  let unit = "";
  for (const row of rows) {
    if (row.section !== section || row.unit !== unit) {
      ({ section, unit } = row);
      console.log(formatHeader(section, row.unit, [column]));
    }
    const cell = await measure(row, turns);
    const result: Result = {
      section,
      name: row.name,
      unit: row.unit,
      cells: { [column.name]: cell },
      ratios: shareOf(row, cell, limits),
    };
    console.log(formatResult(result, [column]));
    results.push(result);
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

async function measureLimits(adapter: GPUAdapter, turns: Turns): Promise<Result[]> {
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize },
  });
  const largest = Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 28);
  const results: Result[] = [];
  for (const limit of [peakOf(device, 8192, 256), copyOf(device, largest - (largest % 4096))]) {
    const { name, unit, amount } = limit;
    const seconds = await samples((times) => limit.run(times), turns);
    limit.release();
    const cell = summarize({ ...gpuRows[0], unit, amount }, seconds);
    const result: Result = {
      section: "adapter",
      name,
      unit,
      cells: { [column.name]: cell },
      ratios: [],
    };
    console.log(formatHeader("adapter", unit, [column]));
    console.log(formatResult(result, [column]));
    results.push(result);
  }
  device.destroy();
  return results;
}

/** A row that cannot run says why. */
async function measure(row: Row, turns: Turns): Promise<Cell> {
  const { sync } = roadless.backend();
  try {
    const { run, release } = preparedOf(row.work);
    const seconds = await samples(async (times) => {
      for (let i = 0; i < times; i++) run();
      await sync.call(roadless.backend());
    }, turns);
    release?.();
    return summarize(row, seconds);
  } catch (error) {
    return { cannot: (error as Error).message.split("\n")[0] };
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
