/** What can go wrong with a GPU: errors that say what to do, and after which work goes on. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import { adapter, currentDevice, loseDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

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
}

errors.before(async () => void (await startWebGpu()));
errors.after(stopWebGpu);

errors.run();
