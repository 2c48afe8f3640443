/** `npm run bench -- [options]`: measures kernels and training steps on this machine; --help says more. */
import { formatChanges } from "./compare.ts";
import type { Engine } from "./engines.ts";
import { findEngines } from "./engines.ts";
import { measureGpu } from "./gpu/run.ts";
import type { Timing } from "./measure.ts";
import { measureRow } from "./measure.ts";
import type { Options } from "./options.ts";
import { parseOptions, UsageError } from "./options.ts";
import { ratiosOf } from "./ratios.ts";
import { formatHeader, formatResult } from "./report.ts";
import type { Result, Row } from "./row.ts";
import { rows } from "./rows/index.ts";
import { machineRows } from "./rows/machine.ts";
import { describe, load, save } from "./save.ts";
import { specials } from "./special.ts";

/** Of the least that convinces; all rows together take less than nine minutes on two quiet cores. */
const full: Timing = { rounds: 4, seconds: 0.075, limit: 45 };
const quick: Timing = { rounds: 2, seconds: 0.04, limit: 10 };

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) return;
  if (options.compare !== undefined) {
    const [old, now] = options.compare.map(load);
    console.log(formatChanges(old, now));
    return;
  }
  if (options.device === "webgpu") {
    await measureGpu(options);
    return;
  }
  const { ordinary, special } = choose(options);
  if (options.list) {
    for (const { section, name } of ordinary) console.log(`${section}: ${name}`);
    for (const { section } of special) console.log(section);
    return;
  }
  const engines = findEngines(options);
  try {
    await measure(options, engines, ordinary, special);
  } finally {
    for (const engine of engines) engine.close();
  }
}

function choose({ only, quick: short, threads }: Options) {
  const wanted = (name: string): boolean =>
    only.length === 0 || only.some((text) => name.includes(text));
  const chosen = rows.filter(
    (row) => wanted(`${row.section}: ${row.name}`) && !(short && row.long),
  );
  // What a row is compared with has to be there.
  const bases = rows.filter(({ section, name }) =>
    chosen.some((row) => row.section === section && row.against === name),
  );
  const all = rows.filter((row) => chosen.includes(row) || bases.includes(row));
  const limits =
    wanted("machine") || all.some(({ limit }) => limit !== undefined) ? machineRows(threads) : [];
  const special = specials.filter(({ section }) => wanted(`${section}: `));
  if (all.length + limits.length + special.length === 0) {
    throw new UsageError(`--only ${only.join()}: no row; see --list`);
  }
  return { ordinary: [...limits, ...all], special };
}

async function measure(
  options: Options,
  engines: readonly Engine[],
  ordinary: readonly Row[],
  special: typeof specials,
): Promise<void> {
  const start = performance.now();
  const about = await describe(engines, options);
  const { machine, versions } = about;
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}; commit ${about.commit}`,
  );
  console.log(
    Object.entries(versions)
      .map((pair) => pair.join(" "))
      .join("; "),
  );
  if (machine.load > 1) console.log(`load ${machine.load}: something else is running`);

  const results: Result[] = [];
  let section = "";
  let unit = "";
  const show = (result: Result, groups: Row["groups"]): void => {
    const columns = engines.filter(({ group }) => groups.includes(group));
    if (result.section !== section || result.unit !== unit) {
      ({ section, unit } = result);
      console.log(formatHeader(section, unit, columns));
    }
    console.log(formatResult(result, columns));
    results.push(result);
  };
  const timing = options.quick ? quick : full;
  for (const row of ordinary) {
    // Everything is held against the limits: they get more turns, as a machine is seldom quiet all the time.
    const rounds = row.section === "machine" ? 4 * timing.rounds : timing.rounds;
    const cells = await measureRow(row, engines, { ...timing, rounds });
    const ratios = ratiosOf(row, cells, engines, results);
    show({ section: row.section, name: row.name, unit: row.unit, cells, ratios }, row.groups);
  }
  for (const engine of engines) engine.close();
  for (const part of special) {
    const taking = engines.filter(({ group }) => part.groups.includes(group));
    for (const result of await part.measure(taking)) show(result, part.groups);
  }

  console.log(`\n${((performance.now() - start) / 60e3).toFixed(1)} minutes`);
  if (options.json === "") return;
  save(options.json, { ...about, results });
  console.log(`written to ${options.json}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
