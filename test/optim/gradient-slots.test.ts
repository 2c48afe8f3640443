/** Gradients that operations write where the optimizer wants them: the same as those that are copied there. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import { add, Generator, linear, nn, optim, randn, scope, sum } from "../../src/index.ts";

const slots = suite("gradient slots");

/** Gradients of two backward passes of `loss`, with and without room in an optimizer's block. */
function compare(loss: (w: Tensor, b: Tensor, x: Tensor) => Tensor): void {
  const [apart, inBlock] = [false, true].map((flat) =>
    scope(() => {
      const generator = new Generator(1);
      const w = nn.parameter(randn([3, 3], { generator }));
      const b = nn.parameter(randn([3], { generator }));
      const x = randn([5, 3], { generator });
      const optimizer = flat ? new optim.SGD([w, b], { lr: 0.1 }) : null;
      loss(w, b, x).backward();
      const first = [w, b].map((leaf) => leaf.grad!.dataSync());
      loss(w, b, x).backward();
      const both = [w, b].map((leaf) => leaf.grad!.dataSync());
      if (flat) for (const leaf of [w, b]) assert.is(leaf.grad!.storage, leaf.gradSlot);
      optimizer?.dispose();
      for (const leaf of [w, b]) leaf.dispose();
      return [...first, ...both];
    }),
  );
  assert.equal(inBlock, apart);
}

slots("a linear layer's, added up over two passes", () => {
  compare((w, b, x) => sum(linear(x, w, b, { activation: "tanh" })));
});

slots("those of a layer that is used twice", () => {
  compare((w, b, x) => sum(linear(linear(x, w, b), w, b)));
});

slots("those of a tensor that is two inputs of one operation", () => {
  compare((w, b) => sum(linear(w, w, b)));
  compare((w, b, x) => sum(add(linear(w, w, b), sum(linear(x, w, b)))));
});

slots("a gradient that the user holds stays readable until it is zeroed", () => {
  scope(() => {
    const w = nn.parameter(randn([2, 3]));
    const optimizer = new optim.SGD([w], { lr: 0.1 });
    const x = randn([4, 3]);
    sum(linear(x, w)).backward();
    const held = w.grad!;
    const before = held.dataSync();
    optimizer.step();
    assert.equal(held.dataSync(), before);
    optimizer.zeroGrad();
    assert.throws(() => held.dataSync(), /released/);
    optimizer.dispose();
    w.dispose();
  });
});

slots.run();
