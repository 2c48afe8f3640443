/** Kinds `matmul`, `linear` and `linearGrad`. */
import type { View } from "../../backend.ts";
import { stridesOf } from "../../../shape.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { placesOf } from "./places.ts";
import type { Activation } from "./product.ts";
import { activationOf, multiply } from "./product.ts";
import { reduce, sum } from "./reduce.ts";

/** [..., m, k] · [..., k, n], any strides. */
const matmul: Launcher = (rt, _kernel, [a, b], [y]) => {
  const rank = y.shape.length;
  const lead = y.shape.slice(0, -2);
  const batch = placesOf(
    lead,
    { a: a.strides.slice(0, -2), b: b.strides.slice(0, -2), y: stridesOf(y.shape).slice(0, -2) },
    "batch",
    { y: "0u" },
  );
  multiply(rt, {
    key: `matmul ${batch.key}`,
    reads: { a, b },
    y,
    u32: {
      ...batch.u32,
      aRow: a.strides[rank - 2],
      aColumn: a.strides[rank - 1],
      bRow: b.strides[rank - 2],
      bColumn: b.strides[rank - 1],
    },
    m: y.shape[rank - 2],
    n: y.shape[rank - 1],
    k: a.shape[rank - 1],
    batch: lead.reduce((product, extent) => product * extent, 1),
    setup: batch.code,
    a: "a[a_i + row * p.aRow + k * p.aColumn]",
    b: "b[b_i + k * p.bRow + column * p.bColumn]",
    aAlongK: a.strides[rank - 1] === 1,
    bAlongK: b.strides[rank - 1] !== 1 && b.strides[rank - 2] === 1,
    at: "y_i + row * p.n + column",
  });
};

/** y = a · b + bias of matrices; b's rows and columns exchanged on demand. */
function product(
  rt: Runtime,
  a: View,
  [aRow, aColumn]: readonly number[],
  b: View,
  [bRow, bColumn]: readonly number[],
  k: number,
  y: View,
  bias?: View,
  activation: Activation | null = null,
): void {
  multiply(rt, {
    key: `product ${bias === undefined ? "" : "bias"}`,
    reads: bias === undefined ? { a, b } : { a, b, bias },
    y,
    u32: { aRow, aColumn, bRow, bColumn },
    m: y.shape[0],
    n: y.shape[1],
    k,
    batch: 1,
    a: "a[p.a_at + row * p.aRow + k * p.aColumn]",
    b: "b[p.b_at + k * p.bRow + column * p.bColumn]",
    aAlongK: aColumn === 1,
    bAlongK: bColumn !== 1 && bRow === 1,
    at: "row * p.n + column",
    bias: bias === undefined ? undefined : "bias[p.bias_at + column]",
    activation,
  });
}

const turned = ([row, column]: readonly number[]): readonly number[] => [column, row];

/** x [m, k], weight [n, k], bias? → x · weightᵀ + bias */
const linear: Launcher = (rt, _kernel, [x, weight, bias], [y], attrs) => {
  const dense = bias === undefined ? undefined : rt.dense(bias);
  const [k] = x.shape.slice(1);
  product(rt, x, x.strides, weight, turned(weight.strides), k, y, dense, activationOf(attrs));
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
