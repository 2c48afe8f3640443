/** Norms over blocks of memory in one pass (p other than 1, 2, Infinity: two), accumulated in float64. */
import { pow } from "../elementary/index.ts";
import type { Kernel, NdArray } from "../backend/backend.ts";
import { runInPlace } from "../op.ts";
import { reshape } from "../ops/broadcast.ts";
import { narrow } from "../ops/movement.ts";
import { runScoped } from "../scope.ts";
import type { Tensor } from "../tensor.ts";
import { empty } from "../tensor.ts";

/** y = ‖x‖_p, or ‖x − z‖₂ where z is given (p is 2 then). 0 < p ≤ Infinity. */
export const normKernel: Kernel = {
  name: "norm",
  kind: "norm",
  wasm: "norm",
  reference: ([x, z]: readonly NdArray[], [y]: readonly NdArray[], { p }: { p: number }) => {
    const zs = (z as NdArray | undefined)?.data;
    let total = 0;
    for (let i = 0; i < x.data.length; i++) {
      const value = Math.abs(zs === undefined ? x.data[i] : x.data[i] - zs[i]);
      if (p === Infinity) total = Math.max(total, value);
      else total += p === 2 ? value * value : p === 1 ? value : pow(value, p);
    }
    y.data[0] = p === 2 ? Math.sqrt(total) : p === 1 || p === Infinity ? total : pow(total, 1 / p);
  },
};

/** ‖x‖_p of a dense tensor; ‖x − z‖₂ where z, as dense and long, is given. */
export function normOf(x: Tensor, p: number, z?: Tensor): number {
  return x.size === 0 ? 0 : measured(x, p, z, (y) => y.itemSync());
}

/** `normOf` of what the tensors hold now, on every device. */
export async function normAsync(x: Tensor, p: number, z?: Tensor): Promise<number> {
  return x.size === 0 ? 0 : measured(x, p, z, (y) => y.item());
}

function measured<T>(x: Tensor, p: number, z: Tensor | undefined, read: (y: Tensor) => T): T {
  return runScoped("norm", () => {
    const y = empty(x.backend, [], x.dtype, "norm");
    runInPlace(normKernel, z === undefined ? [x] : [x, z], [y], { p });
    return { value: read(y) };
  }).value;
}

/**
 * The norm of dense tensors as one vector, where values cannot be read at once: a 0-dimensional tensor. The norm
 * of norms is that of the whole.
 */
export function normTensor(parts: readonly Tensor[], p: number, like: Tensor): Tensor {
  const norms = empty(like.backend, [parts.length], like.dtype, "norms");
  parts.forEach((x, i) => runInPlace(normKernel, [x], [narrow(norms, 0, i, 1)], { p }));
  if (parts.length === 1) return reshape(norms, []);
  const total = empty(like.backend, [], like.dtype, "norm");
  runInPlace(normKernel, [norms], [total], { p });
  return total;
}

/** The norm of a vector whose parts have these norms. */
export function combineNorms(norms: readonly number[], p: number): number {
  const largest = Math.max(0, ...norms);
  if (p === Infinity || largest === 0 || !Number.isFinite(largest)) return largest;
  // Relative to the largest, so that no power overflows.
  const sum = norms.reduce((total, norm) => total + pow(norm / largest, p), 0);
  return largest * (p === 2 ? Math.sqrt(sum) : pow(sum, 1 / p));
}
