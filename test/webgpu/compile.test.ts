/** Compiled steps on device "webgpu": the bits of the step itself, live where they have to be, nothing left behind. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { compile, nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const gpu = suite("webgpu compile");
const on = { device: "webgpu" } as const;

if (unavailable !== null) gpu.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) gpu(name, run);
}

interface Stats {
  buffersInUse: number;
  bytesInUse: number;
  dispatches: number;
}
const stats = (): Stats => (rl.backend("webgpu") as unknown as { stats(): Stats }).stats();

const models: Record<string, () => nn.Module & { forward(x: Tensor): Tensor }> = {
  "a perceptron with dropout": () =>
    new nn.Sequential(
      new nn.Flatten(),
      new nn.Linear(36, 24),
      new nn.ReLU(),
      new nn.Dropout(0.3),
      new nn.Linear(24, 4),
    ),
  "a convolutional network with batch norm": () =>
    new nn.Sequential(
      new nn.Conv2d(1, 3, 3),
      new nn.BatchNorm2d(3),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(12, 4),
    ),
};

/** Losses and parameters of ten steps, whose rate changes on the way, and dispatches of the last. */
async function train(make: (typeof models)[string], wrap: typeof compile) {
  rl.manualSeed(3);
  const open = scope();
  const model = withDevice("webgpu", make);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01, warmupSteps: 3 });
  optimizer.train();
  const step = wrap((x: Tensor, y: Tensor) => {
    optimizer.zeroGrad();
    const loss = rl.crossEntropy(model.forward(x), y);
    loss.backward();
    optimizer.step();
    return loss;
  });
  const losses: Tensor[] = [];
  let dispatches = 0;
  for (let i = 0; i < 10; i++) {
    const x = rl.randn([5, 1, 6, 6], on);
    const y = rl.randint(0, 4, [5], on);
    if (i === 6) optimizer.paramGroups[0].lr = 0.1;
    const before = stats().dispatches;
    losses.push(scope(() => step(x, y)));
    dispatches = stats().dispatches - before;
  }
  const values: number[][] = [];
  for (const x of [...losses, ...model.parameters()]) values.push(Array.from(await x.data()));
  const { captures = 0 } = step as { captures?: number };
  (step as { dispose?(): void }).dispose?.();
  optimizer.dispose();
  for (const x of [...model.parameters(), ...model.buffers()]) x.dispose();
  open.end();
  return { values, dispatches, captures };
}

const eager = ((fn: unknown) => fn) as unknown as typeof compile;

for (const [name, make] of Object.entries(models)) {
  test(`${name} trains to the same bits`, async () => {
    const before = stats();
    const expected = await train(make, eager);
    const found = await train(make, compile);
    assert.equal(found.values, expected.values);
    // The first step finds no gradients, and is another one.
    assert.ok(found.captures <= 2, `${found.captures} captures`);
    // Two arguments in, one result out; some calls become one dispatch (chains.test.ts).
    assert.ok(found.dispatches <= expected.dispatches + 3, `${found.dispatches} dispatches`);
    assert.is(stats().buffersInUse, before.buffersInUse);
    assert.is(stats().bytesInUse, before.bytesInUse);
  });
}

test("replays take no memory", async () => {
  const open = scope();
  const w = rl.keep(rl.randn([3, 5], on));
  const f = compile((x: Tensor) => rl.softmax(rl.matmul(rl.transpose(x, 0, 1), w), 0));
  const x = rl.randn([3, 4], on);
  for (let i = 0; i < 2; i++) scope(() => void f(x));
  const before = stats();
  for (let i = 0; i < 300; i++) scope(() => void f(x));
  assert.is(stats().buffersInUse, before.buffersInUse);
  assert.is(stats().bytesInUse, before.bytesInUse);
  const expected = rl.softmax(rl.matmul(rl.transpose(x, 0, 1), w), 0);
  assert.equal(Array.from(await f(x).data()), Array.from(await expected.data()));
  f.dispose();
  open.end();
});

test("arguments and constants reach every call, in order with writes", async () => {
  const open = scope();
  const f = compile((x: Tensor) => rl.add(rl.mul(x, tensor([1, 10], on)), 1));
  const x = tensor([1, 2], on);
  const found: Tensor[] = [];
  for (let i = 0; i < 3; i++) {
    found.push(f(x));
    x.copyFrom([3 + i, 4 + i]);
  }
  const values: number[][] = [];
  for (const y of found) values.push(Array.from(await y.data()));
  assert.equal(values, [
    [2, 21],
    [4, 41],
    [5, 51],
  ]);
  f.dispose();
  open.end();
});

test("an index out of range is an error after every call", async () => {
  const open = scope();
  const f = compile((table: Tensor, index: Tensor) => rl.indexSelect(table, 0, index));
  const table = rl.reshape(rl.arange(6, undefined, 1, on), [3, 2]);
  const at = (i: number): Tensor => f(table, tensor([i], { ...on, dtype: "int32" }));
  const outcome = (y: Tensor): Promise<unknown> =>
    y.data().then(
      (values) => Array.from(values),
      (error: Error) => error.message,
    );
  assert.equal(await outcome(at(1)), [2, 3]);
  for (let i = 0; i < 2; i++) {
    assert.match((await outcome(at(4))) as string, /index 4 at element 0 is outside \[0, 3\)/);
    assert.equal(await outcome(at(2)), [4, 5]);
  }
  f.dispose();
  open.end();
});

test("booleans, which take four bytes here, have room for themselves", async () => {
  const count = (x: Tensor): Tensor => scope(() => rl.sum(rl.cast(rl.gt(x, 0), "float32")));
  const f = compile((a: Tensor, b: Tensor) => rl.add(count(a), count(b)));
  const open = scope();
  const [a, b] = [rl.ones([1024], on), rl.arange(-2048, 2048, 1, on)];
  for (let i = 0; i < 2; i++) assert.is(await f(a, b).item(), 1024 + 2047);
  f.dispose();
  open.end();
});

test("a closed device ends a compiled step, and the next has one of its own", async () => {
  const f = compile((x: Tensor) => rl.mul(x, 2));
  const open = scope();
  const x = tensor([1], on);
  for (let i = 0; i < 2; i++) assert.is(await f(x).item(), 2);
  rl.backend("webgpu").close();
  assert.throws(() => f(x), /is closed; await init\(\) starts a new one/);
  assert.is(await startWebGpu(), null);
  assert.is(await f(tensor([3], on)).item(), 6);
  f.dispose();
  open.end();
});

gpu.before(async () => void (await startWebGpu()));
gpu.after(stopWebGpu);

gpu.run();
