/** Strict mode: the same seed gives the same bits on every engine and for any number of threads. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../src/index.ts";
import { crossEntropy, init, manualSeed, nn, optim, scope } from "../src/index.ts";
import { fingerprint } from "./fingerprint.ts";

const determinism = suite("determinism");

/** 12 steps of a small convolutional network that uses every layer; large enough to be split. */
function train(): string {
  manualSeed(2026);
  const net = new nn.Sequential(
    new nn.Conv2d(1, 8, 3),
    new nn.GELU(),
    new nn.Conv2d(8, 16, 3, { padding: 1, groups: 2 }),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Dropout(0.25),
    new nn.AvgPool2d(2),
    new nn.Flatten(),
    new nn.Linear(16 * 36, 64),
    new nn.Tanh(),
    new nn.Linear(64, 32),
    new nn.Sigmoid(),
    new nn.Linear(32, 10),
  );
  const optimizer = new optim.AdamWScheduleFree(net.parameters(), {
    lr: 0.01,
    warmupSteps: 4,
    weightDecay: 0.01,
    r: 0.5,
  });
  optimizer.train();
  for (let step = 0; step < 12; step++) {
    scope(() => {
      optimizer.zeroGrad();
      const x = rl.randn([32, 1, 26, 26]);
      crossEntropy(net.forward(x), rl.randint(0, 10, [32])).backward();
      optimizer.step();
    });
  }
  optimizer.eval();
  const result = fingerprint(net.parameters().map((x) => x.dataSync()));
  optimizer.dispose();
  net.dispose();
  return result;
}

async function trainWith(threads: number, precision: "strict" | "fast"): Promise<string> {
  await init({ device: "cpu", threads, precision });
  const backend = rl.backend();
  assert.is(backend.capabilities().threads, threads);
  try {
    return train();
  } finally {
    backend.close();
  }
}

determinism.after(() => init({ device: "cpu" }));

determinism("strict parameters are the recorded ones, with 1, 2 and 4 threads", async () => {
  for (const threads of [1, 2, 4]) {
    assert.is(await trainWith(threads, "strict"), "79ddf904", `${threads} threads`);
  }
});

determinism("fast parameters do not depend on the number of threads", async () => {
  const one = await trainWith(1, "fast");
  assert.is(await trainWith(2, "fast"), one);
  assert.is(await trainWith(4, "fast"), one);
});

/** 4 steps in float64 of convolution, attention, dropout and a perceptron. */
function trainReference(): string {
  manualSeed(2026);
  const conv = new nn.Sequential(
    new nn.Conv2d(1, 4, 3),
    new nn.GELU(),
    new nn.MaxPool2d(2),
    new nn.Dropout(0.25),
    new nn.Flatten(),
    new nn.Linear(36, 16),
    new nn.Tanh(),
  );
  const attention = new nn.TransformerEncoderLayer(16, 2, {
    dimFeedforward: 24,
    dropout: 0.1,
    activation: "gelu",
  });
  const head = new nn.Sequential(new nn.Linear(16, 12), new nn.SiLU(), new nn.Linear(12, 5));
  const parameters = [conv, attention, head].flatMap((net) => [...net.parameters()]);
  const optimizer = new optim.AdamWScheduleFree(parameters, {
    lr: 0.01,
    warmupSteps: 3,
    weightDecay: 0.01,
    r: 0.5,
  });
  optimizer.train();
  for (let step = 0; step < 4; step++) {
    scope(() => {
      optimizer.zeroGrad();
      const x = rl.reshape(conv.forward(rl.randn([6, 1, 8, 8])), [2, 3, 16]);
      const turned = rl.rotaryEmbedding(x, { offset: step });
      const y = rl.reshape(head.forward(attention.forward(turned)), [6, 5]);
      crossEntropy(y, rl.randint(0, 5, [6])).backward();
      optimizer.step();
    });
  }
  optimizer.eval();
  const values = parameters.map((x) => x.dataSync());
  assert.instance(values[0], Float64Array);
  const result = fingerprint(values);
  optimizer.dispose();
  return result;
}

determinism("float64 parameters of the reference are the recorded ones", async () => {
  await init({ device: "reference" });
  assert.is(trainReference(), "7ee68c1a");
});

determinism.run();
