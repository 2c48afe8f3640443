/** Plays golden/1 training runs: models built from the file's `layers`. */
import type { DeviceName } from "../../src/index.ts";
import type { RunData } from "../../src/vectors/data.ts";
import { sourceOf } from "../../src/vectors/data.ts";
import type { FloatType } from "../../src/vectors/format.ts";
import { Unsupported } from "../../src/vectors/format.ts";
import { hashOf } from "../../src/vectors/hash.ts";
import type { OptimizerSpec } from "../../src/vectors/optimizers.ts";
import { runLater } from "../../src/vectors/reads.ts";
import type {
  SeenCheckpoint,
  TrainingModel,
  TrainingObserver,
  Values,
} from "../../src/vectors/training-run.ts";
import { runTraining } from "../../src/vectors/training-run.ts";
import type { Outcome } from "./compare.ts";
import { attempt, Comparison, deviceFor } from "./compare.ts";
import type { ImageData } from "./images.ts";
import { imageSource } from "./images.ts";

interface Checksum {
  name: string;
  sum: number;
  sum_sq: number;
  first: number[];
  last: number[];
}

interface RunningStatistics {
  name: string;
  running_mean: number[];
  running_var: number[];
}

interface Checkpoint {
  step: number;
  y: Checksum[];
  x: Checksum[];
  running_after_training?: RunningStatistics[];
  running_after_recalibration?: RunningStatistics[];
  test_loss: number;
  test_correct: number;
  test_count: number;
}

interface TraceCase {
  name: string;
  optimizer: OptimizerSpec;
  steps: number;
  float64_loss: number[];
  float32_loss: number[];
  float64_checkpoints: Checkpoint[];
  float32_checkpoints: Checkpoint[];
  f32_vs_f64_max_rel: { loss: number[]; checkpoints: { test_loss: number }[] };
  /** Ours alone: per step the hash of every parameter, in their order. */
  step_hashes?: Record<FloatType, string[][]>;
  rows_reversed_max_rel: Record<FloatType, { loss: number; test_loss: number }>;
}

export interface TraceFile {
  file: string;
  model: TrainingModel & { initial: Checksum[] };
  data: ImageData | RunData;
  cases: TraceCase[];
}

interface Limits {
  loss: number;
  testLoss: number;
  /** null: single weights are not compared. */
  checksum: number | null;
  correct: number;
}

/** golden README section 5. Convolutional traces in float32 amplify rounding: the files say how much. */
function limitsOf(file: TraceFile, golden: TraceCase, dtype: FloatType): Limits {
  const convolves = file.model.layers.some((layer) => layer.type === "conv2d");
  if (dtype === "float64") {
    return convolves
      ? { loss: 1e-10, testLoss: 1e-10, checksum: 1e-8, correct: 0 }
      : { loss: 1e-11, testLoss: 1e-11, checksum: 1e-9, correct: 0 };
  }
  if (!convolves) return { loss: 1e-5, testLoss: 1e-5, checksum: 3e-4, correct: 1 };
  const { f32_vs_f64_max_rel: drift, rows_reversed_max_rel: reversed } = golden;
  return {
    loss: 10 * Math.max(1e-6, reversed.float32.loss, ...drift.loss),
    testLoss:
      10 * Math.max(1e-6, reversed.float32.test_loss, ...drift.checkpoints.map((c) => c.test_loss)),
    checksum: null,
    correct: 10,
  };
}

export interface TraceOptions {
  device?: DeviceName;
  /** Stop after so many steps. Default: all. */
  steps?: number;
  /** Compare `step_hashes` too: where the very engine that recorded them plays. Default false. */
  hashes?: boolean;
}

/** Plays one case in one precision. */
export function playTrace(
  file: TraceFile,
  golden: TraceCase,
  dtype: FloatType,
  options: TraceOptions = {},
): Promise<Outcome> {
  return attempt(() => play(file, golden, dtype, options));
}

async function play(
  file: TraceFile,
  golden: TraceCase,
  dtype: FloatType,
  { device = deviceFor[dtype], steps = golden.steps, hashes = false }: TraceOptions,
): Promise<Outcome> {
  const { model, data } = file;
  if (!("images" in data || "text" in data || "x" in data)) {
    throw new Unsupported("data", `${file.file}: the data is neither images, rows nor text`);
  }
  const comparison = new Comparison();
  const limits = limitsOf(file, golden, dtype);
  const spec = {
    model,
    source: "images" in data ? await imageSource(data) : sourceOf(data),
    optimizer: golden.optimizer,
    steps: Math.min(steps, golden.steps),
    checkpoints: golden[`${dtype}_checkpoints`].map(({ step }) => step),
  };
  const observer: TrainingObserver = {
    everyStep: hashes,
    initial: (parameters) =>
      model.initial.forEach((sums) => {
        compareChecksum(comparison, "initial", parameters.get(sums.name)!, sums, 1e-12);
      }),
    step: (step, loss, parameters) => {
      const expected = golden[`${dtype}_loss`][step - 1];
      comparison.check(`loss of step ${step}`, loss, expected, 0, limits.loss);
      if (parameters === null) return;
      const found = [...parameters.values()].map(hashOf).join();
      const wanted = golden.step_hashes?.[dtype][step - 1].join();
      if (found !== wanted) comparison.fail(`step ${step}: hashes ${found}; expected ${wanted}`);
    },
    checkpoint: (seen) => {
      const expected = golden[`${dtype}_checkpoints`].find(({ step }) => step === seen.step)!;
      compareCheckpoint(comparison, seen, expected, limits);
    },
  };
  await runLater(device, runTraining(spec, dtype, observer));
  return comparison.outcome();
}

function compareCheckpoint(
  comparison: Comparison,
  seen: SeenCheckpoint,
  expected: Checkpoint,
  limits: Limits,
): void {
  const { checksum } = limits;
  if (checksum !== null) {
    for (const sequence of ["y", "x"] as const) {
      for (const sums of expected[sequence]) {
        const what = `step ${seen.step}, ${sequence}`;
        compareChecksum(comparison, what, seen[sequence].get(sums.name)!, sums, checksum);
      }
    }
    const compareRunning = (when: string, found: Values, lists: RunningStatistics[] = []): void => {
      for (const statistics of lists) {
        for (const kind of ["running_mean", "running_var"] as const) {
          const name = `${statistics.name}.${kind}`;
          const what = `step ${seen.step}, ${name} after ${when}`;
          compareList(comparison, what, found.get(name)!, statistics[kind], checksum);
        }
      }
    };
    compareRunning("training", seen.running, expected.running_after_training);
    const recalibrated = seen.recalibrated ?? seen.running;
    compareRunning("recalibration", recalibrated, expected.running_after_recalibration);
  }
  const at = `test after step ${seen.step}`;
  const { loss, correct } = seen.test;
  comparison.check(`${at}, loss`, loss, expected.test_loss, 0, limits.testLoss);
  if (Math.abs(correct - expected.test_correct) > limits.correct) {
    comparison.fail(`${at}: ${correct} correct; expected ${expected.test_correct}`);
  }
}

function compareList(
  comparison: Comparison,
  what: string,
  found: ArrayLike<number>,
  expected: readonly number[],
  tolerance: number,
): void {
  const scale = Math.max(...expected.map(Math.abs));
  expected.forEach((value, i) => {
    comparison.check(`${what}[${i}]`, found[i], value, scale, tolerance);
  });
}

function compareChecksum(
  comparison: Comparison,
  when: string,
  data: ArrayLike<number>,
  expected: Checksum,
  tolerance: number,
): void {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    sum += value;
    squares += value * value;
  }
  const what = `${when}: ${expected.name}`;
  const root = Math.sqrt(expected.sum_sq / data.length);
  const check = (name: string, found: number, wanted: number, scale: number): void =>
    comparison.check(`${what} ${name}`, found, wanted, scale, tolerance);
  check("sum", sum, expected.sum, Math.sqrt(data.length * expected.sum_sq));
  check("sum_sq", squares, expected.sum_sq, 0);
  expected.first.forEach((value, i) => check(`first[${i}]`, data[i], value, root));
  expected.last.forEach((value, i) =>
    check(`last[${i}]`, data[data.length - expected.last.length + i], value, root),
  );
}
