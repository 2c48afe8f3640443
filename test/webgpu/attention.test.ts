/** Attention on device "webgpu": what the op table, whose shapes fit one tile, does not reach. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { tensor } from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const attention = suite("webgpu attention");

if (unavailable !== null) attention.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) attention(name, run);
}

interface Case {
  /** Heads, queries, keys, width of keys, width of values. */
  sizes: readonly [h: number, l: number, s: number, e: number, v: number];
  options?: { isCausal?: boolean; dropout?: number };
  mask?: "bool" | "numbers";
}

/** y, and the gradients of query, key and value. */
async function results(device: DeviceName, { sizes, options, mask }: Case): Promise<Outcome> {
  const [h, l, s, e, v] = sizes;
  const generator = new rl.Generator(7);
  const draw = (shape: number[]): Tensor =>
    tensor(rl.randn(shape, { generator, device: "cpu" }).dataSync(), { shape, device });
  const inputs = [draw([2, h, l, e]), draw([2, h, s, e]), draw([2, h, s, v])];
  for (const x of inputs) x.requiresGrad = true;
  const [dy, added] = [draw([2, h, l, v]), draw([2, 1, l, s])];
  const [q, k, value] = inputs;
  const y = rl.scaledDotProductAttention(q, k, value, {
    ...options,
    mask: mask === undefined ? null : mask === "bool" ? rl.gt(added, 0) : added,
    generator: new rl.Generator(9),
  });
  y.backward(dy);
  return Promise.all([y, ...inputs.map((x) => x.grad!)].map((x) => x.data()));
}
type Outcome = ArrayLike<number>[];

// Widths are such that few pipelines are made: software adapters take a second for each.
const cases: Record<string, Case> = {
  "several tiles": { sizes: [2, 70, 45, 40, 33] },
  "several tiles, causal, more queries than keys": {
    sizes: [1, 70, 45, 33, 40],
    options: { isCausal: true },
  },
  "several tiles, causal, more keys than queries": {
    sizes: [1, 33, 97, 33, 33],
    options: { isCausal: true },
  },
  "values wider than a workgroup's, keys wider than a tile": {
    sizes: [1, 33, 40, 65, 150],
    mask: "numbers",
  },
  "dropout and a mask of booleans": {
    sizes: [2, 40, 65, 8, 8],
    options: { dropout: 0.4 },
    mask: "bool",
  },
  "everything dropped": { sizes: [2, 3, 5, 4, 4], options: { dropout: 1 }, mask: "bool" },
  "no keys": { sizes: [2, 3, 0, 40, 40] },
  "no width": { sizes: [2, 4, 4, 40, 0] },
};

for (const [name, given] of Object.entries(cases)) {
  test(`${name}: as on the CPU`, async () => {
    const open = rl.scope();
    const found = await results("webgpu", given);
    const expected = await results("cpu", given);
    open.end();
    ["y", "dq", "dk", "dv"].forEach((what, i) => {
      assert.is(found[i].length, expected[i].length);
      for (let j = 0; j < expected[i].length; j++) {
        const error = Math.abs(found[i][j] - expected[i][j]);
        assert.ok(error < 1e-5, `${what}[${j}]: ${found[i][j]}, expected ${expected[i][j]}`);
      }
    });
  });
}

test("a query that may attend to nothing gives zeros and no gradient", async () => {
  const open = rl.scope();
  const options = { device: "webgpu", requiresGrad: true } as const;
  const [q, k, v] = [1, 2, 3].map((seed) =>
    rl.randn([2, 65], { ...options, generator: new rl.Generator(seed) }),
  );
  const see = [
    [true, false],
    [false, false],
  ];
  const y = rl.scaledDotProductAttention(q, k, v, { mask: tensor(see, { device: "webgpu" }) });
  y.backward(rl.onesLike(y));
  const first = Array.from(await v.data()).slice(0, 65);
  const found = Array.from(await y.data());
  first.forEach((value, i) => assert.ok(Math.abs(found[i] - value) < 1e-6));
  assert.ok(found.slice(65).every((value) => value === 0));
  for (const x of [q, k]) {
    assert.ok(Array.from(await x.grad!.data()).every((value) => Math.abs(value) < 1e-6));
  }
  assert.ok(
    Array.from(await v.grad!.data())
      .slice(65)
      .every((value) => value === 0),
  );
  open.end();
});

test("NaN and infinity in one query stay in its row, and a hidden NaN in no row at all", async () => {
  const open = rl.scope();
  const values = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
  values[9] = NaN;
  values[15] = Infinity;
  const on = { device: "webgpu" } as const;
  const keys = new Float32Array(28).fill(1);
  keys[27] = NaN; // of the last key, which the mask hides
  const mask = tensor([true, true, true, true, true, true, false], on);
  const [q, k] = [tensor(values, { shape: [5, 4], ...on }), tensor(keys, { shape: [7, 4], ...on })];
  const y = rl.scaledDotProductAttention(q, k, rl.ones([7, 65], on), { mask });
  const found = await y.data();
  found.forEach((value, i) => {
    const row = Math.floor(i / 65);
    assert.is(Number.isNaN(value), row === 2 || row === 3, `${i}: ${value}`);
  });
  open.end();
});

test("memory grows with the length, not with its square", async () => {
  const t = 768;
  const backend = rl.backend("webgpu") as unknown as { stats(): { reservedBytes: number } };
  const before = backend.stats().reservedBytes;
  const open = rl.scope();
  const q = rl.randn([t, 33], { device: "webgpu", requiresGrad: true });
  const y = rl.scaledDotProductAttention(q, q, q, { isCausal: true });
  y.backward(rl.onesLike(y));
  await rl.backend("webgpu").sync();
  open.end();
  const bytes = backend.stats().reservedBytes - before;
  assert.ok(bytes > 0 && bytes < 4 * t * t, `${bytes} bytes; the scores are ${4 * t * t}`);
});

attention.before(async () => void (await startWebGpu()));
attention.after(stopWebGpu);

attention.run();
