/** Cosine schedules (SGDR, Loshchilov and Hutter, arXiv 1608.03983). */
import { cosPi } from "../../elementary/index.ts";
import { ValueError } from "../../errors.ts";
import type { OptionTable } from "../options.ts";
import type { Scheduled, SchedulerOptions } from "./scheduler.ts";
import { isWhole, LRScheduler, option, real, required } from "./scheduler.ts";

export interface CosineAnnealingLROptions {
  /** Epochs from lr₀ down to etaMin; then it goes up again in as many. */
  tMax: number;
  /** The lowest rate. Default 0. */
  etaMin: number;
}

/**
 * lr_t = etaMin + (lr₀ − etaMin) (1 + cos(π t / tMax)) / 2, as a recursion in the present rate (that
 * is PyTorch's chainable form; a rate that is set by hand is taken up).
 *
 * @throws ValueError for options out of their domain
 */
export class CosineAnnealingLR extends LRScheduler<CosineAnnealingLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<CosineAnnealingLROptions & SchedulerOptions> &
      Pick<CosineAnnealingLROptions, "tMax">,
  ) {
    const table: OptionTable<CosineAnnealingLROptions> = {
      tMax: required("a whole number ≥ 1", (value) => isWhole(value, 1)),
      etaMin: real(0),
    };
    super("CosineAnnealingLR", table, optimizer, options);
  }

  protected override next(lr: number, base: number): number {
    const { tMax, etaMin } = this.options;
    const t = this.lastEpoch;
    if (t === 0) return lr;
    if (this.stepCount === 1) return this.at(lr, base);
    if ((t - 1 - tMax) % (2 * tMax) === 0) {
      return lr + ((base - etaMin) * (1 - cosPi(1 / tMax))) / 2;
    }
    return ((1 + cosPi(t / tMax)) / (1 + cosPi((t - 1) / tMax))) * (lr - etaMin) + etaMin;
  }

  protected override at(_lr: number, base: number): number {
    const { tMax, etaMin } = this.options;
    return etaMin + ((base - etaMin) * (1 + cosPi(this.lastEpoch / tMax))) / 2;
  }
}

export interface CosineAnnealingWarmRestartsOptions {
  /** Epochs of the first period. */
  t0: number;
  /** What each period is longer than the one before by: a whole factor. Default 1. */
  tMult: number;
  /** The lowest rate. Default 0. */
  etaMin: number;
}

/**
 * lr = etaMin + (lr₀ − etaMin) (1 + cos(π t_cur / t_i)) / 2: from lr₀ down in each period, whose
 * length t_i grows by tMult.
 *
 * @throws ValueError for options out of their domain
 */
export class CosineAnnealingWarmRestarts extends LRScheduler<CosineAnnealingWarmRestartsOptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<CosineAnnealingWarmRestartsOptions & SchedulerOptions> &
      Pick<CosineAnnealingWarmRestartsOptions, "t0">,
  ) {
    const table: OptionTable<CosineAnnealingWarmRestartsOptions> = {
      t0: required("a whole number ≥ 1", (value) => isWhole(value, 1)),
      tMult: option(1, "a whole number ≥ 1", (value) => isWhole(value, 1)),
      etaMin: real(0),
    };
    const counters = { tCur: options.lastEpoch ?? -1, tI: options.t0! };
    super("CosineAnnealingWarmRestarts", table, optimizer, options, counters);
  }

  /**
   * The next epoch; or any, fractions included (`step(epoch + i / batches)` after each batch).
   *
   * @throws ValueError for a negative epoch
   */
  override step(epoch?: number): void {
    if (epoch !== undefined) {
      this.jump(epoch);
      return;
    }
    if (this.lastEpoch < 0) {
      this.jump(0);
      return;
    }
    const { counters } = this;
    counters.tCur++;
    if (counters.tCur >= counters.tI) {
      counters.tCur -= counters.tI;
      counters.tI *= this.options.tMult;
    }
    super.step();
  }

  override jump(epoch: number): void {
    if (!(epoch >= 0 && epoch < Infinity)) {
      throw new ValueError(`${this.name}.step: epoch is ${epoch}; expected a finite number ≥ 0`);
    }
    const { t0, tMult } = this.options;
    let start = 0;
    let length = t0;
    if (tMult === 1) start = Math.floor(epoch / t0) * t0;
    else {
      while (epoch - start >= length) {
        start += length;
        length *= tMult;
      }
    }
    Object.assign(this.counters, { tCur: epoch - start, tI: length });
    super.jump(epoch);
    this.lastEpoch = Math.floor(epoch);
  }

  protected override next(_lr: number, base: number): number {
    const { etaMin } = this.options;
    const { tCur, tI } = this.counters;
    return etaMin + ((base - etaMin) * (1 + cosPi(tCur / tI))) / 2;
  }
}
