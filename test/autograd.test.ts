/** The tape: accumulation, freeing, versions, noGrad, and every misuse with its message. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../src/index.ts";
import { LifetimeError, noGrad, ones, scope, ShapeError, tensor } from "../src/index.ts";

const autograd = suite("autograd");

const leaf = (values: number[]): rl.Tensor => tensor(values, { requiresGrad: true });
const numbers = (x: rl.Tensor | null): number[] => [...x!.dataSync()];

function scoped(name: string, body: () => void): void {
  autograd(name, () => scope(body));
}

scoped("gradients accumulate until zeroed", () => {
  const x = leaf([1, 2]);
  x.square().sum().backward();
  assert.equal(numbers(x.grad), [2, 4]);
  x.square().sum().backward();
  assert.equal(numbers(x.grad), [4, 8]);
});

scoped("a tensor used twice gets the sum of both gradients", () => {
  const x = leaf([3]);
  const y = x.mul(2);
  y.mul(y).add(y).sum().backward();
  assert.equal(numbers(x.grad), [2 * 2 * 6 + 2]);
  x.grad = null;
  x.add(x)
    .sub(x.mul(x))
    .backward(tensor([10]));
  assert.equal(numbers(x.grad), [10 * (2 - 6)]);
});

scoped("retainGrad keeps the whole gradient of an inner tensor used twice", () => {
  const x = leaf([2]);
  const y = x.mul(3).retainGrad();
  y.add(y).add(y.square()).sum().backward();
  assert.equal(numbers(y.grad), [2 + 2 * 6]);
  assert.equal(numbers(x.grad), [3 * 14]);
  const z = x.mul(2).retainGrad();
  z.backward(tensor([5]));
  assert.equal(numbers(z.grad), [5]);
});

scoped("detach and noGrad cut the graph", () => {
  const x = leaf([2]);
  const y = x.mul(3).detach();
  assert.not.ok(y.requiresGrad);
  y.mul(x).sum().backward();
  assert.equal(numbers(x.grad), [6]);
  assert.not.ok(noGrad(() => x.mul(2)).requiresGrad);
  assert.ok(noGrad(() => rl.enableGrad(() => x.mul(2))).requiresGrad);
});

scoped("a view's gradient reaches what it views", () => {
  const x = leaf([1, 2, 3, 4, 5, 6]);
  x.reshape([2, 3])
    .transpose(0, 1)
    .slice([[1, 3]])
    .sum()
    .backward();
  assert.equal(numbers(x.grad), [0, 1, 1, 0, 1, 1]);
});

scoped("a leaf may be the root", () => {
  const x = leaf([4]);
  x.backward();
  assert.equal(numbers(x.grad), [1]);
});

scoped("retainGraph allows a second backward; without it there is an error", () => {
  const x = leaf([2]);
  const y = x.square().sum();
  y.backward(null, { retainGraph: true });
  y.backward();
  assert.equal(numbers(x.grad), [8]);
  assert.throws(
    () => y.backward(),
    (error: Error) =>
      error instanceof LifetimeError &&
      error.message.startsWith(
        "backward: the graph behind sum [] was freed by an earlier backward(); run the forward pass again",
      ),
  );
  assert.equal(numbers(x.grad), [8]);
});

scoped("backward through a graph that shares a freed part changes nothing", () => {
  const x = leaf([2]);
  const shared = x.square();
  shared.sum().backward();
  assert.throws(() => shared.mul(x).sum().backward(), /was freed by an earlier backward/);
  assert.equal(numbers(x.grad), [4]);
});

scoped("backward of several elements needs their weights", () => {
  const x = leaf([1, 2]);
  assert.throws(
    () => x.mul(2).backward(),
    (error: Error) =>
      error instanceof ShapeError && /has 2 elements; expected a scalar/.test(error.message),
  );
  assert.throws(() => x.mul(2).backward(ones([3])), /gradient has the shape \[3\]; expected \[2\]/);
  x.mul(2).backward(tensor([1, 10]));
  assert.equal(numbers(x.grad), [2, 20]);
});

scoped("backward without a graph says why", () => {
  assert.throws(
    () => ones([1]).backward(),
    /has no graph: nothing it was computed from requires a gradient/,
  );
  assert.throws(
    () => tensor([1, 2], { dtype: "int32", requiresGrad: true }),
    /only floats have gradients/,
  );
});

scoped("a saved value that was overwritten is refused", () => {
  const x = leaf([2]);
  const w = leaf([3]);
  const y = x.mul(w).sum();
  w.copyFrom([5]);
  assert.throws(
    () => y.backward(),
    (error: Error) =>
      error instanceof LifetimeError &&
      error.message.startsWith(
        "backward: tensor float32 [1], which mul saved for its gradient, was changed in place (version 0, now 1)",
      ),
  );
  assert.is(x.grad, null);
  x.mul(w).sum().backward();
  assert.equal(numbers(x.grad), [5]);
});

scoped("what is not saved may be overwritten", () => {
  const x = leaf([2]);
  const y = x.add(1).sum();
  x.copyFrom([7]);
  y.backward();
  assert.equal(numbers(x.grad), [1]);
});

scoped("int32 and bool take no part", () => {
  const x = leaf([1, -1]);
  const mask = x.gt(0);
  assert.is(mask.dtype, "bool");
  x.mul(mask).sum().backward();
  assert.equal(numbers(x.grad), [1, 0]);
});

scoped("a long chain needs no deep stack", () => {
  const x = leaf([1]);
  let y: rl.Tensor = x;
  for (let i = 0; i < 20_000; i++) y = y.add(0);
  y.sum().backward();
  assert.equal(numbers(x.grad), [1]);
  let unused: rl.Tensor = x;
  for (let i = 0; i < 20_000; i++) unused = unused.add(0);
});

scoped("max along dimension 0 of a 0-dimensional tensor passes its gradient on", () => {
  for (const { pick } of [{ pick: rl.max }, { pick: rl.min }]) {
    rl.full([1], 7, { dtype: "int32" }).dispose(); // what fresh memory may hold
    const x = tensor(3, { requiresGrad: true });
    pick(x, 0).values.backward();
    assert.equal(numbers(x.grad), [1]);
  }
});

scoped("the power one half is the square root on every device, of special values too", () => {
  for (const device of ["cpu", "reference"] as const) {
    const x = tensor([-Infinity, -0, 4], { device });
    assert.equal(numbers(rl.pow(x, 0.5)), [NaN, -0, 2]);
    assert.equal(numbers(rl.pow(x, -0.5)), [NaN, -Infinity, 0.5]);
  }
});

scoped(
  "the gradient of a norm takes in what the shortcut around it gave, without a pass of its own",
  () => {
    const x = leaf([3, -1, 2, 5]);
    const y = x.mul(2);
    const passes: string[] = [];
    const sum = rl.layerNorm(y, [4]).mul(y).add(y).sum();
    rl.setTracer(({ op }) => passes.push(op));
    sum.backward();
    rl.setTracer(null);
    assert.ok(passes.includes("layerNormGrad"));
    // One for the product, whose two gradients of y meet; none for the norm.
    assert.is(passes.filter((op) => op === "accumulate").length, 1);
  },
);

autograd.run();
