/** map, zip, gradients, where: values, broadcasting, strides, types, cuts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TypedArray } from "../../src/backend/backend.ts";
import { broadcastShapes, broadcastStrides, sizeOf, stridesOf } from "../../src/shape.ts";
import { erf } from "../../src/elementary/index.ts";
import { loadKernels } from "../../src/backend/wasm/module.ts";
import type { Array_ } from "./cpu.ts";
import { Cpu, dtypeOf, elements } from "./cpu.ts";
import { Numbers } from "./runtime.ts";

const elementwise = suite("kernels: elementwise");
const cpu = new Cpu();
const threads = new Cpu(2);
const numbers = new Numbers(3);

type Make = (n: number) => TypedArray;
const floats: Make = (n) => Float32Array.from({ length: n }, () => 6 * numbers.next() - 3);
const ints: Make = (n) => Int32Array.from({ length: n }, () => numbers.between(-5, 5));
const bools: Make = (n) => Uint8Array.from({ length: n }, () => numbers.between(0, 1));

function close(
  y: ArrayLike<number>,
  expected: readonly number[],
  what: string,
  tolerance = 1e-6,
): void {
  assert.is(y.length, expected.length, what);
  for (let i = 0; i < y.length; i++) {
    const same = Object.is(y[i], expected[i]) || y[i] === expected[i];
    const near = Math.abs(y[i] - expected[i]) <= tolerance * Math.max(1, Math.abs(expected[i]));
    assert.ok(same || near, `${what} [${i}]: ${y[i]}, expected ${expected[i]}`);
  }
}

/** The array as if it had the shape. */
function spread(a: Array_, shape: readonly number[]): number[] {
  const strides = broadcastStrides(a.shape, a.strides ?? stridesOf(a.shape), shape);
  return elements({ ...a, shape, strides });
}

const holds = (f: (a: number, b: number) => boolean) => (a: number, b: number) => Number(f(a, b));
/** By 0: NaN, which int32 holds as 0. */
const fmod = (a: number, b: number) => (Number.isInteger(a) && b === 0 ? 0 : a % b);
const remainder = (a: number, b: number) => {
  const rest = fmod(a, b);
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};
const zips: Record<string, [(a: number, b: number) => number, Make[], "bool"?]> = {
  add: [(a, b) => a + b, [floats, ints]],
  sub: [(a, b) => a - b, [floats, ints]],
  mul: [(a, b) => a * b, [floats, ints]],
  div: [(a, b) => a / b, [floats]],
  fmod: [fmod, [floats, ints]],
  remainder: [remainder, [floats, ints]],
  maximum: [Math.max, [floats, ints]],
  minimum: [Math.min, [floats, ints]],
  eq: [holds((a, b) => a === b), [floats, ints, bools], "bool"],
  ne: [holds((a, b) => a !== b), [floats, ints, bools], "bool"],
  lt: [holds((a, b) => a < b), [floats, ints, bools], "bool"],
  le: [holds((a, b) => a <= b), [floats, ints, bools], "bool"],
  gt: [holds((a, b) => a > b), [floats, ints, bools], "bool"],
  ge: [holds((a, b) => a >= b), [floats, ints, bools], "bool"],
  logical_and: [(a, b) => a & b, [bools], "bool"],
  logical_or: [(a, b) => a | b, [bools], "bool"],
};

const shapes: [number[], number[]][] = [
  [[], []],
  [[1], [5]],
  [
    [0, 3],
    [1, 3],
  ],
  [[7], [7]],
  [[39], [39]],
  [[2, 3], []],
  [[], [2, 3]],
  [[5, 7], [7]],
  [[7], [5, 7]],
  [
    [5, 7],
    [5, 1],
  ],
  [
    [2, 3, 5, 5],
    [3, 1, 1],
  ],
  [
    [3, 1, 1],
    [2, 3, 5, 5],
  ],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [4, 1],
    [1, 6],
  ],
  [
    [2, 3, 1, 2],
    [3, 4, 1],
  ],
  [
    [2, 1, 3, 1, 2, 1, 2],
    [1, 2, 1, 3, 1, 2, 1],
  ],
];

for (const [wasm, [f, types, result]] of Object.entries(zips)) {
  elementwise(`${wasm} of all kinds of shapes`, () => {
    for (const make of types) {
      for (const [shapeA, shapeB] of shapes) {
        const a: Array_ = { data: make(sizeOf(shapeA)), shape: shapeA };
        const b: Array_ = { data: make(sizeOf(shapeB)), shape: shapeB };
        const shape = broadcastShapes(wasm, shapeA, shapeB);
        const dtype = result ?? dtypeOf(a.data);
        const [y] = cpu.run({ kind: "zip", wasm }, [a, b], [{ shape, dtype }]);
        const left = spread(a, shape);
        const right = spread(b, shape);
        close(
          y,
          left.map((v, i) => f(v, right[i])),
          `${wasm} ${dtype} [${shapeA}] [${shapeB}]`,
        );
      }
    }
  });
}

elementwise("zip reads views of any strides", () => {
  for (const make of [floats, ints, bools]) {
    const data = make(200);
    const views: Array_[] = [
      { data, shape: [4, 6], strides: [1, 4] },
      { data, shape: [4, 6], strides: [12, 2], offset: 3 },
      { data, shape: [4, 6], strides: [-6, 1], offset: 18 },
      { data, shape: [4, 6], strides: [6, -1], offset: 5 },
      { data, shape: [4, 6], strides: [0, 0], offset: 5 },
      { data, shape: [4, 6], strides: [0, 1] },
      { data, shape: [4, 1], strides: [7, 3] },
      { data, shape: [6], strides: [5] },
    ];
    for (const a of views) {
      for (const b of views) {
        const shape = broadcastShapes("lt", a.shape, b.shape);
        const [y] = cpu.run({ kind: "zip", wasm: "lt" }, [a, b], [{ shape, dtype: "bool" }]);
        const right = spread(b, shape);
        const expected = spread(a, shape).map((v, i) => Number(v < right[i]));
        close(y, expected, `[${a.strides}] [${b.strides}]`);
      }
    }
  }
});

elementwise("maximum and minimum: NaN wins", () => {
  const values = [NaN, 1, -1, Infinity, -Infinity];
  const pairs = values.flatMap((a) => values.map((b) => [a, b]));
  const a: Array_ = { data: Float32Array.from(pairs, ([v]) => v), shape: [25] };
  const b: Array_ = { data: Float32Array.from(pairs, ([, v]) => v), shape: [25] };
  const [max] = cpu.run({ kind: "zip", wasm: "maximum" }, [a, b], [{ shape: [25] }]);
  const [min] = cpu.run({ kind: "zip", wasm: "minimum" }, [a, b], [{ shape: [25] }]);
  close(
    max,
    pairs.map(([x, y]) => Math.max(x, y)),
    "maximum",
  );
  close(
    min,
    pairs.map(([x, y]) => Math.min(x, y)),
    "minimum",
  );
});

elementwise("accumulate adds in place, from views and broadcasts too", () => {
  const shape = [5, 7];
  for (const strides of [
    [7, 1],
    [1, 5],
    [0, 1],
    [0, 0],
    [1, 0],
  ]) {
    const b: Array_ = { data: floats(35), shape, strides };
    const before = floats(35);
    const view = cpu.view({ data: before, shape });
    const given = cpu.view(b);
    cpu.backend.run(
      { name: "accumulate", kind: "accumulate", wasm: "accumulate", reference: () => {} },
      [given],
      [view],
      {},
    );
    const y = cpu.backend.readSync(view.buffer, 0, 35, "float32");
    close(
      y,
      elements(b).map((v, i) => Math.fround(v + before[i])),
      `[${strides}]`,
    );
  }
});

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const u = (x: number) => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
const du = (x: number) => Math.sqrt(2 / Math.PI) * (1 + 0.134145 * x * x);
const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const cdf = (x: number) => 0.5 * (1 + erf(x * Math.SQRT1_2));

const maps: [string, Record<string, number>, (x: number) => number][] = [
  ["gelu", {}, (x) => x * cdf(x)],
  ["gelu_tanh", {}, (x) => 0.5 * x * (1 + Math.tanh(u(x)))],
  ["leaky_relu", { slope: 0.2 }, (x) => (x > 0 ? x : 0.2 * x)],
  ["elu", { alpha: 0.5 }, (x) => (x > 0 ? x : 0.5 * Math.expm1(x))],
  ["softplus", { beta: 2, threshold: 3 }, (x) => (2 * x > 3 ? x : Math.log1p(Math.exp(2 * x)) / 2)],
  ["clamp", { min: -1, max: 0.5 }, (x) => Math.min(Math.max(x, -1), 0.5)],
  ["clamp", { min: -Infinity, max: 0.5 }, (x) => Math.min(x, 0.5)],
  ["add_scalar", { value: 1.5 }, (x) => x + 1.5],
  ["mul_scalar", { value: 1.5 }, (x) => x * 1.5],
  ["rsub_scalar", { value: 1.5 }, (x) => 1.5 - x],
  ["rdiv_scalar", { value: 1.5 }, (x) => 1.5 / x],
  ["scalar_pow", { base: 2.5 }, (x) => 2.5 ** x],
  ...[2, 3, 0.5, -0.5, -1, -2, 0, 1, 1.5, -3].map(
    (exponent): [string, Record<string, number>, (x: number) => number] => [
      "pow_scalar",
      { exponent },
      (x) => x ** exponent,
    ],
  ),
];

for (const [wasm, attrs, f] of maps) {
  elementwise(`${wasm} ${JSON.stringify(attrs)}`, () => {
    for (const n of [0, 1, 2, 3, 4, 5, 8, 67]) {
      const data = floats(n);
      if (n > 4) data[2] = NaN;
      const call = { kind: "map", wasm, params: Object.keys(attrs) };
      const [y] = cpu.run(call, [{ data, shape: [n] }], [{ shape: [n] }], attrs);
      close(y, Array.from(data, f), `n = ${n}`);
    }
  });
}

const grads: [string, Record<string, number>, (saved: number, dy: number) => number][] = [
  ["relu_grad", {}, (y, dy) => (y <= 0 ? 0 : dy)],
  ["tanh_grad", {}, (y, dy) => dy * (1 - y * y)],
  ["sigmoid_grad", {}, (y, dy) => dy * y * (1 - y)],
  ["gelu_grad", {}, (x, dy) => dy * (cdf(x) + x * density(x))],
  [
    "gelu_tanh_grad",
    {},
    (x, dy) => dy * (0.5 * (1 + Math.tanh(u(x))) + 0.5 * x * (1 - Math.tanh(u(x)) ** 2) * du(x)),
  ],
  ["silu_grad", {}, (x, dy) => dy * sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  ["erf_grad", {}, (x, dy) => (dy * 2 * Math.exp(-x * x)) / Math.sqrt(Math.PI)],
  ["log_sigmoid_grad", {}, (x, dy) => dy * sigmoid(-x)],
  ["leaky_relu_grad", { slope: 0.2 }, (x, dy) => (x > 0 ? dy : 0.2 * dy)],
  ["elu_grad", { alpha: 0.5 }, (x, dy) => (x <= 0 ? dy * 0.5 * Math.exp(x) : dy)],
  ["softplus_grad", { beta: 2, threshold: 3 }, (x, dy) => (2 * x > 3 ? dy : dy * sigmoid(2 * x))],
  ["clamp_grad", { min: -1, max: 0.5 }, (x, dy) => (x >= -1 && x <= 0.5 ? dy : 0)],
  ["pow_scalar_grad", { exponent: 2 }, (x, dy) => 2 * x * dy],
  ["pow_scalar_grad", { exponent: 2.5 }, (x, dy) => dy * 2.5 * x ** 1.5],
  ["pow_scalar_grad", { exponent: 0 }, () => 0],
];

for (const [wasm, attrs, f] of grads) {
  elementwise(`${wasm} ${JSON.stringify(attrs)}`, () => {
    for (const n of [0, 1, 3, 4, 6, 67]) {
      const saved = floats(n);
      const dy = floats(n);
      const params = Object.keys(attrs);
      const inputs = [
        { data: saved, shape: [n] },
        { data: dy, shape: [n] },
      ];
      const [dx] = cpu.run({ kind: "zip", wasm, params }, inputs, [{ shape: [n] }], attrs);
      close(
        dx,
        Array.from(saved, (s, i) => f(s, dy[i])),
        `n = ${n}`,
      );
    }
  });
}

elementwise("gradients at the ends of the range are finite or what PyTorch gives", () => {
  const x = Float32Array.from([Infinity, -Infinity, 1e30, -1e30, 100, -100]);
  const dy = new Float32Array(6).fill(1);
  for (const wasm of ["gelu_grad", "gelu_tanh_grad", "silu_grad"]) {
    const inputs = [x, dy].map((data) => ({ data, shape: [6] }));
    const [dx] = cpu.run({ kind: "zip", wasm }, inputs, [{ shape: [6] }]);
    close(dx, [1, 0, 1, 0, 1, 0], wasm, 1e-30);
  }
});

elementwise("int32 and bool maps", () => {
  const data = Int32Array.from([-7, -1, 0, 3, 2147483647, -2147483648, 5]);
  const shape = [7];
  const run = (wasm: string, attrs: Record<string, number> = {}) =>
    Array.from(
      cpu.run(
        { kind: "map", wasm, params: Object.keys(attrs) },
        [{ data, shape }],
        [{ shape, dtype: "int32" }],
        attrs,
      )[0],
    );
  assert.equal(
    run("neg"),
    Array.from(data, (v) => -v | 0),
  );
  assert.equal(
    run("abs"),
    Array.from(data, (v) => Math.abs(v) | 0),
  );
  assert.equal(run("sign"), Array.from(data, Math.sign));
  assert.equal(
    run("square"),
    Array.from(data, (v) => Math.imul(v, v)),
  );
  assert.equal(
    run("add_scalar", { value: 3 }),
    Array.from(data, (v) => (v + 3) | 0),
  );
  assert.equal(
    run("mul_scalar", { value: -3 }),
    Array.from(data, (v) => Math.imul(v, -3)),
  );
  assert.equal(
    run("rsub_scalar", { value: 3 }),
    Array.from(data, (v) => (3 - v) | 0),
  );
  assert.equal(
    run("clamp", { min: -1, max: Infinity }),
    Array.from(data, (v) => Math.max(v, -1)),
  );
  const flags = Uint8Array.from({ length: 37 }, (_, i) => i % 2);
  const [not] = cpu.run(
    { kind: "map", wasm: "not" },
    [{ data: flags, shape: [37] }],
    [{ shape: [37], dtype: "bool" }],
  );
  assert.equal(
    Array.from(not),
    Array.from(flags, (v) => 1 - v),
  );
});

elementwise("where selects, with broadcasting, for all types", () => {
  const cases: [number[], number[], number[]][] = [
    [[], [], []],
    [[9], [9], [9]],
    [[9], [], [9]],
    [[9], [9], []],
    [[9], [], []],
    [[4, 1], [5], [4, 5]],
    [[2, 3], [3], [2, 1]],
    [[0], [1], [0]],
  ];
  for (const make of [floats, ints, bools]) {
    for (const [shapeC, shapeA, shapeB] of cases) {
      const c: Array_ = { data: bools(sizeOf(shapeC)), shape: shapeC };
      const a: Array_ = { data: make(sizeOf(shapeA)), shape: shapeA };
      const b: Array_ = { data: make(sizeOf(shapeB)), shape: shapeB };
      const shape = broadcastShapes("where", broadcastShapes("where", shapeC, shapeA), shapeB);
      const [y] = cpu.run(
        { kind: "where", wasm: "where" },
        [c, a, b],
        [{ shape, dtype: dtypeOf(a.data) }],
      );
      const [vc, va, vb] = [c, a, b].map((v) => spread(v, shape));
      close(
        y,
        vc.map((flag, i) => (flag ? va[i] : vb[i])),
        `[${shapeC}] [${shapeA}] [${shapeB}]`,
      );
    }
  }
});

elementwise("the cut of the work and the number of threads change no bit", () => {
  const n = 100_003;
  const data = floats(n);
  const inputs = [{ data, shape: [n] }];
  for (const wasm of ["exp", "tanh", "gelu", "log", "sin"]) {
    const [one] = cpu.run({ kind: "map", wasm }, inputs, [{ shape: [n] }]);
    const [two] = threads.run({ kind: "map", wasm }, inputs, [{ shape: [n] }]);
    assert.equal(new Uint32Array(one.buffer), new Uint32Array(two.buffer), wasm);
  }
  // Ranges that begin anywhere.
  const { functions, memory } = loadKernels({ threads: 1 });
  memory.grow(16);
  const at = memory.buffer.byteLength - 16 * 65536;
  new Float32Array(memory.buffer, at, 64).set(data.subarray(0, 64));
  const exp = functions.get("exp_f32")!;
  exp(at, at + 1024, 0, 64);
  for (const cuts of [
    [0, 1, 64],
    [0, 3, 10, 64],
    [0, 17, 33, 63, 64],
  ]) {
    for (let i = 1; i < cuts.length; i++) exp(at, at + 2048, cuts[i - 1], cuts[i]);
    const bits = (offset: number) => new Uint32Array(memory.buffer, at + offset, 64).slice();
    assert.equal(bits(2048), bits(1024));
  }
});

elementwise("broadcast rows cut anywhere", () => {
  const shape = [301, 203];
  const a: Array_ = { data: floats(sizeOf(shape)), shape };
  const b: Array_ = { data: floats(203), shape: [203] };
  const [one] = cpu.run({ kind: "zip", wasm: "mul" }, [a, b], [{ shape }]);
  const [two] = threads.run({ kind: "zip", wasm: "mul" }, [a, b], [{ shape }]);
  const right = spread(b, shape);
  close(
    one,
    Array.from(a.data, (v, i) => Math.fround(v * right[i])),
    "mul",
    0,
  );
  assert.equal(one, two);
});

elementwise.after(() => {
  threads.backend.close();
});
elementwise.run();
