/** From a row of the table to tensors: values by domain, on any device, in any layout. */
import type { DeviceName, Generator, Tensor } from "../../src/index.ts";
import * as rl from "../../src/index.ts";
import { tensor } from "../../src/index.ts";
import { fillIntegers, fillUniform, permutation } from "../../src/random.ts";
import type { Domain, Row } from "./table.ts";

/** Fixed, so that a failure can be repeated; part of every message. */
export const seed = 20_261_122;

export const layouts = ["dense", "transposed", "sliced"] as const;
export type Layout = (typeof layouts)[number];
export type Shapes = Row["shapes"][number];

/** Values of one input, drawn by its domain; rounded to float32, so that all devices see the same. */
export function draw(shape: readonly number[], domain: Domain, generator: Generator): Float64Array {
  const size = shape.reduce((n, extent) => n * extent, 1);
  const { low = -2, high = 2, avoid = [] } = domain;
  if (domain.distinct) {
    return Float64Array.from(permutation(size, generator), (v) => Math.fround(v / 8 - size / 16));
  }
  if (domain.integers || domain.booleans) {
    const out = new Int32Array(size);
    if (domain.booleans) fillIntegers(out, generator, 0, 2);
    else fillIntegers(out, generator, low, high + 1);
    return Float64Array.from(out);
  }
  const out = new Float32Array(size);
  fillUniform(out, generator, low, high);
  return Float64Array.from(out, (value) => {
    const kink = avoid.find((at) => Math.abs(value - at) < 0.05);
    return kink === undefined ? value : Math.fround(kink + (value < kink ? -0.1 : 0.1));
  });
}

/** The values of all inputs of one case. */
export function drawAll(row: Row, shapes: Shapes): Float64Array[] {
  const generator = new rl.Generator(seed);
  return shapes.map((shape, i) => draw(shape, domainOf(row, i), generator));
}

export function domainOf(row: Row, i: number): Domain {
  return (Array.isArray(row.domain) ? (row.domain as Domain[])[i] : (row.domain as Domain)) ?? {};
}

export function isDifferentiable(row: Row, i: number): boolean {
  const domain = domainOf(row, i);
  return !row.discrete && !domain.integers && !domain.booleans;
}

/** The inputs of one case; those that are differentiable require a gradient. */
export function place(
  row: Row,
  data: readonly Float64Array[],
  shapes: Shapes,
  device: DeviceName,
  layout: Layout,
): Tensor[] {
  return data.map((values, i) => {
    const x = placeOne(values, shapes[i], domainOf(row, i), device, layout);
    x.requiresGrad = isDifferentiable(row, i);
    return x;
  });
}

/** The values in memory laid out so that the tensor is a strided view, where its rank allows it. */
function placeOne(
  data: Float64Array,
  shape: readonly number[],
  domain: Domain,
  device: DeviceName,
  layout: Layout,
): Tensor {
  const dtype = domain.integers ? "int32" : domain.booleans ? "bool" : undefined;
  const dense = tensor(Float64Array.from(data), {
    shape,
    dtype: dtype ?? (device === "reference" ? "float64" : "float32"),
    device,
  });
  const last = shape.length - 1;
  if (layout === "dense" || shape.length === 0) return dense;
  if (layout === "transposed" && shape.length > 1) {
    const turned = rl.contiguous(rl.transpose(dense, last - 1, last));
    return rl.transpose(turned, last - 1, last).detach();
  }
  const pairs = rl.stack([dense, dense], last + 1);
  return rl.squeeze(rl.narrow(pairs, last + 1, 0, 1), last + 1).detach();
}
