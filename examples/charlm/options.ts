/** What `npm run charlm` can be told. */
import { type Asked, CommandLine, UsageError } from "../common/options.ts";
import type { Size } from "./model.ts";
import type { Taste } from "./write.ts";

const help = `Trains a transformer on the characters of Moby Dick, and lets it write.

Usage: npm run charlm -- [options]

  --steps N                training steps (1000)
  --context N              characters that it sees at once (64)
  --width N                of the transformer (128)
  --heads N                of its attention (4)
  --layers N               of it (3)
  --lr X                   learning rate of AdamWScheduleFree (0.01)
  --batch-size N           stretches of text per step (16)
  --output FILE            where the weights go (charlm.safetensors)
  --load FILE              do not train: take the weights from there
  --prompt TEXT            what it has to continue ("The whale ")
  --length N               characters to write (500)
  --temperature X          below 1: tamer, above 1: wilder (0.8)
  --top-k N                choose among the N likeliest characters only (20)
  --seed N                 same seed, same weights to the bit, same text (1)
  --device cpu|webgpu|reference
                           webgpu: the GPU, after npm install --no-save webgpu;
                           reference: float64 in plain TypeScript, slow (cpu)
  --threads N|auto         of the cpu device; auto: one per core (auto)
  --precision strict|fast  strict: the same bits on every machine (strict)
  -h, --help               show this

Press Ctrl-C whenever it is good enough: the averaged weights x are tested and
saved, and write. Press it again to quit.`;

export interface Settings {
  readonly steps: number;
  readonly size: Size;
  readonly lr: number;
  readonly batchSize: number;
  readonly output: string;
  readonly load: string | undefined;
  readonly prompt: string;
  readonly length: number;
  readonly taste: Taste;
  readonly seed: number;
  readonly device: "cpu" | "webgpu" | "reference";
  readonly threads: number | "auto";
  readonly precision: "strict" | "fast";
}

/** What only training asks for. */
const training = "steps context width heads layers lr batch-size output".split(" ");
const others = "load prompt length temperature top-k seed device threads precision".split(" ");

/** Throws UsageError. */
export function readSettings(args: string[]): Asked<Settings> {
  const line = new CommandLine(args, [...training, ...others]);
  if (line.has("help")) return { help };
  const load = line.readable("load");
  const useless = training.find((name) => load !== undefined && line.has(name));
  if (useless !== undefined) {
    throw new UsageError(`--${useless} is for training; with --load there is none`);
  }
  const settings = {
    steps: line.whole("steps", 1000, 1),
    size: {
      context: line.whole("context", 64, 1, 4096),
      width: line.whole("width", 128, 1, 4096),
      heads: line.whole("heads", 4, 1, 64),
      layers: line.whole("layers", 3, 1, 64),
    },
    lr: line.positive("lr", 0.01),
    batchSize: line.whole("batch-size", 16, 1, 4096),
    output: line.writable("output", "charlm.safetensors"),
    load,
    prompt: line.text("prompt", "The whale "),
    length: line.whole("length", 500, 0),
    taste: { temperature: line.positive("temperature", 0.8), topK: line.whole("top-k", 20, 1) },
    seed: line.whole("seed", 1, 0),
    device: line.choice("device", ["cpu", "webgpu", "reference"]),
    threads: line.threads(),
    precision: line.choice("precision", ["strict", "fast"]),
  };
  if (settings.prompt === "") throw new UsageError('--prompt is ""; expected some text');
  const { width, heads } = settings.size;
  if (width % heads !== 0) {
    throw new UsageError(`--width is ${width}; expected a multiple of --heads, which is ${heads}`);
  }
  return settings;
}
