/** What `npm run iris` can be told. */
import { type Asked, CommandLine } from "../common/options.ts";

const help = `Classifies irises by a small network, tested by cross-validation.

Usage: npm run iris -- [options]

  --folds N                parts, each tested by training on the others (10)
  --epochs N               passes over the training flowers (50)
  --hidden N               width of the hidden layer (16)
  --lr X                   learning rate of AdamWScheduleFree (0.02)
  --batch-size N           flowers per step (16)
  --seed N                 same seed, same folds and weights to the bit (1)
  --device cpu|reference   reference: float64 in plain TypeScript, slow (cpu)
  -h, --help               show this`;

export interface Settings {
  readonly folds: number;
  readonly epochs: number;
  readonly hidden: number;
  readonly lr: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly device: "cpu" | "reference";
}

const names = "folds epochs hidden lr batch-size seed device".split(" ");

/** Throws UsageError. */
export function readSettings(args: string[]): Asked<Settings> {
  const line = new CommandLine(args, names);
  if (line.has("help")) return { help };
  return {
    folds: line.whole("folds", 10, 2, 50), // there are 50 flowers of each species
    epochs: line.whole("epochs", 50, 1),
    hidden: line.whole("hidden", 16, 1, 4096),
    lr: line.positive("lr", 0.02),
    batchSize: line.whole("batch-size", 16, 1, 150),
    seed: line.whole("seed", 1, 0),
    device: line.choice("device", ["cpu", "reference"]),
  };
}
