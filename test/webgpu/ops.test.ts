/** The table of operations on device "webgpu", against the float64 reference, forward and backward. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { launchers as cpu } from "../../src/backend/wasm/launch/index.ts";
import { launchers as webgpu } from "../../src/backend/webgpu/launch/index.ts";
import { drawAll, layouts } from "../ops/cases.ts";
import { closeTo, evaluate, evaluateLater } from "../ops/evaluate.ts";
import type { Row } from "../ops/table.ts";
import { rows } from "../ops/table.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

/** The row in every layout; larger errors than the cpu's are allowed, but for rows that allow more anyway. */
async function check(row: Row): Promise<void> {
  for (const shapes of row.shapes) {
    const data = drawAll(row, shapes);
    const expected = evaluate(row, data, shapes, "reference", "dense");
    const forward = Math.max(row.tolerance ?? 0, 3e-6);
    const backward = Math.max(forward, row.tolerance ?? 6e-6);
    for (const layout of layouts) {
      const label = `${row.op} ${JSON.stringify(shapes)} on webgpu, ${layout}`;
      const found = await evaluateLater(row, data, shapes, "webgpu", layout);
      assert.equal(found.shape, expected.shape, `${label}: shape`);
      closeTo(label, found.values, expected.values, forward);
      expected.grads.forEach((grad, i) => {
        if (grad === null) return;
        closeTo(`${label}, gradient ${i}`, found.grads[i]!, grad, backward);
      });
    }
  }
}

const ops = suite("webgpu ops");

if (unavailable !== null) ops.skip("every operation", unavailable);

for (const op of unavailable === null ? new Set(rows.map((row) => row.op)) : []) {
  ops(op, async () => {
    for (const row of rows) if (row.op === op) await check(row);
  });
}

ops("there are kernels for every kind that the cpu has", () => {
  assert.equal(
    Object.keys(cpu).filter((kind) => !Object.hasOwn(webgpu, kind)),
    [],
  );
});

ops.before(async () => void (await startWebGpu()));
ops.after(stopWebGpu);

ops.run();
