/** Plays optim/lr_schedulers: the rate (and momentum) in effect at each step (golden/README §2.2). */
import type { JsonNumbers } from "../../src/vectors/format.ts";
import { toNumber, toNumbers } from "../../src/vectors/format.ts";
import type { SchedulerRunSpec } from "../../src/vectors/schedule-run.ts";
import { runScheduler } from "../../src/vectors/schedule-run.ts";
import type { Outcome } from "./compare.ts";
import { Comparison, largestMagnitude } from "./compare.ts";

export interface SchedulerCase extends SchedulerRunSpec {
  readonly expect: {
    readonly lr: readonly JsonNumbers[];
    readonly momentum?: readonly JsonNumbers[];
  };
}

const tolerance = 1e-12;

export function playSchedulerCase(played: SchedulerCase): Outcome {
  const comparison = new Comparison();
  const { lr, momentum } = played.expect;
  const found = runScheduler(played, lr.length);
  const scale = largestMagnitude(lr.flatMap(toNumbers));
  lr.forEach((rates, i) => {
    rates.forEach((rate, g) => {
      const expected = toNumber(rate);
      comparison.check(`lr ${i} of group ${g}`, found.lr[i][g], expected, scale, tolerance);
      const last = found.last[i][g];
      comparison.check(`getLastLr ${i}, group ${g}`, last, expected, scale, tolerance);
    });
    momentum?.[i].forEach((value, g) => {
      const seen = found.momentum[i][g];
      comparison.check(`momentum ${i} of group ${g}`, seen, toNumber(value), 1, tolerance);
    });
  });
  return comparison.outcome();
}
