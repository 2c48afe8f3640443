/** Comparison with golden/1 files, and what playing a case comes to. */
import type { FloatType } from "../../src/vectors/format.ts";
import { Unsupported } from "../../src/vectors/format.ts";

export interface Outcome {
  status: "passed" | "failed" | "unsupported";
  /** Largest error divided by its tolerance's scale; NaN when nothing was compared. */
  worst: number;
  /** What failed first, or what is not supported. */
  message?: string;
}

/** The device that plays cases of a type, unless another is asked for. */
export const deviceFor: Readonly<Record<FloatType, "reference" | "cpu">> = {
  float64: "reference",
  float32: "cpu",
};

/**
 * |found - expected| / max(|expected|, scale): the number that a tolerance bounds. 0 where both are
 * NaN or the same infinity; Infinity where only one is.
 */
export function relativeError(found: number, expected: number, scale: number): number {
  if (Number.isNaN(expected)) return Number.isNaN(found) ? 0 : Infinity;
  if (found === expected) return 0;
  if (!Number.isFinite(expected) || !Number.isFinite(found)) return Infinity;
  return Math.abs(found - expected) / Math.max(Math.abs(expected), scale);
}

export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]);
    if (magnitude > largest && Number.isFinite(magnitude)) largest = magnitude;
  }
  return largest;
}

/** Collects comparisons of one case. */
export class Comparison {
  worst = 0;
  failure: string | undefined;

  check(what: string, found: number, expected: number, scale: number, tolerance: number): void {
    const error = relativeError(found, expected, scale);
    if (error > this.worst) this.worst = error;
    if (error > tolerance && this.failure === undefined) {
      this.failure = `${what}: found ${found}, expected ${expected} (error ${error.toExponential(1)}, tolerance ${tolerance})`;
    }
  }

  fail(message: string): void {
    this.failure ??= message;
    this.worst = Infinity;
  }

  outcome(): Outcome {
    if (this.failure !== undefined) {
      return { status: "failed", worst: this.worst, message: this.failure };
    }
    return { status: "passed", worst: this.worst };
  }
}

/** Runs a player; what it throws becomes an outcome. */
export async function attempt(play: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await play();
  } catch (error) {
    if (error instanceof Unsupported) {
      return { status: "unsupported", worst: NaN, message: error.what };
    }
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { status: "failed", worst: Infinity, message };
  }
}
