/** Records whole training runs on the reference: golden/1 traces, with the hash of every step. */
import type { RowData, RunData, Source } from "./data.ts";
import { reversed, sourceOf } from "./data.ts";
import { Draw } from "./draw.ts";
import type { FloatType } from "./format.ts";
import { hashOf } from "./hash.ts";
import type { LayerSpec } from "./model.ts";
import { parametersOf } from "./model.ts";
import type { OptimizerSpec } from "./optimizers.ts";
import { runNow } from "./reads.ts";
import type { SeenCheckpoint, TrainingObserver, TrainingSpec, Values } from "./training-run.ts";
import { runTraining } from "./training-run.ts";

/** Data that is made up: classes that are noisy copies of a pattern each. */
export interface MadeData {
  /** The shape of one example. */
  readonly input: readonly number[];
  readonly classes: number;
  /** Examples, a quarter of them for testing. Default 64. */
  readonly rows?: number;
  /** Default 8. */
  readonly batch_size?: number;
}

/** A model, its data, and what trains it. */
export interface RunSpec {
  /** The file is `traces/name`. */
  readonly name: string;
  /** As in golden/1: `{ type: "linear", name: "fc", in: 8, out: 3, bias: true }`. The loss is cross entropy. */
  readonly layers: readonly LayerSpec[];
  readonly data: RunData | MadeData;
  /** One run each; names and options as upstream has them (snake case). */
  readonly optimizers: readonly OptimizerSpec[];
  /** Default 20. */
  readonly steps?: number;
  /** After which steps the model is evaluated. Default: the middle and the end. */
  readonly checkpoints?: readonly number[];
}

interface Recorded {
  losses: number[];
  hashes: string[][];
  checkpoints: SeenCheckpoint[];
  initial: Values;
}

const types = ["float64", "float32"] as const;

/** What stands in a trace file beside its cases. */
export interface TraceHead {
  readonly model: object;
  readonly data: RunData;
}

/** The model and the data of a run's file. */
export function traceHead(run: RunSpec, seed: number): TraceHead {
  const parameters = parametersOf(run.layers);
  const data = "input" in run.data ? madeRows(run.data, new Draw(seed, run.name)) : run.data;
  const model = { layers: run.layers, loss: "mean cross entropy of the logits", parameters, seed };
  const spec = specOf(run, { model, data }, run.optimizers[0], seed);
  const { initial } = train({ ...spec, steps: 0 }, "float64", spec.source);
  return { model: { ...model, initial: checksums(initial) }, data };
}

/** One run in both types: losses, hashes, checkpoints, and how far rounding alone takes it. */
export function recordRun(
  run: RunSpec,
  head: TraceHead,
  optimizer: OptimizerSpec,
  seed: number,
): { readonly name: string } {
  const spec = specOf(run, head, optimizer, seed);
  const [double, single] = types.map((dtype) => train(spec, dtype, spec.source));
  const backwards = types.map((dtype) => train(spec, dtype, reversed(spec.source)));
  return {
    name: `${run.name}/${optimizer.class}`,
    optimizer,
    steps: spec.steps,
    float64_loss: double.losses,
    float32_loss: single.losses.map(Math.fround),
    step_hashes: { float64: double.hashes, float32: single.hashes },
    float64_checkpoints: double.checkpoints.map(checkpointOf),
    float32_checkpoints: single.checkpoints.map(checkpointOf),
    f32_vs_f64_max_rel: drift(single, double),
    rows_reversed_max_rel: {
      float64: summary(drift(backwards[0], double)),
      float32: summary(drift(backwards[1], single)),
    },
  } as { name: string };
}

function specOf(
  run: RunSpec,
  head: TraceHead,
  optimizer: OptimizerSpec,
  seed: number,
): TrainingSpec {
  const { steps = 20 } = run;
  const checkpoints = run.checkpoints ?? [Math.ceil(steps / 2), steps];
  const model = { layers: run.layers, parameters: parametersOf(run.layers), seed };
  return { model, source: sourceOf(head.data), optimizer, steps, checkpoints };
}

function train(spec: TrainingSpec, dtype: FloatType, source: Source): Recorded {
  const seen: Recorded = { losses: [], hashes: [], checkpoints: [], initial: new Map() };
  const observer: TrainingObserver = {
    everyStep: true,
    initial: (parameters) => {
      seen.initial = parameters;
    },
    step: (_, loss, parameters) => {
      seen.losses.push(loss);
      seen.hashes.push([...parameters!.values()].map(hashOf));
    },
    checkpoint: (checkpoint) => {
      seen.checkpoints.push(checkpoint);
    },
  };
  runNow("reference", runTraining({ ...spec, source }, dtype, observer));
  return seen;
}

function checkpointOf({ step, y, x, running, recalibrated, test }: SeenCheckpoint): object {
  return {
    step,
    y: checksums(y),
    x: checksums(x),
    running_after_training: running.size === 0 ? undefined : statistics(running),
    running_after_recalibration: recalibrated === null ? undefined : statistics(recalibrated),
    test_loss: test.loss,
    test_correct: test.correct,
    test_count: test.count,
    test_accuracy: test.correct / test.count,
  };
}

function checksums(values: Values): object[] {
  return [...values].map(([name, data]) => {
    const list = Array.from(data);
    return {
      name,
      sum: list.reduce((sum, value) => sum + value, 0),
      sum_sq: list.reduce((sum, value) => sum + value * value, 0),
      first: list.slice(0, 4),
      last: list.slice(-4),
    };
  });
}

function statistics(values: Values): object[] {
  const names = new Set([...values.keys()].map((name) => name.replace(/\.running_\w+$/, "")));
  return [...names].map((name) => ({
    name,
    running_mean: values.get(`${name}.running_mean`),
    running_var: values.get(`${name}.running_var`),
  }));
}

interface Drift {
  loss: number[];
  checkpoints: {
    step: number;
    test_loss: number;
    test_correct_difference: number;
    y: { max_rel: number; tensor: string };
    x: { max_rel: number; tensor: string };
  }[];
}

/** How far a run is from another of the same steps. */
function drift(run: Recorded, from: Recorded): Drift {
  const relative = (a: number, b: number): number => Math.abs(a - b) / Math.abs(b);
  return {
    loss: run.losses.map((loss, i) => relative(loss, from.losses[i])),
    checkpoints: run.checkpoints.map(({ step, y, x, test }, i) => {
      const other = from.checkpoints[i];
      return {
        step,
        test_loss: relative(test.loss, other.test.loss),
        test_correct_difference: Math.abs(test.correct - other.test.correct),
        y: worstTensor(y, other.y),
        x: worstTensor(x, other.x),
      };
    }),
  };
}

function worstTensor(found: Values, expected: Values): { max_rel: number; tensor: string } {
  let worst = { max_rel: 0, tensor: "" };
  for (const [tensor, values] of expected) {
    const other = found.get(tensor)!;
    let [distance, largest] = [0, 0];
    for (let i = 0; i < values.length; i++) {
      distance = Math.max(distance, Math.abs(values[i] - other[i]));
      largest = Math.max(largest, Math.abs(values[i]));
    }
    const max_rel = distance === 0 ? 0 : distance / largest;
    if (max_rel > worst.max_rel || worst.tensor === "") worst = { max_rel, tensor };
  }
  return worst;
}

function summary({ loss, checkpoints }: Drift): object {
  return {
    loss_first_10: Math.max(0, ...loss.slice(0, 10)),
    loss: Math.max(0, ...loss),
    test_loss: Math.max(0, ...checkpoints.map(({ test_loss }) => test_loss)),
    test_correct_difference: Math.max(0, ...checkpoints.map((c) => c.test_correct_difference)),
    x: Math.max(0, ...checkpoints.map(({ x }) => x.max_rel)),
  };
}

function madeRows({ input, classes, rows = 64, batch_size = 8 }: MadeData, draw: Draw): RowData {
  const size = input.reduce((n, extent) => n * extent, 1);
  const patterns = Array.from({ length: classes }, () => draw.normal(size));
  const labels = draw.integers(rows, 0, classes);
  const data = labels.flatMap((label) => {
    const noise = draw.normal(size);
    return patterns[label].map((value, i) => value + noise[i]);
  });
  return {
    x: { shape: [rows, ...input], data },
    y: { shape: [rows], data: labels },
    batch_size,
    train_rows: rows - Math.ceil(rows / 4),
  };
}
