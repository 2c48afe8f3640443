/**
 * Batch normalisation layers, and their statistics under Schedule-Free learning: what training gathers
 * belongs to y, what is evaluated is x.
 */
import type { Kernel } from "../backend/backend.ts";
import { accumulate, copy } from "../autograd.ts";
import { live } from "../capture.ts";
import { warnOnce } from "../debug.ts";
import { LifetimeError, ShapeError, ValueError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import { add, div, mul, sub } from "../ops/arithmetic.ts";
import type { BatchStatistics } from "../ops/batch-norm.ts";
import { batchNorm, batchStatistics } from "../ops/batch-norm.ts";
import { cast } from "../ops/common.ts";
import { ones, zeros } from "../ops/creation.ts";
import { square } from "../ops/math.ts";
import { isRecomputing } from "../recompute.ts";
import { noGrad } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import type { LayerOptions } from "./layers.ts";
import type { Layer } from "./module.ts";
import { buffer, Module, parameter, snakeCase, warnAtY } from "./module.ts";

export interface BatchNormLayerOptions extends Pick<LayerOptions, "device" | "dtype"> {
  /** Added to the variance. Default 1e-5. */
  eps?: number;
  /** Weight of each batch in the running statistics; null: all batches weigh the same. Default 0.1. */
  momentum?: number | null;
  /** Learn weight and bias per channel. Default true. */
  affine?: boolean;
  /** Keep running statistics for evaluation; otherwise every batch's own are used. Default true. */
  trackRunningStats?: boolean;
}

/** x += value in place: a counter goes on where it is, as reading it would hold up a GPU. */
const countKernel: Kernel = {
  name: "countInPlace",
  kind: "map",
  wasm: "add_scalar",
  wgsl: "x + value",
  params: ["value"],
  reference: (x: number, value: number) => x + value,
};

/** What the numbered layers share; names of parameters and buffers are PyTorch's. */
abstract class BatchNorm extends Module {
  readonly numFeatures: number;
  readonly eps: number;
  readonly momentum: number | null;
  weight: Tensor | null;
  bias: Tensor | null;
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  numBatchesTracked: Tensor | null;
  /** The sequence at which the running statistics were last moved, if an optimizer has any. */
  private gatheredAt: "x" | "y" | null = null;
  /** Takes the batch's statistics in place of the running ones while they are recalibrated. */
  private collector: ((batch: BatchStatistics) => void) | null = null;

  private readonly layerName: string;

  protected constructor(name: string, numFeatures: number, options: BatchNormLayerOptions) {
    super();
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    if (!Number.isInteger(numFeatures) || numFeatures < 1) {
      throw new ValueError(
        `${name}: numFeatures is ${numFeatures}; expected a whole number from 1 up`,
      );
    }
    if (momentum !== null && !(momentum >= 0 && momentum <= 1)) {
      throw new ValueError(
        `${name}: momentum is ${momentum}; expected a number from 0 to 1, or null`,
      );
    }
    if (!(eps >= 0)) throw new ValueError(`${name}: eps is ${eps}; expected a number ≥ 0`);
    const { device, dtype } = options;
    const shape = [numFeatures];
    this.layerName = name;
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    this.weight = affine ? parameter(ones(shape, { device, dtype })) : null;
    this.bias = affine ? parameter(zeros(shape, { device, dtype })) : null;
    this.runningMean = trackRunningStats ? buffer(zeros(shape, { device, dtype })) : null;
    this.runningVar = trackRunningStats ? buffer(ones(shape, { device, dtype })) : null;
    this.numBatchesTracked = trackRunningStats
      ? buffer(zeros([], { device, dtype: "int32" }))
      : null;
  }

  forward(x: Tensor): Tensor {
    this.checkInput(x);
    const { weight, bias, eps, training, numBatchesTracked } = this;
    if (this.collector !== null) {
      this.collector(batchStatistics(x));
      return batchNorm(x, { weight, bias, eps, training: true });
    }
    // Inside checkpoint(fn) a batch passes twice, and counts once.
    if (training && isRecomputing()) return batchNorm(x, { weight, bias, eps, training });
    let momentum: number | Tensor = this.momentum ?? 0;
    if (!training) this.warnInEval();
    else if (numBatchesTracked !== null) {
      live(() => this.count(numBatchesTracked));
      if (this.momentum === null) momentum = div(1, cast(numBatchesTracked, x.dtype));
    }
    const { runningMean, runningVar } = this;
    return batchNorm(x, { runningMean, runningVar, weight, bias, eps, training, momentum });
  }

  private count(numBatchesTracked: Tensor): void {
    runInPlace(countKernel, [numBatchesTracked], [numBatchesTracked], { value: 1 });
    this.gatheredAt = this.weight?.sequence ?? null;
  }

  /** Throws ShapeError unless the layer takes inputs of this shape. */
  protected abstract checkInput(x: Tensor): void;

  /**
   * Gives the statistics of each batch to `collect`, and leaves the running ones alone, until the
   * function that is returned has been called.
   */
  collect(collect: (batch: BatchStatistics) => void): () => void {
    this.collector = collect;
    return () => {
      this.collector = null;
    };
  }

  /** Sets running statistics that belong to the parameters as they are. `variance`: unbiased. */
  setStatistics(mean: Tensor, variance: Tensor, batches: number): void {
    if (this.runningMean !== null) runInPlace(copy, [mean], [this.runningMean], {});
    if (this.runningVar !== null) runInPlace(copy, [variance], [this.runningVar], {});
    this.numBatchesTracked?.copyFrom([batches]);
    this.gatheredAt = this.weight?.sequence ?? null;
  }

  /** running_mean, num_batches_tracked, … */
  protected override tensorName(property: string): string {
    return snakeCase(property);
  }

  private warnInEval(): void {
    if (this.weight === null) return;
    warnAtY(`${this.layerName} in eval mode`, [this.weight]);
    if (this.runningMean === null || this.gatheredAt !== "y" || this.weight.sequence !== "x")
      return;
    warnOnce(
      `${this.layerName} in eval mode: the running statistics were gathered at y, where a Schedule-Free optimizer takes ` +
        "gradients, and the parameters hold x; call recalibrateBatchNorm(model, batches) after optimizer.eval()",
    );
  }
}

/** Batch normalisation of [n, c] or [n, c, l]; see `batchNorm`. */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super("BatchNorm1d", numFeatures, options);
  }

  protected override checkInput(x: Tensor): void {
    if (x.shape[1] === this.numFeatures && (x.ndim === 2 || x.ndim === 3)) return;
    throw new ShapeError(
      `BatchNorm1d: found ${x.describe()}; expected [n, ${this.numFeatures}] or [n, ${this.numFeatures}, l]`,
    );
  }
}

/** Batch normalisation of images [n, c, h, w], per channel; see `batchNorm`. */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super("BatchNorm2d", numFeatures, options);
  }

  protected override checkInput(x: Tensor): void {
    if (x.shape[1] === this.numFeatures && x.ndim === 4) return;
    throw new ShapeError(
      `BatchNorm2d: found ${x.describe()}; expected [n, ${this.numFeatures}, h, w]`,
    );
  }
}

/** Mean and sum of squared deviations per channel of all values so far (Chan et al. 1983), on the layer's device. */
class Pooled {
  n = 0;
  batches = 0;
  private readonly mean: Tensor;
  private readonly squares: Tensor;

  constructor({ shape, dtype, device }: Tensor) {
    this.mean = buffer(zeros(shape, { dtype, device }));
    this.squares = buffer(zeros(shape, { dtype, device }));
  }

  add({ mean, variance, n: added }: BatchStatistics): void {
    const n = this.n + added;
    const shift = sub(mean, this.mean);
    const between = mul(square(shift), (this.n * added) / n);
    runInPlace(accumulate, [add(mul(variance, added), between)], [this.squares], {});
    runInPlace(accumulate, [mul(shift, added / n)], [this.mean], {});
    this.n = n;
    this.batches++;
  }

  write(layer: BatchNorm): void {
    noGrad(() => layer.setStatistics(this.mean, div(this.squares, this.n - 1), this.batches));
  }

  dispose(): void {
    this.mean.dispose();
    this.squares.dispose();
  }
}

/**
 * Sets the running statistics of every BatchNorm layer to the mean and the unbiased variance of all
 * values that `batches` bring it, as if they were one batch: no exponential average, no trace of
 * older parameters. With a Schedule-Free optimizer call it in eval mode, where parameters hold x;
 * training gathers statistics at y.
 *
 * One forward pass per batch, without gradients; the rest of the model is in evaluation mode (dropout
 * is off), and BatchNorm layers normalise by each batch while its statistics are taken. Modes are put
 * back; nothing has changed when it throws. A DataLoader counts as an epoch.
 *
 * @param batches inputs, or lists that begin with the input, as a DataLoader gives
 * @throws LifetimeError when parameters hold y, ValueError when there are no batches
 */
export function recalibrateBatchNorm(
  model: Layer,
  batches: Iterable<Tensor | readonly Tensor[]>,
): void {
  if (model.parameters().some((x) => x.sequence === "y")) {
    throw new LifetimeError(
      "recalibrateBatchNorm: the parameters hold y, and the weights to evaluate are x; " +
        "call optimizer.eval() first, or use optimizer.withEval(() => recalibrateBatchNorm(model, batches))",
    );
  }
  const modules = model.namedModules().map(([, module]) => module);
  const layers = new Map<BatchNorm, Pooled>();
  for (const module of modules) {
    if (module instanceof BatchNorm && module.runningMean !== null) {
      layers.set(module, new Pooled(module.runningMean));
    }
  }
  if (layers.size === 0) return;
  const training = modules.map((module) => module.training);
  const release = [...layers].map(([layer, pooled]) => layer.collect((batch) => pooled.add(batch)));
  try {
    model.eval();
    for (const batch of batches) {
      noGrad(() => {
        model.forward(batch instanceof Tensor ? batch : batch[0]);
      });
    }
    if ([...layers.values()].every(({ n }) => n === 0)) {
      throw new ValueError("recalibrateBatchNorm: there are no batches; expected at least one");
    }
    for (const [layer, pooled] of layers) if (pooled.n > 0) pooled.write(layer);
  } finally {
    for (const end of release) end();
    for (const pooled of layers.values()) pooled.dispose();
    modules.forEach((module, i) => {
      module.training = training[i];
    });
  }
}
