/** copy, concat, cast, fill, dropout and pooling. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DType, TypedArray } from "../../src/backend/backend.ts";
import { sizeOf, stridesOf } from "../../src/shape.ts";
import type { Array_ } from "./cpu.ts";
import { Cpu, dtypeOf, elements } from "./cpu.ts";
import { Numbers } from "./runtime.ts";

const movement = suite("kernels: movement, dropout, pooling");
const cpu = new Cpu();
const threads = new Cpu(2);
const numbers = new Numbers(7);

const floats = (n: number) => Float32Array.from({ length: n }, () => 4 * numbers.next() - 2);
const bools = (n: number) => Uint8Array.from({ length: n }, () => numbers.between(0, 1));

const copy = { kind: "copy", wasm: "copy" };

movement("copy reads any strides, for 4 bytes and for 1", () => {
  for (const make of [floats, bools]) {
    const data: TypedArray = make(6000);
    const views: Omit<Array_, "data">[] = [
      { shape: [], strides: [] },
      { shape: [0, 3], strides: [3, 1] },
      { shape: [37], strides: [1] },
      { shape: [37], strides: [2], offset: 5 },
      { shape: [37], strides: [-1], offset: 36 },
      { shape: [37], strides: [0], offset: 3 },
      { shape: [16, 16], strides: [1, 16] },
      { shape: [37, 41], strides: [1, 37] },
      { shape: [3, 5], strides: [1, 3] },
      { shape: [50, 4], strides: [1, 50] },
      { shape: [4, 50], strides: [1, 4] },
      { shape: [3, 17, 19], strides: [323, 1, 17] },
      { shape: [17, 3, 19], strides: [1, 17, 51] },
      { shape: [17, 3, 19], strides: [3, 1, 51] },
      { shape: [5, 6, 7], strides: [1, 5, 30] },
      { shape: [5, 4, 6, 7], strides: [42, 210, 7, 1] },
      { shape: [10, 10], strides: [20, 2], offset: 1 },
      { shape: [10, 10], strides: [-10, 1], offset: 90 },
      { shape: [10, 3, 10], strides: [10, 0, 1] },
      { shape: [2, 1, 3, 1, 2, 2, 2, 3], strides: [1, 9, 2, 9, 6, 12, 24, 48] },
    ];
    for (const view of views) {
      const x = { data, ...view };
      const dtype = dtypeOf(data);
      const [y] = cpu.run(copy, [x], [{ shape: x.shape, dtype }]);
      assert.equal(Array.from(y), elements(x), `[${x.shape}] [${view.strides}] ${dtype}`);
    }
  }
});

movement("copy writes any strides and nothing beside them", () => {
  const layouts: Omit<Array_, "data">[] = [
    { shape: [5, 6], strides: [12, 2], offset: 1 },
    { shape: [5, 6], strides: [1, 5] },
    { shape: [5, 6], strides: [1, 7], offset: 2 },
    { shape: [5, 6], strides: [-6, 1], offset: 24 },
    { shape: [5, 6], strides: [8, 1] },
  ];
  for (const layout of layouts) {
    const x: Array_ = { data: floats(30), shape: [5, 6] };
    const target = cpu.view({ data: new Float32Array(80).fill(-9), ...layout });
    cpu.backend.run({ name: "copy", reference: () => {}, ...copy }, [cpu.view(x)], [target], {});
    const all = cpu.backend.readSync(target.buffer, 0, 80, "float32");
    assert.equal(elements({ data: all, ...layout }), Array.from(x.data));
    assert.is(all.filter((v) => v === -9).length, 50, "elements left alone");
  }
});

movement("a large transposition on several threads", () => {
  const x: Array_ = { data: floats(700 * 301), shape: [700, 301], strides: [1, 700] };
  const [y] = threads.run(copy, [x], [{ shape: x.shape }]);
  assert.equal(Array.from(y), elements(x));
});

movement("concat along any dim, of views too", () => {
  for (let dim = 0; dim < 3; dim++) {
    const shapes = [1, 3, 0, 2].map((n) => [2, 3, 4].map((extent, d) => (d === dim ? n : extent)));
    const inputs = shapes.map((shape): Array_ => ({ data: floats(sizeOf(shape)), shape }));
    inputs[1] = { ...inputs[1], strides: stridesOf(inputs[1].shape.toReversed()).toReversed() };
    const shape = [2, 3, 4].map((extent, d) => (d === dim ? 6 : extent));
    const [y] = cpu.run({ kind: "concat", wasm: "copy" }, inputs, [{ shape }], { dim });
    const strides = stridesOf(shape);
    let offset = 0;
    for (const x of inputs) {
      assert.equal(elements({ data: y, shape: x.shape, strides, offset }), elements(x));
      offset += x.shape[dim] * strides[dim];
    }
  }
});

movement("cast between all types", () => {
  const values = [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.9,
    2.7,
    -3.5,
    1e10,
    -1e10,
    NaN,
    Infinity,
    -Infinity,
    7,
    1e-45,
  ];
  const float = Float32Array.from(values);
  const int = Int32Array.from([0, 1, -1, 5, -2147483648, 2147483647, 16777217]);
  const flags = Uint8Array.from([0, 1, 1, 0, 1, 0, 0]);
  const cast = (data: TypedArray, dtype: DType) =>
    Array.from(
      cpu.run(
        { kind: "cast", wasm: "cast" },
        [{ data, shape: [data.length] }],
        [{ shape: [data.length], dtype }],
      )[0],
    );
  const top = 2147483647;
  assert.equal(cast(float, "int32"), [
    0,
    0,
    1,
    -1,
    0,
    0,
    2,
    -3,
    top,
    -top - 1,
    0,
    top,
    -top - 1,
    7,
    0,
  ]);
  assert.equal(cast(float, "bool"), [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
  assert.equal(cast(int, "float32"), Array.from(int, Math.fround));
  assert.equal(cast(int, "bool"), [0, 1, 1, 1, 1, 1, 1]);
  assert.equal(cast(flags, "float32"), Array.from(flags));
  assert.equal(cast(flags, "int32"), Array.from(flags));
  assert.equal(cast(int, "int32"), Array.from(int));
});

movement("fill every type", () => {
  for (const n of [0, 1, 3, 4, 5, 37]) {
    for (const [dtype, value] of [
      ["float32", -2.5],
      ["float32", NaN],
      ["int32", -7],
      ["bool", 1],
    ] as const) {
      const [y] = cpu.run({ kind: "fill", wasm: "fill" }, [], [{ shape: [n], dtype }], { value });
      assert.is(y.length, n);
      assert.ok(
        Array.from(y).every((v) => Object.is(v, value)),
        `${dtype} ${value}`,
      );
    }
  }
});

// ---- dropout: the formula of assembly/random.ts ----

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

movement("dropout keeps what the formula says", () => {
  const n = 10_001;
  const data = floats(n);
  for (const [p, seed, call] of [
    [0.5, 0, 0],
    [0.1, 1, 2],
    [0.9, 4294967295, 77],
    [0, 3, 3],
    [1, 3, 3],
  ]) {
    const attrs = { p, seed, call };
    const run = (on: Cpu) =>
      on.run(
        { kind: "dropout", wasm: "dropout" },
        [{ data, shape: [n] }],
        [{ shape: [n] }],
        attrs,
      )[0];
    const y = run(cpu);
    const key = mix(seed ^ mix(call));
    let kept = 0;
    for (let i = 0; i < n; i++) {
      const keep = mix(i ^ key) >= p * 2 ** 32;
      kept += Number(keep);
      assert.is(y[i], keep ? Math.fround(data[i] * Math.fround(1 / (1 - p))) : 0);
    }
    assert.ok(Math.abs(kept / n - (1 - p)) < 0.02);
    assert.equal(run(threads), y);
  }
});

movement("dropout drops NaN and Infinity as well", () => {
  const data = new Float32Array(64).fill(NaN);
  const [y] = cpu.run(
    { kind: "dropout", wasm: "dropout" },
    [{ data, shape: [64] }],
    [{ shape: [64] }],
    { p: 0.5, seed: 1, call: 1 },
  );
  assert.ok(y.some((v) => v === 0) && y.some(Number.isNaN));
});

// ---- pooling ----

interface Window {
  kernelSize: [number, number];
  stride: [number, number];
  padding: [number, number];
  dilation: [number, number];
  countIncludePad: boolean;
}

const windows: [Window, number[], number[]][] = [];
function window(
  x: number[],
  out: number[],
  kernelSize: number,
  stride: number,
  padding = 0,
  dilation = 1,
  countIncludePad = true,
): void {
  const pair = (n: number): [number, number] => [n, n];
  windows.push([
    {
      kernelSize: pair(kernelSize),
      stride: pair(stride),
      padding: pair(padding),
      dilation: pair(dilation),
      countIncludePad,
    },
    x,
    out,
  ]);
}
window([2, 3, 8, 8], [4, 4], 2, 2);
window([1, 2, 9, 11], [4, 5], 2, 2);
window([1, 2, 9, 11], [5, 6], 2, 2); // ceil mode
window([2, 2, 24, 26], [12, 13], 2, 2);
window([1, 1, 5, 6], [3, 3], 3, 2, 1);
window([1, 1, 5, 6], [3, 4], 3, 2, 1, 1, false); // ceil mode
window([1, 1, 7, 7], [3, 3], 3, 1, 0, 2);
window([1, 1, 7, 7], [5, 5], 3, 1, 1, 2);
window([0, 1, 4, 4], [2, 2], 2, 2);

function eachWindow(
  w: Window,
  x: number[],
  out: number[],
  visit: (plane: number, at: number, cells: number[], divisor: number) => void,
): void {
  const [n, c, h, width] = x;
  for (let plane = 0; plane < n * c; plane++) {
    for (let i = 0; i < out[0]; i++) {
      for (let j = 0; j < out[1]; j++) {
        const top = i * w.stride[0] - w.padding[0];
        const left = j * w.stride[1] - w.padding[1];
        const cells: number[] = [];
        let padded = 0;
        for (let k = 0; k < w.kernelSize[0]; k++) {
          for (let l = 0; l < w.kernelSize[1]; l++) {
            const row = top + k * w.dilation[0];
            const column = left + l * w.dilation[1];
            if (row < h + w.padding[0] && column < width + w.padding[1]) padded++;
            if (row >= 0 && row < h && column >= 0 && column < width)
              cells.push(row * width + column);
          }
        }
        const at = (plane * out[0] + i) * out[1] + j;
        visit(plane, at, cells, w.countIncludePad ? padded : cells.length);
      }
    }
  }
}

movement("max pooling: values, places, gradient", () => {
  for (const [w, shape, out] of windows) {
    for (const special of [false, true]) {
      const data = Float32Array.from(floats(sizeOf(shape)), Math.round); // many ties
      if (special && data.length > 9)
        [data[3], data[4], data[7], data[9]] = [NaN, NaN, -Infinity, Infinity];
      const area = shape[2] * shape[3];
      const outShape = [shape[0], shape[1], ...out];
      const x: Array_ = { data, shape };
      const [y, index] = cpu.run(
        { kind: "maxPool2d", wasm: "max_pool2d" },
        [x],
        [{ shape: outShape }, { shape: outShape, dtype: "int32" }],
        { ...w },
      );
      const dy = floats(y.length);
      const dx = new Float32Array(data.length);
      eachWindow(w, shape, out, (plane, at, cells) => {
        const values = cells.map((cell) => data[plane * area + cell]);
        const nan = values.findIndex(Number.isNaN);
        const best = nan >= 0 ? nan : values.indexOf(Math.max(...values));
        assert.ok(
          Object.is(y[at], values[best]) || y[at] === values[best],
          `[${shape}] ${at}: ${y[at]}, not ${values[best]}`,
        );
        assert.is(index[at], cells[best]);
        dx[plane * area + cells[best]] += dy[at];
      });
      const inputs = [
        { data: dy, shape: outShape },
        { data: index, shape: outShape },
      ];
      const [gradient] = cpu.run(
        { kind: "maxPool2dGrad", wasm: "max_pool2d_grad" },
        inputs,
        [{ shape }],
        { ...w, xShape: shape },
      );
      assert.equal(gradient, dx);
    }
  }
});

movement("average pooling: values and gradient", () => {
  for (const [w, shape, out] of windows) {
    if (w.dilation[0] > 1) continue;
    const data = floats(sizeOf(shape));
    const area = shape[2] * shape[3];
    const outShape = [shape[0], shape[1], ...out];
    const [y] = cpu.run(
      { kind: "avgPool2d", wasm: "avg_pool2d" },
      [{ data, shape }],
      [{ shape: outShape }],
      { ...w },
    );
    const dy = floats(y.length);
    const dx = new Float64Array(data.length);
    eachWindow(w, shape, out, (plane, at, cells, divisor) => {
      const sum = cells.reduce((total, cell) => total + data[plane * area + cell], 0);
      assert.ok(
        Math.abs(y[at] - sum / divisor) < 1e-6,
        `[${shape}] ${at}: ${y[at]}, not ${sum / divisor}`,
      );
      for (const cell of cells) dx[plane * area + cell] += dy[at] / divisor;
    });
    const [gradient] = cpu.run(
      { kind: "avgPool2dGrad", wasm: "avg_pool2d_grad" },
      [{ data: dy, shape: outShape }],
      [{ shape }],
      { ...w },
    );
    gradient.forEach((v, i) => assert.ok(Math.abs(v - dx[i]) < 1e-6));
  }
});

movement.after(() => {
  threads.backend.close();
});
movement.run();
