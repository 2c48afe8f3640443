/** The same seed gives the CPU's bits: random tensors, initial weights, dropout masks, in order and after whatever came before. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, scope, withDevice } from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const random = suite("webgpu random numbers");

if (unavailable !== null) random.skip("every test", unavailable);

/** Declares a test where there is a GPU. */
function test(name: string, run: () => Promise<void>): void {
  if (unavailable === null) random(name, run);
}

/** The bits of tensors that `make` gives after a seed. */
async function bitsOn(
  device: DeviceName,
  seed: number,
  make: () => readonly Tensor[],
): Promise<Uint32Array[]> {
  const open = scope();
  rl.manualSeed(seed);
  const bits: Uint32Array[] = [];
  for (const x of withDevice(device, make)) {
    const values = await x.data();
    bits.push(new Uint32Array(Float32Array.from(values).buffer));
  }
  open.end();
  return bits;
}

/** Seeds of one word and of two. */
const seeds = [3, 2 ** 40 + 5];

async function sameBits(name: string, make: () => readonly Tensor[]): Promise<void> {
  for (const seed of seeds) {
    const found = await bitsOn("webgpu", seed, make);
    const expected = await bitsOn("cpu", seed, make);
    assert.equal(found, expected, `${name}, seed ${seed}`);
    assert.ok(
      expected.some((words) => words.some((word) => word !== words[0])),
      `${name}: all numbers are the same`,
    );
  }
}

/** The functions of nn.init that fill, with weights that they take. */
const initialisers: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  constant: (x) => nn.init.constant(x, 0.3),
  dirac: (x) => nn.init.dirac(rl.reshape(x, [6, 5, 7])),
  eye: nn.init.eye,
  kaimingNormal: nn.init.kaimingNormal,
  kaimingUniform: nn.init.kaimingUniform,
  normal: (x) => nn.init.normal(x, 1, 3),
  ones: nn.init.ones,
  orthogonal: nn.init.orthogonal,
  sparse: (x) => nn.init.sparse(x, 0.4),
  truncNormal: (x) => nn.init.truncNormal(x, 0, 1, -0.5, 2),
  uniform: (x) => nn.init.uniform(x, -2, 5),
  xavierNormal: nn.init.xavierNormal,
  xavierUniform: nn.init.xavierUniform,
  zeros: nn.init.zeros,
};

random("every initialiser is compared", () => {
  const numbers = ["calculateGain", "fans"];
  const fills = Object.keys(nn.init).filter((name) => !numbers.includes(name));
  assert.equal(Object.keys(initialisers), fills.sort());
});

for (const name in initialisers) {
  test(`nn.init.${name}`, async () => {
    // Something random after it: the generator is where it is on the CPU.
    await sameBits(name, () => [initialisers[name](rl.zeros([14, 15])), rl.rand([5])]);
  });
}

test("random tensors and orders", async () => {
  await sameBits("tensors", () => [
    rl.rand([3, 77]),
    rl.rand([100], { low: -3, high: 7 }),
    rl.randn([3, 77]),
    rl.randn([101], { mean: 2, std: 0.1 }),
    rl.randint(-5, 1000, [99]),
    rl.randperm(257),
    rl.rand([9], { generator: new rl.Generator(8) }),
  ]);
});

const layers: Readonly<Record<string, () => nn.Module>> = {
  Linear: () => new nn.Linear(7, 5),
  Conv1d: () => new nn.Conv1d(3, 4, 3),
  Conv2d: () => new nn.Conv2d(4, 6, 3, { groups: 2 }),
  ConvTranspose1d: () => new nn.ConvTranspose1d(3, 4, 3),
  ConvTranspose2d: () => new nn.ConvTranspose2d(3, 4, 3),
  Embedding: () => new nn.Embedding(9, 5, { paddingIdx: 2 }),
  RNN: () => new nn.RNN(3, 5, { numLayers: 2, bidirectional: true }),
  GRU: () => new nn.GRU(3, 5),
  LSTM: () => new nn.LSTM(3, 5, { projSize: 2 }),
  LSTMCell: () => new nn.LSTMCell(3, 5),
  MultiheadAttention: () => new nn.MultiheadAttention(8, 2, { addBiasKv: true, kdim: 3 }),
  TransformerEncoderLayer: () => new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 12 }),
  TransformerDecoderLayer: () => new nn.TransformerDecoderLayer(8, 2, { dimFeedforward: 12 }),
};

for (const name in layers) {
  test(`initial weights of ${name}`, async () => {
    await sameBits(name, () => [...layers[name]().namedTensors()].map(([, x]) => x));
  });
}

test("dropout masks of any probability, size and layout, and gradients through them", async () => {
  for (const p of [1e-9, 0.001, 0.3, 0.5, 0.999, 1]) {
    await sameBits(`p ${p}`, () => {
      const x = rl.randn([33, 65], { requiresGrad: true });
      const y = rl.dropout(x, { p });
      rl.sum(y).backward();
      const turned = rl.dropout(rl.transpose(x, 0, 1), { p });
      const cut = rl.dropout(rl.narrow(x, 1, 3, 50), { p });
      return [y, x.grad!, turned, cut, rl.rand([4])];
    });
  }
});

test("masks far into a generator's calls", async () => {
  for (const call of [2 ** 31 + 3, 2 ** 32 + 3, 2 ** 45 + 1]) {
    await sameBits(`call ${call}`, () => {
      const generator = new rl.Generator(2 ** 50 + 7);
      generator.setState({ ...generator.getState(), call });
      return [rl.dropout(rl.ones([999]), { p: 0.4, generator })];
    });
  }
});

test("layers that drop elements and channels", async () => {
  await sameBits("layers", () => {
    const [image, line] = [rl.randn([4, 9, 5, 3]), rl.randn([4, 9, 7])];
    const drops = [new nn.Dropout(0.3), new nn.Dropout2d(0.6)];
    return [...drops.map((layer) => layer.forward(image)), new nn.Dropout1d(0.2).forward(line)];
  });
});

test("a compiled step draws a new mask each time, the CPU's", async () => {
  const masks = async (device: DeviceName): Promise<Float32Array[]> => {
    rl.manualSeed(12);
    const x = rl.ones([500], { device });
    const step = rl.compile((x: Tensor) => rl.dropout(x, { p: 0.5 }));
    const found: Float32Array[] = [];
    for (let i = 0; i < 4; i++) found.push((await step(x).data()) as Float32Array);
    step.dispose();
    x.dispose();
    return found;
  };
  const found = await masks("webgpu");
  assert.equal(found, await masks("cpu"));
  assert.is(new Set(found.map(String)).size, 4);
});

/** Which elements are exactly 0: those whose whole path was dropped. */
async function zeros(device: DeviceName, make: () => Tensor): Promise<boolean[]> {
  const open = scope();
  rl.manualSeed(31);
  const values = await withDevice(device, make).data();
  open.end();
  return Array.from(values, (value) => value === 0);
}

test("attention and stacked recurrent layers drop what they drop on the CPU", async () => {
  const attend = (): Tensor => {
    const [q, k, v] = [0, 1, 2].map(() => rl.rand([2, 2, 40, 4], { low: 0.1, high: 1 }));
    return rl.scaledDotProductAttention(q, k, v, { dropout: 0.97 });
  };
  const found = await zeros("webgpu", attend);
  assert.equal(found, await zeros("cpu", attend));
  assert.ok(found.includes(true) && found.includes(false));
  const recur = async (device: DeviceName): Promise<number[]> => {
    const open = scope();
    rl.manualSeed(32);
    const y = withDevice(device, () => {
      const layer = new nn.GRU(3, 6, { numLayers: 3, dropout: 0.5 });
      return layer.forward(rl.randn([5, 2, 3])).output;
    });
    const values = Array.from(await y.data());
    open.end();
    return values;
  };
  const [gpu, cpu] = [await recur("webgpu"), await recur("cpu")];
  gpu.forEach((value, i) => assert.ok(Math.abs(value - cpu[i]) < 1e-5, `${value} ${cpu[i]}`));
});

random.before(async () => void (await startWebGpu()));
random.after(stopWebGpu);

random.run();
