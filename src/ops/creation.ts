/** Making tensors: from values, patterns and random numbers. */
import type { Backend, DeviceName, DType, TypedArray } from "../backend/backend.ts";
import { fill } from "../autograd.ts";
import { backendOf } from "../device.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import type { Generator } from "../random.ts";
import { defaultGenerator, fillIntegers, fillNormal, fillUniform, permutation } from "../random.ts";
import type { Shape } from "../shape.ts";
import { checkShape, formatShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { dtypeOf, empty, fromData, isFloat, typedArray } from "../tensor.ts";

export interface TensorOptions {
  /** Default: the device's float type (float32; float64 on the reference). */
  dtype?: DType;
  /** Default: the device chosen by `init` ("cpu"). */
  device?: DeviceName;
  /** Record operations on it for `backward()`. Default false. */
  requiresGrad?: boolean;
}

export interface RandomOptions extends TensorOptions {
  /** Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/** Nested arrays of numbers or booleans of one depth and equal lengths. */
export type NestedArray = number | boolean | readonly NestedArray[];

function finish(op: string, x: Tensor, options: TensorOptions): Tensor {
  if (options.requiresGrad) {
    if (!isFloat(x.dtype)) {
      x.dispose();
      throw new ValueError(`${op}: requiresGrad with dtype ${x.dtype}; only floats have gradients`);
    }
    x.requiresGrad = true;
  }
  return x;
}

/** Where a new tensor goes, and as what. */
function placeOf(
  op: string,
  options: TensorOptions,
  standard: DType | null,
): { backend: Backend; dtype: DType } {
  const backend = backendOf(options.device);
  const { device, float, dtypes } = backend.capabilities();
  const dtype = options.dtype ?? standard ?? float;
  if (!dtypes.includes(dtype)) {
    throw new ValueError(
      `${op}: dtype is "${dtype}"; device "${device}" has ${dtypes.join(", ")} (float64 exists on "reference")`,
    );
  }
  return { backend, dtype };
}

function make(
  op: string,
  shape: Shape,
  options: TensorOptions,
  standard: DType | null,
  values: (size: number, dtype: DType) => ArrayLike<number>,
): Tensor {
  checkShape(op, shape);
  const { backend, dtype } = placeOf(op, options, standard);
  const data = typedArray(dtype, values(sizeOf(shape), dtype));
  return finish(op, fromData(backend, data, [...shape], dtype, op), options);
}

function flattenNested(values: NestedArray): { flat: number[]; shape: number[]; bool: boolean } {
  const shape: number[] = [];
  for (let level: NestedArray = values; Array.isArray(level); level = level[0] as NestedArray) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: number[] = [];
  let bool = true;
  const visit = (value: NestedArray, depth: number): void => {
    if (!Array.isArray(value)) {
      const fits =
        depth === shape.length && (typeof value === "number" || typeof value === "boolean");
      if (!fits) {
        throw new ShapeError(
          `tensor: found ${String(value)} at depth ${depth}; expected numbers at depth ${shape.length} (shape ${formatShape(shape)})`,
        );
      }
      bool &&= typeof value === "boolean";
      flat.push(Number(value));
      return;
    }
    if (value.length !== shape[depth]) {
      throw new ShapeError(
        `tensor: nested arrays are ragged: found length ${value.length} at depth ${depth}; expected ${shape[depth] ?? "a number"}`,
      );
    }
    for (const item of value) visit(item, depth + 1);
  };
  visit(values, 0);
  return { flat, shape, bool: bool && flat.length > 0 };
}

/**
 * A tensor from a number, nested arrays, or a typed array with a shape (default: 1-dimensional).
 * Float32Array and Float64Array take the device's float type, Int32Array int32, Uint8Array and
 * booleans bool, unless `dtype` says otherwise.
 */
export function tensor(
  values: NestedArray | TypedArray,
  options: TensorOptions & { shape?: Shape } = {},
): Tensor {
  if (ArrayBuffer.isView(values)) {
    const shape = options.shape ?? [values.length];
    if (sizeOf(shape) !== values.length) {
      throw new ShapeError(
        `tensor: ${values.length} numbers do not fill the shape ${formatShape(shape)} (${sizeOf(shape)} elements)`,
      );
    }
    const own = dtypeOf(values);
    return make("tensor", shape, options, isFloat(own) ? null : own, () => values);
  }
  const { flat, shape, bool } = flattenNested(values as NestedArray);
  if (options.shape && sizeOf(options.shape) !== flat.length) {
    throw new ShapeError(
      `tensor: ${flat.length} numbers do not fill the shape ${formatShape(options.shape)} (${sizeOf(options.shape)} elements)`,
    );
  }
  return make("tensor", options.shape ?? shape, options, bool ? "bool" : null, () => flat);
}

function filled(op: string, shape: Shape, value: number, options: TensorOptions): Tensor {
  checkShape(op, shape);
  const { backend, dtype } = placeOf(op, options, null);
  const x = empty(backend, [...shape], dtype, op);
  runInPlace(fill, [], [x], { value });
  return finish(op, x, options);
}

/** A tensor full of `value`. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  return filled("full", shape, value, options);
}

/** Zeros. */
export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return filled("zeros", shape, 0, options);
}

/** Ones. */
export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return filled("ones", shape, 1, options);
}

/** Zeros with the shape, dtype and device of `x`. */
export function zerosLike(x: Tensor): Tensor {
  return filled("zerosLike", x.shape, 0, { dtype: x.dtype, device: x.device });
}

/** Ones with the shape, dtype and device of `x`. */
export function onesLike(x: Tensor): Tensor {
  return filled("onesLike", x.shape, 1, { dtype: x.dtype, device: x.device });
}

/** start, start + step, … below `stop`; with one argument from 0 on. int32 for whole numbers. */
export function arange(
  start: number,
  stop?: number,
  step = 1,
  options: TensorOptions = {},
): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (![from, to, step].every(Number.isFinite) || step === 0) {
    throw new ValueError(
      `arange: from ${from} to ${to} by ${step}; expected finite numbers and a step other than 0`,
    );
  }
  const n = Math.max(0, Math.ceil((to - from) / step));
  const standard = [from, to, step].every(Number.isInteger) ? "int32" : null;
  return make("arange", [n], options, standard, () =>
    Array.from({ length: n }, (_, i) => from + i * step),
  );
}

/** `count` numbers from `start` to `stop`, both included, evenly spaced. */
export function linspace(
  start: number,
  stop: number,
  count: number,
  options: TensorOptions = {},
): Tensor {
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  // From both ends, so that the last number is `stop` exactly.
  return make("linspace", [count], options, null, (n) =>
    Array.from({ length: n }, (_, i) => (i < n / 2 ? start + i * step : stop - (n - 1 - i) * step)),
  );
}

/** The identity matrix [n, m] (m = n by default). */
export function eye(n: number, m: number = n, options: TensorOptions = {}): Tensor {
  return make("eye", [n, m], options, null, (size) =>
    Array.from({ length: size }, (_, i) => Number(Math.floor(i / m) === i % m)),
  );
}

function floats(
  size: number,
  dtype: DType,
  draw: (out: Float32Array | Float64Array) => void,
): Float32Array | Float64Array {
  const out = dtype === "float64" ? new Float64Array(size) : new Float32Array(size);
  draw(out);
  return out;
}

/** Uniform on [low, high), default [0, 1). The same numbers on every device (Philox 4x32-10). */
export function rand(
  shape: Shape,
  options: RandomOptions & { low?: number; high?: number } = {},
): Tensor {
  const { generator = defaultGenerator(), low = 0, high = 1 } = options;
  return make("rand", shape, options, null, (size, dtype) =>
    floats(size, dtype, (out) => fillUniform(out, generator, low, high)),
  );
}

/** Normal with `mean` 0 and `std` 1 by default. The same numbers on every device. */
export function randn(
  shape: Shape,
  options: RandomOptions & { mean?: number; std?: number } = {},
): Tensor {
  const { generator = defaultGenerator(), mean = 0, std = 1 } = options;
  return make("randn", shape, options, null, (size, dtype) =>
    floats(size, dtype, (out) => fillNormal(out, generator, mean, std)),
  );
}

/** Whole numbers, uniform on [low, high), int32. */
export function randint(
  low: number,
  high: number,
  shape: Shape,
  options: RandomOptions = {},
): Tensor {
  const { generator = defaultGenerator() } = options;
  return make("randint", shape, options, "int32", (size) => {
    const out = new Int32Array(size);
    fillIntegers(out, generator, low, high);
    return out;
  });
}

/** The numbers 0 to n - 1 in random order, int32; all orders are equally likely. */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  const { generator = defaultGenerator() } = options;
  return make("randperm", [n], options, "int32", () => permutation(n, generator));
}
