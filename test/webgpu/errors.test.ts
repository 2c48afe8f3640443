/** What can go wrong with a GPU: errors that say what to do, and after which work goes on. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import type { Run } from "../checkpoint/training.ts";
import { build } from "../checkpoint/training.ts";
import { disposeRun } from "./asynchronous.ts";
import {
  adapter,
  currentDevice,
  initWebGpu,
  loseDevice,
  startWebGpu,
  stopWebGpu,
  unavailable,
} from "./gpu.ts";
import { losses } from "./lost.ts";

const errors = suite("webgpu errors");
const on = { device: "webgpu" } as const;

if (unavailable !== null) errors.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) errors(name, run);
}

async function thrownBy(run: () => unknown): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

async function rejects(run: () => unknown, type: Function, text: RegExp): Promise<void> {
  const error = await thrownBy(run);
  assert.instance(error, type);
  assert.match(error.message, text);
}

errors(
  "a missing adapter, or one that gives no device, is an error that names the ways out",
  async () => {
    const init = (gpu: object): Promise<void> => rl.init({ device: "webgpu", gpu });
    await rejects(
      () => init({ requestAdapter: async () => null }),
      rl.BackendError,
      /has WebGPU, but offers no adapter; check the graphics driver.*init\(\{ device: "cpu" \}\)/,
    );
    const broken = {
      features: new Set(),
      limits: {},
      info: { vendor: "nobody", architecture: "", device: "", description: "" },
      requestDevice: () => Promise.reject(new Error("taken")),
    };
    await rejects(
      () => init({ requestAdapter: async () => broken }),
      rl.BackendError,
      /the adapter nobody gives no device: Error: taken/,
    );
    assert.is(rl.currentDevice(), "cpu", "the default device stays what it was");
  },
);

errors("a device is asked for with all that its adapter offers", async () => {
  const limits = {
    maxBufferSize: 2 ** 34,
    maxStorageBufferBindingSize: 2 ** 32 - 4,
    maxStorageBuffersPerShaderStage: 12,
    maxComputeWorkgroupStorageSize: 49152,
    maxComputeInvocationsPerWorkgroup: 512,
    maxComputeWorkgroupSizeX: 512,
    maxComputeWorkgroupsPerDimension: 100000,
  };
  for (const [precision, offered, used] of [
    ["fast", ["shader-f16", "subgroups", "timestamp-query"], ["shader-f16", "subgroups"]],
    ["fast", ["subgroups"], ["subgroups"]],
    ["strict", ["shader-f16", "subgroups"], []],
  ] as const) {
    let asked: GPUDeviceDescriptor = {};
    const found = {
      features: new Set<string>(offered),
      limits,
      info: { vendor: "nobody", architecture: "", device: "", description: "" },
      requestDevice: (descriptor: GPUDeviceDescriptor) => {
        asked = descriptor;
        return Promise.reject(new Error("seen enough"));
      },
    };
    const gpu = { requestAdapter: async () => found };
    const init = (): Promise<void> => rl.init({ device: "webgpu", gpu, precision });
    await rejects(init, rl.BackendError, /seen enough/);
    assert.equal(asked.requiredLimits, limits);
    assert.equal([...asked.requiredFeatures!], used);
  }
});

test("a failed start leaves the running device as it is", async () => {
  const x = tensor([1, 2], on);
  await thrownBy(() => rl.init({ device: "webgpu", gpu: { requestAdapter: async () => null } }));
  assert.equal(Array.from(await rl.add(x, 1).data()), [2, 3]);
  x.dispose();
});

/** A network that learns, and a step that tells its loss. */
function training(): { step(): Promise<number>; end(): void } {
  rl.manualSeed(5);
  const open = scope();
  const [x, target, model] = withDevice("webgpu", () => [
    rl.randn([16, 4]),
    tensor(Int32Array.from({ length: 16 }, (_, i) => i % 3)),
    new nn.Sequential(new nn.Linear(4, 16), new nn.Tanh(), new nn.Linear(16, 3)),
  ]);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.05 });
  optimizer.train();
  const step = async (): Promise<number> => {
    const inner = scope();
    try {
      optimizer.zeroGrad();
      const loss = rl.crossEntropy(model.forward(x), target);
      loss.backward();
      optimizer.step();
      return await loss.item();
    } finally {
      inner.unwind();
    }
  };
  const end = (): void => {
    open.unwind();
    optimizer.dispose();
    model.dispose();
  };
  return { step, end };
}

test("a device lost in the middle of training fails the step, and a new one trains the same", async () => {
  const before = rl.memory();
  const first = training();
  const losses = [await first.step(), await first.step(), await first.step()];
  const pending = first.step(); // handed over, and waiting for its loss
  loseDevice();
  const lost = /the device was lost.*its tensors are gone: await init\(\) starts anew/;
  await rejects(() => pending, rl.BackendError, lost);
  await rejects(() => first.step(), rl.BackendError, lost);
  assert.throws(() => tensor([1], on), lost);
  await rejects(() => rl.backend("webgpu").sync(), rl.BackendError, lost);
  first.end();
  assert.is(rl.memory().tensors, before.tensors);

  assert.is(await startWebGpu(), null);
  const second = training();
  for (const loss of losses) assert.is(await second.step(), loss);
  second.end();
});

test("after a loss init() is all it takes; what lived on the lost device says so", async () => {
  const [old, weight] = [tensor([1, 2], on), nn.parameter(rl.ones([2], on))];
  const double = rl.compile((x: rl.Tensor) => rl.mul(x, 2));
  assert.equal(Array.from(await double(old).data()), [2, 4]);
  loseDevice();
  await rejects(() => rl.backend("webgpu").sync(), rl.BackendError, /the device was lost/);
  await initWebGpu();
  assert.is(rl.currentDevice(), "webgpu");
  try {
    const x = tensor([3, 4]);
    assert.equal(Array.from(await rl.add(x, 1).data()), [4, 5]);
    assert.equal(Array.from(await double(x).data()), [6, 8]);
    const lost = /the device was lost.*await init\(\) starts anew/;
    await rejects(() => rl.add(old, 1), rl.BackendError, lost);
    await rejects(() => old.data(), rl.BackendError, lost);
    await rejects(() => rl.add(old, x), Error, /init\(\) was called in between/);
    x.dispose();
  } finally {
    await rl.init({ device: "cpu" });
  }
  for (const each of [old, weight, double]) each.dispose();
});

test("a command that the device refuses is the next call's error, and then all is well", async () => {
  const x = tensor([1, 2], on);
  currentDevice().createBuffer({ size: 16, usage: 0 });
  const refused = /the device refused a command: [^]+\(noticed in \w+\)/;
  await rejects(() => rl.backend("webgpu").sync(), rl.BackendError, refused);
  assert.equal(Array.from(await rl.add(x, 1).data()), [2, 3]);
  x.dispose();
});

/** SwiftShader refuses what is too large for it; llvmpipe would take all memory of the machine. */
if (/swiftshader/i.test(adapter)) {
  test("memory that runs out is an error with the figures, and what is left can be used", async () => {
    const backend = rl.backend("webgpu") as ReturnType<typeof rl.backend> & {
      stats(): { reservedBytes: number };
    };
    const { maxBufferSize, maxStorageBufferBindingSize } = currentDevice().limits;
    const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4;
    const x = tensor([1, 2], on);
    const held: ReturnType<typeof backend.alloc>[] = [];
    const exhaust = async (): Promise<void> => {
      while (held.length < 64) {
        held.push(backend.alloc(largest, "float32"));
        await backend.sync();
      }
    };
    await rejects(
      exhaust,
      rl.OutOfMemoryError,
      /the GPU has no more memory: \d+ bytes are in use, \d+ reserved; use smaller batches/,
    );
    backend.free(held.pop()!);
    await backend.sync();
    // The buffer without memory is not kept for others.
    const { reservedBytes } = backend.stats();
    assert.ok(reservedBytes <= 4 * largest * held.length + 2 ** 20, `${reservedBytes} bytes`);
    assert.equal(Array.from(await rl.add(x, 1).data()), [2, 3]);
    for (const buffer of held) backend.free(buffer);
    x.dispose();
  });

  test("training goes on from its last checkpoint after memory ran out in the middle of a step", async () => {
    const backend = rl.backend("webgpu");
    const { maxBufferSize, maxStorageBufferBindingSize } = currentDevice().limits;
    const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize) / 4;
    const run: Run = withDevice("webgpu", () => build("AdamWScheduleFree", 0));
    await losses(run, 3);
    const checkpoint = await rl.encodeCheckpointAsync(run);
    const expected = await losses(run, 3);
    const held: rl.Tensor[] = [];
    // As if a batch were far too large: more than there is, between forward and backward.
    const greedy = async (): Promise<void> => {
      const open = scope();
      try {
        run.optimizer.step(() => {
          run.optimizer.zeroGrad();
          const loss = rl.sum(run.model.forward(rl.ones([2, 3], on)));
          for (let i = 0; i < 12; i++) held.push(rl.keep(rl.zeros([largest], on)));
          loss.backward();
          return loss;
        });
        await backend.sync();
      } finally {
        open.unwind();
      }
    };
    await rejects(greedy, rl.OutOfMemoryError, /the GPU has no more memory.*use smaller batches/);
    for (const x of held) x.dispose();
    rl.restoreCheckpoint(checkpoint, run);
    assert.equal(await losses(run, 3), expected);
    disposeRun(run);
  });
}

errors.before(async () => void (await startWebGpu()));
errors.after(stopWebGpu);

errors.run();
