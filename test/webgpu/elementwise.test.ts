/** Large arrays on device "webgpu" that are read four elements at a time, and others that must not be. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { accumulate } from "../../src/autograd.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { runInPlace } from "../../src/op.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const elementwise = suite("webgpu elementwise");

if (unavailable !== null) elementwise.skip("every array", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) elementwise(name, run);
}

const n = 2 ** 14;

/** Multiples of 1/64 between −8 and 8, whose sums, products and squares are exact. */
const values = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (((i + seed) * 619) % 1024) / 64 - 8);

type Device = "webgpu" | "cpu";

async function same(name: string, f: (device: Device) => Tensor): Promise<void> {
  const open = rl.scope();
  const found = Array.from(await f("webgpu").data());
  const expected = Array.from(await f("cpu").data());
  open.end();
  assert.equal(found, expected, name);
}

const sizes: [name: string, size: number, from: number][] = [
  ["whole quads", n, 0],
  ["a rest after the quads", n + 3, 0],
  ["from the middle of a quad", n, 1],
  ["from a later quad", n, 8],
];

for (const [name, size, from] of sizes) {
  test(`expressions of one and of two arrays: ${name}`, async () => {
    const part = (seed: number, device: Device): Tensor =>
      rl.narrow(rl.tensor(values(size + from, seed), { device }), 0, from, size);
    await same("leakyRelu, which has a parameter", (device) => rl.leakyRelu(part(0, device), 0.25));
    await same("add", (device) => rl.add(part(1, device), part(2, device)));
    await same("mul with itself", (device) => {
      const x = part(3, device);
      return rl.mul(x, x);
    });
    await same("a product with a row", (device) =>
      rl.mul(rl.reshape(part(4, device), [1, size]), rl.tensor([[2], [3]], { device })),
    );
  });
}

test("transposed arrays keep their order", async () => {
  await same("square", (device) => {
    const x = rl.reshape(rl.tensor(values(n, 5), { device }), [128, 128]);
    return rl.add(rl.transpose(x, 0, 1), x);
  });
});

const broadcasts: [name: string, shape: number[], from: number][] = [
  ["a scalar", [], 1],
  ["a row", [128], 4],
  ["a row from the middle of a quad", [128], 1],
  ["a column", [32, 1, 1], 1],
  ["a row for each image", [32, 1, 128], 8],
  ["a column for each image", [4, 1], 0],
  ["planes in turn", [32, 4, 1], 3],
];

for (const [name, shape, from] of broadcasts) {
  test(`an operand is repeated: ${name}`, async () => {
    const part = (device: Device): Tensor => {
      const size = shape.reduce((n, extent) => n * extent, 1);
      const flat = rl.tensor(values(size + from, 7), { device });
      return rl.reshape(rl.narrow(flat, 0, from, size), shape);
    };
    const x = (device: Device): Tensor =>
      rl.reshape(rl.tensor(values(n, 8), { device }), [32, 4, 128]);
    await same("mul", (device) => rl.mul(x(device), part(device)));
    await same("sub", (device) => rl.sub(part(device), x(device)));
    await same("accumulate", (device) => {
      const sum = x(device);
      runInPlace(accumulate, [part(device)], [sum], {});
      return sum;
    });
  });
}

test("gradients add up", async () => {
  await same("accumulate", (device) => {
    const x = rl.tensor(values(n, 6), { device, requiresGrad: true });
    rl.sum(rl.mul(x, 2)).backward();
    rl.sum(rl.mul(x, x)).backward();
    return x.grad!;
  });
});

elementwise.before(async () => void (await startWebGpu()));
elementwise.after(stopWebGpu);

elementwise.run();
