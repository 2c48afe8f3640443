/** `npm run bench -- [options]`: measures kernels and training steps on this machine. */
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { backend, init } from "roadless";
import type { Measurement } from "./measure.ts";
import { measure } from "./measure.ts";
import { workloads } from "./workloads.ts";

const usage = `usage: npm run bench -- [options]
  --only TEXT,TEXT      workloads whose name contains one of the texts
  --threads LIST        thread counts, for example 1,2 (default: 1 and all cores)
  --precision LIST      strict, fast or both (default: strict,fast)
  --output FILE         where the figures go (default: bench/results/DATE-nodeVERSION.json; - for nowhere)`;

interface Configuration {
  threads: number;
  precision: "strict" | "fast";
}

export interface Report {
  date: string;
  machine: { cpu: string; cores: number; platform: string };
  versions: Record<string, string>;
  results: (Configuration & Measurement)[];
}

function parse(): { only: string; output: string; configurations: Configuration[] } {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      threads: { type: "string", default: [...new Set([1, os.availableParallelism()])].join() },
      precision: { type: "string", default: "strict,fast" },
      output: { type: "string", default: "" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const date = new Date().toISOString().slice(0, 10);
  const output =
    values.output || `bench/results/${date}-node${process.versions.node.split(".")[0]}.json`;
  const configurations = values.threads.split(",").flatMap((threads) =>
    values.precision.split(",").map((precision) => ({
      threads: Number(threads),
      precision: precision as Configuration["precision"],
    })),
  );
  return { only: values.only, output, configurations };
}

async function main(): Promise<void> {
  const { only, output, configurations } = parse();
  const results: Report["results"] = [];
  const texts = only.split(",");
  const chosen = ({ name }: { name: string }): boolean => texts.some((text) => name.includes(text));
  for (const configuration of configurations) {
    await init({ device: "cpu", ...configuration });
    const { threads, precision } = backend().capabilities();
    if (precision !== configuration.precision) {
      console.log(`\n${configuration.precision} is not to be had here: left out`);
      continue;
    }
    console.log(`\n${precision}, ${threads} thread${threads === 1 ? "" : "s"}`);
    const rates = new Map<string, number>();
    const needed = new Set(workloads.filter(chosen).map((workload) => workload.against));
    for (const workload of workloads) {
      if (!chosen(workload) && !needed.has(workload.name)) continue;
      const result = await measure(workload);
      rates.set(workload.name, result.rate ?? NaN);
      const { against } = workload;
      if (against !== undefined) {
        result.against = against;
        result.fraction = result.rate! / rates.get(against)!;
      }
      results.push({ ...configuration, ...result });
      console.log(
        `  ${result.name.padEnd(42)} ${format(result.milliseconds)} ms ±${result.errorPercent.toFixed(1)}%` +
          `  ${result.rate === undefined ? "" : `${format(result.rate)} ${result.unit}`}` +
          (result.fraction === undefined
            ? ""
            : `  ${result.fraction.toFixed(2)} of ${result.against}`),
      );
    }
    backend().close();
  }
  if (output === "-" || results.length === 0) return;
  const report: Report = {
    date: new Date().toISOString(),
    machine: {
      cpu: os.cpus()[0].model,
      cores: os.availableParallelism(),
      platform: `${process.platform} ${process.arch}`,
    },
    versions: { node: process.versions.node, v8: process.versions.v8 },
    results,
  };
  writeFileSync(output, `${JSON.stringify(report, null, 1)}\n`);
  console.log(`\nwritten to ${output}`);
}

function format(value: number): string {
  return (value >= 100 ? value.toFixed(0) : value.toPrecision(3)).padStart(8);
}

await main();
