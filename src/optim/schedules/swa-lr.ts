/** The schedule that goes with stochastic weight averaging. */
import { cosPi } from "../../elementary/index.ts";
import type { OptionTable } from "../options.ts";
import type { PerGroup, Scheduled, SchedulerOptions } from "./scheduler.ts";
import { isPerGroup, isWhole, LRScheduler, option, required } from "./scheduler.ts";

export interface SWALROptions {
  /** The rate to end at. */
  swaLr: PerGroup;
  /** Epochs until then. Default 10. */
  annealEpochs: number;
  /** Along half a cosine, or a line. Default "cos". */
  annealStrategy: "cos" | "linear";
}

/**
 * From the present rate to swaLr in annealEpochs, and constant there (`torch.optim.swa_utils.SWALR`;
 * Izmailov et al., arXiv 1803.05407). Chainable until then. Each keeps its own swaLr; PyTorch keeps it in
 * the group, where a second SWALR overwrites the first's.
 *
 * @throws ValueError for options out of their domain
 */
export class SWALR extends LRScheduler<SWALROptions> {
  constructor(
    optimizer: Scheduled,
    options: Partial<SWALROptions & SchedulerOptions> & Pick<SWALROptions, "swaLr">,
  ) {
    const table: OptionTable<SWALROptions> = {
      swaLr: required("a number, or a list with one per group", isPerGroup),
      annealEpochs: option(10, "a whole number ≥ 0", (value) => isWhole(value, 0)),
      annealStrategy: option<"cos" | "linear">("cos", '"cos" or "linear"', (v) => v === "linear"),
    };
    super("SWALR", table, optimizer, options);
  }

  protected override next(lr: number, _base: number, g: number): number {
    const n = this.options.annealEpochs;
    const end = this.pick("swaLr", this.options.swaLr, g);
    const step = n === 0 ? Math.max(1, this.stepCount - 1) : this.stepCount - 1;
    const before = this.part((step - 1) / Math.max(1, n));
    const start = before === 1 ? end : (lr - before * end) / (1 - before);
    const now = this.part(step / Math.max(1, n));
    return end * now + start * (1 - now);
  }

  /** How much of the way is done at the time t, from 0 to 1. */
  private part(t: number): number {
    const clamped = Math.max(0, Math.min(1, t));
    return this.options.annealStrategy === "linear" ? clamped : (1 - cosPi(clamped)) / 2;
  }
}
