/**
 * Every gradient against central differences on the float64 reference. Driven from the records: an
 * operation whose gradient no row checks is a failure that names it.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gradcheck, scope } from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { drawAll, isDifferentiable, layouts, place } from "./cases.ts";
import { GradientWatch } from "./gradients.ts";
import { excused, rows, withoutGradient } from "./table.ts";

const gradients = suite("gradients");
let watch: GradientWatch;

gradients.before(() => {
  watch = new GradientWatch(operations);
});
gradients.after(() => watch.release());

/** Larger cases add nothing that a difference quotient could see. */
const largest = 20_000;

for (const op of new Set(rows.map((row) => row.op))) {
  gradients(op, () => {
    for (const row of rows.filter((r) => r.op === op)) {
      for (const shapes of row.shapes) {
        if (!shapes.some((_, i) => isDifferentiable(row, i))) continue;
        if (shapes.some((shape) => shape.reduce((n, extent) => n * extent, 1) > largest)) continue;
        const data = drawAll(row, shapes);
        for (const layout of layouts) {
          scope(() => {
            const inputs = place(row, data, shapes, "reference", layout);
            const options = {
              eps: 1e-5,
              atol: 1e-6,
              rtol: 1e-6,
              elements: layout === "dense" ? 32 : 0,
              directions: 1,
              ...row.gradcheck,
            };
            try {
              watch.check(op, () => gradcheck(row.f, inputs, options));
            } catch (error) {
              const what = `${op} ${JSON.stringify(shapes)}, ${layout}`;
              assert.unreachable(`${what}: ${(error as Error).message}`);
            }
          });
        }
      }
    }
  });
}

gradients("every record with a vjp has been checked, for every input", () => {
  assert.equal(watch.gaps(withoutGradient, excused), []);
});

gradients.run();
