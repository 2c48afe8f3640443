/**
 * Forward products of linear layers and convolutions in fast precision, whose operands are f16 where the adapter has it.
 * Where it does not, they are the kernels of strict; Dawn in Node compiles the code for a device that computes nothing.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { currentDevice, isDawn, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import type { Device } from "./numbers.ts";
import { numbers } from "./numbers.ts";

const halves = suite("webgpu halves");

if (unavailable !== null) halves.skip("every test", unavailable);

const hasHalves = (): boolean =>
  rl.backend("webgpu").capabilities().features!.includes("shader-f16");

/** Does the adapter compute with f16? */
const computes = unavailable === null && (await startWebGpu("fast")) === null && hasHalves();
stopWebGpu();

/** Declares a test of results where there are halves. */
function test(name: string, run: () => Promise<void>): void {
  if (computes) halves(name, run);
}

/** Declares a test of the code where it can be compiled. */
function testCode(name: string, run: () => Promise<void>): void {
  if (computes || isDawn) halves(name, run);
}

type Change = (x: number) => number;
/** Of what `change` makes of its operands. */
type Call = (device: Device, change: Change) => Tensor;

const same: Change = (x) => x;
/** Of a product's operands 2^-11 each. */
const TOLERANCE = 2 ** -10 + 2 ** -20;

/** The largest error relative to the sum of the terms' magnitudes; what is not finite is the reference's. */
async function errorOf(f: Call): Promise<number> {
  const open = rl.scope();
  const found = await f("webgpu", same).data();
  const expected = f("reference", same).dataSync();
  const terms = f("reference", Math.abs).dataSync();
  open.end();
  assert.is(found.length, expected.length);
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    // Without terms, as where no tap meets a pixel, it is exactly 0.
    const error = Math.abs(found[i] - expected[i]) / (terms[i] || 2 ** -149);
    const agree = Number.isFinite(expected[i]) ? error >= 0 : Object.is(found[i], expected[i]);
    assert.ok(agree, `element ${i} is ${found[i]}, not ${expected[i]}`);
    if (error > worst) worst = error;
  }
  return worst;
}

/** The error is that of halves, and no larger. */
async function rounds(f: Call, label: string): Promise<void> {
  const error = await errorOf(f);
  assert.ok(error < TOLERANCE, `${label}: ${error}`);
  assert.ok(error > 1e-6, `${label}: ${error} is not that of halves`);
}

/** How the operands lie: read as vec4 along k, across, or one by one. */
const layouts: Record<string, (shape: [number, number], seed: number) => Call> = {
  plain: (shape, seed) => (on, change) => numbers(shape, seed, on, change),
  turned:
    ([m, k], seed) =>
    (on, change) =>
      rl.transpose(numbers([k, m], seed, on, change), 0, 1),
  cut:
    ([m, k], seed) =>
    (on, change) =>
      rl.narrow(numbers([m, k + 3], seed, on, change), 1, 1, k),
};

const shapes: [tile: string, m: number, n: number, k: number][] = [
  ["32x32", 44, 60, 36],
  ["32x32, in parts", 41, 53, 700],
  ["16x64", 5, 660, 20],
  ["64x16", 660, 5, 20],
  ["64x64", 700, 772, 20],
  ["128x128", 1300, 1500, 18],
];

for (const [tile, m, n, k] of shapes) {
  test(`linear layers, tile ${tile}`, async () => {
    for (const name in layouts) {
      const x = layouts[name]([m, k], 1);
      const weight = layouts[name]([n, k], 2);
      await rounds((on, change) => rl.linear(x(on, change), weight(on, change)), name);
    }
  });
}

test("a bias and an activation are in f32", async () => {
  const [m, n, k] = [44, 60, 36];
  const y: Call = (on) =>
    rl.linear(rl.zeros([m, k], { device: on }), numbers([n, k], 1, on), numbers([n], 2, on), {
      activation: "tanh",
    });
  const open = rl.scope();
  const expected = y("reference", same).dataSync();
  const found = await y("webgpu", same).data();
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6));
  open.end();
});

/** Of 7 images. */
const convolutions: [name: string, c: number, h: number, o: number, k: number, options: object][] =
  [
    ["3 × 3, padded", 4, 8, 8, 3, { padding: 1 }],
    ["1 × 1", 16, 8, 12, 1, {}],
    ["1 × 1 of planes that are no quads", 16, 7, 17, 1, {}],
    ["5 × 5 with steps and dilation", 6, 19, 8, 5, { stride: 2, dilation: 2, padding: 3 }],
    ["3 × 3 in groups", 16, 10, 16, 3, { groups: 2 }],
  ];

for (const [name, c, h, o, k, options] of convolutions) {
  const groups = (options as { groups?: number }).groups ?? 1;
  const inputs = (on: Device, change: Change): [Tensor, Tensor] => [
    numbers([7, c, h, h], 8, on, change),
    numbers([o, c / groups, k, k], 9, on, change),
  ];

  test(`convolution: ${name}`, async () => {
    await rounds((on, change) => rl.conv2d(...inputs(on, change), null, options), "y");
  });

  test(`convolution's gradients are in f32: ${name}`, async () => {
    for (const pick of [0, 1]) {
      const error = await errorOf((on, change) => {
        const both = inputs(on, change);
        both[pick].requiresGrad = true;
        const y = rl.conv2d(...both, null, options);
        y.backward(numbers(y.shape, 10, on, (x) => 1e-12 * change(x)));
        return both[pick].grad!;
      });
      assert.ok(error < 2e-6, `${["dx", "dweight"][pick]}: ${error}`);
    }
  });
}

test("gradients of linear layers and of transposed convolutions are in f32", async () => {
  const gradient =
    (pick: number, shapes: number[][], f: (x: Tensor, weight: Tensor) => Tensor): Call =>
    (on, change) => {
      const both = shapes.map((shape, i) => numbers(shape, 3 + i, on, change)) as [Tensor, Tensor];
      both[pick].requiresGrad = true;
      const y = f(...both);
      y.backward(numbers(y.shape, 5, on, (x) => 1e-12 * change(x)));
      return both[pick].grad!;
    };
  for (const pick of [0, 1]) {
    const layer = [
      [44, 36],
      [60, 36],
    ];
    const images = [
      [7, 8, 8, 8],
      [8, 6, 3, 3],
    ];
    for (const f of [
      gradient(pick, layer, (x, weight) => rl.linear(x, weight)),
      gradient(pick, images, (x, weight) => rl.convTranspose2d(x, weight)),
    ]) {
      const error = await errorOf(f);
      assert.ok(error < 2e-6, `${["dx", "dweight"][pick]}: ${error}`);
    }
  }
});

/** One in each of the first rows, so that they meet in a tile with each other and with ordinary numbers. */
const beyond = [65504, -65504, 65505, 65519, -65520, 1e5, 1e30, -1e38, Infinity, -Infinity, NaN];

test("what f16 does not hold is multiplied in f32, and its neighbours as ever", async () => {
  const [m, n] = [44, 60];
  for (const k of [36, 37]) {
    for (const places of [() => 5, (row: number) => (7 * row) % k]) {
      for (const inWeight of [false, true]) {
        const marked = (on: Device, rows: number, change: Change): Tensor => {
          const values = Float64Array.from({ length: rows * k }, (_, i) => change(Math.cos(i)));
          beyond.forEach((value, row) => (values[row * k + places(row)] = change(value)));
          const given = Float32Array.from(values);
          return rl.reshape(rl.tensor(given, { device: on }), [rows, k]);
        };
        const y: Call = (on, change) =>
          inWeight
            ? rl.linear(numbers([m, k], 6, on, change), marked(on, n, change))
            : rl.linear(marked(on, m, change), numbers([n, k], 6, on, change));
        const error = await errorOf(y);
        assert.ok(error < TOLERANCE, `k ${k}, ${inWeight ? "weight" : "x"}: ${error}`);
      }
    }
  }
});

test("a convolution of numbers that f16 does not hold", async () => {
  const error = await errorOf((on, change) => {
    const x = numbers([7, 4, 8, 8], 7, on, (v) => change(v * 1e6));
    return rl.conv2d(x, numbers([8, 4, 3, 3], 8, on, change), null, { padding: 1 });
  });
  assert.ok(error < TOLERANCE, `${error}`);
});

test("numbers too small for f16 count as such or as 0", async () => {
  const [n, k] = [64, 64];
  const small = [6.2e-5, 1e-5, 1e-6, 1e-7, 1e-9, 1e-40];
  const open = rl.scope();
  const values = new Float32Array(k * n);
  small.forEach((value, i) => (values[i * k + i] = value));
  const x = rl.tensor(values, { shape: [n, k], device: "webgpu" });
  const y = await rl.linear(x, rl.eye(n, n, { device: "webgpu" })).data();
  open.end();
  small.forEach((value, i) => {
    const found = y[i * n + i];
    const error = Math.abs(found - value);
    const asHalf = error <= Math.max(2 ** -11 * value, 2 ** -25);
    assert.ok(asHalf || (value < 2 ** -14 && found === 0), `${value} came out as ${found}`);
  });
});

/** The code of new kernels, by their keys. */
function watchKernels(): Map<string, string> {
  const kernels = new Map<string, string>();
  const device = currentDevice();
  const create = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    kernels.set(descriptor.label!, descriptor.code);
    return create(descriptor);
  };
  return kernels;
}

/** What is made forward, and then backward, by layers whose products are not small. */
async function kernelsOfLayers(): Promise<Record<"forward" | "backward", Map<string, string>>> {
  const made = { forward: new Map<string, string>(), backward: new Map<string, string>() };
  const on = "webgpu";
  const layers: [number[], number[], (x: Tensor, weight: Tensor) => Tensor][] = [
    [[44, 36], [60, 36], (x, weight) => rl.linear(x, weight, null, { activation: "relu" })],
    [[700, 20], [772, 20], rl.linear],
    [[44, 36], [36, 60], rl.matmul],
    [[7, 4, 8, 8], [8, 4, 3, 3], rl.conv2d],
    [[7, 16, 8, 8], [12, 16, 1, 1], rl.conv2d],
    [[7, 8, 8, 8], [8, 6, 3, 3], rl.convTranspose2d],
  ];
  const kernels = watchKernels();
  const take = (into: Map<string, string>): void => {
    for (const [key, code] of kernels) into.set(key, code);
    kernels.clear();
  };
  for (const [xShape, weightShape, f] of layers) {
    const open = rl.scope();
    const x = numbers(xShape, 1, on);
    const weight = numbers(weightShape, 2, on);
    x.requiresGrad = true;
    weight.requiresGrad = true;
    const y = f(x, weight);
    take(made.forward);
    y.backward(rl.onesLike(y));
    take(made.backward);
    open.end();
  }
  await rl.backend(on).sync(); // throws what the compiler says
  return made;
}

const inHalves = (kernels: Map<string, string>): string[] =>
  [...kernels].filter(([, code]) => /\bf16\b|vec4h/.test(code)).map(([key]) => key);

/** A device on which kernels are compiled at least. */
const startCompiler = async (precision: "strict" | "fast"): Promise<void> =>
  void (await startWebGpu(precision, isDawn ? ["backend=null"] : []));

testCode("forward products of layers alone are compiled with halves", async () => {
  await startCompiler("fast");
  assert.ok(hasHalves());
  const { forward, backward } = await kernelsOfLayers();
  assert.equal(inHalves(backward), []);
  const kinds = inHalves(forward).map((key) => /^\S+( pointwise)?/.exec(key)![0]);
  assert.equal(kinds, ["product", "product", "conv2d", "conv2d pointwise"]);
  for (const key of inHalves(forward)) assert.match(key, /halves/);
});

testCode("strict precision compiles none", async () => {
  await startCompiler("strict");
  const { forward, backward } = await kernelsOfLayers();
  assert.equal([...inHalves(forward), ...inHalves(backward)], []);
  assert.ok(forward.size > 4 && backward.size > 4);
});

if (unavailable === null) {
  halves("strict precision has no optional features", async () => {
    await startWebGpu("strict");
    assert.equal(rl.backend("webgpu").capabilities().features, []);
  });
}

halves.before(async () => void (await startWebGpu("fast")));
halves.after(stopWebGpu);

halves.run();
