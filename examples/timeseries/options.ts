/** What `npm run timeseries` can be told. */
import { type Asked, CommandLine } from "../common/options.ts";

const help = `Forecasts births per day by an LSTM, and compares with simpler ways.

Usage: npm run timeseries -- [options]

  --epochs N               passes over the training days (4)
  --hidden N               width of the LSTM (64)
  --lr X                   learning rate of AdamWScheduleFree (0.01)
  --batch-size N           stretches of eight weeks per step (32)
  --seed N                 same seed, same weights to the bit (1)
  --limit N                train on the last N training days only (all)
  --device cpu|webgpu|reference
                           webgpu: the GPU, after npm install --no-save webgpu;
                           reference: float64 in plain TypeScript, slow (cpu)
  --threads N|auto         of the cpu device; auto: one per core (auto)
  --precision strict|fast  strict: the same bits on every machine (strict)
  -h, --help               show this

Press Ctrl-C whenever it is good enough: the averaged weights x are tested.`;

export interface Settings {
  readonly epochs: number;
  readonly hidden: number;
  readonly lr: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly limit: number;
  readonly device: "cpu" | "webgpu" | "reference";
  readonly threads: number | "auto";
  readonly precision: "strict" | "fast";
}

const names = "epochs hidden lr batch-size seed limit device threads precision".split(" ");

/** Throws UsageError. */
export function readSettings(args: string[]): Asked<Settings> {
  const line = new CommandLine(args, names);
  if (line.has("help")) return { help };
  return {
    epochs: line.whole("epochs", 4, 1),
    hidden: line.whole("hidden", 64, 1, 4096),
    lr: line.positive("lr", 0.01),
    batchSize: line.whole("batch-size", 32, 1, 4096),
    seed: line.whole("seed", 1, 0),
    limit: line.whole("limit", 10_000, 1),
    device: line.choice("device", ["cpu", "webgpu", "reference"]),
    threads: line.threads(),
    precision: line.choice("precision", ["strict", "fast"]),
  };
}
