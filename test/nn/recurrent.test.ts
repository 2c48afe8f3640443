/** The recurrent sequences against their equations, written with other operations one step at a time. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RecurrentWeights, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { memory, nn, scope } from "../../src/index.ts";

const recurrent = suite("recurrent");

interface Case {
  kind: "tanh" | "relu" | "lstm" | "gru";
  time: number;
  batch: number;
  width: number;
  hidden: number;
  projection?: number;
  reverse: boolean;
  bias: boolean;
}

const gates = { tanh: 1, relu: 1, lstm: 4, gru: 3 };

/** Shapes of x, h, c, weightIh, weightHh, biasIh, biasHh, weightHr; null where there is none. */
function shapesOf(given: Case): (number[] | null)[] {
  const { kind, time, batch, width, hidden, projection } = given;
  const rows = gates[kind] * hidden;
  const size = projection ?? hidden;
  const bias = given.bias ? [rows] : null;
  return [
    [time, batch, width],
    [batch, size],
    kind === "lstm" ? [batch, hidden] : null,
    [rows, width],
    [rows, size],
    bias,
    bias,
    projection === undefined ? null : [projection, hidden],
  ];
}

type Run = (
  given: Case,
  x: Tensor,
  weights: RecurrentWeights,
  h: Tensor,
  c: Tensor | null,
) => Tensor[];

/** Output, h and c by the operations. */
const fused: Run = ({ kind, reverse }, x, weights, h, c) => {
  if (kind === "lstm") {
    const result = rl.lstm(x, weights, { h, c, reverse });
    return [result.output, result.h, result.c];
  }
  const options = { h, reverse };
  const { output, h: last } =
    kind === "gru"
      ? rl.gru(x, weights, options)
      : rl.rnn(x, weights, { ...options, nonlinearity: kind });
  return [output, last];
};

/** The same step by step. */
const stepwise: Run = ({ kind, time, hidden, reverse }, x, weights, h, c) => {
  const { weightIh, weightHh, biasIh, biasHh, weightHr } = weights;
  const outputs: Tensor[] = [];
  for (let i = 0; i < time; i++) {
    const at = reverse ? time - 1 - i : i;
    const own = rl.linear(rl.squeeze(rl.narrow(x, 0, at, 1), 0), weightIh, biasIh);
    const past = rl.linear(h, weightHh, biasHh);
    if (kind === "lstm") {
      const [a, f, g, o] = rl.split(rl.add(own, past), hidden, 1);
      c = rl.add(rl.mul(rl.sigmoid(f), c!), rl.mul(rl.sigmoid(a), rl.tanh(g)));
      h = rl.mul(rl.sigmoid(o), rl.tanh(c));
      if (weightHr) h = rl.linear(h, weightHr);
    } else if (kind === "gru") {
      const [xr, xz, xn] = rl.split(own, hidden, 1);
      const [hr, hz, hn] = rl.split(past, hidden, 1);
      const n = rl.tanh(rl.add(xn, rl.mul(rl.sigmoid(rl.add(xr, hr)), hn)));
      h = rl.add(n, rl.mul(rl.sigmoid(rl.add(xz, hz)), rl.sub(h, n)));
    } else {
      h = (kind === "relu" ? rl.relu : rl.tanh)(rl.add(own, past));
    }
    outputs[at] = h;
  }
  return c === null ? [rl.stack(outputs), h] : [rl.stack(outputs), h, c];
};

/** Outputs, and the gradients of everything given, as numbers. */
function evaluate(run: Run, given: Case, device: rl.DeviceName): Float64Array[] {
  return scope(() => {
    const draws = new rl.Generator(7);
    const inputs = shapesOf(given).map((shape) => {
      if (shape === null) return null;
      const values = rl.randn(shape, { generator: draws, device: "cpu" }).mul(0.4).dataSync();
      return rl.tensor(values, { shape, device, requiresGrad: true, dtype: dtypes[device] });
    });
    const [x, h, c, weightIh, weightHh, biasIh, biasHh, weightHr] = inputs;
    const weights = { weightIh: weightIh!, weightHh: weightHh!, biasIh, biasHh, weightHr };
    const results = run(given, x!, weights, h!, c);
    let loss: Tensor | null = null;
    for (const result of results) {
      const slope = rl.cos(
        rl.reshape(rl.arange(result.size, undefined, 1, { device }), result.shape),
      );
      const part = rl.sum(rl.mul(result, slope));
      loss = loss === null ? part : rl.add(loss, part);
    }
    loss!.backward();
    const tensors = [
      ...results,
      ...inputs.flatMap((input) => (input === null ? [] : [input.grad!])),
    ];
    return tensors.map((tensor) => Float64Array.from(tensor.dataSync()));
  });
}

const dtypes: Record<string, rl.DType> = { cpu: "float32", reference: "float64" };

function compare(
  found: Float64Array[],
  expected: Float64Array[],
  tolerance: number,
  what: string,
): void {
  assert.is(found.length, expected.length, what);
  found.forEach((values, i) => {
    const scale = expected[i].reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    values.forEach((value, k) => {
      const error = Math.abs(value - expected[i][k]) / scale;
      if (!(error <= tolerance)) {
        assert.unreachable(`${what}, result ${i}[${k}]: ${value}, expected ${expected[i][k]}`);
      }
    });
  });
}

const cases: Case[] = (["tanh", "relu", "lstm", "gru"] as const).flatMap((kind) => [
  { kind, time: 5, batch: 3, width: 4, hidden: 6, reverse: false, bias: true },
  { kind, time: 4, batch: 1, width: 2, hidden: 3, reverse: true, bias: false },
  { kind, time: 7, batch: 23, width: 5, hidden: 33, reverse: true, bias: true },
]);
cases.push(
  {
    kind: "lstm",
    time: 5,
    batch: 3,
    width: 4,
    hidden: 6,
    projection: 2,
    reverse: false,
    bias: true,
  },
  {
    kind: "lstm",
    time: 4,
    batch: 14,
    width: 3,
    hidden: 9,
    projection: 5,
    reverse: true,
    bias: false,
  },
);

for (const given of cases) {
  recurrent(`${JSON.stringify(given)} is its equations`, () => {
    const what = JSON.stringify(given);
    const expected = evaluate(stepwise, given, "reference");
    compare(evaluate(fused, given, "reference"), expected, 1e-12, `${what} on reference`);
    compare(evaluate(fused, given, "cpu"), expected, 4e-6, `${what} on cpu`);
  });
}

recurrent("the bits do not depend on the number of threads", async () => {
  const given = { time: 6, batch: 47, width: 8, hidden: 40, reverse: false, bias: true };
  for (const kind of ["tanh", "lstm", "gru"] as const) {
    const projection = kind === "lstm" ? 12 : undefined;
    const bits: Float64Array[][] = [];
    for (const threads of [1, 3]) {
      rl.backend().close();
      await rl.init({ device: "cpu", threads });
      bits.push(evaluate(fused, { ...given, kind, projection }, "cpu"));
    }
    assert.equal(bits[1], bits[0]);
  }
  rl.backend().close();
  await rl.init({ device: "cpu" });
});

recurrent("gradients that vanish over a long sequence cost no denormal numbers", () => {
  scope(() => {
    const make = (value: number, ...shape: number[]): Tensor =>
      rl.full(shape, value, { requiresGrad: true });
    const [x, h] = [make(0, 300, 1, 1), make(1, 1, 4)];
    const weights = { weightIh: make(0.1, 4, 1), weightHh: make(0.1, 4, 4) };
    const { h: last } = rl.rnn(x, weights, { h });
    last.sum().backward();
    assert.ok([...x.grad!.dataSync()].every((v) => v === 0 || Math.abs(v) > 1.2e-38));
    assert.equal([...h.grad!.dataSync()], [0, 0, 0, 0]);
    assert.ok(x.grad!.dataSync()[299] > 0.1);
  });
});

recurrent(
  "outputs and states that are not used give no gradient, and all memory comes back",
  () => {
    const before = memory();
    scope(() => {
      const x = rl.randn([4, 3, 2], { requiresGrad: true });
      const weights = { weightIh: rl.randn([20, 2]), weightHh: rl.randn([20, 5]) };
      for (const pick of ["output", "h", "c"] as const) {
        rl.lstm(x, weights)[pick].sum().backward();
        assert.ok(
          x.grad!.dataSync().some((v) => v !== 0),
          pick,
        );
      }
      rl.lstm(x, weights); // recorded, and never used
    });
    assert.is(memory().storages, before.storages);
  },
);

recurrent("nn.LSTM projects as its cells would", () => {
  const options = { projSize: 2, bidirectional: true, numLayers: 2, device: "reference" } as const;
  const lstm = new nn.LSTM(3, 4, { ...options, generator: new rl.Generator(1) });
  assert.equal(
    lstm
      .namedParameters()
      .slice(0, 5)
      .map(([name, { shape }]) => `${name} [${shape}]`),
    [
      "weight_ih_l0 [16,3]",
      "weight_hh_l0 [16,2]",
      "bias_ih_l0 [16]",
      "bias_hh_l0 [16]",
      "weight_hr_l0 [2,4]",
    ],
  );
  assert.equal(lstm.weight_ih_l1.shape, [16, 4]);
  scope(() => {
    const x = rl.randn([5, 2, 3], { device: "reference" });
    const { output, h, c } = lstm.forward(x);
    assert.equal(
      [output.shape, h.shape, c.shape],
      [
        [5, 2, 4],
        [4, 2, 2],
        [4, 2, 4],
      ],
    );
    const again = lstm.forward(x, { h, c });
    assert.equal(again.output.shape, [5, 2, 4]);
    // The last output in each direction is the last state of the top layer.
    assert.equal(
      [...rl.slice(output, [[4], [], [0, 2]]).dataSync()],
      [...rl.narrow(h, 0, 2, 1).dataSync()],
    );
    assert.equal(
      [...rl.slice(output, [[0, 1], [], [2, 4]]).dataSync()],
      [...rl.narrow(h, 0, 3, 1).dataSync()],
    );
  });
  lstm.dispose();
});

recurrent("a sequence without a batch is a batch of one without its dimension", () => {
  for (const Kind of [nn.RNN, nn.LSTM, nn.GRU]) {
    for (const batchFirst of [false, true]) {
      const module = new Kind(3, 4, { numLayers: 2, bidirectional: true, batchFirst });
      scope(() => {
        const x = rl.randn([5, 3]);
        const state = { h: rl.randn([4, 4]), c: rl.randn([4, 4]) };
        const [single, batch] = [
          module.forward(x, state),
          module.forward(rl.unsqueeze(x, batchFirst ? 0 : 1), {
            h: rl.unsqueeze(state.h, 1),
            c: rl.unsqueeze(state.c, 1),
          }),
        ];
        assert.equal(single.output.shape, [5, 8]);
        assert.equal(single.h.shape, [4, 4]);
        assert.equal([...single.output.dataSync()], [...batch.output.dataSync()]);
        assert.equal([...single.h.dataSync()], [...batch.h.dataSync()]);
      });
      module.dispose();
    }
  }
});

recurrent("cells are single steps, with PyTorch's parameter names", () => {
  for (const [Cell, Layer] of [
    [nn.RNNCell, nn.RNN],
    [nn.LSTMCell, nn.LSTM],
    [nn.GRUCell, nn.GRU],
  ] as const) {
    const cell = new Cell(3, 4, { generator: new rl.Generator(2) });
    const layer = new Layer(3, 4, { generator: new rl.Generator(2) });
    assert.equal(Object.keys(cell.stateDict()), ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]);
    scope(() => {
      const x = rl.randn([3, 2, 3]);
      const { output } = layer.forward(x);
      let state: rl.RecurrentState = {};
      for (let t = 0; t < 3; t++) {
        state = cell.forward(rl.squeeze(rl.narrow(x, 0, t, 1), 0), state);
        const expected = rl.squeeze(rl.narrow(output, 0, t, 1), 0);
        assert.ok(rl.amax(rl.abs(rl.sub(state.h!, expected))).itemSync() < 1e-6);
      }
      const alone = cell.forward(rl.reshape(rl.narrow(rl.narrow(x, 0, 0, 1), 1, 1, 1), [3]));
      const first = rl.reshape(rl.narrow(rl.narrow(output, 0, 0, 1), 1, 1, 1), [4]);
      assert.equal(alone.h.shape, [4]);
      assert.ok(rl.amax(rl.abs(rl.sub(alone.h, first))).itemSync() < 1e-6);
      alone.h.sum().backward();
      for (const [name, p] of cell.namedParameters()) assert.ok(p.grad !== null, name);
    });
    cell.dispose();
    layer.dispose();
  }
});

recurrent.run();
