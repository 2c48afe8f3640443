/** What `npm run mnist` can be told. */
import { type Asked, CommandLine } from "../common/options.ts";

const help = `Trains a network on MNIST, Schedule-Free: no schedule, no stopping time.

Usage: npm run mnist -- [options]

  --model cnn|bncnn|mlp|linear
                           what to train (cnn); bncnn has BatchNorm
  --optimizer adamw|sgd    AdamWScheduleFree or SGDScheduleFree (adamw)
  --epochs N               passes over the training images (1)
  --lr X                   learning rate (adamw: 0.0025, sgd: 0.5)
  --warmup-steps N         steps in which the learning rate grows from 0 (0)
  --batch-size N           images per step (64)
  --seed N                 same seed, same weights to the bit (1)
  --limit N                train on the first N images only (60000)
  --output FILE            where the weights go (mnist-MODEL.safetensors)
  --device cpu|webgpu|reference
                           webgpu: the GPU, after npm install --no-save webgpu;
                           reference: float64 in plain TypeScript, slow (cpu)
  --threads N|auto         of the cpu device; auto: one per core (auto)
  --precision strict|fast  strict: the same bits on every machine (strict)
  -h, --help               show this

Press Ctrl-C whenever it is good enough: the averaged weights x are tested and
saved. Press it again to quit without saving.`;

export interface Settings {
  readonly model: "cnn" | "bncnn" | "mlp" | "linear";
  readonly optimizer: "adamw" | "sgd";
  readonly epochs: number;
  readonly lr: number;
  readonly warmupSteps: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly limit: number;
  readonly output: string;
  readonly device: "cpu" | "webgpu" | "reference";
  readonly threads: number | "auto";
  readonly precision: "strict" | "fast";
}

const names = (
  "model optimizer epochs lr warmup-steps batch-size " +
  "seed limit output device threads precision"
).split(" ");

/** Throws UsageError. */
export function readSettings(args: string[]): Asked<Settings> {
  const line = new CommandLine(args, names);
  if (line.has("help")) return { help };
  const model = line.choice("model", ["cnn", "bncnn", "mlp", "linear"]);
  const optimizer = line.choice("optimizer", ["adamw", "sgd"]);
  return {
    model,
    optimizer,
    epochs: line.whole("epochs", 1, 1),
    lr: line.positive("lr", optimizer === "adamw" ? 0.0025 : 0.5),
    warmupSteps: line.whole("warmup-steps", 0, 0),
    batchSize: line.whole("batch-size", 64, 1, 60_000),
    seed: line.whole("seed", 1, 0),
    limit: line.whole("limit", 60_000, 1, 60_000),
    output: line.writable("output", `mnist-${model}.safetensors`),
    device: line.choice("device", ["cpu", "webgpu", "reference"]),
    threads: line.threads(),
    precision: line.choice("precision", ["strict", "fast"]),
  };
}
