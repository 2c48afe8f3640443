/** NaN and infinities in operations that mix elements, forward and back: they stay in the rows that they are in. */
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { tensor } from "../../src/index.ts";
import { relativeError } from "../golden/compare.ts";
import type { Special } from "./specials.ts";

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
const calls: Readonly<Record<string, (device: DeviceName) => Tensor>> = {
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

export const mixedCases: readonly Special[] = Object.entries(calls).map(([name, f]) => ({
  name,
  f,
}));

/** A line for each element that is not what the reference says. */
export function wrongMixed(name: string, found: ArrayLike<number>, expected: ArrayLike<number>) {
  const wrong: string[] = [];
  if (found.length !== expected.length) wrong.push(`${name}: ${found.length} elements`);
  for (let i = 0; i < expected.length; i++) {
    if (relativeError(found[i], expected[i], 1) <= 3e-6) continue;
    wrong.push(`${name}[${i}]: found ${found[i]}, expected ${expected[i]}`);
  }
  return wrong;
}
