/**
 * Trains a network on the 60,000 images of MNIST: `npm run mnist`, or with `-- --help`.
 *
 * The default is the example that Schedule-Free's authors publish: the network below and
 * AdamWScheduleFree with lr 0.0025, which reach 98.7 % in one epoch. `-- --model bncnn` is a smaller
 * network with BatchNorm, which reaches 99 %. Press Ctrl-C at any time: as there is no schedule that
 * has to come to its end, the averaged weights x are ready to use then.
 */
import fs from "node:fs";
import {
  type ArrayDataset,
  crossEntropy,
  DataLoader,
  type Dataset,
  init,
  manualSeed,
  nn,
  noGrad,
  optim,
  recalibrateBatchNorm,
  saveSafetensorsAsync,
  type Tensor,
} from "roadless";
import { breathe, listenForCtrlC } from "./common/interrupt.ts";
import { formatCount, formatTime, print, Progress, strong } from "./common/progress.ts";
import { RecentLoss } from "./common/recent-loss.ts";
import { checkLoss, describeDevice, describeSize, formatSize, runExample } from "./common/run.ts";
import { loadMnist } from "./mnist/data.ts";
import { readSettings, type Settings } from "./mnist/options.ts";

type Optimizer = optim.AdamWScheduleFree | optim.SGDScheduleFree;

/** [n, 1, 28, 28] → [n, 10]. Layers are named as in PyTorch's MNIST example, and so are weights. */
class Cnn extends nn.Module {
  conv1 = new nn.Conv2d(1, 32, 3);
  conv2 = new nn.Conv2d(32, 64, 3);
  dropout1 = new nn.Dropout(0.25);
  dropout2 = new nn.Dropout(0.5);
  pool = new nn.MaxPool2d(2);
  fc1 = new nn.Linear(9216, 128);
  fc2 = new nn.Linear(128, 10);

  forward(x: Tensor): Tensor {
    x = this.conv1.forward(x).relu(); // [n, 32, 26, 26]
    x = this.conv2.forward(x).relu(); // [n, 64, 24, 24]
    x = this.dropout1.forward(this.pool.forward(x)); // [n, 64, 12, 12]
    x = this.fc1.forward(x.flatten(1)).relu(); // [n, 128]
    return this.fc2.forward(this.dropout2.forward(x));
  }
}

/** [n, 1, 28, 28] → [n, 10]: half the work of the one above, and a better result. */
class BatchNormCnn extends nn.Module {
  // BatchNorm subtracts the mean: a bias before it would have no effect.
  conv1 = new nn.Conv2d(1, 32, 3, { bias: false });
  bn1 = new nn.BatchNorm2d(32);
  conv2 = new nn.Conv2d(32, 64, 3, { bias: false });
  bn2 = new nn.BatchNorm2d(64);
  conv3 = new nn.Conv2d(64, 64, 3, { bias: false });
  bn3 = new nn.BatchNorm2d(64);
  pool = new nn.MaxPool2d(2);
  fc = new nn.Linear(1024, 10);

  forward(x: Tensor): Tensor {
    x = this.bn1.forward(this.conv1.forward(x)).relu(); // [n, 32, 26, 26]
    x = this.pool.forward(x); // [n, 32, 13, 13]
    x = this.bn2.forward(this.conv2.forward(x)).relu(); // [n, 64, 11, 11]
    x = this.bn3.forward(this.conv3.forward(x)).relu(); // [n, 64, 9, 9]
    return this.fc.forward(this.pool.forward(x).flatten(1)); // [n, 64 · 4 · 4] → [n, 10]
  }
}

function createModel(name: Settings["model"]): nn.Layer {
  switch (name) {
    case "cnn":
      return new Cnn();
    case "bncnn":
      return new BatchNormCnn();
    case "mlp":
      return new nn.Sequential(
        new nn.Flatten(),
        new nn.Linear(784, 128),
        new nn.ReLU(),
        new nn.Linear(128, 10),
      );
    case "linear":
      return new nn.Sequential(new nn.Flatten(), new nn.Linear(784, 10));
  }
}

function createOptimizer(model: nn.Module, { optimizer, lr, warmupSteps }: Settings): Optimizer {
  return optimizer === "adamw"
    ? new optim.AdamWScheduleFree(model.parameters(), { lr, warmupSteps })
    : new optim.SGDScheduleFree(model.parameters(), { lr, warmupSteps });
}

/** One epoch, or as much of it as there is time for until `stop` is aborted. Returns the steps done. */
async function trainEpoch(
  model: nn.Layer,
  optimizer: Optimizer,
  loader: DataLoader,
  label: string,
  stop: AbortSignal,
): Promise<number> {
  const images = loader.dataset.length;
  const progress = new Progress(label, images);
  let steps = 0;
  let seen = 0;
  const recentLoss = new RecentLoss();

  model.train();
  optimizer.train();
  for (const [x, y] of loader) {
    await breathe();
    if (stop.aborted || !Number.isFinite(recentLoss.mean)) break;

    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(x), y);
    loss.backward();
    optimizer.step();

    steps++;
    seen += x.shape[0];
    await recentLoss.add(loss);
    progress.update(
      seen,
      `${describe()}  ${formatTime(progress.seconds * (images / seen - 1))} left`,
    );
  }
  await recentLoss.settle();
  progress.stop(seen, `${describe()}  in ${formatTime(progress.seconds)}`);
  checkLoss(recentLoss.mean, steps, optimizer.paramGroups[0].lr);
  return steps;

  function describe(): string {
    if (steps === 0) return "no step";
    const rate = formatCount(seen / progress.seconds);
    return `loss ${recentLoss.mean.toFixed(4)}  ${rate} images/s`;
  }
}

/** The number of images that the model, with the weights x, classifies correctly. */
async function countCorrect(
  model: nn.Layer,
  optimizer: Optimizer,
  images: Dataset,
  seenInTraining: ArrayDataset,
  stop: AbortSignal,
): Promise<number> {
  const progress = new Progress("testing x", images.length, { brief: true });
  let correct = 0;
  let seen = 0;

  model.eval();
  optimizer.eval();
  // Training gathered BatchNorm's statistics at y. (A model without BatchNorm is left as it is.)
  const some = seenInTraining.take(Math.min(5000, seenInTraining.length));
  recalibrateBatchNorm(model, new DataLoader(some, { batchSize: 200 }));
  for (const [x, y] of new DataLoader(images, { batchSize: 200 })) {
    await breathe();
    progress.update(seen, stop.aborted ? "Ctrl-C again quits without saving" : "");
    correct += await noGrad(() => model.forward(x).argmax(1).eq(y).sum()).item();
    seen += x.shape[0];
  }
  progress.stop(seen, "");
  return correct;
}

async function main(settings: Settings): Promise<void> {
  const stop = listenForCtrlC();
  const { model: modelName, batchSize, epochs, seed, device, threads, precision } = settings;
  await init({ device, threads, precision });
  manualSeed(seed); // decides the initial weights, the order of the images, and dropout

  const trainSet = loadMnist("train").take(settings.limit);
  const testSet = loadMnist("t10k");
  const loader = new DataLoader(trainSet, { batchSize, shuffle: true });
  const model = createModel(modelName);
  const optimizer = createOptimizer(model, settings);

  print(
    `${modelName}, ${describeSize(model)}; ${optimizer.constructor.name}, ` +
      `lr ${settings.lr}, batch size ${batchSize}, seed ${seed}`,
  );
  print(
    `${formatCount(trainSet.length)} images to train, ${formatCount(testSet.length)} to test; ${describeDevice()}`,
  );

  let steps = 0;
  let epoch = 0;
  let accuracy: number;
  do {
    epoch++;
    steps += await trainEpoch(model, optimizer, loader, `epoch ${epoch}/${epochs}`, stop);
    const correct = await countCorrect(model, optimizer, testSet, trainSet, stop);
    accuracy = correct / testSet.length;
    print(
      `test accuracy at x ${strong(`${(100 * accuracy).toFixed(2)} %`)} ` +
        `(${formatCount(correct)} of ${formatCount(testSet.length)})`,
    );
  } while (epoch < epochs && !stop.aborted);
  if (steps === 0) print("stopped before the first step: x holds the initial weights");
  else if (steps < epochs * loader.length) {
    const n = formatCount(steps);
    print(`stopped after ${n} steps: Schedule-Free needs no stopping time, x is ready`);
  }

  // The optimizer is in eval mode: the parameters are x.
  await saveSafetensorsAsync(settings.output, await model.stateDictAsync(), {
    model: modelName,
    optimizer: optimizer.constructor.name,
    lr: String(settings.lr),
    batch_size: String(batchSize),
    seed: String(seed),
    steps: String(steps),
    epochs: String(steps / loader.length),
    accuracy: String(accuracy),
  });
  print(`saved ${settings.output} (${formatSize(fs.statSync(settings.output).size)})`);
  optimizer.dispose();
  model.dispose();
}

await runExample("mnist", readSettings, main);
