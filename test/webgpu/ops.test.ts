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

/** A suite of all rows of some operations. */
function suiteOf(name: string, precision: "strict" | "fast", names: Iterable<string>) {
  const test = suite(name);
  test.before(async () => void (await startWebGpu(precision)));
  test.after(stopWebGpu);
  if (unavailable !== null) test.skip("every operation", unavailable);
  for (const op of unavailable === null ? names : []) {
    test(op, async () => {
      const own = rows.filter((row) => row.op === op);
      assert.ok(own.length > 0, `no rows of ${op}`);
      for (const row of own) await check(row);
    });
  }
  return test;
}

const ops = suiteOf("webgpu ops", "strict", new Set(rows.map((row) => row.op)));

ops("there are kernels for every kind that the cpu has", () => {
  assert.equal(
    Object.keys(cpu).filter((kind) => !Object.hasOwn(webgpu, kind)),
    [],
  );
});

ops.run();

/** Where workgroups sum, in subgroups if the adapter has them. */
const sums = ["sum", "mean", "norm", "softmax", "layerNorm", "layerNormAffine", "batchNorm"];
suiteOf("webgpu sums, fast", "fast", sums).run();
