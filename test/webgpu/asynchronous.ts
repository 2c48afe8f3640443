/** Tests of device "webgpu" for whoever stands behind it; results are compared with the CPU's. */
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import type { Run } from "../checkpoint/training.ts";
import { build, optimizers, train } from "../checkpoint/training.ts";

type Case = readonly [name: string, run: () => Promise<void>];

const on = { device: "webgpu" } as const;

/** Tensors made inside are released at the end. */
const inScope =
  (run: () => Promise<void>): (() => Promise<void>) =>
  async () => {
    const open = scope();
    try {
      await run();
    } finally {
      open.unwind();
    }
  };

async function rejects(run: () => unknown, type: Function, text: RegExp): Promise<void> {
  let error: unknown = null;
  try {
    await run();
  } catch (thrown) {
    error = thrown;
  }
  assert.instance(error, type);
  assert.match((error as Error).message, text);
}

/** Every number of the tensors that `run` gives on the device. */
async function numbersOn(device: DeviceName, run: () => readonly Tensor[]): Promise<number[]> {
  const numbers: number[] = [];
  for (const x of withDevice(device, run)) numbers.push(...(await x.data()));
  return numbers;
}

/** The same on "webgpu" as on "cpu", to 1e-5 of the larger of the value and 1. */
async function sameAsCpu(run: () => readonly Tensor[]): Promise<number[]> {
  const found = await numbersOn("webgpu", run);
  const expected = await numbersOn("cpu", run);
  assertNear(found, expected, 1e-5);
  return found;
}

/** Every number within `limit` of the expected one, relative to it or 1. */
function assertNear(found: number[], expected: number[], limit: number): void {
  assert.is(found.length, expected.length);
  found.forEach((value, i) => {
    const error = Math.abs(value - expected[i]) / Math.max(1, Math.abs(expected[i]));
    assert.ok(error <= limit, `[${i}] is ${value}; expected ${expected[i]}`);
  });
}

const whole = (values: number[]): Tensor =>
  tensor(Int32Array.from(values), { device: rl.currentDevice() });

const byValue: readonly Case[] = [
  [
    "nonzeroAsync, maskedSelectAsync and oneHotAsync read; the other forms name them",
    async () => {
      const x = tensor([0, 3, -0.5, 0], on);
      assert.equal([...(await (await rl.nonzeroAsync(x)).data())], [1, 2]);
      x.requiresGrad = true;
      const chosen = await x.maskedSelectAsync(rl.ne(x, 0));
      rl.mul(chosen, tensor([2, 5], on))
        .sum()
        .backward();
      assert.equal([...(await chosen.data())], [3, -0.5]);
      assert.equal([...(await x.grad!.data())], [0, 2, 5, 0]);
      const index = tensor([2, 0], { ...on, dtype: "int32" });
      assert.equal([...(await (await rl.oneHotAsync(index)).data())], [0, 0, 1, 1, 0, 0]);
      assert.equal([...(await rl.oneHot(index, 3).data())], [0, 0, 1, 1, 0, 0]);
      const use = (what: string) =>
        new RegExp(`^${what}.*gives asynchronously; use .*${what}Async`);
      await rejects(() => rl.nonzero(x), rl.BackendError, use("nonzero"));
      await rejects(() => rl.maskedSelect(x, rl.ne(x, 0)), rl.BackendError, use("maskedSelect"));
      await rejects(() => rl.oneHot(index), rl.BackendError, use("oneHot"));
    },
  ],
  [
    "asynchronous forms see the values of the moment they are called",
    async () => {
      const x = tensor([0, 1, 0], on);
      const places = rl.nonzeroAsync(x);
      x.copyFrom([1, 0, 1]);
      assert.equal([...(await (await places).data())], [1]);
    },
  ],
  [
    "embedding with maxNorm and with a padding row",
    async () => {
      await sameAsCpu(() => {
        rl.manualSeed(4);
        const layer = new nn.Embedding(5, 3, { paddingIdx: -1, maxNorm: 0.5 });
        const y = layer.forward(whole([0, 4, 2, 0]));
        rl.square(y).sum().backward();
        return [y, layer.weight, layer.weight.grad!];
      });
    },
  ],
  [
    "embedding with maxNorm changes the rows that are named, once each, and copies no table",
    async () => {
      const [rows, wide] = [30000, 4];
      const table = Float32Array.from({ length: rows * wide }, (_, i) => Math.sin(i) * 3);
      const tables: number[][] = [];
      for (const times of [1, 2, 40]) {
        const weight = tensor(table, { ...on, shape: [rows, wide] });
        const named = Array.from({ length: 3 * times }, (_, i) => [29999, 0, 7][i % 3]);
        const index = tensor(Int32Array.from(named), on);
        const { bytes } = rl.memory({ resetPeak: true });
        rl.embedding(index, weight, { maxNorm: 1 });
        assert.ok(rl.memory().peakBytes - bytes < table.byteLength / 2);
        tables.push([...(await weight.data())]);
      }
      const changed = table.map((value, i) => Number(Math.fround(tables[0][i]) !== value));
      const places = [...changed.keys()].filter((i) => changed[i] === 1);
      assert.equal([...new Set(places.map((i) => Math.floor(i / wide)))], [0, 7, 29999]);
      assert.equal(tables[1], tables[0]);
      assert.equal(tables[2], tables[0]);
      const turned = await numbersOn("webgpu", () => {
        const flat = rl.reshape(tensor(table, { device: rl.currentDevice() }), [wide, rows]);
        const weight = rl.transpose(flat, 0, 1);
        rl.embedding(whole([5, 29999, 5]), weight, { maxNorm: 0.1 });
        return [rl.norm(weight, 2, 1)];
      });
      const small = [...turned.keys()].filter((row) => turned[row] < 0.1001);
      assert.equal(small, [5, 29999]);
    },
  ],
  [
    "maxUnpool2d",
    async () => {
      await sameAsCpu(() => {
        rl.manualSeed(5);
        const x = rl.randn([2, 3, 6, 4], { requiresGrad: true });
        const { values, indices } = rl.maxPool2dWithIndices(x, 2);
        const y = rl.maxUnpool2d(rl.square(values), indices, 2);
        rl.square(y).sum().backward();
        return [y, x.grad!];
      });
      const outside = tensor([9], { ...on, dtype: "int32", shape: [1, 1, 1] });
      await rejects(
        () => rl.maxUnpool2d(rl.ones([1, 1, 1], on), outside, 2).data(),
        rl.ValueError,
        /^maxUnpool2d: index 9 at element 0 is outside \[0, 4\)/,
      );
    },
  ],
];

class Small extends nn.Module {
  readonly first: nn.BatchNorm1d;
  readonly second = new nn.Linear(4, 2);

  constructor(momentum: number | null) {
    super();
    this.first = new nn.BatchNorm1d(4, { momentum });
  }

  forward(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x));
  }
}

const statistics: readonly Case[] = [
  [
    "BatchNorm counts its batches and moves its statistics, with momentum and without",
    async () => {
      for (const momentum of [0.1, null]) {
        const numbers = await sameAsCpu(() => {
          rl.manualSeed(6);
          const model = new Small(momentum);
          for (let i = 0; i < 3; i++)
            model
              .forward(rl.randn([8, 4]))
              .sum()
              .backward();
          return [...model.buffers(), model.first.weight!.grad!];
        });
        assert.is(numbers[8], 3, "batches tracked");
      }
    },
  ],
  [
    "recalibrateBatchNorm pools the batches' statistics",
    async () => {
      const numbers = await sameAsCpu(() => {
        rl.manualSeed(7);
        const model = new Small(0.1);
        const batches = [4, 9, 5].map((n) => rl.add(rl.mul(rl.randn([n, 4]), 3), 10));
        rl.recalibrateBatchNorm(model, batches);
        return model.buffers();
      });
      assert.is(numbers[8], 3, "batches tracked");
    },
  ],
];

/** Gradients of several sizes, one of them no neighbour of the others and strided, and what clipping them gives. */
async function clipped(
  device: DeviceName,
  scale: number,
  clip: (params: readonly Tensor[]) => optim.Measured,
): Promise<number[]> {
  const params = withDevice(device, () => {
    rl.manualSeed(8);
    const made = [[3], [100, 90], [1], [4, 2]].map((shape) =>
      rl.zeros(shape, { requiresGrad: true }),
    );
    const optimizer = new optim.SGD(made.slice(0, 3), { lr: 1 });
    for (const x of made.slice(0, 3))
      rl.mul(x, rl.mul(rl.randn(x.shape), scale))
        .sum()
        .backward();
    optimizer.dispose();
    made[3].grad = rl.keep(rl.mul(rl.randn([2, 4]), scale).transpose(0, 1));
    return made;
  });
  const norm = clip(params);
  const grads = params.map(({ grad }) => grad!);
  const numbers = [typeof norm === "number" ? norm : await norm.item()];
  for (const grad of grads) numbers.push(...(await grad.data()));
  for (const x of params) x.dispose();
  return numbers;
}

const clipping: readonly Case[] = [
  [
    "gradients are measured and clipped on the device",
    async () => {
      for (const normType of [2, 1, 3.5, Infinity]) {
        for (const maxNorm of [0.5, 1e9, Infinity]) {
          const clip = (params: readonly Tensor[]) =>
            optim.clipGradNorm(params, maxNorm, { normType });
          const found = await clipped("webgpu", 1, clip);
          const expected = await clipped("cpu", 1, clip);
          assert.ok(Math.abs(found[0] / expected[0] - 1) < 1e-5, `norm ${found[0]}`);
          assertNear(found.slice(1), expected.slice(1), 1e-6);
        }
      }
      const clip = (params: readonly Tensor[]) => optim.clipGradValue(params, 0.7);
      assertNear(await clipped("webgpu", 1, clip), await clipped("cpu", 1, clip), 1e-6);
    },
  ],
  [
    "norms of huge, tiny and no gradients do not overflow or vanish",
    async () => {
      const clip = (params: readonly Tensor[]) => optim.clipGradNorm(params, 1);
      for (const scale of [1e35, 1e-30, 0]) {
        const found = await clipped("webgpu", scale, clip);
        const expected = await clipped("cpu", scale, clip);
        const error = scale === 0 ? Math.abs(found[0]) : Math.abs(found[0] / expected[0] - 1);
        assert.ok(error < 1e-5, `norm ${found[0]}`);
        assertNear(found.slice(1), expected.slice(1), 1e-6);
      }
      const x = withDevice("webgpu", () => rl.zeros([2], { requiresGrad: true }));
      assert.is(await (optim.clipGradNorm([x], 1) as Tensor).item(), 0);
    },
  ],
  [
    "NaN and infinite gradients become what they become on the CPU",
    async () => {
      for (const bad of [NaN, Infinity]) {
        const results: number[][] = [];
        for (const device of ["webgpu", "cpu"] as const) {
          const x = withDevice(device, () => rl.zeros([3], { requiresGrad: true }));
          x.grad = rl.keep(tensor([1, bad, -2], { device }));
          const norm = optim.clipGradNorm(x, 1);
          const value = typeof norm === "number" ? norm : await norm.item();
          results.push([value, ...(await x.grad!.data())].map((v) => v + 0));
          x.dispose();
        }
        assert.equal(results[0].map(String), results[1].map(String));
      }
    },
  ],
  [
    "a compiled step clips anew each time, and may give the norm",
    async () => {
      const x = nn.parameter(rl.zeros([4], on));
      const step = rl.compile((scale: Tensor) => {
        x.grad?.dispose();
        x.grad = null;
        rl.mul(x, scale).sum().backward();
        return optim.clipGradNorm(x, 1) as Tensor;
      });
      for (const size of [3, 8, 0.25]) {
        const norm = step(rl.full([4], size, on));
        assertNear([await norm.item()], [2 * size], 1e-6);
        const each = Math.min(size, 0.5);
        assertNear([...(await x.grad!.data())], [each, each, each, each], 1e-6);
      }
      step.dispose();
      x.dispose();
    },
  ],
  [
    "what would have to look at the norm says so",
    async () => {
      const x = withDevice("webgpu", () => rl.zeros([3], { requiresGrad: true }));
      const refuse = (name: string, run: () => unknown) =>
        rejects(run, rl.BackendError, new RegExp(`: ${name}: reads values.*leave ${name} out`));
      const report = optim.clipReport();
      await refuse("report", () => optim.clipGradNorm(x, 1, { report }));
      await refuse("report", () => optim.clipGradValue(x, 1, { report }));
      await refuse("errorIfNonfinite", () => optim.clipGradNorm(x, 1, { errorIfNonfinite: true }));
    },
  ],
];

/** Every number of a run: weights in train mode, in eval mode, and back. */
async function numbersOf({ model, optimizer }: Run): Promise<number[]> {
  const numbers: number[] = [];
  const collect = async (): Promise<void> => {
    for (const [, x] of model.namedTensors()) numbers.push(...(await x.data()));
  };
  await collect();
  optimizer.eval?.();
  await collect();
  optimizer.train?.();
  await collect();
  return numbers;
}

export function disposeRun({ model, optimizer }: Run): void {
  optimizer.dispose();
  model.dispose();
}

const saved: readonly Case[] = Object.keys(optimizers).map((name) => [
  `${name} goes on from a checkpoint, on this device and on another`,
  async () => {
    const first = withDevice("webgpu", () => build(name, 0));
    withDevice("webgpu", () => train(first, 5));
    const pending = rl.encodeCheckpointAsync(first);
    withDevice("webgpu", () => train(first, 4)); // does not show in what is being saved
    const bytes = await pending;
    const expected = await numbersOf(first);
    const { float } = rl.backend("webgpu").capabilities();
    for (const device of ["webgpu", float === "float64" ? "reference" : "cpu"] as const) {
      const second = withDevice(device, () => build(name, 99));
      rl.restoreCheckpoint(bytes, second);
      withDevice(device, () => train(second, 4));
      const found = await numbersOf(second);
      const exact = device === "webgpu";
      assertNear(found, expected, exact ? 0 : 2e-4);
      disposeRun(second);
    }
    disposeRun(first);
  },
]);

const polyak: readonly Case[] = [
  [
    "AdamC takes its loss as a number, a tensor or from a closure, and its counters stay on the device",
    async () => {
      const run = async (how: "number" | "tensor" | "closure"): Promise<number[]> => {
        const x = nn.parameter(tensor([1, -2, 3], on));
        const adamc = new optim.AdamCScheduleFreePlusPaper([x], { weightDecay: 0.1 });
        adamc.train();
        for (let i = 0; i < 4; i++) {
          const forward = (): Tensor => {
            adamc.zeroGrad();
            const value = rl.mul(rl.square(x).sum(), 0.5);
            value.backward();
            return value;
          };
          if (how === "closure") adamc.step(forward);
          else if (how === "tensor") adamc.step(forward());
          else {
            adamc.step(await forward().item());
          }
        }
        assert.equal([adamc.paramGroups[0].k, adamc.paramGroups[0].weightSum], [4, NaN]);
        const [group] = adamc.stateDict().param_groups;
        const counters = [
          "weight_sum",
          "lr_max",
          "scheduled_lr",
          "grad_l1_ema",
          "function_value_ema",
        ];
        const numbers = [...(await x.data())];
        for (const key of counters) numbers.push(await (group[key] as Tensor).item());
        adamc.dispose();
        x.dispose();
        return numbers;
      };
      const found = await run("tensor");
      assert.ok(found.every(Number.isFinite), found.join(" "));
      assert.equal(await run("closure"), found);
      assertNear(await run("number"), found, 1e-6);
      const x = nn.parameter(tensor([1, 2], on));
      const adamc = new optim.AdamCScheduleFreePlusPaper([x]);
      adamc.train();
      await rejects(() => adamc.step(x), rl.ValueError, /the loss is .*\[2\]; expected the loss/);
      adamc.dispose();
      x.dispose();
    },
  ],
  [
    "AdamC's groups step by the first one's averages, also one that comes late",
    async () => {
      for (const compat of ["none", "upstream"] as const) {
        const found = await sameAsCpu(() => {
          const params = [tensor([1, -2, 3]), tensor([0.5, 2])].map((x) => nn.parameter(x));
          const adamc = new optim.AdamCScheduleFreePlusPaper(params.slice(0, 1), {
            polyakBeta: 0.9,
            weightDecay: 0.1,
            cWarmup: 2,
            compat,
          });
          adamc.train();
          for (let i = 0; i < 5; i++) {
            if (i === 2) adamc.addParamGroup({ params: [params[1]], lr: 0.5, r: 1, cWarmup: 0 });
            adamc.zeroGrad();
            const loss = rl.mul(
              rl.add(rl.square(params[0]).sum(), rl.square(params[1]).sum()),
              0.5,
            );
            loss.backward();
            adamc.step(loss);
          }
          const counters = adamc.stateDict().param_groups.flatMap((group) =>
            ["grad_l1_ema", "grad_l1_ema_corr", "weight_sum", "lr_max", "scheduled_lr"].map(
              (key) => {
                const value = group[key] as number | Tensor;
                return typeof value === "number" ? tensor([value]) : value;
              },
            ),
          );
          const values = params.map((x) => rl.mul(x.detach(), 1));
          adamc.dispose();
          for (const x of params) x.dispose();
          return [...values, ...counters];
        });
        assert.is(found.length, 15);
      }
    },
  ],
];

const measured = [
  "AdamWScheduleFree",
  "AdamCScheduleFreePlusPaper",
  "ScheduleFreeWrapper around AdamW",
  "ACSA",
  "SGD",
];

const diagnosed: readonly Case[] = measured.map((name) => [
  `diagnosticsAsync of ${name} says what diagnostics says on the CPU`,
  async () => {
    const found: number[][] = [];
    for (const device of ["webgpu", "cpu"] as const) {
      const run = withDevice(device, () => build(name, 0));
      withDevice(device, () => train(run, 3));
      const optimizer = run.optimizer as unknown as optim.AdamWScheduleFree;
      const pending = optim.diagnosticsAsync(optimizer);
      withDevice(device, () => train(run, 1)); // does not show
      found.push((await pending).flatMap((group) => Object.values(group)));
      if (device === "webgpu") {
        const use = /^diagnostics: reads values.*use await optim\.diagnosticsAsync\(/;
        await rejects(() => optim.diagnostics(optimizer), rl.BackendError, use);
      } else {
        const later = await optim.diagnosticsAsync(optimizer);
        assert.equal(optim.diagnostics(optimizer), later);
      }
      disposeRun(run);
    }
    assert.is(found[0].length, 12);
    assert.ok(found[0].every(Number.isFinite) && found[0][5] > 0, found[0].join(" "));
    assertNear(found[0], found[1], 1e-4);
  },
]);

const formats: readonly Case[] = [
  [
    "weights are read by stateDictAsync and encodeSafetensorsAsync; the other forms name them",
    async () => {
      const model = withDevice("webgpu", () => new nn.Linear(3, 2));
      const { weight } = await model.stateDictAsync();
      assert.equal(weight, { data: await model.weight.data(), shape: [2, 3] });
      const bytes = await rl.encodeSafetensorsAsync({ w: model.weight, list: weight });
      const { tensors } = rl.decodeSafetensors(bytes);
      assert.equal(Array.from(tensors.get("w")!.data), Array.from(weight.data));
      assert.equal(Array.from(tensors.get("list")!.data), Array.from(weight.data));
      model.loadStateDict({
        weight: { ...weight, data: weight.data.map(() => 2) },
        bias: { data: new Float32Array(2), shape: [2] },
      });
      assert.equal([...(await model.weight.data())], [2, 2, 2, 2, 2, 2]);
      const use = (what: string) => new RegExp(`^\\w+: reads values.*use .*${what}Async\\(`);
      await rejects(() => model.stateDict(), rl.BackendError, use("stateDict"));
      await rejects(() => rl.encodeCheckpoint({ model }), rl.BackendError, use("saveCheckpoint"));
      await rejects(
        () => rl.encodeSafetensors({ w: model.weight }),
        rl.BackendError,
        use("encodeSafetensors"),
      );
      model.dispose();
    },
  ],
  [
    "an optimizer's state goes from one optimizer to another without being read",
    async () => {
      const first = withDevice("webgpu", () => build("AdamW", 0));
      withDevice("webgpu", () => train(first, 3));
      const second = withDevice("webgpu", () => build("AdamW", 0));
      second.model.loadStateDict(await first.model.stateDictAsync());
      second.optimizer.loadStateDict(first.optimizer.stateDict());
      second.loader.loadState(first.loader.state());
      const at = rl.defaultGenerator().getState();
      withDevice("webgpu", () => train(first, 2));
      rl.defaultGenerator().setState(at);
      withDevice("webgpu", () => train(second, 2));
      assertNear(await numbersOf(second), await numbersOf(first), 0);
      const { state, param_groups: groups } = first.optimizer.stateDict();
      const step = tensor(3, on);
      await rejects(
        () =>
          second.optimizer.loadStateDict({
            state: { ...state, 0: { ...state[0], step } },
            param_groups: groups,
          }),
        rl.BackendError,
        /loadStateDict: state 0: step: reads values.*use its number in a list/,
      );
      disposeRun(first);
      disposeRun(second);
    },
  ],
  [
    "an average travels as an extra",
    async () => {
      const { model, optimizer } = withDevice("webgpu", () => build("AdamWScheduleFree", 0));
      const ema = new optim.EMA(optimizer, { decay: 0.5 });
      ema.update();
      model.first.weight.copyFrom(new Float32Array(18).fill(1));
      ema.update();
      const expected = await ema.values()[0].data();
      const bytes = await rl.encodeCheckpointAsync({ model, optimizer, extra: { ema } });
      ema.update();
      rl.restoreCheckpoint(bytes, { model, optimizer, extra: { ema } });
      assert.equal([ema.nAveraged, await ema.values()[0].data()], [2, expected]);
      ema.dispose();
      optimizer.dispose();
      model.dispose();
    },
  ],
];

export const asynchronousCases: readonly Case[] = [
  ...byValue,
  ...statistics,
  ...clipping,
  ...polyak,
  ...diagnosed,
  ...formats,
  ...saved,
].map(([name, run]) => [name, inScope(run)] as const);
