/**
 * Limits on gradients, as torch.nn.utils has them: `clipGradNorm`, `clipGradValue`.
 *
 * Where gradients are neighbours in an optimizer's block, they are measured and scaled in one pass
 * over the block; others one by one.
 */
import { live } from "../capture.ts";
import type { Kernel } from "../backend/backend.ts";
import { copy } from "../autograd.ts";
import { ValueError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import { enterScope, runScoped } from "../scope.ts";
import { withRecording } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { combineNorms, normOf } from "./norm.ts";

/** Parameters, one or several, or an optimizer: all parameters of all its groups. */
export type Clippable =
  | Tensor
  | Iterable<Tensor>
  | { readonly paramGroups: readonly { readonly params: readonly Tensor[] }[] };

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
  /** Counts calls and how often they clipped. */
  report?: ClipReport;
}

export interface ClipNormOptions extends ClipOptions {
  /** p of the p-norm: above 0, Infinity for the largest magnitude. Default 2. */
  normType?: number;
  /** Throw, and change nothing, when the norm is NaN or infinite. Default false. */
  errorIfNonfinite?: boolean;
}

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), where norm is that of all of them as one
 * vector (torch.nn.utils.clip_grad_norm_). Returns the norm from before. Parameters without gradient
 * are left out; without any the norm is 0.
 *
 * As in PyTorch a NaN norm makes every gradient NaN, and an infinite one makes 0 of finite gradients and
 * NaN of infinite ones; `errorIfNonfinite` throws instead. The norm is accumulated in float64.
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
): number {
  const { normType = 2, errorIfNonfinite = false, report } = options;
  checkLimit("clipGradNorm", "maxNorm", maxNorm);
  if (!(normType > 0)) {
    throw new ValueError(
      `clipGradNorm: normType is ${normType}; expected a number above 0, or Infinity`,
    );
  }
  return clip("clipGradNorm", parameters, (runs) => {
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
 * (torch.nn.utils.clip_grad_value_). Returns the largest magnitude from before.
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
): number {
  checkLimit("clipGradValue", "clipValue", clipValue);
  return clip("clipGradValue", parameters, (runs) => {
    const norm = normOfRuns(runs, Infinity);
    const clips = !(norm <= clipValue);
    const limits = { min: -clipValue, max: clipValue };
    if (clips) for (const run of runs) change(run, clampKernel, limits);
    count(options.report, norm, clips);
    return norm;
  });
}

const scaleKernel: Kernel = {
  name: "scaleInPlace",
  kind: "map",
  wasm: "mul_scalar",
  params: ["value"],
  reference: (x: number, value: number) => x * value,
};

const clampKernel: Kernel = {
  name: "clampInPlace",
  kind: "map",
  wasm: "clamp",
  params: ["min", "max"],
  reference: (x: number, min: number, max: number) => Math.min(Math.max(x, min), max),
};

/** Gradients that are neighbours in memory, and the run that they are. */
export interface GradientRun {
  readonly run: Tensor;
  readonly grads: readonly Tensor[];
}

function clip(
  where: string,
  parameters: Clippable,
  measure: (runs: readonly GradientRun[]) => number,
): number {
  const params = listOf(parameters);
  for (const { grad } of params) grad?.checkAlive(where);
  return live(() =>
    withRecording(false, () => runScoped(where, () => measure(gradientRuns(params)))),
  );
}

function listOf(parameters: Clippable): readonly Tensor[] {
  if (parameters instanceof Tensor) return [parameters];
  if ("paramGroups" in parameters) return parameters.paramGroups.flatMap(({ params }) => params);
  return [...parameters];
}

/** The gradients that there are; neighbours of a block together. Runs live in the innermost scope. */
export function gradientRuns(params: readonly Tensor[]): GradientRun[] {
  const runs: { grads: Tensor[]; end: number }[] = [];
  for (const { grad } of params) {
    if (grad === null || grad.size === 0) continue;
    const last = runs.at(-1);
    const before = last?.grads[0];
    const joins =
      before !== undefined &&
      grad.buffer === before.buffer &&
      grad.dtype === before.dtype &&
      grad.offset === last!.end &&
      grad.isContiguous &&
      before.isContiguous;
    if (joins) {
      last!.grads.push(grad);
      last!.end += grad.size;
    } else {
      runs.push({ grads: [grad], end: grad.offset + grad.size });
    }
  }
  return runs.map(({ grads, end }) => {
    const [first] = grads;
    if (grads.length === 1) return { run: first, grads };
    const size = end - first.offset;
    const run = new Tensor(first.storage.retain(), [size], [1], first.offset, "gradients");
    enterScope(run);
    return { run, grads };
  });
}

function normOfRuns(runs: readonly GradientRun[], p: number): number {
  return combineNorms(
    runs.map(({ run }) => normOf(run, p)),
    p,
  );
}

/** Every element in place. */
function change({ run, grads }: GradientRun, kernel: Kernel, attrs: Record<string, number>): void {
  if (run.isContiguous) {
    runInPlace(kernel, [run], [run], attrs);
  } else {
    const dense = run.contiguous();
    runInPlace(kernel, [dense], [dense], attrs);
    runInPlace(copy, [dense], [run], {});
  }
  for (const { storage } of grads) if (storage !== run.storage) storage.version++;
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
