/** Recurrent layers, attention with heads, module lists. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { memory, nn, scope, tensor } from "../../src/index.ts";

const sequence = suite("sequence modules");

const device = "reference";
const generator = (): rl.Generator => new rl.Generator(5);
const draw = (shape: number[], seed = 1): Tensor =>
  rl.randn(shape, { generator: new rl.Generator(seed), device });

const encoder = { dimFeedforward: 5, dropout: 0, generator: generator(), device } as const;

function near(found: Tensor, expected: Tensor, tolerance = 1e-12): void {
  assert.equal(found.shape, expected.shape);
  const difference = rl.amax(rl.abs(rl.sub(found, expected))).itemSync();
  assert.ok(difference <= tolerance, `differs by ${difference}`);
}

const names = (module: nn.Module): string[] =>
  module.namedParameters().map(([name, x]) => `${name} [${x.shape}]`);

sequence("recurrent parameters have PyTorch's names, order, shapes and bounds", () => {
  const lstm = new nn.LSTM(3, 4, { numLayers: 2, bidirectional: true, generator: generator() });
  assert.equal(
    names(lstm),
    [
      ["l0", 3],
      ["l1", 8],
    ].flatMap(([layer, width]) =>
      ["", "_reverse"].flatMap((direction) => [
        `weight_ih_${layer}${direction} [16,${width}]`,
        `weight_hh_${layer}${direction} [16,4]`,
        `bias_ih_${layer}${direction} [16]`,
        `bias_hh_${layer}${direction} [16]`,
      ]),
    ),
  );
  for (const x of lstm.parameters()) {
    const values = x.dataSync();
    assert.ok(values.every((v) => Math.abs(v) <= 0.5));
    assert.ok(Math.max(...values) > 0.3 && Math.min(...values) < -0.3);
  }
  const gru = new nn.GRU(3, 4, { bias: false });
  assert.equal(names(gru), ["weight_ih_l0 [12,3]", "weight_hh_l0 [12,4]"]);
  const rnn = new nn.RNN(3, 4);
  assert.equal(names(rnn)[0], "weight_ih_l0 [4,3]");
  for (const module of [lstm, gru, rnn]) module.dispose();
});

/** One layer's weights of a module, by PyTorch's names. */
function weightsOf(module: nn.LSTM | nn.GRU | nn.RNN, suffix: string): rl.RecurrentWeights {
  return {
    weightIh: module[`weight_ih_${suffix}`],
    weightHh: module[`weight_hh_${suffix}`],
    biasIh: module[`bias_ih_${suffix}`],
    biasHh: module[`bias_hh_${suffix}`],
  };
}

const reversed = (x: Tensor): Tensor => rl.slice(x, [[null, null, -1]]);

sequence("layers and directions are composed as PyTorch composes them", () => {
  const options = { numLayers: 2, bidirectional: true, generator: generator(), device } as const;
  const lstm = new nn.LSTM(3, 4, options);
  scope(() => {
    const x = draw([5, 2, 3]);
    const [h, c] = [draw([4, 2, 4], 2), draw([4, 2, 4], 3)];
    const at = (state: Tensor, i: number): Tensor => rl.squeeze(rl.narrow(state, 0, i, 1), 0);
    const layer = (input: Tensor, k: number): [Tensor, Tensor[], Tensor[]] => {
      const start = (i: number): { h: Tensor; c: Tensor } => ({ h: at(h, i), c: at(c, i) });
      const there = rl.lstm(input, weightsOf(lstm, `l${k}`), start(2 * k));
      const back = rl.lstm(reversed(input), weightsOf(lstm, `l${k}_reverse`), start(2 * k + 1));
      const output = rl.concat([there.output, reversed(back.output)], 2);
      return [output, [there.h, back.h], [there.c, back.c]];
    };
    const [below, h0, c0] = layer(x, 0);
    const [output, h1, c1] = layer(below, 1);
    const found = lstm.forward(x, { h, c });
    near(found.output, output);
    near(found.h, rl.stack([...h0, ...h1]));
    near(found.c, rl.stack([...c0, ...c1]));
  });
  lstm.dispose();
});

sequence("batchFirst exchanges the first two dimensions of inputs and outputs only", () => {
  for (const make of [nn.RNN, nn.LSTM, nn.GRU]) {
    const plain = new make(3, 4, { generator: generator(), device });
    const turned = new make(3, 4, { generator: generator(), device, batchFirst: true });
    scope(() => {
      const x = draw([5, 2, 3]);
      const a = plain.forward(x);
      const b = turned.forward(rl.transpose(x, 0, 1));
      near(rl.transpose(b.output, 0, 1), a.output);
      near(b.h, a.h);
    });
    plain.dispose();
    turned.dispose();
  }
});

sequence("a sequence in two pieces, with the state handed on, is the sequence", () => {
  const gru = new nn.GRU(3, 4, { numLayers: 2, generator: generator(), device });
  scope(() => {
    const x = draw([6, 2, 3]);
    const whole = gru.forward(x);
    const first = gru.forward(rl.narrow(x, 0, 0, 4));
    const second = gru.forward(rl.narrow(x, 0, 4, 2), first);
    near(rl.concat([first.output, second.output]), whole.output);
    near(second.h, whole.h);
  });
  gru.dispose();
});

sequence("dropout is between layers, and only while training", () => {
  const lstm = new nn.RNN(3, 4, { numLayers: 2, dropout: 1, generator: generator(), device });
  const single = new nn.RNN(3, 4, { dropout: 1, generator: generator(), device });
  scope(() => {
    const x = draw([5, 2, 3]);
    const cut = lstm.forward(rl.mul(x, 7)).output;
    near(lstm.forward(x).output, cut); // nothing of x gets through
    lstm.eval();
    assert.ok(rl.amax(rl.abs(rl.sub(lstm.forward(x).output, cut))).itemSync() > 1e-3);
    near(single.forward(x).output, rl.rnn(x, weightsOf(single, "l0")).output);
  });
  lstm.dispose();
  single.dispose();
});

sequence("an LSTM learns to remember", () => {
  const before = memory();
  class Recall extends nn.Module {
    lstm = new nn.LSTM(1, 8, { generator: generator() });
    head = new nn.Linear(8, 1, { generator: generator() });
    forward(x: Tensor): Tensor {
      const { h } = this.lstm.forward(x);
      return this.head.forward(rl.squeeze(h, 0));
    }
  }
  const model = new Recall();
  const optimizer = new rl.optim.AdamWScheduleFree(model.parameters(), { lr: 0.03 });
  optimizer.train();
  const draws = new rl.Generator(3);
  const losses = Array.from({ length: 120 }, () =>
    scope(() => {
      const x = rl.randn([6, 16, 1], { generator: draws });
      const first = rl.reshape(rl.narrow(x, 0, 0, 1), [16, 1]);
      optimizer.zeroGrad();
      const loss = rl.mseLoss(model.forward(x), first);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  const mean = (list: number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
  assert.ok(mean(losses.slice(-10)) < 0.3 * mean(losses.slice(0, 10)), `${losses.slice(-10)}`);
  optimizer.dispose();
  model.dispose();
  assert.is(memory().storages, before.storages);
});

sequence("attention parameters have PyTorch's names and initial values", () => {
  const attention = new nn.MultiheadAttention(6, 2, { generator: generator() });
  assert.equal(names(attention), [
    "in_proj_weight [18,6]",
    "in_proj_bias [18]",
    "out_proj.weight [6,6]",
    "out_proj.bias [6]",
  ]);
  assert.ok(attention.inProjBias!.dataSync().every((v) => v === 0));
  assert.ok(attention.outProj.bias!.dataSync().every((v) => v === 0));
  const weight = attention.inProjWeight!.dataSync();
  assert.ok(weight.every((v) => Math.abs(v) <= 0.5) && Math.max(...weight) > 0.4); // √(6/24)
  const cross = new nn.MultiheadAttention(6, 2, { kdim: 5, vdim: 4, bias: false });
  assert.equal(names(cross), [
    "q_proj_weight [6,6]",
    "k_proj_weight [6,5]",
    "v_proj_weight [6,4]",
    "out_proj.weight [6,6]",
  ]);
  attention.dispose();
  cross.dispose();
});

sequence("attention is scaledDotProductAttention in each head", () => {
  const attention = new nn.MultiheadAttention(4, 2, { generator: generator(), device });
  attention.inProjBias!.copyFrom(Array.from({ length: 12 }, (_, i) => i / 10));
  scope(() => {
    const [x, memoryOf] = [draw([3, 2, 4]), draw([5, 2, 4], 2)];
    const [wq, wk, wv] = rl.split(attention.inProjWeight!, 4);
    const [bq, bk, bv] = rl.split(attention.inProjBias!, 4);
    const manual = (key: Tensor, isCausal: boolean): Tensor => {
      const project = (from: Tensor, w: Tensor, b: Tensor): Tensor[] =>
        rl.split(rl.transpose(rl.linear(from, w, b), 0, 1), 2, 2);
      const [q, k, v] = [project(x, wq, bq), project(key, wk, bk), project(key, wv, bv)];
      const heads = q.map((_, i) => rl.scaledDotProductAttention(q[i], k[i], v[i], { isCausal }));
      return attention.outProj.forward(rl.transpose(rl.concat(heads, 2), 0, 1));
    };
    near(attention.forward(x).output, manual(x, false));
    near(attention.forward(x, x, x, { isCausal: true }).output, manual(x, true));
    near(attention.forward(x, memoryOf).output, manual(memoryOf, false));
    const { output, weights } = attention.forward(x, memoryOf, memoryOf, { needWeights: true });
    near(output, manual(memoryOf, false));
    assert.equal(weights!.shape, [2, 3, 5]);
    near(rl.sum(weights!, -1), rl.ones([2, 3], { device }));
    const options = { needWeights: true, averageAttnWeights: false };
    const each = attention.forward(x, memoryOf, memoryOf, options).weights!;
    near(rl.mean(each, 1), weights!);
  });
  attention.dispose();
});

sequence("masks hide keys: true is hidden, numbers are added, both kinds combine", () => {
  const options = { generator: generator(), device, batchFirst: true } as const;
  const attention = new nn.MultiheadAttention(4, 2, options);
  scope(() => {
    const x = draw([2, 3, 4]);
    const call = (masks: nn.AttentionMasks): Tensor => attention.forward(x, x, x, masks).output;
    const future = [0, 1, 2].map((i) => [0, 1, 2].map((j) => j > i));
    const hidden = tensor(future, { device });
    const added = rl.where(hidden, -Infinity, rl.zeros([3, 3], { device }));
    const causal = call({ isCausal: true });
    near(call({ attnMask: hidden }), causal);
    near(call({ attnMask: added }), causal);
    near(call({ attnMask: rl.expand(hidden, [4, 3, 3]) }), causal);
    // The last key of row 1 is padding: as if the sequence were shorter.
    const padding = tensor(
      [
        [false, false, false],
        [false, false, true],
      ],
      { device },
    );
    const short = rl.slice(x, [
      [1, 2],
      [0, 2],
    ]);
    const expected = attention.forward(short, short, short, { isCausal: true }).output;
    for (const masks of [{ isCausal: true }, { attnMask: hidden }, { attnMask: added }]) {
      const found = call({ ...masks, keyPaddingMask: padding });
      near(
        rl.slice(found, [
          [1, 2],
          [0, 2],
        ]),
        expected,
      );
      near(rl.slice(found, [[0, 1]]), rl.slice(causal, [[0, 1]]));
    }
  });
  attention.dispose();
});

sequence("added keys are bias_k and zeros, which every query sees", () => {
  for (const [addBiasKv, addZeroAttn] of [
    [true, false],
    [false, true],
    [true, true],
  ]) {
    const own = { addBiasKv, addZeroAttn, generator: generator(), device } as const;
    const attention = new nn.MultiheadAttention(4, 2, { ...own, batchFirst: true });
    const added = names(attention).filter((name) => name.startsWith("bias_"));
    assert.equal(added, addBiasKv ? ["bias_k [1,1,4]", "bias_v [1,1,4]"] : []);
    scope(() => {
      const [x, padded] = [
        draw([2, 3, 4]),
        tensor(
          [
            [0, 0, 1],
            [0, 0, 0],
          ],
          { device },
        ),
      ];
      const manual = (hidden: Tensor): Tensor => {
        const [q, k, v] = rl.split(rl.linear(x, attention.inProjWeight!), 4, -1);
        const rows = (bias: Tensor | null): Tensor[] => [
          ...(bias ? [rl.expand(bias, [2, 1, 4])] : []),
          ...(addZeroAttn ? [rl.zeros([2, 1, 4], { device })] : []),
        ];
        const keys = rl.concat([k, ...rows(attention.biasK)], 1);
        const values = rl.concat([v, ...rows(attention.biasV)], 1);
        const mask = rl.logicalNot(rl.pad(hidden, [0, keys.shape[1] - 3]));
        const heads = [0, 2].map((at) => {
          const part = (y: Tensor): Tensor => rl.narrow(y, -1, at, 2);
          return rl.scaledDotProductAttention(part(q), part(keys), part(values), { mask });
        });
        return attention.outProj.forward(rl.concat(heads, -1));
      };
      const none = rl.zeros([1, 1, 3], { device });
      const future = rl.triu(rl.ones([3, 3], { device }), 1);
      const padding = rl.unsqueeze(padded, 1);
      const call = (masks: nn.AttentionMasks): Tensor => attention.forward(x, x, x, masks).output;
      near(call({}), manual(none));
      near(call({ isCausal: true }), manual(future));
      const keyPaddingMask = rl.ne(padded, 0);
      near(call({ isCausal: true, keyPaddingMask }), manual(rl.maximum(future, padding)));
      const numbers = rl.mul(future, -1e30);
      near(call({ attnMask: numbers, keyPaddingMask }), manual(rl.maximum(future, padding)));
      const { weights } = attention.forward(x, x, x, { isCausal: true, needWeights: true });
      assert.equal(weights!.shape, [2, 3, 3 + Number(addBiasKv) + Number(addZeroAttn)]);
      near(rl.sum(weights!, -1), rl.ones([2, 3], { device }));
      call({ isCausal: true }).square().sum().backward();
      for (const [name, p] of attention.namedParameters()) assert.ok(p.grad !== null, name);
    });
    attention.dispose();
  }
});

sequence("a sequence without a batch is a batch of one", () => {
  for (const batchFirst of [false, true]) {
    const options = { generator: generator(), device, batchFirst } as const;
    const attention = new nn.MultiheadAttention(4, 2, { ...options, kdim: 5 });
    const layer = new nn.TransformerEncoderLayer(4, 2, { ...encoder, batchFirst });
    scope(() => {
      const [x, key] = [draw([3, 4]), draw([6, 5], 2)];
      const value = rl.narrow(key, 1, 0, 4);
      const batch = (y: Tensor): Tensor => rl.unsqueeze(y, batchFirst ? 0 : 1);
      const keyPaddingMask = tensor([false, false, true, false, false, true], { device });
      const attnMask = draw([2, 3, 6], 3); // one per head
      const masks = { attnMask, needWeights: true, averageAttnWeights: false };
      const one = attention.forward(x, key, value, { ...masks, keyPaddingMask });
      const same = { ...masks, keyPaddingMask: rl.unsqueeze(keyPaddingMask, 0) };
      const all = attention.forward(batch(x), batch(key), batch(value), same);
      near(batch(one.output), all.output);
      near(rl.unsqueeze(one.weights!, 0), all.weights!);
      near(batch(layer.forward(x)), layer.forward(batch(x)));
    });
    attention.dispose();
    layer.dispose();
  }
});

sequence("attention has gradients for every parameter, and dropout while training", () => {
  const attention = new nn.MultiheadAttention(4, 2, { dropout: 0.5, generator: generator() });
  scope(() => {
    const x = rl.randn([3, 2, 4], { generator: generator() });
    const first = attention.forward(x).output;
    first.square().sum().backward();
    for (const [name, p] of attention.namedParameters()) {
      assert.ok(p.grad !== null && p.grad.dataSync().every(Number.isFinite), name);
    }
    const again = attention.forward(x).output;
    assert.ok(rl.amax(rl.abs(rl.sub(first, again))).itemSync() > 1e-3);
    attention.eval();
    assert.equal(
      [...attention.forward(x).output.dataSync()],
      [...attention.forward(x).output.dataSync()],
    );
  });
  attention.dispose();
});

sequence("a transformer layer has PyTorch's parameter names, with and without biases", () => {
  const layer = new nn.TransformerEncoderLayer(4, 2, encoder);
  assert.equal(names(layer), [
    "self_attn.in_proj_weight [12,4]",
    "self_attn.in_proj_bias [12]",
    "self_attn.out_proj.weight [4,4]",
    "self_attn.out_proj.bias [4]",
    "linear1.weight [5,4]",
    "linear1.bias [5]",
    "linear2.weight [4,5]",
    "linear2.bias [4]",
    "norm1.weight [4]",
    "norm1.bias [4]",
    "norm2.weight [4]",
    "norm2.bias [4]",
  ]);
  const bare = new nn.TransformerEncoderLayer(4, 2, { ...encoder, bias: false });
  assert.equal(
    names(bare).map((name) => name.split(" ")[0]),
    [
      "self_attn.in_proj_weight",
      "self_attn.out_proj.weight",
      "linear1.weight",
      "linear2.weight",
      "norm1.weight",
      "norm2.weight",
    ],
  );
  layer.dispose();
  bare.dispose();
});

sequence("a transformer layer is its equations, norms first or last", () => {
  for (const activation of ["relu", "gelu", rl.tanh] as const) {
    const act = activation === "relu" ? rl.relu : activation === "gelu" ? rl.gelu : activation;
    const options = { ...encoder, activation };
    const last = new nn.TransformerEncoderLayer(4, 2, options);
    const first = new nn.TransformerEncoderLayer(4, 2, { ...options, normFirst: true });
    scope(() => {
      const x = draw([3, 2, 4]);
      const parts = (layer: nn.TransformerEncoderLayer): ((y: Tensor) => Tensor)[] => [
        (y) => layer.selfAttn.forward(y, y, y, { isCausal: true }).output,
        (y) => layer.linear2.forward(act(layer.linear1.forward(y))),
      ];
      const [attend, feed] = parts(last);
      const y = last.norm1.forward(rl.add(x, attend(x)));
      near(last.forward(x, { isCausal: true }), last.norm2.forward(rl.add(y, feed(y))));
      const [attendFirst, feedFirst] = parts(first);
      const z = rl.add(x, attendFirst(first.norm1.forward(x)));
      const expected = rl.add(z, feedFirst(first.norm2.forward(z)));
      near(first.forward(x, { isCausal: true }), expected);
    });
    last.dispose();
    first.dispose();
  }
});

sequence("a decoder layer is its equations, norms first or last", () => {
  for (const normFirst of [false, true]) {
    const layer = new nn.TransformerDecoderLayer(4, 2, { ...encoder, normFirst });
    assert.equal(
      names(layer).map((name) => name.split(" ")[0]),
      [
        ...["self_attn", "multihead_attn"].flatMap((name) =>
          ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"].map(
            (each) => `${name}.${each}`,
          ),
        ),
        ...["linear1", "linear2", "norm1", "norm2", "norm3"].flatMap((name) => [
          `${name}.weight`,
          `${name}.bias`,
        ]),
      ],
    );
    scope(() => {
      const [x, seen] = [draw([3, 2, 4]), draw([5, 2, 4], 2)];
      const padding = tensor(
        [
          [0, 0, 0, 1, 1],
          [0, 0, 0, 0, 0],
        ],
        { device, dtype: "bool" },
      );
      const masks = { own: { isCausal: true }, memory: { keyPaddingMask: padding } };
      const parts = [
        (y: Tensor) => layer.selfAttn.forward(y, y, y, masks.own).output,
        (y: Tensor) => layer.multiheadAttn.forward(y, seen, seen, masks.memory).output,
        (y: Tensor) => layer.linear2.forward(rl.relu(layer.linear1.forward(y))),
      ];
      const norms = [layer.norm1, layer.norm2, layer.norm3];
      const expected = parts.reduce((y, part, i) => {
        if (normFirst) return rl.add(y, part(norms[i].forward(y)));
        return norms[i].forward(rl.add(y, part(y)));
      }, x);
      near(layer.forward(x, seen, masks), expected);
      const one = (y: Tensor): Tensor => rl.squeeze(rl.narrow(y, 1, 1, 1), 1); // nothing is hidden there
      near(layer.forward(one(x), one(seen), { own: masks.own }), one(expected));
    });
    layer.dispose();
  }
});

sequence("a transformer learns to turn sequences around", () => {
  const before = memory();
  const options = { dimFeedforward: 32, dropout: 0, batchFirst: true, generator: generator() };
  class Reverser extends nn.Module {
    symbols = new nn.Embedding(5, 16, { generator: generator() });
    places = rl.nn.parameter(rl.randn([4, 16], { generator: generator() }));
    encoder = new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(16, 2, options), 1);
    decoder = new nn.TransformerDecoder(() => new nn.TransformerDecoderLayer(16, 2, options), 1);
    head = new nn.Linear(16, 5, { generator: generator() });
    forward(from: Tensor, to: Tensor): Tensor {
      const at = (x: Tensor): Tensor => rl.add(this.symbols.forward(x), this.places);
      const seen = this.encoder.forward(at(from));
      return this.head.forward(this.decoder.forward(at(to), seen, { own: { isCausal: true } }));
    }
  }
  const model = new Reverser();
  const optimizer = new rl.optim.AdamWScheduleFree(model.parameters(), { lr: 0.01 });
  optimizer.train();
  const draws = new rl.Generator(3);
  const losses = Array.from({ length: 150 }, () =>
    scope(() => {
      const from = rl.randint(0, 4, [16, 4], { generator: draws });
      const target = rl.flip(from, 1);
      // The symbol before each of the target, 4 before the first.
      const start = rl.full([16, 1], 4, { dtype: "int32" });
      const to = rl.concat([start, rl.narrow(target, 1, 0, 3)], 1);
      optimizer.zeroGrad();
      const loss = rl.crossEntropy(rl.flatten(model.forward(from, to), 0, 1), rl.flatten(target));
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  assert.ok(Math.min(...losses.slice(-10)) < 0.25, `${losses.slice(-10)}`); // a guess: 1.39
  optimizer.dispose();
  model.dispose();
  assert.is(memory().storages, before.storages);
});

sequence("a transformer layer drops while training, and can stand in Sequential", () => {
  const model = new nn.Sequential(
    new nn.TransformerEncoderLayer(4, 2, { ...encoder, dropout: 0.5, batchFirst: true }),
    new nn.Linear(4, 1, { device }),
  );
  scope(() => {
    const x = draw([2, 3, 4]);
    const differs = (): number =>
      rl.amax(rl.abs(rl.sub(model.forward(x), model.forward(x)))).itemSync();
    assert.ok(differs() > 1e-3);
    model.forward(x).sum().backward();
    for (const [name, p] of model.namedParameters()) assert.ok(p.grad !== null, name);
    model.eval();
    assert.is(differs(), 0);
  });
  model.dispose();
});

sequence("a module list holds modules by position", () => {
  class Stack extends nn.Module {
    layers = new nn.ModuleList([1, 2].map((n) => new nn.Linear(n, n + 1)));
    forward(x: Tensor): Tensor {
      let y = x;
      for (const layer of this.layers) y = layer.forward(y);
      return y;
    }
  }
  const model = new Stack();
  assert.equal(names(model), [
    "layers.0.weight [2,1]",
    "layers.0.bias [2]",
    "layers.1.weight [3,2]",
    "layers.1.bias [3]",
  ]);
  assert.is(model.layers.at(-1).outFeatures, 3);
  model.layers.append(new nn.Linear(3, 5));
  scope(() => assert.equal(model.forward(rl.ones([2, 1])).shape, [2, 5]));
  assert.is(model.layers.length, 3);
  model.eval();
  assert.is(model.layers.at(2).training, false);
  assert.throws(() => model.layers.at(3), "ModuleList: position 3; the list has 3 modules");
  assert.throws(() => model.layers.forward(), "ModuleList: has no forward");
  model.dispose();
});

sequence.run();
