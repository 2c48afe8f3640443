/** Optimizers on device "webgpu": their steps, how many dispatches these are, and what they measure. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { NdArray, ReferenceFunction, TypedArray } from "../../src/backend/backend.ts";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import { runInPlace } from "../../src/op.ts";
import { normKernel } from "../../src/optim/norm.ts";
import { polyakKernel } from "../../src/optim/schedule-free/kernels.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const gpu = suite("webgpu optimizers");
const on = { device: "webgpu" } as const;

if (unavailable !== null) gpu.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) gpu(name, run);
}

type Groups = Tensor[] | { params: Tensor[] }[];

interface Stepped {
  step(closure: () => Tensor): unknown;
  zeroGrad(): void;
}
type Make = (params: Groups) => Stepped;

const wrap = (base: (params: Groups) => optim.BaseOptimizer, momentum = 0.9): Make => {
  return (params) => new optim.ScheduleFreeWrapper(base(params), { momentum, weightDecayAtY: 0.1 });
};
const bases = {
  SGD: (params: Groups) => new optim.SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true }),
  "SGD, plain": (params: Groups) => new optim.SGD(params, { lr: 0.1 }),
  Adam: (params: Groups) => new optim.Adam(params, { lr: 0.05, weightDecay: 0.01 }),
  "Adam, AMSGrad": (params: Groups) => new optim.Adam(params, { lr: 0.05, amsgrad: true }),
  AdamW: (params: Groups) => new optim.AdamW(params, { lr: 0.05 }),
  RAdam: (params: Groups) => new optim.RAdam(params, { lr: 0.05 }),
  RMSprop: (params: Groups) => new optim.RMSprop(params, { lr: 0.01 }),
  "RMSprop, centred": (params: Groups) =>
    new optim.RMSprop(params, { lr: 0.01, centered: true, momentum: 0.9 }),
  Adagrad: (params: Groups) => new optim.Adagrad(params, { lr: 0.1 }),
  Lion: (params: Groups) => new optim.Lion(params, { lr: 0.01 }),
} as Record<string, (params: Groups) => optim.BaseOptimizer>;

/** Dispatches of a step for each group, where it is more than one: sums, what follows from them, the step. */
const most: Record<string, number> = { AdamCScheduleFreePlusPaper: 3 };

const cases: Record<string, Make> = {
  ...(bases as unknown as Record<string, Make>),
  SGDScheduleFree: (params) => new optim.SGDScheduleFree(params, { lr: 0.5, weightDecay: 0.01 }),
  SGDScheduleFreeClosure: (params) =>
    new optim.SGDScheduleFreeClosure(params, { lr: 0.5, weightDecay: 0.01 }),
  AdamWScheduleFree: (params) => new optim.AdamWScheduleFree(params, { lr: 0.05 }),
  "AdamWScheduleFree, inner momentum": (params) =>
    new optim.AdamWScheduleFree(params, { lr: 0.05, innerMomentum: 0.5 }),
  AdamWScheduleFreePaper: (params) => new optim.AdamWScheduleFreePaper(params, { lr: 0.05 }),
  AdamWScheduleFreeClosure: (params) => new optim.AdamWScheduleFreeClosure(params, { lr: 0.05 }),
  RAdamScheduleFree: (params) => new optim.RAdamScheduleFree(params, { lr: 0.05 }),
  RAdamScheduleFreeClosure: (params) =>
    new optim.RAdamScheduleFreeClosure(params, { lr: 0.05, silentSgdPhase: false }),
  AdamCScheduleFreePlusPaper: (params) =>
    new optim.AdamCScheduleFreePlusPaper(params, { lr: 0.5, polyakBeta: 0.5 }),
  ...Object.fromEntries(
    Object.entries(bases).map(([name, base]) => [`ScheduleFreeWrapper, ${name}`, wrap(base)]),
  ),
  // With β = 0, x is kept beside y.
  "SGDScheduleFree, β = 0": (params) => new optim.SGDScheduleFree(params, { momentum: 0 }),
  "AdamWScheduleFree, β = 0": (params) =>
    new optim.AdamWScheduleFree(params, { lr: 0.05, betas: [0, 0.9], innerMomentum: 0.5 }),
  "RAdamScheduleFree, β = 0": (params) =>
    new optim.RAdamScheduleFree(params, { lr: 0.05, betas: [0, 0.99], silentSgdPhase: false }),
  "ScheduleFreeWrapper, β = 0, Adam": wrap(bases["Adam, AMSGrad"], 0),
  "ScheduleFreeWrapper, β = 0, RMSprop": wrap(bases["RMSprop, centred"], 0),
};

/** Written with ordinary operations, for reading or because their steps are products of matrices. */
const written = [
  "ACSA",
  "Adafactor",
  "AdamWScheduleFreeReference",
  "Muon",
  "SGDScheduleFreeReference",
  "ScheduleFreeWrapperReference",
];

/** A network after eight steps: its parameters at y, then what eval() makes of them. */
async function train(device: "cpu" | "webgpu", make: Make, width = 8): Promise<number[]> {
  rl.manualSeed(3);
  const [x, target, model, optimizer] = withDevice(device, () => {
    const made = new nn.Sequential(new nn.Linear(6, width), new nn.ReLU(), new nn.Linear(width, 3));
    const labels = Int32Array.from({ length: 16 }, (_, i) => i % 3);
    return [rl.randn([16, 6]), tensor(labels), made, make(made.parameters())] as const;
  });
  const modes = optimizer as { train?(): void; eval?(): void };
  modes.train?.();
  withDevice(device, () => {
    for (let step = 0; step < 8; step++) {
      scope(() => {
        optimizer.step(() => {
          optimizer.zeroGrad();
          const loss = rl.crossEntropy(model.forward(x), target);
          loss.backward();
          return loss;
        });
      });
    }
  });
  const numbers: number[] = [];
  const collect = async () => {
    for (const parameter of model.parameters()) numbers.push(...(await parameter.data()));
  };
  await collect();
  modes.eval?.();
  await collect();
  for (const parameter of model.parameters()) parameter.dispose();
  (optimizer as unknown as { dispose(): void }).dispose();
  return numbers;
}

async function compare(make: Make, width?: number): Promise<void> {
  const found = await train("webgpu", make, width);
  const expected = await train("cpu", make, width);
  const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
  assert.is(found.length, expected.length);
  assert.ok(worst < 2e-5, `largest difference ${worst}`);
}

for (const [name, make] of Object.entries(cases)) {
  test(`${name} steps as on the CPU`, () => compare(make));
}

interface Stats {
  dispatches: number;
  bytesInUse: number;
  buffersInUse: number;
}
const stats = (): Stats => (rl.backend("webgpu") as unknown as { stats(): Stats }).stats();

/** Dispatches of a step before its closure and after it, for each of two groups; the first step fills the state. */
function dispatchesOf(make: Make): number[][] {
  return scope(() => {
    const groups = [[2, 3, 4], [5]].map((sizes) => ({
      params: sizes.map((n) => rl.keep(rl.ones([n], { requiresGrad: true }))),
    }));
    const optimizer = make(groups);
    (optimizer as { train?(): void }).train?.();
    const counts = [0, 1, 2, 3].map(() => {
      const start = stats().dispatches;
      let from = 0;
      let to = 0;
      optimizer.step(() => {
        from = stats().dispatches;
        optimizer.zeroGrad();
        const terms = groups.flatMap(({ params }) => params.map((w) => rl.sum(w)));
        const loss = terms.reduce((a, b) => rl.add(a, b));
        loss.backward();
        to = stats().dispatches;
        return loss;
      });
      return [from - start, stats().dispatches - to].map((count) => count / groups.length);
    });
    return counts.slice(1);
  });
}

test("a step is one dispatch for each group, and one before the closure without modes", async () => {
  for (const [name, make] of Object.entries(cases)) {
    const expected = [name.includes("Closure") ? 1 : 0, most[name] ?? 1];
    assert.equal(
      withDevice("webgpu", () => dispatchesOf(make)),
      [expected, expected, expected],
      name,
    );
  }
});

test("every optimizer's dispatches are counted", async () => {
  const isOptimizer = ([name, value]: [string, unknown]): boolean =>
    name.startsWith("ScheduleFreeWrapper") ||
    (value as { prototype?: object }).prototype instanceof optim.Optimizer;
  const counted = new Set(["BaseOptimizer", ...written]);
  for (const name of Object.keys(cases)) counted.add(name.split(",")[0]);
  const names = Object.entries(optim).filter(isOptimizer);
  const missing = names.map(([name]) => name).filter((name) => !counted.has(name));
  assert.equal(missing, []);
});

/** All parameters, first at y and then at x, after three steps in which the first of `sizes` has gradients, or all do. */
async function stepBlocks(
  device: "cpu" | "webgpu",
  make: Make,
  sizes: number[],
  alone: boolean,
): Promise<number[]> {
  rl.manualSeed(5);
  const params = withDevice(device, () =>
    sizes.map((n) => rl.keep(rl.randn([n], { requiresGrad: true }))),
  );
  const optimizer = make(params);
  const modes = optimizer as { train?(): void; eval?(): void };
  modes.train?.();
  for (let step = 0; step < 3; step++) {
    scope(() => {
      optimizer.step(() => {
        optimizer.zeroGrad();
        const terms = (alone ? params.slice(0, 1) : params).map((w) => rl.sum(rl.square(w)));
        const loss = terms.reduce((x, y) => rl.add(x, y));
        loss.backward();
        return loss;
      });
    });
  }
  const numbers: number[] = [];
  for (const mode of [() => {}, () => modes.eval?.()]) {
    mode();
    for (const param of params) numbers.push(...(await param.data()));
  }
  (optimizer as unknown as { dispose(): void }).dispose();
  for (const param of params) param.dispose();
  return numbers;
}

/** Sizes of parameters, and whether the first alone has gradients. */
const blocks: Record<string, [sizes: number[], alone: boolean]> = {
  "whole vec4": [[16380, 4], false],
  "the tail of a block": [[16385], false],
  "a tail with a neighbour": [[16387, 6], true],
};

for (const [what, [sizes, alone]] of Object.entries(blocks)) {
  test(`four elements at a time: ${what}`, async () => {
    const before = stats();
    for (const [name, make] of Object.entries(cases)) {
      const found = await stepBlocks("webgpu", make, sizes, alone);
      const expected = await stepBlocks("cpu", make, sizes, alone);
      const worst = found.findIndex((value, i) => !(Math.abs(value - expected[i]) < 2e-5));
      assert.is(worst, -1, `${name}: [${worst}] is ${found[worst]}; expected ${expected[worst]}`);
    }
    assert.equal(
      [stats().bytesInUse, stats().buffersInUse],
      [before.bytesInUse, before.buffersInUse],
    );
  });
}

/** What a kernel of blocks finds on the GPU, and what its record says. */
async function both(
  kernel: typeof normKernel,
  arrays: readonly Float32Array[],
  size: number,
  attrs: object,
): Promise<[found: TypedArray, expected: TypedArray]> {
  const open = rl.scope();
  try {
    const outputs = [rl.zeros([size], on)];
    runInPlace(
      kernel,
      arrays.map((values) => tensor(values, on)),
      outputs,
      attrs,
    );
    const inputs = arrays.map((a): NdArray => ({ data: Float64Array.from(a), shape: [a.length] }));
    const expected: NdArray = { data: new Float64Array(size), shape: [size] };
    (kernel.reference as ReferenceFunction)(inputs, [expected], attrs as never);
    return [await outputs[0].data(), expected.data];
  } finally {
    open.unwind();
  }
}

const numbers = (n: number, seed: number): Float32Array =>
  Float32Array.from(rl.randn([n], { generator: new rl.Generator(seed), device: "cpu" }).dataSync());

test("norms and distances are what the record says", async () => {
  for (const n of [1, 5, 8192, 3 * 8192 + 7]) {
    const [x, z] = [numbers(n, 1), numbers(n, 2)];
    for (const p of [0.5, 1, 2, 3.5, Infinity]) {
      for (const arrays of p === 2 ? [[x], [x, z]] : [[x]]) {
        const [[found], [expected]] = await both(normKernel, arrays, 1, { p });
        const error = Math.abs(found / expected - 1);
        assert.ok(error < 3e-6, `n ${n}, p ${p}: ${found}, expected ${expected}`);
      }
    }
  }
});

test("norms do not overflow or vanish, and tell of NaN and infinities", async () => {
  const of = async (values: number[], p: number): Promise<number> =>
    (await both(normKernel, [Float32Array.from(values)], 1, { p }))[0][0];
  const near = (found: number, expected: number, what: string): void =>
    assert.ok(Math.abs(found / expected - 1) < 3e-6, `${what}: ${found}, expected ${expected}`);
  for (const p of [0.5, 2, 8, 100]) {
    for (const size of [1e25, 1e-25, 1.7e38 / 2 ** (1 / p), 2e-38]) {
      near(await of([size, -size, 0], p), size * 2 ** (1 / p), `${size}, p ${p}`);
    }
  }
  for (const p of [0.5, 1, 2, 3, Infinity]) {
    assert.is(await of([0, 0, -0], p), 0, `zeros, p ${p}`);
    assert.is(await of([1, -Infinity, 0], p), Infinity, `infinity, p ${p}`);
    assert.ok(Number.isNaN(await of([1, NaN, 2], p)), `NaN, p ${p}`);
    assert.ok(Number.isNaN(await of([-Infinity, 0, NaN], p)), `both, p ${p}`);
  }
});

test("the sums of Polyak's step are what the record says, piece by piece", async () => {
  const n = 2 * 4096 + 5;
  const arrays = [1, 2, 3].map((seed) => numbers(n, seed));
  const [found, expected] = await both(polyakKernel, arrays, 6, {});
  for (let i = 0; i < 6; i++) {
    assert.ok(Math.abs(found[i] - expected[i]) < 1e-3, `${i}: ${found[i]}, ${expected[i]}`);
  }
});

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);

gpu.run();
