/** Elementary functions: the largest errors, in ulp, against float64; special values. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { atan2, erf } from "../../src/elementary/index.ts";
import { Cpu, ulps } from "./cpu.ts";
import { Numbers } from "./runtime.ts";

const math = suite("kernels: elementary functions");
const strict = new Cpu(1, "strict");
const fast = new Cpu(1, "fast");

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const roundEven = (x: number) => {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
};

/** Name, definition, [low, high] of uniform samples, and the error allowed. */
const rows: [string, (x: number) => number, number, number, number][] = [
  ["exp", Math.exp, -87.3, 88.7, 1.5],
  ["expm1", Math.expm1, -20, 88.7, 2],
  ["expm1", Math.expm1, -0.01, 0.01, 2],
  ["log", Math.log, 0, 1e3, 1.5],
  ["log", Math.log, 0.9, 1.1, 1.5],
  ["log1p", Math.log1p, -1, 100, 3],
  ["log1p", Math.log1p, -1e-3, 1e-3, 2],
  ["log2", Math.log2, 0, 100, 0.51],
  ["log10", Math.log10, 0, 100, 0.51],
  ["sin", Math.sin, -10, 10, 0.6],
  ["sin", Math.sin, -1e5, 1e5, 0.6],
  ["sin", Math.sin, -1e30, 1e30, 0.6],
  ["cos", Math.cos, -10, 10, 0.6],
  ["cos", Math.cos, -1e9, 1e9, 0.6],
  ["tan", Math.tan, -10, 10, 2],
  ["asin", Math.asin, -1, 1, 0.51],
  ["acos", Math.acos, -1, 1, 0.51],
  ["acos", Math.acos, 0.9999, 1, 0.51],
  ["atan", Math.atan, -10, 10, 0.51],
  ["atan", Math.atan, -1e-3, 1e-3, 0.51],
  ["atan", Math.atan, -1e6, 1e6, 0.51],
  ["tanh", Math.tanh, -10, 10, 2.5],
  ["tanh", Math.tanh, -0.1, 0.1, 2.5],
  ["sigmoid", sigmoid, -80, 20, 2.5],
  ["erf", erf, -4, 4, 2.5],
  ["sqrt", Math.sqrt, 0, 1e6, 0.5],
  ["rsqrt", (x) => 1 / Math.sqrt(x), 0, 1e6, 1.5],
  ["reciprocal", (x) => 1 / x, -10, 10, 0.5],
  ["log_sigmoid", (x) => -softplus(-x), -80, 80, 3.5],
  ["silu", (x) => x * sigmoid(x), -80, 80, 3],
  ["floor", Math.floor, -10, 10, 0],
  ["ceil", Math.ceil, -10, 10, 0],
  ["trunc", Math.trunc, -10, 10, 0],
  ["round", roundEven, -10, 10, 0],
  ["sign", Math.sign, -10, 10, 0],
  ["square", (x) => x * x, -10, 10, 0.5],
  ["neg", (x) => -x, -10, 10, 0],
  ["abs", Math.abs, -10, 10, 0],
  ["relu", (x) => Math.max(x, 0), -10, 10, 0],
];

const n = 20001; // not a multiple of four

for (const [wasm, f, low, high, allowed] of rows) {
  math(`${wasm} on [${low}, ${high}] is within ${allowed} ulp`, () => {
    const numbers = new Numbers(1);
    const x = Float32Array.from({ length: n }, () => low + (high - low) * numbers.next());
    for (const cpu of [strict, fast]) {
      const [y] = cpu.run({ kind: "map", wasm }, [{ data: x, shape: [n] }], [{ shape: [n] }]);
      let worst = 0;
      let at = 0;
      for (let i = 0; i < n; i++) {
        const error = ulps(y[i], f(x[i]));
        if (error > worst) [worst, at] = [error, i];
      }
      if (process.env.ULPS) console.log(wasm, low, high, worst.toFixed(2));
      assert.ok(worst <= allowed, `${wasm}(${x[at]}) = ${y[at]}, not ${f(x[at])}: ${worst} ulp`);
    }
  });
}

const special = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  1e-45,
  -1e-45,
  1e-40,
  3e38,
  -3e38,
  0.5,
  2.5,
];
const inf = Infinity;
const pi = Math.fround(Math.PI);
const tiny = Math.fround(1e-45);
const specials: Record<string, (number | null)[]> = {
  // null: not looked at
  exp: [NaN, inf, 0, 1, 1, null, null, 1, 1, 1, inf, 0, null, null],
  expm1: [NaN, inf, -1, 0, -0, null, null, null, null, null, inf, -1, null, null],
  log: [NaN, inf, NaN, -inf, -inf, 0, NaN, null, NaN, null, null, NaN, null, null],
  log1p: [NaN, inf, NaN, 0, 0, null, -inf, tiny, -tiny, null, null, NaN, null, null],
  log2: [NaN, inf, NaN, -inf, -inf, 0, NaN, -149, NaN, null, null, NaN, -1, null],
  log10: [NaN, inf, NaN, -inf, -inf, 0, NaN, null, NaN, null, null, NaN, null, null],
  sqrt: [NaN, inf, NaN, 0, -0, 1, NaN, null, NaN, null, null, NaN, null, null],
  rsqrt: [NaN, 0, NaN, inf, -inf, 1, NaN, null, NaN, null, null, NaN, null, null],
  sin: [NaN, NaN, NaN, 0, -0, null, null, tiny, -tiny, null, null, null, null, null],
  cos: [NaN, NaN, NaN, 1, 1, null, null, 1, 1, 1, null, null, null, null],
  asin: [NaN, NaN, NaN, 0, -0, pi / 2, -pi / 2, tiny, -tiny, null, NaN, NaN, null, NaN],
  acos: [NaN, NaN, NaN, pi / 2, pi / 2, 0, pi, pi / 2, pi / 2, null, NaN, NaN, null, NaN],
  atan: [NaN, pi / 2, -pi / 2, 0, -0, pi / 4, -pi / 4, tiny, -tiny, null, pi / 2, null, null, null],
  tanh: [NaN, 1, -1, 0, -0, null, null, null, null, null, 1, -1, null, null],
  sigmoid: [NaN, 1, 0, 0.5, 0.5, null, null, 0.5, 0.5, 0.5, 1, 0, null, null],
  erf: [NaN, 1, -1, 0, -0, null, null, null, null, null, 1, -1, null, null],
  relu: [NaN, inf, 0, 0, 0, 1, 0, tiny, 0, null, null, 0, 0.5, 2.5],
  gelu: [NaN, inf, NaN, 0, 0, null, null, null, null, null, null, null, null, null],
  sign: [0, 1, -1, 0, 0, 1, -1, 1, -1, 1, 1, -1, 1, 1],
  abs: [NaN, inf, inf, 0, 0, 1, 1, tiny, tiny, null, null, null, 0.5, 2.5],
  round: [NaN, inf, -inf, 0, -0, 1, -1, 0, -0, 0, null, null, 0, 2],
};

for (const [wasm, expected] of Object.entries(specials)) {
  math(`${wasm} of special values`, () => {
    const x = Float32Array.from(special);
    for (const cpu of [strict, fast]) {
      const shape = [x.length];
      const [y] = cpu.run({ kind: "map", wasm }, [{ data: x, shape }], [{ shape }]);
      expected.forEach((value, i) => {
        const same = value === null || Object.is(y[i], value) || y[i] === value;
        assert.ok(same, `${wasm}(${special[i]}) = ${y[i]}, expected ${value}`);
      });
    }
  });
}

math("log of denormal numbers", () => {
  const x = Float32Array.from([1e-45, 1e-42, 1e-40, 1.1e-38, 1.2e-38]);
  const [y] = strict.run({ kind: "map", wasm: "log" }, [{ data: x, shape: [5] }], [{ shape: [5] }]);
  x.forEach((v, i) => assert.ok(ulps(y[i], Math.log(v)) < 1.5, `${v}: ${y[i]}`));
});

math("pow follows C", () => {
  const values = [0, -0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 2.5, 1e20, -1e20, 1e-30, inf, -inf, NaN];
  const pairs = values.flatMap((a) => values.map((b) => [a, b]));
  const shape = [pairs.length];
  const a = Float32Array.from(pairs, ([x]) => x);
  const b = Float32Array.from(pairs, ([, x]) => x);
  const [y] = strict.run(
    { kind: "zip", wasm: "pow" },
    [
      { data: a, shape },
      { data: b, shape },
    ],
    [{ shape }],
  );
  for (let i = 0; i < a.length; i++) {
    // JavaScript differs from C where the base is ±1.
    let expected = a[i] === 1 ? 1 : a[i] === -1 && Math.abs(b[i]) === inf ? 1 : a[i] ** b[i];
    if (Math.abs(expected) < 1e-45) expected = 0;
    assert.ok(ulps(y[i], Math.fround(expected)) <= 1, `${a[i]}^${b[i]} = ${y[i]}, not ${expected}`);
  }
});

math("atan2 follows C", () => {
  const values = [0, -0, 1, -1, 2, -0.5, 1e-45, -1e-45, 1e-30, 1e30, -3e38, inf, -inf, NaN];
  const pairs = values.flatMap((a) => values.map((b) => [a, b]));
  const shape = [pairs.length];
  const a = Float32Array.from(pairs, ([y]) => y);
  const b = Float32Array.from(pairs, ([, x]) => x);
  for (const cpu of [strict, fast]) {
    const inputs = [
      { data: a, shape },
      { data: b, shape },
    ];
    const [z] = cpu.run({ kind: "zip", wasm: "atan2" }, inputs, [{ shape }]);
    for (let i = 0; i < a.length; i++) {
      const expected = Math.fround(atan2(a[i], b[i]));
      assert.ok(Object.is(z[i], expected), `atan2(${a[i]}, ${b[i]}) = ${z[i]}, not ${expected}`);
    }
  }
});

math("pow of random operands is rounded once", () => {
  const numbers = new Numbers(2);
  const a = Float32Array.from({ length: n }, () => 10 * numbers.next());
  const b = Float32Array.from({ length: n }, () => 40 * numbers.next() - 20);
  const shape = [n];
  const inputs = [
    { data: a, shape },
    { data: b, shape },
  ];
  const [y] = strict.run({ kind: "zip", wasm: "pow" }, inputs, [{ shape }]);
  for (let i = 0; i < n; i++) assert.ok(ulps(y[i], a[i] ** b[i]) < 0.51, `${a[i]}^${b[i]}`);
});

math.run();
