/** Activation functions: elementwise, with their gradients as fused operations. */
import * as elementary from "../elementary/index.ts";
import type { Op } from "../op.ts";
import { run } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { NoAttrs } from "./common.ts";
import { defineMap, defineZip, none, toFloat } from "./common.ts";

interface ActivationSpec<A> {
  name: string;
  wasm?: string;
  params?: readonly (keyof A & string)[];
  reference: (x: number, ...params: number[]) => number;
  /** What the gradient is computed from: the input, or the output where that suffices. */
  from: "x" | "y";
  /** dx from (x or y, dy, ...params). */
  grad: (saved: number, dy: number, ...params: number[]) => number;
  /** The GPU's expressions: of x, and of a (what is saved) and b (dy). */
  wgsl: string;
  gradWgsl: string;
}

function defineActivation<A = NoAttrs>(spec: ActivationSpec<A>): Op<A> {
  const { name, wasm = name, params, reference, wgsl } = spec;
  const gradOp = defineZip<A>({
    name: `${name}Grad`,
    wasm: `${wasm}_grad`,
    params,
    reference: spec.grad as (...values: number[]) => number,
    wgsl: spec.gradWgsl,
  });
  return defineMap<A>({
    name,
    wasm,
    params,
    reference: reference as (...values: number[]) => number,
    wgsl,
    saves: spec.from === "x" ? [0] : ["y"],
    vjp: (dy, { saved: [saved] }, attrs) => [run(gradOp, [saved, dy], attrs)],
  });
}

export const reluOp: Op<NoAttrs> = defineActivation({
  name: "relu",
  reference: (x) => Math.max(x, 0),
  from: "y",
  grad: (y, dy) => (y <= 0 ? 0 : dy), // NaN passes dy on, as in PyTorch
  wgsl: "f_max(x, 0.0)",
  gradWgsl: "select(b, 0.0, !is_nan(a) && a <= 0.0)",
});

export const tanhOp: Op<NoAttrs> = defineActivation({
  name: "tanh",
  reference: elementary.tanh,
  from: "y",
  grad: (y, dy) => dy * (1 - y * y),
  wgsl: "f_tanh(x)",
  gradWgsl: "b * (1.0 - a * a)",
});

export const sigmoidOp: Op<NoAttrs> = defineActivation({
  name: "sigmoid",
  reference: elementary.sigmoid,
  from: "y",
  grad: (y, dy) => dy * y * (1 - y),
  wgsl: "f_sigmoid(x)",
  gradWgsl: "b * a * (1.0 - a)",
});

const logSigmoidOp = defineActivation({
  name: "logSigmoid",
  wasm: "log_sigmoid",
  reference: (x) => -elementary.logOnePlusExp(-x),
  from: "x",
  grad: (x, dy) => dy * elementary.sigmoid(-x),
  wgsl: "-f_log_one_plus_exp(-x)",
  gradWgsl: "b * f_sigmoid(-a)",
});

/** x where gradients are constant beyond ±1000, so that an infinity gives their limit and not ∞·0. */
function bounded(x: number): number {
  return Math.min(Math.max(x, -1000), 1000);
}

const siluOp = defineActivation({
  name: "silu",
  reference: (x) => x * elementary.sigmoid(x),
  from: "x",
  grad: (x, dy) => {
    const z = bounded(x);
    return dy * elementary.sigmoid(z) * (1 + z * elementary.sigmoid(-z));
  },
  wgsl: "x * f_sigmoid(x)",
  gradWgsl: "b * f_silu_slope(f_bounded(a))",
});

const geluOp = defineActivation({
  name: "gelu",
  reference: (x) => x * elementary.normalCdf(x),
  from: "x",
  grad: (x, dy) => {
    const z = bounded(x);
    return dy * (elementary.normalCdf(z) + z * elementary.normalDensity(z));
  },
  wgsl: "x * f_normal_cdf(x)",
  gradWgsl: "b * f_gelu_slope(f_bounded(a))",
});

/** √(2/π) (x + 0.044715 x³) */
function geluInner(x: number): number {
  return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
}

const geluTanhOp = defineActivation({
  name: "geluTanh",
  wasm: "gelu_tanh",
  reference: (x) => 0.5 * x * (1 + elementary.tanh(geluInner(x))),
  from: "x",
  grad: (unbounded, dy) => {
    const x = bounded(unbounded);
    const t = elementary.tanh(geluInner(x));
    const slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope);
  },
  wgsl: "x * f_sigmoid(2.0 * f_gelu_inner(x))",
  gradWgsl: "b * f_gelu_tanh_slope(f_bounded(a))",
});

export const leakyReluOp: Op<{ slope: number }> = defineActivation<{ slope: number }>({
  name: "leakyRelu",
  wasm: "leaky_relu",
  params: ["slope"],
  reference: (x, slope) => (x > 0 ? x : x * slope),
  from: "x",
  grad: (x, dy, slope) => (x > 0 ? dy : dy * slope),
  wgsl: "select(x * slope, x, !is_nan(x) && x > 0.0)",
  gradWgsl: "select(b * slope, b, !is_nan(a) && a > 0.0)",
});

const eluOp = defineActivation<{ alpha: number }>({
  name: "elu",
  params: ["alpha"],
  reference: (x, alpha) => (x > 0 ? x : alpha * elementary.expm1(x)),
  from: "x",
  grad: (x, dy, alpha) => (x <= 0 ? dy * alpha * elementary.exp(x) : dy), // NaN passes dy on
  wgsl: "select(alpha * f_expm1(x), x, !is_nan(x) && x > 0.0)",
  gradWgsl: "select(b, b * (alpha * f_exp(a)), !is_nan(a) && a <= 0.0)",
});

const softplusOp = defineActivation<{ beta: number; threshold: number }>({
  name: "softplus",
  params: ["beta", "threshold"],
  reference: (x, beta, threshold) =>
    x * beta > threshold ? x : elementary.logOnePlusExp(x * beta) / beta,
  from: "x",
  grad: (x, dy, beta, threshold) => (x * beta > threshold ? dy : dy * elementary.sigmoid(x * beta)),
  wgsl: "select(f_div(f_log_one_plus_exp(x * beta), beta), x, !is_nan(x) && x * beta > threshold)",
  gradWgsl: "select(b * f_sigmoid(a * beta), b, !is_nan(a) && a * beta > threshold)",
});

/** max(x, 0). Gradient 0 at 0; NaN stays NaN. */
export function relu(x: Tensor): Tensor {
  return run(reluOp, [toFloat(x)], none);
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return run(tanhOp, [toFloat(x)], none);
}

/** 1 / (1 + exp(-x)) */
export function sigmoid(x: Tensor): Tensor {
  return run(sigmoidOp, [toFloat(x)], none);
}

/** log(sigmoid(x)) without underflow. */
export function logSigmoid(x: Tensor): Tensor {
  return run(logSigmoidOp, [toFloat(x)], none);
}

/** x · sigmoid(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return run(siluOp, [toFloat(x)], none);
}

/**
 * x Φ(x) with the distribution function Φ of the standard normal (arXiv 1606.08415); approximate
 * "tanh" gives 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). Default "none".
 */
export function gelu(x: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor {
  return run(options.approximate === "tanh" ? geluTanhOp : geluOp, [toFloat(x)], none);
}

/** x where x > 0, elsewhere negativeSlope · x (default 0.01; also the gradient at 0). */
export function leakyRelu(x: Tensor, negativeSlope = 0.01): Tensor {
  return run(leakyReluOp, [toFloat(x)], { slope: negativeSlope });
}

/** x where x > 0, elsewhere alpha · (exp(x) - 1). Default alpha 1. */
export function elu(x: Tensor, alpha = 1): Tensor {
  return run(eluOp, [toFloat(x)], { alpha });
}

/** log(1 + exp(beta x)) / beta; x itself where beta x > threshold. Defaults 1 and 20. */
export function softplus(x: Tensor, options: { beta?: number; threshold?: number } = {}): Tensor {
  const { beta = 1, threshold = 20 } = options;
  return run(softplusOp, [toFloat(x)], { beta, threshold });
}
