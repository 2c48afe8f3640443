/** The training steps of roadless, written as a user writes them. */
import * as roadless from "roadless";
import { arange, crossEntropy, mseLoss, nn, optim, rand, randint, scope } from "roadless";
import type { Tensor } from "roadless";
import { underflowScale } from "../work.ts";
import type { Model, TrainWork } from "../work.ts";
import type { Prepared } from "./serve.ts";

type Compile = <Args extends unknown[]>(
  step: (...args: Args) => unknown,
) => (...args: Args) => void;

export function trainingStep({ model, batch, compiled, underflow }: TrainWork): Prepared {
  const net = createModel(model);
  const optimizer = new optim.AdamWScheduleFree(net.parameters(), { lr: 0.0025 });
  net.train();
  optimizer.train();
  const { x, y } = data(model, batch, underflow === "input" ? underflowScale : 1);
  const lossOf = model.name === "layers" && model.loss === "mse" ? mseLoss : crossEntropy;

  const step = (input: Tensor, target: Tensor): void => {
    optimizer.zeroGrad();
    const output = net.forward(input);
    const flat = model.name === "transformer" ? output.reshape([-1, model.vocabulary]) : output;
    const loss = lossOf(flat, target);
    (underflow === "loss" ? loss.mul(underflowScale) : loss).backward();
    optimizer.step();
  };
  const run = compiled ? compile(step) : step;
  return {
    run: () => scope(() => void run(x, y)),
    release() {
      optimizer.dispose();
      net.dispose();
      x.dispose();
      y.dispose();
    },
  };
}

function compile(step: (x: Tensor, y: Tensor) => void): (x: Tensor, y: Tensor) => void {
  const { compile: found } = roadless as { compile?: Compile };
  if (found === undefined) throw new Error("this version has no compile()");
  return found(step);
}

function data(model: Model, batch: number, scale: number): { x: Tensor; y: Tensor } {
  switch (model.name) {
    case "layers": {
      const x = rand([batch, model.sizes[0]], { high: scale });
      const outputs = model.sizes.at(-1)!;
      return { x, y: model.loss === "mse" ? rand([batch, outputs]) : randint(0, outputs, [batch]) };
    }
    case "cnn":
    case "bncnn":
      return { x: rand([batch, 1, 28, 28], { high: scale }), y: randint(0, 10, [batch]) };
    case "lstm":
      return {
        x: rand([batch, model.time, model.inputs], { high: scale }),
        y: randint(0, 10, [batch]),
      };
    case "transformer":
      return {
        x: randint(0, model.vocabulary, [batch, model.time]),
        y: randint(0, model.vocabulary, [batch * model.time]),
      };
  }
}

function createModel(model: Model): nn.Layer {
  switch (model.name) {
    case "layers":
      return new nn.Sequential(
        ...model.sizes.slice(1).flatMap((size, i) => {
          const layer = new nn.Linear(model.sizes[i], size);
          return i + 2 === model.sizes.length ? [layer] : [layer, new nn.ReLU()];
        }),
      );
    case "cnn":
      return cnn();
    case "bncnn":
      return batchNormCnn();
    case "lstm":
      return new LastOutput(model);
    case "transformer":
      return new Transformer(model);
  }
}

const cnn = (): nn.Layer =>
  new nn.Sequential(
    new nn.Conv2d(1, 32, 3),
    new nn.ReLU(),
    new nn.Conv2d(32, 64, 3),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Dropout(0.25),
    new nn.Flatten(),
    new nn.Linear(9216, 128),
    new nn.ReLU(),
    new nn.Dropout(0.5),
    new nn.Linear(128, 10),
  );

function batchNormCnn(): nn.Layer {
  const block = (c: number, o: number): nn.Layer[] => [
    new nn.Conv2d(c, o, 3, { bias: false }),
    new nn.BatchNorm2d(o),
    new nn.ReLU(),
  ];
  return new nn.Sequential(
    ...block(1, 32),
    new nn.MaxPool2d(2),
    ...block(32, 64),
    ...block(64, 64),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Linear(1024, 10),
  );
}

class LastOutput extends nn.Module implements nn.Layer {
  readonly lstm: nn.LSTM;
  readonly head: nn.Linear;

  constructor({ inputs, hidden }: Extract<Model, { name: "lstm" }>) {
    super();
    this.lstm = new nn.LSTM(inputs, hidden, { batchFirst: true });
    this.head = new nn.Linear(hidden, 10);
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(roadless.squeeze(this.lstm.forward(x).h, 0));
  }
}

class Transformer extends nn.Module implements nn.Layer {
  readonly characters: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly blocks: nn.ModuleList<nn.TransformerEncoderLayer>;
  readonly norm: nn.LayerNorm;
  readonly head: nn.Linear;

  constructor({ width, layers, heads, time, vocabulary }: Extract<Model, { name: "transformer" }>) {
    super();
    this.characters = new nn.Embedding(vocabulary, width);
    this.positions = new nn.Embedding(time, width);
    this.blocks = new nn.ModuleList();
    for (let i = 0; i < layers; i++) {
      const block = new nn.TransformerEncoderLayer(width, heads, {
        dimFeedforward: 4 * width,
        activation: "gelu",
        dropout: 0,
        batchFirst: true,
        normFirst: true,
      });
      this.blocks.append(block);
    }
    this.norm = new nn.LayerNorm(width);
    this.head = new nn.Linear(width, vocabulary);
  }

  forward(x: Tensor): Tensor {
    let y = this.characters.forward(x).add(this.positions.forward(arange(x.shape[1])));
    for (const block of this.blocks) y = block.forward(y, { isCausal: true });
    return this.head.forward(this.norm.forward(y));
  }
}
