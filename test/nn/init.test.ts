/** Initialisers: bounds, moments, distributions, orthogonality, patterns, and every misuse. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import { defaultGenerator, Generator, manualSeed, nn, scope, zeros } from "../../src/index.ts";

const { init } = nn;
const initialisers = suite("initialisers");

function scoped(name: string, body: () => void): void {
  initialisers(name, () => scope(body));
}

interface Moments {
  mean: number;
  std: number;
  low: number;
  high: number;
}

function moments(x: Tensor): Moments {
  const values = Float64Array.from(x.dataSync());
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  const std = Math.sqrt(squares / values.length);
  return { mean, std, low: Math.min(...values), high: Math.max(...values) };
}

/** Within five standard errors of what n values of that distribution give. */
function near(found: Moments, std: number, n: number): void {
  assert.ok(Math.abs(found.mean) < (5 * std) / Math.sqrt(n), `mean ${found.mean}`);
  assert.ok(Math.abs(found.std / std - 1) < 5 / Math.sqrt(n), `std ${found.std}, expected ${std}`);
}

const shape = [40, 20, 3, 5]; // fanIn 300, fanOut 600
const n = 40 * 300;

const spread: [
  name: string,
  f: (x: Tensor, generator: Generator) => Tensor,
  std: number,
  uniform: boolean,
][] = [
  [
    "xavierUniform",
    (x, generator) => init.xavierUniform(x, { generator }),
    Math.sqrt(2 / 900),
    true,
  ],
  [
    "xavierUniform, gain 2",
    (x, generator) => init.xavierUniform(x, { gain: 2, generator }),
    2 * Math.sqrt(2 / 900),
    true,
  ],
  [
    "xavierNormal",
    (x, generator) => init.xavierNormal(x, { generator }),
    Math.sqrt(2 / 900),
    false,
  ],
  [
    "kaimingUniform",
    (x, generator) => init.kaimingUniform(x, { generator }),
    Math.sqrt(2 / 300),
    true,
  ],
  [
    "kaimingUniform, fanOut, tanh",
    (x, generator) => init.kaimingUniform(x, { mode: "fanOut", nonlinearity: "tanh", generator }),
    5 / 3 / Math.sqrt(600),
    true,
  ],
  [
    "kaimingNormal",
    (x, generator) => init.kaimingNormal(x, { generator }),
    Math.sqrt(2 / 300),
    false,
  ],
  [
    "kaimingNormal, a 1, fanOut",
    (x, generator) => init.kaimingNormal(x, { a: 1, mode: "fanOut", generator }),
    1 / Math.sqrt(600),
    false,
  ],
];

for (const [name, f, std, uniform] of spread) {
  scoped(`${name}: bounds, mean, deviation, the same for a seed`, () => {
    const x = zeros(shape);
    assert.is(f(x, new Generator(1)), x);
    const found = moments(x);
    near(found, std, n);
    if (uniform) {
      const bound = Math.fround(Math.sqrt(3) * std) * (1 + 1e-7);
      assert.ok(found.low >= -bound && found.high <= bound, `${found.low} to ${found.high}`);
      assert.ok(found.low < -0.99 * bound && found.high > 0.99 * bound);
    } else {
      assert.ok(found.high > 3 * std, "normal values have tails");
    }
    const again = f(zeros(shape), new Generator(1));
    assert.equal(again.dataSync(), x.dataSync());
    assert.not.equal(f(zeros(shape), new Generator(2)).dataSync(), x.dataSync());
    const double = f(zeros(shape, { device: "reference" }), new Generator(1)).dataSync();
    assert.ok(x.dataSync().every((v, i) => Math.abs(v - double[i]) <= 2 ** -23 * std * 8));
    assert.is(f(zeros([3, 0]), new Generator(1)).size, 0);
  });
}

initialisers("calculateGain has PyTorch's values", () => {
  const gains = (["linear", "conv", "sigmoid", "tanh", "relu", "leakyRelu", "selu"] as const).map(
    (name) => init.calculateGain(name),
  );
  assert.equal(gains, [1, 1, 1, 5 / 3, Math.SQRT2, 1.4141428569978354, 0.75]);
  assert.is(init.calculateGain("leakyRelu", 1), 1);
});

/** The largest |G - gain²·1|, G the products of rows (or columns) with each other. */
function deviation(x: Tensor, gain: number): number {
  const rows = x.shape[0];
  const columns = x.size / rows;
  const data = x.dataSync();
  const [count, length] = rows <= columns ? [rows, columns] : [columns, rows];
  const at = (i: number, k: number): number =>
    rows <= columns ? data[i * columns + k] : data[k * columns + i];
  let worst = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let k = 0; k < length; k++) product += at(i, k) * at(j, k);
      worst = Math.max(worst, Math.abs(product - (i === j ? gain * gain : 0)));
    }
  }
  return worst;
}

scoped("orthogonal: orthonormal rows or columns, in any shape, times the gain", () => {
  for (const shape of [
    [1, 1],
    [1, 7],
    [7, 1],
    [16, 16],
    [5, 40],
    [40, 5],
    [6, 3, 5, 5],
    [64, 4, 3],
  ]) {
    const exact = zeros(shape, { device: "reference" });
    assert.is(init.orthogonal(exact, { generator: new Generator(1) }), exact);
    assert.ok(deviation(exact, 1) < 1e-14, `${shape}: ${deviation(exact, 1)}`);
    const single = init.orthogonal(zeros(shape), { generator: new Generator(1), gain: 3 });
    assert.ok(deviation(single, 3) < 9 * 5e-7, `${shape}: ${deviation(single, 3)}`);
    const rounded = Float32Array.from(exact.dataSync(), (v) => 3 * v);
    assert.equal(single.dataSync(), rounded, "rounded once");
  }
});

scoped("orthogonal: no element and no sign is preferred", () => {
  const generator = new Generator(9);
  const x = zeros([3, 3], { device: "reference" });
  const sums = new Float64Array(9);
  const squares = new Float64Array(9);
  let trace2 = 0;
  const draws = 4000;
  for (let i = 0; i < draws; i++) {
    const q = init.orthogonal(x, { generator }).dataSync();
    q.forEach((v, k) => {
      sums[k] += v / draws;
      squares[k] += (v * v) / draws;
    });
    trace2 += (q[0] + q[4] + q[8]) ** 2 / draws;
  }
  for (let k = 0; k < 9; k++) {
    assert.ok(Math.abs(sums[k]) < 5 / Math.sqrt(3 * draws), `mean of element ${k}: ${sums[k]}`);
    assert.ok(Math.abs(squares[k] - 1 / 3) < 5 * Math.sqrt(0.09 / draws), `square ${squares[k]}`);
  }
  // Haar measure: E tr² = 1.
  assert.ok(Math.abs(trace2 - 1) < 5 * Math.sqrt(2 / draws), `E tr² = ${trace2}`);
});

/** Largest distance between the values' distribution and the normal one between the bounds. */
function distance(values: ArrayLike<number>, low: number, high: number): number {
  const sorted = Float64Array.from(values).sort();
  const from = Math.max(low, -9);
  const to = Math.min(high, from + 18);
  const steps = 20_000;
  const h = (to - from) / steps;
  // Relative to the density nearest 0, so that tails do not underflow.
  const nearest = from > 0 ? from : to < 0 ? to : 0;
  const density = (x: number): number => Math.exp((nearest * nearest - x * x) / 2);
  const cumulative = new Float64Array(steps + 1);
  for (let i = 0; i < steps; i++) {
    const x = from + i * h;
    cumulative[i + 1] =
      cumulative[i] + (h / 6) * (density(x) + 4 * density(x + h / 2) + density(x + h));
  }
  let worst = 0;
  sorted.forEach((v, i) => {
    const at = Math.min(steps, Math.max(0, Math.round((v - from) / h)));
    const p = cumulative[at] / cumulative[steps];
    worst = Math.max(worst, Math.abs(p - i / sorted.length), Math.abs(p - (i + 1) / sorted.length));
  });
  return worst;
}

for (const [low, high] of [
  [-2, 2],
  [-Infinity, Infinity],
  [-1, 7],
  [-0.3, 0.1],
  [0, 3],
  [0.5, 0.8],
  [3, Infinity],
  [3, 3.1],
  [-Infinity, -6],
  [-8, -5],
]) {
  scoped(`truncNormal on [${low}, ${high}] follows the normal distribution there`, () => {
    const x = zeros([20_000]);
    assert.is(init.truncNormal(x, 0, 1, low, high, new Generator(4)), x);
    const values = x.dataSync();
    assert.ok(values.every((v) => v >= Math.fround(low) && v <= Math.fround(high)));
    // Kolmogorov and Smirnov: beyond 1.95/√n with a probability of 0.001.
    const d = distance(values, low, high) * Math.sqrt(values.length);
    assert.ok(d < 1.95, `${d}`);
  });
}

scoped("truncNormal: mean and std scale, bounds are values; one call of the generator", () => {
  const generator = new Generator(4);
  const standard = init.truncNormal(zeros([999]), 0, 1, -1, 3, generator).dataSync();
  assert.is(generator.getState().call, 1);
  const scaled = init.truncNormal(zeros([999]), 10, 0.5, 9.5, 11.5, new Generator(4)).dataSync();
  standard.forEach((v, i) => assert.ok(Math.abs(10 + 0.5 * v - scaled[i]) < 2e-6));
  const extreme = init.truncNormal(zeros([9]), 0, 1e-200, 1, 2, new Generator(4)).dataSync();
  assert.equal([...extreme], Array.from({ length: 9 }).fill(1), "infinitely far in the tail");
  manualSeed(6);
  const first = init.truncNormal(zeros([50])).dataSync();
  manualSeed(6);
  assert.equal(init.truncNormal(zeros([50])).dataSync(), first);
});

scoped("zeros, ones, constant, eye, dirac", () => {
  assert.equal(init.ones(zeros([2])).toArray(), [1, 1]);
  assert.equal(init.zeros(init.constant(zeros([2]), 7)).toArray(), [0, 0]);
  assert.equal(init.eye(init.ones(zeros([2, 3]))).toArray(), [
    [1, 0, 0],
    [0, 1, 0],
  ]);
  assert.equal(init.dirac(zeros([3, 2, 3])).toArray(), [
    [
      [0, 1, 0],
      [0, 0, 0],
    ],
    [
      [0, 0, 0],
      [0, 1, 0],
    ],
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  ]);
  assert.equal(init.dirac(zeros([4, 1, 2]), 2).toArray(), [[[0, 1]], [[0, 0]], [[0, 1]], [[0, 0]]]);
});

scoped("a convolution with dirac weights gives its input", () => {
  const layer = new nn.Conv2d(3, 3, [3, 5], { padding: [1, 2], bias: false });
  init.dirac(layer.weight);
  const x = init.normal(zeros([2, 3, 4, 6]));
  assert.equal(layer.forward(x).dataSync(), x.dataSync());
  layer.dispose();
});

scoped("sparse: zeros in each column, in other rows each time, normal elsewhere", () => {
  const x = init.sparse(zeros([30, 400]), 0.25, 0.02, new Generator(3));
  const data = x.dataSync();
  const perRow = new Float64Array(30);
  for (let j = 0; j < 400; j++) {
    let zeros = 0;
    for (let i = 0; i < 30; i++) {
      if (data[i * 400 + j] !== 0) continue;
      zeros++;
      perRow[i]++;
    }
    assert.is(zeros, 8);
  }
  for (const count of perRow) assert.ok(Math.abs(count / 400 - 8 / 30) < 5 * Math.sqrt(0.2 / 400));
  near(moments(x), 0.02 * Math.sqrt(22 / 30), 12_000 / 2);
});

const refused: [f: () => unknown, message: string][] = [
  [() => init.xavierNormal(zeros([3])), "init: fan-in and fan-out need [out, in, ...]; found [3]"],
  [
    () => init.xavierUniform(zeros([3, 3]), { gain: 0 }),
    "init.xavierUniform: gain is 0; expected a number above 0",
  ],
  [
    () => init.kaimingNormal(zeros([3, 3]), { mode: "fan_in" as never }),
    'init.kaimingNormal: mode is "fan_in"; expected "fanIn" or "fanOut"',
  ],
  [
    () => init.kaimingUniform(zeros([3, 3]), { a: NaN }),
    "init.kaimingUniform: a is NaN; expected a number",
  ],
  [
    () => init.kaimingUniform(zeros([3, 3]), { nonlinearity: "gelu" as never }),
    'init.calculateGain: nonlinearity is "gelu"; expected linear, conv, sigmoid, tanh, relu, leakyRelu or selu',
  ],
  [
    () => init.orthogonal(zeros([3])),
    "init.orthogonal: found [3]; expected [out, in, ...], at least two dimensions",
  ],
  [
    () => init.orthogonal(zeros([3, 3]), { gain: Infinity }),
    "init.orthogonal: gain is Infinity; expected a number",
  ],
  [
    () => init.truncNormal(zeros([3]), 0, 1, 2, 2),
    "init.truncNormal: mean is 0, std is 1, bounds are 2 and 2; expected a finite mean, a finite std above 0, and the first bound below the second",
  ],
  [() => init.eye(zeros([3])), "init.eye: found [3]; expected a matrix [n, m]"],
  [
    () => init.dirac(zeros([3, 3])),
    "init.dirac: found [3, 3]; expected a convolution's weight [out, in, ...] with 3 to 5 dimensions",
  ],
  [
    () => init.dirac(zeros([3, 3, 3]), 2),
    "init.dirac: groups is 2; expected a divisor of 3 output channels",
  ],
  [
    () => init.sparse(zeros([3, 3]), 1.5),
    "init.sparse: sparsity is 1.5; expected a number from 0 to 1",
  ],
];

scoped("misuse is named, and nothing is drawn", () => {
  const before = defaultGenerator().getState();
  for (const [f, message] of refused) {
    assert.throws(f, (error: Error) => {
      assert.is(error.message, message);
      return true;
    });
  }
  assert.equal(defaultGenerator().getState(), before);
});

initialisers.run();
