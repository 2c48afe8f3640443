/** Further activation functions, composed of others: PyTorch's names and gradients. */
import { ShapeError } from "../errors.ts";
import { formatShape, normalizeDim } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { elu, sigmoid, softplus, tanh } from "./activation.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import { ge, gt, le, where } from "./compare.ts";
import { toFloat } from "./common.ts";
import { abs, clamp } from "./math.ts";
import { chunk } from "./rearrange.ts";

/** The constants of G. Klambauer et al., arXiv 1706.02515. */
const seluAlpha = 1.6732632423543772;
const seluScale = 1.0507009873554805;

/** scale · elu(x, alpha), whose constants keep mean 0 and variance 1 (arXiv 1706.02515). */
export function selu(x: Tensor): Tensor {
  return mul(elu(x, seluAlpha), seluScale);
}

/** x where x > 0, elsewhere alpha · (exp(x / alpha) − 1) (arXiv 1704.07483). Default alpha 1. */
export function celu(x: Tensor, alpha = 1): Tensor {
  return mul(elu(div(x, alpha)), alpha);
}

/** x limited to [min, max], by default [-1, 1]. Unlike `clamp`'s, the gradient at the bounds is 0. */
export function hardtanh(x: Tensor, options: { min?: number; max?: number } = {}): Tensor {
  const { min = -1, max = 1 } = options;
  const input = toFloat(x);
  return where(le(input, min), min, where(ge(input, max), max, input));
}

/** min(max(x, 0), 6). Gradient 0 at both bounds. */
export function relu6(x: Tensor): Tensor {
  return hardtanh(x, { min: 0, max: 6 });
}

/** relu6(x + 3) / 6 */
export function hardsigmoid(x: Tensor): Tensor {
  return div(relu6(add(toFloat(x), 3)), 6);
}

/** x · relu6(x + 3) / 6 (arXiv 1905.02244). */
export function hardswish(x: Tensor): Tensor {
  return mul(toFloat(x), hardsigmoid(x));
}

/** x · tanh(softplus(x)) (arXiv 1908.08681). */
export function mish(x: Tensor): Tensor {
  return mul(toFloat(x), tanh(softplus(x)));
}

/** x / (1 + |x|) */
export function softsign(x: Tensor): Tensor {
  const input = toFloat(x);
  return div(input, add(abs(input), 1));
}

/** x − tanh(x) */
export function tanhshrink(x: Tensor): Tensor {
  return sub(toFloat(x), tanh(x));
}

/** x moved towards 0 by `lambda` (default 0.5), and no further. */
export function softshrink(x: Tensor, lambda = 0.5): Tensor {
  const input = toFloat(x);
  return sub(input, clamp(input, { min: -lambda, max: lambda }));
}

/** x where |x| > `lambda` (default 0.5), elsewhere 0. */
export function hardshrink(x: Tensor, lambda = 0.5): Tensor {
  const input = toFloat(x);
  return where(le(abs(input), lambda), 0, input);
}

/** x where x > `threshold`, elsewhere `value`. */
export function threshold(x: Tensor, threshold: number, value: number): Tensor {
  const input = toFloat(x);
  return where(le(input, threshold), value, input);
}

/**
 * x where x > 0, elsewhere weight · x (arXiv 1502.01852): x [n, c, …], weight [c], or of one element for
 * all channels.
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  const channels = x.ndim < 2 ? 1 : x.shape[1];
  if (weight.size !== 1 && (weight.ndim !== 1 || weight.size !== channels)) {
    throw new ShapeError(
      `prelu: weight ${formatShape(weight.shape)} for ${formatShape(x.shape)}; expected [1], or [${channels}], one number per channel`,
    );
  }
  const shape = x.shape.map((_, d) => (d === 1 ? weight.size : 1));
  const slope = reshape(weight, x.ndim < 2 ? [1] : shape);
  return where(gt(x, 0), x, mul(x, slope));
}

/** The first half along `dim` (default the last) times the sigmoid of the second (arXiv 1612.08083). */
export function glu(x: Tensor, dim = -1): Tensor {
  const extent = x.shape[normalizeDim("glu", dim, x.ndim)];
  if (x.ndim === 0 || extent % 2 !== 0) {
    throw new ShapeError(
      `glu: dimension ${dim} of ${formatShape(x.shape)}; expected an even extent, for two halves`,
    );
  }
  const [value, gate] = chunk(x, 2, dim);
  return mul(toFloat(value), sigmoid(gate));
}
