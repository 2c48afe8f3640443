/** What is measured. Amounts count the arithmetic of the mathematics, not of the algorithm. */
import type { Tensor } from "roadless";
import {
  add,
  batchNorm,
  conv2d,
  crossEntropy,
  keep,
  layerNorm,
  matmul,
  mseLoss,
  nn,
  noGrad,
  optim,
  rand,
  randint,
  relu,
  scope,
  squeeze,
} from "roadless";
import type { Workload } from "./measure.ts";

const release =
  (...tensors: Tensor[]) =>
  (): void =>
    tensors.forEach((x) => x.dispose());

function gemm(m: number, n: number, k: number, form: "nn" | "nt" | "tn"): Workload {
  return {
    name: `gemm ${form} ${m}x${n}x${k}`,
    unit: "GFLOP/s",
    amount: 2 * m * n * k,
    prepare() {
      const a = form === "tn" ? rand([k, m]) : rand([m, k]);
      const b = form === "nt" ? rand([n, k]) : rand([k, n]);
      const left = form === "tn" ? a.transpose(0, 1) : a;
      const right = form === "nt" ? b.transpose(0, 1) : b;
      return { run: () => void matmul(left, right), release: release(a, b) };
    },
  };
}

/** x [n, c, h, w] by o kernels of size k, stride 1. */
function conv(name: string, [n, c, h, w]: number[], o: number, k: number): Workload {
  const flops = 2 * n * o * (h - k + 1) * (w - k + 1) * c * k * k;
  return {
    name: `conv ${name} forward + backward`,
    unit: "GFLOP/s",
    amount: 3 * flops,
    prepare() {
      const x = rand([n, c, h, w], { low: -1, high: 1, requiresGrad: true });
      const weight = rand([o, c, k, k], { low: -1, high: 1, requiresGrad: true });
      const ones = rand([n, o, h - k + 1, w - k + 1]);
      return {
        run() {
          conv2d(x, weight).backward(ones);
          for (const leaf of [x, weight]) {
            leaf.grad?.dispose();
            leaf.grad = null;
          }
        },
        release: release(x, weight, ones),
      };
    },
  };
}

/** Forward and backward with gradients of the input, weight and bias of a normalisation. */
function normalisation(
  name: string,
  shape: readonly number[],
  channels: number,
  f: (x: Tensor, weight: Tensor, bias: Tensor) => Tensor,
): Workload {
  return {
    name: `${name} forward + backward`,
    // x and dy are read, y and dx written: the least that two passes can do.
    unit: "GB/s",
    amount: 16 * shape.reduce((product, extent) => product * extent, 1),
    prepare() {
      const leaves = [shape, [channels], [channels]].map((extents) =>
        rand(extents, { low: -1, high: 1, requiresGrad: true }),
      );
      const [x, weight, bias] = leaves;
      const dy = rand(shape);
      return {
        run() {
          f(x, weight, bias).backward(dy);
          for (const leaf of leaves) {
            leaf.grad?.dispose();
            leaf.grad = null;
          }
        },
        release: release(...leaves, dy),
      };
    },
  };
}

const sizes = [
  [1e3, "1k"],
  [1e5, "100k"],
  [1e6, "1M"],
  [1e7, "10M"],
] as const;

/** a += b: two reads and a write per element, as in STREAM's triad; the limit for fused steps. */
function triad(elements: number, label: string): Workload {
  return {
    name: `triad, ${label}`,
    unit: "GB/s",
    amount: 12 * elements,
    prepare() {
      // A gradient that arrives twice is added in place: the plainest way to a triad in the API.
      const x = keep(rand([elements], { requiresGrad: true }));
      const ones = keep(rand([elements]));
      scope(() => x.backward(ones));
      return {
        run: () => x.backward(ones),
        release: release(x, ones),
      };
    },
  };
}

/** An optimizer's step as the benchmark calls it. */
type Step = (x: Tensor) => { step: () => void; dispose: () => void };

const scheduleFree =
  (
    name: "AdamWScheduleFree" | "AdamWScheduleFreePaper" | "SGDScheduleFree" | "RAdamScheduleFree",
  ): Step =>
  (x) => {
    const optimizer = new optim[name]([x], { lr: 0.001 });
    optimizer.train();
    return { step: () => void optimizer.step(), dispose: () => optimizer.dispose() };
  };

const adamc: Step = (x) => {
  const optimizer = new optim.AdamCScheduleFreePlusPaper([x]);
  optimizer.train();
  return { step: () => void optimizer.step(1), dispose: () => optimizer.dispose() };
};

const wrapper: Step = (x) => {
  const optimizer = new optim.ScheduleFreeWrapper(new optim.RMSprop([x], { lr: 0.001 }));
  optimizer.train();
  return { step: () => void optimizer.step(), dispose: () => optimizer.dispose() };
};

const base =
  (name: "SGD" | "Adam" | "AdamW" | "RMSprop" | "Adagrad" | "RAdam" | "Lion", options = {}): Step =>
  (x) => {
    const optimizer = new optim[name]([x], { lr: 0.001, ...options });
    return { step: () => void optimizer.step(), dispose: () => optimizer.dispose() };
  };

/** Every fused class, with the floats that a step must read and write per parameter. */
const fused: [name: string, floats: number, make: Step][] = [
  ["AdamWScheduleFree", 7, scheduleFree("AdamWScheduleFree")],
  ["AdamWScheduleFreePaper", 7, scheduleFree("AdamWScheduleFreePaper")],
  ["RAdamScheduleFree", 7, scheduleFree("RAdamScheduleFree")],
  ["AdamCScheduleFreePlusPaper", 9, adamc],
  ["ScheduleFreeWrapper(RMSprop)", 7, wrapper],
  ["SGDScheduleFree", 5, scheduleFree("SGDScheduleFree")],
  ["SGD, momentum", 5, base("SGD", { momentum: 0.9 })],
  ["Adam", 7, base("Adam")],
  ["AdamW", 7, base("AdamW")],
  ["RMSprop", 5, base("RMSprop")],
  ["Adagrad", 5, base("Adagrad")],
  ["RAdam", 7, base("RAdam")],
  ["Lion", 5, base("Lion")],
];

function fusedStep(
  [name, floats, make]: (typeof fused)[number],
  parameters: number,
  label: string,
): Workload {
  return {
    name: `${name} step, ${label}`,
    unit: "GB/s",
    amount: 4 * floats * parameters,
    against: `triad, ${label}`,
    prepare() {
      const x = keep(rand([parameters], { low: -1, high: 1, requiresGrad: true }));
      const { step, dispose } = make(x);
      scope(() => x.mul(0.1).sum().backward());
      return {
        run: step,
        release() {
          dispose();
          x.dispose();
        },
      };
    },
  };
}

function trainingStep(
  name: string,
  model: () => nn.Layer,
  shape: readonly number[],
  classes: number | null,
): Workload {
  return {
    name: `train ${name}`,
    unit: "steps/s",
    prepare() {
      const net = model();
      const optimizer = new optim.AdamWScheduleFree(net.parameters(), { lr: 0.0025 });
      net.train();
      optimizer.train();
      const x = rand(shape);
      const y = classes === null ? rand([shape[0], 1]) : randint(0, classes, [shape[0]]);
      return {
        run() {
          optimizer.zeroGrad();
          const output = net.forward(x);
          const loss = classes === null ? mseLoss(output, y) : crossEntropy(output, y);
          loss.backward();
          optimizer.step();
        },
        release() {
          optimizer.dispose();
          net.dispose();
          release(x, y)();
        },
      };
    },
  };
}

function recording(name: string, record: boolean): Workload {
  const count = 200;
  return {
    name,
    unit: "ns/op",
    amount: count,
    prepare() {
      const x = rand([8], { requiresGrad: true });
      const chain = (): void => {
        let y = x;
        for (let i = 0; i < count / 2; i++) y = relu(add(y, x));
      };
      return { run: record ? chain : () => void noGrad(chain), release: release(x) };
    },
  };
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

const layers = (...sizes: number[]): nn.Layer =>
  new nn.Sequential(
    ...sizes.slice(1).flatMap((size, i) => {
      const layer = new nn.Linear(sizes[i], size);
      return i + 2 === sizes.length ? [layer] : [layer, new nn.ReLU()];
    }),
  );

/** The last output of a recurrent layer over [batch, time, in], classified. */
class LastOutput extends nn.Module implements nn.Layer {
  readonly recurrent: nn.LSTM | nn.GRU;
  readonly head: nn.Linear;

  constructor(recurrent: nn.LSTM | nn.GRU, classes: number) {
    super();
    this.recurrent = recurrent;
    this.head = new nn.Linear(recurrent.hiddenSize, classes);
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(squeeze(this.recurrent.forward(x).h, 0));
  }
}

const recurrentSteps = ([nn.LSTM, nn.GRU] as const).map((Kind) =>
  trainingStep(
    `${Kind.name.toLowerCase()} 64-128, time 64, batch 32`,
    () => new LastOutput(new Kind(64, 128, { batchFirst: true }), 10),
    [32, 64, 64],
    10,
  ),
);

export const workloads: readonly Workload[] = [
  ...[16, 32, 64, 128, 256, 512, 1024].map((n) => gemm(n, n, n, "nn")),
  gemm(64, 128, 9216, "nt"),
  gemm(128, 9216, 64, "tn"),
  gemm(64, 9216, 128, "nn"),
  gemm(64, 128, 784, "nt"),
  conv("1-32 3x3 28x28 batch 64", [64, 1, 28, 28], 32, 3),
  conv("32-64 3x3 26x26 batch 64", [64, 32, 26, 26], 64, 3),
  conv("64-64 1x1 14x14 batch 16", [16, 64, 14, 14], 64, 1),
  normalisation("layerNorm 4096x256", [4096, 256], 256, (x, weight, bias) =>
    layerNorm(x, 256, { weight, bias }),
  ),
  normalisation("batchNorm 64x32x26x26", [64, 32, 26, 26], 32, (x, weight, bias) =>
    batchNorm(x, { weight, bias, training: true }),
  ),
  ...sizes.map(([elements, label]) => triad(elements, label)),
  ...fused.flatMap((row) => sizes.map(([parameters, label]) => fusedStep(row, parameters, label))),
  trainingStep("mnist cnn, batch 64", cnn, [64, 1, 28, 28], 10),
  trainingStep("mlp 784-128-10, batch 64", () => layers(784, 128, 10), [64, 784], 10),
  trainingStep("toy 16-32-1, batch 32", () => layers(16, 32, 1), [32, 16], null),
  ...recurrentSteps,
  recording("an operation, recorded", true),
  recording("an operation, noGrad", false),
];
