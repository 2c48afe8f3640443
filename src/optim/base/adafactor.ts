/** Adafactor: options and the optimizer. */
import { pow } from "../../elementary/index.ts";
import { copy } from "../../autograd.ts";
import { runInPlace } from "../../op.ts";
import { add, div, mul, neg, sub } from "../../ops/arithmetic.ts";
import { matmul } from "../../ops/matmul.ts";
import { clamp, rsqrt, sqrt, square } from "../../ops/math.ts";
import { mean } from "../../ops/reduce.ts";
import { runScoped } from "../../scope.ts";
import type { DType } from "../../backend/backend.ts";
import type { Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import type { FlatGroup } from "../flat.ts";
import type { ParamGroup, ParamsOrGroups } from "../optimizer.ts";
import type { Option, OptionTable } from "../options.ts";
import { flag, ignored, nonNegative } from "../options.ts";
import { positiveEps } from "../schedule-free/coefficients.ts";
import type { StateKey } from "../state-dict.ts";
import { BaseOptimizer, stepKey } from "./base-optimizer.ts";

export interface AdafactorOptions {
  /** γ: the most that the relative step size may be, and the factor of weight decay. Default 0.01. */
  lr: number;
  /** τ ≤ 0: β₂ of step t is 1 − t^τ. Default −0.8. */
  beta2Decay: number;
  /**
   * [ε₁, ε₂]: the least root of the second moment (null: the dtype's machine epsilon), and the least
   * root mean square of p that steps are relative to. Default [null, 0.001].
   */
  eps: readonly [number | null, number];
  /** d ≥ 1: the most that the root mean square of an update may be. Default 1. */
  d: number;
  /** λ: p shrinks by γλp. Default 0. */
  weightDecay: number;
  /** For PyTorch's sake; has no effect. Default null. */
  foreach: boolean | null;
  /** Ascend. Default false. */
  maximize: boolean;
}

const epsilons: Option<readonly [number | null, number]> = {
  default: [null, 0.001],
  expected: "[ε₁, ε₂], finite numbers ≥ 0 (ε₁ may be null)",
  accepts: (value) =>
    Array.isArray(value) &&
    value.length === 2 &&
    (value[0] === null || (Number.isFinite(value[0]) && value[0] >= 0)) &&
    Number.isFinite(value[1]) &&
    value[1] >= 0,
};

const options: OptionTable<AdafactorOptions> = {
  lr: nonNegative(0.01),
  beta2Decay: {
    default: -0.8,
    expected: "a finite number ≤ 0",
    accepts: (value) => Number.isFinite(value) && (value as number) <= 0,
  },
  eps: epsilons,
  d: {
    default: 1,
    expected: "a finite number ≥ 1",
    accepts: (value) => Number.isFinite(value) && (value as number) >= 1,
  },
  weightDecay: nonNegative(0),
  foreach: ignored(null),
  maximize: flag(false),
};

type Group = ParamGroup<AdafactorOptions, object>;

/**
 * Adafactor (arXiv 1804.04235, as PyTorch's `Adafactor` has it: without momentum).
 *
 *     ρ = min(γ, 1/√t);   α = max(ε₂, rms(p)) ρ;   β = 1 − t^τ;   p ← p − γ λ p
 *     r ← β r + (1−β) mean of g² over columns;   c ← β c + (1−β) mean of g² over rows
 *     V = r cᵀ / max(mean(r), ε₁)   (0- and 1-dimensional p: V ← β V + (1−β) g²)
 *     u = g / max(√V, ε₁);   p ← p − α u / max(1, rms(u)/d)
 *
 * Of parameters with more dimensions the last two are factored. t counts the steps of each
 * parameter alone; `maximize` takes −g for g. Computed per parameter, with tensor operations. State:
 * `step`, `row_var` (r) and `col_var` (c), or `variance` (V): n + m numbers for an n × m matrix.
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class Adafactor extends BaseOptimizer<AdafactorOptions> {
  constructor(params: ParamsOrGroups<AdafactorOptions>, given: Partial<AdafactorOptions> = {}) {
    super({ name: "Adafactor", options, counters: {} }, params, given);
  }

  override stepRuns(
    group: Group,
    block: FlatGroup,
    target: Tensor,
    active: readonly boolean[],
  ): void {
    block.start(active, []);
    group.params.forEach((param, i) => {
      if (!active[i]) return;
      const t = ++block.steps[i];
      if (param.size > 0) runScoped("Adafactor", () => stepOne(group, block, target, i, t));
    });
  }

  protected override stateKeys(_group: Group): readonly StateKey[] {
    return [
      stepKey,
      { key: "row_var", block: "rowVar", shape: rowShape },
      { key: "col_var", block: "colVar", shape: colShape },
      { key: "variance", block: "variance", shape: vectorShape },
    ];
  }
}

const rowShape = ({ shape }: Tensor): Shape | null =>
  shape.length < 2 ? null : [...shape.slice(0, -1), 1];

const colShape = ({ shape }: Tensor): Shape | null =>
  shape.length < 2 ? null : [...shape.slice(0, -2), 1, shape[shape.length - 1]];

const vectorShape = ({ shape }: Tensor): Shape | null => (shape.length < 2 ? shape : null);

function stepOne(group: Group, block: FlatGroup, target: Tensor, i: number, t: number): void {
  const { lr, beta2Decay, weightDecay } = group;
  const eps1 = group.eps[0] ?? machineEpsilon(target.dtype);
  const p = block.slice(target, i);
  const gradient = block.slice(block.grads, i);
  const g = group.maximize ? neg(gradient) : gradient;
  const rate = Math.min(lr, 1 / Math.sqrt(t));
  const alpha = mul(clamp(rms(p), { min: group.eps[1] }), rate);
  const v = secondMoment(block, i, g, 1 / pow(t, -beta2Decay), eps1);
  const u = mul(rsqrt(clamp(v, { min: positiveEps(eps1 * eps1, target.dtype) })), g);
  const clip = clamp(div(rms(u), group.d), { min: 1 });
  const kept = weightDecay === 0 ? p : mul(p, 1 - lr * weightDecay);
  runInPlace(copy, [sub(kept, mul(u, div(alpha, clip)))], [p], {});
}

/** Moves on the running averages (`gain` is 1 − β) and gives V. */
function secondMoment(block: FlatGroup, i: number, g: Tensor, gain: number, eps1: number): Tensor {
  const { params } = block;
  const average = (name: string, shape: Shape, fresh: Tensor): Tensor => {
    const kept = block.own(name, i, shape);
    runInPlace(copy, [add(mul(kept, 1 - gain), mul(fresh, gain))], [kept], {});
    return kept;
  };
  const squared = square(g);
  const rows = rowShape(params[i]);
  const cols = colShape(params[i]);
  if (rows === null || cols === null) return average("variance", g.shape, squared);
  const r = average("rowVar", rows, mean(squared, -1, { keepdim: true }));
  const c = average("colVar", cols, mean(squared, -2, { keepdim: true }));
  const least = positiveEps(eps1, g.dtype);
  return div(matmul(r, c), clamp(mean(r, -2, { keepdim: true }), { min: least }));
}

const rms = (x: Tensor): Tensor => sqrt(mean(square(x)));

const machineEpsilon = (dtype: DType): number => (dtype === "float32" ? 2 ** -23 : 2 ** -52);
