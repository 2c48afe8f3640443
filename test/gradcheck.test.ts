/** The gradient checker, and the watch that leaves no operation unchecked: what they catch. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import { gradcheck, memory, scope, tensor } from "../src/index.ts";
import type { Op } from "../src/op.ts";
import { run } from "../src/op.ts";
import type { Vjp } from "../src/tape.ts";
import { GradientWatch } from "./ops/gradients.ts";

const checker = suite("gradcheck");

/** x² elementwise, with whatever gradient. Not among `operations`. */
function squareWith(vjp: Vjp<object> | undefined): Op<object> {
  return {
    name: "mySquare",
    kind: "map",
    reference: (x: number) => x * x,
    wasm: "square",
    shape: ([x]) => x.shape,
    saves: [0],
    vjp,
  };
}
const right: Vjp<object> = (dy, { saved: [x] }) => [rl.mul(dy, rl.mul(x, 2))];

const apply =
  (op: Op<object>) =>
  (x: Tensor): Tensor =>
    run(op, [x], {});

const leaf = (values: rl.NestedArray): Tensor =>
  tensor(values, { device: "reference", requiresGrad: true });

const test = (name: string, f: () => void): void => checker(name, () => scope(f));

test("a right gradient passes, and leaves no trace", () => {
  const x = leaf([
    [1, 2, 3],
    [-4, 5, -6],
  ]);
  const before = memory();
  assert.is(gradcheck(apply(squareWith(right)), [x]), true);
  assert.is(x.grad, null);
  assert.equal(Array.from(x.dataSync()), [1, 2, 3, -4, 5, -6]);
  assert.is(memory().tensors, before.tensors);
  assert.is(memory().bytes, before.bytes);
});

test("one wrong element is named, with what was found and expected", () => {
  const mask = tensor([1, 1, 1, 1, 1.01, 1], { device: "reference" });
  const wrong = squareWith((dy, context, attrs) => [
    rl.mul(right(dy, context, attrs)[0]!, rl.reshape(mask, [2, 3])),
  ]);
  const x = leaf([
    [1, 2, 3],
    [-4, 5, -6],
  ]);
  assert.throws(
    () => gradcheck(apply(wrong), [x]),
    (error: Error) =>
      error instanceof rl.RoadlessError &&
      /^gradcheck: input 0 \[2, 3\], element \[1, 1\]: backward\(\) gives [\d.]+, the difference quotient is [\d.]+ \(allowed difference/.test(
        error.message,
      ),
  );
});

test("large inputs are checked along random directions", () => {
  const wrong = squareWith((dy, context, attrs) => [rl.mul(right(dy, context, attrs)[0]!, 1.01)]);
  const x = rl.ones([40, 50], { device: "reference", requiresGrad: true });
  assert.throws(() => gradcheck(apply(wrong), [x]), /input 0 \[40, 50\], along random direction 0/);
  gradcheck(apply(squareWith(right)), [x]);
});

test("a gradient that is left out is not zero", () => {
  const x = leaf([1, 2]);
  assert.throws(() => gradcheck((a) => rl.mul(a, a.detach()), [x]), /backward\(\) gives/);
  assert.throws(() => gradcheck(apply(squareWith(() => [null])), [x]), /backward\(\) gives 0/);
});

test("an error in one of several inputs or outputs is found", () => {
  const wrong = apply(squareWith((dy) => [dy]));
  const a = leaf([3, 4]);
  const b = leaf([[1], [2]]);
  assert.throws(() => gradcheck((x, y) => [rl.add(x, y), wrong(y)], [a, b]), /input 1 \[2, 1\]/);
  gradcheck((x, y) => [rl.add(x, y), rl.mul(x, y), rl.gt(x, y)], [a, b]);
});

test("strided, broadcast and empty inputs", () => {
  const x = rl.transpose(leaf([[1, 2, 3]]), 0, 1).detach();
  x.requiresGrad = true;
  gradcheck((a, b) => rl.mul(a, b), [x, rl.expand(leaf([1, 2]), [3, 2])]);
  gradcheck((a) => rl.sum(a), [rl.zeros([0, 3], { device: "reference", requiresGrad: true })]);
});

test("a function that is not deterministic is refused", () => {
  const x = leaf([1, 2, 3, 4, 5, 6, 7, 8]);
  assert.throws(
    () => gradcheck((a) => rl.mul(a, rl.rand([8], { device: "reference" })), [x]),
    /gradcheck: fn gives .* run again on a dense copy .*; expected the same/,
  );
});

/** A watched world with one record, and what the watch says after `look`. */
function gapsAfter(
  record: Op<object>,
  look: (watch: GradientWatch) => void,
  exempt: Record<string, string> = {},
): string[] {
  const watch = new GradientWatch(new Map([[record.name, record as unknown as Op<never>]]));
  try {
    look(watch);
    return watch.gaps(exempt);
  } finally {
    watch.release();
  }
}

/** Strided and empty inputs, as the table's cases have them. */
function lookWell(record: Op<object>, op = record.name): (watch: GradientWatch) => void {
  return (watch) => {
    const strided = rl.expand(leaf([[1], [2]]), [2, 3]).detach();
    strided.requiresGrad = true;
    for (const x of [strided, rl.zeros([0], { device: "reference", requiresGrad: true })]) {
      watch.check(op, () => gradcheck(apply(record), [x]));
    }
  };
}

test("the watch is content with a record that was checked, and gives its vjp back", () => {
  const record = squareWith(right);
  assert.equal(gapsAfter(record, lookWell(record)), []);
  assert.is(record.vjp, right);
});

test("the watch names a record that nothing checks", () => {
  const record = squareWith(right);
  const expected = ["mySquare: no row of its own runs its vjp in a gradient check"];
  assert.equal(
    gapsAfter(record, () => {}),
    expected,
  );
  assert.equal(gapsAfter(record, lookWell(record, "another")), expected);
  const withoutBackward = (watch: GradientWatch): void =>
    watch.check("mySquare", () => apply(record)(leaf([1])));
  assert.equal(gapsAfter(record, withoutBackward), expected);
});

test("the watch does not count a check that failed", () => {
  const record = squareWith((dy) => [dy]);
  const look = (watch: GradientWatch): void =>
    assert.throws(() => lookWell(record)(watch), /difference quotient/);
  assert.equal(gapsAfter(record, look).length, 1);
});

test("the watch names inputs whose gradient is null, or never compared", () => {
  const silent = squareWith(() => [null]);
  const look = (watch: GradientWatch): void => {
    for (const x of [leaf([[0]]), rl.zeros([0], { device: "reference", requiresGrad: true })]) {
      watch.check("mySquare", () => gradcheck(apply(silent), [x], { atol: 1 }));
    }
  };
  assert.ok(gapsAfter(silent, look).length > 0);
  const pair: Op<object> = {
    ...squareWith((dy, { saved: [a, b] }) => [rl.mul(dy, b), rl.mul(dy, a)]),
    kind: "zip",
    reference: (a: number, b: number) => a * b,
    saves: [0, 1],
  };
  const half = (watch: GradientWatch): void => {
    const f = (a: Tensor): Tensor => run(pair, [a, tensor([5, 6], { device: "reference" })], {});
    watch.check("mySquare", () => gradcheck(f, [leaf([1, 2])]));
  };
  assert.ok(gapsAfter(pair, half).includes("mySquare: the gradient of input 1 is not checked"));
});

test("the watch wants a reason for every record without a vjp, and none for the others", () => {
  const none = squareWith(undefined);
  assert.equal(
    gapsAfter(none, () => {}),
    ["mySquare: has no vjp, and no reason is given"],
  );
  assert.equal(
    gapsAfter(none, () => {}, { mySquare: "gives booleans" }),
    [],
  );
  assert.equal(
    gapsAfter(none, () => {}, { mySquare: "so", other: "so" }),
    ["other: a reason for having no vjp, but no record"],
  );
  const record = squareWith(right);
  assert.equal(gapsAfter(record, lookWell(record), { mySquare: "so" }), [
    "mySquare: has a vjp, and a reason for having none",
  ]);
});

checker.run();
