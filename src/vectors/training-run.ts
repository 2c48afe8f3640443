/** A whole training run: the loop that is recorded, and that is compared (golden/1 traces). */
import type { NdArray, Tensor } from "../index.ts";
import * as rl from "../index.ts";
import type { Batch, Source } from "./data.ts";
import type { FloatType } from "./format.ts";
import type { LayerSpec, Layer, ModelState, ParameterSpec, Step } from "./model.ts";
import { initialValues, stepOf } from "./model.ts";
import type { OptimizerSpec } from "./optimizers.ts";
import { createOptimizer } from "./optimizers.ts";
import type { Run } from "./reads.ts";
import { read, readNumber } from "./reads.ts";

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
  /** Are the parameters looked at after every step? */
  readonly everyStep: boolean;
  initial?(parameters: Values): void;
  /** The loss at y before the update of a step (from 1 on), and the parameters after it, with `everyStep`. */
  step(step: number, loss: number, parameters: Values | null): void;
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

/** Trains on the default device in floats of `dtype`: both exist on the reference, float32 elsewhere. */
export function* runTraining(
  spec: TrainingSpec,
  dtype: FloatType,
  observer: TrainingObserver,
): Run<void> {
  const open = rl.scope();
  const parameters = new Map<string, Tensor>();
  let optimizer: rl.optim.Optimizer | undefined;
  try {
    const state: ModelState = { training: true, dtype, buffers: new Map() };
    const layers = spec.model.layers.map((layer) => stepOf(layer as Layer, parameters, state));
    const forward: Step = (x) => layers.reduce((y, layer) => layer(y), x);
    for (const parameter of spec.model.parameters) {
      const { shape } = parameter;
      const values = initialValues(parameter, spec.model.seed);
      const made = rl.tensor(values, { shape: [...shape], dtype, requiresGrad: true });
      parameters.set(parameter.name, made);
    }
    observer.initial?.(yield* valuesOf(parameters));
    optimizer = createOptimizer(spec.optimizer, [...parameters.values()]);
    yield* train(spec, { parameters, state, forward, optimizer }, observer);
  } finally {
    open.unwind();
    optimizer?.dispose();
    for (const parameter of parameters.values()) parameter.dispose();
  }
}

interface Training {
  parameters: Map<string, Tensor>;
  state: ModelState;
  forward: Step;
  optimizer: rl.optim.Optimizer;
}

function* train(spec: TrainingSpec, training: Training, observer: TrainingObserver): Run<void> {
  const { parameters, optimizer } = training;
  const modes = optimizer as { train?(): void };
  modes.train?.();
  for (let step = 1; step <= spec.steps; step++) {
    const loss = yield* trainStep(spec, training, step);
    observer.step(step, loss, observer.everyStep ? yield* valuesOf(parameters) : null);
    if (!spec.checkpoints.includes(step) || observer.checkpoint === undefined) continue;
    observer.checkpoint(yield* lookAt(spec, training, step));
    modes.train?.();
    training.state.training = true;
  }
}

/** One step; its loss. */
function* trainStep(
  { source, optimizer: { class: name } }: TrainingSpec,
  { state, forward, optimizer }: Training,
  step: number,
): Run<number> {
  const open = rl.scope();
  const [x, y] = feed(source.train(step - 1), state);
  const lossOf = (): Tensor => {
    optimizer.zeroGrad();
    const result = rl.crossEntropy(forward(x), y);
    result.backward();
    return result;
  };
  let loss: number;
  if (name.endsWith("Closure")) {
    loss = yield* readNumber(optimizer.step(lossOf as never) as unknown as Tensor);
  } else {
    loss = yield* readNumber(lossOf());
    if (optimizer instanceof rl.optim.AdamCScheduleFreePlusPaper) optimizer.step(loss);
    else optimizer.step();
  }
  open.end();
  return loss;
}

/** What a checkpoint has; afterwards the optimizer and the model are in eval mode. */
function* lookAt(
  { source }: TrainingSpec,
  { parameters, state, forward, optimizer }: Training,
  step: number,
): Run<SeenCheckpoint> {
  const modes = optimizer as { eval?(): void };
  const y = yield* valuesOf(parameters);
  const running = yield* valuesOf(state.buffers);
  modes.eval?.();
  let recalibrated: Values | null = null;
  if (modes.eval !== undefined && state.buffers.size > 0) {
    for (let b = 0; b < RECALIBRATION_BATCHES; b++) {
      rl.noGrad(() => {
        forward(feed(source.train(b), state)[0]);
      });
    }
    recalibrated = yield* valuesOf(state.buffers);
  }
  state.training = false;
  const x = yield* valuesOf(parameters);
  const test = yield* evaluate(source, forward, state);
  return { step, y, x, running, recalibrated, test };
}

function* evaluate(
  { test }: Source,
  forward: Step,
  state: ModelState,
): Run<SeenCheckpoint["test"]> {
  let count = 0;
  let loss = 0;
  let correct = 0;
  for (const make of test) {
    const open = rl.scope();
    const [y, ...sums] = rl.noGrad(() => {
      const [inputs, targets] = feed(make(), state);
      const logits = forward(inputs);
      const sum = rl.crossEntropy(logits, targets, { reduction: "sum" });
      return [targets, sum, logits.argmax(1).eq(targets).sum()];
    });
    const [[lossOfBatch], [right]] = yield* read(sums);
    count += y.size;
    loss += lossOfBatch;
    correct += right;
    open.end();
  }
  return { loss: loss / count, correct, count };
}

function feed({ x, y }: Batch, { dtype }: ModelState): [Tensor, Tensor] {
  return [made(x, dtype), made(y, dtype)];
}

function made({ data, shape }: NdArray, dtype: FloatType): Tensor {
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  return rl.tensor(data, { shape: [...shape], dtype: floats ? dtype : "int32" });
}

function* valuesOf(tensors: ReadonlyMap<string, Tensor>): Run<Values> {
  const values = yield* read([...tensors.values()]);
  return new Map([...tensors.keys()].map((name, i) => [name, values[i]]));
}
