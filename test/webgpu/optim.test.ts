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

interface Case {
  make: (params: Groups) => { step(): void; zeroGrad(): void };
  /** Dispatches of a step for each group. Default 1. */
  dispatches?: number;
}

const cases: Record<string, Case> = {
  SGD: { make: (params) => new optim.SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true }) },
  "Adam, AMSGrad": { make: (params) => new optim.Adam(params, { lr: 0.05, amsgrad: true }) },
  AdamW: { make: (params) => new optim.AdamW(params, { lr: 0.05 }) },
  RAdam: { make: (params) => new optim.RAdam(params, { lr: 0.05 }) },
  "RMSprop, centred": {
    make: (params) => new optim.RMSprop(params, { lr: 0.01, centered: true, momentum: 0.9 }),
  },
  Adagrad: { make: (params) => new optim.Adagrad(params, { lr: 0.1 }) },
  Lion: { make: (params) => new optim.Lion(params, { lr: 0.01 }) },
  SGDScheduleFree: {
    make: (params) => new optim.SGDScheduleFree(params, { lr: 0.5, weightDecay: 0.01 }),
  },
  AdamWScheduleFree: { make: (params) => new optim.AdamWScheduleFree(params, { lr: 0.05 }) },
  AdamWScheduleFreePaper: {
    make: (params) => new optim.AdamWScheduleFreePaper(params, { lr: 0.05 }),
  },
  RAdamScheduleFree: { make: (params) => new optim.RAdamScheduleFree(params, { lr: 0.05 }) },
  // To z, the base's own step, and back.
  ScheduleFreeWrapper: {
    make: (params) =>
      new optim.ScheduleFreeWrapper(new optim.SGD(params, { lr: 0.1 }), { momentum: 0.9 }),
    dispatches: 3,
  },
};

/** A small network after eight steps: its parameters at y, then what eval() makes of them. */
async function train(device: "cpu" | "webgpu", { make }: Case): Promise<number[]> {
  rl.manualSeed(3);
  const [x, target, model, optimizer] = withDevice(device, () => {
    const made = new nn.Sequential(new nn.Linear(6, 8), new nn.ReLU(), new nn.Linear(8, 3));
    const labels = Int32Array.from({ length: 16 }, (_, i) => i % 3);
    return [rl.randn([16, 6]), tensor(labels), made, make(made.parameters())] as const;
  });
  const modes = optimizer as { train?(): void; eval?(): void };
  modes.train?.();
  withDevice(device, () => {
    for (let step = 0; step < 8; step++) {
      scope(() => {
        optimizer.zeroGrad();
        rl.crossEntropy(model.forward(x), target).backward();
        optimizer.step();
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
  return numbers;
}

for (const [name, optimizer] of Object.entries(cases)) {
  test(`${name} steps as on the CPU`, async () => {
    const found = await train("webgpu", optimizer);
    const expected = await train("cpu", optimizer);
    const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
    assert.is(found.length, expected.length);
    assert.ok(worst < 2e-5, `largest difference ${worst}`);
  });
}

test("a step is one dispatch for each group", async () => {
  const backend = rl.backend("webgpu") as unknown as { stats(): { dispatches: number } };
  const counts = Object.entries(cases).map(([name, { make, dispatches = 1 }]) =>
    withDevice("webgpu", () =>
      scope(() => {
        const groups = [[2, 3, 4], [5]].map((sizes) => ({
          params: sizes.map((n) => rl.keep(rl.ones([n], { requiresGrad: true }))),
        }));
        const optimizer = make(groups);
        (optimizer as { train?(): void }).train?.();
        const each = [0, 1, 2, 3].map(() => {
          optimizer.zeroGrad();
          for (const { params } of groups) for (const w of params) rl.sum(w).backward();
          const before = backend.stats().dispatches;
          optimizer.step();
          return backend.stats().dispatches - before;
        });
        // The first step fills the state.
        return [name, each.slice(1), Array(3).fill(2 * dispatches)] as const;
      }),
    ),
  );
  for (const [name, found, expected] of counts) assert.equal(found, expected, name);
});

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
