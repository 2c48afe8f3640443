/** Matrix products: 1-d, 2-d and batched with broadcast batches. */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, run } from "../op.ts";
import type { Shape } from "../shape.ts";
import { broadcastShapes, formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { expand, reshape } from "./broadcast.ts";
import { none, promote } from "./common.ts";
import { transpose, unsqueeze } from "./movement.ts";

/** [..., m, k] · [..., k, n] → [..., m, n]; the batch extents are equal. */
const matmulOp = defineOp({
  name: "matmul",
  kind: "matmul",
  wasm: "gemm",
  reference: ([a, b]: readonly NdArray[], [y]: readonly NdArray[]) => {
    const [m, n] = y.shape.slice(-2);
    const k = a.shape[a.shape.length - 1];
    for (let row = 0; row * n < y.data.length; row++) {
      const total = y.data.subarray(row * n, (row + 1) * n);
      total.fill(0);
      const block = Math.floor(row / m) * k * n;
      for (let p = 0; p < k; p++) {
        const factor = a.data[row * k + p];
        const line = block + p * n;
        for (let j = 0; j < n; j++) total[j] += factor * b.data[line + j];
      }
    }
  },
  shape: ([a, b]) => [...a.shape.slice(0, -1), b.shape[b.ndim - 1]],
  saves: [0, 1],
  vjp: (dy, context) => {
    const [a, b] = context.saved;
    return [
      context.needs(0) ? productLike(a, dy, flip(b)) : null,
      context.needs(1) ? productLike(b, flip(a), dy) : null,
    ];
  },
});

function product(a: Tensor, b: Tensor): Tensor {
  return run(matmulOp, [a, b], none);
}

function flip(x: Tensor): Tensor {
  return transpose(x, -1, -2);
}

/** a · b, computed as (bᵀ aᵀ)ᵀ where `like` is itself a transposed matrix: its gradient is then dense. */
function productLike(like: Tensor, a: Tensor, b: Tensor): Tensor {
  const columns = like.strides[like.ndim - 2] === 1 && like.strides[like.ndim - 1] !== 1;
  return columns ? flip(product(flip(b), flip(a))) : product(a, b);
}

function batched(x: Tensor, batch: Shape): Tensor {
  const own = x.shape.slice(0, -2);
  return sameShape(own, batch) ? x : expand(x, [...batch, ...x.shape.slice(-2)]);
}

/**
 * The matrix product a · b: [m, k] · [k, n] → [m, n]; with more dimensions batches of matrices,
 * whose leading extents broadcast. A 1-d `a` is a row, a 1-d `b` a column, and the result lacks
 * that dimension. Transposed views cost no copy.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  if (a.ndim === 0 || b.ndim === 0) {
    throw new ShapeError(
      `matmul: ${formatShape(a.shape)} @ ${formatShape(b.shape)}: 0-dimensional tensors have no matrix product; use mul`,
    );
  }
  const [left, right] = promote(
    "matmul",
    a.ndim === 1 ? unsqueeze(a, 0) : a,
    b.ndim === 1 ? unsqueeze(b, 1) : b,
  );
  checkDType("matmul", left, ["float32", "float64"]);
  const k = left.shape[left.ndim - 1];
  const rows = right.shape[right.ndim - 2];
  if (k !== rows) {
    throw new ShapeError(
      `matmul: inner dimensions differ: ${formatShape(a.shape)} @ ${formatShape(b.shape)} (${k} vs ${rows})`,
    );
  }
  if (a.ndim === 2 && b.ndim === 2) return product(left, right);
  const batch = broadcastShapes("matmul", left.shape.slice(0, -2), right.shape.slice(0, -2));
  const result = foldRows(left, right) ?? product(batched(left, batch), batched(right, batch));
  if (a.ndim > 1 && b.ndim > 1) return result;
  const kept = result.shape.filter(
    (_, i) => !(i === result.ndim - 1 && b.ndim === 1) && !(i === result.ndim - 2 && a.ndim === 1),
  );
  return reshape(result, kept);
}

/** [..., m, k] · [k, n] as one product with all rows together, where the rows lie one after another. */
function foldRows(a: Tensor, b: Tensor): Tensor | null {
  if (a.ndim === 2 || b.ndim > 2 || !a.isContiguous) return null;
  const k = a.shape[a.ndim - 1];
  const flat = product(reshape(a, [k === 0 ? rowsOf(a) : a.size / k, k]), b);
  return reshape(flat, [...a.shape.slice(0, -1), b.shape[1]]);
}

function rowsOf(a: Tensor): number {
  return a.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
}

/** [m], [n] → [m, n]: all products. */
export function outer(a: Tensor, b: Tensor): Tensor {
  if (a.ndim !== 1 || b.ndim !== 1) {
    throw new ShapeError(
      `outer: ${formatShape(a.shape)} and ${formatShape(b.shape)}; expected two 1-dimensional tensors`,
    );
  }
  return matmul(unsqueeze(a, 1), unsqueeze(b, 0));
}
