/** The errors in docs/numerics.md hold, and every operation is among them. */
import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { measure, ulpOf } from "./measure.ts";
import type { Measurements, Precision } from "./report.ts";
import { render, withinWebnn } from "./report.ts";
import { subjects, titleOf, withoutFloats } from "./subjects.ts";

const numerics = suite("numerics");
const read = (name: string): string => fs.readFileSync(new URL(name, import.meta.url), "utf8");
const measurements = JSON.parse(read("measured.json")) as Measurements;
const text = read("../../docs/numerics.md");

numerics("the document shows what was measured", () => {
  assert.ok(text === render(measurements), "docs/numerics.md is stale: run npm run numerics");
});

numerics("every operation with a float result is in the document", () => {
  const missing = [...operations.keys()].filter(
    (name) => !withoutFloats.includes(name) && !text.includes(`\`${name}\``),
  );
  assert.equal(missing, [], "add them to test/numerics/subjects.ts and run npm run numerics");
  const unknown = withoutFloats.filter((name) => !operations.has(name));
  assert.equal(unknown, [], "no such records");
});

numerics("an ulp is the distance to the next float32", () => {
  for (const [x, expected] of [
    [1, 2 ** -23],
    [-1.999, 2 ** -23],
    [2, 2 ** -22],
    [2 - 2 ** -50, 2 ** -23],
    [0, 2 ** -149],
    [2 ** -126, 2 ** -149],
    [2 ** -130, 2 ** -149],
    [Infinity, 2 ** 104],
  ]) {
    assert.is(ulpOf(x), expected, String(x));
  }
});

numerics("strict results are within WebNN's tolerances", () => {
  const beyond = subjects.filter(
    (subject) => withinWebnn(subject, measurements.results.strict![titleOf(subject)]) === false,
  );
  assert.equal(beyond.map(titleOf), []);
});

/** Fast results depend on the engine, and a fused multiply-add may be missing. */
const slack: Record<Precision, number> = { strict: 1, fast: 2 };

for (const precision of ["strict", "fast"] as const) {
  numerics(`${precision}: the first batch stays within the figures`, async () => {
    await rl.init({ device: "cpu", precision });
    try {
      if (rl.backend().capabilities().precision !== precision) return;
      const exceeded: string[] = [];
      for (const subject of subjects) {
        const title = titleOf(subject);
        const bound = measurements.results[precision]?.[title];
        if (bound === undefined) {
          exceeded.push(`${title}: not measured`);
          continue;
        }
        const found = measure(subject, 1);
        for (const way of ["forward", "backward"] as const) {
          if (found[way].max <= bound[way].max * slack[precision] + 0.02) continue;
          exceeded.push(`${title} ${way}: ${found[way].max} ulp, documented ${bound[way].max}`);
        }
      }
      assert.equal(exceeded, []);
    } finally {
      rl.backend().close();
      await rl.init({ device: "cpu" });
    }
  });
}

numerics.run();
