/** Layers of a few lines, the stack of encoder layers, and losses of shapes that differ. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { Generator, memory, nn, ones, rand, scope, tensor } from "../../src/index.ts";

const layers = suite("small layers and losses");

for (const [name, make, shape, size] of [
  ["Dropout1d", (g: Generator) => new nn.Dropout1d(0.25, { generator: g }), [40, 50, 3], 3],
  ["Dropout1d", (g: Generator) => new nn.Dropout1d(0.25, { generator: g }), [2000, 3], 3],
  ["Dropout2d", (g: Generator) => new nn.Dropout2d(0.25, { generator: g }), [40, 50, 2, 3], 6],
] as const) {
  layers(`${name} drops whole channels of [${shape}], and their gradients`, () => {
    scope(() => {
      const layer = make(new Generator(3));
      const x = ones(shape, { requiresGrad: true });
      const y = layer.forward(x);
      const values = y.dataSync();
      let dropped = 0;
      for (let c = 0; c < 2000; c++) {
        const channel = new Set(values.subarray(c * size, (c + 1) * size));
        assert.is(channel.size, 1);
        if (channel.has(0)) dropped++;
        else assert.ok(channel.has(Math.fround(1 / 0.75)));
      }
      assert.ok(Math.abs(dropped / 2000 - 0.25) < 5 * Math.sqrt(0.1875 / 2000), `${dropped}`);
      y.sum().backward();
      assert.equal(x.grad!.dataSync(), values);
      assert.is(layer.eval().forward(x), x);
    });
  });
}

layers("Identity gives its input; Unflatten undoes Flatten", () => {
  scope(() => {
    const x = rand([2, 3, 4, 5]);
    assert.is(new nn.Identity().forward(x), x);
    const y = new nn.Sequential(new nn.Flatten(), new nn.Unflatten(-1, [3, 4, 5])).forward(x);
    assert.equal([y.shape, y.dataSync()], [x.shape, x.dataSync()]);
  });
});

layers("a weight given to a layer is shared: one parameter, one memory, one gradient", () => {
  const before = memory().bytes;
  const table = new nn.Embedding(5, 3, { device: "reference" });
  const head = new nn.Linear(3, 5, { weight: table.weight });
  const back = new nn.Embedding(5, 3, { weight: head.weight, paddingIdx: 0 });
  assert.is(head.weight, table.weight);
  assert.is(back.weight, table.weight);
  assert.ok(back.weight.dataSync()[0] !== 0);
  assert.is(head.bias!.device, "reference");
  assert.ok(head.bias!.dataSync().every((x) => x !== 0 && Math.abs(x) <= 1 / Math.sqrt(3)));
  const model = new nn.ModuleList([table, head]);
  assert.equal(
    model.namedParameters().map(([name]) => name),
    ["0.weight", "1.bias"],
  );
  assert.is(memory().bytes - before, (15 + 5) * 8);
  scope(() => {
    const index = tensor([1, 1], { dtype: "int32", device: "reference" });
    head.forward(table.forward(index)).sum().backward();
    // As rows of the table: 2 columns sums in row 1; as the output's weight: row 1 twice, in every row.
    const w = table.weight.dataSync();
    const expected = Array.from(w, (_, i) => {
      const column = [0, 1, 2, 3, 4].reduce((sum, row) => sum + w[3 * row + (i % 3)], 0);
      return 2 * w[3 + (i % 3)] + (Math.floor(i / 3) === 1 ? 2 * column : 0);
    });
    const grad = table.weight.grad!.dataSync();
    expected.forEach((x, i) => assert.ok(Math.abs(grad[i] - x) < 1e-12));
    table.weight.grad!.dispose();
    head.bias!.grad!.dispose();
  });
  model.dispose();
  assert.is(memory().bytes, before);
});

layers("TransformerEncoder runs its layers and the norm, with PyTorch's names", () => {
  const before = memory().bytes;
  const make = (): nn.TransformerEncoderLayer =>
    new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 8, dropout: 0, normFirst: true });
  const encoder = new nn.TransformerEncoder(make, 2, { norm: new nn.LayerNorm(4) });
  const names = encoder.namedParameters().map(([name]) => name);
  assert.is(names.length, 2 * 12 + 2);
  assert.ok(names.includes("layers.1.self_attn.in_proj_weight") && names.includes("norm.bias"));
  const [first, second] = encoder.layers;
  assert.not.equal(first.linear1.weight.dataSync(), second.linear1.weight.dataSync());
  scope(() => {
    const x = rand([3, 2, 4]);
    const masks = { isCausal: true };
    const y = encoder.forward(x, masks);
    const z = encoder.norm!.forward(second.forward(first.forward(x, masks), masks));
    assert.equal(y.dataSync(), z.dataSync());
  });
  encoder.dispose();
  assert.is(memory().bytes, before);
});

layers("regression losses broadcast as PyTorch's, and warn once", () => {
  const warnings: string[] = [];
  const { warn } = console;
  console.warn = (message: string) => warnings.push(message);
  try {
    scope(() => {
      const input = tensor([[1], [2]], { requiresGrad: true });
      const target = tensor([1, 2, 4]);
      const expected = [0, 1, 9, 1, 0, 4];
      const none = { reduction: "none" } as const;
      const loss = rl.mseLoss(input, target, none);
      assert.equal([loss.shape, [...loss.dataSync()]], [[2, 3], expected]);
      const mean = rl.mseLoss(input, target);
      assert.ok(Math.abs(mean.itemSync() - 15 / 6) < 1e-6);
      mean.backward();
      assert.equal(
        [...input.grad!.dataSync()].map((v) => Math.round(v * 6)),
        [2 * (0 - 1 - 3), 2 * (1 + 0 - 2)],
      );
      const others: ((a: Tensor, b: Tensor) => Tensor)[] = [
        (a, b) => rl.l1Loss(a, b, none),
        (a, b) => rl.smoothL1Loss(a, b, none),
        (a, b) => rl.huberLoss(a, b, none),
      ];
      for (const f of others) assert.equal(f(input, target).shape, [2, 3]);
    });
  } finally {
    console.warn = warn;
  }
  assert.is(warnings.length, 4);
  assert.match(
    warnings[0],
    /mseLoss: input \[2, 1\] and target \[3\] differ in shape and are broadcast to \[2, 3\]/,
  );
});

layers.run();
