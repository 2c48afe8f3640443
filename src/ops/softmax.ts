/** Softmax and its logarithm along one dimension. */
import type { NdArray, ReferenceFunction } from "../backend/backend.ts";
import { exp, log } from "../elementary/index.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import { normalizeDim, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { inputShape, toFloat } from "./common.ts";

interface DimAttrs {
  dim: number;
}

/** Applies `transform` to every line along `dim` of one or two inputs. */
function alongDim(
  transform: (a: Float64Array, b: Float64Array) => Float64Array,
): ReferenceFunction<DimAttrs> {
  return (inputs, [y], { dim }) => {
    const n = y.shape.length === 0 ? 1 : y.shape[dim];
    const inner = sizeOf(y.shape.slice(dim + 1));
    const [a, b = a] = inputs;
    for (let line = 0; line * n < y.data.length; line++) {
      const start = Math.floor(line / inner) * n * inner + (line % inner);
      const take = (x: NdArray): Float64Array =>
        Float64Array.from({ length: n }, (_, k) => x.data[start + k * inner]);
      transform(take(a), take(b)).forEach((value, k) => {
        y.data[start + k * inner] = value;
      });
    }
  };
}

const total = (line: Float64Array): number => line.reduce((sum, v) => sum + v, 0);

function defineSoftmax(
  name: string,
  wasm: string,
  forward: (x: Float64Array) => Float64Array,
  grad: (y: Float64Array, dy: Float64Array) => Float64Array,
): Op<DimAttrs> {
  const gradOp = defineOp<DimAttrs>({
    name: `${name}Grad`,
    kind: "softmaxGrad",
    wasm: `${wasm}_grad`,
    reference: alongDim(grad),
    shape: inputShape,
  });
  return defineOp<DimAttrs>({
    name,
    kind: "softmax",
    wasm,
    reference: alongDim(forward),
    shape: inputShape,
    saves: ["y"],
    vjp: (dy, { saved: [y] }, attrs) => [run(gradOp, [y, dy], attrs)],
  });
}

const softmaxOp = defineSoftmax(
  "softmax",
  "softmax",
  (x) => {
    const top = Math.max(...x);
    const e = x.map((v) => exp(v - top));
    const sum = total(e);
    return e.map((v) => v / sum);
  },
  (y, dy) => {
    const dot = total(y.map((v, k) => v * dy[k]));
    return y.map((v, k) => v * (dy[k] - dot));
  },
);

const logSoftmaxOp = defineSoftmax(
  "logSoftmax",
  "log_softmax",
  (x) => {
    const top = Math.max(...x);
    const sum = log(total(x.map((v) => exp(v - top))));
    return x.map((v) => v - top - sum);
  },
  (y, dy) => {
    const sum = total(dy);
    return y.map((v, k) => dy[k] - exp(v) * sum);
  },
);

/** exp(x) / Σ exp(x) along `dim`. */
export function softmax(x: Tensor, dim: number): Tensor {
  return run(softmaxOp, [toFloat(x)], { dim: normalizeDim("softmax", dim, x.ndim) });
}

/** x - log Σ exp(x) along `dim`. */
export function logSoftmax(x: Tensor, dim: number): Tensor {
  return run(logSoftmaxOp, [toFloat(x)], { dim: normalizeDim("logSoftmax", dim, x.ndim) });
}
