import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import {
  LifetimeError,
  memory,
  mul,
  optim,
  scope,
  setTracer,
  ShapeError,
  sum,
  ValueError,
} from "../../src/index.ts";
import { playAll, readGolden } from "../golden/play.ts";
import { optimizers, train } from "./every.ts";
import {
  assertClose,
  assertThrows,
  devices,
  listOf,
  numbers,
  parameter,
  randomNumbers,
  setGrad,
} from "./helpers.ts";

const averaging = suite("optim averaging");

averaging("golden averages, float64 to 1e-13 and float32 to 1e-6", async () => {
  const file = await readGolden("test/golden/vectors/optim/swa_utils.json");
  const outcomes = await playAll(file);
  assert.equal(
    outcomes.filter(({ outcome }) => outcome.status !== "passed"),
    [],
  );
  assert.is(outcomes.length, 12);
});

const averages: Record<string, (of: optim.AveragedOptimizer) => optim.WeightAverage> = {
  SWA: (of) => new optim.SWA(of),
  EMA: (of) => new optim.EMA(of, { decay: 0.75 }),
  LAWA: (of) => new optim.LAWA(of, { k: 3 }),
};

/** What each average of these vectors is, by definition. */
function expected(name: string, seen: readonly number[][]): number[] {
  const mean = (list: readonly number[][]): number[] =>
    list[0].map((_x, i) => list.reduce((total, one) => total + one[i], 0) / list.length);
  if (name === "SWA") return mean(seen);
  if (name === "LAWA") return mean(seen.slice(-3));
  return seen.slice(1).reduce((a, p) => a.map((x, i) => 0.75 * x + 0.25 * p[i]), seen[0]);
}

averaging("on every optimizer: x is averaged, and the way back is exact to the bit", () => {
  for (const device of devices) {
    for (const [optimizerName, make] of Object.entries(optimizers)) {
      for (const [name, makeAverage] of Object.entries(averages)) {
        const next = randomNumbers(7);
        const params = [5, 3].map((n) => parameter(listOf(n, next), device));
        const twins = params.map((param) => parameter(numbers(param), device));
        const optimizer = make(params);
        const twin = make(twins);
        const label = `${name} on ${optimizerName}, ${device}`;
        const average = makeAverage(optimizer);
        optimizer.train?.();
        twin.train?.();
        const values = (): number[] => params.flatMap(numbers);
        const atX = (): number[] => optimizer.withEval?.(values) ?? values();
        const seen: number[][] = [];
        const other = randomNumbers(8);
        const same = randomNumbers(8);
        for (let i = 0; i < 7; i++) {
          train(optimizer, other);
          train(twin, same);
          average.update();
          seen.push(atX());
          if (i === 4) optimizer.eval?.();
          const before = values();
          const inside = average.withAverage(values);
          assertClose(inside, expected(name, seen), device === "cpu" ? 1e-6 : 1e-14, label);
          assert.equal(values(), before, label);
          optimizer.train?.();
          assert.equal(values(), twins.flatMap(numbers), `${label}, step ${i}`);
        }
        assert.is(average.nAveraged, 7);
        average.dispose();
        optimizer.dispose();
        twin.dispose();
      }
    }
  }
});

averaging(
  "on top of Schedule-Free y is refused, and while swapped in nothing else may happen",
  () => {
    const param = parameter([1, 2]);
    const optimizer = new optim.SGDScheduleFree([param], { lr: 0.5 });
    optimizer.train();
    setGrad(param, [1, 1]);
    optimizer.step();
    assertThrows(
      () => new optim.EMA([param]),
      LifetimeError,
      /parameter 0 \(.*\) holds y of a Schedule-Free optimizer, and what to average is x; give the/,
    );
    const ema = new optim.EMA(optimizer);
    ema.update();
    ema.swap();
    const holds =
      /parameter 0 \(.*\) holds the average of EMA since swap\(\); call restore\(\) first/;
    for (const forbidden of [
      () => optimizer.step(),
      () => optimizer.eval(),
      () => optimizer.stateDict(),
      () => new optim.SWA(optimizer),
    ]) {
      assertThrows(forbidden, LifetimeError, holds);
    }
    for (const forbidden of [() => ema.update(), () => ema.swap(), () => ema.stateDict()]) {
      assertThrows(forbidden, LifetimeError, /the parameters hold the average since swap\(\)/);
    }
    assert.is(param.sequence, "x");
    ema.restore();
    assert.is(param.sequence, "y");
    assertThrows(
      () => ema.restore(),
      LifetimeError,
      "EMA.restore: nothing is swapped in; call swap() first",
    );
    optimizer.step();
    assert.throws(() =>
      ema.withAverage(() => {
        throw new Error("stop");
      }),
    );
    optimizer.step();
    ema.swap();
    ema.dispose();
    optimizer.step();
    optimizer.dispose();
  },
);

averaging("withAverage waits for a promise", async () => {
  const param = parameter([1]);
  const average = new optim.SWA([param]);
  param.copyFrom([3]);
  const seen = await average.withAverage(async () => {
    await Promise.resolve();
    return numbers(param);
  });
  assert.equal([seen, numbers(param)], [[1], [3]]);
  average.dispose();
});

averaging("graphs know the weights of before, of inside and of after apart", () => {
  scope(() => {
    const param = parameter([2]);
    const average = new optim.SWA([param]);
    const square = (): Tensor => sum(mul(param, param));
    const before = square();
    const inside = average.withAverage(square);
    const again = average.withAverage(square);
    before.backward();
    assert.equal(numbers(param.grad!), [4]);
    assertThrows(() => inside.backward(), LifetimeError, /changed in place/);
    param.copyFrom([1]);
    average.swap();
    assertThrows(() => again.backward(), LifetimeError, /changed in place/);
    average.dispose();
  });
});

averaging("saved state continues with the same bits, in fresh objects", () => {
  for (const [name, make] of Object.entries(averages)) {
    const next = randomNumbers(3);
    const param = parameter(listOf(6, next), "cpu", [2, 3]);
    const other = parameter(numbers(param), "cpu", [2, 3]);
    const whole = make({ paramGroups: [{ params: [param] }] });
    const resumed = make({ paramGroups: [{ params: [other] }] });
    for (let i = 0; i < 5; i++) {
      param.copyFrom(listOf(6, next));
      whole.update();
    }
    scope(() => resumed.loadStateDict(whole.stateDict()));
    for (let i = 0; i < 5; i++) {
      const values = listOf(6, next);
      for (const [p, average] of [
        [param, whole],
        [other, resumed],
      ] as const) {
        p.copyFrom(values);
        average.update();
      }
      assert.equal(
        scope(() => resumed.values().map(numbers)),
        scope(() => whole.values().map(numbers)),
        name,
      );
      assert.is(resumed.nAveraged, whole.nAveraged);
    }
    scope(() => {
      const state = whole.stateDict();
      const wrong = { ...state, average: { 0: [1, 2] } };
      assertThrows(
        () => resumed.loadStateDict(wrong),
        ShapeError,
        /tensor 0 is 2 elements; expected \[2, 3\]/,
      );
      const none = { ...state, n_averaged: -1 };
      assertThrows(
        () => resumed.loadStateDict(none),
        ValueError,
        /n_averaged is -1; expected a whole/,
      );
    });
    whole.dispose();
    resumed.dispose();
  }
});

averaging("memory: one copy, k more for LAWA, one more while swapped in, none afterwards", () => {
  const params = [parameter(listOf(100, Math.random)), parameter(listOf(28, Math.random))];
  const optimizer = new optim.SGD(params, { lr: 1 });
  const { bytes } = memory();
  const grown = (): number => (memory().bytes - bytes) / (128 * 8);
  const lawa = new optim.LAWA(optimizer, { k: 2 });
  assert.is(grown(), 1);
  for (let i = 0; i < 5; i++) lawa.update();
  assert.is(grown(), 3);
  lawa.swap();
  assert.is(grown(), 4);
  lawa.dispose();
  assert.is(grown(), 0);
  assertThrows(() => lawa.update(), LifetimeError, "LAWA.update: it was disposed; make a new one");
  const ema = new optim.EMA(optimizer);
  ema.update();
  ema.withAverage(() => assert.is(grown(), 2));
  assert.is(grown(), 1);
  ema.dispose();
  assert.is(grown(), 0);
  optimizer.dispose();
});

averaging("an update is one pass over a group, however many parameters it has", () => {
  const params = Array.from({ length: 9 }, (_, i) => parameter(listOf(i + 1, Math.random)));
  const apart = new optim.EMA(params);
  const optimizer = new optim.SGD(params, { lr: 1 });
  const together = new optim.EMA(optimizer);
  const passes: string[] = [];
  const before = setTracer(({ op }) => passes.push(op));
  for (const average of [apart, together]) {
    average.update();
    passes.length = 0;
    average.update();
    assert.equal(passes, ["lerpInPlace"]);
    average.dispose();
  }
  setTracer(before);
  optimizer.dispose();
});

averaging("mistakes are named", () => {
  const param = parameter([1]);
  const wrong: [() => unknown, string | RegExp][] = [
    [() => new optim.EMA([param], { decay: 2 }), "EMA: decay is 2; expected a number from 0 to 1"],
    [() => new optim.LAWA([param], { k: 0 }), "LAWA: k is 0; expected a whole number ≥ 1"],
    [() => new optim.SWA([]), "SWA: the list of parameters is empty; expected tensors"],
    [() => new optim.SWA([param, param]), /parameter 1 \(.*\) is given twice/],
    [
      () => new optim.Lookahead(new optim.SGD([param], { lr: 1 }), { alpha: -1 }),
      "Lookahead: alpha is -1; expected a number from 0 to 1",
    ],
  ];
  for (const [fn, message] of wrong) assertThrows(fn, ValueError, message);
  const optimizer = new optim.SGD([parameter([1])], { lr: 1 });
  const swa = new optim.SWA(optimizer);
  optimizer.addParamGroup({ params: [parameter([1])] });
  assertThrows(() => swa.update(), ValueError, /has 2 parameters; expected 1, as when the average/);
});

averaging("the Closure forms hold x between steps, which is what is averaged", () => {
  const param = parameter([1, 2]);
  const optimizer = new optim.SGDScheduleFreeClosure([param], { lr: 0.5 });
  const ema = new optim.EMA(optimizer, { decay: 0.5 });
  const seen: number[][] = [];
  for (let i = 0; i < 3; i++) {
    optimizer.zeroGrad();
    optimizer.step(() => sum(mul(param, param)).backward());
    ema.update();
    seen.push(numbers(param));
  }
  const [a, b, c] = seen;
  const mean = a.map((x, i) => 0.25 * x + 0.25 * b[i] + 0.5 * c[i]);
  assertClose(
    ema.withAverage(() => numbers(param)),
    mean,
    1e-15,
    "average of x",
  );
  ema.dispose();
  optimizer.dispose();
});

averaging.run();
