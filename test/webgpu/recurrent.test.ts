/** Recurrent layers train on device "webgpu" as on the CPU: forecasts of a wave, as examples/timeseries.ts makes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import { manualSeed, mseLoss, nn, optim, scope, tensor, withDevice } from "../../src/index.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const recurrent = suite("webgpu recurrent");
if (unavailable !== null) recurrent.skip("every test", unavailable);

const [batch, time, hidden, steps] = [4, 8, 8, 15];

interface Recurrent extends nn.Module {
  forward(x: Tensor): { output: Tensor };
}

/** Layers, and how wide their outputs are. */
const layers: Readonly<Record<string, { make: () => Recurrent; size: number }>> = {
  RNN: { make: () => new nn.RNN(1, hidden), size: hidden },
  GRU: { make: () => new nn.GRU(1, hidden), size: hidden },
  LSTM: { make: () => new nn.LSTM(1, hidden), size: hidden },
  "LSTM with a projection, both ways": {
    make: () => new nn.LSTM(1, hidden, { projSize: 3, bidirectional: true }),
    size: 6,
  },
};

/** Inputs [time, batch, 1] → the next value of each step. */
class Forecaster extends nn.Module {
  layer: Recurrent;
  head: nn.Linear;

  constructor({ make, size }: (typeof layers)[string]) {
    super();
    this.layer = make();
    this.head = new nn.Linear(size, 1);
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(this.layer.forward(x).output);
  }
}

/** The loss of every step. */
async function train(device: "cpu" | "webgpu", layer: (typeof layers)[string]) {
  manualSeed(5);
  const wave = (shift: number): Float32Array =>
    Float32Array.from({ length: time * batch }, (_, i) =>
      Math.fround(((Math.floor(i / batch) + shift) * 3 + (i % batch)) % 8 < 4 ? 1 : -1),
    );
  const open = scope();
  try {
    const [x, next, model] = withDevice(device, () => [
      tensor(wave(0), { shape: [time, batch, 1] }),
      tensor(wave(1), { shape: [time, batch, 1] }),
      new Forecaster(layer),
    ]);
    const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.05 });
    optimizer.train();
    const losses: Tensor[] = [];
    for (let step = 0; step < steps; step++) {
      scope(() => {
        optimizer.zeroGrad();
        const loss = mseLoss(model.forward(x), next);
        loss.backward();
        optimizer.step();
        losses.push(loss.detach());
        return losses;
      });
    }
    const read: number[] = [];
    for (const loss of losses) read.push(await loss.item());
    return read;
  } finally {
    open.unwind();
  }
}

for (const [name, layer] of unavailable === null ? Object.entries(layers) : []) {
  recurrent(`${name} learns as on the CPU`, async () => {
    const found = await train("webgpu", layer);
    const expected = await train("cpu", layer);
    found.forEach((loss, step) => {
      const difference = Math.abs(loss - expected[step]);
      assert.ok(difference < 1e-4, `step ${step}: loss ${loss}, on the CPU ${expected[step]}`);
    });
    assert.ok(found[steps - 1] < 0.7 * found[0], `${found[0]} → ${found[steps - 1]}`);
  });
}

recurrent.before(async () => void (await startWebGpu()));
recurrent.after(stopWebGpu);

recurrent.run();
