/** The errors in docs/numerics.md hold, and every operation is among them. */
import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { adapter, startWebGpu, stopWebGpu, unavailable } from "../webgpu/gpu.ts";
import { measure, ulpOf } from "./measure.ts";
import type { Column, Measurements } from "./report.ts";
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

/** Fast results depend on the engine, the GPU's on its compiler: a fused multiply-add may be missing. */
const slack: Record<Column, number> = { strict: 1, fast: 2, webgpu: 2 };

/** What exceeds the figures of a column in the first batch. */
async function exceeding(column: Column): Promise<string[]> {
  const exceeded: string[] = [];
  for (const subject of subjects) {
    const title = titleOf(subject);
    const bound = measurements.results[column]?.[title];
    if (bound === undefined) {
      exceeded.push(`${title}: not measured`);
      continue;
    }
    const found = await measure(subject, 1, column === "webgpu" ? "webgpu" : "cpu");
    for (const way of ["forward", "backward"] as const) {
      if (found[way].max <= bound[way].max * slack[column] + 0.02) continue;
      exceeded.push(`${title} ${way}: ${found[way].max} ulp, documented ${bound[way].max}`);
    }
  }
  return exceeded;
}

for (const precision of ["strict", "fast"] as const) {
  numerics(`${precision}: the first batch stays within the figures`, async () => {
    await rl.init({ device: "cpu", precision });
    try {
      if (rl.backend().capabilities().precision !== precision) return;
      assert.equal(await exceeding(precision), []);
    } finally {
      rl.backend().close();
      await rl.init({ device: "cpu" });
    }
  });
}

if (adapter === measurements.adapter) {
  numerics("webgpu: the first batch stays within the figures", async () => {
    await startWebGpu();
    try {
      assert.equal(await exceeding("webgpu"), []);
    } finally {
      stopWebGpu();
    }
  });
} else {
  const reason = unavailable ?? `${adapter} is not what was measured`;
  numerics.skip("webgpu: the first batch stays within the figures", reason);
}

numerics.run();
