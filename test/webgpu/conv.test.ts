/** Convolutions in groups of few channels, which have kernels of their own, against the float64 reference. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Geometry, Pair } from "../../src/backend/webgpu/launch/conv-geometry.ts";
import { isDirect } from "../../src/backend/webgpu/launch/conv-window.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import type { Device } from "./numbers.ts";
import { errorOf, numbers } from "./numbers.ts";

const convolutions = suite("webgpu convolutions in groups");

if (unavailable !== null) convolutions.skip("every convolution", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) convolutions(name, run);
}

interface Shape {
  readonly name: string;
  readonly images?: number;
  readonly groups: number;
  /** Channels and filters of a group. Default 1. */
  readonly channels?: number;
  readonly filters?: number;
  readonly image: Pair;
  readonly kernel: Pair;
  readonly stride?: Pair;
  readonly padding?: Pair;
  readonly dilation?: Pair;
}

function geometryOf(shape: Shape): Geometry {
  const { images = 2, channels = 1, filters = 1, image, kernel } = shape;
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups } = shape;
  const extent = (axis: 0 | 1): number =>
    Math.floor(
      (image[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis],
    ) + 1;
  const output: Pair = [extent(0), extent(1)];
  const [taps, area, plane] = [kernel, image, output].map(([rows, columns]) => rows * columns);
  const work = images * groups * filters * plane * channels * taps;
  return {
    images,
    groups,
    channels,
    filters,
    image,
    output,
    kernel,
    stride,
    padding,
    dilation,
    taps,
    area,
    plane,
    small: work < 2 ** 16,
  };
}

const shapes: readonly Shape[] = [
  {
    name: "3 × 3, rows that are no quads",
    groups: 9,
    image: [21, 23],
    kernel: [3, 3],
    padding: [1, 1],
  },
  {
    name: "3 × 3, rows that are quads",
    groups: 8,
    image: [23, 24],
    kernel: [3, 3],
    padding: [1, 1],
  },
  { name: "stride 2", groups: 9, image: [43, 41], kernel: [3, 3], padding: [1, 1], stride: [2, 2] },
  {
    name: "stride 3 and 2",
    groups: 16,
    image: [37, 64],
    kernel: [3, 4],
    padding: [2, 1],
    stride: [3, 2],
  },
  {
    name: "stride 2 and 3",
    groups: 16,
    image: [64, 37],
    kernel: [4, 3],
    padding: [0, 2],
    stride: [2, 3],
  },
  {
    name: "stride 5, with pixels that no tap falls on",
    groups: 40,
    image: [59, 61],
    kernel: [3, 3],
    stride: [5, 5],
  },
  {
    name: "dilation",
    groups: 7,
    image: [31, 30],
    kernel: [3, 3],
    padding: [2, 4],
    dilation: [2, 4],
  },
  {
    name: "dilation and stride with a common factor",
    groups: 12,
    image: [50, 46],
    kernel: [3, 3],
    padding: [3, 3],
    dilation: [2, 2],
    stride: [2, 2],
  },
  {
    name: "dilation and stride without one",
    groups: 24,
    image: [50, 47],
    kernel: [3, 3],
    padding: [3, 3],
    dilation: [2, 2],
    stride: [3, 3],
  },
  {
    name: "5 × 5, more padding than the kernel covers",
    groups: 5,
    image: [17, 15],
    kernel: [5, 5],
    padding: [6, 7],
  },
  { name: "7 × 7", groups: 6, image: [14, 14], kernel: [7, 7], padding: [3, 3] },
  { name: "an even kernel", groups: 10, image: [25, 26], kernel: [2, 4], padding: [1, 2] },
  { name: "1 × 1", groups: 33, images: 3, image: [27, 29], kernel: [1, 1] },
  {
    name: "1 × 1 with steps",
    groups: 70,
    images: 3,
    image: [37, 38],
    kernel: [1, 1],
    stride: [2, 2],
  },
  { name: "multiplier 2", groups: 5, filters: 2, image: [21, 22], kernel: [3, 3], padding: [1, 1] },
  {
    name: "multiplier 3 and stride 2",
    groups: 5,
    filters: 3,
    image: [43, 41],
    kernel: [3, 3],
    padding: [1, 1],
    stride: [2, 2],
  },
  {
    name: "groups of 4 channels and 4 filters",
    groups: 3,
    channels: 4,
    filters: 4,
    image: [13, 14],
    kernel: [3, 3],
    padding: [1, 1],
  },
  {
    name: "groups of 3 channels and 2 filters",
    groups: 4,
    channels: 3,
    filters: 2,
    image: [21, 20],
    kernel: [3, 3],
    stride: [1, 2],
  },
  {
    name: "one row, as conv1d has them",
    groups: 17,
    images: 3,
    image: [1, 101],
    kernel: [1, 31],
    padding: [0, 15],
  },
  {
    name: "columns of one pixel",
    groups: 60,
    images: 3,
    image: [150, 1],
    kernel: [3, 1],
    padding: [1, 0],
  },
  {
    name: "rows shorter than a block",
    groups: 40,
    images: 4,
    image: [40, 3],
    kernel: [3, 3],
    padding: [1, 1],
  },
  {
    name: "sums of weights in parts",
    groups: 2,
    images: 4,
    image: [52, 51],
    kernel: [3, 3],
    padding: [1, 1],
  },
];

function run(shape: Shape, on: Device, pick: number): Tensor {
  const geometry = geometryOf(shape);
  const { images, groups, channels, filters, image, kernel, stride, padding, dilation } = geometry;
  const x = numbers([images, groups * channels, ...image], 1, on);
  const weight = numbers([groups * filters, channels, ...kernel], 2, on);
  const bias = numbers([groups * filters], 3, on);
  for (const each of [x, weight, bias]) each.requiresGrad = true;
  const y = rl.conv2d(x, weight, bias, { groups, stride, padding, dilation });
  if (pick === 0) return y;
  assert.equal(y.shape.slice(2), geometry.output);
  rl.sum(rl.mul(y, numbers(y.shape, 4, on))).backward();
  return [x, weight, bias][pick - 1].grad!;
}

for (const shape of shapes) {
  test(shape.name, async () => {
    const geometry = geometryOf(shape);
    assert.ok(isDirect(geometry), "no direct kernel");
    const { images, channels, filters, taps, plane } = geometry;
    for (const [pick, k] of [channels * taps, filters * taps, images * plane].entries()) {
      const error = await errorOf(k, (on) => run(shape, on, pick));
      assert.ok(error < 2e-6, `${["y", "dx", "dweight"][pick]}: ${error}`);
    }
  });
}

test("groups of many channels, long kernels and what is small stay products", async () => {
  const shape: Shape = { name: "", groups: 8, image: [32, 32], kernel: [3, 3] };
  assert.ok(isDirect(geometryOf(shape)));
  assert.not.ok(isDirect(geometryOf({ ...shape, channels: 5 })));
  assert.not.ok(isDirect(geometryOf({ ...shape, filters: 5 })));
  assert.not.ok(isDirect(geometryOf({ ...shape, groups: 1 })));
  assert.not.ok(isDirect(geometryOf({ ...shape, image: [1, 9999], kernel: [1, 33] })));
  assert.not.ok(isDirect(geometryOf({ ...shape, image: [99, 99], stride: [1, 9] })));
  assert.not.ok(isDirect(geometryOf({ ...shape, image: [9, 9] })));
});

const [plain] = shapes;

test("activations, and relu's gradient with the bias's", async () => {
  const padding = plain.padding!;
  for (const activation of ["relu", "leakyRelu", "sigmoid", "tanh"] as const) {
    for (const pick of [0, 1, 2, 3]) {
      const error = await errorOf(9, (on) => {
        const x = numbers([2, 9, ...plain.image], 5, on);
        const weight = numbers([9, 1, 3, 3], 6, on);
        const bias = numbers([9], 7, on);
        for (const each of [x, weight, bias]) each.requiresGrad = true;
        const options = { groups: 9, padding, activation, negativeSlope: 0.3 };
        const y = rl.conv2d(x, weight, bias, options);
        if (pick === 0) return y;
        rl.sum(rl.mul(y, numbers(y.shape, 8, on))).backward();
        return [x, weight, bias][pick - 1].grad!;
      });
      // Sums over all outputs grow with their number.
      assert.ok(error < (pick > 1 ? 3e-5 : 2e-6), `${activation} ${pick}: ${error}`);
    }
  }
});

test("transposed, with room for more windows", async () => {
  for (const [stride, outputPadding] of [
    [1, 0],
    [2, 1],
    [3, 2],
  ]) {
    for (const pick of [0, 1, 2]) {
      const error = await errorOf(9, (on) => {
        const x = numbers([2, 12, 19, 18], 9, on);
        const weight = numbers([12, 2, 3, 3], 10, on);
        x.requiresGrad = true;
        weight.requiresGrad = true;
        const options = { groups: 12, stride, padding: 1, outputPadding };
        const y = rl.convTranspose2d(x, weight, null, options);
        if (pick === 0) return y;
        rl.sum(rl.mul(y, numbers(y.shape, 11, on))).backward();
        return pick === 1 ? x.grad! : weight.grad!;
      });
      assert.ok(error < (pick === 2 ? 3e-5 : 3e-6), `stride ${stride}, ${pick}: ${error}`);
    }
  }
});

test("the same sums have the same bits", async () => {
  const shape = shapes.find(({ name }) => name === "sums of weights in parts")!;
  const bits = async (): Promise<number[]> => Array.from(await run(shape, "webgpu", 2).data());
  assert.equal(await bits(), await bits());
});

convolutions.before(async () => void (await startWebGpu()));
convolutions.after(stopWebGpu);

convolutions.run();
