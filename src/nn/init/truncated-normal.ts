/** The normal distribution between two bounds. */
import { ValueError } from "../../errors.ts";
import type { Generator } from "../../random.ts";
import { negativeLog, philox4x32 } from "../../random.ts";

const TWO_32 = 4294967296;

/** The standard normal distribution between bounds: from three random words, a value or a refusal. */
type Proposal = (words: readonly number[]) => number | null;

/**
 * Fills `out` from the normal distribution given that values lie in [low, high]: exactly, also far out
 * in a tail, by rejection with proposals of which about a quarter or more are accepted. Element i
 * reads block i of its call, attempt 0, 1, ….
 */
export function fillTruncatedNormal(
  out: Float32Array | Float64Array,
  generator: Generator,
  mean: number,
  std: number,
  low: number,
  high: number,
): void {
  if (!Number.isFinite(mean) || !(std > 0 && std < Infinity) || !(low < high)) {
    throw new ValueError(
      `init.truncNormal: mean is ${mean}, std is ${std}, bounds are ${low} and ${high}; ` +
        "expected a finite mean, a finite std above 0, and the first bound below the second",
    );
  }
  const propose = proposalFor((low - mean) / std, (high - mean) / std);
  const { seed } = generator;
  const call = generator.nextCall();
  const key = [seed | 0, (seed / TWO_32) | 0] as const;
  for (let i = 0; i < out.length; i++) {
    let value: number | null = null;
    for (let attempt = 0; value === null; attempt++) {
      value = propose(philox4x32([i, attempt, call | 0, (call / TWO_32) | 0], key));
    }
    out[i] = Math.min(Math.max(mean + std * value, low), high);
  }
}

/** Proposals of C. P. Robert, "Simulation of truncated normal variables", 1995. */
function proposalFor(low: number, high: number): Proposal {
  if (high < 0) {
    const mirrored = proposalFor(-high, -low);
    return (words) => {
      const value = mirrored(words);
      return value === null ? null : -value;
    };
  }
  const width = high - low;
  const nearest = Math.max(low, 0); // where the density is largest
  // The rate of the exponential that fits the tail best; √(1 + 4/low²) as low² may overflow.
  const rate = low > 0 ? (low * (1 + Math.sqrt(1 + 4 / low / low))) / 2 : 1;
  if (width < (low > 0 ? 1 / rate : 2.5)) {
    return ([a, b]) => {
      const x = low + ((a + 0.5) / TWO_32) * width;
      return negativeLog(b) >= ((x - nearest) * (x + nearest)) / 2 ? x : null;
    };
  }
  if (low > 0) {
    return ([a, b]) => {
      const x = low + negativeLog(a) / rate;
      return x <= high && negativeLog(b) >= ((x - rate) * (x - rate)) / 2 ? x : null;
    };
  }
  return ([a, b, c]) => {
    const magnitude = negativeLog(a);
    const x = c % 2 === 0 ? magnitude : -magnitude;
    return x >= low && x <= high && negativeLog(b) >= ((magnitude - 1) * (magnitude - 1)) / 2
      ? x
      : null;
  };
}
