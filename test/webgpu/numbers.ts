/** The same numbers on every device, and how far a result on the GPU is from the float64 reference's. */
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";

export type Device = "webgpu" | "reference";

/** The largest error relative to √k, as entries are about as large as 1. */
export async function errorOf(k: number, f: (device: Device) => Tensor): Promise<number> {
  const open = rl.scope();
  const found = await f("webgpu").data();
  const expected = f("reference").dataSync();
  open.end();
  assert.is(found.length, expected.length);
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    worst = Math.max(worst, Math.abs(found[i] - expected[i]));
    if (Number.isNaN(found[i])) return NaN;
  }
  return worst / Math.sqrt(k);
}

/** The same numbers in (-1, 1) on every device; `change` may make others of them. */
export function numbers(
  shape: readonly number[],
  seed: number,
  device: Device,
  change: (x: number) => number = (x) => x,
): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  let state = seed;
  const values = Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return change(state / 2 ** 31);
  });
  return rl.reshape(rl.tensor(values, { device }), shape);
}
