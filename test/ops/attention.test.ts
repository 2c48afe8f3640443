/** What attention and rotary embedding promise beyond their numbers. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";

const attention = suite("attention");

const draw = (shape: number[], seed: number): Tensor =>
  rl.randn(shape, { generator: new rl.Generator(seed), device: "reference", requiresGrad: true });

function near(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-12): void {
  assert.is(found.length, expected.length);
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs(found[i] - expected[i]) <= tolerance, `${i}: ${found[i]}, ${expected[i]}`);
  }
}

attention("a query that may attend to nothing gives zeros and finite gradients", () => {
  const device = "reference";
  const masks = [
    tensor(
      [
        [true, false],
        [false, false],
      ],
      { device },
    ),
    tensor(
      [
        [0, -Infinity],
        [-Infinity, -Infinity],
      ],
      { device, requiresGrad: true },
    ),
  ];
  for (const mask of masks) {
    scope(() => {
      const [q, k, v] = [1, 2, 3].map((seed) => draw([2, 3], seed));
      const y = rl.scaledDotProductAttention(q, k, v, { mask });
      y.backward(rl.onesLike(y));
      near(y.dataSync(), [...v.dataSync().slice(0, 3), 0, 0, 0]);
      for (const x of [q, k]) near(x.grad!.dataSync(), new Float64Array(6));
      near(v.grad!.dataSync(), [1, 1, 1, 0, 0, 0]);
      if (mask.requiresGrad) near(mask.grad!.dataSync(), new Float64Array(4));
    });
  }
});

attention("a mask of booleans, a mask of numbers and isCausal say the same", () => {
  scope(() => {
    const [q, k, v] = [draw([2, 4, 3], 1), draw([2, 5, 3], 2), draw([2, 5, 2], 3)];
    const causal = rl.scaledDotProductAttention(q, k, v, { isCausal: true }).dataSync();
    const sees = Array.from({ length: 4 }, (_, i) => Array.from({ length: 5 }, (__, j) => j <= i));
    const bool = tensor(sees, { device: "reference" });
    const added = rl.where(bool, rl.zeros([4, 5], { device: "reference" }), -Infinity);
    for (const mask of [bool, added]) {
      near(rl.scaledDotProductAttention(q, k, v, { mask }).dataSync(), causal);
      near(rl.scaledDotProductAttention(q, k, v, { mask, isCausal: true }).dataSync(), causal);
    }
  });
});

attention("groups of queries share keys and values", () => {
  scope(() => {
    const [q, k, v] = [draw([1, 4, 3, 2], 1), draw([1, 2, 5, 2], 2), draw([1, 2, 5, 3], 3)];
    const shared = rl.scaledDotProductAttention(q, k, v, { enableGqa: true });
    const heads = (x: Tensor): Tensor =>
      rl.concat(
        [0, 0, 1, 1].map((group) => rl.narrow(x, 1, group, 1)),
        1,
      );
    near(shared.dataSync(), rl.scaledDotProductAttention(q, heads(k), heads(v)).dataSync());
  });
});

attention("dropout zeroes weights and keeps their mean", () => {
  scope(() => {
    const query = rl.zeros([1, 4]);
    const key = rl.zeros([1000, 4]);
    const generator = new rl.Generator(1);
    const options = { dropout: 0.5, generator };
    const y = rl.scaledDotProductAttention(query, key, rl.ones([1000, 1]), options).itemSync();
    assert.ok(y !== 1 && Math.abs(y - 1) < 0.1, `${y}`);
  });
});

attention("dropout drops the same weights as `dropout` on the matrix of them", () => {
  scope(() => {
    const [q, k, v] = [draw([2, 5, 3], 1), draw([2, 9, 3], 2), draw([2, 9, 4], 3)];
    const weights = rl.softmax(rl.matmul(rl.div(q, Math.sqrt(3)), rl.transpose(k, 1, 2)), -1);
    for (const p of [0.4, 1]) {
      const options = () => ({ generator: new rl.Generator(5) });
      const expected = rl.matmul(rl.dropout(weights, { p, ...options() }), v);
      const found = rl.scaledDotProductAttention(q, k, v, { dropout: p, ...options() });
      near(found.dataSync(), expected.dataSync());
    }
  });
});

attention("a mask that requires a gradient changes nothing but that it gets one", () => {
  for (const device of ["cpu", "reference"] as const) {
    const play = (learned: boolean): ArrayLike<number>[] =>
      scope(() => {
        const generator = new rl.Generator(4);
        const inputs = [3, 4, 4].map((n) => rl.randn([2, n, 4], { generator, device }));
        for (const x of inputs) x.requiresGrad = true;
        const mask = rl.randn([2, 3, 4], { generator, device, requiresGrad: learned });
        const [q, k, v] = inputs;
        const y = rl.scaledDotProductAttention(q, k, v, { mask });
        y.backward(rl.onesLike(y));
        assert.is(mask.grad !== null, learned);
        return [y, ...inputs.map((x) => x.grad!)].map((x) => x.dataSync());
      });
    const composed = play(true);
    play(false).forEach((values, i) => near(values, composed[i], device === "cpu" ? 1e-6 : 1e-12));
  }
});

attention("memory grows with the length, not with its square", () => {
  const peak = (t: number): number => {
    const before = rl.memory().bytes;
    return scope(() => {
      const q = rl.randn([4, t, 16], { requiresGrad: true });
      const y = rl.scaledDotProductAttention(q, q, q, { isCausal: true });
      const bytes = rl.memory().bytes - before;
      y.backward(rl.onesLike(y));
      return bytes;
    });
  };
  const [short, long] = [peak(256), peak(1024)];
  assert.is(long, 4 * short);
});

attention("NaN in one query stays in its row", () => {
  scope(() => {
    const values = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
    values[9] = NaN;
    const q = tensor(values, { shape: [5, 4] });
    const [k, v] = [rl.ones([7, 4]), rl.ones([7, 2])];
    const y = rl.scaledDotProductAttention(q, k, v).dataSync();
    y.forEach((value, i) => assert.is(Number.isNaN(value), i === 4 || i === 5, `${i}`));
  });
});

attention("rotary embedding turns pairs by position", () => {
  scope(() => {
    const x = tensor([[1, 2, 3, 4]], { device: "reference" });
    const [c, s] = [Math.cos(2), Math.sin(2)];
    const [c1, s1] = [Math.cos(0.02), Math.sin(0.02)];
    near(rl.rotaryEmbedding(x, { offset: 2 }).dataSync(), [
      c - 3 * s,
      2 * c1 - 4 * s1,
      s + 3 * c,
      2 * s1 + 4 * c1,
    ]);
    near(rl.rotaryEmbedding(x, { offset: 2, interleaved: true }).dataSync(), [
      c - 2 * s,
      s + 2 * c,
      3 * c1 - 4 * s1,
      3 * s1 + 4 * c1,
    ]);
  });
});

attention("rotary embedding leaves products to the distance of positions", () => {
  scope(() => {
    const [q, k] = [draw([1, 8], 1), draw([1, 8], 2)];
    const product = (i: number, j: number): number =>
      rl
        .mul(rl.rotaryEmbedding(q, { offset: i }), rl.rotaryEmbedding(k, { offset: j }))
        .sum()
        .itemSync();
    near([product(7, 4), product(103, 100)], [product(3, 0), product(3, 0)]);
  });
});

attention.run();
