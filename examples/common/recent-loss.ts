/** The loss as progress shows it: its mean over about the last 50 steps. */
import type { Tensor } from "roadless";

const span = 50;

/**
 * A loss is read while the next step is computed, as a GPU would otherwise have nothing to do: the mean is one
 * step behind until `settle()`. Only the first step waits for its own.
 */
export class RecentLoss {
  mean = 0;
  #counted = 0;
  #latest: Promise<number> | undefined;

  /** `loss` is read now; it may be released afterwards. */
  async add(loss: Tensor): Promise<void> {
    const earlier = this.#latest;
    this.#latest = loss.item();
    this.#latest.catch(() => {}); // who waits for it is told
    if (earlier !== undefined) this.#count(await earlier);
    else if (this.#counted === 0) await this.settle();
  }

  /** Waits for the last one. */
  async settle(): Promise<void> {
    const latest = this.#latest;
    this.#latest = undefined;
    if (latest !== undefined) this.#count(await latest);
  }

  #count(loss: number): void {
    this.#counted++;
    this.mean += (loss - this.mean) / Math.min(this.#counted, span);
  }
}
