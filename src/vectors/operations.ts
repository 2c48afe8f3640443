/** What the names of golden/1's operations and their attributes mean: one line each. */
import type { SliceRange } from "../index.ts";
import * as rl from "../index.ts";
import type { Tensor } from "../index.ts";
import { tensor } from "../index.ts";
import type { JsonNumber } from "./format.ts";
import { toNumber } from "./format.ts";

/** Attributes as they stand in files; each operation knows its own. */
export type GoldenAttrs = Readonly<Record<string, never>>;

/** A case's tensors in order; those with a name also by it. */
export type OperationInputs = Tensor[] & { byName: Record<string, Tensor | undefined> };
/** Calls an operation with a case's tensors and attributes (with golden/1's names). */
export type Operation = (inputs: OperationInputs, attrs: GoldenAttrs) => Tensor | Tensor[];

const unary =
  (f: (x: Tensor) => Tensor): Operation =>
  ([x]) =>
    f(x);
const binary =
  (f: (a: Tensor, b: Tensor) => Tensor): Operation =>
  ([a, b]) =>
    f(a, b);

type DimAttrs = { dim?: number | number[]; keepdim?: boolean };
const reduce =
  (f: (x: Tensor, dim?: number | number[], o?: { keepdim?: boolean }) => Tensor): Operation =>
  ([x], attrs) => {
    const { dim, keepdim } = attrs as DimAttrs;
    return f(x, dim, { keepdim });
  };

const extremes =
  (f: typeof rl.max): Operation =>
  ([x], attrs) => {
    const { dim, keepdim } = attrs as { dim?: number; keepdim?: boolean };
    if (dim === undefined || dim === null) return f(x);
    const { values, indices } = f(x, dim, { keepdim });
    return [values, indices];
  };

/** How each operation of golden/1 is said here. */
export const operations: Readonly<Record<string, Operation>> = {
  add: binary(rl.add),
  sub: binary(rl.sub),
  mul: binary(rl.mul),
  div: binary(rl.div),
  pow: binary(rl.pow),
  maximum: binary(rl.maximum),
  minimum: binary(rl.minimum),
  add_scalar: ([a], { value }) => rl.add(a, toNumber(value)),
  mul_scalar: ([a], { value }) => rl.mul(a, toNumber(value)),
  rsub_scalar: ([a], { value }) => rl.sub(toNumber(value), a),
  rdiv_scalar: ([a], { value }) => rl.div(toNumber(value), a),
  pow_scalar: ([a], { exponent }) => rl.pow(a, toNumber(exponent)),
  scalar_pow: ([a], { base }) => rl.pow(toNumber(base), a),
  lerp: ([a, b], { weight }) => rl.lerp(a, b, toNumber(weight)),
  where: ([condition, a, b]) => rl.where(condition, a, b),
  masked_fill: ([a, mask], { value }) => rl.maskedFill(a, mask, toNumber(value)),
  neg: unary(rl.neg),
  abs: unary(rl.abs),
  sign: unary(rl.sign),
  exp: unary(rl.exp),
  log: unary(rl.log),
  log2: unary(rl.log2),
  log10: unary(rl.log10),
  log1p: unary(rl.log1p),
  expm1: unary(rl.expm1),
  sqrt: unary(rl.sqrt),
  rsqrt: unary(rl.rsqrt),
  square: unary(rl.square),
  reciprocal: unary(rl.reciprocal),
  sin: unary(rl.sin),
  cos: unary(rl.cos),
  tan: unary(rl.tan),
  tanh: unary(rl.tanh),
  sigmoid: unary(rl.sigmoid),
  log_sigmoid: unary(rl.logSigmoid),
  erf: unary(rl.erf),
  relu: unary(rl.relu),
  silu: unary(rl.silu),
  floor: unary(rl.floor),
  ceil: unary(rl.ceil),
  round: unary(rl.round),
  trunc: unary(rl.trunc),
  leaky_relu: ([x], { negative_slope }) => rl.leakyRelu(x, negative_slope),
  elu: ([x], { alpha }) => rl.elu(x, alpha),
  gelu: ([x], { approximate }) => rl.gelu(x, { approximate }),
  softplus: ([x], { beta, threshold }) => rl.softplus(x, { beta, threshold }),
  clamp: ([x], attrs) => {
    const { min, max } = attrs as { min?: JsonNumber | null; max?: JsonNumber | null };
    const bound = (v: JsonNumber | null | undefined): number | undefined =>
      v === null || v === undefined ? undefined : toNumber(v);
    return rl.clamp(x, { min: bound(min), max: bound(max) });
  },

  sum: reduce(rl.sum),
  mean: reduce(rl.mean),
  amax: reduce(rl.amax),
  amin: reduce(rl.amin),
  max: extremes(rl.max),
  min: extremes(rl.min),
  argmax: ([x], { dim, keepdim }) => rl.argmax(x, dim ?? undefined, { keepdim }),
  argmin: ([x], { dim, keepdim }) => rl.argmin(x, dim ?? undefined, { keepdim }),

  logsumexp: reduce(rl.logsumexp),
  prod: reduce(rl.prod),
  var: ([x], { dim, correction, keepdim }) => rl.variance(x, dim, { correction, keepdim }),
  std: ([x], { dim, correction, keepdim }) => rl.std(x, dim, { correction, keepdim }),
  norm: ([x], { ord, dim, keepdim }) => rl.norm(x, toNumber(ord), dim, { keepdim }),
  cumsum: ([x], { dim }) => rl.cumsum(x, dim),

  matmul: binary(rl.matmul),
  outer: binary(rl.outer),
  linear: ([x, weight, bias]) => rl.linear(x, weight, bias),

  transpose: ([x], { dim0, dim1 }) => rl.transpose(x, dim0, dim1),
  permute: ([x], { dims }) => rl.permute(x, dims),
  reshape: ([x], { shape }) => rl.reshape(x, shape),
  expand: ([x], { shape }) => rl.expand(x, shape),
  squeeze: ([x], { dim }) => rl.squeeze(x, dim ?? undefined),
  unsqueeze: ([x], { dim }) => rl.unsqueeze(x, dim),
  slice: ([x], { slices }) => rl.slice(x, slices as SliceRange[]),
  stack: (inputs, { dim }) => rl.stack(inputs, dim),
  concat: (inputs, { dim }) => rl.concat(inputs, dim),
  split: ([x], { sizes, dim }) => rl.split(x, sizes, dim),

  flip: ([x], { dims }) => rl.flip(x, dims),
  roll: ([x], { shifts, dims }) => rl.roll(x, shifts, dims),
  tile: ([x], { repeats }) => rl.tile(x, repeats),
  pad: ([x], attrs) => {
    const { pad, mode, value } = attrs as Record<string, never>;
    return rl.pad(x, pad, { mode, value: toNumber(value ?? 0) });
  },
  chunk: ([x], { chunks, dim }) => rl.chunk(x, chunks, dim),
  gather: ([x, index], { dim }) => rl.gather(x, dim, index),
  index_select: ([x, index], { dim }) => rl.indexSelect(x, dim, index),
  embedding: ([index, weight], { padding_idx, scale_grad_by_freq }) =>
    rl.embedding(index, weight, {
      paddingIdx: padding_idx ?? undefined,
      scaleGradByFreq: scale_grad_by_freq,
    }),
  scatter_add: ([x, index, src], { dim }) => rl.scatterAdd(x, dim, index, src),
  index_add: ([x, index, src], { dim, alpha }) => rl.indexAdd(x, dim, index, src, { alpha }),
  one_hot: ([index], { num_classes }) => rl.oneHot(index, num_classes),
  tril: ([x], { diagonal }) => rl.tril(x, diagonal),
  triu: ([x], { diagonal }) => rl.triu(x, diagonal),

  softmax: ([x], { dim }) => rl.softmax(x, dim),
  log_softmax: ([x], { dim }) => rl.logSoftmax(x, dim),
  dropout: ([x], { p, training }) => rl.dropout(x, { p, training }),

  batch_norm: ({ byName }, { training, momentum, eps }) => {
    const { running_mean: runningMean, running_var: runningVar, weight, bias } = byName;
    const y = rl.batchNorm(byName.input!, {
      runningMean,
      runningVar,
      weight,
      bias,
      training,
      momentum,
      eps,
    });
    return runningMean === undefined ? y : [y, runningMean, runningVar!];
  },

  layer_norm: ({ byName }, { normalized_shape, eps }) =>
    rl.layerNorm(byName.input!, normalized_shape, {
      weight: byName.weight,
      bias: byName.bias,
      eps,
    }),
  rms_norm: ({ byName }, { normalized_shape, eps }) =>
    rl.rmsNorm(byName.input!, normalized_shape, { weight: byName.weight, eps }),
  group_norm: ({ byName }, { num_groups, eps }) =>
    rl.groupNorm(byName.input!, num_groups, { weight: byName.weight, bias: byName.bias, eps }),

  conv1d: ([x, weight, bias], { stride, padding, dilation, groups }) =>
    rl.conv1d(x, weight, bias, { stride, padding, dilation, groups }),
  conv_transpose2d: ([x, weight, bias], attrs) => {
    const { stride, padding, output_padding, dilation, groups } = attrs;
    const outputPadding = output_padding ?? undefined;
    return rl.convTranspose2d(x, weight, bias, {
      stride,
      padding,
      outputPadding,
      dilation,
      groups,
    });
  },
  adaptive_avg_pool2d: ([x], { output_size }) => rl.adaptiveAvgPool2d(x, output_size),
  upsample: ([x], { mode, size, scale_factor, align_corners }) =>
    rl.upsample(x, {
      mode,
      size: size ?? undefined,
      scaleFactor: scale_factor ?? undefined,
      alignCorners: align_corners ?? undefined,
    }),
  conv2d: ([x, weight, bias], { stride, padding, dilation, groups }) =>
    rl.conv2d(x, weight, bias, { stride, padding, dilation, groups }),
  max_pool2d: ([x], { kernel_size, stride, padding, dilation, ceil_mode }) =>
    rl.maxPool2d(x, kernel_size, { stride, padding, dilation, ceilMode: ceil_mode }),
  avg_pool2d: ([x], { kernel_size, stride, padding, ceil_mode, count_include_pad }) =>
    rl.avgPool2d(x, kernel_size, {
      stride,
      padding,
      ceilMode: ceil_mode,
      countIncludePad: count_include_pad,
    }),

  scaled_dot_product_attention: ({ byName }, { is_causal, scale }) =>
    rl.scaledDotProductAttention(byName.query!, byName.key!, byName.value!, {
      mask: byName.mask,
      isCausal: is_causal,
      scale: scale ?? undefined,
    }),
  lstm: ({ byName }) => {
    const { output, h, c } = rl.lstm(byName.input!, recurrent(byName), {
      h: byName.h0,
      c: byName.c0,
    });
    return [output, h, c];
  },
  gru: ({ byName }) => {
    const { output, h } = rl.gru(byName.input!, recurrent(byName), { h: byName.h0 });
    return [output, h];
  },
  rnn_tanh: ({ byName }) => {
    const { output, h } = rl.rnn(byName.input!, recurrent(byName), { h: byName.h0 });
    return [output, h];
  },

  clip_grad_norm: (inputs, { max_norm, norm_type }) =>
    clipped(inputs, (parameters) =>
      rl.optim.clipGradNorm(parameters, toNumber(max_norm), { normType: toNumber(norm_type) }),
    ),
  clip_grad_value: (inputs, { clip_value }) =>
    clipped(inputs, (parameters) => rl.optim.clipGradValue(parameters, clip_value)).slice(1),

  mse_loss: ([x, target], { reduction }) => rl.mseLoss(x, target, { reduction }),
  l1_loss: ([x, target], { reduction }) => rl.l1Loss(x, target, { reduction }),
  smooth_l1_loss: ([x, target], { reduction, beta }) =>
    rl.smoothL1Loss(x, target, { reduction, beta }),
  huber_loss: ([x, target], { reduction, delta }) => rl.huberLoss(x, target, { reduction, delta }),
  bce_loss: ({ byName }, { reduction }) =>
    rl.bceLoss(byName.input!, byName.target!, { reduction, weight: byName.weight }),
  bce_with_logits_loss: ({ byName }, { reduction }) =>
    rl.bceWithLogitsLoss(byName.input!, byName.target!, {
      reduction,
      weight: byName.weight,
      posWeight: byName.pos_weight,
    }),
  kl_div_loss: ([x, target], { reduction, log_target }) =>
    rl.klDivLoss(x, target, { reduction, logTarget: log_target ?? undefined }),
  nll_loss: ({ byName }, { reduction, ignore_index }) =>
    rl.nllLoss(byName.input!, byName.target!, {
      reduction,
      weight: byName.weight,
      ignoreIndex: ignore_index ?? undefined,
    }),
  cross_entropy: ({ byName }, { reduction, ignore_index, label_smoothing }) =>
    rl.crossEntropy(byName.input!, byName.target!, {
      reduction,
      weight: byName.weight,
      ignoreIndex: ignore_index ?? undefined,
      labelSmoothing: label_smoothing ?? undefined,
    }),
};

function recurrent(byName: OperationInputs["byName"]): rl.RecurrentWeights {
  const { weight_ih, weight_hh, bias_ih, bias_hh } = byName;
  return { weightIh: weight_ih!, weightHh: weight_hh!, biasIh: bias_ih, biasHh: bias_hh };
}

/** The inputs as gradients of parameters: what `clip` returns, and the gradients after it. */
function clipped(
  inputs: OperationInputs,
  clip: (parameters: Tensor[]) => rl.optim.Measured,
): Tensor[] {
  const parameters = inputs.map((input) => {
    const parameter = rl.zeros(input.shape, { dtype: input.dtype, device: input.device });
    parameter.requiresGrad = true;
    parameter.grad = rl.keep(input.add(0));
    return parameter;
  });
  const norm = clip(parameters);
  const [{ dtype, device }] = inputs;
  const grads = parameters.map(({ grad }) => grad!);
  const measured = typeof norm === "number" ? tensor([norm], { shape: [], dtype, device }) : norm;
  return [measured, ...grads];
}
