/** A compiled step does what the step does, bit for bit, call after call. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { compile, crossEntropy, live, memory, mseLoss, nn, optim, scope } from "../../src/index.ts";

const test = suite("compile");

type Batch = readonly [x: Tensor, y: Tensor];
type Model = nn.Module & { forward(x: Tensor): Tensor };

interface Task {
  model(): Model;
  optimizer(model: Model): optim.Optimizer;
  batch(size: number): Batch;
}

const images = (size: number): Batch => [rl.randn([size, 1, 8, 8]), rl.randint(0, 4, [size])];
const sequence = (size: number): Batch => [rl.randn([size, 5, 6]), rl.randint(0, 4, [size])];

class Recurrent extends nn.Module {
  lstm: nn.LSTM = new nn.LSTM(6, 8, { batchFirst: true, bidirectional: true });
  head: nn.Linear = new nn.Linear(16, 4);
  forward(x: Tensor): Tensor {
    return this.head.forward(rl.mean(this.lstm.forward(x).output, 1));
  }
}

class Attention extends nn.Module {
  layer: nn.TransformerEncoderLayer = new nn.TransformerEncoderLayer(6, 2, {
    dimFeedforward: 12,
    batchFirst: true,
    dropout: 0.2,
  });
  head: nn.Linear = new nn.Linear(6, 4);
  forward(x: Tensor): Tensor {
    return this.head.forward(rl.mean(this.layer.forward(x, { isCausal: true }), 1));
  }
}

const tasks: Record<string, Task> = {
  "a perceptron with dropout": {
    model: () =>
      new nn.Sequential(
        new nn.Flatten(),
        new nn.Linear(64, 24),
        new nn.ReLU(),
        new nn.Dropout(0.3),
        new nn.Linear(24, 4),
      ),
    optimizer: (model) =>
      new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01, warmupSteps: 3 }),
    batch: images,
  },
  "a convolutional network with batch norm": {
    model: () =>
      new nn.Sequential(
        new nn.Conv2d(1, 6, 3),
        new nn.BatchNorm2d(6),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Flatten(),
        new nn.BatchNorm1d(54, { momentum: null }),
        new nn.Linear(54, 4),
      ),
    optimizer: (model) => new optim.SGDScheduleFree(model.parameters(), { lr: 0.1 }),
    batch: images,
  },
  "an LSTM": {
    model: () => new Recurrent(),
    optimizer: (model) => new optim.RAdamScheduleFree(model.parameters(), { lr: 0.01 }),
    batch: sequence,
  },
  "a transformer": {
    model: () => new Attention(),
    optimizer: (model) =>
      new optim.ScheduleFreeWrapper(
        new optim.AdamW(model.parameters(), { lr: 0.01 }),
      ) as unknown as optim.Optimizer,
    batch: sequence,
  },
};

const steps = 6;

/** Losses of some steps, and the parameters and buffers after them. */
function train(task: Task, device: DeviceName, compiled: boolean): number[][] {
  return rl.withDevice(device, () =>
    scope(() => {
      rl.manualSeed(7);
      const model = task.model();
      const optimizer = task.optimizer(model) as optim.AdamWScheduleFree;
      const batches = Array.from({ length: steps }, () => task.batch(4).map((x) => x));
      const scheduler =
        "paramGroups" in optimizer
          ? new optim.StepLR(optimizer, { stepSize: 2, gamma: 0.5 })
          : null;
      optimizer.train();
      const plain = (x: Tensor, y: Tensor): Tensor => {
        optimizer.zeroGrad();
        const loss = crossEntropy(model.forward(x), y);
        loss.backward();
        optim.clipGradNorm(model.parameters(), 1);
        optimizer.step();
        scheduler?.step();
        return loss;
      };
      const step = compiled ? compile(plain) : plain;
      const losses = batches.map(([x, y]) => scope(() => step(x, y).itemSync()));
      if (compiled) {
        assert.is((step as { captures?: number }).captures, 1);
        (step as { dispose?(): void }).dispose!();
      }
      const state = [...model.parameters(), ...model.buffers()].map((x) =>
        Array.from(x.dataSync()),
      );
      optimizer.dispose();
      for (const x of [...model.parameters(), ...model.buffers()]) x.dispose();
      return [losses, ...state];
    }),
  );
}

for (const device of ["cpu", "reference"] as const) {
  for (const [name, task] of Object.entries(tasks)) {
    test(`${name} has the same bits as without, on ${device}`, () => {
      const before = memory();
      assert.equal(train(task, device, true), train(task, device, false));
      assert.is(memory().bytes, before.bytes);
    });
  }
}

/** A linear model on fixed data, and a step of it. */
function linear() {
  rl.manualSeed(3);
  const layer = new nn.Linear(3, 2);
  const optimizer = new optim.SGDScheduleFree(layer.parameters(), { lr: 0.1 });
  optimizer.train();
  const loss = (x: Tensor): Tensor => mseLoss(layer.forward(x), rl.zeros([x.shape[0], 2]));
  const release = (): void => {
    optimizer.dispose();
    for (const x of layer.parameters()) x.dispose();
  };
  return { layer, optimizer, loss, release };
}

const weights = (layer: nn.Linear): number[] => Array.from(layer.weight.dataSync());
const data = (rows: number): Tensor =>
  rl.tensor(
    Float32Array.from({ length: rows * 3 }, (_, i) => Math.sin(i)),
    { shape: [rows, 3] },
  );

/** Runs the same function as it is and compiled, on two equal models; what they leave is the same. */
function same(
  run: (model: ReturnType<typeof linear>, wrap: typeof compile) => unknown,
): Record<string, unknown>[] {
  const eager = ((fn: unknown) => fn) as unknown as typeof compile;
  return [eager, compile].map((wrap) =>
    scope(() => {
      const model = linear();
      const given = run(model, wrap);
      const grads = model.layer.parameters().map((p) => p.grad && Array.from(p.grad.dataSync()));
      const left = { given, grads, weights: weights(model.layer) };
      model.release();
      return left;
    }),
  );
}

test("gradients are where they would be, whenever they are zeroed", () => {
  const [a, b] = same(({ optimizer, loss }, wrap) => {
    const step = wrap((x: Tensor) => {
      loss(x).backward();
      optimizer.step();
      optimizer.zeroGrad();
    });
    for (let i = 0; i < 4; i++) step(data(4));
  });
  assert.equal(b, a);
  const [c, d] = same(({ optimizer, loss }, wrap) => {
    const step = wrap((x: Tensor) => loss(x).backward());
    for (let i = 0; i < 5; i++) {
      step(data(4)); // gradients add up
      if (i === 2) optimizer.step();
      if (i === 3) optimizer.zeroGrad();
    }
  });
  assert.equal(d, c);
});

test("without an optimizer gradients are kept in memory of the step's own", () => {
  const w = rl.full([3], 2, { requiresGrad: true });
  const step = compile((x: Tensor) => {
    const y = rl.sum(x.mul(w).mul(w));
    y.backward();
    return y;
  });
  scope(() => {
    const x = rl.tensor([1, 2, 3]);
    assert.is(step(x).itemSync(), 24);
    assert.equal(Array.from(w.grad!.dataSync()), [4, 8, 12]);
    assert.is(step(x).itemSync(), 24);
    assert.equal(Array.from(w.grad!.dataSync()), [8, 16, 24]);
    w.grad!.dispose();
    w.grad = null;
    step(x);
    assert.equal(Array.from(w.grad!.dataSync()), [4, 8, 12]);
  });
  step.dispose();
  w.dispose();
});

test("other shapes, numbers, modes and parameters' homes are captured anew; old ones are found again", () => {
  const { layer, optimizer, loss, release } = linear();
  let runs = 0;
  const step = compile((x: Tensor, scale: number) => {
    runs++;
    return loss(x).mul(scale);
  });
  const value = (rows: number, scale: number): number =>
    scope(() => {
      const [found, expected] = [step(data(rows), scale), loss(data(rows)).mul(scale)];
      assert.is(found.itemSync(), expected.itemSync());
      return runs;
    });
  assert.is(value(4, 1), 1);
  assert.is(value(4, 1), 1);
  assert.is(value(5, 1), 2);
  assert.is(value(4, 1), 2);
  assert.is(value(4, 2), 3);
  optimizer.eval();
  layer.eval();
  assert.is(value(4, 1), 4);
  const moved = new optim.SGD(layer.parameters(), { lr: 0.1 });
  assert.is(value(4, 1), 5);
  rl.noGrad(() => value(4, 1));
  assert.is(runs, 6);
  assert.is(step.captures, 6);
  step.dispose();
  moved.dispose();
  release();
});

test("steps that can never be made again give their memory back when another is captured", () => {
  const { layer, optimizer, loss, release } = linear();
  optimizer.eval();
  const extra: Tensor[] = [];
  const step = compile((x: Tensor) => {
    const sum = extra.reduce((total, c) => total.add(c), loss(x));
    sum.backward();
    return sum;
  });
  const zeroGrad = (): void => {
    for (const p of layer.parameters()) {
      p.grad?.dispose();
      p.grad = null;
    }
  };
  const bytesAfter = (change: () => void): number => {
    change();
    zeroGrad();
    scope(() => void step(data(4)));
    return memory().bytes;
  };
  const toggle = (): void => void (layer.training ? layer.eval() : layer.train());
  const first = bytesAfter(toggle);
  for (let i = 0; i < 5; i++) assert.is(bytesAfter(toggle), first, "modes");
  assert.is(step.captures, 6);

  // A constant that is disposed, and another in its place.
  const replace = (): void => {
    extra.pop()?.dispose();
    extra.push(rl.keep(rl.ones([])));
  };
  const second = bytesAfter(replace);
  for (let i = 0; i < 3; i++) assert.is(bytesAfter(replace), second, "constants");

  // Parameters that move to the next optimizer.
  const moved: optim.Optimizer[] = [];
  const move = (): void => {
    moved.pop()?.dispose();
    moved.push(new optim.SGD(layer.parameters(), { lr: 0.1 }));
  };
  optimizer.dispose();
  const third = bytesAfter(move);
  for (let i = 0; i < 3; i++) assert.is(bytesAfter(move), third, "parameters");

  moved.pop()!.dispose();
  step.dispose();
  extra.pop()!.dispose();
  release();
});

test("arguments and results may be arrays and objects; results are copies", () => {
  const swap = compile(({ a, b }: { a: Tensor; b: Tensor }, [c]: readonly Tensor[]) => ({
    sums: [a.add(c), b.add(c)],
    n: 3,
  }));
  scope(() => {
    const give = (v: number): ReturnType<typeof swap> =>
      swap({ a: rl.tensor([v]), b: rl.tensor([10 * v]) }, [rl.tensor([v + 1])]);
    const [first, second] = [give(1), give(2)];
    assert.equal(
      first.sums.map((x) => x.itemSync()),
      [3, 12],
    );
    assert.equal(
      second.sums.map((x) => x.itemSync()),
      [5, 23],
    );
    assert.is(second.n, 3);
  });
  swap.dispose();
});

test("constants from JavaScript are written again: their memory is used by others meanwhile", () => {
  const f = compile((x: Tensor) => {
    const a = scope(() => rl.exp(rl.tensor([1, 2]).mul(x)));
    return a.add(rl.tensor([10, 20]));
  });
  scope(() => {
    const call = (v: number): number[] => Array.from(f(rl.tensor([v, v])).dataSync());
    assert.equal(call(1), call(1));
    assert.not.equal(call(1), call(2));
  });
  f.dispose();
});

test("live functions run in every call, other JavaScript in the captured one alone", () => {
  const seen: string[] = [];
  const f = compile((x: Tensor) => {
    seen.push("captured");
    live(() => seen.push("live"));
    return x.add(1);
  });
  scope(() => [1, 2, 3].forEach(() => f(rl.tensor([1]))));
  assert.equal(seen, ["captured", "live", "live", "live"]);
  assert.is(
    live(() => 5),
    5,
  );
  f.dispose();
});

test("an index out of range is an error in every call", () => {
  const f = compile((table: Tensor, index: Tensor) => rl.indexSelect(table, 0, index));
  scope(() => {
    const table = data(4);
    f(table, rl.tensor([3], { dtype: "int32" }));
    for (let i = 0; i < 2; i++) {
      assert.throws(() => f(table, rl.tensor([4], { dtype: "int32" })), /index 4 at element 0/);
    }
    const row = f(table, rl.tensor([2], { dtype: "int32" }));
    assert.equal(Array.from(row.dataSync()), Array.from(table.dataSync().slice(6, 9)));
  });
  f.dispose();
});

test("what cannot be captured says so and leaves nothing behind", () => {
  const { optimizer, loss, release } = linear();
  const closure = new optim.SGDScheduleFreeClosure([rl.ones([2], { requiresGrad: true })], {});
  const before = memory();
  const outer = scope();
  const temporary = rl.ones([2]);
  const refused: [() => unknown, RegExp][] = [
    [
      () => compile((x: Tensor) => x.itemSync())(rl.ones([])),
      /compile: dataSync\(\) of .* inside a compiled function/,
    ],
    [() => compile((x: Tensor) => x.add(rl.rand([2])))(rl.ones([2])), /compile: random numbers/],
    [
      () => compile((x: Tensor) => x.add(temporary))(rl.ones([2])),
      /compile: the function uses .* a temporary from outside/,
    ],
    [
      () => compile(() => optimizer.step(() => loss(data(2))))(),
      /a step with a closure cannot be captured/,
    ],
    [() => compile(() => closure.step(() => 0))(), /a step with a closure cannot be captured/],
    [
      () => compile((x: Tensor) => x)(rl.ones([2], { requiresGrad: true })),
      /compile: argument .* requires a gradient/,
    ],
    [() => compile(() => new Map())(), /compile: the function returned an object of a class/],
    [
      () =>
        compile((x: Tensor) => {
          rl.checkpoint((y: Tensor) => rl.dropout(y, { p: 0.5 }).mul(y), x.mul(rl.keep(weight)))
            .sum()
            .backward();
        })(rl.ones([2])),
      /compile: random numbers/,
    ],
  ];
  const weight = rl.ones([2], { requiresGrad: true });
  outer.keep(weight);
  for (const [call, message] of refused) scope(() => assert.throws(call, message));
  outer.end();
  weight.dispose();
  assert.is(memory().bytes, before.bytes);
  closure.dispose();
  release();
});

test("while operations are observed it is the function itself", () => {
  const f = compile((x: Tensor) => x.add(1));
  const seen: string[] = [];
  scope(() => {
    f(rl.tensor([1]));
    const observer = rl.setTracer(({ op }) => seen.push(op));
    f(rl.tensor([1]));
    rl.setTracer(observer);
  });
  assert.equal(seen, ["addScalar"]);
  f.dispose();
});

test("AdamC steps after the compiled function, and says so inside it", () => {
  const run = (compiled: boolean): number[] =>
    scope(() => {
      const x = rl.nn.parameter(rl.tensor([1, -2, 3]));
      const adamc = new optim.AdamCScheduleFreePlusPaper([x]);
      adamc.train();
      const plain = (): Tensor => {
        adamc.zeroGrad();
        const loss = x.square().sum();
        loss.backward();
        return loss;
      };
      const forward = compiled ? compile(plain) : plain;
      for (let i = 0; i < 4; i++) scope(() => adamc.step(forward()));
      const inside = compile(() => adamc.step(plain()));
      assert.throws(() => inside(), /step: its size follows from the loss.*step\(loss\) after it/);
      const values = Array.from(x.dataSync());
      if (compiled) (forward as { dispose?(): void }).dispose!();
      inside.dispose();
      adamc.dispose();
      x.dispose();
      return values;
    });
  assert.equal(run(true), run(false));
});

test.run();
