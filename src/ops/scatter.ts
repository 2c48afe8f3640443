/** Setting elements by index; `scatterAdd` (indexing.ts) adds instead. */
import type { NdArray } from "../backend/backend.ts";
import { defineOp, run } from "../op.ts";
import type { Op } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { fromData } from "../tensor.ts";
import { expand, reshape } from "./broadcast.ts";
import { eq, ge, where } from "./compare.ts";
import type { IndexAttrs } from "./indexing.ts";
import { eachIndex, filledLike, gatherOp, scatterAddOp, scatterBy } from "./indexing.ts";

/** y = a; y[o, index[o, j, i], i] = src[o, j, i] for every j in order. */
const scatterOp: Op<IndexAttrs> = defineOp<IndexAttrs>({
  ...scatterAddOp,
  name: "scatter",
  wasm: "scatter",
  reference: (
    [a, index, src]: readonly NdArray[],
    [y]: readonly NdArray[],
    { dim, label }: IndexAttrs,
  ) => {
    y.data.set(a.data);
    eachIndex(index, y, dim, label, (to, at) => {
      y.data[to] = src.data[at];
    });
  },
  saves: [1],
  vjp: (dy, { inputs: [x], saved: [index] }, attrs) => {
    // Which j each element of y has from src, -1 for none: what was overwritten takes no gradient.
    const order = positions(index, attrs.dim);
    const nobody = filledLike(index, x.shape, -1);
    const from = run(scatterOp, [nobody, index, order], attrs);
    const stayed = eq(run(gatherOp, [from, index], attrs), order);
    return [where(ge(from, 0), 0, dy), null, where(stayed, run(gatherOp, [dy, index], attrs), 0)];
  },
});

/** The place of each element along `dim`, in the shape of x. */
function positions(x: Tensor, dim: number): Tensor {
  const n = x.shape[dim] ?? 1;
  const line = Int32Array.from({ length: n }, (_, j) => j);
  const shape = x.shape.map((_, d) => (d === dim ? n : 1));
  return expand(reshape(fromData(x.backend, line, [n]), shape), x.shape);
}

/**
 * x with src[i, j, k] in place of the element at [i, index[i, j, k], k] for `dim` 1, likewise for others.
 * Elements of `src` beyond the index are left out. Of several for one place the last, in the order of j,
 * stays, and it alone takes gradient (PyTorch leaves open which it is). `src` may be a number.
 */
export function scatter(x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
  const values = typeof src === "number" ? filledLike(x, index.shape, src) : src;
  return scatterBy(scatterOp, x, dim, index, values);
}
