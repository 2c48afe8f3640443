/** compare: the first operation that differs between devices, wherever it is. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Kernel } from "../src/backend/backend.ts";
import type { CompareOptions, Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import { compare, nn, optim } from "../src/index.ts";
import { operations } from "../src/op.ts";

const comparing = suite("compare");

/** Two steps of a small convolutional network with random data and dropout. */
function training(): void {
  const model = new nn.Sequential(
    new nn.Conv2d(1, 3, 3),
    new nn.MaxPool2d(2),
    new nn.Tanh(),
    new nn.Flatten(),
    new nn.Dropout(0.25),
    new nn.Linear(27, 4),
  );
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr: 0.01 });
  optimizer.train();
  for (let step = 0; step < 2; step++) {
    rl.scope(() => {
      optimizer.zeroGrad();
      rl.crossEntropy(model.forward(rl.randn([5, 1, 8, 8])), rl.randint(0, 4, [5])).backward();
      optimizer.step();
    });
  }
  optimizer.eval();
  optimizer.dispose();
  model.dispose();
}

/** The names of the kernels that `fn` runs, and one of them by name. */
function kernelsOf(fn: () => unknown): Map<string, Kernel> {
  const kernels = new Map<string, Kernel>();
  const before = rl.setTracer(({ kernel }) => kernels.set(kernel.name, kernel));
  rl.withDevice("reference", fn);
  rl.setTracer(before);
  return kernels;
}

/** Runs `fn` while the reference computes one thing wrongly: the first output, `change` of it. */
async function broken<T>(
  kernel: Kernel,
  change: (value: number) => number,
  fn: () => Promise<T>,
): Promise<T> {
  const right = kernel.reference as (...args: unknown[]) => unknown;
  const writable = kernel as { reference: unknown };
  writable.reference = (...args: unknown[]) => {
    const result = right(...args);
    if (typeof result === "number") return change(result);
    const { data } = (args[1] as { data: Float64Array }[])[0];
    data[0] = change(data[0]);
    return result;
  };
  try {
    return await fn();
  } finally {
    writable.reference = right;
  }
}

for (const mode of ["sequence", "isolated"] as const) {
  comparing(`a device agrees with itself to the bit, ${mode}`, async () => {
    const report = await compare("cpu", "cpu", training, { mode, rtol: 0, atol: 0 });
    assert.is(
      String(report),
      `compare: "cpu" and "cpu": ${report.operations} operations agree, largest error 0`,
    );
    assert.ok(report.agrees);
    assert.ok(report.operations > 40);
  });

  comparing(`cpu and reference agree on a training run, ${mode}`, async () => {
    const report = await compare("reference", "cpu", training, { mode });
    assert.is(report.difference, null);
    assert.ok(report.error > 0 && report.error < 1e-5, String(report.error));
  });

  comparing(`finds a wrong operation in the middle of a model, ${mode}`, async () => {
    const tanh = operations.get("tanh") as unknown as Kernel;
    const report = await broken(
      tanh,
      (y) => y + 0.01,
      () => compare("cpu", "reference", training, { mode }),
    );
    const { op, kind, madeHere, outputs, inputs, before, index } = report.difference!;
    assert.is(op, "tanh");
    assert.is(kind, "values");
    assert.ok(madeHere);
    assert.is(before.at(-1), "maxPool2d");
    assert.is(report.operations, index);
    assert.equal(outputs[0].shape, [5, 3, 3, 3]);
    const { a, b } = outputs[0].worst!;
    assert.ok(Math.abs(b - a - 0.01) < 1e-5);
    assert.ok(inputs[0].error < 1e-6);
    assert.match(String(report), `operation ${index}, tanh, differs between "cpu" and "reference"`);
    assert.match(String(report), "made here");
  });

  for (const name of [
    "linear",
    "linearGrad",
    "conv2dGradWeight",
    "tanhGrad",
    "adamwScheduleFreeStep",
  ]) {
    comparing(`finds a wrong ${name}, ${mode}`, async () => {
      const kernel = kernelsOf(training).get(name)!;
      assert.ok(kernel);
      const report = await broken(
        kernel,
        (y) => y * 1.5 + 0.1,
        () => compare("reference", "cpu", training, { mode }),
      );
      assert.is(report.difference?.op, name);
      assert.ok(report.difference?.madeHere);
    });
  }
}

comparing("an error that was made before is told from one that is made", async () => {
  const sin = operations.get("sin") as unknown as Kernel;
  const fn = (): Tensor => rl.exp(rl.mul(rl.sin(rl.full([3], 1.5)), 30));
  const report = await broken(
    sin,
    (y) => y + 2e-5,
    () => compare("cpu", "reference", fn),
  );
  assert.is(report.difference!.op, "exp");
  assert.not(report.difference!.madeHere);
  assert.ok(report.difference!.alone[0].error < 1e-5);
  assert.match(String(report), "inherited from the inputs");
  const tight: CompareOptions = { mode: "isolated", rtol: 1e-5 };
  const isolated = await broken(
    sin,
    (y) => y + 2e-5,
    () => compare("cpu", "reference", fn, tight),
  );
  assert.is(isolated.difference!.op, "sin");
});

comparing("strided inputs are handed over as they lie", async () => {
  const fn = (): void => {
    const x = rl.randn([4, 6]);
    rl.add(x.transpose(0, 1).slice([[null, null, 2]]), rl.randn([1]).expand([3, 4]));
    rl.flip(rl.randn([5, 2]), [0]).sum(1);
  };
  const report = await compare("cpu", "reference", fn, { mode: "isolated", rtol: 1e-6 });
  assert.is(report.difference, null);
});

comparing("says where sequences part", async () => {
  const fn = (): void => {
    const x = rl.ones([2]);
    if (rl.currentDevice() === "cpu") x.relu();
    else x.exp();
  };
  const report = await compare("cpu", "reference", fn);
  const { kind, index, op, opB } = report.difference!;
  assert.equal([kind, index, op, opB], ["structure", 1, "relu", "exp"]);
  assert.match(String(report), 'operation 1 is relu on "cpu" and exp on "reference"');
  const shorter = await compare("cpu", "reference", () => {
    if (rl.currentDevice() === "cpu") rl.ones([2]);
  });
  assert.equal([shorter.difference!.op, shorter.difference!.opB], ["fill", null]);
  const shapes = await compare("cpu", "reference", () => {
    rl.zeros([rl.currentDevice() === "cpu" ? 2 : 3]).neg();
  });
  assert.is(shapes.difference!.kind, "structure");
});

comparing("NaN agrees with NaN, an infinity with itself, integers exactly", async () => {
  const special = (values: number[]) => (): void => {
    const other = rl.currentDevice() === "cpu" ? values : [NaN, Infinity, -Infinity, 0];
    rl.neg(rl.tensor(other));
  };
  assert.ok((await compare("cpu", "reference", special([NaN, Infinity, -Infinity, 0]))).agrees);
  for (const [i, values] of [
    [0, Infinity, -Infinity, 0],
    [NaN, -Infinity, -Infinity, 0],
    [NaN, Infinity, -Infinity, NaN],
  ].entries()) {
    const { difference } = await compare("cpu", "reference", special(values));
    assert.equal(difference!.outputs[0].worst!.index, [[0], [1], [3]][i]);
    assert.is(difference!.outputs[0].error, Infinity);
  }
  const counts = (): void => {
    const shift = rl.currentDevice() === "cpu" ? 0 : 1;
    rl.tensor([1000000, shift], { dtype: "int32" }).add(rl.tensor([0, 0], { dtype: "int32" }));
  };
  assert.is((await compare("cpu", "reference", counts, { rtol: 1 })).difference!.op, "add");
});

comparing("leaves generator, observer, device and memory as they were", async () => {
  rl.manualSeed(7);
  rl.rand([1]).dispose();
  const state = rl.defaultGenerator().getState();
  const observer = (): void => {};
  rl.setTracer(observer);
  const { tensors, storages } = rl.memory();
  const draws: number[] = [];
  const draw = (): void => {
    draws.push(rl.rand([1]).itemSync());
  };
  await compare("reference", "cpu", draw, { seed: 3 });
  assert.is(draws[0], draws[1]);
  const failing = (): void => {
    training();
    rl.ones([2]).add(rl.ones([3]));
  };
  await rejects(() => compare("cpu", "reference", failing), "add: shapes do not broadcast");
  await compare("cpu", "reference", training, { mode: "isolated" });
  assert.is(rl.setTracer(null), observer);
  assert.equal(rl.defaultGenerator().getState(), state);
  assert.is(rl.currentDevice(), "cpu");
  assert.equal([rl.memory().tensors, rl.memory().storages], [tensors, storages]);
});

comparing("refuses options and functions that it cannot use", async () => {
  const fn = (): void => {};
  await rejects(
    () => compare("cpu", "reference", fn, { mode: "both" as "isolated" }),
    'compare: mode is "both"; expected "sequence" or "isolated"',
  );
  await rejects(
    () => compare("cpu", "reference", fn, { rtol: -1 }),
    "compare: rtol is -1; expected a number ≥ 0",
  );
  await rejects(
    () => compare("cpu", "tpu" as "cpu", fn),
    'device: device is "tpu"; expected one of "cpu", "reference", "webgpu"',
  );
  await rejects(
    () => compare("cpu", "reference", async () => {}),
    "compare: the function returned a promise; scopes are synchronous",
  );
});

async function rejects(f: () => Promise<unknown>, message: string): Promise<void> {
  const error = await f().then(
    () => new Error("nothing was thrown"),
    (thrown: Error) => thrown,
  );
  assert.match(error.message, message);
}

comparing.run();
