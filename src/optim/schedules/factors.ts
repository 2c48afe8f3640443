/** Schedules that multiply: by a function, in steps, along a line or a power, or not at all. */
import { pow } from "../../elementary/index.ts";
import type { OptionTable } from "../options.ts";
import { nonNegative } from "../options.ts";
import type { PerGroup, Scheduled, SchedulerOptions } from "./scheduler.ts";
import {
  isFinite,
  isFunctionPerGroup,
  isWhole,
  LRScheduler,
  option,
  required,
} from "./scheduler.ts";

/** From the epoch, counted from 0, to a factor. */
export type LrLambda = (epoch: number) => number;

export interface LambdaLROptions {
  /** The factor by epoch; one function, or one per group. */
  lrLambda: PerGroup<LrLambda>;
}

const lambdaOptions: OptionTable<LambdaLROptions> = {
  lrLambda: required("a function, or a list with one per group", isFunctionPerGroup),
};

/**
 * Any schedule: lr_t = lr₀ · f(t).
 *
 * @throws ValueError for options out of their domain
 */
export class LambdaLR extends LRScheduler<LambdaLROptions> {
  constructor(optimizer: Scheduled, options: LambdaLROptions & Partial<SchedulerOptions>) {
    super("LambdaLR", lambdaOptions, optimizer, options);
  }

  protected override next(_lr: number, base: number, g: number): number {
    return base * this.pick("lrLambda", this.options.lrLambda, g)(this.lastEpoch);
  }
}

/**
 * lr_t = lr_{t−1} · f(t), from t = 1 on. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class MultiplicativeLR extends LRScheduler<LambdaLROptions> {
  constructor(optimizer: Scheduled, options: LambdaLROptions & Partial<SchedulerOptions>) {
    super("MultiplicativeLR", lambdaOptions, optimizer, options);
  }

  protected override next(lr: number, _base: number, g: number): number {
    if (this.lastEpoch === 0) return lr;
    return lr * this.pick("lrLambda", this.options.lrLambda, g)(this.lastEpoch);
  }
}

export interface StepLROptions {
  /** Epochs between decays. */
  stepSize: number;
  /** The factor. Default 0.1. */
  gamma: number;
}

/**
 * lr_t = lr₀ γ^⌊t / stepSize⌋. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class StepLR extends LRScheduler<StepLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<StepLROptions & SchedulerOptions> & Pick<StepLROptions, "stepSize">,
  ) {
    const table: OptionTable<StepLROptions> = {
      stepSize: required("a whole number ≥ 1", (value) => isWhole(value, 1)),
      gamma: nonNegative(0.1),
    };
    super("StepLR", table, optimizer, options);
  }

  protected override next(lr: number): number {
    const { stepSize, gamma } = this.options;
    return this.lastEpoch === 0 || this.lastEpoch % stepSize !== 0 ? lr : lr * gamma;
  }

  protected override at(_lr: number, base: number): number {
    const { stepSize, gamma } = this.options;
    return base * pow(gamma, Math.floor(this.lastEpoch / stepSize));
  }
}

export interface MultiStepLROptions {
  /** Epochs at which to decay; one that is listed twice counts twice. */
  milestones: readonly number[];
  /** The factor. Default 0.1. */
  gamma: number;
}

/**
 * lr_t = lr₀ γ^(number of milestones ≤ t). Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class MultiStepLR extends LRScheduler<MultiStepLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<MultiStepLROptions & SchedulerOptions> &
      Pick<MultiStepLROptions, "milestones">,
  ) {
    const table: OptionTable<MultiStepLROptions> = {
      milestones: required(
        "a list of whole numbers ≥ 0",
        (value) => Array.isArray(value) && value.every((item) => isWhole(item, 0)),
      ),
      gamma: nonNegative(0.1),
    };
    super("MultiStepLR", table, optimizer, options);
  }

  protected override next(lr: number): number {
    const { milestones, gamma } = this.options;
    return lr * pow(gamma, milestones.filter((epoch) => epoch === this.lastEpoch).length);
  }

  protected override at(_lr: number, base: number): number {
    const { milestones, gamma } = this.options;
    return base * pow(gamma, milestones.filter((epoch) => epoch <= this.lastEpoch).length);
  }
}

export interface ConstantLROptions {
  /** The factor while t < totalIters. Default 1/3. */
  factor: number;
  /** Epochs with the factor; afterwards the full rate. Default 5. */
  totalIters: number;
}

/**
 * lr_t = factor · lr₀ while t < totalIters, then lr₀; `{ factor: 1 }` is a constant rate. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class ConstantLR extends LRScheduler<ConstantLROptions> {
  constructor(optimizer: Scheduled, options: Partial<ConstantLROptions & SchedulerOptions> = {}) {
    const table: OptionTable<ConstantLROptions> = {
      factor: option(1 / 3, "a number from 0 to 1", (value) => inRange(value, 0, 1)),
      totalIters: option(5, "a whole number ≥ 0", (value) => isWhole(value, 0)),
    };
    super("ConstantLR", table, optimizer, options);
  }

  protected override next(lr: number, base: number): number {
    const { factor, totalIters } = this.options;
    if (this.lastEpoch === 0) return lr * factor;
    if (this.lastEpoch !== totalIters) return lr;
    return factor === 0 ? base : lr * (1 / factor);
  }

  protected override at(_lr: number, base: number): number {
    const { factor, totalIters } = this.options;
    return base * (factor + (this.lastEpoch >= totalIters ? 1 - factor : 0));
  }
}

export interface LinearLROptions {
  /** The factor at t = 0, above 0 and at most 1. Default 1/3. */
  startFactor: number;
  /** The factor from t = totalIters on, from 0 to 1. Default 1. */
  endFactor: number;
  /** Epochs from one to the other. Default 5. */
  totalIters: number;
}

/**
 * lr_t = lr₀ (s + (e − s) min(t, totalIters) / totalIters): a warmup or a decay. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class LinearLR extends LRScheduler<LinearLROptions> {
  constructor(optimizer: Scheduled, options: Partial<LinearLROptions & SchedulerOptions> = {}) {
    const table: OptionTable<LinearLROptions> = {
      startFactor: option(
        1 / 3,
        "a number above 0 and at most 1",
        (value) => inRange(value, 0, 1) && value !== 0,
      ),
      endFactor: option(1, "a number from 0 to 1", (value) => inRange(value, 0, 1)),
      totalIters: option(5, "a whole number ≥ 0", (value) => isWhole(value, 0)),
    };
    super("LinearLR", table, optimizer, options);
  }

  protected override next(lr: number): number {
    const { startFactor: start, endFactor: end, totalIters: n } = this.options;
    const t = this.lastEpoch;
    if (t === 0) return lr * start;
    if (t > n) return lr;
    return lr * (1 + (end - start) / (n * start + (t - 1) * (end - start)));
  }

  protected override at(_lr: number, base: number): number {
    const { startFactor: start, endFactor: end, totalIters: n } = this.options;
    const done = n === 0 ? 0 : Math.min(n, this.lastEpoch) / n;
    return base * (start + (end - start) * done);
  }
}

export interface ExponentialLROptions {
  /** The factor of each epoch. */
  gamma: number;
}

/**
 * lr_t = lr₀ γ^t. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class ExponentialLR extends LRScheduler<ExponentialLROptions> {
  constructor(optimizer: Scheduled, options: ExponentialLROptions & Partial<SchedulerOptions>) {
    const { expected, accepts } = nonNegative(0);
    super("ExponentialLR", { gamma: required(expected, accepts) }, optimizer, options);
  }

  protected override next(lr: number): number {
    return this.lastEpoch === 0 ? lr : lr * this.options.gamma;
  }

  protected override at(_lr: number, base: number): number {
    return base * pow(this.options.gamma, this.lastEpoch);
  }
}

export interface PolynomialLROptions {
  /** Epochs until the rate is 0. Default 5. */
  totalIters: number;
  /** Default 1: a line. */
  power: number;
}

/**
 * lr_t = lr₀ (1 − min(t, totalIters) / totalIters)^power. Chainable.
 *
 * @throws ValueError for options out of their domain
 */
export class PolynomialLR extends LRScheduler<PolynomialLROptions> {
  constructor(optimizer: Scheduled, options: Partial<PolynomialLROptions & SchedulerOptions> = {}) {
    const table: OptionTable<PolynomialLROptions> = {
      totalIters: option(5, "a whole number ≥ 1", (value) => isWhole(value, 1)),
      power: nonNegative(1),
    };
    super("PolynomialLR", table, optimizer, options);
  }

  protected override next(lr: number): number {
    const { totalIters: n, power: p } = this.options;
    const t = this.lastEpoch;
    if (t === 0 || t > n) return lr;
    return lr * pow((1 - t / n) / (1 - (t - 1) / n), p);
  }

  protected override at(_lr: number, base: number): number {
    const { totalIters: n, power: p } = this.options;
    return base * pow(1 - Math.min(n, this.lastEpoch) / n, p);
  }
}

const inRange = (value: unknown, low: number, high: number): boolean =>
  isFinite(value) && value >= low && value <= high;
