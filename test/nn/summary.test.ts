/** summary: the table, what it counts, and that it leaves no trace; tied and frozen parameters elsewhere. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import {
  defaultGenerator,
  manualSeed,
  memory,
  nn,
  optim,
  rand,
  scope,
  tensor,
} from "../../src/index.ts";

const summaries = suite("summary");

function lines(text: string): string[] {
  return text.split("\n").filter((line) => !line.startsWith("─"));
}

/** Reads tokens, ties its two matrices, and draws although nobody asked it to. */
class Tied extends nn.Module {
  embed = new nn.Embedding(50, 8);
  rnn = new nn.LSTM(8, 8, { batchFirst: true });
  act = new nn.Tanh();
  norm = new nn.BatchNorm1d(8);
  head = new nn.Linear(8, 50, { weight: this.embed.weight });
  unused = new nn.Linear(1, 1, { bias: false });
  forward(tokens: Tensor): Tensor {
    const x = this.act.forward(this.embed.forward(tokens)).add(rand([8]));
    const y = this.act.forward(this.rnn.forward(x).output);
    return this.head.forward(this.norm.forward(y.transpose(1, 2)).transpose(1, 2));
  }
}

summaries("layers, shapes, parameters and what is frozen", () => {
  const features = new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU());
  const model = new nn.Sequential(features, new nn.Flatten(), new nn.Linear(4 * 6 * 6, 10));
  features.requiresGrad(false);
  model.layers[2].parameters()[1].requiresGrad = true;
  assert.equal(lines(model.summary([2, 1, 8, 8])), [
    "Layer                  Output         Parameters",
    "Sequential             [2, 10]",
    "├─ 0: Sequential       [2, 4, 6, 6]",
    "│  ├─ 0: Conv2d        [2, 4, 6, 6]           40   frozen",
    "│  ├─ 1: BatchNorm2d   [2, 4, 6, 6]            8   frozen",
    "│  └─ 2: ReLU          [2, 4, 6, 6]",
    "├─ 1: Flatten          [2, 144]",
    "└─ 2: Linear           [2, 10]             1,450",
    "parameters 1,498 (5,992 bytes), of these frozen 48",
    "buffers 9 (36 bytes)",
  ]);
  assert.equal(lines(new nn.Flatten().summary()), [
    "Layer",
    "Flatten",
    "parameters 0 (0 bytes)",
    "buffers 0 (0 bytes)",
  ]);
  model.dispose();
});

summaries("shared parameters, repeated calls, outputs that are no tensor, unused layers", () => {
  const model = new Tied();
  model.head.bias!.requiresGrad = true;
  scope(() => {
    const tokens = tensor([[1, 2, 3]], { dtype: "int32" });
    assert.equal(lines(model.summary(tokens)), [
      "Layer                  Output                                              Parameters",
      "Tied                   [1, 3, 50]",
      "├─ embed: Embedding    [1, 3, 8]                                                  400",
      "├─ rnn: LSTM           { output: [1, 3, 8], h: [1, 1, 8], c: [1, 1, 8] }          576",
      "├─ act: Tanh           [1, 3, 8] × 2",
      "├─ norm: BatchNorm1d   [1, 8, 3]                                                   16",
      "├─ head: Linear        [1, 3, 50]                                                  50   weight is embed.weight",
      "└─ unused: Linear                                                                   1",
      "parameters 1,043 (4,172 bytes)",
      "buffers 17 (68 bytes)",
    ]);
  });
  model.dispose();
});

summaries(
  "nothing is changed: modes, statistics, generators, forward, memory, nor by an error",
  () => {
    manualSeed(1);
    const model = new Tied();
    model.rnn.eval();
    const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.1 });
    optimizer.train();
    const state = (): unknown => [
      model.namedModules().map(([, module]) => [module.training, Object.keys(module)]),
      model.buffers().map((x) => [...x.dataSync()]),
      model.parameters().map((x) => [x.sequence, x.grad]),
      defaultGenerator().getState(),
      Object.hasOwn(model, "forward"),
      { ...memory(), peakBytes: 0 },
    ];
    scope(() => {
      const tokens = tensor([[1, 2, 3]], { dtype: "int32" });
      const before = state();
      model.summary(tokens);
      assert.equal(state(), before);
      assert.throws(() => model.summary([2, 3]), /embedding: /);
      assert.equal(state(), before);
    });
    optimizer.dispose();
    model.dispose();
  },
);

summaries("a forward of the instance's own is put back", () => {
  const model = new nn.ReLU();
  const own = (x: Tensor): Tensor => x.add(1);
  model.forward = own;
  assert.match(model.summary([3]), /ReLU +\[3\]/);
  assert.is(model.forward, own);
});

summaries("zeros are made on the model's device", () => {
  const model = new nn.Linear(2, 3, { device: "reference" });
  assert.match(model.summary([5, 2]), /Linear +\[5, 3\] +9\n/);
  assert.match(model.summary(), /\(72 bytes\)/);
  model.dispose();
});

for (const [name, make] of [
  ["AdamWScheduleFree", (p: Tensor[]) => new optim.AdamWScheduleFree(p, { lr: 0.1 })],
  ["SGD", (p: Tensor[]) => new optim.SGD(p, { lr: 0.1 })],
] as const) {
  summaries(`tied parameters are stepped once, frozen ones not at all, by ${name}`, () => {
    manualSeed(2);
    const model = new Tied();
    model.norm.requiresGrad(false);
    const optimizer = make(model.parameters());
    if ("train" in optimizer) optimizer.train();
    assert.is(model.head.weight, model.embed.weight, "still tied in the optimizer's block");
    const before = model.embed.weight.toArray();
    const frozen = model.norm.parameters().map((x) => [...x.dataSync()]);
    scope(() => {
      const logits = model.forward(tensor([[1, 2, 3]], { dtype: "int32" })).flatten(0, 1);
      rl.crossEntropy(logits, tensor([4, 5, 6], { dtype: "int32" })).backward();
      optimizer.step();
    });
    assert.not.equal(model.embed.weight.toArray(), before);
    assert.equal(
      model.norm.parameters().map((x) => [...x.dataSync()]),
      frozen,
    );
    if ("eval" in optimizer) optimizer.eval();
    const state = model.stateDict();
    assert.equal(state["head.weight"], state["embed.weight"]);
    assert.is(Object.keys(state).length, 13);
    const copy = new Tied();
    copy.loadStateDict(state);
    assert.is(copy.head.weight, copy.embed.weight);
    assert.equal(copy.stateDict(), state);
    assert.match(model.summary(), /weight is embed\.weight\n[^]* of these frozen 16\n/);
    for (const used of [optimizer, model, copy]) used.dispose();
  });
}

summaries.run();
