/** Methods of tensors are the functions of their names. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../src/index.ts";
import * as rl from "../src/index.ts";
import { scope, tensor } from "../src/index.ts";

const methods = suite("methods");

/** What follows the tensor, [2, 3], where a call needs something. */
const given = (): Record<string, readonly unknown[]> => {
  const other = tensor([
    [3, 1, 0],
    [0.5, 2, 1],
  ]);
  const mask = tensor([true, false, true]);
  const index = tensor([[1, 0, 1]], { dtype: "int32" });
  const rows = tensor([1, 1], { dtype: "int32" });
  const binary =
    "add sub mul div pow maximum minimum fmod remainder atan2 eq ne lt le gt ge logicalAnd logicalOr logicalXor";
  return {
    ...Object.fromEntries(binary.split(" ").map((name) => [name, [other]])),
    lerp: [other, 0.25],
    clamp: [{ min: 0.3 }],
    maskedFill: [mask, -1],
    softmax: [1],
    logSoftmax: [0],
    matmul: [other.transpose(0, 1)],
    cumsum: [1],
    sort: [1, { descending: true }],
    topk: [2, 1],
    indexSelect: [0, rows],
    indexAdd: [0, rows, other, { alpha: 2 }],
    gather: [0, index],
    scatter: [0, index, 7],
    scatterAdd: [0, index, other],
    maskedSelect: [mask],
    maskedSelectAsync: [mask],
    flip: [1],
    roll: [1, 0],
    tile: [[2, 1]],
    reshape: [[3, 2]],
    squeeze: [0],
    unsqueeze: [1],
    permute: [[1, 0]],
    transpose: [0, 1],
    expand: [[2, 2, 3]],
    slice: [[[0, 1]]],
    narrow: [1, 0, 2],
    split: [2, 1],
    chunk: [2, 1],
  };
};

/** Tensors as shape, dtype and values. */
function plain(result: unknown): unknown {
  if (result instanceof rl.Tensor) return [result.shape, result.dtype, [...result.dataSync()]];
  if (Array.isArray(result)) return result.map(plain);
  return Object.entries(result as object).map(([name, value]) => [name, plain(value)]);
}

const functions = rl as unknown as Record<
  string,
  (x: Tensor, ...rest: readonly unknown[]) => unknown
>;
const names = Object.getOwnPropertyNames(rl.Tensor.prototype).filter(
  (name) => typeof functions[name] === "function",
);

methods("there are as many as there should be", () => {
  assert.ok(names.length > 90, `${names.length}`);
  assert.equal(
    Object.keys(given()).filter((name) => !names.includes(name)),
    [],
  );
});

for (const name of names) {
  methods(`${name} is the function`, async () => {
    const open = scope();
    try {
      const x = tensor([
        [0.5, -0.25, 0.75],
        [1, 0.125, -1],
      ]);
      const rest = given()[name] ?? [];
      const method = x as unknown as Record<string, (...rest: readonly unknown[]) => unknown>;
      assert.equal(plain(await method[name](...rest)), plain(await functions[name](x, ...rest)));
    } finally {
      open.unwind();
    }
  });
}

methods.run();
