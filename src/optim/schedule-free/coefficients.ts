/**
 * The scalars of a Schedule-Free step, in float64 and without tensors (arXiv 2405.15682,
 * Algorithm 1 and section 4; names as in the package `schedulefree`). What is derived from options,
 * such as 1 − β₂, is derived here: a kernel that computes it in float32 loses digits.
 */
import { pow } from "../../elementary/index.ts";
import type { DType } from "../../backend/backend.ts";
import { ValueError } from "../../errors.ts";

/** The options that decide a step's learning rate and its weight in the average. */
export interface AveragingOptions {
  lr: number;
  /** Absent: no warmup. */
  warmupSteps?: number;
  r: number;
  weightLrPower: number;
}

/** What a group counts while it averages. `k` is the number of steps done. */
export interface AveragingCounters {
  k: number;
  weightSum: number;
  lrMax: number;
  scheduledLr: number;
}

/** One step's scalars: the counters after it, and c_{t+1}, the weight of z_{t+1} in x_{t+1}. */
export interface AveragingStep extends AveragingCounters {
  ckp1: number;
}

/**
 * RAdam's rectification (arXiv 1908.03265, Algorithm 2) of step t, counted from 1:
 *
 *     ρ_∞ = 2/(1−β₂) − 1;   ρ = ρ_∞ − 2tβ₂^t/(1−β₂^t)
 *     factor = √((ρ−4)(ρ−2)ρ_∞ / ((ρ_∞−4)(ρ_∞−2)ρ))
 *
 * null while ρ ≤ `boundary`: too few gradients to trust the second moment.
 */
export function rectification(beta2: number, t: number, boundary: number): number | null {
  const rhoMax = 2 / (1 - beta2) - 1;
  const rest = pow(beta2, t);
  const rho = rhoMax - (2 * t * rest) / (1 - rest);
  if (!(rho > boundary)) return null;
  return Math.sqrt(((rho - 4) * (rho - 2) * rhoMax) / ((rhoMax - 4) * (rhoMax - 2) * rho));
}

/** γ_t: `lr`, ramped up linearly over the first `warmupSteps` steps. `k` counts from 0. */
export function warmupLr(lr: number, warmupSteps: number, k: number): number {
  return k < warmupSteps ? lr * ((k + 1) / warmupSteps) : lr;
}

/**
 * w_t = (t + 1)^r · (largest γ so far)^weightLrPower, c = w_t / Σw, with 0⁰ = 1 and c = 0 while
 * Σw = 0. `lr` is the step's γ.
 *
 * @throws ValueError if a weight is not finite (it would make every parameter NaN).
 */
export function averagingStep(
  name: string,
  options: Pick<AveragingOptions, "r" | "weightLrPower">,
  counters: Pick<AveragingCounters, "k" | "weightSum" | "lrMax">,
  lr: number,
): AveragingStep {
  const lrMax = Math.max(lr, counters.lrMax);
  const weight = pow(counters.k + 1, options.r) * pow(lrMax, options.weightLrPower);
  const weightSum = counters.weightSum + weight;
  if (!Number.isFinite(weightSum)) {
    throw new ValueError(
      `${name}.step: the averaging weight (k + 1)^r · lrMax^weightLrPower is ${weight} ` +
        `for k = ${counters.k}, r = ${options.r}, lrMax = ${lrMax}, ` +
        `weightLrPower = ${options.weightLrPower}; expected a finite number`,
    );
  }
  const ckp1 = weightSum === 0 ? 0 : weight / weightSum;
  return { k: counters.k + 1, weightSum, lrMax, scheduledLr: lr, ckp1 };
}

/** The expected ratio of L1 to L2 norms of normally distributed numbers, inverted. */
export const L1_SCALE = Math.sqrt(Math.PI / 2);

/** How β goes from `sfBeta1` to `sfBeta1Max`. */
export interface Annealing {
  readonly sfBeta1: number;
  readonly sfBeta1Max: number;
  readonly sfBeta1AnnealSteps: number;
}

/** β of step k, counted from 0: geometrically in 1 − β. */
export function annealedBeta(
  { sfBeta1, sfBeta1Max, sfBeta1AnnealSteps }: Annealing,
  k: number,
): number {
  if (sfBeta1AnnealSteps === 0) return sfBeta1;
  const progress = Math.min(k / sfBeta1AnnealSteps, 1);
  return 1 - pow(1 - sfBeta1, 1 - progress) * pow(1 - sfBeta1Max, progress);
}

/** 1 − β^t, which a running average that started at 0 is divided by after t steps. */
export function biasCorrection(beta: number, t: number): number {
  // β^t ≤ e^(−t(1−β)), and 1 less anything below 2^-54 is 1: what long training need not compute.
  return t * (1 - beta) > 40 ? 1 : 1 - pow(beta, t);
}

/** eps, or where it is 0 the smallest normal number: with zero gradients 0 / 0 would be NaN. */
export function positiveEps(eps: number, dtype: DType): number {
  return Math.max(eps, dtype === "float32" ? 2 ** -126 : 2 ** -1022);
}

/**
 * The factor of the normalised gradient in y_{t+1}: inserting x = (y − (1−β)z)/β into
 * y_{t+1} = (1−β) z_{t+1} + β x_{t+1} gives y_{t+1} = (1−c) y + c z + γ(β(1−c) − 1) g.
 */
export function yStep(lr: number, beta: number, ckp1: number): number {
  return lr * (beta * (1 - ckp1) - 1);
}

/** Weight of z that turns y into x: x = y + w (z − y). β must not be 0. */
export function yToX(beta: number): number {
  return 1 - 1 / beta;
}

/** Weight of z that turns x into y: y = x + w (z − x). */
export function xToY(beta: number): number {
  return 1 - beta;
}
