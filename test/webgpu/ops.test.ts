/** The table of operations on device "webgpu", against the float64 reference, forward and backward. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { drawAll, layouts } from "../ops/cases.ts";
import { closeTo, evaluate, evaluateLater } from "../ops/evaluate.ts";
import type { Row } from "../ops/table.ts";
import { rows } from "../ops/table.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import { notYet, tolerances } from "./ops.ts";

/** How the GPU differs from the reference by more than the row allows; null if it does not. */
async function failure(row: Row): Promise<unknown> {
  try {
    for (const shapes of row.shapes) {
      const data = drawAll(row, shapes);
      const expected = evaluate(row, data, shapes, "reference", "dense");
      const forward = tolerances[row.op] ?? Math.max(row.tolerance ?? 0, 3e-6);
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
    return null;
  } catch (error) {
    return error;
  }
}

const ops = suite("webgpu ops");

if (unavailable !== null) ops.skip("every operation", unavailable);

for (const op of unavailable === null ? new Set(rows.map((row) => row.op)) : []) {
  ops(op, async () => {
    const missing = notYet[op];
    let named = 0;
    for (const row of rows.filter((r) => r.op === op)) {
      const error = await failure(row);
      if (error === null) continue;
      if (missing === undefined || !(error instanceof rl.BackendError)) throw error;
      assert.match(error.message, missing, `${op}: another reason than notYet gives`);
      named++;
    }
    if (missing !== undefined) assert.ok(named > 0, `${op} works: take it out of notYet`);
  });
}

ops.before(async () => void (await startWebGpu()));
ops.after(stopWebGpu);

ops.run();
