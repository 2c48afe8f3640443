/** Kinds `matmul`, `linear` and `linearGrad`. */
import type { View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { placesOf } from "./places.ts";
import type { Activation } from "./product.ts";
import { activationOf, matrixOperand, multiply, wideOf } from "./product.ts";
import { isSmall } from "./tiles.ts";
import { reduce, sum } from "./reduce.ts";

/** [..., m, k] · [..., k, n], any strides. */
const matmul: Launcher = (rt, _kernel, [a, b], [y]) => {
  const rank = y.shape.length;
  const [m, n] = y.shape.slice(-2);
  const k = a.shape[rank - 1];
  const lead = y.shape.slice(0, -2);
  const batch = placesOf(lead, { a: a.strides.slice(0, -2), b: b.strides.slice(0, -2) }, "batch", {
    a: "0u",
    b: "0u",
  });
  const batches = lead.reduce((product, extent) => product * extent, 1);
  const small = isSmall(m, n, k, batches);
  const left = matrixOperand(
    "a",
    { name: "row", stride: a.strides[rank - 2], extent: m },
    { stride: a.strides[rank - 1], extent: k },
    [a.offset, ...a.strides.slice(0, -2)],
    "a_i",
    small,
  );
  const right = matrixOperand(
    "b",
    { name: "column", stride: b.strides[rank - 1], extent: n },
    { stride: b.strides[rank - 2], extent: k },
    [b.offset, ...b.strides.slice(0, -2)],
    "b_i",
    small,
  );
  multiply(rt, {
    key: `matmul ${batch.key}`,
    reads: { a, b },
    wide: wideOf({ a: left.operand, b: right.operand }),
    y,
    u32: { ...batch.u32, ...left.u32, ...right.u32 },
    m,
    n,
    k,
    batch: batches,
    setup: batch.code,
    a: left.operand,
    b: right.operand,
    at: "(batch * p.m + row) * p.n + column",
    quads: n % 4 === 0,
  });
};

interface LayerOptions {
  readonly bias?: View;
  readonly activation?: Activation | null;
  readonly halves?: boolean;
}

/** y = a · b + bias of matrices; b's rows and columns exchanged on demand. */
function product(
  rt: Runtime,
  a: View,
  [aRow, aColumn]: readonly number[],
  b: View,
  [bRow, bColumn]: readonly number[],
  k: number,
  y: View,
  { bias, ...options }: LayerOptions = {},
): void {
  const [m, n] = y.shape;
  const small = isSmall(m, n, k, 1);
  const left = matrixOperand(
    "a",
    { name: "row", stride: aRow, extent: m },
    { stride: aColumn, extent: k },
    [a.offset],
    "0u",
    small,
  );
  const right = matrixOperand(
    "b",
    { name: "column", stride: bColumn, extent: n },
    { stride: bRow, extent: k },
    [b.offset],
    "0u",
    small,
  );
  multiply(rt, {
    key: "product",
    reads: { a, b },
    wide: wideOf({ a: left.operand, b: right.operand }),
    y,
    u32: { ...left.u32, ...right.u32 },
    m,
    n,
    k,
    batch: 1,
    a: left.operand,
    b: right.operand,
    at: "row * p.n + column",
    quads: n % 4 === 0,
    ...(bias === undefined ? {} : { bias: "bias[p.bias_at + column]", finishReads: { bias } }),
    ...options,
  });
}

const turned = ([row, column]: readonly number[]): readonly number[] => [column, row];

/** x [m, k], weight [n, k], bias? → x · weightᵀ + bias */
const linear: Launcher = (rt, _kernel, [x, weight, bias], [y], attrs) => {
  const [k] = x.shape.slice(1);
  product(rt, x, x.strides, weight, turned(weight.strides), k, y, {
    bias: bias === undefined ? undefined : rt.dense(bias),
    activation: activationOf(attrs),
    halves: true,
  });
};

/** x, weight, dy → those of dx = dy · weight, dweight = dyᵀ · x, dbias that are asked for */
const linearGrad: Launcher = (rt, _kernel, [x, weight, dy], outputs, attrs) => {
  const [m, n] = dy.shape;
  let next = 0;
  if (attrs.dx) product(rt, dy, dy.strides, weight, weight.strides, n, outputs[next++]);
  if (attrs.dweight) product(rt, dy, turned(dy.strides), x, x.strides, m, outputs[next++]);
  if (attrs.dbias) reduce(rt, sum, [dy], [outputs[next]], { dims: [0] });
};

export const matmulLaunchers: Readonly<Record<string, Launcher>> = { matmul, linear, linearGrad };
