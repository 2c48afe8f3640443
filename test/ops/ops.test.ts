/** Every operation on every backend against the float64 reference, forward and backward. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { largestMagnitude, relativeError } from "../golden/compare.ts";
import type { Layout, Shapes } from "./cases.ts";
import { draw, drawAll, layouts, place, seed } from "./cases.ts";
import type { Row } from "./table.ts";
import { rows } from "./table.ts";

interface Result {
  values: ArrayLike<number>;
  shape: readonly number[];
  grads: (ArrayLike<number> | null)[];
}

/** Forward, and the gradient of sum(y * weights), where there is one. */
function evaluate(
  row: Row,
  data: Float64Array[],
  shapes: Shapes,
  device: DeviceName,
  layout: Layout,
): Result {
  return scope(() => {
    const inputs = place(row, data, shapes, device, layout);
    const y = row.f(...inputs);
    const values = y.dataSync();
    if (!inputs.some((x) => x.requiresGrad)) return { values, shape: y.shape, grads: [] };
    y.backward(weightsLike(y));
    const grads = inputs.map((x) => x.grad?.dataSync() ?? null);
    return { values, shape: y.shape, grads };
  });
}

function weightsLike(y: Tensor): Tensor {
  const weights = draw(y.shape, { low: 0.5, high: 1.5 }, new rl.Generator(seed + 1));
  return tensor(weights, { shape: y.shape, dtype: y.dtype, device: y.device });
}

function closeTo(
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  assert.is(found.length, expected.length, `${what}: number of elements`);
  const scale = Math.max(1, largestMagnitude(expected));
  for (let i = 0; i < expected.length; i++) {
    const error = relativeError(found[i], expected[i], scale);
    if (error > tolerance)
      assert.unreachable(
        `${what}[${i}]: found ${found[i]}, expected ${expected[i]} (error ${error}, seed ${seed})`,
      );
  }
}

const specials = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-40, 3e38, -3e38, 0.5, 2];

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
    const wrong: string[] = [];
    const compare = (name: string, f: (device: DeviceName) => Tensor): void => {
      scope(() => {
        const found = f("cpu").dataSync();
        const expected = f("reference").dataSync();
        for (let i = 0; i < expected.length; i++) {
          const rounded = Math.fround(expected[i]);
          // Denormal results may be flushed to 0; a tie of float32 overflow may go either way.
          if (Math.abs(rounded) < 1.2e-38 && Math.abs(found[i]) < 1.2e-38) continue;
          if (relativeError(found[i], rounded, 0) > 2e-6)
            wrong.push(`${name}[${i}]: found ${found[i]}, expected ${rounded}`);
        }
      });
    };
    const values = Float64Array.from(specials, Math.fround);
    const on = (device: DeviceName): Tensor =>
      tensor(values, { device, dtype: device === "cpu" ? "float32" : "float64" });
    for (const f of [
      rl.neg,
      rl.abs,
      rl.sign,
      rl.square,
      rl.exp,
      rl.expm1,
      rl.log,
      rl.log1p,
      rl.log2,
      rl.log10,
      rl.sqrt,
      rl.rsqrt,
      rl.reciprocal,
      rl.tanh,
      rl.sigmoid,
      rl.erf,
      rl.relu,
      rl.floor,
      rl.ceil,
      rl.round,
      rl.trunc,
    ]) {
      compare(f.name, (device) => f(on(device)));
    }
    for (const f of [
      rl.add,
      rl.sub,
      rl.mul,
      rl.div,
      rl.maximum,
      rl.minimum,
      rl.eq,
      rl.ne,
      rl.lt,
      rl.le,
      rl.gt,
      rl.ge,
    ]) {
      compare(f.name, (device) => f(rl.unsqueeze(on(device), 1), on(device)));
    }
    for (const f of [rl.sum, rl.mean, rl.amax, rl.amin, rl.argmax, rl.argmin]) {
      for (let length = 1; length <= specials.length; length++) {
        compare(`${f.name} of ${length}`, (device) => f(rl.narrow(on(device), 0, 0, length)));
      }
    }
    compare("softmax", (device) => rl.softmax(on(device), 0));
    compare("softmax of finite", (device) => rl.softmax(rl.narrow(on(device), 0, 3, 9), 0));
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
