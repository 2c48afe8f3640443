/** Training steps: forward, backward and AdamWScheduleFree; how they grow; and what underflow does to them. */
import type { Row } from "../row.ts";
import type { Model, TrainWork } from "../work.ts";

const toy: Model = { name: "layers", sizes: [16, 32, 1], loss: "mse" };
const mlp: Model = { name: "layers", sizes: [784, 128, 10], loss: "cross" };
const lstm: Model = { name: "lstm", inputs: 64, hidden: 128, time: 64 };
const transformer: Model = {
  name: "transformer",
  width: 128,
  layers: 4,
  heads: 4,
  time: 128,
  vocabulary: 96,
};

export const toyWork: TrainWork = { kind: "train", model: toy, batch: 32 };
export const mlpWork: TrainWork = { kind: "train", model: mlp, batch: 64 };
export const cnnWork: TrainWork = { kind: "train", model: { name: "cnn" }, batch: 64 };

function row(name: string, work: TrainWork, unit: "ms" | "µs" = "ms"): Row {
  return {
    section: "training steps",
    name,
    work,
    unit,
    groups: ["roadless", "pytorch", "jax-js", "tfjs"],
  };
}

export const trainingRows: readonly Row[] = [
  row("16-32-1, batch 32", toyWork, "µs"),
  row("16-32-1, compiled", { ...toyWork, compiled: true }, "µs"),
  row("mlp 784-128-10, batch 64", mlpWork),
  row("mlp 784-128-10, compiled", { ...mlpWork, compiled: true }),
  row("mnist cnn, batch 64", cnnWork),
  row("batchnorm cnn, batch 64", { kind: "train", model: { name: "bncnn" }, batch: 64 }),
  row("lstm 64-128, T 64, batch 32", { kind: "train", model: lstm, batch: 32 }),
  row("transformer d128 L4 T128 b16", { kind: "train", model: transformer, batch: 16 }),
];

function growing(name: string, batch: number, sizes: readonly number[]): Row {
  const model: Model = { name: "layers", sizes, loss: "cross" };
  return {
    section: "growth",
    name,
    work: { kind: "train", model, batch },
    unit: "ms",
    groups: ["roadless", "pytorch"],
  };
}

const hidden = (layers: number, width: number): number[] => Array<number>(layers).fill(width);

export const growthRows: readonly Row[] = [
  ...[1, 4, 16, 64, 256, 1024].map((batch) =>
    growing(`256-256-256-10, batch ${batch}`, batch, [256, 256, 256, 10]),
  ),
  ...[32, 128, 512, 2048].map((width) =>
    growing(`batch 64, width ${width}`, 64, [256, width, width, 10]),
  ),
  ...[1, 4, 16, 64].map((depth) =>
    growing(`batch 64, depth ${depth}`, 64, [256, ...hidden(depth, 128), 10]),
  ),
];

function underflowing(name: string, underflow?: "input" | "loss"): Row {
  return {
    section: "denormals",
    name,
    work: { ...mlpWork, underflow },
    unit: "ms",
    groups: ["roadless", "pytorch"],
    against: underflow && "mlp, as usual",
  };
}

export const denormalRows: readonly Row[] = [
  underflowing("mlp, as usual"),
  underflowing("mlp, tiny input", "input"),
  underflowing("mlp, tiny loss", "loss"),
];
