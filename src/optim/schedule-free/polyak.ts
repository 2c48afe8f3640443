/**
 * Polyak's step size where values can only be read asynchronously: the loss, the sums, the counters that follow from
 * them and the coefficients of the step stay on the device, in the parameters' precision.
 * adamc.ts does the same in numbers where they can be read at once.
 */
import type { Kernel, NdArray } from "../../backend/backend.ts";
import { pow } from "../../elementary/index.ts";
import { runInPlace } from "../../op.ts";
import { reshape } from "../../ops/broadcast.ts";
import { clone } from "../../ops/movement.ts";
import { leaveScope } from "../../scope.ts";
import { empty, fromData, Tensor, typedArray } from "../../tensor.ts";
import { snakeCase } from "../options.ts";
import type { StateValue } from "../state-dict.ts";
import { assign } from "../state-dict.ts";
import type { AdamCGroup } from "./adamc.ts";
import { biasCorrection, L1_SCALE } from "./coefficients.ts";

/** Counters of a group that follow from values, in the order in which its device has them. */
const names = [
  "gradL1Ema",
  "gradL1EmaCorr",
  "functionValueEma",
  "ipTerm",
  "weightSum",
  "lrMax",
  "scheduledLr",
] as const;

/** What follows from options and the count of steps; 0 and 1 stand for false and true. */
export interface PolyakAttrs {
  /** The interpolation between z (0) and x (1). */
  beta: number;
  /** Of the average of the gradient's norm: polyakBeta, (1 − polyakBeta) √(π/2), 1 − polyakBeta^(k + 1). */
  keep: number;
  gain: number;
  bias: number;
  /** Is the corrected average fed back? (`compat: "upstream"`) */
  corrected: number;
  /** lr, at least eps. */
  rate: number;
  /** Does c follow from weights, (k + 1)^r · lrMax^power? Else it is 1. */
  averaged: number;
  weight: number;
  power: number;
  weightDecay: number;
  /** 1 − β₁^(k + 1) */
  bias1: number;
}

/**
 * sums [2n], loss [], first [7]? → counters [7] in place, coefficients [4]: with the averages of `first`, or of `counters`
 * if that is not given,
 *
 *     ipTerm = beta Σ sums[2i + 1];   average = keep·gradL1Ema + gain Σ sums[2i];   corrected = average / bias
 *     lr = rate · max(0, loss + ipTerm) / corrected;   lrMax = max(lrMax, lr)
 *     weightSum += weight·lrMax^power;   c = weight·lrMax^power / weightSum
 *
 * and the coefficients weightDecay·lr², lr / bias1, 1 − c, c of the step. lr is 0 where `corrected` is, c where weightSum is,
 * and a NaN counts for nothing in the two maxima, but in lr. Device "cpu" has no kernel for it: it reads the sums (adamc.ts).
 */
export const polyakStepKernel: Kernel = {
  name: "polyakStep",
  kind: "polyakStep",
  wasm: "polyak_step",
  reference: (
    [{ data: sums }, { data: loss }, first]: readonly NdArray[],
    [{ data: counters }, { data: coefficients }]: readonly NdArray[],
    a: PolyakAttrs,
  ) => {
    let l1 = 0;
    let innerProduct = 0;
    for (let i = 0; i < sums.length; i += 2) {
      l1 += sums[i];
      innerProduct += sums[i + 1];
    }
    const [before] = (first as NdArray | undefined)?.data ?? counters;
    const ipTerm = a.beta * innerProduct;
    const average = a.keep * before + a.gain * l1;
    const corrected = average / a.bias;
    const value = loss[0] + ipTerm;
    const numerator = value > 0 ? value : 0;
    const lr = a.rate * (corrected === 0 ? 0 : numerator / corrected);
    const lrMax = counters[5] > lr ? counters[5] : lr;
    let weightSum = counters[4];
    let ckp1 = 1;
    if (a.averaged) {
      const weight = pow(lrMax, a.power) * a.weight;
      weightSum += weight;
      ckp1 = weightSum === 0 ? 0 : weight / weightSum;
    }
    counters.set([
      a.corrected ? corrected : average,
      corrected,
      value,
      ipTerm,
      weightSum,
      lrMax,
      lr,
    ]);
    coefficients.set([lr * lr * a.weightDecay, lr / a.bias1, 1 - ckp1, ckp1]);
  },
};

/** A group's counters on its device. They begin as the group's numbers, which are NaN from then on. */
export class DeviceCounters {
  /** All of them, [7]. */
  readonly block: Tensor;
  /** Each, as a view. */
  private readonly views: readonly Tensor[];

  constructor(group: AdamCGroup) {
    const values = names.map((name) => group[name]);
    this.block = numbersLike(group.params[0], values, [names.length], "counters");
    leaveScope(this.block);
    const { storage } = this.block;
    this.views = names.map((name, i) => new Tensor(storage.retain(), [], [], i, name));
    for (const name of names) group[name] = NaN;
  }

  /** All of them, by name. */
  all(): Record<string, Tensor> {
    return Object.fromEntries(names.map((name, i) => [name, this.views[i]]));
  }

  /** Copies under the keys of saved groups, in the innermost scope. */
  save(): Record<string, Tensor> {
    return Object.fromEntries(names.map((name, i) => [snakeCase(name), clone(this.views[i])]));
  }

  /** Takes what `save` gave, which stayed on the device, or the numbers that the group has been given. */
  load(group: AdamCGroup, saved: Readonly<Record<string, unknown>>): void {
    names.forEach((name, i) => {
      const value = saved[snakeCase(name)];
      if (typeof value === "object" && value !== null) assign(this.views[i], value as StateValue);
      else if (!Number.isNaN(group[name])) this.views[i].copyFrom([group[name]]);
      group[name] = NaN;
    });
  }

  dispose(): void {
    for (const x of this.views) x.dispose();
    this.block.dispose();
  }
}

/**
 * What each group's `adamcStep` takes in place of numbers: decay, step, keep and ckp1, [4]. All counters but k move on. The
 * size of all steps follows from the first group's options and averages.
 *
 * @param sums Σ|g| and Σ g·(z − x) of all pieces, [2n]
 */
export function polyakCoefficients(
  groups: readonly AdamCGroup[],
  counters: readonly DeviceCounters[],
  beta: number,
  loss: number | Tensor,
  sums: Tensor,
): Tensor[] {
  const [first] = groups;
  const [param] = first.params;
  const { polyakBeta } = first;
  const value =
    typeof loss === "number" ? numbersLike(param, [loss], [], "loss") : reshape(loss, []);
  const shared = {
    beta,
    keep: polyakBeta,
    gain: (1 - polyakBeta) * L1_SCALE,
    bias: biasCorrection(polyakBeta, first.k + 1),
    corrected: first.compat === "upstream" ? 1 : 0,
  };
  const all = groups.map(() => empty(sums.backend, [4], sums.dtype, "coefficients"));
  // The first group comes last: the others read its averages of before.
  for (let g = groups.length - 1; g >= 0; g--) {
    const { k, r, lr, eps, cWarmup, weightDecay, weightLrPower, betas } = groups[g];
    const inputs = g === 0 ? [sums, value] : [sums, value, counters[0].block];
    runInPlace<PolyakAttrs>(polyakStepKernel, inputs, [counters[g].block, all[g]], {
      ...shared,
      rate: Math.max(lr, eps),
      averaged: k >= cWarmup ? 1 : 0,
      weight: pow(k + 1, r),
      power: weightLrPower,
      weightDecay,
      bias1: biasCorrection(betas[0], k + 1),
    });
  }
  return all;
}

/** A tensor like a parameter that holds numbers, in the innermost scope. */
function numbersLike(
  param: Tensor,
  values: readonly number[],
  shape: readonly number[],
  label: string,
): Tensor {
  return fromData(param.backend, typedArray(param.dtype, values), shape, param.dtype, label);
}
