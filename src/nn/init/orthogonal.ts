/** Weights whose rows or columns are orthonormal. */
import { ShapeError, ValueError } from "../../errors.ts";
import type { Generator } from "../../random.ts";
import { defaultGenerator, fillNormal } from "../../random.ts";
import { formatShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";

export interface OrthogonalOptions {
  /** Factor of the result. Default 1. */
  gain?: number;
  /** Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/**
 * A (semi-)orthogonal matrix times `gain`, for weights [out, in, ...], seen as [out, in · …]: its rows are
 * orthonormal if there are no more of them than columns, otherwise its columns. All such matrices are equally likely
 * (A. Saxe, J. McClelland, S. Ganguli, arXiv 1312.6120).
 *
 * It is the Q of a QR decomposition of normal numbers, by Householder reflections in float64, with the
 * signs that make the diagonal of R positive (F. Mezzadri, arXiv math-ph/0609050); float32 weights are rounded once.
 */
export function orthogonal(weight: Tensor, options: OrthogonalOptions = {}): Tensor {
  const { gain = 1, generator = defaultGenerator() } = options;
  if (weight.ndim < 2) {
    throw new ShapeError(
      `init.orthogonal: found ${formatShape(weight.shape)}; expected [out, in, ...], at least two dimensions`,
    );
  }
  if (!Number.isFinite(gain)) {
    throw new ValueError(`init.orthogonal: gain is ${gain}; expected a number`);
  }
  if (weight.size === 0) return weight;
  const rows = weight.shape[0];
  const columns = weight.size / rows;
  const tall = rows >= columns;
  const [m, n] = tall ? [rows, columns] : [columns, rows];
  const normal = new Float64Array(m * n);
  fillNormal(normal, generator);
  const q = orthonormalColumns(normal, m, n);
  const data = new Float64Array(m * n);
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < m; i++) data[tall ? i * n + j : j * m + i] = gain * q[j * m + i];
  }
  return weight.copyFrom(data);
}

/** The n ≤ m columns of Q, one after another, from those of a matrix, which is overwritten. */
function orthonormalColumns(a: Float64Array, m: number, n: number): Float64Array {
  const signs = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    // Column k from row k on becomes the unit vector v of the reflection 1 - 2vvᵀ that makes it a multiple of e_k.
    const v = a.subarray(k * m + k, (k + 1) * m);
    const length = Math.sqrt(dot(v, v));
    const sign = v[0] < 0 ? -1 : 1;
    signs[k] = -sign;
    v[0] += sign * length;
    const scale = Math.sqrt(dot(v, v));
    for (let i = 0; i < v.length; i++) v[i] /= scale;
    for (let j = k + 1; j < n; j++) reflect(a.subarray(j * m + k, (j + 1) * m), v);
  }
  const q = new Float64Array(m * n);
  for (let j = 0; j < n; j++) {
    const column = q.subarray(j * m, (j + 1) * m);
    column[j] = signs[j];
    for (let k = j; k >= 0; k--) reflect(column.subarray(k), a.subarray(k * m + k, (k + 1) * m));
  }
  return q;
}

/** x ← x - 2 v (v·x) */
function reflect(x: Float64Array, v: Float64Array): void {
  const twice = 2 * dot(v, x);
  for (let i = 0; i < x.length; i++) x[i] -= twice * v[i];
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
