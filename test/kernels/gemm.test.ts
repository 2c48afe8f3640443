import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { View } from "../../src/backend/backend.ts";
import { matmulLaunchers } from "../../src/backend/wasm/launch/matmul.ts";
import { sizeOf, stridesOf } from "../../src/shape.ts";
import { Numbers, sameBits, TestRuntime, worstError } from "./runtime.ts";

const { linear, matmul } = matmulLaunchers;

/** How an operand lies in memory: dense, transposed, every second row and third column, or a column slice. */
const layouts = ["N", "T", "strided", "slice"] as const;
type Layout = (typeof layouts)[number];

function operand(rt: TestRuntime, numbers: Numbers, shape: number[], layout: Layout): View {
  const rank = shape.length;
  const [rows, columns] = shape.slice(-2);
  const batch = shape.slice(0, -2);
  if (layout === "N") return rt.array(numbers.array(sizeOf(shape)), shape);
  if (layout === "T") {
    const strides = stridesOf([...batch, columns, rows]);
    [strides[rank - 2], strides[rank - 1]] = [strides[rank - 1], strides[rank - 2]];
    return rt.array(numbers.array(sizeOf(shape)), shape, strides);
  }
  if (layout === "slice") {
    const strides = stridesOf([...batch, rows, columns + 3]);
    const size = Math.max(0, sizeOf([...batch, rows, columns + 3]) - 3);
    return rt.array(numbers.array(size), shape, strides, 0);
  }
  const strides = stridesOf([...batch, rows * 2, columns * 3]);
  strides[rank - 2] *= 2;
  strides[rank - 1] *= 3;
  return rt.array(numbers.array(sizeOf(shape) * 6), shape, strides);
}

/** A matrix with rows and columns exchanged: what `linear` takes as its weight. */
function transposed(x: View): View {
  return { ...x, shape: [x.shape[1], x.shape[0]], strides: [x.strides[1], x.strides[0]] };
}

/** float64 product of two views of any strides, with Σ|a·b| beside it. */
function naive(rt: TestRuntime, a: View, b: View, bias: View | null) {
  const rank = a.shape.length;
  const [m, k] = a.shape.slice(-2);
  const n = b.shape[rank - 1];
  const batch = a.shape.slice(0, -2);
  const count = sizeOf(batch);
  const all = (view: View) => {
    const length = view.buffer.byteLength / 4 - view.offset;
    return rt.read({ ...view, size: length });
  };
  const [av, bv, cv] = [all(a), all(b), bias ? all(bias) : null];
  const expected = new Float64Array(count * m * n);
  const scale = new Float64Array(count * m * n);
  for (let batchIndex = 0; batchIndex < count; batchIndex++) {
    let [oa, ob, left] = [0, 0, batchIndex];
    for (let i = batch.length - 1; i >= 0; i--) {
      oa += (left % batch[i]) * a.strides[i];
      ob += (left % batch[i]) * b.strides[i];
      left = Math.floor(left / batch[i]);
    }
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = cv ? cv[j] : 0;
        let size = Math.abs(sum);
        for (let p = 0; p < k; p++) {
          const term =
            av[oa + i * a.strides[rank - 2] + p * a.strides[rank - 1]] *
            bv[ob + p * b.strides[rank - 2] + j * b.strides[rank - 1]];
          sum += term;
          size += Math.abs(term);
        }
        expected[(batchIndex * m + i) * n + j] = sum;
        scale[(batchIndex * m + i) * n + j] = size;
      }
    }
  }
  return { expected, scale };
}

for (const precision of ["strict", "fast"] as const) {
  const test = suite(`gemm, ${precision}`);
  const rt = new TestRuntime(precision);

  const check = (name: string, a: View, b: View, bias: View | null): void => {
    const shape = [...a.shape.slice(0, -1), b.shape[b.shape.length - 1]];
    const launcher = bias ? linear : matmul;
    const inputs = bias ? [a, transposed(b), bias] : [a, b];
    [rt.threads, rt.cut] = [1, false];
    const found = rt.launch(launcher, inputs, shape);
    const { expected, scale } = naive(rt, a, b, bias);
    const error = worstError(found, expected, scale);
    assert.ok(error < 1e-6, `${name}: error ${error}`);
    for (const threads of [1, 2, 7]) {
      [rt.threads, rt.cut] = [threads, true];
      const cut = rt.launch(launcher, inputs, shape);
      assert.ok(sameBits(found, cut), `${name}: other bits when cut for ${threads} threads`);
    }
  };

  const run = (seed: number, shapeA: number[], shapeB: number[], la: Layout, lb: Layout): void => {
    rt.reset();
    const numbers = new Numbers(seed);
    const a = operand(rt, numbers, shapeA, la);
    const b = operand(rt, numbers, shapeB, lb);
    const n = shapeB[shapeB.length - 1];
    const bias = seed % 2 && a.shape.length === 2 ? rt.array(numbers.array(n), [n]) : null;
    const name = `seed ${seed}: [${shapeA.join()}] ${la} @ [${shapeB.join()}] ${lb}${bias ? " + bias" : ""}`;
    check(name, a, b, bias);
  };

  test("agrees with float64 for all small extents and layouts, however it is cut", () => {
    let seed = 0;
    for (const m of [1, 2, 5, 6, 7, 13]) {
      for (const n of [1, 2, 7, 8, 9, 17]) {
        for (const k of [1, 3, 16, 21]) {
          const la = layouts[seed % 4];
          const lb = layouts[(seed >> 2) % 4];
          run(seed++, [m, k], [k, n], la, lb);
        }
      }
    }
  });

  test("agrees with float64 for random extents", () => {
    const numbers = new Numbers(7);
    for (let seed = 1000; seed < 1060; seed++) {
      const [m, n] = [numbers.between(1, 90), numbers.between(1, 90)];
      const k = numbers.between(1, 400);
      run(seed, [m, k], [k, n], numbers.pick(layouts), numbers.pick(layouts));
    }
  });

  test("one row, one column, and an outer product, with and without a bias", () => {
    for (const seed of [1, 2]) {
      run(seed, [1, 40], [40, 77], "N", "N");
      run(seed, [1, 9], [9, 103], "strided", "slice");
      run(seed, [43, 39], [39, 1], "N", "N");
      run(seed, [43, 39], [39, 1], "slice", "N");
      run(seed, [37, 1], [1, 45], "N", "N");
      run(seed, [37, 1], [1, 34], "T", "slice");
    }
  });

  test("crosses the borders of blocks", () => {
    run(1, [64, 321], [321, 10], "N", "T");
    run(2, [10, 700], [700, 30], "T", "N");
    run(3, [200, 330], [330, 20], "N", "N");
    run(4, [7, 641], [641, 730], "N", "N");
    run(5, [195, 40], [40, 721], "T", "T");
    run(6, [140, 1030], [1030, 11], "N", "T");
    run(7, [1, 1000], [1000, 300], "N", "N");
    run(8, [300, 1000], [1000, 1], "T", "N");
    run(9, [130, 90], [90, 140], "N", "T");
  });

  test("multiplies batches, also broadcast ones", () => {
    run(1, [3, 4, 5], [3, 5, 6], "N", "N");
    run(2, [2, 3, 4, 5], [2, 3, 5, 9], "T", "N");
    run(3, [4, 33, 120], [4, 120, 35], "N", "T");
    run(4, [2, 130, 110], [2, 110, 120], "N", "N");
    rt.reset();
    const numbers = new Numbers(5);
    const a = rt.array(numbers.array(3 * 4 * 5), [2, 3, 4, 5], [0, 20, 5, 1]);
    const b = rt.array(numbers.array(2 * 5 * 6), [2, 3, 5, 6], [30, 0, 6, 1]);
    check("broadcast", a, b, null);
  });

  test("has no rows, no columns or nothing to sum", () => {
    run(2, [0, 4], [4, 3], "N", "N");
    run(2, [3, 4], [4, 0], "N", "N");
    run(2, [7, 0], [0, 9], "N", "N");
    run(3, [7, 0], [0, 9], "N", "T");
    run(3, [1, 0], [0, 1], "N", "N");
    run(2, [0, 3, 4], [0, 4, 5], "N", "N");
    run(3, [2, 3, 0], [2, 0, 5], "N", "N");
  });

  test("passes NaN and infinities on to the elements they belong to alone", () => {
    rt.reset();
    const a = new Float32Array(9 * 20).fill(1);
    a[3 * 20 + 4] = NaN;
    a[5 * 20 + 1] = Infinity;
    const b = rt.array(new Float32Array(20 * 11).fill(1), [20, 11]);
    const y = rt.launch(matmul, [rt.array(a, [9, 20]), b], [9, 11]);
    y.forEach((v, i) => {
      const row = Math.floor(i / 11);
      assert.ok(Object.is(v, row === 3 ? NaN : row === 5 ? Infinity : 20), `[${i}] is ${v}`);
    });
  });

  test.run();
}
