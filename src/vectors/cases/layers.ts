/** Cases of ops/norm, conv, pool, attention, rnn, loss and clip. */
import type { InputSpec, OperationRow } from "../operation-record.ts";

const fixed = (shape: readonly number[], low = 0.5, high = 2): InputSpec => {
  return { shape, low, high, differentiated: false };
};
const classes = (shape: readonly number[], high: number): InputSpec => {
  return { shape, integers: true, low: 0, high };
};

const normed = (
  op: string,
  label: string,
  attrs: object,
  input: InputSpec,
  affine: number[] | null,
): OperationRow => ({
  op,
  label,
  attrs: { ...attrs, eps: 1e-5 },
  inputs: {
    input,
    ...(affine === null ? {} : { weight: affine }),
    ...(affine === null || op === "rms_norm" ? {} : { bias: affine }),
  },
});

const batchNorm = (label: string, training: boolean, input: InputSpec): OperationRow => ({
  op: "batch_norm",
  label,
  attrs: { training, momentum: 0.1, eps: 1e-5 },
  inputs: {
    input,
    running_mean: fixed([3], -1, 1),
    running_var: fixed([3]),
    weight: [3],
    bias: [3],
  },
});

export const norm: readonly OperationRow[] = [
  ...["softmax", "log_softmax"].flatMap((op): OperationRow[] => [
    { op, label: "0", attrs: { dim: 0 }, inputs: { input: [2, 3, 4] } },
    { op, label: "last", attrs: { dim: -1 }, inputs: { input: [2, 37] } },
    {
      op,
      label: "large",
      attrs: { dim: 0 },
      inputs: { input: { data: [1e4, 1e4 + 1, 0] } },
      edge: true,
    },
    {
      op,
      label: "minus_infinity",
      attrs: { dim: 0 },
      inputs: { input: { data: [0, -Infinity, 1] } },
      edge: true,
      grads_informative: true,
    },
  ]),
  ...["layer_norm", "rms_norm"].flatMap((op) => [
    normed(op, "last", { normalized_shape: [5] }, [3, 5], [5]),
    normed(op, "two", { normalized_shape: [3, 4] }, [2, 3, 4], [3, 4]),
    normed(op, "plain", { normalized_shape: [37] }, [2, 37], null),
  ]),
  normed("group_norm", "2", { num_groups: 2 }, [2, 4, 3], [4]),
  normed("group_norm", "1_4d", { num_groups: 1 }, [2, 3, 2, 2], [3]),
  batchNorm("train_2d", true, [4, 3]),
  batchNorm("train_4d", true, [2, 3, 2, 3]),
  batchNorm("eval", false, [2, 3, 4]),
  { op: "dropout", label: "eval", attrs: { p: 0.5, training: false }, inputs: { input: [2, 3] } },
  { op: "dropout", label: "p_0", attrs: { p: 0, training: true }, inputs: { input: [2, 3] } },
];

const conv2d = (
  label: string,
  attrs: object,
  input: number[],
  weight: number[],
  bias = true,
): OperationRow => ({
  op: "conv2d",
  label,
  attrs: { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1, ...attrs },
  inputs: { input, weight, ...(bias ? { bias: [weight[0]] } : {}) },
});

export const conv: readonly OperationRow[] = [
  conv2d("3x3", {}, [2, 2, 5, 5], [3, 2, 3, 3]),
  conv2d("padding", { padding: [1, 2] }, [1, 2, 4, 5], [2, 2, 3, 3]),
  conv2d("stride_2", { stride: [2, 1], padding: [1, 1] }, [1, 2, 6, 7], [3, 2, 3, 3], false),
  conv2d("dilation", { dilation: [2, 1] }, [1, 1, 7, 5], [2, 1, 3, 3]),
  conv2d("groups", { groups: 2 }, [1, 4, 5, 5], [6, 2, 3, 3]),
  conv2d("depthwise", { groups: 3, padding: [1, 1] }, [2, 3, 5, 4], [3, 1, 3, 3], false),
  conv2d("1x1", {}, [2, 5, 3, 3], [4, 5, 1, 1]),
  ...[
    { label: "3", attrs: {}, input: [2, 3, 7], weight: [4, 3, 3] },
    {
      label: "strided",
      attrs: { stride: 2, padding: 2, dilation: 2 },
      input: [1, 2, 9],
      weight: [3, 2, 3],
    },
  ].map(({ label, attrs, input, weight }): OperationRow => ({
    op: "conv1d",
    label,
    attrs: { stride: 1, padding: 0, dilation: 1, groups: 1, ...attrs },
    inputs: { input, weight, bias: [weight[0]] },
  })),
  ...[
    { label: "3x3", attrs: {} },
    { label: "stride_2", attrs: { stride: [2, 2], padding: [1, 1], output_padding: [1, 0] } },
  ].map(({ label, attrs }): OperationRow => ({
    op: "conv_transpose2d",
    label,
    attrs: {
      stride: [1, 1],
      padding: [0, 0],
      output_padding: [0, 0],
      dilation: [1, 1],
      groups: 1,
      ...attrs,
    },
    inputs: { input: [1, 3, 3, 4], weight: [3, 2, 3, 3], bias: [2] },
  })),
];

const maxPool = { padding: [0, 0], dilation: [1, 1], ceil_mode: false };
const avgPool = { padding: [0, 0], ceil_mode: false, count_include_pad: true };

export const pool: readonly OperationRow[] = [
  ...[
    { label: "2x2", attrs: { kernel_size: [2, 2], stride: [2, 2] }, input: [1, 2, 4, 4] },
    {
      label: "padded",
      attrs: { kernel_size: [3, 3], stride: [2, 2], padding: [1, 1] },
      input: [2, 1, 5, 7],
    },
    {
      label: "ceil",
      attrs: { kernel_size: [2, 2], stride: [2, 2], ceil_mode: true },
      input: [1, 1, 5, 5],
    },
  ].flatMap(({ label, attrs, input }): OperationRow[] => [
    { op: "max_pool2d", label, attrs: { ...maxPool, ...attrs }, inputs: { input } },
    { op: "avg_pool2d", label, attrs: { ...avgPool, ...attrs }, inputs: { input } },
  ]),
  {
    op: "max_pool2d",
    label: "ties",
    attrs: { ...maxPool, kernel_size: [2, 2], stride: [2, 2] },
    inputs: { input: { shape: [1, 1, 2, 4], data: [1, 1, 0, 2, 1, 1, 2, 2] } },
    edge: true,
  },
  {
    op: "avg_pool2d",
    label: "pad_not_counted",
    attrs: {
      ...avgPool,
      kernel_size: [3, 3],
      stride: [2, 2],
      padding: [1, 1],
      count_include_pad: false,
    },
    inputs: { input: [1, 1, 5, 6] },
  },
  ...[
    [1, 1],
    [2, 3],
  ].map((output_size): OperationRow => ({
    op: "adaptive_avg_pool2d",
    label: output_size.join("x"),
    attrs: { output_size },
    inputs: { input: [1, 2, 5, 7] },
  })),
  ...[
    { label: "nearest_2", attrs: { mode: "nearest", scale_factor: 2 } },
    { label: "nearest_5x7", attrs: { mode: "nearest", size: [5, 7] } },
    { label: "bilinear", attrs: { mode: "bilinear", size: [5, 6], align_corners: false } },
    { label: "corners", attrs: { mode: "bilinear", size: [5, 6], align_corners: true } },
  ].map(({ label, attrs }): OperationRow => {
    return { op: "upsample", label, attrs, inputs: { input: [1, 2, 3, 2] } };
  }),
];

const attend = (
  label: string,
  attrs: object,
  mask: Record<string, InputSpec> = {},
): OperationRow => ({
  op: "scaled_dot_product_attention",
  label,
  attrs: { is_causal: false, ...attrs },
  inputs: { query: [2, 2, 4, 3], key: [2, 2, 5, 3], value: [2, 2, 5, 6], ...mask },
});

export const attention: readonly OperationRow[] = [
  attend("plain", {}),
  attend("causal", { is_causal: true }),
  attend("scale", { scale: 0.25 }),
  attend("added_mask", {}, { mask: fixed([4, 5], -2, 2) }),
  attend(
    "boolean_mask",
    {},
    {
      mask: {
        shape: [4, 5],
        booleans: true,
        data: Array.from({ length: 20 }, (_, i) => i % 3 !== 1),
      },
    },
  ),
];

const recurrent = (op: string, gates: number, states: readonly string[]): OperationRow[] => {
  const weights = {
    input: [4, 2, 3],
    weight_ih: [gates * 5, 3],
    weight_hh: [gates * 5, 5],
    bias_ih: [gates * 5],
    bias_hh: [gates * 5],
  };
  const initial = Object.fromEntries(states.map((name) => [name, [2, 5]]));
  return [
    { op, label: "from_zero", inputs: weights },
    { op, label: "from_state", inputs: { ...weights, ...initial } },
  ];
};

export const rnn: readonly OperationRow[] = [
  ...recurrent("lstm", 4, ["h0", "c0"]),
  ...recurrent("gru", 3, ["h0"]),
  ...recurrent("rnn_tanh", 1, ["h0"]),
];

const probabilities: InputSpec = { shape: [2, 3], low: 0.0625, high: 0.9375 };
const given: InputSpec = { ...probabilities, differentiated: false };
const targets = { ignore_index: -100, label_smoothing: 0 };

const losses = (reduction: string): OperationRow[] => {
  const two = { input: [2, 3], target: [2, 3] };
  const of = (
    op: string,
    label: string,
    attrs: object,
    inputs: OperationRow["inputs"],
  ): OperationRow => {
    return { op, label: `${label}${reduction}`, attrs: { reduction, ...attrs }, inputs };
  };
  const labels = { input: [4, 5], target: classes([4], 5) };
  return [
    of("mse_loss", "", {}, two),
    of("l1_loss", "", {}, two),
    of("smooth_l1_loss", "0.5_", { beta: 0.5 }, two),
    of("huber_loss", "0.5_", { delta: 0.5 }, two),
    of("bce_loss", "", {}, { input: probabilities, target: given }),
    of("bce_loss", "weight_", {}, { input: probabilities, target: given, weight: fixed([3]) }),
    of("bce_with_logits_loss", "", {}, { input: [2, 3], target: given, pos_weight: fixed([3]) }),
    of("kl_div_loss", "", { log_target: false }, { input: [2, 3], target: given }),
    of(
      "kl_div_loss",
      "log_",
      { log_target: true },
      { input: [2, 3], target: fixed([2, 3], -2, 0) },
    ),
    of("nll_loss", "weight_", { ignore_index: -100 }, { ...labels, weight: fixed([5]) }),
    of("cross_entropy", "", targets, labels),
    of("cross_entropy", "smoothed_", { ...targets, label_smoothing: 0.1 }, labels),
    of("cross_entropy", "weight_", targets, { ...labels, weight: fixed([5]) }),
    of("cross_entropy", "2d_", targets, { input: [2, 3, 4], target: classes([2, 4], 3) }),
    of(
      "cross_entropy",
      "ignored_",
      { ...targets, ignore_index: 1 },
      {
        input: [4, 3],
        target: { data: [1, 0, 2, 1], integers: true },
      },
    ),
  ];
};

export const loss: readonly OperationRow[] = [
  ...["none", "mean", "sum"].flatMap(losses),
  {
    op: "kl_div_loss",
    label: "batchmean",
    attrs: { reduction: "batchmean", log_target: false },
    inputs: { input: [2, 3], target: given },
  },
];

const gradients = {
  g0: { shape: [2, 3], differentiated: false },
  g1: { shape: [4], differentiated: false },
  g2: { shape: [], differentiated: false },
};

export const clip: readonly OperationRow[] = [
  ...[1, 100].flatMap((max_norm) =>
    [1, 2, Infinity].map((norm_type): OperationRow => ({
      op: "clip_grad_norm",
      label: `${max_norm}_${norm_type}`,
      attrs: { max_norm, norm_type },
      inputs: gradients,
    })),
  ),
  { op: "clip_grad_value", label: "0.5", attrs: { clip_value: 0.5 }, inputs: gradients },
];
