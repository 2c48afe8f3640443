/** Functions composed of others, against their formulas: values, special ones too, and gradients. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";

const composed = suite("composed");

interface Case {
  f: (x: Tensor) => Tensor;
  /** In float64, of one number. */
  formula: (x: number) => number;
  /** Where both are evaluated besides `points`. */
  extra?: readonly number[];
  /** Kinks: left out of the gradient check, with the slope there as PyTorch has it. */
  kinks?: Readonly<Record<number, number>>;
  /** The domain, where it is not all numbers. */
  within?: (x: number) => boolean;
}

const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const six = (x: number): number => clip(x, 0, 6);
const elu = (x: number, alpha: number): number => (x > 0 ? x : alpha * Math.expm1(x));

const cases: Readonly<Record<string, Case>> = {
  selu: {
    f: rl.selu,
    formula: (x) => 1.0507009873554805 * elu(x, 1.6732632423543772),
    kinks: { 0: 1.0507009873554805 * 1.6732632423543772 },
  },
  celu: { f: (x) => rl.celu(x, 2), formula: (x) => elu(x / 2, 1) * 2, kinks: { 0: 1 } },
  hardtanh: { f: rl.hardtanh, formula: (x) => clip(x, -1, 1), kinks: { [-1]: 0, 1: 0 } },
  relu6: { f: rl.relu6, formula: six, extra: [6, 7], kinks: { 0: 0, 6: 0 } },
  hardsigmoid: {
    f: rl.hardsigmoid,
    formula: (x) => six(x + 3) / 6,
    extra: [3, -3],
    kinks: { [-3]: 0, 3: 0 },
  },
  hardswish: {
    f: rl.hardswish,
    formula: (x) => (x === -Infinity ? NaN : (x * six(x + 3)) / 6), // -Infinity · 0, as in PyTorch
    extra: [3, -3],
    kinks: { [-3]: 0, 3: 1 },
  },
  mish: {
    f: rl.mish,
    formula: (x) => (x === -Infinity ? NaN : x * Math.tanh(Math.log1p(Math.exp(x)))),
  },
  softsign: { f: rl.softsign, formula: (x) => x / (1 + Math.abs(x)) },
  tanhshrink: { f: rl.tanhshrink, formula: (x) => x - Math.tanh(x) },
  softshrink: {
    f: rl.softshrink,
    formula: (x) => x - clip(x, -0.5, 0.5),
    kinks: { [-0.5]: 0, 0.5: 0 },
  },
  hardshrink: {
    f: (x) => rl.hardshrink(x, 1),
    formula: (x) => (Math.abs(x) <= 1 ? 0 : x),
    kinks: { [-1]: 0, 1: 0 },
  },
  threshold: {
    f: (x) => rl.threshold(x, 0.5, -7),
    formula: (x) => (x <= 0.5 ? -7 : x),
    kinks: { 0.5: 0 },
  },
  prelu: {
    f: (x) => rl.prelu(x, tensor([0.25], { device: x.device })),
    formula: (x) => (x > 0 ? x : 0.25 * x),
    kinks: { 0: 0.25 },
  },
  sinh: { f: rl.sinh, formula: Math.sinh },
  cosh: { f: rl.cosh, formula: Math.cosh },
  asinh: { f: rl.asinh, formula: Math.asinh, extra: [1e30, -1e30] },
  acosh: { f: rl.acosh, formula: Math.acosh, extra: [1e30], within: (x) => x > 1 },
  atanh: { f: rl.atanh, formula: Math.atanh, within: (x) => Math.abs(x) < 1 },
};

const points = [
  NaN,
  Infinity,
  -Infinity,
  0,
  1e-6,
  -1e-6,
  0.03,
  -0.03,
  0.3,
  -0.3,
  0.5,
  -0.5,
  0.97,
  -0.97,
  1,
  -1,
  1.03,
  -1.03,
  2.3,
  -2.3,
  5.5,
  -5.5,
  30,
  -30,
];

for (const [name, { f, formula, extra = [], kinks = {}, within = () => true }] of Object.entries(
  cases,
)) {
  const all = [...points, ...extra];
  for (const device of ["reference", "cpu"] as const) {
    composed(`${name} on ${device}`, () => {
      scope(() => {
        const x = tensor(all, { device });
        const found = Array.from(f(x).dataSync());
        // What the formula makes of the number that the device holds, which float32 has rounded.
        Array.from(x.dataSync()).forEach((value, i) => {
          const expected = formula(value);
          const bound = (device === "cpu" ? 2e-6 : 1e-14) * Math.max(Math.abs(expected), 1e-3);
          const close = Number.isFinite(expected)
            ? Math.abs(found[i] - expected) <= bound
            : Object.is(found[i], expected);
          assert.ok(close, `${name}(${value}) is ${found[i]}; expected ${expected}`);
        });
      });
    });
  }

  composed(`${name}: gradient`, () => {
    scope(() => {
      const smooth = all.filter((x) => within(x) && Math.abs(x) < 50 && !(x in kinks));
      const x = tensor(smooth, { device: "reference", requiresGrad: true });
      rl.gradcheck(f, [x]);
      for (const [at, slope] of Object.entries(kinks)) {
        const kink = tensor([Number(at)], { device: "reference", requiresGrad: true });
        f(kink).backward();
        assert.ok(Math.abs(kink.grad!.itemSync() - slope) < 1e-12, `slope at ${at}`);
      }
    });
  });
}

composed("prelu has a slope per channel, and a gradient of it", () => {
  scope(() => {
    const device = "reference";
    const x = tensor([[[-1], [2], [-3]]], { device, requiresGrad: true });
    const weight = tensor([0.5, 1, 2], { device, requiresGrad: true });
    assert.equal(rl.prelu(x, weight).toArray(), [[[-0.5], [2], [-6]]]);
    rl.gradcheck(rl.prelu, [x, weight]);
  });
});

composed("glu multiplies one half by the sigmoid of the other", () => {
  scope(() => {
    const x = tensor([[1, 2, 0, Math.log(3)]], { device: "reference", requiresGrad: true });
    const [a, b] = Array.from(rl.glu(x).dataSync());
    assert.ok(Math.abs(a - 0.5) < 1e-15 && Math.abs(b - 1.5) < 1e-15);
    rl.gradcheck((x) => rl.glu(x), [x]);
  });
});

composed("tests of numbers give booleans", () => {
  for (const device of ["reference", "cpu"] as const) {
    scope(() => {
      const x = tensor([NaN, Infinity, -Infinity, 0, 3], { device });
      assert.equal([...rl.isnan(x).dataSync()], [1, 0, 0, 0, 0]);
      assert.equal([...rl.isinf(x).dataSync()], [0, 1, 1, 0, 0]);
      assert.equal([...rl.isfinite(x).dataSync()], [0, 0, 0, 1, 1]);
      const y = tensor([1, 0, 0, 5, 5], { device });
      assert.equal(
        [...rl.logicalXor(tensor([1, 2, 0, 0, 7], { device }), y).dataSync()],
        [0, 1, 0, 1, 0],
      );
    });
  }
});

composed("remainders have the sign of the dividend, or of the divisor", () => {
  const a = [7, -7, 7, -7, 0, 5.5, -1, 1e30];
  const b = [3, 3, -3, -3, 3, Infinity, Infinity, 7];
  const large = 1e30 % 7;
  for (const device of ["reference", "cpu"] as const) {
    scope(() => {
      const [x, y] = [tensor(a, { device }), tensor(b, { device })];
      const rest = device === "cpu" ? Math.fround(1e30) % 7 : large; // exact, of what float32 holds
      assert.equal([...rl.fmod(x, y).dataSync()], [1, -1, 1, -1, 0, 5.5, -1, rest]);
      assert.equal([...rl.remainder(x, y).dataSync()], [1, 2, -2, -1, 0, 5.5, Infinity, rest]);
      const whole = tensor([7, -7, -2147483648], { dtype: "int32", device });
      assert.equal([...rl.remainder(whole, -4).dataSync()], [-1, -3, 0]);
      assert.equal([...rl.fmod(whole, 0).dataSync()], [0, 0, 0]);
      assert.ok(Number.isNaN(rl.fmod(x, 0).dataSync()[0]));
    });
  }
});

composed.run();
