/**
 * Random calls of every operation: shapes, attributes, layouts (any order of dimensions, steps,
 * negative and zero strides, offsets), broadcasts and values are drawn, and the cpu must agree with
 * the reference, forward and backward, errors included. A failure prints seed, path and the smallest
 * example found. Environment: PROPERTY_SEED (default fixed), PROPERTY_RUNS (per operation, default 40).
 */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { scope, tensor } from "../../src/index.ts";
import { operations } from "../../src/op.ts";
import { fillUniform } from "../../src/random.ts";
import { largestMagnitude, relativeError } from "../golden/compare.ts";
import { draw } from "./cases.ts";
import type { Draw, Drawn, ValueKind } from "./draws.ts";
import { draws, drawsOf } from "./draws.ts";
import type { Domain } from "./table.ts";
import { rows } from "./table.ts";

const seed = Number(process.env.PROPERTY_SEED ?? 20_261_122);
const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);

/** How an input lies in memory: `order` of the dimensions there, one with a step, one stretched. */
interface Layout {
  order: number[];
  stepped: number;
  step: number;
  offset: number;
  stretched: number;
}

const layoutOf = (rank: number): fc.Arbitrary<Layout> =>
  fc.record({
    order: fc.shuffledSubarray(
      Array.from({ length: rank }, (_, d) => d),
      { minLength: rank },
    ),
    stepped: fc.nat({ max: Math.max(rank - 1, 0) }),
    step: fc.constantFrom(1, 1, 2, 3, -1, -2),
    offset: fc.constantFrom(0, 0, 1, 3),
    stretched: fc.constantFrom(-1, -1, -1, ...Array.from({ length: rank }, (_, d) => d)),
  });

interface Case extends Drawn {
  layouts: Layout[];
  kind: ValueKind;
  valueSeed: number;
}

/** The case as text: functions have none. */
function described(example: Case): Case {
  const text = (): string => {
    const { how, shapes, layouts, kind, valueSeed } = example;
    const views = shapes.map(
      (shape, i) => `${JSON.stringify(shape)} as ${JSON.stringify(layouts[i])}`,
    );
    return `{ ${how} inputs: ${views.join("; ")}; values: ${kind}, seed ${valueSeed} }`;
  };
  return Object.assign(example, { [fc.toStringMethod]: text });
}

const cases = ({ calls, values }: Draw): fc.Arbitrary<Case> =>
  calls.chain((call) =>
    fc
      .record({
        layouts: fc.tuple(...call.shapes.map((shape) => layoutOf(shape.length))),
        kind: fc.constantFrom(...values),
        valueSeed: fc.nat({ max: 9999 }),
      })
      .map((rest) => described({ ...call, ...rest })),
  );

// No denormals: their reciprocals, as gradients have them, overflow in float32 alone.
const specials = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -2, 3];

/** Values of the kind; integers and booleans are drawn by their domain whatever the kind. */
function values(size: number, kind: ValueKind, domain: Domain, g: rl.Generator): Float64Array {
  if (kind === "uniform" || domain.integers || domain.booleans) {
    return draw([size], { ...domain, distinct: undefined, avoid: [] }, g);
  }
  const out = new Float64Array(size);
  fillUniform(out, g, 0, 1);
  const magnitude = (u: number, low: number, high: number): number => {
    const half = u < 0.5 ? -1 : 1;
    return half * 2 ** (low + (high - low) * ((2 * u) % 1));
  };
  return out.map((u) => {
    if (kind === "ties") return Math.floor(u * 5) / 2 - 1;
    if (kind === "special") return Math.fround(specials[Math.floor(u * specials.length)]);
    const [low, high] = { tiny: [-41, -39], huge: [39, 41], mixed: [-12, 12] }[kind];
    return Math.fround(magnitude(u, low, high));
  });
}

/** A view with this shape and layout on memory of its own. */
function place(
  shape: readonly number[],
  { order, stepped, step, offset, stretched }: Layout,
  kind: ValueKind,
  domain: Domain,
  generator: rl.Generator,
  device: DeviceName,
): Tensor {
  const spread = (n: number): number => (n === 0 ? 0 : offset + (n - 1) * Math.abs(step) + 1);
  const base = shape.map((n, d) => (d === stretched && n > 0 ? 1 : d === stepped ? spread(n) : n));
  const inMemory = order.map((d) => base[d]);
  const size = base.reduce((n, extent) => n * extent, 1);
  const dtype = domain.integers ? "int32" : domain.booleans ? "bool" : undefined;
  let x = tensor(values(size, kind, domain, generator), {
    shape: inMemory,
    device,
    dtype: dtype ?? (device === "reference" ? "float64" : "float32"),
  });
  if (order.length > 0)
    x = rl.permute(
      x,
      order.map((_, d) => order.indexOf(d)),
    );
  if (stepped !== stretched && shape[stepped] > 0) {
    const n = base[stepped];
    const whole: [null, null, number] = [null, null, 1];
    const range: [number, null, number] =
      step > 0 ? [offset, null, step] : [n - 1 - offset, null, step];
    x = rl.slice(
      x,
      shape.map((_, d) => (d === stepped ? range : whole)),
    );
  }
  return rl.expand(x, shape).detach();
}

interface Result {
  values: ArrayLike<number>;
  exact: boolean;
  shape: readonly number[];
  grads: (ArrayLike<number> | null)[];
  /** The largest finite magnitude among the float inputs. */
  magnitude: number;
}

/** What the call comes to on a device, or the text of the error that it throws. */
function evaluate(example: Case, device: DeviceName): Result | string {
  return scope(() => {
    const generator = new rl.Generator(example.valueSeed);
    const domainOf = (i: number): Domain => example.domains?.[i] ?? {};
    const inputs = example.shapes.map((shape, i) => {
      const x = place(shape, example.layouts[i], example.kind, domainOf(i), generator, device);
      assert.equal(x.shape, shape);
      x.requiresGrad = !example.discrete && !domainOf(i).integers && !domainOf(i).booleans;
      return x;
    });
    try {
      const y = example.f(...inputs);
      const magnitude = Math.max(
        ...inputs.map((x) => (x.requiresGrad ? largestMagnitude(x.dataSync()) : 0)),
      );
      const exact = y.dtype === "int32" || y.dtype === "bool";
      const result = { values: y.dataSync(), exact, shape: y.shape, magnitude };
      if (!y.requiresGrad) return { ...result, grads: [] };
      const weights = draw(y.shape, { low: 0.5, high: 1.5 }, generator);
      y.backward(tensor(weights, { shape: y.shape, device, dtype: y.dtype }));
      return { ...result, grads: inputs.map((x) => x.grad?.dataSync() ?? null) };
    } catch (error) {
      if (error instanceof rl.RoadlessError) return error.message.replaceAll("float64", "float32");
      throw error;
    }
  });
}

const smallestNormal = 2 ** -126;
const largestFloat = 3.4028234663852886e38;

function agree(
  what: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  scale: number,
  tolerance: number,
): void {
  assert.is(found.length, expected.length, `${what}: number of elements`);
  for (let i = 0; i < expected.length; i++) {
    const rounded = Math.fround(expected[i]);
    // Results below the normal range may lose digits, and those about the largest become infinite.
    const bound = Math.max(Math.abs(rounded), Math.abs(found[i]));
    if (bound < smallestNormal) continue;
    if (bound === Infinity && Math.abs(expected[i]) > 0.5 * largestFloat) {
      if (Math.sign(found[i]) === Math.sign(expected[i])) continue;
    }
    const error = relativeError(found[i], rounded, scale);
    if (error > tolerance) {
      throw new Error(`${what}[${i}]: cpu ${found[i]}, reference ${rounded} (error ${error})`);
    }
  }
}

function compare(example: Case, tolerance: number): void {
  const expected = evaluate(example, "reference");
  const found = evaluate(example, "cpu");
  if (typeof expected === "string" || typeof found === "string") {
    assert.equal(found, expected, "the errors differ");
    return;
  }
  assert.equal(found.shape, expected.shape, "shape");
  const finite = largestMagnitude(expected.values);
  const scale = Math.max(finite, expected.magnitude);
  agree(
    "y",
    found.values,
    expected.values,
    expected.exact ? 0 : scale,
    expected.exact ? 0 : tolerance,
  );
  expected.grads.forEach((grad, i) => {
    if (grad === null) assert.is(found.grads[i], null, `gradient ${i}`);
    else {
      const unit = Math.max(1, largestMagnitude(grad), expected.magnitude);
      agree(`gradient ${i}`, found.grads[i]!, grad, unit, tolerance);
    }
  });
}

const all: readonly Draw[] = [...rows.filter((row) => row.draw).map(drawsOf), ...draws];

function defineProperties(precision: "strict" | "fast"): void {
  const property = suite(`property, ${precision}`);
  const seen = new Set<string>();

  property.before(async () => {
    await rl.init({ device: "cpu", precision });
    rl.setTracer(({ op }) => seen.add(op));
  });
  property.after(async () => {
    rl.setTracer(null);
    rl.backend().close();
    await rl.init({ device: "cpu" });
  });

  for (const op of new Set(all.map((one) => one.op))) {
    property(op, () => {
      const kinds = all.filter((one) => one.op === op);
      for (const kind of kinds) {
        const check = (example: Case): void => compare(example, kind.tolerance ?? 4e-6);
        const runs = Math.ceil(numRuns / Math.min(kinds.length, 4));
        fc.assert(fc.property(cases(kind), check), { seed, numRuns: runs });
      }
    });
  }

  property("every record has been drawn", () => {
    const drawn = new Set(all.map(({ op }) => op));
    const missing = [...operations.entries()]
      .filter(([name, op]) => !("kind" in op ? seen : drawn).has(name))
      .map(([name]) => name);
    assert.equal(missing, [], "add them to draws.ts");
  });

  property.run();
}

defineProperties("strict");
await rl.init({ device: "cpu", precision: "fast" });
const hasFast = rl.backend().capabilities().precision === "fast";
rl.backend().close();
await rl.init({ device: "cpu" });
if (hasFast) defineProperties("fast");
