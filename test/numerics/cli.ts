/**
 * `npm run numerics -- [--only TEXT] [--batches N]`: measures errors and writes docs/numerics.md.
 * With --only, operations whose title does not contain the text keep their figures.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import v8 from "node:v8";
import type { Measured } from "./measure.ts";
import type { Measurements, Precision } from "./report.ts";

// Node 20 has relaxed SIMD behind this flag, which must be set before any module is compiled.
v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
const { backend, init } = await import("../../src/index.ts");
const { measure } = await import("./measure.ts");
const { render } = await import("./report.ts");
const { subjects, titleOf } = await import("./subjects.ts");

const folder = new URL(".", import.meta.url);

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    batches: { type: "string", default: "32" },
  },
});
const batches = Number(values.batches);
const chosen = subjects.filter((subject) => titleOf(subject).includes(values.only));
const file = new URL("measured.json", folder);
const measurements: Measurements = { batches, results: {} };
const before: Measurements["results"] =
  values.only !== "" && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).results : {};

for (const precision of ["strict", "fast"] as const satisfies readonly Precision[]) {
  await init({ device: "cpu", precision });
  if (backend().capabilities().precision !== precision) {
    console.log(`${precision} is not to be had on this engine: left out`);
  } else {
    const results: Record<string, Measured> = {};
    for (const subject of subjects) {
      const title = titleOf(subject);
      if (!chosen.includes(subject)) {
        const kept = before[precision]?.[title];
        if (kept !== undefined) results[title] = kept;
        continue;
      }
      const result = measure(subject, batches);
      const { forward, backward } = result;
      console.log(
        `${precision} ${title.padEnd(30)} forward ${forward.max.toFixed(2)} / ${forward.p999.toFixed(2)}` +
          `  backward ${backward.max.toFixed(2)} / ${backward.p999.toFixed(2)} ulp`,
      );
      results[title] = result;
    }
    measurements.results[precision] = results;
  }
  backend().close();
}

writeFileSync(file, `${JSON.stringify(measurements, null, 1)}\n`);
writeFileSync(new URL("../../docs/numerics.md", folder), render(measurements));
console.log("written: docs/numerics.md, test/numerics/measured.json");
