/** The errors in docs/numerics.md hold, and every operation is among them. */
import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { exceeding } from "./exceeding.ts";
import { ulpOf } from "./measure.ts";
import type { Measurements } from "./report.ts";
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

for (const column of ["strict", "webgpu"] as const) {
  numerics(`${column} results are within WebNN's tolerances`, () => {
    const beyond = subjects.filter((subject) => {
      const measured = measurements.results[column]?.[titleOf(subject)];
      return measured !== undefined && withinWebnn(subject, measured) === false;
    });
    assert.equal(beyond.map(titleOf), []);
  });
}

for (const precision of ["strict", "fast"] as const) {
  numerics(`${precision}: the first batch stays within the figures`, async () => {
    await rl.init({ device: "cpu", precision });
    try {
      if (rl.backend().capabilities().precision !== precision) return;
      const exceeded: string[] = [];
      for (const subject of subjects) {
        exceeded.push(...(await exceeding(subject, precision, measurements)));
      }
      assert.equal(exceeded, []);
    } finally {
      rl.backend().close();
      await rl.init({ device: "cpu" });
    }
  });
}

numerics.run();
