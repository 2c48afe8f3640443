import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Kernel, NdArray, ReferenceFunction, View } from "../../src/backend/backend.ts";
import { optimWrapperLaunchers } from "../../src/backend/wasm/launch/optim-wrapper.ts";
import { optimLaunchers } from "../../src/backend/wasm/launch/optim.ts";
import * as base from "../../src/optim/base/kernels.ts";
import {
  adamcKernel,
  adamwKernel,
  lerpKernel,
  polyakKernel,
  radamSgdKernel,
  sgdKernel,
} from "../../src/optim/schedule-free/kernels.ts";
import {
  afterKernel,
  beforeKernel,
  wrappedKernel,
} from "../../src/optim/schedule-free/wrapper-kernels.ts";
import { Numbers, sameBits, TestRuntime } from "../kernels/runtime.ts";

const kernels = suite("optim kernels");
const launchers = { ...optimLaunchers, ...optimWrapperLaunchers };

const runtimes = { strict: new TestRuntime("strict"), fast: new TestRuntime("fast") };

const adam = {
  beta2: 0.99,
  oneMinusBeta2: 1 - 0.99,
  invBias2: 1 / (1 - 0.99 ** 3),
  eps: 1e-8,
  decay: 0.1,
  ckp1: 0.3,
  yStep: -0.04,
  lr: 0.1,
  momentum: 0.9,
  oneMinusMomentum: 1 - 0.9,
  invBias1: 1 / (1 - 0.9 ** 3),
};

const adamc = {
  beta1: 0.9,
  oneMinusBeta1: 1 - 0.9,
  beta2: 0.95,
  oneMinusBeta2: 1 - 0.95,
  invBias2: 1 / (1 - 0.95 ** 3),
  eps: 1e-8,
  decay: 0.02,
  step: 0.1 / (1 - 0.9 ** 3),
  keep: 0.7,
  ckp1: 0.3,
  beta: 0.9,
  oneMinusBeta: 1 - 0.9,
};

const wrapper = { zDecay: 0.1, yDecay: 0.01, toX: 1 - 1 / 0.9, ckp1: 0.3, toY: 1 - 0.9 };
const rmsprop = { alpha: 0.9, oneMinusAlpha: 0.1, eps: 1e-8, momentum: 0.8, centered: 0 };

interface Row {
  readonly title: string;
  readonly kernel: Kernel;
  readonly outputs: number;
  readonly attrs: Readonly<Record<string, unknown>>;
  /** Default 1: the gradient. */
  readonly inputs?: number;
  /** Which array is the second moment. */
  readonly positive?: number;
}

const rows: Row[] = [
  { title: "lerp", kernel: lerpKernel, outputs: 1, attrs: { weight: 0.3 } },
  {
    title: "sgd",
    kernel: sgdKernel,
    outputs: 2,
    attrs: { decay: 0.1, ckp1: 0.3, yStep: -0.04, lr: 0.1 },
  },
  { title: "adamw", kernel: adamwKernel, outputs: 3, attrs: adam },
  { title: "adamw with momentum", kernel: adamwKernel, outputs: 4, attrs: adam },
  { title: "radam before rectification", kernel: radamSgdKernel, outputs: 3, attrs: adam },
  {
    title: "before the wrapped step",
    kernel: beforeKernel,
    outputs: 2,
    attrs: wrapper,
  },
  {
    title: "after the wrapped step",
    kernel: afterKernel,
    outputs: 1,
    attrs: wrapper,
  },
  { title: "adamc", kernel: adamcKernel, outputs: 5, attrs: adamc, positive: 5 },
  { title: "lerp that keeps", kernel: lerpKernel, outputs: 2, attrs: { weight: 0.3 } },
  ...[
    { title: "sgd to x", kernel: sgdKernel, outputs: 2 },
    { title: "adamw to x", kernel: adamwKernel, outputs: 3 },
    { title: "adamw with momentum to x", kernel: adamwKernel, outputs: 4 },
    { title: "radam before rectification, to x", kernel: radamSgdKernel, outputs: 3 },
  ].map((row) => ({ ...row, inputs: 2, attrs: adam })),
  ...[
    { title: "sgd beside x", kernel: sgdKernel, outputs: 3 },
    { title: "adamw beside x", kernel: adamwKernel, outputs: 4 },
    { title: "adamw with momentum beside x", kernel: adamwKernel, outputs: 5 },
    { title: "radam before rectification, beside x", kernel: radamSgdKernel, outputs: 4 },
  ].map((row) => ({ ...row, attrs: { ...adam, keepsX: 1 } })),
  ...[
    { base: base.sgdKernel, outputs: 3, step: {}, beside: 1 },
    {
      base: base.adamKernel,
      outputs: 6,
      step: { ...adam, shrink: 0.99, invRoot: 3, adaptive: 1 },
      beside: 1,
    },
    { base: base.sgdKernel, outputs: 2, step: {} },
    { base: base.sgdKernel, outputs: 3, step: { keep: 0.9, gain: 0.7, look: 0.9 } },
    { base: base.adamKernel, outputs: 4, step: { ...adam, shrink: 0.99, invRoot: 3, adaptive: 1 } },
    { base: base.rmspropKernel, outputs: 3, step: rmsprop, positive: 3 },
    { base: base.rmspropKernel, outputs: 4, step: rmsprop, positive: 3 },
    { base: base.adagradKernel, outputs: 3, step: { eps: 1e-8 }, positive: 3 },
    {
      base: base.lionKernel,
      outputs: 3,
      step: { ...adam, shrink: 0.9, beta1: 0.9, oneMinusBeta1: 0.1 },
    },
  ].map(({ base: kernel, outputs, step, positive = 4, beside = 0 }) => ({
    title: `wrapped ${kernel.name} of ${outputs} blocks${beside ? ", beside x" : ""}`,
    kernel: wrappedKernel(kernel),
    outputs,
    positive,
    attrs: { ...wrapper, keepsX: beside, step: { lr: 0.1, sign: 1, decay: 0.2, ...step } },
  })),
];

/** Runs a kernel in WASM; the arrays are [...inputs, ...outputs]. Returns them all as they are then. */
function launch(
  rt: TestRuntime,
  { kernel, attrs, inputs = 1 }: Row,
  arrays: readonly Float32Array[],
): Float32Array[] {
  rt.reset();
  const views: View[] = arrays.map((data) => rt.array(data, [data.length]));
  launchers[kernel.kind](rt, kernel, views.slice(0, inputs), views.slice(inputs), attrs);
  for (const view of views) rt.checkBorder(view);
  return views.map((view) => rt.read(view));
}

/** y, z, … in [-1, 1), second moments in [0, 1). */
function numbersFor(
  { outputs, inputs = 1, positive = inputs + 2 }: Row,
  n: number,
): Float32Array[] {
  const source = new Numbers(n + 1);
  const arrays = Array.from({ length: inputs + outputs }, () => source.array(n));
  arrays[positive]?.forEach((v, i) => (arrays[positive][i] = Math.abs(v)));
  return arrays;
}

for (const row of rows) {
  kernels(`${row.title} computes what its record says`, () => {
    for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 17, 1000]) {
      const arrays = numbersFor(row, n);
      const exact: NdArray[] = arrays.map((a) => ({ data: Float64Array.from(a), shape: [n] }));
      const { inputs = 1 } = row;
      const reference = row.kernel.reference as ReferenceFunction;
      reference(exact.slice(0, inputs), exact.slice(inputs), row.attrs);
      for (const rt of Object.values(runtimes)) {
        const found = launch(rt, row, arrays);
        for (let i = 0; i < inputs; i++) {
          assert.ok(sameBits(found[i], arrays[i]), "inputs are only read");
        }
        found.forEach((array, a) =>
          array.forEach((value, i) => {
            const expected = exact[a].data[i];
            const error = Math.abs(value - expected) / Math.max(1, Math.abs(expected));
            assert.ok(error < 1e-6, `n ${n}, array ${a}, [${i}]: ${value}, expected ${expected}`);
          }),
        );
      }
    }
  });

  kernels(`${row.title} gives the same bits however the work is cut, and in both builds`, () => {
    const n = 3 * 16384 + 5;
    const arrays = numbersFor(row, n);
    const whole = launch(runtimes.strict, row, arrays);
    for (const rt of Object.values(runtimes)) {
      for (const cut of [false, true]) {
        rt.cut = cut;
        const found = launch(rt, row, arrays);
        rt.cut = false;
        found.forEach((array, i) => assert.ok(sameBits(array, whole[i]), `array ${i}`));
      }
    }
    const shifted = launch(
      runtimes.strict,
      row,
      arrays.map((array) => array.subarray(3)),
    );
    shifted.forEach((array, i) => assert.ok(sameBits(array, whole[i].slice(3)), `array ${i}`));
  });
}

kernels("Polyak's sums are the same bits for any threads, and those of their record", () => {
  for (const n of [1, 3, 4, 4095, 4096, 4097, 50001]) {
    const source = new Numbers(n);
    const arrays = Array.from({ length: 3 }, () => source.array(n));
    const pieces = Math.ceil(n / 4096);
    const exact = { data: new Float64Array(2 * pieces), shape: [2 * pieces] };
    const inputs = arrays.map((a) => ({ data: Float64Array.from(a), shape: [n] }));
    (polyakKernel.reference as ReferenceFunction)(inputs, [exact], {});
    let first: Float32Array | undefined;
    for (const rt of Object.values(runtimes)) {
      for (const cut of [false, true]) {
        rt.cut = cut;
        rt.reset();
        const views = arrays.map((data) => rt.array(data, [n]));
        const sums = rt.array(new Float32Array(2 * pieces), [2 * pieces]);
        launchers[polyakKernel.kind](rt, polyakKernel, views, [sums], {});
        rt.checkBorder(sums);
        const found = rt.read(sums);
        rt.cut = false;
        first ??= found;
        assert.ok(sameBits(found, first));
        found.forEach((value, i) =>
          assert.ok(Math.abs(value - exact.data[i]) < 1e-3, `n ${n}: ${value}, ${exact.data[i]}`),
        );
      }
    }
  }
});

const filled = (n: number, value: number) => new Float32Array(n).fill(value);

kernels("denormal moments become 0 where eps hides them", () => {
  for (const n of [4, 3]) {
    const row = rows[3];
    const arrays = [filled(n, 1e-25), ...[1, 1, 1e-38, 1e-38].map((value) => filled(n, value))];
    const [, , , v, m] = launch(runtimes.strict, row, arrays);
    assert.equal(v, filled(n, 0));
    assert.ok(
      m.every((value) => value > 9e-27),
      "normal numbers stay",
    );
    const none = launch(runtimes.strict, row, [filled(n, 0), ...arrays.slice(1)]);
    assert.equal(none[4], filled(n, 0));
  }
});

kernels("denormal second moments stay where eps would show the difference", () => {
  for (const n of [4, 3]) {
    const row = { ...rows[2], attrs: { ...adam, eps: 1e-30 } };
    const arrays = [filled(n, 0), ...[1, 1, 1e-39].map((value) => filled(n, value))];
    const [, , , v] = launch(runtimes.strict, row, arrays);
    assert.ok(v.every((value) => value > 9e-40));
  }
});

kernels("NaN stays NaN, and an infinite second moment stops the step", () => {
  for (const n of [4, 3]) {
    const row = { ...rows[2], attrs: { ...adam, decay: 0 } };
    const arrays = [1, 2, 0].map((value) => filled(n, value));
    const lost = launch(runtimes.strict, row, [filled(n, Number.NaN), ...arrays]);
    for (const array of lost) assert.ok(array.every(Number.isNaN));
    const [, , z, v] = launch(runtimes.strict, row, [filled(n, 1e25), ...arrays]);
    assert.equal(v, filled(n, Infinity));
    assert.equal(z, filled(n, 2));
  }
});

kernels.run();
