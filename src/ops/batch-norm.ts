/** Batch normalisation: moments, what they normalise, and its gradient, each in one pass. */
import type { NdArray } from "../backend/backend.ts";
import { copy } from "../autograd.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { defineOp, run, runAll, runInPlace } from "../op.ts";
import { runScoped } from "../scope.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import { withRecording } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add, mul, neg, sub } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import type { NoAttrs } from "./common.ts";
import { inputShape, none } from "./common.ts";
import { rsqrt } from "./math.ts";

interface ChannelAttrs {
  eps: number;
  /** The moments do not depend on x. */
  fixed: boolean;
}

/** Calls `visit` with every element of x [n, c, …] and its channel. */
function eachElement(x: NdArray, visit: (at: number, channel: number) => void): void {
  const [, channels, ...rest] = x.shape;
  const inner = sizeOf(rest);
  for (let i = 0; i < x.data.length; i++) visit(i, Math.floor(i / inner) % channels);
}

/** x [n, c, …] → mean and biased variance per channel. */
const batchMoments = defineOp<NoAttrs>({
  name: "batchMoments",
  kind: "batchMoments",
  wasm: "batch_moments",
  reference: ([x]: readonly NdArray[], [mean, variance]: readonly NdArray[]) => {
    const n = x.data.length / x.shape[1];
    mean.data.fill(0);
    variance.data.fill(0);
    eachElement(x, (i, c) => {
      mean.data[c] += x.data[i] / n;
    });
    eachElement(x, (i, c) => {
      const apart = x.data[i] - mean.data[c];
      variance.data[c] += (apart * apart) / n;
    });
  },
  shape: ([x]) => [x.shape[1]],
  extra: ([x], _attrs, shape) => [{ shape, dtype: x.dtype }],
});

/** x, mean, variance, weight?, bias? → y */
const batchNormOp = defineOp<ChannelAttrs>({
  name: "batchNorm",
  kind: "batchNorm",
  wasm: "batch_norm",
  reference: (inputs: readonly NdArray[], [y]: readonly NdArray[], { eps }: ChannelAttrs) => {
    const [x, mean, variance, weight, bias] = inputs;
    eachElement(x, (i, c) => {
      const normal = (x.data[i] - mean.data[c]) / Math.sqrt(variance.data[c] + eps);
      y.data[i] = normal * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
    });
  },
  shape: inputShape,
  saves: [0, 1, 2, 3],
  vjp: (dy, context, attrs) => {
    const [x, mean, variance, weight] = context.saved;
    const given = [x, dy, mean, variance];
    if (weight !== undefined) given.push(weight);
    const [dx, dweight, dbias] = runAll(batchNormGrad, given, attrs);
    let dmean: Tensor | null = null;
    let dvariance: Tensor | null = null;
    if (context.needs(1) || context.needs(2)) {
      const inverse = rsqrt(add(variance, attrs.eps));
      const scale = weight === undefined ? inverse : mul(inverse, weight);
      dmean = neg(mul(dbias, scale));
      dvariance = mul(mul(mul(dweight, scale), inverse), -0.5);
    }
    return [dx, dmean, dvariance, dweight, dbias].slice(0, context.inputs.length);
  },
});

/**
 * x, dy, mean, variance, weight? → dx, and dweight = Σ dy·normal and dbias = Σ dy per channel, with
 * dx = scale·(dy − dbias / n − normal·dweight / n), or scale·dy where the moments are fixed.
 */
const batchNormGrad = defineOp<ChannelAttrs>({
  name: "batchNormGrad",
  kind: "batchNormGrad",
  wasm: "batch_norm_grad",
  reference: (
    [x, dy, mean, variance, weight]: readonly NdArray[],
    [dx, dweight, dbias]: readonly NdArray[],
    { eps, fixed }: ChannelAttrs,
  ) => {
    const n = x.data.length / x.shape[1];
    const inverse = Array.from(variance.data, (value) => 1 / Math.sqrt(value + eps));
    const normal = (i: number, c: number): number => (x.data[i] - mean.data[c]) * inverse[c];
    dweight.data.fill(0);
    dbias.data.fill(0);
    eachElement(x, (i, c) => {
      dweight.data[c] += dy.data[i] * normal(i, c);
      dbias.data[c] += dy.data[i];
    });
    eachElement(x, (i, c) => {
      const through = fixed ? 0 : (dbias.data[c] + normal(i, c) * dweight.data[c]) / n;
      dx.data[i] = (dy.data[i] - through) * inverse[c] * (weight?.data[c] ?? 1);
    });
  },
  shape: inputShape,
  extra: ([x]) => {
    const channels = { shape: [x.shape[1]], dtype: x.dtype };
    return [channels, channels];
  },
});

export interface BatchNormOptions {
  /** Running mean and variance [c]: used in evaluation, moved in place in training. Default none. */
  runningMean?: Tensor | null;
  runningVar?: Tensor | null;
  /** γ and β [c]. Default: 1 and 0. */
  weight?: Tensor | null;
  bias?: Tensor | null;
  /** Normalise by the batch's own statistics, and move the running ones. Default false. */
  training?: boolean;
  /** Weight of the batch in the running statistics: a number, or a 0-dimensional tensor. Default 0.1. */
  momentum?: number | Tensor;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

/** A batch's mean and biased variance per channel, [c], and the number of values of each channel. */
export interface BatchStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly n: number;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias per channel, [n, c, …] → [n, c, …] (S. Ioffe,
 * C. Szegedy, arXiv 1502.03167; torch.nn.functional.batch_norm).
 *
 * In training mean and (biased) variance are the batch's, taken over all dimensions but the second;
 * the running statistics become (1 − momentum)·running + momentum·batch, with the unbiased variance. In
 * evaluation they are the running statistics; the batch's where there are none.
 *
 * @throws ShapeError for shapes that do not fit, and in training for a single value per channel
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const { runningMean = null, runningVar = null, training = false, momentum = 0.1 } = options;
  checkInputs(x, options);
  if (!training && runningMean !== null && runningVar !== null) {
    return normalize(x, runningMean, runningVar, true, options);
  }
  const batch = batchStatistics(x, training);
  if (training && runningMean !== null && runningVar !== null) {
    withRecording(false, () =>
      runScoped("batchNorm", () => {
        moveTowards(runningMean, batch.mean, momentum);
        moveTowards(runningVar, mul(batch.variance, batch.n / (batch.n - 1)), momentum);
      }),
    );
  }
  return normalize(x, batch.mean, batch.variance, false, options);
}

/** What a batch in training is normalised by; no part of the graph. */
export function batchStatistics(x: Tensor, training = true): BatchStatistics {
  const dims = x.shape.map((_, d) => d).filter((d) => d !== 1);
  const n = dims.reduce((product, d) => product * x.shape[d], 1);
  if (training && n < 2) {
    throw new ShapeError(
      `batchNorm: ${x.describe()} has ${n} values per channel; expected more than one while training ` +
        "(use a larger batch, or evaluation mode)",
    );
  }
  const [mean, variance] = runAll(batchMoments, [x], none);
  return { mean, variance, n };
}

function normalize(
  x: Tensor,
  mean: Tensor,
  variance: Tensor,
  fixed: boolean,
  { weight = null, bias = null, eps = 1e-5 }: BatchNormOptions,
): Tensor {
  const inputs = [x, mean, variance];
  if (weight !== null) inputs.push(weight);
  if (weight !== null && bias !== null) inputs.push(bias);
  const y = run(batchNormOp, inputs, { eps, fixed });
  if (weight !== null || bias === null) return y;
  const perChannel = x.shape.map((extent, d) => (d === 1 ? extent : 1));
  return add(y, reshape(bias, perChannel));
}

/** running ← (1 − momentum)·running + momentum·value */
function moveTowards(running: Tensor, value: Tensor, momentum: number | Tensor): void {
  const stays = typeof momentum === "number" ? 1 - momentum : sub(1, momentum);
  runInPlace(copy, [add(mul(running, stays), mul(value, momentum))], [running], {});
}

function checkInputs(x: Tensor, options: BatchNormOptions): void {
  checkDType("batchNorm", x, ["float32", "float64"]);
  if (x.ndim < 2) {
    throw new ShapeError(`batchNorm: found ${x.describe()}; expected [n, c, ...]`);
  }
  const expected = [x.shape[1]];
  for (const name of ["runningMean", "runningVar", "weight", "bias"] as const) {
    const vector = options[name];
    if (!vector || sameShape(vector.shape, expected)) continue;
    throw new ShapeError(
      `batchNorm: ${name} is ${formatShape(vector.shape)}; expected ${formatShape(expected)} for ${x.describe()}`,
    );
  }
  if (!options.runningMean !== !options.runningVar) {
    throw new ValueError(
      "batchNorm: one of runningMean and runningVar is missing; expected both or neither",
    );
  }
  const { momentum = 0.1, eps = 1e-5 } = options;
  if (typeof momentum !== "number") {
    if (momentum.ndim !== 0) {
      throw new ShapeError(
        `batchNorm: momentum is ${momentum.describe()}; expected a number, or a 0-dimensional tensor`,
      );
    }
  } else if (!(momentum >= 0 && momentum <= 1)) {
    throw new ValueError(`batchNorm: momentum is ${momentum}; expected a number from 0 to 1`);
  }
  if (!(eps >= 0)) throw new ValueError(`batchNorm: eps is ${eps}; expected a number ≥ 0`);
}
