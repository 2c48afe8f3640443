/** A network in training, which may be asked at any time what it makes of an image. */
import {
  type ArrayDataset,
  crossEntropy,
  DataLoader,
  encodeSafetensorsAsync,
  manualSeed,
  nn,
  noGrad,
  optim,
  scope,
  tensor,
  type TypedArray,
} from "roadless";
import { RecentLoss } from "../common/recent-loss.ts";

export type ModelName = "mlp" | "cnn";

const batchSize = 64;
/** Steps between two tests, and the images of each. */
const stepsPerTest = 100;
const tested = 2000;

/** [n, 1, 28, 28] → [n, 10] */
const models: Readonly<Record<ModelName, () => nn.Sequential>> = {
  mlp: () =>
    new nn.Sequential(
      new nn.Flatten(),
      new nn.Linear(784, 128),
      new nn.ReLU(),
      new nn.Linear(128, 10),
    ),
  cnn: () =>
    new nn.Sequential(
      new nn.Conv2d(1, 16, 3), // [n, 16, 26, 26]
      new nn.ReLU(),
      new nn.MaxPool2d(2), // [n, 16, 13, 13]
      new nn.Conv2d(16, 32, 3), // [n, 32, 11, 11]
      new nn.ReLU(),
      new nn.MaxPool2d(2), // [n, 32, 5, 5]
      new nn.Flatten(),
      new nn.Linear(800, 10),
    ),
};

/** Told what happens. */
export interface Watcher {
  stepped(steps: number, loss: number, imagesPerSecond: number): void;
  /** `accuracy` is at x, of so many images. */
  tested(steps: number, accuracy: number, images: number): void;
}

export class Training {
  readonly model: nn.Sequential;
  readonly optimizer: optim.AdamWScheduleFree;
  #steps = 0;

  /** On the default device. */
  constructor(name: ModelName) {
    manualSeed(1);
    this.model = models[name]();
    this.optimizer = new optim.AdamWScheduleFree(this.model.parameters(), { lr: 0.0025 });
    this.optimizer.train();
  }

  /** Epoch after epoch until `stop` is aborted, then a test with all of `testSet`. */
  async run(
    trainSet: ArrayDataset,
    testSet: ArrayDataset,
    stop: AbortSignal,
    watcher: Watcher,
  ): Promise<void> {
    const loader = new DataLoader(trainSet, { batchSize, shuffle: true });
    const loss = new RecentLoss();
    let seconds = 0; // in training steps
    let seen = 0;
    while (!stop.aborted) {
      for (const [x, y] of loader) {
        await rest();
        if (stop.aborted) break;
        const started = performance.now();
        this.optimizer.zeroGrad();
        const value = crossEntropy(this.model.forward(x), y);
        value.backward();
        this.optimizer.step();
        await loss.add(value);
        this.#steps++;
        seen += x.shape[0];
        seconds += (performance.now() - started) / 1000;
        watcher.stepped(this.#steps, loss.mean, seen / seconds);
        if (!Number.isFinite(loss.mean)) throw new Error(`the loss is ${loss.mean}`);
        if (this.#steps % stepsPerTest === 0) await this.#test(testSet.take(tested), watcher);
      }
    }
    await this.#test(testSet, watcher);
  }

  /** The likelihoods of the ten digits for an image of 28 × 28 pixels, with the weights x. */
  async classify(pixels: Float32Array): Promise<number[]> {
    let read: Promise<TypedArray>;
    const open = scope();
    try {
      const image = tensor(pixels, { shape: [1, 1, 28, 28] });
      const likelihoods = this.optimizer.withEval(() =>
        noGrad(() => this.model.forward(image).softmax(1)),
      );
      read = likelihoods.data();
    } finally {
      open.end(); // before anybody waits: training goes on meanwhile
    }
    return Array.from(await read);
  }

  /** A safetensors file with x. */
  async save(): Promise<Uint8Array> {
    this.optimizer.eval();
    const weights = this.model.stateDictAsync(); // as they are now
    this.optimizer.train();
    return encodeSafetensorsAsync(await weights, { steps: String(this.#steps) });
  }

  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }

  async #test(images: ArrayDataset, watcher: Watcher): Promise<void> {
    let correct = 0;
    for (const [x, y] of new DataLoader(images, { batchSize: 500 })) {
      const right = this.optimizer.withEval(() =>
        noGrad(() => this.model.forward(x).argmax(1).eq(y).sum()),
      );
      correct += await right.item();
      await rest();
    }
    watcher.tested(this.#steps, correct / images.length, images.length);
  }
}

let rested = 0;

/** Lets the page do what it has to, every 30 ms at most. */
async function rest(): Promise<void> {
  if (performance.now() - rested < 30) return;
  await new Promise((resolve) => setTimeout(resolve));
  rested = performance.now();
}
