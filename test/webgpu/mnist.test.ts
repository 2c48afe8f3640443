/** MNIST on device "webgpu": from the CPU's weights, with its dropout masks, to its accuracy. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dataset, DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, withDevice } from "../../src/index.ts";
import type { ImageData } from "../golden/images.ts";
import { mnist } from "../golden/mnist.ts";
import { readGolden } from "../golden/play.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const learning = suite("webgpu mnist");

if (unavailable !== null) learning.skip("every test", unavailable);

const vectors: object = await readGolden("test/golden/vectors/traces/mnist_linear.json");
const { sha256 } = (vectors as { data: ImageData }).data;

const models: Readonly<Record<string, () => nn.Sequential>> = {
  MLP: () =>
    new nn.Sequential(
      new nn.Flatten(),
      new nn.Linear(784, 32),
      new nn.ReLU(),
      new nn.Dropout(0.2),
      new nn.Linear(32, 10),
    ),
  CNN: () =>
    new nn.Sequential(
      new nn.Conv2d(1, 8, 5, { stride: 2, bias: false }), // [n, 8, 12, 12]
      new nn.BatchNorm2d(8),
      new nn.ReLU(),
      new nn.MaxPool2d(2), // [n, 8, 6, 6]
      new nn.Dropout(0.2),
      new nn.Flatten(),
      new nn.Linear(288, 10),
    ),
};

const BATCH = 32;
const STEPS = 60;
const TESTED = 400;

interface Outcome {
  initial: number[];
  losses: number[];
  /** Correct among the first images of the test set, at x. */
  correct: number;
}

function images(dataset: Dataset, first: number, count: number): [Tensor, Tensor] {
  const [x, y] = dataset.batch(Int32Array.from({ length: count }, (_, i) => first + i));
  return [rl.tensor(x.data, { shape: [...x.shape] }), rl.tensor(y.data)];
}

async function train(name: string, device: DeviceName): Promise<Outcome> {
  const training = await mnist("train", sha256);
  const testing = await mnist("t10k", sha256);
  rl.manualSeed(11);
  const open = scope();
  const model = withDevice(device, models[name]);
  const initial = await valuesOf(model);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01 });
  optimizer.train();
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const inner = scope();
    const loss = withDevice(device, () => {
      const [x, y] = images(training, step * BATCH, BATCH);
      optimizer.zeroGrad();
      const made = rl.crossEntropy(model.forward(x), y);
      made.backward();
      optimizer.step();
      return made;
    });
    losses.push(await loss.item());
    inner.end();
  }
  optimizer.eval();
  // BatchNorm's statistics are of y; those of x come from batches in train mode.
  const correct = withDevice(device, () =>
    rl.noGrad(() => {
      if (name === "CNN") {
        rl.recalibrateBatchNorm(model, [images(training, 0, 10 * BATCH)[0]]);
      }
      model.eval();
      const [x, y] = images(testing, 0, TESTED);
      return rl.sum(rl.eq(rl.argmax(model.forward(x), 1), y));
    }),
  );
  const outcome = { initial, losses, correct: await correct.item() };
  open.end();
  optimizer.dispose();
  model.dispose();
  return outcome;
}

async function valuesOf(model: nn.Module): Promise<number[]> {
  const values: number[] = [];
  for (const parameter of model.parameters()) values.push(...(await parameter.data()));
  return values;
}

/** How near losses are to the CPU's. With halves (docs/webgpu.md) they differ from the first step on. */
const near = { strict: 1e-4, fast: 5e-2 } as const;

for (const name of unavailable === null ? Object.keys(models) : []) {
  let onCpu: Outcome | undefined;
  for (const precision of ["strict", "fast"] as const) {
    learning(
      `a ${name} starts as on the CPU, follows it, and classifies as well, ${precision}`,
      async () => {
        await startWebGpu(precision);
        const found = await train(name, "webgpu");
        const expected = (onCpu ??= await train(name, "cpu"));
        assert.equal(found.initial, expected.initial);
        // Every step draws another dropout mask: one that differed would be seen at once.
        found.losses.forEach((loss, step) => {
          const error = Math.abs(loss / expected.losses[step] - 1);
          assert.ok(error < near[precision], `loss ${step + 1} is off by ${error}`);
        });
        const { correct } = found;
        const text = `${correct} of ${TESTED} on webgpu, ${expected.correct} on cpu`;
        assert.ok(expected.correct > 0.8 * TESTED, text);
        assert.ok(correct >= expected.correct - 0.01 * TESTED, text);
      },
    );
  }
}

learning.after(stopWebGpu);

learning.run();
