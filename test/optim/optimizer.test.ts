import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as roadless from "../../src/index.ts";
import { LifetimeError, optim, ShapeError, ValueError } from "../../src/index.ts";
import { assertThrows, devices, numbers, parameter, setGrad } from "./helpers.ts";

const base = suite("optim base");

const { AdamWScheduleFree, SGDScheduleFree } = optim;

const make = (options: object, params: Tensor[] = [parameter([1, 2])]) =>
  new AdamWScheduleFree(params, options);

const wrongOptions: [options: object, message: string][] = [
  [{ lr: -1 }, "lr is -1; expected a finite number ≥ 0"],
  [{ lr: Number.NaN }, "lr is NaN; expected a finite number ≥ 0"],
  [{ lr: Infinity }, "lr is Infinity; expected a finite number ≥ 0"],
  [{ lr: "0.1" }, 'lr is "0.1"; expected a finite number ≥ 0'],
  [{ eps: -1e-8 }, "eps is -1e-8; expected a finite number ≥ 0"],
  [{ weightDecay: -0.1 }, "weightDecay is -0.1; expected a finite number ≥ 0"],
  [{ warmupSteps: -1 }, "warmupSteps is -1; expected a finite number ≥ 0"],
  [{ r: -1 }, "r is -1; expected a finite number ≥ 0"],
  [{ weightLrPower: Number.NaN }, "weightLrPower is NaN; expected a finite number ≥ 0"],
  [{ betas: [0.9, 1] }, "betas is [0.9, 1]; expected [β₁, β₂] with 0 ≤ β₁ ≤ 1 and 0 ≤ β₂ < 1"],
  [{ betas: [1.1, 0.9] }, "betas is [1.1, 0.9]; expected [β₁, β₂] with 0 ≤ β₁ ≤ 1 and 0 ≤ β₂ < 1"],
  [{ betas: 0.9 }, "betas is 0.9; expected [β₁, β₂] with 0 ≤ β₁ ≤ 1 and 0 ≤ β₂ < 1"],
  [{ innerMomentum: 1 }, "innerMomentum is 1; expected a number ≥ 0 and below 1"],
  [{ foreach: 1 }, "foreach is 1; expected true or false"],
  [
    { weight_decay: 0.1 },
    'unknown option "weight_decay"; expected lr, betas, eps, weightDecay, warmupSteps, r, ' +
      "weightLrPower, foreach, innerMomentum",
  ],
];

for (const [options, message] of wrongOptions) {
  base(`options that make no sense are refused: ${message}`, () => {
    roadless.scope(() => {
      assertThrows(() => make(options), ValueError, `AdamWScheduleFree: ${message}`);
      const groups = [{ params: [parameter([1])], ...options }];
      assertThrows(
        () => new AdamWScheduleFree(groups),
        ValueError,
        `AdamWScheduleFree: ${message}`,
      );
    });
  });
}

base("momentum is a number from 0 to 1", () => {
  roadless.scope(() => {
    const params = [parameter([1])];
    assertThrows(
      () => new SGDScheduleFree(params, { momentum: 1.5 }),
      ValueError,
      "SGDScheduleFree: momentum is 1.5; expected a number from 0 to 1",
    );
  });
});

base("options that are undefined take their defaults", () => {
  roadless.scope(() => {
    const optimizer = make({ lr: undefined, weightDecay: 0.1 });
    const [{ lr, betas, eps, weightDecay, foreach, k, weightSum, lrMax, trainMode }] =
      optimizer.paramGroups;
    assert.equal(
      { lr, betas, eps, weightDecay, foreach, k, weightSum, lrMax, trainMode },
      {
        lr: 0.0025,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weightDecay: 0.1,
        foreach: true,
        k: 0,
        weightSum: 0,
        lrMax: -1,
        trainMode: false,
      },
    );
    optimizer.dispose();
  });
});

base("parameters that cannot be trained are refused", () => {
  roadless.scope(() => {
    const p = parameter([1, 2]);
    const where = "AdamWScheduleFree: ";
    const refused = (params: unknown, message: string | RegExp) =>
      assertThrows(() => new AdamWScheduleFree(params as Tensor[]), ValueError, message);
    refused([], `${where}the list of parameters is empty; expected tensors or groups`);
    refused([{ params: [] }], `${where}a group has no parameters; expected at least one`);
    refused([{ params: p }], `${where}params of a group is not a list; expected a list of tensors`);
    refused(
      [p, { params: [p] }],
      `${where}tensors and groups are mixed; put the tensors into a group`,
    );
    refused(
      [p, p],
      /parameter 1 \(tensor float64 \[2\]\) is given twice; expected each parameter once$/,
    );
    refused([{ params: [p] }, { params: [p] }], /parameter 0 .* is given twice/);
    refused([roadless.mul(p, 2)], /is the result of an operation; expected a leaf/);
    const frozen = roadless.tensor([1], { device: "reference" });
    refused([frozen], /has requiresGrad false; expected requiresGrad = true$/);
    const single = parameter([1]);
    const other = roadless.tensor([1], { device: "reference", dtype: "float32" });
    other.requiresGrad = true;
    refused([single, other], /parameter 1 .* differs in dtype from parameter 0; expected float64/);
    const disposed = parameter([1]);
    disposed.dispose();
    assertThrows(() => new AdamWScheduleFree([disposed]), LifetimeError, /was released/);
  });
});

base("parameters on different devices are refused", () => {
  roadless.scope(() => {
    const here = roadless.tensor([1], { device: "reference", dtype: "float32" });
    const there = roadless.tensor([1], { device: "cpu" });
    here.requiresGrad = there.requiresGrad = true;
    assertThrows(
      () => new AdamWScheduleFree([here, there]),
      ValueError,
      /parameter 1 .* is on "cpu"; expected "reference", as parameter 0 is$/,
    );
  });
});

base("a refused constructor leaves parameters where they were", () => {
  roadless.scope(() => {
    const a = parameter([1, 2]);
    const b = parameter([3]);
    const storage = a.storage;
    assert.throws(() => new AdamWScheduleFree([{ params: [a] }, { params: [b], lr: -1 }]));
    assert.is(a.storage, storage);
  });
});

base("options changed later are checked before a step changes anything", () => {
  roadless.scope(() => {
    const [a, b] = [parameter([1]), parameter([2])];
    const optimizer = new SGDScheduleFree([{ params: [a] }, { params: [b] }]);
    optimizer.train();
    setGrad(a, [1]);
    setGrad(b, [1]);
    optimizer.paramGroups[1].lr = -0.5;
    let called = false;
    assertThrows(
      () => optimizer.step(() => (called = true)),
      ValueError,
      "SGDScheduleFree.step: lr is -0.5; expected a finite number ≥ 0",
    );
    assert.not(called);
    assert.equal([numbers(a), numbers(b)], [[1], [2]]);
    assert.is(optimizer.paramGroups[0].k, 0);
    optimizer.dispose();
  });
});

base("options that a step has taken are checked again when they change, inside lists too", () => {
  roadless.scope(() => {
    const a = parameter([1]);
    const optimizer = make({}, [a]);
    const [group] = optimizer.paramGroups;
    optimizer.train();
    setGrad(a, [1]);
    const refused = (change: () => void, message: string): void => {
      optimizer.step();
      change();
      assertThrows(() => optimizer.step(), ValueError, `AdamWScheduleFree.step: ${message}`);
      assertThrows(() => optimizer.step(), ValueError, `AdamWScheduleFree.step: ${message}`);
    };
    const betas = group.betas as [number, number];
    const expected = "expected [β₁, β₂] with 0 ≤ β₁ ≤ 1 and 0 ≤ β₂ < 1";
    refused(() => (betas[1] = 2), `betas is [0.9, 2]; ${expected}`);
    betas[1] = 0.99;
    refused(() => Object.assign(group, { betas: undefined }), `betas is undefined; ${expected}`);
    group.betas = betas;
    refused(() => (group.eps = -1), "eps is -1; expected a finite number ≥ 0");
    group.eps = 1e-8;
    const missing = (): void => void Object.assign(group, { lr: undefined });
    refused(missing, "lr is undefined; expected a finite number ≥ 0");
    optimizer.dispose();
  });
});

base("a gradient of another shape is an error before anything changes", () => {
  roadless.scope(() => {
    const [a, b] = [parameter([1]), parameter([2, 3])];
    const optimizer = new SGDScheduleFree([a, b]);
    optimizer.train();
    setGrad(a, [1]);
    b.grad = roadless.tensor([1], { device: "reference" });
    assertThrows(
      () => optimizer.step(),
      ShapeError,
      "SGDScheduleFree.step: the gradient is float64 [1]; expected float64 [2], as its parameter has",
    );
    assert.equal(numbers(a), [1]);
    optimizer.dispose();
  });
});

for (const device of devices) {
  base(`gradients live in one block, and zeroGrad sets them to null (${device})`, () => {
    roadless.scope(() => {
      const [a, b] = [parameter([1, 2], device), parameter([3], device)];
      const optimizer = new SGDScheduleFree([a, b]);
      optimizer.train();
      const loss = roadless.add(roadless.sum(roadless.mul(a, a)), roadless.sum(b));
      loss.backward();
      assert.equal([numbers(a.grad!), numbers(b.grad!)], [[2, 4], [1]]);
      assert.is(a.grad!.buffer, b.grad!.buffer);
      assert.is(a.buffer, b.buffer);
      assert.is(b.offset, a.offset + 2);
      optimizer.zeroGrad();
      assert.equal([a.grad, b.grad], [null, null]);
      optimizer.dispose();
    });
  });

  base(`step returns what the closure returns, alive in the surrounding scope (${device})`, () => {
    roadless.scope(() => {
      const a = parameter([1, 2], device);
      const optimizer = new SGDScheduleFree([a], { lr: 0.5 });
      optimizer.train();
      let inner: Tensor | undefined;
      const loss = roadless.noGrad(() =>
        optimizer.step(() => {
          optimizer.zeroGrad();
          inner = roadless.mul(a, a);
          const sum = roadless.sum(inner);
          sum.backward();
          return sum;
        }),
      );
      assert.is(loss.itemSync(), 5);
      assert.ok(inner!.disposed);
      assert.equal(numbers(a), [0, 0]);
      optimizer.dispose();
    });
  });

  base(`memory is as before when optimizer and parameters are gone (${device})`, () => {
    const before = roadless.memory();
    roadless.scope(() => {
      const [a, b] = [parameter([1, 2], device), parameter([3], device)];
      const optimizer = make({ betas: [0, 0.9], innerMomentum: 0.5 }, [a, b]);
      optimizer.train();
      for (let i = 0; i < 3; i++) {
        setGrad(a, [1, 2]);
        setGrad(b, i === 1 ? null : [1]);
        optimizer.step();
        optimizer.eval();
        roadless.scope(() => void optimizer.stateDict());
        if (i !== 1) optimizer.train();
        else optimizer.withEval(() => optimizer.train());
      }
      optimizer.dispose();
      assert.equal(numbers(b).length, 1); // parameters stay usable
      assertThrows(() => optimizer.step(), LifetimeError, /the optimizer was disposed/);
      a.dispose(); // parameters belong to no scope
      b.dispose();
    });
    const after = roadless.memory();
    assert.equal(
      [after.bytes, after.tensors, after.storages],
      [before.bytes, before.tensors, before.storages],
    );
  });
}

base("a parameter taken by a later optimizer is an error, not a silent no-op", () => {
  roadless.scope(() => {
    const a = parameter([1, 2]);
    const first = new SGDScheduleFree([a]);
    first.train();
    const second = new SGDScheduleFree([a]);
    second.train();
    setGrad(a, [1, 1]);
    assertThrows(
      () => first.step(),
      LifetimeError,
      /^SGDScheduleFree\.step: parameter 0 \(.*\) was moved into the block of an optimizer made later/,
    );
    second.step();
    assert.equal(numbers(a), [0, 1]);
    first.dispose();
    second.dispose();
  });
});

base("moving parameters keeps values and refuses a graph from before", () => {
  roadless.scope(() => {
    const a = parameter([1, 2, 3, 4, 5, 6], "reference", [2, 3]);
    const loss = roadless.sum(roadless.mul(a, a));
    const optimizer = new SGDScheduleFree([a]);
    assert.equal(numbers(a), [1, 2, 3, 4, 5, 6]);
    assertThrows(() => loss.backward(), LifetimeError, /moved into an optimizer's block/);
    optimizer.dispose();
  });
});

base.run();
