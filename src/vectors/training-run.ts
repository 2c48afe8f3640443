/** A whole training run: the loop that is recorded, and that is compared (golden/1 traces). */
import type { DeviceName, NdArray, Tensor } from "../index.ts";
import * as rl from "../index.ts";
import type { Batch, Source } from "./data.ts";
import type { FloatType } from "./format.ts";
import type { LayerSpec, Layer, ModelState, ParameterSpec, Step } from "./model.ts";
import { initialValues, stepOf } from "./model.ts";
import type { OptimizerSpec } from "./optimizers.ts";
import { createOptimizer } from "./optimizers.ts";

export interface TrainingModel {
  readonly layers: readonly LayerSpec[];
  readonly parameters: readonly ParameterSpec[];
  readonly seed: number;
}

export interface TrainingSpec {
  readonly model: TrainingModel;
  readonly source: Source;
  readonly optimizer: OptimizerSpec;
  readonly steps: number;
  /** After which steps (from 1 on) the model is evaluated. */
  readonly checkpoints: readonly number[];
}

/** A tensor's values by name. */
export type Values = ReadonlyMap<string, ArrayLike<number> & ArrayBufferView>;

/** What is seen of a run, in this order: `initial`, then `loss` and, at checkpoints, the others. */
export interface TrainingObserver {
  initial?(parameters: Values): void;
  /** The loss at y before the update of a step (from 1 on), and how to read the parameters after it. */
  step(step: number, loss: number, parameters: () => Values): void;
  checkpoint?(seen: SeenCheckpoint): void;
}

export interface SeenCheckpoint {
  readonly step: number;
  /** The parameters in train mode. */
  readonly y: Values;
  /** And in eval mode. */
  readonly x: Values;
  /** Batch norm: running statistics after training, and after recalibration at x. */
  readonly running: Values;
  readonly recalibrated: Values | null;
  readonly test: { readonly loss: number; readonly correct: number; readonly count: number };
}

/** At x, without gradients, so many of the first training batches renew the running statistics. */
const RECALIBRATION_BATCHES = 10;

/** Trains in floats of `dtype`: both exist on the reference, float32 elsewhere. */
export function runTraining(
  spec: TrainingSpec,
  device: DeviceName,
  dtype: FloatType,
  observer: TrainingObserver,
): void {
  rl.withDevice(device, () =>
    rl.scope(() => {
      const parameters = new Map<string, Tensor>();
      const state: ModelState = { training: true, dtype, buffers: new Map() };
      const layers = spec.model.layers.map((layer) => stepOf(layer as Layer, parameters, state));
      const forward: Step = (x) => layers.reduce((y, layer) => layer(y), x);
      for (const parameter of spec.model.parameters) {
        const { shape } = parameter;
        const values = initialValues(parameter, spec.model.seed);
        const made = rl.tensor(values, { shape: [...shape], dtype, requiresGrad: true });
        parameters.set(parameter.name, made);
      }
      observer.initial?.(valuesOf(parameters));
      const optimizer = createOptimizer(spec.optimizer, [...parameters.values()]);
      try {
        train(spec, { parameters, state, forward, optimizer }, observer);
      } finally {
        optimizer.dispose();
        for (const parameter of parameters.values()) parameter.dispose();
      }
    }),
  );
}

interface Run {
  parameters: Map<string, Tensor>;
  state: ModelState;
  forward: Step;
  optimizer: rl.optim.Optimizer;
}

function train(
  { source, steps, checkpoints, optimizer: { class: name } }: TrainingSpec,
  { parameters, state, forward, optimizer }: Run,
  observer: TrainingObserver,
): void {
  const modes = optimizer as { train?(): void; eval?(): void };
  const usesClosure = name.endsWith("Closure");
  const feed = ({ x, y }: Batch): [Tensor, Tensor] => [made(x, state.dtype), made(y, state.dtype)];
  modes.train?.();
  for (let step = 1; step <= steps; step++) {
    const loss = rl.scope(() => {
      const [x, y] = feed(source.train(step - 1));
      const lossOf = (): Tensor => {
        optimizer.zeroGrad();
        const result = rl.crossEntropy(forward(x), y);
        result.backward();
        return result;
      };
      if (usesClosure) return (optimizer.step(lossOf as never) as unknown as Tensor).itemSync();
      const value = lossOf().itemSync();
      if (optimizer instanceof rl.optim.AdamCScheduleFreePlusPaper) optimizer.step(value);
      else optimizer.step();
      return value;
    });
    observer.step(step, loss, () => valuesOf(parameters));
    if (!checkpoints.includes(step) || observer.checkpoint === undefined) continue;
    const y = valuesOf(parameters);
    const running = valuesOf(state.buffers);
    modes.eval?.();
    let recalibrated: Values | null = null;
    if (modes.eval !== undefined && state.buffers.size > 0) {
      for (let b = 0; b < RECALIBRATION_BATCHES; b++) {
        rl.noGrad(() => {
          forward(feed(source.train(b))[0]);
        });
      }
      recalibrated = valuesOf(state.buffers);
    }
    state.training = false;
    const x = valuesOf(parameters);
    const test = evaluate(source, forward, feed);
    observer.checkpoint({ step, y, x, running, recalibrated, test });
    modes.train?.();
    state.training = true;
  }
}

function evaluate(
  { test }: Source,
  forward: Step,
  feed: (batch: Batch) => [Tensor, Tensor],
): SeenCheckpoint["test"] {
  let count = 0;
  let loss = 0;
  let correct = 0;
  for (const make of test) {
    rl.noGrad(() => {
      const [x, y] = feed(make());
      const logits = forward(x);
      count += y.size;
      loss += rl.crossEntropy(logits, y, { reduction: "sum" }).itemSync();
      correct += logits.argmax(1).eq(y).sum().itemSync();
    });
  }
  return { loss: loss / count, correct, count };
}

function made({ data, shape }: NdArray, dtype: FloatType): Tensor {
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  return rl.tensor(data, { shape: [...shape], dtype: floats ? dtype : "int32" });
}

function valuesOf(tensors: ReadonlyMap<string, Tensor>): Values {
  return new Map([...tensors].map(([name, x]) => [name, x.dataSync()]));
}
