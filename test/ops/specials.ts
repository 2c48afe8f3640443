/** NaN, infinities, zeros and denormals: what is called with them, and when a result is right. */
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { relativeError } from "../golden/compare.ts";

const specials = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-40, 3e38, -3e38, 0.5, 2];
const values = Float64Array.from(specials, Math.fround);

const on = (device: DeviceName): Tensor =>
  rl.tensor(values, { device, dtype: device === "reference" ? "float64" : "float32" });

const unary = [
  rl.neg,
  rl.abs,
  rl.sign,
  rl.square,
  rl.exp,
  rl.expm1,
  rl.log,
  rl.log1p,
  rl.log2,
  rl.log10,
  rl.sqrt,
  rl.rsqrt,
  rl.reciprocal,
  rl.tanh,
  rl.sigmoid,
  rl.erf,
  rl.relu,
  rl.floor,
  rl.ceil,
  rl.round,
  rl.trunc,
  rl.sin,
  rl.cos,
];
const binary = [
  rl.add,
  rl.sub,
  rl.mul,
  rl.div,
  rl.maximum,
  rl.minimum,
  rl.eq,
  rl.ne,
  rl.lt,
  rl.le,
  rl.gt,
  rl.ge,
];
const reductions = [rl.sum, rl.mean, rl.amax, rl.amin, rl.argmax, rl.argmin];

export interface Special {
  name: string;
  f: (device: DeviceName) => Tensor;
}

export const specialCases: readonly Special[] = [
  ...unary.map((f): Special => ({ name: f.name, f: (device) => f(on(device)) })),
  ...binary.map((f): Special => ({
    name: f.name,
    f: (device) => f(rl.unsqueeze(on(device), 1), on(device)),
  })),
  ...reductions.flatMap((f) =>
    specials.map((_, i): Special => ({
      name: `${f.name} of ${i + 1}`,
      f: (device) => f(rl.narrow(on(device), 0, 0, i + 1)),
    })),
  ),
  { name: "softmax", f: (device) => rl.softmax(on(device), 0) },
  {
    name: "softmax of finite",
    f: (device) => rl.softmax(rl.narrow(on(device), 0, 3, 9), 0),
  },
];

/** What is wrong, one line each. */
export function wrongSpecials(
  name: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): string[] {
  const wrong: string[] = [];
  for (let i = 0; i < expected.length; i++) {
    const rounded = Math.fround(expected[i]);
    // Denormal results may be flushed to 0; a tie of float32 overflow may go either way.
    if (Math.abs(rounded) < 1.2e-38 && Math.abs(found[i]) < 1.2e-38) continue;
    if (relativeError(found[i], rounded, 0) > 2e-6)
      wrong.push(`${name}[${i}]: found ${found[i]}, expected ${rounded}`);
  }
  return wrong;
}
