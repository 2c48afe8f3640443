/**
 * Polyak's step size where values can only be read asynchronously: the loss, the sums, the counters that follow from
 * them and the coefficients of the step stay on the device, as 0-dimensional tensors in the parameters' precision.
 * adamc.ts does the same in numbers where they can be read at once.
 */
import { copy } from "../../autograd.ts";
import { pow as powerOf } from "../../elementary/index.ts";
import { runInPlace } from "../../op.ts";
import { add, div, mul, sub } from "../../ops/arithmetic.ts";
import { reshape, sum } from "../../ops/broadcast.ts";
import { eq, gt, where } from "../../ops/compare.ts";
import { pow } from "../../ops/math.ts";
import { clone, concat, narrow } from "../../ops/movement.ts";
import { leaveScope } from "../../scope.ts";
import type { Tensor } from "../../tensor.ts";
import { fromData, typedArray } from "../../tensor.ts";
import { snakeCase } from "../options.ts";
import type { StateValue } from "../state-dict.ts";
import { assign } from "../state-dict.ts";
import type { AdamCGroup } from "./adamc.ts";
import { biasCorrection, L1_SCALE } from "./coefficients.ts";

/** Counters of a group that follow from values. */
const names = [
  "gradL1Ema",
  "gradL1EmaCorr",
  "functionValueEma",
  "ipTerm",
  "weightSum",
  "lrMax",
  "scheduledLr",
] as const;

type Name = (typeof names)[number];

/** Tensors like one parameter that hold numbers. */
function numberLike(param: Tensor, value: number, label: string): Tensor {
  return fromData(param.backend, typedArray(param.dtype, [value]), [], param.dtype, label);
}

/** A group's counters on its device. They begin as the group's numbers, which are NaN from then on. */
export class DeviceCounters {
  private readonly tensors = new Map<Name, Tensor>();

  constructor(group: AdamCGroup) {
    for (const name of names) {
      const x = numberLike(group.params[0], group[name], name);
      leaveScope(x);
      this.tensors.set(name, x);
      group[name] = NaN;
    }
  }

  get(name: Name): Tensor {
    return this.tensors.get(name)!;
  }

  set(name: Name, value: Tensor): void {
    runInPlace(copy, [value], [this.get(name)], {});
  }

  /** All of them, by name. */
  all(): Record<string, Tensor> {
    return Object.fromEntries(this.tensors);
  }

  /** Copies under the keys of saved groups, in the innermost scope. */
  save(): Record<string, Tensor> {
    const saved: Record<string, Tensor> = {};
    for (const [name, x] of this.tensors) saved[snakeCase(name)] = clone(x);
    return saved;
  }

  /** Takes what `save` gave, which stayed on the device, or the numbers that the group has been given. */
  load(group: AdamCGroup, saved: Readonly<Record<string, unknown>>): void {
    for (const [name, x] of this.tensors) {
      const value = saved[snakeCase(name)];
      if (typeof value === "object" && value !== null) assign(x, value as StateValue);
      else if (!Number.isNaN(group[name])) x.copyFrom([group[name]]);
      group[name] = NaN;
    }
  }

  dispose(): void {
    for (const x of this.tensors.values()) x.dispose();
  }
}

/** Σ|g| and Σ g·(z − x) from the sums of pieces, [2n] each. */
function totals(pieces: readonly Tensor[], param: Tensor): [l1: Tensor, innerProduct: Tensor] {
  if (pieces.length === 0) {
    const zero = numberLike(param, 0, "polyakSums");
    return [zero, zero];
  }
  const all = concat(pieces);
  const both = sum(reshape(all, [all.size / 2, 2]), 0);
  return [reshape(narrow(both, 0, 0, 1), []), reshape(narrow(both, 0, 1, 1), [])];
}

/**
 * max(0, f + β⟨g, z − x⟩) / (√(π/2) ‖g‖₁), the norm averaged; the counters of all groups move on. `first` is the group
 * whose options and counters count, `loss` f.
 */
export function polyakSize(
  first: AdamCGroup,
  beta: number,
  loss: number | Tensor,
  pieces: readonly Tensor[],
  counters: readonly DeviceCounters[],
): Tensor {
  const { polyakBeta, k, compat } = first;
  const [param] = first.params;
  const value = typeof loss === "number" ? numberLike(param, loss, "loss") : reshape(loss, []);
  const [l1, innerProduct] = totals(pieces, param);
  const ipTerm = mul(innerProduct, beta);
  const before = counters[0].get("gradL1Ema");
  const average = add(mul(before, polyakBeta), mul(l1, (1 - polyakBeta) * L1_SCALE));
  const corrected = div(average, biasCorrection(polyakBeta, k + 1));
  const functionValueEma = add(value, ipTerm);
  const numerator = where(gt(functionValueEma, 0), functionValueEma, 0);
  const size = where(eq(corrected, 0), 0, div(numerator, corrected));
  for (const each of counters) {
    each.set("gradL1Ema", compat === "upstream" ? corrected : average);
    each.set("gradL1EmaCorr", corrected);
    each.set("functionValueEma", functionValueEma);
    each.set("ipTerm", ipTerm);
  }
  return size;
}

/**
 * decay, step, keep and ckp1 of a group's step of that size, [4]: what `adamcStep` takes in place of numbers. The
 * group's counters move on, all but k.
 */
export function stepCoefficients(
  group: AdamCGroup,
  size: Tensor,
  counters: DeviceCounters,
): Tensor {
  const { k, r, cWarmup, weightDecay, weightLrPower } = group;
  const lr = mul(size, Math.max(group.lr, group.eps));
  const before = counters.get("lrMax");
  const lrMax = where(gt(before, lr), before, lr);
  let ckp1 = numberLike(group.params[0], 1, "ckp1");
  if (k >= cWarmup) {
    const weight = mul(pow(lrMax, weightLrPower), powerOf(k + 1, r));
    const weightSum = add(counters.get("weightSum"), weight);
    ckp1 = where(eq(weightSum, 0), 0, div(weight, weightSum));
    counters.set("weightSum", weightSum);
  }
  counters.set("lrMax", lrMax);
  counters.set("scheduledLr", lr);
  const decay = mul(mul(lr, lr), weightDecay);
  const step = div(lr, biasCorrection(group.betas[0], k + 1));
  return concat([decay, step, sub(1, ckp1), ckp1].map((x) => reshape(x, [1])));
}
