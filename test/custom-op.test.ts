/** Custom operations: their gradients, lifetimes, versions, and every misuse with its message. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import { customOp, memory, noGrad, scope, tensor, withDevice } from "../src/index.ts";

const custom = suite("custom operations");

const leaf = (values: number[]): Tensor => tensor(values, { requiresGrad: true });
const numbers = (x: Tensor | null): number[] => [...x!.dataSync()];

function clear(x: Tensor): void {
  x.grad?.dispose();
  x.grad = null;
}

function scoped(name: string, body: () => void): void {
  custom(name, () => {
    const before = memory();
    scope(body);
    assert.equal({ ...memory(), peakBytes: 0 }, { ...before, peakBytes: 0 }, "all is released");
  });
}

/** The gradient passes a rounding as if it were not there. */
const roundThrough = customOp({
  name: "roundThrough",
  forward: (_context, x: Tensor) => rl.round(x),
  backward: (_context, dy) => [dy],
});

const clipGradient = customOp({
  name: "clipGradient",
  forward: (_context, x: Tensor, _limit: number) => x,
  backward: ({ args: [, limit] }, dy) => [dy.clamp({ min: -limit, max: limit }), null],
});

/** x·exp(y): saves an argument, its result and a value in between. */
const scaledExp = customOp({
  name: "scaledExp",
  forward(context, x: Tensor, y: Tensor) {
    const power = y.exp();
    const result = x.mul(power);
    context.save(power, result);
    return result;
  },
  backward({ saved: [power, result], needs }, dy) {
    return [needs(0) ? dy.mul(power) : null, needs(1) ? dy.mul(result) : null];
  },
});

const sumAndProduct = customOp({
  name: "sumAndProduct",
  forward(context, a: Tensor, b: Tensor) {
    context.save(a, b);
    return [a.add(b), a.mul(b)];
  },
  backward: ({ saved: [a, b] }, dSum, dProduct) => [
    dSum.add(dProduct.mul(b)),
    dSum.add(dProduct.mul(a)),
  ],
});

for (const device of ["cpu", "reference"] as const) {
  scoped(`the gradient is backward's, not that of the operations inside, on ${device}`, () => {
    withDevice(device, () => {
      const x = leaf([-1.4, 0.6, 2.5]);
      const y = roundThrough(x.mul(2));
      assert.equal(numbers(y), [-3, 1, 5]);
      y.mul(tensor([1, 10, 100]))
        .sum()
        .backward();
      assert.equal(numbers(x.grad), [2, 20, 200]);
    });
  });
}

scoped("arguments that are no tensors come back in args; a result may be an argument", () => {
  const x = leaf([1, 2, 3]);
  const y = clipGradient(x, 0.5);
  assert.is.not(y, x);
  assert.is(y.label, "clipGradient");
  y.mul(tensor([0.25, -8, 8]))
    .sum()
    .backward();
  assert.equal(numbers(x.grad), [0.25, -0.5, 0.5]);
});

scoped("several arguments, saved values, and only the gradients that are needed", () => {
  const x = leaf([1, 2]);
  const y = leaf([0, 1]);
  const before = numbers(x.mul(y.exp()));
  assert.equal(numbers(scaledExp(x, y)), before);
  scaledExp(x, y).sum().backward();
  assert.equal(numbers(x.grad), numbers(y.exp()));
  assert.equal(numbers(y.grad), before);
  const seen: boolean[] = [];
  const watch = customOp({
    name: "watch",
    forward(context, a: Tensor, _factor: number, b: Tensor) {
      seen.push(context.needs(0), context.needs(1), context.needs(2));
      return a.add(b);
    },
    backward(context, dy) {
      seen.push(context.needs(0), context.needs(1), context.needs(2));
      return [dy, null, dy];
    },
  });
  watch(x.detach(), 3, y).sum().backward();
  assert.equal(seen, [false, false, true, false, false, true]);
});

scoped("several results; one that is not used counts as zeros", () => {
  const a = leaf([2, 3]);
  const b = leaf([5, 7]);
  const [total, product] = sumAndProduct(a, b);
  total.add(product.mul(10)).sum().backward();
  assert.equal(numbers(a.grad), [51, 71]);
  assert.equal(numbers(b.grad), [21, 31]);
  for (const x of [a, b]) clear(x);
  sumAndProduct(a, b)[1].sum().backward();
  assert.equal(numbers(a.grad), [5, 7]);
  for (const x of [a, b]) clear(x);
  sumAndProduct(a, b)[0].sum().backward();
  assert.equal(
    [numbers(a.grad), numbers(b.grad)],
    [
      [1, 1],
      [1, 1],
    ],
  );
});

scoped("a whole-number result has no gradient", () => {
  const withMask = customOp({
    name: "withMask",
    forward: (_context, x: Tensor) => [x.gt(0), x.mul(3)],
    backward: (_context, dMask, dy) => {
      assert.equal([dMask.dtype, numbers(dMask)], ["bool", [0, 0]]);
      return [dy.mul(3)];
    },
  });
  const x = leaf([-1, 1]);
  const [mask, y] = withMask(x);
  assert.not.ok(mask.requiresGrad);
  y.mul(mask).sum().backward();
  assert.equal(numbers(x.grad), [0, 3]);
});

scoped("central differences in float64 agree", () => {
  withDevice("reference", () => {
    const at = [0.3, -0.7, 1.1];
    const f = (x: Tensor): Tensor => {
      const [total, product] = sumAndProduct(scaledExp(x, x.mul(0.5)), x.square());
      return total.mul(product).sum();
    };
    const x = leaf(at);
    f(x).backward();
    const h = 1e-6;
    at.forEach((value, i) => {
      const f1 = f(tensor(at.with(i, value + h))).itemSync();
      const f0 = f(tensor(at.with(i, value - h))).itemSync();
      const slope = (f1 - f0) / (2 * h);
      assert.ok(Math.abs(slope - numbers(x.grad)[i]) < 1e-7, `${slope}, ${numbers(x.grad)[i]}`);
    });
  });
});

scoped("nothing is recorded in noGrad, nor without an argument that requires a gradient", () => {
  const x = leaf([1]);
  assert.not.ok(noGrad(() => scaledExp(x, x)).requiresGrad);
  assert.not.ok(scaledExp(tensor([1]), tensor([2])).requiresGrad);
});

scoped("retainGraph walks twice; without it the saved values are freed", () => {
  for (const f of [scaledExp, (a: Tensor, b: Tensor) => sumAndProduct(a, b)[1]]) {
    const x = leaf([1]);
    const y = f(x, leaf([2])).sum();
    y.backward(null, { retainGraph: true });
    const [once] = numbers(x.grad);
    y.backward();
    assert.equal(numbers(x.grad), [2 * once]);
    assert.throws(() => y.backward(), /was freed by an earlier backward/);
  }
});

scoped("saved values outlive the scope they were made in, until backward", () => {
  const x = leaf([1, 2]);
  const before = memory().bytes;
  const y = scope(() => scaledExp(x, x.mul(1)).sum());
  assert.is(memory().bytes - before, 4 + 2 * 8, "the sum, power and result");
  y.backward();
  assert.is(memory().bytes - before, 4 + 8, "the sum and the gradient");
});

scoped("a saved value that was overwritten is refused", () => {
  const x = leaf([1]);
  const y = leaf([2]);
  const [, product] = sumAndProduct(x, y);
  y.copyFrom([3]);
  assert.throws(
    () => product.backward(),
    (error: Error) =>
      error instanceof rl.LifetimeError &&
      /float32 \[1\], which sumAndProduct saved for its gradient, was changed in place/.test(
        error.message,
      ),
  );
  assert.is(x.grad, null);
});

custom.run();
