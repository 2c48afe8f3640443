/** Values that do not depend on the shape, and patterns. */
import { ShapeError, ValueError } from "../../errors.ts";
import { defaultGenerator, fillNormal, fillUniform, Generator, permutation } from "../../random.ts";
import { formatShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { fillTruncatedNormal } from "./truncated-normal.ts";

/** Room for x's elements, in float64 for those of the reference device. */
export function buffer(x: Tensor): Float32Array | Float64Array {
  return x.dtype === "float64" ? new Float64Array(x.size) : new Float32Array(x.size);
}

/** Uniform on [low, high). */
export function uniform(
  x: Tensor,
  low = 0,
  high = 1,
  generator: Generator = defaultGenerator(),
): Tensor {
  const data = buffer(x);
  fillUniform(data, generator, low, high);
  return x.copyFrom(data);
}

/** Normal. */
export function normal(
  x: Tensor,
  mean = 0,
  std = 1,
  generator: Generator = defaultGenerator(),
): Tensor {
  const data = buffer(x);
  fillNormal(data, generator, mean, std);
  return x.copyFrom(data);
}

/** One value everywhere. */
export function constant(x: Tensor, value: number): Tensor {
  return x.copyFrom(buffer(x).fill(value));
}

/** 0 everywhere. */
export function zeros(x: Tensor): Tensor {
  return constant(x, 0);
}

/** 1 everywhere. */
export function ones(x: Tensor): Tensor {
  return constant(x, 1);
}

/**
 * Normal, but for values outside [a, b], which are drawn again. Defaults: mean 0, std 1, a -2, b 2;
 * a and b are values, not multiples of std.
 */
export function truncNormal(
  x: Tensor,
  mean = 0,
  std = 1,
  a = -2,
  b = 2,
  generator: Generator = defaultGenerator(),
): Tensor {
  const data = buffer(x);
  fillTruncatedNormal(data, generator, mean, std, a, b);
  return x.copyFrom(data);
}

/** The identity, for x [n, m]: 1 on the diagonal, else 0. */
export function eye(x: Tensor): Tensor {
  checkMatrix("eye", x);
  const [rows, columns] = x.shape;
  const data = buffer(x);
  for (let i = 0; i < rows && i < columns; i++) data[i * columns + i] = 1;
  return x.copyFrom(data);
}

/**
 * Weights [out, in, ...] of a convolution that gives its input: output channel i of each group (default: one
 * group) is input channel i, by a 1 in the middle of the kernel; channels beyond stay 0.
 */
export function dirac(x: Tensor, groups = 1): Tensor {
  if (x.ndim < 3 || x.ndim > 5) {
    throw new ShapeError(
      `init.dirac: found ${formatShape(x.shape)}; expected a convolution's weight [out, in, ...] with 3 to 5 dimensions`,
    );
  }
  const [outputs, inputs, ...kernel] = x.shape;
  if (!Number.isInteger(groups) || groups < 1 || outputs % groups !== 0) {
    throw new ValueError(
      `init.dirac: groups is ${groups}; expected a divisor of ${outputs} output channels`,
    );
  }
  const size = kernel.reduce((product, extent) => product * extent, 1);
  const middle = kernel.reduce((at, extent) => at * extent + Math.floor(extent / 2), 0);
  const perGroup = outputs / groups;
  const data = buffer(x);
  for (let o = 0; o < outputs; o++) {
    const i = o % perGroup;
    if (i < inputs && size > 0) data[(o * inputs + i) * size + middle] = 1;
  }
  return x.copyFrom(data);
}

/**
 * Normal with mean 0 and std (default 0.01), for x [n, m], but in each column ⌈sparsity · n⌉ elements, drawn at
 * random, are 0 (J. Martens, "Deep learning via Hessian-free optimization", 2010).
 */
export function sparse(
  x: Tensor,
  sparsity: number,
  std = 0.01,
  generator: Generator = defaultGenerator(),
): Tensor {
  checkMatrix("sparse", x);
  if (!(sparsity >= 0 && sparsity <= 1)) {
    throw new ValueError(`init.sparse: sparsity is ${sparsity}; expected a number from 0 to 1`);
  }
  const [rows, columns] = x.shape;
  const zeros = Math.ceil(sparsity * rows);
  const data = buffer(x);
  fillNormal(data, generator, 0, std);
  const order = new Generator(generator.nextSeed());
  for (let j = 0; j < columns; j++) {
    for (const i of permutation(rows, order).subarray(0, zeros)) data[i * columns + j] = 0;
  }
  return x.copyFrom(data);
}

function checkMatrix(name: string, x: Tensor): void {
  if (x.ndim === 2) return;
  throw new ShapeError(`init.${name}: found ${formatShape(x.shape)}; expected a matrix [n, m]`);
}
