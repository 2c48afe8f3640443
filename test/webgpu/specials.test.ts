/**
 * NaN and infinities on device "webgpu", whose language lets compilers assume that there are none: what the
 * reference says at every element of every record, and that they stay in their rows.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Kernel } from "../../src/backend/backend.ts";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { tensor } from "../../src/index.ts";
import { operations, runInPlace } from "../../src/op.ts";
import { relativeError } from "../golden/compare.ts";
import { specialCases, wrongSpecials } from "../ops/specials.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const gpu = suite("webgpu specials");

if (unavailable !== null) gpu.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) gpu(name, run);
}

test("NaN and infinities come out as the reference says", async () => {
  const wrong: string[] = [];
  for (const { name, f } of specialCases) {
    const open = rl.scope();
    const found = await f("webgpu").data();
    const expected = f("reference").dataSync();
    open.end();
    // Denormal inputs may be taken for 0: what is at 1e-40 may be what is at 0.
    wrong.push(...wrongSpecials(name, found, expected).filter((line) => !isDenormal(line)));
  }
  assert.equal(wrong, []);
});

/** Is this the place of 1e-40, or where it meets another of the twelve values? */
function isDenormal(line: string): boolean {
  const [, name, place] = /^(.*)\[(\d+)\]/.exec(line)!;
  const binary = ["add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge"].includes(name);
  const at = Number(place);
  if (name === "maximum" || name === "minimum") return false;
  return binary ? Math.floor(at / 12) === 7 || at % 12 === 7 : at === 7;
}

const values = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-30, 3e38, -3e38, 0.5, 2, -2.5, 20].map(
  Math.fround,
);
const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));

/** What records are called with beside x. */
const parameters: Readonly<Record<string, number>> = {
  slope: 0.1,
  alpha: 1.5,
  beta: 1,
  threshold: 20,
  value: 2,
  exponent: 2.5,
  base: 0.5,
  min: -1,
  max: 2,
};

/** tanhGrad squares tanh's result, which is in [-1, 1]: 3e38 overflows, but is none. */
const excused = ["tanhGrad"];

/** A record at every value, or every pair of them; null where it has none of float32. */
async function elementwise(name: string, op: Kernel): Promise<string[]> {
  const attrs = Object.fromEntries((op.params ?? []).map((param) => [param, parameters[param]]));
  const places = op.kind === "map" ? values.map((x) => [x]) : pairs;
  const inputs = places[0].map((_, k) =>
    tensor(
      places.map((place) => place[k]!),
      { device: "webgpu" },
    ),
  );
  const dtype = (op as { dtype?: (x: Tensor[], a: object) => rl.DType }).dtype?.(inputs, attrs);
  const y = rl.zeros([places.length], { device: "webgpu", dtype: dtype ?? "float32" });
  runInPlace(op, inputs, [y], attrs);
  const reference = op.reference as (...numbers: number[]) => number;
  const expected = places.map((place) => Number(reference(...place, ...Object.values(attrs))));
  const at = (line: string): string => String(places[Number(/\[(\d+)\]/.exec(line)![1])]);
  return wrongSpecials(name, await y.data(), expected).map((line) => `${line} at ${at(line)}`);
}

test("every record of elements does what the reference does", async () => {
  const wrong: string[] = [];
  let count = 0;
  for (const [name, op] of operations) {
    if (!("kind" in op) || (op.kind !== "map" && op.kind !== "zip")) continue;
    const floats = typeof op.wgsl === "string" || op.wgsl?.float32 !== undefined;
    if (!floats || name.startsWith("logical") || excused.includes(name)) continue;
    const open = rl.scope();
    wrong.push(...(await elementwise(name, op as unknown as Kernel)));
    open.end();
    count++;
  }
  assert.equal(wrong, []);
  assert.ok(count > 60, `${count} records`);
});

/** [5, 4] or another shape of 20: ordinary numbers, and in each row two that are not. */
function marked(device: DeviceName, shape: number[] = [5, 4]): Tensor {
  const given = Float64Array.from({ length: 20 }, (_, i) => Math.fround(Math.sin(i + 1)));
  [
    [NaN, 1],
    [Infinity, 2],
    [-Infinity, 0],
    [Infinity, -Infinity],
    [0, -0],
  ].forEach((two, row) => given.set(two, 4 * row + 1));
  return tensor(given, { shape, device, dtype: device === "reference" ? "float64" : "float32" });
}

function ordinary(device: DeviceName, shape: number[]): Tensor {
  const size = shape.reduce((n, extent) => n * extent, 1);
  const given = Float64Array.from({ length: size }, (_, i) => Math.fround(Math.cos(3 * i + 1)));
  return tensor(given, { shape, device, dtype: device === "reference" ? "float64" : "float32" });
}

const zerosOf = (device: DeviceName): Tensor => rl.zeros([5], { device, dtype: "int32" });

/** The gradient where `marked` goes in. */
const slope =
  (f: (x: Tensor) => Tensor) =>
  (device: DeviceName): Tensor => {
    const x = marked(device);
    x.requiresGrad = true;
    const y = f(x);
    y.backward(rl.onesLike(y));
    return x.grad!;
  };

const image = [1, 1, 5, 4];
const structured: Record<string, (device: DeviceName) => Tensor> = {
  "product, rows": (d) => rl.matmul(marked(d), ordinary(d, [4, 3])),
  "product, columns": (d) => rl.matmul(ordinary(d, [3, 5]), marked(d)),
  "linear with relu": (d) =>
    rl.linear(marked(d), ordinary(d, [3, 4]), ordinary(d, [3]), { activation: "relu" }),
  convolution: (d) => rl.conv2d(marked(d, image), ordinary(d, [2, 1, 3, 3]), null, { padding: 1 }),
  "max pooling": (d) => rl.maxPool2d(marked(d, image), 2),
  "average pooling": (d) => rl.avgPool2d(marked(d, image), 2),
  resampling: (d) => rl.upsample(marked(d, image), { scaleFactor: 2, mode: "bilinear" }),
  "softmax of rows": (d) => rl.softmax(marked(d), 1),
  "softmax of columns": (d) => rl.softmax(marked(d), 0),
  "log softmax": (d) => rl.logSoftmax(marked(d), 1),
  attention: (d) => {
    return rl.scaledDotProductAttention(marked(d), ordinary(d, [3, 4]), ordinary(d, [3, 2]));
  },
  "layer normalisation": (d) =>
    rl.layerNorm(marked(d), 4, { weight: ordinary(d, [4]), bias: ordinary(d, [4]) }),
  "cross entropy": (d) => rl.crossEntropy(marked(d), zerosOf(d), { reduction: "none" }),
  "mean squared error": (d) => rl.mseLoss(marked(d), ordinary(d, [5, 4]), { reduction: "none" }),
  sums: (d) => rl.sum(marked(d), 0),
  products: (d) => rl.prod(marked(d), 1),
  variance: (d) => rl.variance(marked(d), 1),
  "largest of columns": (d) => rl.amax(marked(d), 0),
  "place of the smallest": (d) => rl.argmin(marked(d), 0),
  "running sums": (d) => rl.cumsum(marked(d), 1),
  sorting: (d) => rl.sort(marked(d), 1).values,
  "places in order": (d) => rl.argsort(marked(d), 1),
  "as booleans": (d) => rl.cast(marked(d), "bool"),
  choice: (d) => rl.where(rl.gt(ordinary(d, [5, 4]), 0), marked(d), 0),
  selection: (d) => rl.indexSelect(marked(d), 0, zerosOf(d)),
  "gradient of softmax": slope((x) => rl.softmax(x, 1)),
  "gradient of log softmax": slope((x) => rl.logSoftmax(x, 1)),
  "gradient of layer normalisation": slope((x) => rl.layerNorm(x, 4)),
  "gradient of cross entropy": slope((x) => rl.crossEntropy(x, zerosOf(x.device))),
  "gradient of the largest": slope((x) => rl.amax(x, 1)),
  "gradient of max pooling": slope((x) => rl.maxPool2d(rl.reshape(x, image), 2)),
};

test("what mixes elements keeps NaN and infinities where the reference has them", async () => {
  const wrong: string[] = [];
  for (const [name, f] of Object.entries(structured)) {
    const open = rl.scope();
    const found = await f("webgpu").data();
    const expected = f("reference").dataSync();
    assert.is(found.length, expected.length, name);
    expected.forEach((value, i) => {
      if (relativeError(found[i], value, 1) > 3e-6) {
        wrong.push(`${name}[${i}]: found ${found[i]}, expected ${value}`);
      }
    });
    open.end();
  }
  assert.equal(wrong, []);
});

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);

gpu.run();
