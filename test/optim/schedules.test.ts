import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import { optim, ValueError } from "../../src/index.ts";
import { cosPi } from "../../src/elementary/index.ts";
import type { SchedulerCase } from "../golden/schedulers.ts";
import { playSchedulerCase } from "../golden/schedulers.ts";
import { assertClose, assertThrows, numbers, parameter, setGrad } from "./helpers.ts";

const schedules = suite("optim schedules");

type Scheduler = optim.LRScheduler | optim.SequentialLR | optim.ChainedScheduler;
type Make = (optimizer: optim.Scheduled) => Scheduler;

/** What a scheduler needs of an optimizer. */
const stub = (...lrs: number[]) => ({
  paramGroups: lrs.map((lr) => ({ lr, momentum: 0.9 }) as { lr: number; momentum: number }),
});

/** The first group's rate at steps 0, 1, …, n − 1. */
function curve(n: number, make: Make, lr = 1): number[] {
  const optimizer = stub(lr);
  const scheduler = make(optimizer);
  return Array.from({ length: n }, (_, i) => {
    if (i > 0) scheduler.step();
    assert.equal(scheduler.getLastLr(), [optimizer.paramGroups[0].lr]);
    return optimizer.paramGroups[0].lr;
  });
}

schedules("every golden curve is PyTorch's to 1e-12", () => {
  const file = new URL("../golden/vectors/optim/lr_schedulers.json", import.meta.url);
  const { cases } = JSON.parse(fs.readFileSync(file, "utf8")) as { cases: SchedulerCase[] };
  const failures = cases
    .map((one) => ({ name: one.name, ...playSchedulerCase(one) }))
    .filter(({ status }) => status !== "passed");
  assert.equal(failures, []);
  assert.is(cases.length, 24);
});

schedules("any function, constant, warmup and decay, growing cycles", () => {
  const lambda = curve(4, (o) => new optim.LambdaLR(o, { lrLambda: (t) => 1 / (t + 1) }), 12);
  assert.equal(lambda, [12, 6, 4, 3]);
  const times = curve(4, (o) => new optim.MultiplicativeLR(o, { lrLambda: (t) => t }));
  assert.equal(times, [1, 1, 2, 6]);
  assert.equal(
    curve(3, (o) => new optim.ConstantLR(o, { factor: 1 })),
    [1, 1, 1],
  );
  const warm = curve(8, (o) => new optim.WarmupDecayLR(o, { totalSteps: 6, warmupSteps: 2 }));
  assert.equal(warm, [0.5, 1, 1, 0.75, 0.5, 0.25, 0, 0]);
  const cosine = curve(3, (o) => new optim.WarmupDecayLR(o, { totalSteps: 2, decay: "cos" }));
  assert.equal(cosine, [1, 0.5, 0]);
  const growing = curve(8, (o) => new optim.GrowingCyclicLR(o, { period: 2, etaMin: 0.5 }));
  assert.equal(growing, [1, 0.75, 1, 0.875, 0.75, 0.625, 1, 0.9375]);
  const warmed = curve(6, (o) => {
    return new optim.GrowingCyclicLR(o, { period: 3, growth: 1, warmupSteps: 1, decay: "cos" });
  });
  assert.equal(warmed, [1, 1, 0.5, 1, 1, 0.5]);
});

schedules("options that the golden curves leave at their defaults", () => {
  const down = curve(5, (o) => {
    const options = { baseLr: 1, maxLr: 2, stepSizeUp: 1, stepSizeDown: 3, cycleMomentum: false };
    return new optim.CyclicLR(o, options);
  });
  assertClose(down, [1, 2, 5 / 3, 4 / 3, 1], 1e-15, "stepSizeDown");
  const half = curve(6, (o) => {
    return new optim.CyclicLR(o, { baseLr: 1, maxLr: 3, stepSizeUp: 1, mode: "triangular2" });
  });
  assert.equal(half, [1, 3, 1, 2, 1, 1.5]);
  const range = curve(4, (o) => {
    const options = { baseLr: 1, maxLr: 3, stepSizeUp: 1, mode: "exp_range", gamma: 0.5 } as const;
    return new optim.CyclicLR(o, options);
  });
  assert.equal(range, [1, 2, 1, 1.25]);
  const own = curve(4, (o) => {
    const scaleFn = (t: number) => 1 / t;
    return new optim.CyclicLR(o, { baseLr: 1, maxLr: 3, stepSizeUp: 1, scaleFn });
  });
  assert.equal(own, [1, 3, 1, 2]);
  const restarted = stub(1);
  const warm = new optim.CosineAnnealingWarmRestarts(restarted, { t0: 2, tMult: 2 });
  warm.step(0.5);
  assertClose([restarted.paramGroups[0].lr], [(1 + Math.SQRT1_2) / 2], 1e-15, "fraction");
  warm.step(4);
  assertClose([restarted.paramGroups[0].lr], [0.5], 1e-15, "second period");
  warm.step();
  assert.is(warm.lastEpoch, 5);
  const resumed = stub(0.7);
  Object.assign(resumed.paramGroups[0], { initialLr: 1 });
  const cosine = new optim.CosineAnnealingLR(resumed, { tMax: 4, lastEpoch: 1 });
  assertClose(cosine.getLastLr(), [0.5], 1e-15, "lastEpoch");
  const plateau = stub(1, 1);
  const best = new optim.ReduceLROnPlateau(plateau, {
    mode: "max",
    thresholdMode: "abs",
    threshold: 1,
    patience: 0,
    factor: 0.5,
    minLr: [0, 0.75],
  });
  for (const metric of [1, 1.5, 3, NaN]) best.step(metric);
  assert.equal(best.getLastLr(), [0.25, 0.75]);
});

schedules("momentum moves against the rate, as momentum or β₁", () => {
  const optimizer = new optim.AdamWScheduleFree([parameter([1])]);
  const one = new optim.OneCycleLR(optimizer, { maxLr: 1, totalSteps: 10, pctStart: 0.5 });
  assert.equal(optimizer.paramGroups[0].betas, [0.95, 0.999]);
  for (let i = 0; i < 4; i++) one.step();
  assertClose(optimizer.paramGroups[0].betas, [0.85, 0.999], 1e-15, "betas");
  optimizer.dispose();
  const cyclic = stub(1);
  const up = new optim.CyclicLR(cyclic, { baseLr: 1, maxLr: 2, stepSizeUp: 2 });
  up.step();
  assertClose([cyclic.paramGroups[0].momentum], [0.85], 1e-15, "momentum");
  const none = { paramGroups: [{ lr: 1 }] };
  assertThrows(
    () => new optim.CyclicLR(none, { baseLr: 1, maxLr: 2 }),
    ValueError,
    /neither momentum nor betas.*cycleMomentum: false/,
  );
});

/** One of each, for what all have to do. */
const each: Record<string, Make> = {
  LambdaLR: (o) => new optim.LambdaLR(o, { lrLambda: (t) => 1 / (1 + t) }),
  MultiplicativeLR: (o) => new optim.MultiplicativeLR(o, { lrLambda: () => 0.9 }),
  StepLR: (o) => new optim.StepLR(o, { stepSize: 3 }),
  MultiStepLR: (o) => new optim.MultiStepLR(o, { milestones: [2, 2, 7], gamma: 0.5 }),
  ConstantLR: (o) => new optim.ConstantLR(o, { totalIters: 8 }),
  LinearLR: (o) => new optim.LinearLR(o, { totalIters: 9 }),
  ExponentialLR: (o) => new optim.ExponentialLR(o, { gamma: 0.8 }),
  PolynomialLR: (o) => new optim.PolynomialLR(o, { totalIters: 30, power: 1.5 }),
  CosineAnnealingLR: (o) => new optim.CosineAnnealingLR(o, { tMax: 7, etaMin: 0.01 }),
  Restarts: (o) => new optim.CosineAnnealingWarmRestarts(o, { t0: 3, tMult: 2 }),
  OneCycleLR: (o) => new optim.OneCycleLR(o, { maxLr: [1, 2], totalSteps: 40 }),
  CyclicLR: (o) => new optim.CyclicLR(o, { baseLr: 0.1, maxLr: 1, stepSizeUp: 4 }),
  GrowingCyclicLR: (o) => new optim.GrowingCyclicLR(o, { period: 4 }),
  WarmupDecayLR: (o) => new optim.WarmupDecayLR(o, { totalSteps: 25, warmupSteps: 5 }),
  SWALR: (o) => new optim.SWALR(o, { swaLr: 0.05 }),
  SequentialLR: (o) =>
    new optim.SequentialLR(o, {
      schedulers: [
        new optim.LinearLR(o, { totalIters: 4 }),
        new optim.ExponentialLR(o, { gamma: 0.9 }),
        new optim.CosineAnnealingLR(o, { tMax: 9 }),
      ],
      milestones: [4, 12],
    }),
  ChainedScheduler: (o) =>
    new optim.ChainedScheduler([
      new optim.ConstantLR(o, { totalIters: 6 }),
      new optim.ExponentialLR(o, { gamma: 0.9 }),
    ]),
};

schedules("saved state continues in fresh objects with the same bits", () => {
  for (const [name, make] of Object.entries(each)) {
    for (const at of [0, 5, 13]) {
      const first = stub(0.5, 0.25);
      const whole = make(first);
      for (let i = 0; i < at; i++) whole.step();
      const state = JSON.parse(JSON.stringify(whole.stateDict())) as optim.SchedulerState;
      const second = stub(0.5, 0.25);
      const resumed = make(second);
      resumed.loadStateDict(state);
      assert.equal(resumed.stateDict(), whole.stateDict(), name);
      for (let i = 0; i < 10; i++) {
        assert.equal(second, first, `${name}, ${i} steps after ${at}`);
        whole.step();
        resumed.step();
      }
    }
  }
  const optimizer = stub(1);
  const plateau = new optim.ReduceLROnPlateau(optimizer, { patience: 1 });
  for (const metric of [3, 4, 4, 4]) plateau.step(metric);
  const other = stub(1);
  const resumed = new optim.ReduceLROnPlateau(other, { patience: 7 });
  resumed.loadStateDict(plateau.stateDict());
  assert.equal(resumed.stateDict(), plateau.stateDict());
  const fresh = new optim.ReduceLROnPlateau(stub(1), { mode: "max" });
  const saved = JSON.parse(JSON.stringify(fresh.stateDict())) as optim.SchedulerState;
  resumed.loadStateDict(saved);
  assert.is(resumed.best, -Infinity);
  resumed.loadStateDict(plateau.stateDict());
  assert.equal(other, optimizer);
});

schedules("PyTorch's keys are in the saved state", () => {
  const cosine = new optim.CosineAnnealingLR(stub(1), { tMax: 4, etaMin: 0.5 });
  assert.equal(cosine.stateDict(), {
    T_max: 4,
    eta_min: 0.5,
    base_lrs: [1],
    last_epoch: 0,
    _step_count: 1,
    _last_lr: [1],
  });
  const state = { ...cosine.stateDict(), last_epoch: "two" };
  assertThrows(
    () => cosine.loadStateDict(state),
    ValueError,
    "CosineAnnealingLR.loadStateDict: last_epoch is two; expected a number",
  );
  assertThrows(
    () => cosine.loadStateDict({ ...state, base_lrs: [1, 2] }),
    ValueError,
    /expected 1/,
  );
});

schedules("chainable schedules compose, and take up a rate set by hand", () => {
  const chained = curve(8, each.ChainedScheduler);
  chained.forEach((lr, t) => {
    assertClose([lr], [(t < 6 ? 1 / 3 : 1) * 0.9 ** t], 1e-15, `step ${t}`);
  });
  const optimizer = stub(1);
  const exponential = new optim.ExponentialLR(optimizer, { gamma: 0.5 });
  optimizer.paramGroups[0].lr = 8;
  exponential.step();
  assert.is(optimizer.paramGroups[0].lr, 4);
});

schedules("a group added late joins in", () => {
  const optimizer = new optim.SGDScheduleFree([parameter([1])], { lr: 1 });
  const cosine = new optim.CosineAnnealingLR(optimizer, { tMax: 2 });
  optimizer.addParamGroup({ params: [parameter([2])], lr: 4 });
  cosine.step();
  assertClose(cosine.getLastLr(), [0.5, 2], 1e-15, "rates");
  optimizer.dispose();
});

schedules("every optimizer takes its rate from a scheduler", () => {
  const make: ((params: Tensor[]) => optim.Scheduled & { dispose(): void })[] = [
    (params) => new optim.SGD(params, { lr: 1 }),
    (params) => new optim.Muon(params),
    (params) => new optim.RAdamScheduleFree(params),
    (params) => new optim.SGDScheduleFreeReference(params),
    (params) => new optim.AdamWScheduleFreeClosure(params),
    (params) => new optim.ScheduleFreeWrapper(new optim.Adam(params), { momentum: 0.5 }),
    (params) => new optim.Lookahead(new optim.AdamW(params)),
    (params) => new optim.ACSA(params),
  ];
  for (const one of make) {
    const optimizer = one([parameter([1, 2, 3, 4], "reference", [2, 2])]);
    const [{ lr }] = optimizer.paramGroups;
    const scheduler = new optim.ExponentialLR(optimizer, { gamma: 0.5 });
    scheduler.step();
    assert.is(optimizer.paramGroups[0].lr, lr / 2);
    optimizer.dispose();
  }
});

schedules("a Schedule-Free step uses the scheduled rate", () => {
  const param = parameter([1]);
  const optimizer = new optim.SGDScheduleFree([param], { lr: 1, momentum: 0 });
  const scheduler = new optim.LinearLR(optimizer, { startFactor: 0.25, totalIters: 3 });
  optimizer.train();
  const seen: number[] = [];
  for (let i = 0; i < 4; i++) {
    setGrad(param, [1]);
    optimizer.step();
    seen.push(optimizer.paramGroups[0].scheduledLr);
    scheduler.step();
  }
  assert.equal(seen, [0.25, 0.5, 0.75, 1]);
  assert.equal(numbers(param), [-1.5]);
  optimizer.dispose();
});

schedules("cosPi is cos(πx), exact where that is rational", () => {
  for (let i = -4000; i <= 4000; i++) {
    const x = i / 997;
    assert.ok(Math.abs(cosPi(x) - Math.cos(Math.PI * x)) < 2e-15, `cosPi(${x})`);
  }
  assert.equal([0, 0.5, 1, 1.5, 2, -3, 1e6 + 1].map(cosPi), [1, 0, -1, 0, 1, -1, -1]);
  assert.is(cosPi(1 / 3), 0.5); // Math.cos(Math.PI / 3) is one unit off
});

schedules("mistakes are named", () => {
  const o = stub(1);
  const wrong: [() => unknown, string | RegExp][] = [
    [
      () => new optim.CosineAnnealingLR(o, {} as { tMax: number }),
      "CosineAnnealingLR: tMax is undefined; expected a whole number ≥ 1",
    ],
    [
      () => new optim.StepLR(o, { stepSize: 2, gama: 1 } as { stepSize: number }),
      'StepLR: unknown option "gama"; expected stepSize, gamma, lastEpoch',
    ],
    [
      () => new optim.LinearLR(o, { startFactor: 0 }),
      "LinearLR: startFactor is 0; expected a number above 0 and at most 1",
    ],
    [() => new optim.OneCycleLR(o, { maxLr: 1 }), /expected totalSteps, or epochs and/],
    [
      () => new optim.OneCycleLR(o, { maxLr: [], totalSteps: 3 }),
      /maxLr is a list of 0; expected one value for each group, and there is a group 0/,
    ],
    [
      () => new optim.ExponentialLR(stub(1), { gamma: 1, lastEpoch: 3 }),
      /group 0 has no initialLr, which lastEpoch = 3 needs/,
    ],
    [() => new optim.SequentialLR(o, { schedulers: [], milestones: [] }), /list of schedulers is/],
    [
      () => {
        const schedulers = [new optim.ConstantLR(o), new optim.ConstantLR(o)];
        return new optim.SequentialLR(o, { schedulers, milestones: [] });
      },
      "SequentialLR: milestones is [] for 2 schedulers; expected 1 rising whole numbers",
    ],
    [
      () => new optim.ChainedScheduler([new optim.ConstantLR(o), new optim.ConstantLR(stub(1))]),
      "ChainedScheduler: scheduler 1 belongs to another optimizer; expected the same for all",
    ],
    [
      () => {
        const cycle = new optim.OneCycleLR(stub(1), { maxLr: 1, totalSteps: 3 });
        for (let i = 0; i < 4; i++) cycle.step();
      },
      /step 4 of a cycle of 3; make totalSteps larger, or stop/,
    ],
    [
      () => new optim.CosineAnnealingWarmRestarts(o, { t0: 2 }).step(-1),
      "CosineAnnealingWarmRestarts.step: epoch is -1; expected a finite number ≥ 0",
    ],
  ];
  for (const [fn, message] of wrong) assertThrows(fn, ValueError, message);
});

schedules.run();
