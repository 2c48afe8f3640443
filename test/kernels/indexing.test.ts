/** Rows and elements by index, running sums, sorted order: any cut of the work gives the same bits. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TypedArray } from "../../src/backend/backend.ts";
import type { Array_, Result } from "./cpu.ts";
import { Cpu } from "./cpu.ts";
import { Numbers } from "./runtime.ts";

const indexing = suite("kernels: indexing");
const cpu = new Cpu();
const threads = new Cpu(2);
const numbers = new Numbers(11);

const floats = (n: number) => Float32Array.from({ length: n }, () => 4 * numbers.next() - 2);
const places = (n: number, below: number) =>
  Int32Array.from({ length: n }, () => numbers.between(0, below - 1));

/** What one thread makes of it, after checking that two make the same. */
function run(
  kind: string,
  wasm: string,
  inputs: readonly Array_[],
  result: Result,
  attrs: object,
): TypedArray {
  const call = { kind, wasm };
  const [alone] = cpu.run(call, inputs, [result], { ...attrs });
  const [shared] = threads.run(call, inputs, [result], { ...attrs });
  assert.equal(shared, alone, `${kind} on two threads`);
  return alone;
}

const extents: [outer: number, n: number, m: number, inner: number][] = [
  [1, 1, 1, 1],
  [1, 5, 9, 1],
  [3, 4, 7, 5],
  [1, 300, 2000, 40],
  [40, 3, 30, 60],
  [2, 700, 50, 33],
];

for (const [outer, n, m, inner] of extents) {
  const x = { data: floats(outer * n * inner), shape: [outer, n, inner] };
  const src = { data: floats(outer * m * inner), shape: [outer, m, inner] };
  const rows = { data: places(m, n), shape: [m] };
  const index = { data: places(outer * m * inner, n), shape: [outer, m, inner] };
  const attrs = { dim: 1, label: "test", skip: -1 };
  const what = `[${outer}, ${n} from ${m}, ${inner}]`;
  /** Place of [o, r, i] in x. */
  const at = (o: number, r: number, i: number) => (o * n + r) * inner + i;
  /** Calls `visit` for every element of src in order. */
  const each = (visit: (k: number, o: number, j: number, i: number) => void): void => {
    for (let k = 0; k < src.data.length; k++) {
      const row = Math.floor(k / inner);
      visit(k, Math.floor(row / m), row % m, k % inner);
    }
  };

  indexing(`${what}: rows and elements are taken`, () => {
    const taken = new Float32Array(src.data.length);
    const gathered = new Float32Array(src.data.length);
    each((k, o, j, i) => {
      taken[k] = x.data[at(o, rows.data[j], i)];
      gathered[k] = x.data[at(o, index.data[k], i)];
    });
    assert.equal(run("takeRows", "take_rows", [x, rows], src, attrs), taken);
    assert.equal(run("gather", "gather", [x, index], src, attrs), gathered);
  });

  indexing(`${what}: sums are those of float32 in the order of the index`, () => {
    const added = x.data.slice();
    const skipped = x.data.slice();
    const scattered = x.data.slice();
    const set = x.data.slice();
    each((k, o, j, i) => {
      added[at(o, rows.data[j], i)] += src.data[k];
      if (rows.data[j] !== 0) skipped[at(o, rows.data[j], i)] += src.data[k];
      scattered[at(o, index.data[k], i)] += src.data[k];
      set[at(o, index.data[k], i)] = src.data[k];
    });
    assert.equal(run("addRows", "add_rows", [x, rows, src], x, attrs), added);
    assert.equal(run("addRows", "add_rows", [x, rows, src], x, { ...attrs, skip: 0 }), skipped);
    assert.equal(run("scatterAdd", "scatter_add", [x, index, src], x, attrs), scattered);
    assert.equal(run("scatterAdd", "scatter", [x, index, src], x, attrs), set);
  });

  indexing(`${what}: rows are put in the order of the index`, () => {
    const [table, own] = [
      { data: x.data.subarray(0, n * inner), shape: [n, inner] },
      { data: src.data.subarray(0, m * inner), shape: [m, inner] },
    ];
    const put = table.data.slice();
    rows.data.forEach((row, j) => {
      put.set(own.data.subarray(j * inner, (j + 1) * inner), row * inner);
    });
    assert.equal(run("putRows", "put_rows", [table, rows, own], table, attrs), put);
  });

  indexing(`${what}: running sums are rounded once`, () => {
    const sums = new Float64Array(x.data);
    for (let k = 0; k < sums.length; k++) {
      if (Math.floor(k / inner) % n > 0) sums[k] += sums[k - inner];
    }
    assert.equal(run("cumulate", "cumsum", [x], x, { dim: 1 }), Float32Array.from(sums));
  });
}

indexing("sorted order is stable for any length", () => {
  for (const [count, n] of [
    [3, 0],
    [1, 1],
    [70, 2],
    [2, 7],
    [300, 64],
    [5, 1000],
  ]) {
    const keys = Float32Array.from({ length: count * n }, () => numbers.between(0, 9));
    for (const data of [keys, Int32Array.from(keys)]) {
      for (const descending of [false, true]) {
        const order = run(
          "argsort",
          "argsort",
          [{ data, shape: [count, n] }],
          { shape: [count, n], dtype: "int32" },
          { descending },
        );
        const expected = Array.from({ length: count }, (_, row) => {
          const list = Array.from({ length: n }, (_, k) => k);
          const key = (k: number) => (descending ? -1 : 1) * data[row * n + k];
          return list.sort((a, b) => key(a) - key(b) || a - b);
        }).flat();
        assert.equal(Array.from(order), expected, `[${count}, ${n}]`);
      }
    }
  }
});

indexing.after(() => {
  cpu.backend.close();
  threads.backend.close();
});

indexing.run();
