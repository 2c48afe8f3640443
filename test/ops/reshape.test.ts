/** Where reshape is a view. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as rl from "../../src/index.ts";
import { reshapedStrides, sizeOf, stridesOf } from "../../src/shape.ts";
import { elements } from "../kernels/cpu.ts";
import { Numbers } from "../kernels/runtime.ts";

const reshape = suite("reshape");

reshape("strides for another shape show the same elements in the same order", () => {
  const numbers = new Numbers(1);
  const data = Float32Array.from({ length: 4096 }, (_, i) => i);
  let views = 0;
  for (let round = 0; round < 3000; round++) {
    // A permuted, stepped, repeated window.
    const extents = Array.from({ length: numbers.between(0, 4) }, () => numbers.between(1, 3));
    const order = extents.map((_, i) => i).sort(() => numbers.next() - 0.5);
    const dense = stridesOf(extents);
    const step = numbers.between(1, 2);
    const shape = order.map((i) => extents[i]);
    const strides = order.map((i) => (numbers.next() < 0.1 ? 0 : dense[i] * step));
    // The same number of elements, cut otherwise.
    const to: number[] = [];
    for (let left = sizeOf(shape); left > 1 || numbers.next() < 0.3;) {
      const divisors = [1, 2, 3, 4, 6, 9].filter((n) => left % n === 0);
      to.push(numbers.pick(divisors));
      left /= to[to.length - 1];
    }
    const found = reshapedStrides(shape, strides, to);
    if (found === null) continue;
    views++;
    const what = `${JSON.stringify([shape, strides, to])}: ${found.join()}`;
    const same = elements({ data, shape: to, strides: found });
    assert.equal(same, elements({ data, shape, strides }), what);
  }
  assert.ok(views > 1000, `${views} views`);
});

reshape(
  "dimensions of any view can be split and, where they are even, merged without a copy",
  () => {
    rl.scope(() => {
      const packed = rl.zeros([4, 5, 12]);
      const part = rl.narrow(packed, -1, 4, 4);
      const storages = rl.memory().storages;
      assert.equal(rl.reshape(part, [4, 5, 2, 2]).strides, [60, 12, 2, 1]);
      assert.equal(rl.reshape(part, [20, 4]).strides, [12, 1]);
      assert.equal(rl.reshape(rl.transpose(packed, 0, 1), [5, 2, 2, 12]).strides, [12, 120, 60, 1]);
      assert.is(rl.memory().storages, storages, "copied");
      rl.reshape(rl.transpose(packed, 0, 1), [20, 12]);
      assert.is(rl.memory().storages, storages + 1, "5 and 4 do not lie evenly: a copy");
    });
  },
);

reshape.run();
