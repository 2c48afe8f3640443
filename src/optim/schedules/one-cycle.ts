/** The one-cycle policy (Smith and Topin, arXiv 1708.07120). */
import { cosPi } from "../../elementary/index.ts";
import { ValueError } from "../../errors.ts";
import type { Option, OptionTable } from "../options.ts";
import { flag } from "../options.ts";
import { checkMomentum, setMomentum } from "./momentum.ts";
import type { PerGroup, Scheduled, SchedulerOptions } from "./scheduler.ts";
import { isFinite, isPerGroup, isWhole, LRScheduler, option, required } from "./scheduler.ts";

export interface OneCycleLROptions {
  /** The highest rate. */
  maxLr: PerGroup;
  /** Steps of the whole cycle; or give epochs and stepsPerEpoch. */
  totalSteps: number | null;
  epochs: number | null;
  stepsPerEpoch: number | null;
  /** The part of the cycle in which the rate rises. Default 0.3. */
  pctStart: number;
  /** Along half a cosine, or a line. Default "cos". */
  annealStrategy: "cos" | "linear";
  /** Move momentum (or β₁) against the rate. Default true. */
  cycleMomentum: boolean;
  /** Momentum at the highest rate. Default 0.85. */
  baseMomentum: PerGroup;
  /** Momentum at the lowest rates. Default 0.95. */
  maxMomentum: PerGroup;
  /** The first rate is maxLr / divFactor. Default 25. */
  divFactor: number;
  /** The last rate is the first one / finalDivFactor. Default 1e4. */
  finalDivFactor: number;
  /** Up, down to the first rate in the same time, and on to the last one. Default false. */
  threePhase: boolean;
}

const count = (): Option<number | null> =>
  option<number | null>(null, "a whole number ≥ 1", (value) => isWhole(value, 1));

const positive = (preset: number): Option<number> =>
  option(preset, "a finite number above 0", (value) => isFinite(value) && value > 0);

const momenta = (preset: number): Option<PerGroup> =>
  option<PerGroup>(preset, "a number, or a list with one per group", isPerGroup);

const table: OptionTable<OneCycleLROptions> = {
  maxLr: required("a number, or a list with one per group", isPerGroup),
  totalSteps: count(),
  epochs: count(),
  stepsPerEpoch: count(),
  pctStart: option(
    0.3,
    "a number from 0 to 1",
    (value) => isFinite(value) && value >= 0 && value <= 1,
  ),
  annealStrategy: option<"cos" | "linear">(
    "cos",
    '"cos" or "linear"',
    (value) => value === "linear",
  ),
  cycleMomentum: flag(true),
  baseMomentum: momenta(0.85),
  maxMomentum: momenta(0.95),
  divFactor: positive(25),
  finalDivFactor: positive(1e4),
  threePhase: flag(false),
};

/** A stretch of the cycle, from the end of the one before: indices into first, max, last. */
interface Phase {
  readonly end: number;
  readonly lr: readonly [from: number, to: number];
  readonly momentum: readonly [from: number, to: number];
}

/**
 * Up from maxLr / divFactor to maxLr and down to maxLr / (divFactor · finalDivFactor), momentum the
 * other way round; one call of `step()` per batch.
 *
 * On Schedule-Free optimizers momentum (β₁) is the interpolation between z and x: pass
 * `cycleMomentum: false` to leave it alone.
 *
 * @throws ValueError for options out of their domain, and when stepped beyond the cycle
 */
export class OneCycleLR extends LRScheduler<OneCycleLROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<OneCycleLROptions & SchedulerOptions> & Pick<OneCycleLROptions, "maxLr">,
  ) {
    super("OneCycleLR", table, optimizer, options);
  }

  protected override prepare(): void {
    this.total();
    if (this.options.cycleMomentum) checkMomentum(this.name, this.optimizer);
    const groups = this.optimizer.paramGroups as readonly { lr: number; initialLr?: number }[];
    groups.forEach((group, g) => {
      group.initialLr = this.pick("maxLr", this.options.maxLr, g) / this.options.divFactor;
    });
  }

  protected override next(_lr: number, _base: number, g: number): number {
    const total = this.total();
    const t = this.lastEpoch;
    if (t > total) {
      throw new ValueError(
        `OneCycleLR.step: step ${t} of a cycle of ${total}; make totalSteps larger, or stop stepping`,
      );
    }
    const { options } = this;
    const max = this.pick("maxLr", options.maxLr, g);
    const first = max / options.divFactor;
    const rates = [first, max, first / options.finalDivFactor];
    const phases = this.phases(total);
    const found = phases.findIndex((phase) => t <= phase.end);
    const index = found < 0 ? phases.length - 1 : found;
    const start = index === 0 ? 0 : phases[index - 1].end;
    const { end, lr, momentum } = phases[index];
    const part = end === start ? 1 : (t - start) / (end - start);
    if (options.cycleMomentum) {
      const momenta = [
        this.pick("baseMomentum", options.baseMomentum, g),
        this.pick("maxMomentum", options.maxMomentum, g),
      ];
      setMomentum(this.optimizer, g, this.anneal(momenta[momentum[0]], momenta[momentum[1]], part));
    }
    return this.anneal(rates[lr[0]], rates[lr[1]], part);
  }

  protected override onLoad(): void {
    const rates = this.getLastLr();
    this.set((lr, base, g) => {
      this.next(lr, base, g); // for the momentum
      return rates[g];
    });
  }

  private total(): number {
    const { totalSteps, epochs, stepsPerEpoch } = this.options;
    if (totalSteps !== null) return totalSteps;
    if (epochs !== null && stepsPerEpoch !== null) return epochs * stepsPerEpoch;
    throw new ValueError(
      `${this.name}: the length of the cycle is not given; expected totalSteps, or epochs and stepsPerEpoch`,
    );
  }

  private phases(total: number): Phase[] {
    const rise = this.options.pctStart * total;
    const up: Phase = { end: rise - 1, lr: [0, 1], momentum: [1, 0] };
    if (!this.options.threePhase) return [up, { end: total - 1, lr: [1, 2], momentum: [0, 1] }];
    return [
      up,
      { end: 2 * rise - 2, lr: [1, 0], momentum: [0, 1] },
      { end: total - 1, lr: [0, 2], momentum: [1, 1] },
    ];
  }

  private anneal(from: number, to: number, part: number): number {
    if (this.options.annealStrategy === "linear") return (to - from) * part + from;
    return to + ((from - to) / 2) * (cosPi(part) + 1);
  }
}
