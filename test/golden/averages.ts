/** Plays optim/swa_utils: averages of given weights, update by update (golden/README §2.3). */
import type { DeviceName } from "../../src/index.ts";
import type { FloatType, JsonNumbers } from "../../src/vectors/format.ts";
import { toNumbers } from "../../src/vectors/format.ts";
import { runLater } from "../../src/vectors/reads.ts";
import type { AverageRunSpec } from "../../src/vectors/schedule-run.ts";
import { runAverage } from "../../src/vectors/schedule-run.ts";
import type { Outcome } from "./compare.ts";
import { Comparison, largestMagnitude } from "./compare.ts";

export interface AverageCase extends AverageRunSpec {
  readonly events: readonly (AverageRunSpec["events"][number] & {
    readonly expect: { readonly average: readonly JsonNumbers[]; readonly n_averaged: number };
  })[];
}

const tolerance: Readonly<Record<FloatType, number>> = { float64: 1e-13, float32: 1e-6 };

export async function playAverageCase(played: AverageCase, device: DeviceName): Promise<Outcome> {
  const comparison = new Comparison();
  const scales = played.params.map(({ data }) => largestMagnitude(toNumbers(data)));
  const seen = await runLater(device, runAverage(played));
  seen.forEach(({ average, count }, e) => {
    const { expect } = played.events[e];
    comparison.check(`n_averaged ${e}`, count, expect.n_averaged, 1, 0);
    average.forEach((found, i) => {
      const expected = toNumbers(expect.average[i]);
      scales[i] = Math.max(scales[i], largestMagnitude(expected));
      expected.forEach((number, j) => {
        const what = `average ${i}[${j}] after event ${e}`;
        comparison.check(what, found[j], number, scales[i], tolerance[played.dtype]);
      });
    });
  });
  return comparison.outcome();
}
