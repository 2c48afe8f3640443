/** Into how many chunks work is cut that several threads share. */

/** Multiply-adds a thread takes at a time at least: about 5 µs of work. */
export const JOB = 1 << 17;
/** Chunks per thread: enough to even out a disturbed core. */
const CHUNKS = 4;
/** How much longer than an even split chunks of that number may take. */
const UNEVEN = 1.03;

/**
 * How many of `units`, which take `work` multiply-adds in all, a chunk has: JOB at least, and of those about CHUNKS
 * chunks per thread the nearest that lets threads of one speed finish together. 43 units in sixes would be
 * 24 and 19 for two threads.
 */
export function grainOf(units: number, work: number, threads: number): number {
  const least = Math.max(1, Math.ceil((JOB * units) / Math.max(work, 1)));
  const usual = Math.max(least, Math.ceil(units / (threads * CHUNKS)));
  const even = Math.ceil(units / threads);
  const lowest = Math.max(least, usual >> 1);
  for (let step = 0; usual + step < even; step++) {
    if (longest(units, usual + step, threads) <= UNEVEN * even) return usual + step;
    const finer = usual - step;
    if (finer >= lowest && longest(units, finer, threads) <= UNEVEN * even) return finer;
  }
  return Math.max(least, even);
}

/** What the busiest of `threads` gets of units handed out by `grain`. */
function longest(units: number, grain: number, threads: number): number {
  const chunks = Math.floor(units / grain);
  const rounds = Math.floor(chunks / threads) * grain;
  return rounds + (chunks % threads > 0 ? grain : units % grain);
}
