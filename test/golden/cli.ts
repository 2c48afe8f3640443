/** `npm run golden -- DIR`: plays every golden/1 file under DIR and says what came of it. */
import { parseArgs } from "node:util";
import type { DeviceName } from "../../src/index.ts";
import type { GoldenFile } from "../../src/vectors/format.ts";
import type { PlayOptions } from "./play.ts";
import { goldenFiles, playFile, readGolden } from "./play.ts";

const usage = `usage: npm run golden -- DIR [--device cpu|reference] [--only TEXT] [--steps N]

Plays every golden/1 file under DIR: float64 cases on the reference, float32 cases on the cpu.
  --device NAME   only the cases that this device plays: cpu, reference or webgpu (docs/webgpu.md says how it is found)
  --only TEXT     only the cases whose "file case" contains TEXT
  --steps N       only the first N steps of training runs`;

function options(): (PlayOptions & { root: string }) | string {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        device: { type: "string" },
        only: { type: "string" },
        steps: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) return usage;
    if (positionals.length !== 1)
      return `golden: found ${positionals.length} folders; expected one\n${usage}`;
    const { device, only } = values;
    const steps = values.steps === undefined ? undefined : Number(values.steps);
    if (steps !== undefined && !(Number.isSafeInteger(steps) && steps > 0)) {
      return `golden: --steps is "${values.steps}"; expected a whole number from 1 up`;
    }
    if (device !== undefined && !isDevice(device)) {
      return `golden: --device is "${device}"; expected cpu, reference or webgpu`;
    }
    return { root: positionals[0], device, only, steps };
  } catch (error) {
    return `golden: ${(error as Error).message}\n${usage}`;
  }
}

function isDevice(name: string): name is DeviceName {
  return name === "cpu" || name === "reference" || name === "webgpu";
}

async function main(): Promise<number> {
  const chosen = options();
  if (typeof chosen === "string") {
    console.error(chosen);
    return chosen === usage ? 0 : 2;
  }
  if (chosen.device === "webgpu") {
    const { adapter, unavailable } = await import("../webgpu/gpu.ts");
    if (unavailable !== null) {
      console.error(`golden: ${unavailable}`);
      return 2;
    }
    console.log(`webgpu on ${adapter}`);
  }
  const total = { passed: 0, failed: 0, unsupported: 0 };
  let files: string[];
  try {
    files = await goldenFiles(chosen.root);
  } catch (error) {
    console.error(`golden: cannot read ${chosen.root}: ${(error as Error).message}`);
    return 2;
  }
  for (const path of files) {
    const count = { passed: 0, failed: 0, unsupported: 0 };
    const unsupported = new Set<string>();
    const worst: Record<string, number> = {};
    let golden: GoldenFile;
    try {
      golden = await readGolden(path);
    } catch (error) {
      console.log(`FAILED ${(error as Error).message}`);
      total.failed++;
      continue;
    }
    const start = performance.now();
    for await (const { name, dtype, outcome } of playFile(golden, chosen)) {
      count[outcome.status]++;
      total[outcome.status]++;
      if (outcome.status === "failed") console.log(`  FAILED ${name}: ${outcome.message}`);
      if (outcome.status === "unsupported") unsupported.add(outcome.message ?? name);
      else worst[dtype] = Math.max(worst[dtype] ?? 0, outcome.worst);
    }
    if (count.passed + count.failed + count.unsupported === 0) continue;
    const errors = Object.entries(worst).map(([dtype, e]) => `${dtype} ${e.toExponential(1)}`);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(
      `${golden.file}: ${count.passed} passed, ${count.failed} failed, ${count.unsupported} not supported` +
        `${errors.length > 0 ? `, worst error ${errors.join(", ")}` : ""} (${seconds} s)`,
    );
    if (unsupported.size > 0) console.log(`  not supported yet: ${[...unsupported].join(", ")}`);
  }
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.unsupported} skipped`);
  if (total.passed + total.failed + total.unsupported === 0) {
    console.error(`golden: nothing under ${chosen.root} was chosen to be played`);
    return 1;
  }
  return total.failed > 0 ? 1 : 0;
}

process.exitCode = await main();
