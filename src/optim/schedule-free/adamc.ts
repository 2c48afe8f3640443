/** AdamC Schedule-Free+: Schedule-Free on Adam, with a step size after Polyak. */
import { currentCapture } from "../../capture.ts";
import { pow } from "../../elementary/index.ts";
import { LifetimeError, ValueError } from "../../errors.ts";
import { narrow } from "../../ops/movement.ts";
import { empty, Tensor } from "../../tensor.ts";
import type { FlatGroup, Run } from "../flat.ts";
import type { ParamsOrGroups } from "../optimizer.ts";
import type { OptionTable } from "../options.ts";
import { decayRate, decayRates, nonNegative, unit } from "../options.ts";
import type { StateKey } from "../state-dict.ts";
import type { AveragingStep } from "./coefficients.ts";
import { annealedBeta, biasCorrection, L1_SCALE, positiveEps, xToY } from "./coefficients.ts";
import { adamcStep, lerpInPlace, POLYAK_PIECE, polyakSums } from "./kernels.ts";
import { DeviceCounters, polyakCoefficients } from "./polyak.ts";
import type { Counters, Group } from "./schedule-free.ts";
import { counters, ScheduleFree } from "./schedule-free.ts";

export interface AdamCScheduleFreePlusPaperOptions {
  /** Factor of the Polyak step size; never below `eps`. Default 1. */
  lr: number;
  /** [β₁, β₂] of Adam's two moments. Default [0.9, 0.95]. */
  betas: readonly [number, number];
  /** The interpolation between z (0) and x (1), where gradients are taken. Default 0.9. */
  sfBeta1: number;
  /** Added to the root of the second moment; 0 acts as the smallest normal number. Default 1e-8. */
  eps: number;
  /** λ: decoupled decay γ²λy; values are more like 20 or 50 than 0.1. Default 0. */
  weightDecay: number;
  /** Step t weighs (t + 1)^r in the average. Default 0. */
  r: number;
  /** Coefficient of the running average of the gradient's L1 norm; 0: none. Default 0. */
  polyakBeta: number;
  /** Steps in which x follows z (c = 1). Once or twice the warmup of lr. Default 0. */
  cWarmup: number;
  /** Steps in which sfBeta1 goes to `sfBeta1Max`, geometrically in 1 − β; 0: it stays. Default 0. */
  sfBeta1AnnealSteps: number;
  /** Where annealing ends. Default 0.965. */
  sfBeta1Max: number;
  /** Step t weighs (largest γ so far)^weightLrPower in the average. Default 2. */
  weightLrPower: number;
  /** "upstream" corrects the average of the L1 norm twice, as upstream does. Default "none". */
  compat: "none" | "upstream";
}

/** A group's counters; all but `k`, `weightSum` and `lrMax` are the same in every group. */
interface AdamCCounters extends Counters {
  /** Running average of √(π/2) ‖g‖₁, not corrected (`compat: "upstream"`: corrected). */
  gradL1Ema: number;
  /** The same, corrected for its start at 0. */
  gradL1EmaCorr: number;
  /** f + ipTerm. */
  functionValueEma: number;
  /** β ⟨g, z − x⟩. */
  ipTerm: number;
}

export type AdamCGroup = Group<AdamCScheduleFreePlusPaperOptions, AdamCCounters>;

const adamcOptions: OptionTable<AdamCScheduleFreePlusPaperOptions> = {
  lr: nonNegative(1),
  betas: decayRates([0.9, 0.95]),
  sfBeta1: unit(0.9),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  r: nonNegative(0),
  polyakBeta: decayRate(0),
  cWarmup: nonNegative(0),
  sfBeta1AnnealSteps: nonNegative(0),
  sfBeta1Max: unit(0.965),
  weightLrPower: nonNegative(2),
  compat: {
    default: "none",
    expected: '"none" or "upstream"',
    accepts: (value) => value === "none" || value === "upstream",
  },
};

/** What a step's groups share. */
interface PolyakStep {
  readonly beta: number;
  /** The step size, before lr; NaN where values cannot be read at once. */
  readonly size: number;
  /** What each group's step follows from there. */
  readonly coefficients?: ReadonlyMap<AdamCGroup, Tensor>;
  /** Where they are numbers. */
  readonly counters?: Omit<AdamCCounters, keyof Counters>;
}

/**
 * The sound form of: max(0, f + β⟨g, z − x⟩) / ‖g‖ with ‖g‖ ≈ √(π/2) ‖g‖₁, averaged with
 * `polyakBeta`. 0 where there is no gradient at all. A NaN numerator counts as 0, as upstream.
 */
function polyakStep(
  first: AdamCGroup,
  functionValue: number,
  sums: { l1: number; innerProduct: number },
): PolyakStep {
  const { polyakBeta, k, compat } = first;
  const beta = annealedBeta(first, k);
  const ipTerm = beta * sums.innerProduct;
  const average = polyakBeta * first.gradL1Ema + (1 - polyakBeta) * sums.l1 * L1_SCALE;
  const corrected = average / biasCorrection(polyakBeta, k + 1);
  const functionValueEma = functionValue + ipTerm;
  const numerator = functionValueEma > 0 ? functionValueEma : 0;
  return {
    beta,
    size: corrected === 0 ? 0 : numerator / corrected,
    counters: {
      gradL1Ema: compat === "upstream" ? corrected : average,
      gradL1EmaCorr: corrected,
      functionValueEma,
      ipTerm,
    },
  };
}

/**
 * AdamC Schedule-Free+ (upstream `AdamCScheduleFreePlusPaper`; AdamC: arXiv 2506.02285): Adam's
 * direction, decay scaled by the squared step size, Schedule-Free averaging, and a step size that
 * follows from the loss f(y), which `step` has to be told:
 *
 *     γ = lr · max(0, f + β⟨g, z − x⟩) / (√(π/2) ‖g‖₁),   g = ∇f(y)
 *     z ← z − γ²λy − γ m̂ / (√v̂ + ε);   x ← (1−c) x + c z;   y ← β x + (1−β) z
 *
 * On device "webgpu" nothing is read: the loss may stay a tensor, and the counters that follow from it (`weightSum`,
 * `lrMax`, `scheduledLr`, `gradL1Ema` and the like) are NaN in `paramGroups` and tensors in `stateDict()`.
 *
 * The norm (averaged with `polyakBeta`), ⟨g, z − x⟩ and β run over all parameters with a gradient and
 * follow the options and the count of the first group, as upstream. c is weighted by γ; it is 1 in
 * the first `cWarmup` steps.
 *
 * Upstream keeps the *corrected* average of the norm, feeds it back and corrects it again: with
 * `polyakBeta` 0.9 it is 5 times too large at step 2 and 3900 times at step 20. Here it is corrected
 * once; `compat: "upstream"` does as upstream. With all gradients zero upstream raises; here nothing
 * moves.
 *
 * Parameters hold y in train mode and x in eval mode; it starts in **eval** mode. State: `x`, `y`,
 * `z`, `exp_avg`, `exp_avg_sq` (y in train mode are the parameters themselves, which loading sets).
 *
 * @throws ValueError for options out of their domain and parameters that cannot be trained
 */
export class AdamCScheduleFreePlusPaper extends ScheduleFree<
  AdamCScheduleFreePlusPaperOptions,
  AdamCCounters
> {
  private functionValue: number | Tensor = NaN;
  private polyak: PolyakStep | undefined;
  private readonly held = new Map<AdamCGroup, DeviceCounters>();

  constructor(
    params: ParamsOrGroups<AdamCScheduleFreePlusPaperOptions>,
    options: Partial<AdamCScheduleFreePlusPaperOptions> = {},
  ) {
    const name = "AdamCScheduleFreePlusPaper";
    const none = { gradL1Ema: 0, gradL1EmaCorr: 0, functionValueEma: 0, ipTerm: 0 };
    super(
      { name, options: adamcOptions, counters: { ...counters(false), ...none } },
      params,
      options,
    );
  }

  /**
   * One step with the gradients in `grad`, which stay as they are.
   *
   * @param loss the loss at the parameters as they are, or a closure that computes it, calls
   *   `backward()` and returns it (a number, or a tensor of one element). It is returned.
   * @throws ValueError without a loss, LifetimeError in the wrong mode and under `compile`; nothing has changed then
   */
  override step(): never;
  override step<L extends number | Tensor>(loss: L): L;
  override step<T>(loss: () => T): T;
  override step<T>(loss?: number | Tensor | (() => T)): number | Tensor | T {
    const where = `${this.spec.name}.step`;
    if (currentCapture() !== null) {
      throw new LifetimeError(
        `${where}: its size follows from the loss, which compile() would not tell later steps; ` +
          "call backward() in the compiled function, return the loss, and step(loss) after it",
      );
    }
    if (typeof loss === "function") {
      return super.step(() => {
        const result = loss();
        this.functionValue = valueOf(where, result, "the closure returned");
        return result;
      });
    }
    if (loss === undefined) {
      throw new ValueError(
        `${where}: called without the loss; expected its value, or a function that ` +
          "computes it, calls backward() and returns it",
      );
    }
    this.functionValue = valueOf(where, loss, "the loss is");
    super.step();
    return loss;
  }

  protected override update(blocks: readonly FlatGroup[]): void {
    const groups = this.paramGroups;
    const [first] = groups;
    const { functionValue } = this;
    const { sums, runs } = measure(blocks);
    if (this.isHeld()) {
      const beta = annealedBeta(first, first.k);
      const counters = groups.map((group) => this.countersOf(group));
      const all = polyakCoefficients(groups, counters, beta, functionValue, sums);
      this.polyak = {
        beta,
        size: NaN,
        coefficients: new Map(groups.map((one, g) => [one, all[g]])),
      };
    } else {
      this.polyak = polyakStep(first, functionValue as number, addUp(runs));
    }
    this.functionValue = NaN;
    super.update(blocks);
    for (const group of this.paramGroups) Object.assign(group, this.polyak.counters);
  }

  protected override stepLr(group: AdamCGroup): number {
    return Math.max(group.lr, group.eps) * this.polyak!.size;
  }

  /** Do loss and counters stay on the device? */
  private isHeld(): boolean {
    return !this.paramGroups[0].params[0].backend.capabilities().syncReads;
  }

  private countersOf(group: AdamCGroup): DeviceCounters {
    const known = this.held.get(group);
    if (known !== undefined) return known;
    const made = new DeviceCounters(group);
    this.held.set(group, made);
    return made;
  }

  /** No check here: a loss that has gone to infinity takes the parameters with it, as upstream. */
  protected override nextStep(group: AdamCGroup): AveragingStep {
    const lr = this.stepLr(group);
    const lrMax = group.lrMax > lr ? group.lrMax : lr;
    const step = { k: group.k + 1, lrMax, scheduledLr: lr };
    if (group.k < group.cWarmup) return { ...step, weightSum: group.weightSum, ckp1: 1 };
    const weight = pow(group.k + 1, group.r) * pow(lrMax, group.weightLrPower);
    const weightSum = group.weightSum + weight;
    return { ...step, weightSum, ckp1: weightSum === 0 ? 0 : weight / weightSum };
  }

  protected override stepGroup(group: AdamCGroup, block: FlatGroup, step: AveragingStep): void {
    const active = block.gather();
    block.start(active, ["z", "x"]);
    for (const run of block.runs(active)) this.stepRun(group, block, run, step);
    block.touch(active);
  }

  protected override toX(_group: AdamCGroup, block: FlatGroup): void {
    const runs = block.runs(block.started);
    block.copyRuns(block.values, block.block("y"), runs);
    block.copyRuns(block.block("x"), block.values, runs);
  }

  protected override toY(_group: AdamCGroup, block: FlatGroup, changed: readonly boolean[]): void {
    const same = block.started.map((isStarted, i) => isStarted && !changed[i]);
    block.copyRuns(block.block("y"), block.values, block.runs(same));
    const runs = block.runs(changed);
    block.copyRuns(block.values, block.block("x"), runs);
    const [first] = this.paramGroups;
    const weight = xToY(annealedBeta(first, Math.max(first.k - 1, 0)));
    for (const run of runs) {
      lerpInPlace(block.part(block.values, run), block.part(block.block("z"), run), weight);
    }
    block.drop("y");
  }

  /** `lrMax` starts at eps, as upstream. */
  protected override onAdd(group: AdamCGroup, block: FlatGroup): void {
    super.onAdd(group, block);
    group.lrMax = group.eps;
  }

  protected override stateKeys({ trainMode }: AdamCGroup): readonly StateKey[] {
    return [
      { key: "z", block: "z" },
      { key: "x", block: "x" },
      { key: "y", block: trainMode ? "values" : "y" },
      { key: "exp_avg", block: "expAvg" },
      { key: "exp_avg_sq", block: "expAvgSq" },
    ];
  }

  protected override savedBeside(group: AdamCGroup, block: FlatGroup): Record<string, unknown> {
    const beside = super.savedBeside(group, block);
    return this.isHeld() ? { ...beside, ...this.countersOf(group).save() } : beside;
  }

  protected override deviceCounters(group: AdamCGroup): Readonly<Record<string, Tensor>> {
    return this.isHeld() ? this.countersOf(group).all() : {};
  }

  protected override onLoad(
    group: AdamCGroup,
    block: FlatGroup,
    saved: Readonly<Record<string, unknown>>,
  ): void {
    super.onLoad(group, block, saved);
    if (this.isHeld()) this.countersOf(group).load(group, saved);
  }

  override dispose(): void {
    for (const counters of this.held.values()) counters.dispose();
    this.held.clear();
    super.dispose();
  }

  private stepRun(
    group: AdamCGroup,
    block: FlatGroup,
    run: Run,
    { k: t, scheduledLr: lr, ckp1 }: AveragingStep,
  ): void {
    const [beta1, beta2] = group.betas;
    const { beta, coefficients } = this.polyak!;
    const part = (name: string) => block.part(block.block(name), run);
    const numbers = {
      decay: lr * lr * group.weightDecay,
      step: lr / biasCorrection(beta1, t),
      keep: 1 - ckp1,
      ckp1,
    };
    adamcStep(
      block.part(block.grads, run),
      { y: part("values"), z: part("z"), x: part("x"), m: part("expAvg"), v: part("expAvgSq") },
      {
        ...(coefficients === undefined ? numbers : {}),
        beta1,
        oneMinusBeta1: 1 - beta1,
        beta2,
        oneMinusBeta2: 1 - beta2,
        invBias2: 1 / biasCorrection(beta2, t),
        eps: positiveEps(group.eps, block.values.dtype),
        beta,
        oneMinusBeta: 1 - beta,
      },
      coefficients?.get(group) ?? null,
    );
  }
}

/** Σ|g| and Σ g·(z − x) of all pieces of 4096 elements, [2n]; `runs` are the views of those of each run. */
function measure(blocks: readonly FlatGroup[]): { sums: Tensor; runs: Tensor[] } {
  const parts = blocks.flatMap((block) =>
    block.runs(block.gather()).map((run) => ({ block, run, size: 2 * piecesOf(run) })),
  );
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  const { backend, dtype } = blocks[0].values;
  const sums = empty(backend, [total], dtype, "polyakSums");
  let begin = 0;
  const runs = parts.map(({ block, run, size }) => {
    const into = narrow(sums, 0, begin, size);
    begin += size;
    // What takes part for the first time has z and x 0 here, and so no part in the product.
    const part = (name: string): Tensor => block.part(block.block(name), run);
    polyakSums(block.part(block.grads, run), part("z"), part("x"), into);
    return into;
  });
  return { sums, runs };
}

const piecesOf = ({ begin, end }: Run): number => Math.ceil((end - begin) / POLYAK_PIECE);

/** Both sums over all pieces, in float64. */
function addUp(runs: readonly Tensor[]): { l1: number; innerProduct: number } {
  const sums = { l1: 0, innerProduct: 0 };
  for (const run of runs) {
    let l1 = 0;
    let innerProduct = 0;
    const numbers = run.dataSync();
    for (let i = 0; i < numbers.length; i += 2) {
      l1 += numbers[i];
      innerProduct += numbers[i + 1];
    }
    sums.l1 += l1;
    sums.innerProduct += innerProduct;
  }
  return sums;
}

/** The loss, if it is one; a tensor only where it cannot be read at once. */
function valueOf(where: string, loss: unknown, what: string): number | Tensor {
  if (typeof loss === "number") return loss;
  if (loss instanceof Tensor && loss.size === 1) {
    return loss.backend.capabilities().syncReads ? loss.itemSync() : loss;
  }
  const found = loss instanceof Tensor ? loss.describe() : String(loss);
  throw new ValueError(
    `${where}: ${what} ${found}; expected the loss, a number or a tensor of one element`,
  );
}
