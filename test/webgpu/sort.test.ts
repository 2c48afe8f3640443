/** Sorting and scattering on device "webgpu": rows longer than a block, ties, NaN, many indices, and their order. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const sorting = suite("webgpu sorting");

if (unavailable !== null) sorting.skip("every order", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) sorting(name, run);
}

type Device = "webgpu" | "cpu";

/** Whole numbers below `range`. */
function draw(length: number, range: number, seed: number): Int32Array {
  let state = seed;
  return Int32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * range);
  });
}

/** The CPU's bits, which the order of every sum decides. */
async function same(name: string, f: (device: Device) => Tensor): Promise<void> {
  const open = rl.scope();
  const found = Array.from(await f("webgpu").data());
  const expected = Array.from(await f("cpu").data());
  open.end();
  assert.equal(found, expected, name);
}

test("rows shorter and longer than a block, with ties and NaN", async () => {
  for (const [rows, n] of [
    [1, 1],
    [70, 3],
    [5, 200],
    [3, 256],
    [2, 257],
    [2, 1500],
  ]) {
    const values = Float32Array.from(draw(rows * n, 50, n), (v) => (v === 7 ? NaN : v - 20));
    for (const descending of [false, true]) {
      await same(`${rows} rows of ${n}${descending ? ", descending" : ""}`, (device) =>
        rl.argsort(rl.reshape(rl.tensor(values, { device }), [rows, n]), -1, { descending }),
      );
    }
  }
});

test("integers in order", async () => {
  const values = draw(600, 90, 3);
  await same("int32", (device) => rl.argsort(rl.tensor(values, { device })));
});

test("rows added at a thousand indices, some of them never and some often", async () => {
  const rows = draw(1000, 37, 5).map((row) => (row % 5 === 0 ? 3 : row));
  const src = Float32Array.from(draw(6000, 1 << 20, 6), (v) => v / 2 ** 20);
  await same("addRows", (device) => {
    const index = rl.tensor(rows, { device });
    const part = rl.reshape(rl.tensor(src, { device }), [2, 1000, 3]);
    return rl.indexAdd(rl.ones([2, 40, 3], { device }), 1, index, part);
  });
});

test("elements added and put at many indices of their own", async () => {
  const index = draw(2 * 300 * 3, 11, 7);
  const src = Float32Array.from(draw(2 * 300 * 3, 1 << 20, 8), (v) => v / 2 ** 20);
  for (const scatter of [rl.scatterAdd, rl.scatter]) {
    await same(scatter.name, (device) =>
      scatter(
        rl.ones([2, 13, 3], { device }),
        1,
        rl.reshape(rl.tensor(index, { device }), [2, 300, 3]),
        rl.reshape(rl.tensor(src, { device }), [2, 300, 3]),
      ),
    );
  }
});

sorting.before(async () => void (await startWebGpu()));
sorting.after(stopWebGpu);

sorting.run();
