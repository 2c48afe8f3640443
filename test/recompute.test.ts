/** checkpoint: the same bits with less memory, and every misuse with its message. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import {
  checkpoint,
  customOp,
  defaultGenerator,
  Generator,
  manualSeed,
  memory,
  nn,
  noGrad,
  ones,
  optim,
  rand,
  randn,
  scope,
  tensor,
  withDevice,
} from "../src/index.ts";

const recomputing = suite("checkpoint of activations");

const leaf = (values: number[]): Tensor => tensor(values, { requiresGrad: true });
const numbers = (x: Tensor | null): number[] => [...x!.dataSync()];

function scoped(name: string, body: () => void): void {
  recomputing(name, () => {
    const before = memory();
    scope(body);
    assert.equal({ ...memory(), peakBytes: 0 }, { ...before, peakBytes: 0 }, "all is released");
  });
}

type Wrap = (block: nn.Layer, x: Tensor) => Tensor;
const plain: Wrap = (block, x) => block.forward(x);
const saving: Wrap = (block, x) => checkpoint((x: Tensor) => block.forward(x), x);

/** Linear, BatchNorm, ReLU, Dropout (default and own generator), over a residual. */
class Block extends nn.Module {
  linear: nn.Linear;
  norm: nn.BatchNorm1d;
  dropout = new nn.Dropout(0.3);
  own: nn.Dropout;
  constructor(width: number, generator: Generator) {
    super();
    this.linear = new nn.Linear(width, width);
    this.norm = new nn.BatchNorm1d(width, { momentum: null });
    this.own = new nn.Dropout(0.2, { generator });
  }
  forward(x: Tensor): Tensor {
    const inner = this.norm.forward(this.linear.forward(x)).relu();
    return x.add(this.own.forward(this.dropout.forward(inner)));
  }
}

/** Three steps of training; everything that can differ afterwards. */
function train(wrap: Wrap): unknown {
  manualSeed(3);
  const generator = new Generator(5);
  const blocks = new nn.Sequential(...Array.from({ length: 4 }, () => new Block(8, generator)));
  const head = new nn.Linear(8, 1);
  const optimizer = new optim.AdamWScheduleFree([...blocks.parameters(), ...head.parameters()], {
    lr: 0.01,
  });
  optimizer.train();
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) {
    scope(() => {
      optimizer.zeroGrad();
      const x = rand([16, 8]);
      const y = blocks.layers.reduce((y, block) => wrap(block, y), x);
      const loss = head.forward(y).square().mean();
      loss.backward();
      optimizer.step();
      losses.push(loss.itemSync());
    });
  }
  optimizer.eval();
  const state = Object.values(blocks.stateDict()).map(({ data }) => [...data]);
  const draws = [defaultGenerator().getState(), generator.getState()];
  optimizer.dispose();
  blocks.dispose();
  head.dispose();
  return { losses, state, draws };
}

for (const device of ["cpu", "reference"] as const) {
  scoped(`training has the same bits, random masks and running statistics, on ${device}`, () => {
    withDevice(device, () => {
      const expected = train(plain);
      assert.equal(train(saving), expected);
      const nested: Wrap = (block, x) =>
        checkpoint((x: Tensor) => checkpoint((x: Tensor) => saving(block, x), x), x);
      assert.equal(train(nested), expected);
    });
  });
}

scoped("the peak is lower, with one function's activations at a time", () => {
  const layers = Array.from({ length: 8 }, () => new nn.Linear(16, 16));
  const deep = (x: Tensor, layer: nn.Linear): Tensor => {
    let y = layer.forward(x);
    for (let i = 0; i < 6; i++) y = y.tanh();
    return y;
  };
  const step = (wrap: boolean): number =>
    scope(() => {
      for (const layer of layers)
        for (const x of layer.parameters()) x.grad?.copyFrom(new Float32Array(x.size));
      const x = rand([1024, 16]);
      const { bytes } = memory({ resetPeak: true });
      const y = layers.reduce(
        (y, layer) => (wrap ? checkpoint((y: Tensor) => deep(y, layer), y) : deep(y, layer)),
        x,
      );
      y.sum().backward();
      return memory().peakBytes - bytes;
    });
  const one = 1024 * 16 * 4;
  const [without, withCheckpoint] = [step(false), step(true)];
  assert.ok(without > 8 * 7 * one, `${without / one} activations`);
  assert.ok(withCheckpoint < 20 * one, `${withCheckpoint / one} activations`);
  for (const layer of layers) layer.dispose();
});

scoped("several inputs and outputs, arguments of other kinds, outputs without gradient", () => {
  const f = (a: Tensor, factor: number, b: Tensor): Tensor[] => {
    const both = a.mul(b).tanh();
    return [both.mul(factor), a.gt(0), both.add(b), rl.sum(a.detach())];
  };
  const run = (wrap: boolean): number[][] => {
    const [a, b] = [leaf([1, -2]), leaf([0.5, 3])];
    const [y, mask, z, free] = wrap ? checkpoint(f, a, 3, b) : f(a, 3, b);
    assert.equal([mask.requiresGrad, free.requiresGrad], [false, false]);
    y.mul(mask).add(z.square()).sum().mul(free).backward();
    return [y, mask, z, free, a.grad!, b.grad!].map(numbers);
  };
  assert.equal(run(true), run(false));
});

scoped("an output that is not used, and one used by a view, twice", () => {
  const x = leaf([1, 2, 3]);
  const [, z] = checkpoint((x: Tensor) => [x.exp(), x.square()], x);
  z.slice([[1, 3]])
    .add(z.slice([[0, 2]]))
    .sum()
    .backward();
  assert.equal(numbers(x.grad), [2, 8, 6]);
});

scoped("an input may come out again", () => {
  const x = leaf([1, 2]);
  const [same, y] = checkpoint((x: Tensor) => [x, x.square()], x);
  assert.is.not(same, x);
  same.mul(10).add(y).sum().backward();
  assert.equal(numbers(x.grad), [12, 14]);
});

scoped("parameters inside get gradients even when no input needs one", () => {
  const layer = new nn.Linear(2, 1);
  checkpoint((x: Tensor) => layer.forward(x), tensor([[1, 2]]))
    .sum()
    .backward();
  assert.equal([numbers(layer.weight.grad), numbers(layer.bias!.grad)], [[1, 2], [1]]);
  layer.requiresGrad(false);
  assert.not.ok(checkpoint((x: Tensor) => layer.forward(x), tensor([[1, 2]])).requiresGrad);
  layer.dispose();
});

scoped("frozen parameters and noGrad inside have no gradient, as without", () => {
  const [x, w] = [leaf([2]), leaf([3])];
  checkpoint((x: Tensor) => x.mul(noGrad(() => w.mul(x))), x).backward();
  assert.equal([numbers(x.grad), w.grad], [[6], null]);
});

scoped("retainGraph runs it again each time, with the same mask", () => {
  const x = tensor(new Float32Array(64).fill(1), { requiresGrad: true });
  const y = checkpoint((x: Tensor) => rl.dropout(x.mul(2), { p: 0.5 }), x);
  const mask = numbers(y);
  y.sum().backward(null, { retainGraph: true });
  const before = defaultGenerator().getState();
  assert.equal(numbers(x.grad), mask);
  y.sum().backward();
  assert.equal(
    numbers(x.grad),
    mask.map((v) => 2 * v),
  );
  assert.equal(defaultGenerator().getState(), before);
  assert.throws(() => y.sum().backward(), /was freed by an earlier backward/);
});

scoped("a seed that is set inside is set again", () => {
  const x = leaf([1, 2]);
  const f = (x: Tensor): Tensor => {
    manualSeed(7);
    return x.mul(randn([2]));
  };
  const y = checkpoint(f, x);
  manualSeed(8);
  const before = defaultGenerator().getState();
  y.sum().backward();
  assert.equal(defaultGenerator().getState(), before);
  assert.equal(numbers(x.grad), numbers(y.div(x)));
});

scoped("custom operations inside are run again too", () => {
  const reverse = customOp({
    name: "reverse",
    forward: (_context, x: Tensor) => x,
    backward: (_context, dy) => [dy.neg()],
  });
  const x = leaf([3]);
  checkpoint((x: Tensor) => reverse(x.square()), x).backward();
  assert.equal(numbers(x.grad), [-6]);
});

scoped("isRecomputing is true in the second run only", () => {
  const seen: boolean[] = [];
  const x = leaf([1]);
  const f = (x: Tensor): Tensor => {
    seen.push(rl.isRecomputing());
    return x.square();
  };
  checkpoint((x: Tensor) => checkpoint(f, x), x).backward();
  noGrad(() => checkpoint(f, x));
  assert.equal(seen, [false, true, true, false]);
  assert.not.ok(rl.isRecomputing());
});

scoped("inputs outlive their scope until backward", () => {
  const x = leaf([1, 2]);
  const y = scope(() => checkpoint((h: Tensor) => h.exp(), x.mul(2)).sum());
  y.backward();
  assert.equal(numbers(x.grad), numbers(x.mul(2).exp().mul(2)));
});

scoped("what fn reads may not change before backward, biases included", () => {
  const layer = new nn.Linear(1, 1);
  const y = checkpoint((x: Tensor) => layer.forward(x), ones([1, 1]));
  layer.bias!.copyFrom([3]);
  assert.throws(
    () => y.backward(),
    /which checkpoint saved for its gradient, was changed in place .* run the forward pass again/,
  );
  assert.is(layer.weight.grad, null);
  const x = leaf([1]);
  const z = checkpoint((x: Tensor) => x.square(), x);
  x.copyFrom([5]);
  assert.throws(() => z.backward(), /tensor float32 \[1\], which checkpoint saved/);
  layer.dispose();
});

scoped("a tensor read from outside must live until backward", () => {
  const x = leaf([1]);
  const y = scope(() => {
    const mask = tensor([2]);
    return checkpoint((x: Tensor) => x.mul(mask), x);
  });
  assert.throws(() => y.backward(), /mul: tensor float32 \[1\] was released when its scope ended/);
});

scoped("backward inside fn has no graph to walk", () => {
  const x = leaf([1]);
  assert.throws(
    () =>
      checkpoint((x: Tensor) => {
        x.square().backward();
        return x;
      }, x),
    /backward: inside checkpoint\(fn\) there is no graph yet; call backward\(\) on what checkpoint returns/,
  );
  assert.is(x.grad, null);
});

scoped("when the second run fails, nothing is left behind, and the flag is reset", () => {
  let runs = 0;
  const x = leaf([1]);
  const y = checkpoint((x: Tensor) => {
    if (++runs === 2) throw new Error("second run");
    return [x.square(), x.exp()];
  }, x);
  assert.throws(() => y[0].add(y[1]).backward(), /second run/);
  assert.not.ok(rl.isRecomputing());
  x.square().backward();
  assert.equal(numbers(x.grad), [2]);
});

recomputing.run();
