/**
 * `npm run numerics -- [--only TEXT] [--on strict,fast,webgpu]`: measures errors and writes docs/numerics.md.
 * With --only, operations whose title does not contain the text keep their figures; so do what --on leaves out
 * and what is not to be had: relaxed SIMD, a GPU.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import v8 from "node:v8";
import type { Measured } from "./measure.ts";
import type { Column, Measurements } from "./report.ts";

// Node 20 has relaxed SIMD behind this flag, which must be set before any module is compiled.
v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
const { backend, init } = await import("../../src/index.ts");
const { measure } = await import("./measure.ts");
const { render } = await import("./report.ts");
const { subjects, titleOf } = await import("./subjects.ts");
const { adapter, startWebGpu, stopWebGpu, unavailable } = await import("../webgpu/gpu.ts");

const folder = new URL(".", import.meta.url);
const file = new URL("measured.json", folder);

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    on: { type: "string", default: "strict,fast,webgpu" },
  },
});
const measurements = JSON.parse(readFileSync(file, "utf8")) as Measurements;

/** Batches of each: software GPUs are slow. */
const batchesOn: Readonly<Record<Column, number>> = { strict: 32, fast: 32, webgpu: 4 };

/** Starts the device; false if it is not to be had. */
async function start(column: Column): Promise<boolean> {
  if (column === "webgpu") return unavailable === null && (await startWebGpu()) === null;
  await init({ device: "cpu", precision: column });
  return backend("cpu").capabilities().precision === column;
}

for (const column of ["strict", "fast", "webgpu"] as const) {
  if (!values.on.split(",").includes(column)) continue;
  if (!(await start(column))) {
    console.log(`${column} is not to be had here: its figures stay`);
    continue;
  }
  const results: Record<string, Measured> = {};
  for (const subject of subjects) {
    const title = titleOf(subject);
    const kept = measurements.results[column]?.[title];
    if (!title.includes(values.only)) {
      if (kept !== undefined) results[title] = kept;
      continue;
    }
    const device = column === "webgpu" ? "webgpu" : "cpu";
    const result = await measure(subject, batchesOn[column], device);
    const { forward, backward } = result;
    console.log(
      `${column} ${title.padEnd(30)} forward ${forward.max.toFixed(2)} / ${forward.p999.toFixed(2)}` +
        `  backward ${backward.max.toFixed(2)} / ${backward.p999.toFixed(2)} ulp`,
    );
    results[title] = result;
  }
  measurements.results[column] = results;
  measurements.batches[column] = batchesOn[column];
  if (column === "webgpu") measurements.adapter = adapter;
  else backend("cpu").close();
}
stopWebGpu();

writeFileSync(file, `${JSON.stringify(measurements, null, 1)}\n`);
writeFileSync(new URL("../../docs/numerics.md", folder), render(measurements));
console.log("written: docs/numerics.md, test/numerics/measured.json");
