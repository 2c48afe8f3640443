import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { View } from "../../src/backend/backend.ts";
import { attentionLaunchers } from "../../src/backend/wasm/launch/attention.ts";
import { stridesOf } from "../../src/shape.ts";
import type { Precision } from "./runtime.ts";
import { Numbers, sameBits, TestRuntime } from "./runtime.ts";

const { attention, attentionGrad } = attentionLaunchers;
const kernel = { name: "test", kind: "test", wasm: "test", reference: () => {} };

interface Case {
  heads: number;
  l: number;
  s: number;
  e: number;
  v: number;
  isCausal: boolean;
  p: number;
}

const cases: Case[] = [
  { heads: 3, l: 7, s: 9, e: 5, v: 3, isCausal: false, p: 0 },
  { heads: 1, l: 300, s: 290, e: 12, v: 9, isCausal: true, p: 0 },
  { heads: 2, l: 130, s: 300, e: 8, v: 20, isCausal: false, p: 0.3 },
  { heads: 5, l: 40, s: 40, e: 16, v: 16, isCausal: true, p: 0.3 },
  { heads: 1, l: 40, s: 20, e: 900, v: 7, isCausal: true, p: 0 },
];

/** y, its statistics, and the gradients of all three operands. */
function play(rt: TestRuntime, { heads, l, s, e, v, isCausal, p }: Case): Float32Array[] {
  rt.reset();
  const numbers = new Numbers(l + s);
  const made = (rows: number, columns: number): View =>
    rt.array(numbers.array(heads * rows * columns), [heads, rows, columns]);
  const [q, k, value] = [made(l, e), made(s, e), made(s, v)];
  const dy = rt.array(numbers.array(l * heads * v), [l, heads, v]);
  const attrs = { isCausal, scale: 0.4, p, seed: 7, call: 1 };
  const outputs = [rt.result([l, heads, v]), rt.result([heads, 2, l])];
  attention(rt, kernel, [q, k, value], outputs, attrs);
  const gradients = [q, k, value].map((x) => rt.result(x.shape));
  attentionGrad(rt, kernel, [q, k, value, ...outputs, dy], gradients, attrs);
  return [...outputs, ...gradients].map((view) => {
    rt.checkBorder(view);
    return rt.read(view);
  });
}

for (const precision of ["strict", "fast"] as Precision[]) {
  const test = suite(`attention, ${precision}`);
  const rt = new TestRuntime(precision);

  test("the bits do not depend on threads or on how the work is cut", () => {
    for (const shape of cases) {
      rt.threads = 1;
      rt.cut = false;
      const whole = play(rt, shape);
      for (const threads of [1, 2, 9]) {
        rt.threads = threads;
        rt.cut = true;
        play(rt, shape).forEach((found, i) => {
          const what = `result ${i} of ${JSON.stringify(shape)}, ${threads} threads`;
          assert.ok(found.every(Number.isFinite), `${what}: all written`);
          assert.ok(sameBits(found, whole[i]), `${what}: other bits`);
        });
      }
    }
  });

  test("operands are read by their strides, neighbours are not touched", () => {
    rt.threads = 1;
    rt.cut = false;
    rt.reset();
    const [heads, t, d] = [3, 21, 6];
    const packed = new Numbers(1).array(t * 3 * heads * d);
    // [t, 3, heads, d] as three views [heads, t, d], and the same values dense.
    const strides = [d, 3 * heads * d, 1];
    const views = [0, 1, 2].map((i) => rt.array(packed, [heads, t, d], strides, i * heads * d));
    const dense = [0, 1, 2].map((i) => {
      const values = new Float32Array(heads * t * d);
      for (let at = 0; at < values.length; at++) {
        const [h, row, f] = [Math.floor(at / (t * d)), Math.floor(at / d) % t, at % d];
        values[at] = packed[row * strides[1] + (i * heads + h) * d + f];
      }
      return rt.array(values, [heads, t, d]);
    });
    const attrs = { isCausal: true, scale: 1, p: 0, seed: 0, call: 0 };
    const [found, expected] = [views, dense].map((operands) => {
      const y = rt.result([t, heads, d]);
      const statistics = rt.result([heads, 2, t]);
      attention(rt, kernel, operands, [y, statistics], attrs);
      // Gradients as [t, heads, d] seen by heads.
      const gradients = operands.map(() => {
        const dense = rt.result([t, heads, d]);
        const [row, head, column] = stridesOf([t, heads, d]);
        return { ...dense, shape: [heads, t, d], strides: [head, row, column] };
      });
      const dy = rt.array(new Numbers(2).array(t * heads * d), [t, heads, d]);
      attentionGrad(rt, kernel, [...operands, y, statistics, dy], gradients, attrs);
      for (const view of [y, statistics, ...gradients]) rt.checkBorder(view);
      return [y, ...gradients].map((view) => rt.read(view));
    });
    found.forEach((values, i) => assert.ok(sameBits(values, expected[i]), `result ${i}`));
  });

  test.run();
}
