/** Cyclic schedules: up and down with a fixed period, and decays whose period grows. */
import { cosPi, pow } from "../../elementary/index.ts";
import type { OptionTable } from "../options.ts";
import { flag, nonNegative } from "../options.ts";
import { checkMomentum, setMomentum } from "./momentum.ts";
import type { PerGroup, Scheduled, SchedulerOptions } from "./scheduler.ts";
import { isFinite, isPerGroup, isWhole, LRScheduler, option, real, required } from "./scheduler.ts";

export interface CyclicLROptions {
  /** The lowest rate. */
  baseLr: PerGroup;
  /** The highest rate. */
  maxLr: PerGroup;
  /** Steps up. Default 2000. */
  stepSizeUp: number;
  /** Steps down. Default: as many as up. */
  stepSizeDown: number | null;
  /** The same height in all cycles, half of it in each, or γ^t of it. Default "triangular". */
  mode: "triangular" | "triangular2" | "exp_range";
  /** γ of "exp_range". Default 1. */
  gamma: number;
  /** Takes the place of mode: from the cycle (from 1) or the step (from 0) to the height. */
  scaleFn: ((at: number) => number) | null;
  /** What scaleFn is given. Default "cycle". */
  scaleMode: "cycle" | "iterations";
  /** Move momentum (or β₁) against the rate. Default true. */
  cycleMomentum: boolean;
  /** Momentum at the highest rate. Default 0.8. */
  baseMomentum: PerGroup;
  /** Momentum at the lowest rate. Default 0.9. */
  maxMomentum: PerGroup;
}

const perGroup = "a number, or a list with one per group";

const table: OptionTable<CyclicLROptions> = {
  baseLr: required(perGroup, isPerGroup),
  maxLr: required(perGroup, isPerGroup),
  stepSizeUp: option(2000, "a whole number ≥ 1", (value) => isWhole(value, 1)),
  stepSizeDown: option<number | null>(null, "a whole number ≥ 1", (value) => isWhole(value, 1)),
  mode: option<CyclicLROptions["mode"]>(
    "triangular",
    '"triangular", "triangular2" or "exp_range"',
    (value) => value === "triangular2" || value === "exp_range",
  ),
  gamma: nonNegative(1),
  scaleFn: option<CyclicLROptions["scaleFn"]>(
    null,
    "a function",
    (value) => typeof value === "function",
  ),
  scaleMode: option<CyclicLROptions["scaleMode"]>(
    "cycle",
    '"cycle" or "iterations"',
    (value) => value === "iterations",
  ),
  cycleMomentum: flag(true),
  baseMomentum: option<PerGroup>(0.8, perGroup, isPerGroup),
  maxMomentum: option<PerGroup>(0.9, perGroup, isPerGroup),
};

/**
 * Up from baseLr to maxLr and down again (Smith, arXiv 1506.01186), momentum the other way round;
 * one call of `step()` per batch. On Schedule-Free optimizers momentum (β₁) is the interpolation
 * between z and x: pass `cycleMomentum: false` to leave it alone.
 *
 * @throws ValueError for options out of their domain
 */
export class CyclicLR extends LRScheduler<CyclicLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<CyclicLROptions & SchedulerOptions> &
      Pick<CyclicLROptions, "baseLr" | "maxLr">,
  ) {
    super("CyclicLR", table, optimizer, options);
  }

  protected override prepare(): void {
    if (this.options.cycleMomentum) checkMomentum(this.name, this.optimizer);
    this.optimizer.paramGroups.forEach((group, g) => {
      group.lr = this.pick("baseLr", this.options.baseLr, g);
    });
  }

  protected override next(_lr: number, _base: number, g: number): number {
    const { options, lastEpoch: t } = this;
    const total = options.stepSizeUp + (options.stepSizeDown ?? options.stepSizeUp);
    const ratio = options.stepSizeUp / total;
    const cycle = Math.floor(1 + t / total);
    const x = 1 + t / total - cycle;
    const part = x <= ratio ? x / ratio : (x - 1) / (ratio - 1);
    const height = part * this.scale(cycle, t);
    if (options.cycleMomentum) {
      const low = this.pick("baseMomentum", options.baseMomentum, g);
      const high = this.pick("maxMomentum", options.maxMomentum, g);
      setMomentum(this.optimizer, g, high - (high - low) * height);
    }
    const low = this.pick("baseLr", options.baseLr, g);
    return low + (this.pick("maxLr", options.maxLr, g) - low) * height;
  }

  protected override onLoad(): void {
    const rates = this.getLastLr();
    this.set((lr, base, g) => {
      this.next(lr, base, g); // for the momentum
      return rates[g];
    });
  }

  private scale(cycle: number, t: number): number {
    const { scaleFn, scaleMode, mode, gamma } = this.options;
    if (scaleFn !== null) return scaleFn(scaleMode === "cycle" ? cycle : t);
    if (mode === "triangular2") return pow(0.5, cycle - 1);
    return mode === "exp_range" ? pow(gamma, t) : 1;
  }
}

export interface GrowingCyclicLROptions {
  /** Steps of the first cycle. */
  period: number;
  /** Each cycle is this much longer than the one before, at least 1. Default 2. */
  growth: number;
  /** Steps of linear warmup at the start of each cycle, fewer than `period`. Default 0. */
  warmupSteps: number;
  /** Down along a line, or half a cosine. Default "linear". */
  decay: "linear" | "cos";
  /** The rate that each cycle decays to. Default 0. */
  etaMin: number;
}

/**
 * Decays to etaMin again and again, in cycles of growing length round(period · growth^i) (cyclic
 * schedules as in Portes, Blalock, Stephenson and Frankle, arXiv 2206.00832): each end of a cycle is
 * as good a place to stop as a schedule made for that many steps. With t steps since the cycle
 * began, n its length and w its warmup,
 *
 *     lr = lr₀ (t + 1) / w                             t < w
 *     lr = etaMin + (lr₀ − etaMin) d((t − w) / (n − w))   t ≥ w;  d(s) = 1 − s or (1 + cos πs) / 2
 *
 * @throws ValueError for options out of their domain
 */
export class GrowingCyclicLR extends LRScheduler<GrowingCyclicLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<GrowingCyclicLROptions & SchedulerOptions> &
      Pick<GrowingCyclicLROptions, "period">,
  ) {
    const period = options.period;
    const table: OptionTable<GrowingCyclicLROptions> = {
      period: required("a whole number ≥ 1", (value) => isWhole(value, 1)),
      growth: option(2, "a finite number ≥ 1", (value) => isFinite(value) && value >= 1),
      warmupSteps: option(
        0,
        "a whole number ≥ 0 and below period",
        (value) => isWhole(value, 0) && (value as number) < period,
      ),
      decay: option<"linear" | "cos">("linear", '"linear" or "cos"', (value) => value === "cos"),
      etaMin: real(0),
    };
    super("GrowingCyclicLR", table, optimizer, options);
  }

  protected override next(_lr: number, base: number): number {
    const { warmupSteps, decay, etaMin } = this.options;
    const [t, n] = this.place();
    if (t < warmupSteps) return base * ((t + 1) / warmupSteps);
    const s = (t - warmupSteps) / (n - warmupSteps);
    return etaMin + (base - etaMin) * (decay === "cos" ? (1 + cosPi(s)) / 2 : 1 - s);
  }

  /** Steps since the cycle began, and its length. */
  private place(): [t: number, n: number] {
    const { period, growth } = this.options;
    if (growth === 1) return [this.lastEpoch % period, period];
    let start = 0;
    for (let i = 0; ; i++) {
      const n = Math.round(period * pow(growth, i));
      if (this.lastEpoch < start + n) return [this.lastEpoch - start, n];
      start += n;
    }
  }
}

export interface WarmupDecayLROptions {
  /** Steps of the whole schedule. */
  totalSteps: number;
  /** Steps of linear warmup, fewer than totalSteps. Default 0. */
  warmupSteps: number;
  /** Down along a line, or half a cosine. Default "linear". */
  decay: "linear" | "cos";
  /** The rate at the end and after it. Default 0. */
  etaMin: number;
}

/**
 * Linear warmup and linear (or cosine) decay: one cycle of `GrowingCyclicLR`, then etaMin. It is what
 * arXiv 2405.15682 compares Schedule-Free learning with.
 *
 * @throws ValueError for options out of their domain
 */
export class WarmupDecayLR extends LRScheduler<WarmupDecayLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<WarmupDecayLROptions & SchedulerOptions> &
      Pick<WarmupDecayLROptions, "totalSteps">,
  ) {
    const total = options.totalSteps;
    const table: OptionTable<WarmupDecayLROptions> = {
      totalSteps: required("a whole number ≥ 1", (value) => isWhole(value, 1)),
      warmupSteps: option(
        0,
        "a whole number ≥ 0 and below totalSteps",
        (value) => isWhole(value, 0) && (value as number) < total,
      ),
      decay: option<"linear" | "cos">("linear", '"linear" or "cos"', (value) => value === "cos"),
      etaMin: real(0),
    };
    super("WarmupDecayLR", table, optimizer, options);
  }

  protected override next(_lr: number, base: number): number {
    const { totalSteps, warmupSteps, decay, etaMin } = this.options;
    const t = Math.min(this.lastEpoch, totalSteps);
    if (t < warmupSteps) return base * ((t + 1) / warmupSteps);
    const s = (t - warmupSteps) / (totalSteps - warmupSteps);
    return etaMin + (base - etaMin) * (decay === "cos" ? (1 + cosPi(s)) / 2 : 1 - s);
  }
}
