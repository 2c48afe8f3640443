/** Products of every tile: matrices of awkward sizes and layouts, long sums in parts, against the float64 reference. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { GroupLimits, Plan } from "../../src/backend/webgpu/launch/tiles.ts";
import { DEPTH, planOf } from "../../src/backend/webgpu/launch/tiles.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import type { Device } from "./numbers.ts";
import { errorOf, numbers } from "./numbers.ts";

const products = suite("webgpu products");

if (unavailable !== null) products.skip("every product", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) products(name, run);
}

const usual: GroupLimits = { lanes: 256, bytes: 16384 };

function summary({ tile, splits }: Plan): string {
  return `${tile.rows}x${tile.columns}${splits > 1 ? ` in ${splits}` : ""}`;
}

products("tiles are as large as leaves work for many workgroups", () => {
  const plan = (m: number, n: number, k: number, batch = 1, limits = usual): string =>
    summary(planOf(m, n, k, batch, limits));
  assert.is(plan(4096, 4096, 4096), "128x128");
  assert.is(plan(1024, 1024, 1024), "128x128 in 2");
  assert.is(plan(1024, 1024, 64), "64x64");
  assert.is(plan(256, 256, 64), "32x32");
  assert.is(plan(8, 16, 64), "32x32");
  assert.is(plan(8, 4096, 64), "16x64");
  assert.is(plan(4096, 10, 64), "64x16");
  assert.is(plan(64, 128, 9216), "64x64 in 64");
  assert.is(plan(4096, 4096, 4096, 1, { lanes: 128, bytes: 16384 }), "64x64");
  assert.is(plan(4096, 4096, 4096, 1, { lanes: 256, bytes: 8192 }), "64x64");
});

products("parts of a sum are whole steps and cover it", () => {
  for (const k of [1, 127, 128, 255, 256, 1000, 4097, 100000]) {
    for (const [m, n] of [
      [1, 1],
      [64, 100],
      [500, 700],
    ]) {
      const { splits, part } = planOf(m, n, k, 1, usual);
      assert.is(part % DEPTH, 0);
      assert.ok((splits - 1) * part < k && splits * part >= k, `${m} ${n} ${k}`);
    }
  }
});

/** How an operand may lie: as it is, transposed, or begun in the middle of a row. */
const layouts: Record<string, (rows: number, columns: number, seed: number, on: Device) => Tensor> =
  {
    plain: (rows, columns, seed, on) => numbers([rows, columns], seed, on),
    turned: (rows, columns, seed, on) => rl.transpose(numbers([columns, rows], seed, on), 0, 1),
    cut: (rows, columns, seed, on) =>
      rl.narrow(numbers([rows, columns + 3], seed, on), 1, 1, columns),
  };

const shapes: [tile: string, m: number, n: number, k: number][] = [
  ["32x32", 6, 9, 7],
  ["16x64", 5, 660, 20],
  ["64x16", 660, 5, 20],
  ["32x32", 48, 60, 24],
  ["32x32", 57, 51, 23],
  ["64x64", 700, 772, 20],
  ["64x64 in 32", 70, 90, 5000],
  ["128x128", 1300, 1500, 20],
];

for (const [tile, m, n, k] of shapes) {
  test(`${m} × ${k} · ${k} × ${n}, tile ${tile}`, async () => {
    assert.is(summary(planOf(m, n, k, 1, usual)), tile);
    for (const name in layouts) {
      const layout = layouts[name];
      const error = await errorOf(k, (on) => rl.matmul(layout(m, k, 1, on), layout(k, n, 2, on)));
      assert.ok(error < 2e-6, `${name}: ${error}`);
    }
  });
}

test("batches, among them a broadcast one", async () => {
  const error = await errorOf(300, (on) => {
    const a = numbers([2, 1, 20, 300], 3, on);
    const b = numbers([3, 300, 24], 4, on);
    return rl.matmul(a, b);
  });
  assert.ok(error < 2e-6, `${error}`);
});

test("a bias and an activation after a sum in parts", async () => {
  for (const activation of ["relu", "tanh"] as const) {
    const error = await errorOf(600, (on) =>
      rl.linear(numbers([9, 600], 5, on), numbers([13, 600], 6, on), numbers([13], 7, on), {
        activation,
      }),
    );
    assert.ok(error < 2e-6, `${activation}: ${error}`);
  }
});

/** Of 7 images; all but one are large enough for constants and vec4. */
const convolutions: [name: string, c: number, h: number, o: number, k: number, options: object][] =
  [
    ["small", 2, 5, 3, 3, { padding: 1 }],
    ["3 × 3, padded", 4, 8, 8, 3, { padding: 1 }],
    ["1 × 1", 16, 8, 12, 1, {}],
    ["1 × 1 of planes that are no quads", 16, 7, 17, 1, {}],
    ["5 × 5 with steps and dilation", 6, 19, 8, 5, { stride: 2, dilation: 2, padding: 3 }],
    ["1 × 1 in groups", 32, 8, 12, 1, { groups: 2 }],
  ];

for (const [name, c, h, o, k, options] of convolutions) {
  test(`convolution and its gradients: ${name}`, async () => {
    const groups = (options as { groups?: number }).groups ?? 1;
    const run = (on: Device, pick: number): Tensor => {
      const x = numbers([7, c, h, h], 8, on);
      const weight = numbers([o, c / groups, k, k], 9, on);
      x.requiresGrad = true;
      weight.requiresGrad = true;
      const y = rl.conv2d(x, weight, numbers([o], 10, on), options);
      if (pick === 0) return y;
      rl.sum(rl.mul(y, numbers(y.shape, 11, on))).backward();
      return pick === 1 ? x.grad! : weight.grad!;
    };
    for (const pick of [0, 1, 2]) {
      const error = await errorOf(c * k * k, (on) => run(on, pick));
      assert.ok(error < 5e-6, `${["y", "dx", "dweight"][pick]}: ${error}`);
    }
  });
}

test("the same product has the same bits", async () => {
  const bits = async (): Promise<number[]> => {
    const a = numbers([70, 3000], 12, "webgpu");
    const b = numbers([3000, 50], 13, "webgpu");
    return Array.from(await rl.matmul(a, b).data());
  };
  assert.equal(await bits(), await bits());
});

products.before(async () => void (await startWebGpu()));
products.after(stopWebGpu);

products.run();
