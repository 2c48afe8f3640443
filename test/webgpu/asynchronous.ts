/** Tests of device "webgpu" for whoever stands behind it; results are compared with the CPU's. */
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, scope, tensor, withDevice } from "../../src/index.ts";

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
  assert.is(found.length, expected.length);
  found.forEach((value, i) => {
    const error = Math.abs(value - expected[i]) / Math.max(1, Math.abs(expected[i]));
    assert.ok(error < 1e-5, `[${i}] is ${value}; expected ${expected[i]}`);
  });
  return found;
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

export const asynchronousCases: readonly Case[] = [...byValue, ...statistics].map(
  ([name, run]) => [name, inScope(run)] as const,
);
