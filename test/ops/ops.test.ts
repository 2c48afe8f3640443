/** Every operation on every backend against the float64 reference, forward and backward. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope } from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { drawAll, layouts } from "./cases.ts";
import { closeTo, evaluate } from "./evaluate.ts";
import { mixedCases, wrongMixed } from "./specials-mixed.ts";
import { specialCases, wrongSpecials } from "./specials.ts";
import { rows } from "./table.ts";

function defineOps(precision: "strict" | "fast"): void {
  const ops = suite(`ops, ${precision}`);
  const seen = new Map<DeviceName, Set<string>>([
    ["reference", new Set()],
    ["cpu", new Set()],
  ]);

  ops.before(async () => {
    await rl.init({ device: "cpu", precision });
    rl.setTracer(({ op, outputs }) => seen.get(outputs[0].device)?.add(op));
  });
  ops.after(async () => {
    rl.setTracer(null);
    rl.backend().close();
    await rl.init({ device: "cpu" });
  });

  for (const op of new Set(rows.map((row) => row.op))) {
    ops(op, () => {
      for (const row of rows.filter((r) => r.op === op)) {
        for (const shapes of row.shapes) {
          const data = drawAll(row, shapes);
          const what = `${op} ${JSON.stringify(shapes)}`;
          const expected = evaluate(row, data, shapes, "reference", "dense");
          for (const device of ["cpu", "reference"] as const) {
            for (const layout of layouts) {
              const found = evaluate(row, data, shapes, device, layout);
              const label = `${what} on ${device}, ${layout}`;
              assert.equal(found.shape, expected.shape, `${label}: shape`);
              const exact = device === "reference";
              closeTo(
                label,
                found.values,
                expected.values,
                exact ? 1e-14 : (row.tolerance ?? 2e-6),
              );
              expected.grads.forEach((grad, i) => {
                if (grad === null) return;
                closeTo(
                  `${label}, gradient ${i}`,
                  found.grads[i]!,
                  grad,
                  exact ? 1e-13 : (row.tolerance ?? 4e-6),
                );
              });
            }
          }
        }
      }
    });
  }

  ops("every record has been run on every backend", () => {
    for (const [device, names] of seen) {
      const missing = [...operations.entries()]
        .filter(([name, op]) =>
          "kind" in op ? !names.has(name) : !rows.some((row) => row.op === name),
        )
        .map(([name]) => name);
      assert.equal(missing, [], `not run on ${device}`);
    }
  });

  ops("NaN, infinities, zeros and denormals come out as the reference says", () => {
    const wrong = specialCases.flatMap(({ name, f }) =>
      scope(() => wrongSpecials(name, f("cpu").dataSync(), f("reference").dataSync())),
    );
    assert.equal(wrong, []);
  });

  ops("what mixes elements keeps NaN and infinities where the reference has them", () => {
    const wrong = mixedCases.flatMap(({ name, f }) =>
      scope(() => wrongMixed(name, f("cpu").dataSync(), f("reference").dataSync())),
    );
    assert.equal(wrong, []);
  });

  ops("a window of max pooling that holds padding alone gives -Infinity and no gradient", () => {
    for (const device of ["cpu", "reference"] as const) {
      scope(() => {
        const x = rl.ones([1, 2, 2, 2], { device, requiresGrad: true });
        const single = rl.narrow(x, 2, 0, 1);
        const padded = rl.maxPool2d(single, 2, { stride: 1, padding: 1, dilation: 2 });
        assert.equal(Array.from(padded.dataSync()), Array(4).fill(-Infinity));
        padded.backward(rl.onesLike(padded));
        assert.equal(Array.from(x.grad!.dataSync()), Array(8).fill(0));
      });
    }
  });

  ops.run();
}

await rl.init({ device: "cpu", precision: "fast" });
const hasFast = rl.backend().capabilities().precision === "fast";
rl.backend().close();
await rl.init({ device: "cpu" });

defineOps("strict");
if (hasFast) defineOps("fast");
else {
  const ops = suite("ops, fast");
  ops.skip("every operation", "this engine has no relaxed SIMD");
  ops.run();
}
