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
        "paramGroups" in optimizer ? new optim.StepLR(optimizer, { stepSize: 2, gamma: 0.5 }) : null;
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
        // Before the first step no parameter had a gradient: the second call captures again.
        assert.is((step as { captures?: number }).captures, 1);
        (step as { dispose?(): void }).dispose!();
      }
      const state = Object.values(model.stateDict()).map((x) => Array.from(x.data));
      optimizer.dispose();
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

test.run();
