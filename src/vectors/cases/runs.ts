/** The training runs that `exportVectors` writes: small, with their data in the file. */
import type { TextData } from "../data.ts";
import type { OptimizerSpec } from "../optimizers.ts";
import type { RunSpec } from "../training-record.ts";

const by = (name: string, options: OptimizerSpec["options"]): OptimizerSpec => ({
  class: name,
  options,
});

const adamw = by("AdamWScheduleFree", { lr: 0.01, warmup_steps: 4, weight_decay: 0.01 });
const sgd = by("SGDScheduleFree", { lr: 0.25, warmup_steps: 4 });
const wrapped: OptimizerSpec = {
  ...by("ScheduleFreeWrapper", { momentum: 0.9 }),
  base: by("SGD", { lr: 0.1, momentum: 0.9 }),
};

const pooled = { kernel: [2, 2], stride: [2, 2] } as const;
const conv = (name: string, inputs: number, outputs: number, bias: boolean) =>
  ({
    type: "conv2d",
    name,
    in: inputs,
    out: outputs,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    groups: 1,
    bias,
  }) as const;

const verse =
  "a ship set out at dawn and sailed to where the sea was still. " +
  "a bird set out at noon and sailed to where the air was still. ";
const text: TextData = {
  text: verse + verse,
  vocabulary: [...new Set(verse)].sort().join(""),
  train_length: 186,
  batch_size: 4,
  block: 8,
  stride: 13,
  test_starts: [186, 195, 204, 213, 222, 231],
};

export const runs: readonly RunSpec[] = [
  {
    name: "mlp",
    layers: [
      { type: "linear", name: "fc1", in: 12, out: 16, bias: true },
      { type: "tanh" },
      { type: "linear", name: "fc2", in: 16, out: 16, bias: true },
      { type: "gelu", approximate: "none" },
      { type: "linear", name: "fc3", in: 16, out: 4, bias: true },
    ],
    data: { input: [12], classes: 4 },
    optimizers: [
      adamw,
      sgd,
      by("AdamWScheduleFreeClosure", { lr: 0.01 }),
      by("RAdamScheduleFree", { lr: 0.01 }),
      wrapped,
      by("SGD", { lr: 0.1, momentum: 0.9, nesterov: true }),
      by("Adam", { lr: 0.01 }),
    ],
  },
  {
    name: "cnn",
    layers: [
      conv("conv1", 1, 4, true),
      { type: "leaky_relu", negative_slope: 0.1 },
      { type: "max_pool2d", ...pooled },
      conv("conv2", 4, 6, true),
      { type: "silu" },
      { type: "avg_pool2d", ...pooled },
      { type: "flatten" },
      { type: "linear", name: "fc", in: 24, out: 3, bias: true },
    ],
    data: { input: [1, 8, 8], classes: 3, rows: 32 },
    optimizers: [adamw, sgd],
  },
  {
    name: "batch_norm_cnn",
    layers: [
      // Batch norm takes a bias away again: its gradient would be rounding alone.
      conv("conv1", 1, 4, false),
      { type: "batch_norm2d", name: "bn1", features: 4, eps: 1e-5, momentum: 0.1 },
      { type: "relu" },
      { type: "mean", dims: [2, 3] },
      { type: "linear", name: "fc", in: 4, out: 3, bias: true },
    ],
    data: { input: [1, 6, 6], classes: 3, rows: 32 },
    optimizers: [adamw, sgd],
  },
  {
    name: "transformer",
    layers: [
      {
        type: "transformer_lm",
        vocabulary: text.vocabulary.length,
        width: 8,
        heads: 2,
        blocks: 2,
        block_length: 8,
        mlp_width: 16,
        gelu: "tanh",
        eps: 1e-5,
      },
    ],
    data: text,
    optimizers: [adamw, sgd],
  },
];
