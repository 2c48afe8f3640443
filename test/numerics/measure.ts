/** Errors of a device against the float64 reference, in float32 ulp. */
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";
import { exp, log as logOf } from "../../src/elementary/index.ts";
import { fillIntegers, fillUniform } from "../../src/random.ts";
import type { Domain, Subject, Unit } from "./subjects.ts";

/** The largest error and the one that 99.9 % stay below, in ulp; the largest absolute error. */
export interface Errors {
  max: number;
  p999: number;
  absolute: number;
  count: number;
}

export interface Measured {
  forward: Errors;
  backward: Errors;
}

/** The distance between neighbouring float32 numbers at |x|: 2^(⌊log2 |x|⌋ - 23), at least 2^-149. */
export function ulpOf(x: number): number {
  const magnitude = Math.min(Math.abs(x), 3.4028234663852886e38);
  if (!(magnitude >= 2 ** -126)) return 2 ** -149;
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--; // log2 may round up
  else if (2 ** (exponent + 1) <= magnitude) exponent++;
  return 2 ** (exponent - 23);
}

/** Values of a domain, as float32 holds them. Batch b of a subject always has the same. */
function draw(size: number, domain: Domain, generator: rl.Generator): Float64Array {
  if ("below" in domain) {
    const out = new Int32Array(size);
    fillIntegers(out, generator, 0, domain.below);
    return Float64Array.from(out);
  }
  const uniform = new Float64Array(size);
  fillUniform(uniform, generator, 0, 1);
  return uniform.map((u, i) => {
    const { low, high, log, signed } = domain[i % domain.length];
    if (!log) return Math.fround(low + u * (high - low));
    const v = signed ? (2 * u) % 1 : u;
    const magnitude = exp(logOf(low) + v * (logOf(high) - logOf(low)));
    return Math.fround(signed && u < 0.5 ? -magnitude : magnitude);
  });
}

interface Values {
  y: ArrayLike<number>;
  grads: ArrayLike<number>[];
}

async function evaluate(
  subject: Subject,
  data: readonly Float64Array[],
  weights: (size: number) => Float64Array,
  device: DeviceName,
): Promise<Values> {
  const open = scope();
  try {
    const float = device === "reference" ? "float64" : "float32";
    const inputs = data.map((values, i): Tensor => {
      const isFloat = !("below" in subject.domains[i]);
      const options = { shape: subject.shapes[i], device, requiresGrad: isFloat } as const;
      return tensor(values, { ...options, dtype: isFloat ? float : "int32" });
    });
    const y = subject.f(...inputs);
    y.backward(tensor(weights(y.size), { shape: y.shape, device, dtype: y.dtype }));
    const grads: Values["grads"] = [];
    for (const { grad } of inputs) if (grad !== null) grads.push(await grad.data());
    return { y: await y.data(), grads };
  } finally {
    open.unwind();
  }
}

function collect(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  unitAt: (i: number) => number,
  flushes: boolean,
  into: { ulps: number[]; absolute: number },
): void {
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(found[i] - expected[i]);
    const same = Object.is(found[i], expected[i]) || found[i] === expected[i];
    // A result that float32 does not have must come out as it rounds.
    const rounded = same || found[i] === Math.fround(expected[i]);
    if (flushes && found[i] === 0 && Math.abs(expected[i]) < 2 ** -126) {
      into.ulps.push(0);
      continue;
    }
    const inRange = Math.abs(expected[i]) <= 3.4028234663852886e38;
    into.ulps.push(inRange ? difference / unitAt(i) : rounded ? 0 : Infinity);
    if (inRange && difference > into.absolute) into.absolute = difference;
  }
}

function summary({ ulps, absolute }: { ulps: number[]; absolute: number }): Errors {
  const sorted = Float64Array.from(ulps).sort();
  const at = (fraction: number): number => sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0;
  return { max: at(1), p999: at(0.999), absolute, count: sorted.length };
}

/** The unit of every element: see `Unit`. */
function units(
  unit: Unit,
  expected: ArrayLike<number>,
  terms: ArrayLike<number> | undefined,
  weights: ArrayLike<number> | undefined,
): (i: number) => number {
  if (unit === "largest") {
    const largest = Array.from(expected).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    return () => ulpOf(largest);
  }
  const more = unit === "terms" ? terms : unit === "gradient" ? weights : undefined;
  return (i) =>
    ulpOf(more === undefined ? expected[i] : Math.max(Math.abs(expected[i]), Math.abs(more[i])));
}

/** dy: magnitudes in [0.5, 1.5], either sign. */
const gradients = { low: 0.5, high: 1.5, log: true, signed: true } as const;

/** Measures `batches` batches of a subject on a device as it is initialised. */
export async function measure(
  subject: Subject,
  batches: number,
  device: "cpu" | "webgpu" = "cpu",
): Promise<Measured> {
  const forward = { ulps: [] as number[], absolute: 0 };
  const backward = { ulps: [] as number[], absolute: 0 };
  const { forward: forwardUnit = "result", backward: backwardUnit = "result" } = subject;
  // GPUs may take a denormal number for 0.
  const flushes = device === "webgpu";
  for (let batch = 0; batch < batches; batch++) {
    const generator = new rl.Generator(1000 + batch);
    const data = subject.shapes.map((shape, i) =>
      draw(
        shape.reduce((size, extent) => size * extent, 1),
        subject.domains[i],
        generator,
      ),
    );
    const weights = (size: number): Float64Array =>
      draw(size, [gradients], new rl.Generator(5000 + batch));
    const expected = await evaluate(subject, data, weights, "reference");
    const found = await evaluate(subject, data, weights, device);
    const positive = (values: Float64Array): Float64Array => values.map(Math.abs);
    const terms =
      forwardUnit === "terms" || backwardUnit === "terms"
        ? await evaluate(
            subject,
            data.map(positive),
            (size) => positive(weights(size)),
            "reference",
          )
        : undefined;
    collect(
      found.y,
      expected.y,
      units(forwardUnit, expected.y, terms?.y, undefined),
      flushes,
      forward,
    );
    expected.grads.forEach((grad, i) => {
      const unitAt = units(backwardUnit, grad, terms?.grads[i], weights(grad.length));
      collect(found.grads[i], grad, unitAt, flushes, backward);
    });
  }
  return { forward: summary(forward), backward: summary(backward) };
}
