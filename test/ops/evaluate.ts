/** A row of the table computed on a device, forward and backward, and what comes out compared. */
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";
import { largestMagnitude, relativeError } from "../golden/compare.ts";
import type { Layout, Shapes } from "./cases.ts";
import { draw, place, seed } from "./cases.ts";
import type { Row } from "./table.ts";

export interface Result {
  values: ArrayLike<number>;
  shape: readonly number[];
  grads: (ArrayLike<number> | null)[];
}

/** y, and the gradients of sum(y * weights) where there is one. */
function compute(
  row: Row,
  data: Float64Array[],
  shapes: Shapes,
  device: DeviceName,
  layout: Layout,
): { y: Tensor; grads: (Tensor | null)[] } {
  const inputs = place(row, data, shapes, device, layout);
  const y = row.f(...inputs);
  return { y, grads: gradients(inputs, y) };
}

function gradients(inputs: readonly Tensor[], y: Tensor): (Tensor | null)[] {
  if (!inputs.some((x) => x.requiresGrad)) return [];
  y.backward(weightsLike(y));
  return inputs.map((x) => x.grad);
}

export function evaluate(...args: Parameters<typeof compute>): Result {
  return scope(() => {
    const { y, grads } = compute(...args);
    const values = y.dataSync();
    return { values, shape: y.shape, grads: grads.map((grad) => grad?.dataSync() ?? null) };
  });
}

/** The same where results cannot be read at once. */
export async function evaluateLater(...args: Parameters<typeof compute>): Promise<Result> {
  const open = scope();
  try {
    const [row] = args;
    const inputs = place(...args);
    const y = await (row.later ?? row.f)(...inputs);
    const grads = gradients(inputs, y);
    // Together: some hosts look every ten milliseconds whether a read is done.
    const [values, ...read] = await Promise.all([y, ...grads].map((x) => x?.data() ?? null));
    return { values: values!, shape: y.shape, grads: read };
  } finally {
    open.unwind();
  }
}

function weightsLike(y: Tensor): Tensor {
  const weights = draw(y.shape, { low: 0.5, high: 1.5 }, new rl.Generator(seed + 1));
  return tensor(weights, { shape: y.shape, dtype: y.dtype, device: y.device });
}

/** Errors are relative to the largest magnitude of what is expected, or 1. */
export function closeTo(
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  assert.is(found.length, expected.length, `${what}: number of elements`);
  const scale = Math.max(1, largestMagnitude(expected));
  for (let i = 0; i < expected.length; i++) {
    const error = relativeError(found[i], expected[i], scale);
    if (error > tolerance)
      assert.unreachable(
        `${what}[${i}]: found ${found[i]}, expected ${expected[i]} (error ${error}, seed ${seed})`,
      );
  }
}
