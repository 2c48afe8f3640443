/** Selection, sorting and statistics where values, not tolerances, are the point. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { nn, scope, tensor } from "../../src/index.ts";

const indexing = suite("indexing");

const list = (x: Tensor | null): number[] => Array.from(x!.dataSync());
const ints = (values: rl.NestedArray, device: rl.DeviceName): Tensor =>
  tensor(values, { dtype: "int32", device });

/** The gradient of sum(f(x)) at `values`. */
function slope(values: rl.NestedArray, device: rl.DeviceName, f: (x: Tensor) => Tensor): number[] {
  return scope(() => {
    const x = tensor(values, { device, requiresGrad: true });
    rl.sum(f(x)).backward();
    return list(x.grad);
  });
}

for (const device of ["cpu", "reference"] as const) {
  const it = (name: string, f: () => void): void => {
    indexing(`${device}: ${name}`, () => scope(f));
  };

  it("a row taken twice gets both gradients, the padding row none", () => {
    const table = [[1], [2], [3]];
    const index = (): Tensor => ints([2, 0, 2, 1], device);
    const grads = (options: rl.EmbeddingOptions): number[] =>
      slope(table, device, (w) => rl.embedding(index(), w, options));
    assert.equal(grads({}), [1, 1, 2]);
    assert.equal(grads({ paddingIdx: 2 }), [1, 1, 0]);
    assert.equal(grads({ paddingIdx: -3 }), [0, 1, 2]);
    assert.equal(grads({ scaleGradByFreq: true }), [1, 1, 1]);
  });

  it("maxNorm scales down the rows that are looked up, in the table", () => {
    const table = [
      [3, 4],
      [6, 8],
      [0.6, 0.8],
      [-30, 40],
    ];
    const look = (options: rl.EmbeddingOptions): [table: number[], grad: number[]] => {
      const weight = tensor(table, { device, requiresGrad: true });
      const version = weight.storage.version;
      const y = rl.embedding(ints([0, 2, 0, 3], device), weight, options);
      assert.ok(weight.storage.version > version);
      rl.sum(y).backward();
      return [list(weight), list(weight.grad)];
    };
    const near = (found: number[], expected: number[]): void =>
      found.forEach((x, i) => assert.ok(Math.abs(x - expected[i]) < 2e-7, `${found}`));
    const [euclid, grad] = look({ maxNorm: 1 });
    // Rows 0 and 3 have norms 5 and 50; row 1 is not looked up; row 2 has norm 1.
    near(euclid, [0.6, 0.8, 6, 8, 0.6, 0.8, -0.6, 0.8]);
    assert.equal(grad, [2, 2, 0, 0, 1, 1, 1, 1]); // at the rows as they are afterwards
    near(look({ maxNorm: 3.5, normType: 1 })[0], [1.5, 2, 6, 8, 0.6, 0.8, -1.5, 2]);
    near(look({ maxNorm: 2, normType: Infinity })[0], [1.5, 2, 6, 8, 0.6, 0.8, -1.5, 2]);
  });

  it("maxNorm: how often a row is named does not matter, and the table is not copied", () => {
    const [rows, wide] = [30000, 4];
    const table = Float32Array.from({ length: rows * wide }, (_, i) => Math.sin(i) * 3);
    const look = (named: number[], turned: boolean): [before: number[], after: number[]] => {
      const open = rl.scope();
      const flat = tensor(table, { device });
      const weight = turned
        ? rl.transpose(rl.reshape(flat, [wide, rows]), 0, 1)
        : rl.reshape(flat, [rows, wide]);
      const before = list(weight);
      const { bytes } = rl.memory({ resetPeak: true });
      rl.embedding(ints(named, device), weight, { maxNorm: 1 });
      assert.ok(rl.memory().peakBytes - bytes < table.byteLength / 2);
      const after = list(weight);
      open.end();
      return [before, after];
    };
    for (const turned of [false, true]) {
      const [before, once] = look([29999, 0, 7], turned);
      const changed = new Set<number>();
      once.forEach((value, i) => {
        if (value !== before[i]) changed.add(Math.floor(i / wide));
      });
      assert.equal([...changed], [0, 7, 29999]);
      assert.equal(look([7, 29999, 7, 0, 7, 0], turned)[1], once);
      const often = Array.from({ length: 300 }, (_, i) => [0, 7, 29999][i % 3]);
      assert.equal(look(often, turned)[1], once);
    }
  });

  it("maxNorm and checkpoint: what is computed again finds the same table", () => {
    const weight = tensor([[3, 4]], { device, requiresGrad: true });
    const look = (): Tensor => rl.embedding(ints([0], device), weight, { maxNorm: 1 });
    const y = rl.checkpoint((x: Tensor) => rl.mul(look(), x), rl.ones([1], { device }));
    const after = list(weight);
    rl.sum(y).backward();
    assert.equal(list(weight.grad), [1, 1]);
    assert.equal(list(weight), after);
  });

  it("scatter: the last of several stays, and takes the gradient", () => {
    const make = (values: rl.NestedArray): Tensor => tensor(values, { device, requiresGrad: true });
    const [x, src] = [make([[1, 2, 3]]), make([[10, 20, 30, 40]])];
    const y = rl.scatter(x, 1, ints([[2, 0, 2]], device), src);
    assert.equal(list(y), [20, 2, 30]);
    rl.sum(rl.mul(y, tensor([[5, 6, 7]], { device }))).backward();
    assert.equal(list(x.grad), [0, 6, 0]);
    assert.equal(list(src.grad), [0, 5, 7, 0]);
    assert.equal(list(rl.scatter(x, 1, ints([[1]], device), -1)), [1, -1, 3]);
    const whole = ints([[1, 2]], device);
    assert.equal(list(rl.scatter(whole, 1, ints([[0]], device), ints([[9]], device))), [9, 2]);
  });

  it("sorting is stable, NaN is the largest", () => {
    const x = tensor([1, NaN, 3, 2, NaN, 3, -Infinity], { device });
    const up = rl.sort(x);
    assert.equal(list(up.indices), [6, 0, 3, 2, 5, 1, 4]);
    assert.equal(list(up.values), [-Infinity, 1, 2, 3, 3, NaN, NaN]);
    const down = rl.sort(x, 0, { descending: true });
    assert.equal(list(down.indices), [1, 4, 2, 5, 3, 0, 6]);
    assert.equal(list(rl.topk(x, 3).indices), [1, 4, 2]);
    assert.equal(list(rl.topk(x, 2, 0, { largest: false }).indices), [6, 0]);
  });

  it("the gradient of topk goes to the chosen", () => {
    assert.equal(
      slope([3, 1, 2], device, (x) => rl.topk(x, 2).values),
      [1, 0, 1],
    );
  });

  it("a product's gradient is right with zeros", () => {
    assert.equal(
      slope([2, 3, 4], device, (x) => rl.prod(x)),
      [12, 8, 6],
    );
    assert.equal(
      slope([2, 0, 4], device, (x) => rl.prod(x)),
      [0, 8, 0],
    );
    assert.equal(
      slope([2, 0, 0], device, (x) => rl.prod(x)),
      [0, 0, 0],
    );
  });

  it("norms and deviations have no slope at 0", () => {
    for (const ord of [0, 1, 2, 3, 0.5, Infinity, -Infinity]) {
      assert.equal(
        slope([0, 0], device, (x) => rl.norm(x, ord)),
        [0, 0],
        `ord ${ord}`,
      );
    }
    assert.equal(
      slope([2, 2], device, (x) => rl.std(x)),
      [0, 0],
    );
  });

  it("boolean selection keeps row-major order", () => {
    const x = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { device },
    );
    assert.equal(list(rl.maskedSelect(x, rl.gt(x, 1))), [2, 3, 4]);
    assert.equal(list(rl.nonzero(rl.gt(x, 2))), [1, 0, 1, 1]);
    const none = rl.maskedSelect(x, rl.gt(x, 9));
    assert.equal(none.shape, [0]);
    assert.equal(list(rl.oneHot(ints([2, 0], device))), [0, 0, 1, 1, 0, 0]);
  });

  it("crops wrap around what is left, reflections around the whole", () => {
    const x = tensor([1, 2, 3, 4], { device });
    assert.equal(list(rl.pad(x, [2, -1], { mode: "circular" })), [2, 3, 1, 2, 3]);
    assert.equal(list(rl.pad(x, [-1, 2], { mode: "reflect" })), [2, 3, 4, 3, 2]);
    assert.equal(list(rl.pad(x, [-1, 2], { mode: "replicate" })), [2, 3, 4, 4, 4]);
    assert.equal(list(rl.pad(x, [-1, 1])), [2, 3, 4, 0]);
  });

  it("einsum agrees with what it stands for", () => {
    const a = rl.reshape(rl.arange(0, 6, 1, { device }).to("float32"), [2, 3]);
    const b = rl.reshape(rl.arange(0, 12, 1, { device }).to("float32"), [3, 4]);
    const square = rl.reshape(rl.arange(0, 9, 1, { device }).to("float32"), [3, 3]);
    assert.equal(list(rl.einsum("ij, jk -> ik", a, b)), list(rl.matmul(a, b)));
    assert.equal(list(rl.einsum("ij,jk", a, b)), list(rl.matmul(a, b)));
    assert.equal(list(rl.einsum("ba", a)), list(rl.transpose(a, 0, 1)));
    assert.equal(list(rl.einsum("ii", square)), [12]);
    assert.equal(list(rl.einsum("ii->i", square)), [0, 4, 8]);
    assert.equal(list(rl.einsum("...j->...", a)), [3, 12]);
    assert.equal(list(rl.einsum("ij->j", a)), [3, 5, 7]);
    assert.equal(
      list(rl.einsum("ij,i->ji", a, ints([1, 2], device).to("float32"))),
      [0, 6, 1, 8, 2, 10],
    );
  });

  it("Embedding is a table with a padding row of zeros", () => {
    const layer = new nn.Embedding(4, 2, { paddingIdx: -1, device });
    assert.equal(layer.parameters().length, 1);
    const values = list(layer.weight);
    assert.equal(values.slice(6), [0, 0]);
    assert.equal(list(layer.forward(ints([1, 3], device))), [...values.slice(2, 4), 0, 0]);
  });
}

indexing.run();
