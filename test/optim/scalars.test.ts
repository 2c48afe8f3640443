import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  averagingStep,
  biasCorrection,
  warmupLr,
  yStep,
} from "../../src/optim/schedule-free/coefficients.ts";
import { pow } from "../../src/elementary/index.ts";
import { ValueError } from "../../src/errors.ts";
import { assertThrows } from "./helpers.ts";

const scalars = suite("optim scalars");

scalars("warmup grows linearly and ends at lr", () => {
  const rates = [0, 1, 2, 3, 4, 5].map((k) => warmupLr(0.5, 4, k));
  assert.equal(rates, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
  assert.is(warmupLr(0.5, 0, 0), 0.5);
});

const plain = { lr: 1, warmupSteps: 0, r: 0, weightLrPower: 2 };
const start = { k: 0, weightSum: 0, lrMax: -1, scheduledLr: 0 };

scalars("equal learning rates give the plain average", () => {
  let counters = start;
  for (let t = 1; t <= 5; t++) {
    const step = averagingStep("X", plain, counters, 0.1);
    assert.ok(Math.abs(step.ckp1 - 1 / t) < 1e-15);
    assert.is(step.k, t);
    counters = step;
  }
});

scalars("the weight follows the largest rate so far", () => {
  const first = averagingStep("X", plain, start, 2);
  const second = averagingStep("X", plain, first, 1);
  assert.is(second.lrMax, 2);
  assert.is(second.scheduledLr, 1);
  assert.is(second.ckp1, 0.5);
});

scalars("no weight so far gives c = 0, not NaN", () => {
  const step = averagingStep("X", plain, start, 0);
  assert.equal(step, { k: 1, weightSum: 0, lrMax: 0, scheduledLr: 0, ckp1: 0 });
  assert.is(averagingStep("X", { ...plain, weightLrPower: 0 }, start, 0).ckp1, 1);
});

scalars("a weight that is not finite is an error", () => {
  assertThrows(
    () => averagingStep("X", plain, start, 1e200),
    ValueError,
    "X.step: the averaging weight (k + 1)^r · lrMax^weightLrPower is Infinity for k = 0, r = 0, " +
      "lrMax = 1e+200, weightLrPower = 2; expected a finite number",
  );
});

scalars("derived scalars keep their digits", () => {
  assert.is(biasCorrection(0.999, 1), 1 - 0.999);
  assert.is(biasCorrection(0, 3), 1);
  assert.is(yStep(0.1, 1, 0.5), 0.1 * -0.5);
  assert.is(yStep(0.1, 0, 0.5), -0.1);
});

scalars("a forgotten start is corrected by 1, as it would be if it were computed", () => {
  for (const beta of [0.5, 0.9, 0.99, 0.999, 0.9999]) {
    const forgotten = Math.ceil(40 / (1 - beta));
    for (let t = forgotten - 2; t < forgotten + 3; t++) {
      assert.is(biasCorrection(beta, t), 1 - pow(beta, t));
    }
    assert.ok(biasCorrection(beta, Math.floor(10 / (1 - beta))) < 1);
  }
});

scalars.run();
