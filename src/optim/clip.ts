/**
 * Limits on gradients, as torch.nn.utils has them: `clipGradNorm`, `clipGradValue`.
 *
 * Where gradients are neighbours in an optimizer's block, they are measured and scaled in one pass
 * over the block; others one by one.
 */
import type { Kernel } from "../backend/backend.ts";
import { live } from "../capture.ts";
import { ValueError } from "../errors.ts";
import { add, div } from "../ops/arithmetic.ts";
import { clamp } from "../ops/math.ts";
import { runScoped } from "../scope.ts";
import { withRecording } from "../tape.ts";
import { checkSyncReads, Tensor } from "../tensor.ts";
import type { GradientRun } from "./gradient-runs.ts";
import { change, gradientRuns } from "./gradient-runs.ts";
import { combineNorms, normOf, normTensor } from "./norm.ts";

/** Parameters, one or several, or an optimizer: all parameters of all its groups. */
export type Clippable =
  | Tensor
  | Iterable<Tensor>
  | { readonly paramGroups: readonly { readonly params: readonly Tensor[] }[] };

/**
 * What was measured: a number, or where values can only be read asynchronously (device "webgpu") a 0-dimensional tensor
 * in the innermost scope, for `await norm.item()`. The gradients are clipped either way, without waiting.
 */
export type Measured = number | Tensor;

/** What clipping did, over many steps: to log, and to see whether it is wanted at all. */
export interface ClipReport {
  /** Calls so far. */
  calls: number;
  /** Calls that changed gradients. */
  clipped: number;
  /** The norm that the last call found. */
  lastNorm: number;
  /** The largest norm so far; NaN once there was one. */
  largestNorm: number;
}

/** A report to hand to every call. */
export function clipReport(): ClipReport {
  return { calls: 0, clipped: 0, lastNorm: 0, largestNorm: 0 };
}

export interface ClipOptions {
  /** Counts calls and how often they clipped; for devices whose values can be read at once. */
  report?: ClipReport;
}

export interface ClipNormOptions extends ClipOptions {
  /** p of the p-norm: above 0, Infinity for the largest magnitude. Default 2. */
  normType?: number;
  /**
   * Throw, and change nothing, when the norm is NaN or infinite; for devices whose values can be read at once.
   * Default false.
   */
  errorIfNonfinite?: boolean;
}

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), where norm is that of all of them as one
 * vector (torch.nn.utils.clip_grad_norm_). Returns the norm from before (`Measured`). Parameters without gradient
 * are left out; without any the norm is 0.
 *
 * As in PyTorch a NaN norm makes every gradient NaN, and an infinite one makes 0 of finite gradients and
 * NaN of infinite ones; `errorIfNonfinite` throws instead. The norm is accumulated in float64 (on "webgpu" in float32).
 *
 * With Schedule-Free learning try without first: the paper found norm clipping harmful for NanoGPT
 * (arXiv 2405.15682, appendix G.7).
 *
 * @param maxNorm number ≥ 0
 * @throws ValueError for numbers out of their domain; no gradient has changed then
 */
export function clipGradNorm(
  parameters: Clippable,
  maxNorm: number,
  options: ClipNormOptions = {},
): Measured {
  const { normType = 2, errorIfNonfinite = false, report } = options;
  checkLimit("clipGradNorm", "maxNorm", maxNorm);
  if (!(normType > 0)) {
    throw new ValueError(
      `clipGradNorm: normType is ${normType}; expected a number above 0, or Infinity`,
    );
  }
  const params = listOf(parameters);
  if (isLater("clipGradNorm", params, { report, errorIfNonfinite })) {
    return clipLater("clipGradNorm", params, normType, (runs, norm) => {
      // NaN stays NaN.
      const scale = clamp(div(maxNorm, add(norm, 1e-6)), { max: 1 });
      for (const run of runs) change(run, scaleByKernel, {}, [scale]);
    });
  }
  return clip("clipGradNorm", params, (runs) => {
    const norm = normOfRuns(runs, normType);
    if (errorIfNonfinite && !Number.isFinite(norm)) {
      throw new ValueError(
        `clipGradNorm: the norm of the gradients is ${norm}; expected a finite number ` +
          "(errorIfNonfinite is true: leave it out to clip all the same)",
      );
    }
    const scale = maxNorm / (norm + 1e-6);
    const clips = !(scale >= 1); // NaN clips too
    if (clips) for (const run of runs) change(run, scaleKernel, { value: scale });
    count(report, norm, clips);
    return norm;
  });
}

/**
 * Limits every element of every gradient to [-clipValue, clipValue]; NaN stays NaN
 * (torch.nn.utils.clip_grad_value_). Returns the largest magnitude from before (`Measured`).
 *
 * The paper's warning about clipping the norm applies: see `clipGradNorm`.
 *
 * @param clipValue number ≥ 0
 * @throws ValueError for a number out of its domain; no gradient has changed then
 */
export function clipGradValue(
  parameters: Clippable,
  clipValue: number,
  options: ClipOptions = {},
): Measured {
  checkLimit("clipGradValue", "clipValue", clipValue);
  const params = listOf(parameters);
  const limits = { min: -clipValue, max: clipValue };
  if (isLater("clipGradValue", params, { report: options.report })) {
    return clipLater("clipGradValue", params, Infinity, (runs) => {
      for (const run of runs) change(run, clampKernel, limits);
    });
  }
  return clip("clipGradValue", params, (runs) => {
    const norm = normOfRuns(runs, Infinity);
    const clips = !(norm <= clipValue);
    if (clips) for (const run of runs) change(run, clampKernel, limits);
    count(options.report, norm, clips);
    return norm;
  });
}

const scaleKernel: Kernel = {
  name: "scaleInPlace",
  kind: "map",
  wasm: "mul_scalar",
  wgsl: "x * value",
  params: ["value"],
  reference: (x: number, value: number) => x * value,
};

/** x *= a number on the device */
const scaleByKernel: Kernel = {
  name: "scaleByInPlace",
  kind: "zip",
  wasm: "mul",
  wgsl: "a * b",
  reference: (x: number, scale: number) => x * scale,
};

const clampKernel: Kernel = {
  name: "clampInPlace",
  kind: "map",
  wasm: "clamp",
  wgsl: "f_min(f_max(x, min), max)",
  params: ["min", "max"],
  reference: (x: number, min: number, max: number) => Math.min(Math.max(x, min), max),
};

function clip(
  where: string,
  params: readonly Tensor[],
  measure: (runs: readonly GradientRun[]) => number,
): number {
  for (const { grad } of params) grad?.checkAlive(where);
  return live(() =>
    withRecording(false, () => runScoped(where, () => measure(gradientRuns(params)))),
  );
}

/** Are there values that can only be read asynchronously? Throws for options that would have to look at them. */
function isLater(where: string, params: readonly Tensor[], options: object): boolean {
  if (params.length === 0 || params[0].backend.capabilities().syncReads) return false;
  for (const [name, value] of Object.entries(options)) {
    if (!value) continue;
    const instead = `the norm that it returns: await norm.item(), and leave ${name} out`;
    checkSyncReads(`${where}: ${name}`, params[0], instead);
  }
  return true;
}

/** The norm, and the gradients limited, without a look at either. */
function clipLater(
  where: string,
  params: readonly Tensor[],
  p: number,
  limit: (runs: readonly GradientRun[], norm: Tensor) => void,
): Tensor {
  for (const { grad } of params) grad?.checkAlive(where);
  return withRecording(false, () =>
    runScoped(where, () => {
      const runs = gradientRuns(params);
      const parts = runs.map(({ run }) => run);
      const norm = normTensor(parts, p, params[0]);
      limit(runs, norm);
      return norm;
    }),
  );
}

function listOf(parameters: Clippable): readonly Tensor[] {
  if (parameters instanceof Tensor) return [parameters];
  if ("paramGroups" in parameters) return parameters.paramGroups.flatMap(({ params }) => params);
  return [...parameters];
}

function normOfRuns(runs: readonly GradientRun[], p: number): number {
  return combineNorms(
    runs.map(({ run }) => normOf(run, p)),
    p,
  );
}

function count(report: ClipReport | undefined, norm: number, clips: boolean): void {
  if (report === undefined) return;
  report.calls++;
  if (clips) report.clipped++;
  report.lastNorm = norm;
  report.largestNorm = Math.max(report.largestNorm, norm);
}

function checkLimit(where: string, name: string, value: number): void {
  if (value >= 0) return;
  throw new ValueError(`${where}: ${name} is ${value}; expected a number ≥ 0`);
}
