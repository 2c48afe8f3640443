/** Device "webgpu": what is its own affair, from reads to lost devices. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import { currentDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const gpu = suite("webgpu backend");
const on = { device: "webgpu" } as const;

if (unavailable !== null) gpu.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) gpu(name, run);
}

async function rejects(run: () => Promise<unknown>, type: Function, text: RegExp): Promise<void> {
  let error: unknown = null;
  try {
    await run();
  } catch (thrown) {
    error = thrown;
  }
  assert.instance(error, type);
  assert.match((error as Error).message, text);
}

test("results are read asynchronously, and say so", async () => {
  const x = tensor([1, 2, 3], on);
  assert.throws(() => x.dataSync(), /use await t\.data\(\)/);
  assert.equal(Array.from(await rl.mul(x, 2).data()), [2, 4, 6]);
  assert.is(await rl.sum(x).item(), 6);
});

test("writes, copies and reads keep their order within a batch", async () => {
  const x = tensor([1, 2, 3, 4], on);
  const before = rl.mul(x, 10);
  x.copyFrom([5, 6, 7, 8]);
  const after = rl.mul(x, 10);
  assert.equal(Array.from(await before.data()), [10, 20, 30, 40]);
  assert.equal(Array.from(await after.data()), [50, 60, 70, 80]);
});

/** Calls of methods while `run` runs. */
async function callsIn(
  methods: readonly (readonly [object: object, name: string])[],
  run: () => void | Promise<void>,
): Promise<Record<string, number>> {
  const calls: Record<string, number> = {};
  for (const [object, name] of methods) {
    calls[name] = 0;
    const own = (object as Record<string, (...args: unknown[]) => unknown>)[name];
    Object.defineProperty(object, name, {
      configurable: true,
      value: (...args: unknown[]) => {
        calls[name]++;
        return own.apply(object, args);
      },
    });
  }
  try {
    await run();
  } finally {
    for (const [object, name] of methods) Reflect.deleteProperty(object, name);
  }
  return calls;
}

test("a training step waits for nothing, and once it has run makes nothing but commands", async () => {
  const open = scope();
  const [x, target, model] = withDevice("webgpu", () => [
    rl.randn([8, 5]),
    tensor(Int32Array.from({ length: 8 }, (_, i) => i % 3)),
    new nn.Sequential(
      new nn.Linear(5, 16),
      new nn.LayerNorm(16),
      new nn.GELU(),
      new nn.Dropout(0.2),
      new nn.Linear(16, 3),
    ),
  ]);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01 });
  optimizer.train();
  const step = (): void =>
    scope(() => {
      optimizer.zeroGrad();
      rl.crossEntropy(model.forward(x), target).backward();
      optim.clipGradNorm(model.parameters(), 1);
      optimizer.step();
    });
  for (let i = 0; i < 5; i++) step();
  const device = currentDevice();
  const made = ["createBuffer", "createBindGroup", "createShaderModule", "createComputePipeline"];
  const waited = await callsIn(
    [
      ...made.map((name) => [device, name] as const),
      [device, "createCommandEncoder"],
      [device.queue, "onSubmittedWorkDone"],
      [device.queue, "submit"],
      [device.queue, "writeBuffer"],
    ],
    () => {
      for (let i = 0; i < 100; i++) step();
    },
  );
  const { submit, writeBuffer, createCommandEncoder, ...others } = waited;
  assert.ok(submit > 0 && submit < 100, `${submit} submits`);
  assert.is(createCommandEncoder, submit);
  assert.ok(writeBuffer <= 2 * submit, `${writeBuffer} writes for ${submit} submits`);
  for (const [name, count] of Object.entries(others)) assert.is(count, 0, name);
  await rl.backend("webgpu").sync();
  open.end();
  optimizer.dispose();
  model.dispose();
});

test("uploads beyond what a batch carries keep their order with what reads them", async () => {
  // Some of what a batch carries, little of it, and more than it takes at once.
  const open = scope();
  const tensors = [2 ** 14, 2 ** 10, 2 ** 17].map((size) => rl.zeros([size], on));
  const means = tensors.map((): rl.Tensor[] => []);
  for (let i = 1; i <= 30; i++) {
    tensors.forEach((x, k) => {
      x.copyFrom(new Float32Array(x.size).fill(i * (k + 1)));
      means[k].push(rl.mean(x));
    });
  }
  for (const [k, list] of means.entries()) {
    const found = Array.from(await rl.stack(list).data());
    assert.equal(
      found,
      list.map((_, i) => (i + 1) * (k + 1)),
    );
  }
  open.end();
});

test("sync waits for everything that was handed over", async () => {
  const x = rl.ones([256, 256], on);
  const y = scope(() => rl.matmul(rl.matmul(x, x), rl.matmul(x, x))); // long, on a software adapter
  const pending = rl.backend("webgpu").sync();
  let done = false;
  const finished = currentDevice()
    .queue.onSubmittedWorkDone()
    .then(() => (done = true));
  await pending;
  await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, 50))]);
  assert.ok(done);
  y.dispose();
  x.dispose();
});

test("more dispatches than a batch holds", async () => {
  let x = tensor([0], on);
  for (let i = 0; i < 1000; i++) x = scope(() => rl.add(x, 1));
  assert.is(await x.item(), 1000);
});

test("more elements than workgroups in one dimension", async () => {
  const n = 65535 * 64 + 5;
  assert.is(await rl.sum(rl.ones([n], on)).item(), n);
});

test("an index outside of its range is an error at the next read, and only there", async () => {
  const x = rl.reshape(rl.arange(6, undefined, 1, on), [3, 2]);
  const bad = tensor([0, 7, -1], { ...on, dtype: "int32" });
  const y = rl.indexSelect(x, 0, bad);
  await rejects(() => y.data(), rl.ValueError, /index 7 at element 1 is outside \[0, 3\)/);
  assert.equal(Array.from(await x.data()), [0, 1, 2, 3, 4, 5]);
  rl.crossEntropy(rl.cast(x, "float32"), tensor([0, 1, 2], { ...on, dtype: "int32" }));
  await rejects(
    () => rl.backend("webgpu").sync(),
    rl.ValueError,
    /target\[2\] is 2, outside \[0, 2\)/,
  );
  const target = tensor([0, -100, 5], { ...on, dtype: "int32" });
  const loss = rl.nllLoss(rl.cast(x, "float32"), target);
  await rejects(
    () => loss.item(),
    rl.ValueError,
    /nllLoss: target: index 5 at element 2 is outside/,
  );
});

test("what has no kernel names itself", async () => {
  const x = rl.ones([2, 3], on);
  const unknown = { name: "unheardOf", kind: "nobodys", wasm: "", reference: () => {} };
  assert.throws(
    () => rl.backend("webgpu").run(unknown, [x], [x], {}),
    (error: Error) =>
      error instanceof rl.BackendError &&
      /kind nobodys yet, which unheardOf needs.*"cpu"/.test(error.message),
  );
  assert.throws(() => tensor([1], { ...on, dtype: "float64" }), /float64 exists on "reference"/);
});

test("a tensor larger than a binding is refused with the figures", async () => {
  assert.throws(() => rl.zeros([2 ** 18, 2 ** 18], on), /274877906944 bytes.*binds at most \d+/);
  assert.is(await rl.sum(rl.ones([4], on)).item(), 4);
});

test("200 training steps leave no buffer behind, and the model's end none at all", async () => {
  const backend = rl.backend("webgpu") as unknown as { stats(): { dispatches: number } };
  const figures = async (): Promise<Record<string, number>> => {
    await rl.backend("webgpu").sync();
    const { bytes, tensors, storages } = rl.memory();
    return { ...backend.stats(), dispatches: 0, bytes, tensors, storages };
  };
  const start = await figures();
  const open = scope();
  const [x, target, model] = withDevice("webgpu", () => [
    rl.randn([8, 1, 6, 6]),
    tensor(Int32Array.from({ length: 8 }, (_, i) => i % 3)),
    new nn.Sequential(
      new nn.Conv2d(1, 2, 3),
      new nn.BatchNorm2d(2),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Dropout(0.2),
      new nn.Linear(8, 3),
    ),
  ]);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01 });
  optimizer.train();
  const step = (): void =>
    withDevice("webgpu", () =>
      scope(() => {
        optimizer.zeroGrad();
        rl.crossEntropy(model.forward(x), target).backward();
        optimizer.step();
      }),
    );
  for (let i = 0; i < 5; i++) step();
  const before = await figures();
  for (let i = 0; i < 200; i++) step();
  assert.equal(await figures(), before);
  open.end();
  optimizer.dispose();
  model.dispose();
  // The pool keeps what it has for the next tensors.
  assert.equal({ ...(await figures()), reservedBytes: start.reservedBytes }, start);
});

test("a closed device says so, and init() starts anew", async () => {
  const x = tensor([1, 2], on);
  rl.backend("webgpu").close();
  assert.throws(() => rl.add(x, 1), /is closed; await init\(\) starts a new one/);
  x.dispose();
  assert.is(await startWebGpu(), null);
  assert.is(await rl.sum(tensor([1, 2], on)).item(), 3);
});

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);

gpu.run();
