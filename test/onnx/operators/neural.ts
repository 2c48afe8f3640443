/** Normalisation, dropout and recurrent layers. */
import * as rl from "../../../src/index.ts";
import type { RecurrentWeights, Tensor } from "../../../src/index.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

/** Running statistics move by 1 - momentum towards the batch's, the variance being the biased one. */
function batchNorm(node: Node): Tensor[] {
  const [x, weight, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => node.x(i));
  const eps = node.number("epsilon", 1e-5);
  if (node.number("training_mode", 0) === 0) {
    return [rl.batchNorm(x, { weight, bias, eps, runningMean: mean, runningVar: variance })];
  }
  const y = rl.batchNorm(x, { weight, bias, eps, training: true });
  const dims = x.shape.map((_, d) => d).filter((d) => d !== 1);
  const step = 1 - node.number("momentum", 0.9);
  return [
    y,
    rl.lerp(mean, rl.mean(x, dims), step),
    rl.lerp(variance, rl.variance(x, dims, { correction: 0 }), step),
  ];
}

/** With the statistics of each row as further outputs. */
function layerNorm(node: Node): Tensor[] {
  const x = node.x();
  const axis = node.number("axis", -1);
  const first = axis < 0 ? axis + x.ndim : axis;
  const eps = node.number("epsilon", 1e-5);
  const [weight, bias] = [node.x(1), node.given(2)];
  const dims = x.shape.map((_, d) => d).slice(first);
  const variance = rl.variance(x, dims, { correction: 0, keepdim: true });
  return [
    rl.layerNorm(x, x.shape.slice(first), { weight, bias, eps }),
    rl.mean(x, dims, { keepdim: true }),
    rl.rsqrt(rl.add(variance, eps)),
  ];
}

function instanceNorm(node: Node): Tensor {
  const [x, weight, bias] = [node.x(), node.x(1), node.x(2)];
  return rl.groupNorm(x, x.shape[1], { weight, bias, eps: node.number("epsilon", 1e-5) });
}

function meanVariance(node: Node): Tensor {
  const x = node.x();
  const axes = node.numbers("axes") ?? [0, 2, 3];
  const deviation = rl.std(x, axes, { correction: 0, keepdim: true });
  return rl.div(rl.sub(x, rl.mean(x, axes, { keepdim: true })), deviation);
}

/** Ratio and mode are inputs since version 12; before there was no training. */
function dropout(node: Node): Tensor[] {
  const training = node.value(2) === 1;
  const p = node.value(1) ?? node.number("ratio", 0.5);
  if (training && p > 0) throw new NotApplicable("random: the draws of NumPy's generator");
  const x = node.x();
  return [rl.dropout(x, { p, training }), rl.ones(x.shape, { dtype: "bool" })];
}

/** Blocks of rows, one per gate, in another order. */
function reorder(x: Tensor, order: readonly number[]): Tensor {
  const gates = rl.split(x, x.shape[0] / order.length);
  return rl.concat(order.map((gate) => gates[gate]));
}

interface Layer {
  readonly x: Tensor;
  readonly weights: RecurrentWeights;
  readonly h: Tensor | null;
  readonly c: Tensor | null;
}

/**
 * The one direction of a recurrent node in roadless' layout. ONNX has a leading dimension of directions, and
 * with `layout` 1 the batch first. `order`: where each of roadless' gates is among ONNX's.
 */
function layerOf(node: Node, order: readonly number[]): Layer {
  if (node.text("direction", "forward") !== "forward") {
    throw new NotApplicable("a direction other than forward");
  }
  if (node.given(7) !== null) throw new NotApplicable("peepholes: lstm has none");
  const batchFirst = node.number("layout", 0) === 1;
  const x = batchFirst ? rl.transpose(node.x(), 0, 1) : node.x();
  if (node.values(4)?.some((steps) => steps !== x.shape[0])) {
    throw new NotApplicable("sequences of several lengths");
  }
  const one = (position: number, dim = 0): Tensor | null => {
    const input = node.given(position);
    return input && rl.squeeze(input, dim);
  };
  const bias = one(3);
  const halves = bias && rl.split(bias, bias.shape[0] / 2);
  return {
    x,
    weights: {
      weightIh: reorder(one(1)!, order),
      weightHh: reorder(one(2)!, order),
      biasIh: halves && reorder(halves[0], order),
      biasHh: halves && reorder(halves[1], order),
    },
    h: one(5, batchFirst ? 1 : 0),
    c: one(6, batchFirst ? 1 : 0),
  };
}

/** Y [time, directions, batch, hidden], and the last states [directions, batch, hidden]. */
function outputsOf(node: Node, output: Tensor, ...states: Tensor[]): Tensor[] {
  const batchFirst = node.number("layout", 0) === 1;
  const y = batchFirst ? rl.transpose(output, 0, 1) : output;
  return [
    rl.unsqueeze(y, batchFirst ? 2 : 1),
    ...states.map((state) => rl.unsqueeze(state, batchFirst ? 1 : 0)),
  ];
}

/** ONNX has the gates i, o, f, c. */
function lstm(node: Node): Tensor[] {
  const { x, weights, h, c } = layerOf(node, [0, 2, 3, 1]);
  const result = rl.lstm(x, weights, { h, c });
  return outputsOf(node, result.output, result.h, result.c);
}

/**
 * ONNX has the gates z, r, h. With `linear_before_reset` 0 the reset gate comes before the product with the
 * state, which makes a difference unless the state is 0 and that gate has no recurrent bias.
 */
function gru(node: Node): Tensor[] {
  const { x, weights, h } = layerOf(node, [1, 0, 2]);
  const fromZero = x.shape[0] === 1 && h === null;
  const bias = weights.biasHh ? Array.from(weights.biasHh.dataSync()) : [];
  const unbiased = bias.slice((bias.length / 3) * 2).every((value) => value === 0);
  if (node.number("linear_before_reset", 0) === 0 && !(fromZero && unbiased)) {
    throw new NotApplicable("gru has PyTorch's form, linear_before_reset 1");
  }
  const result = rl.gru(x, weights, { h });
  return outputsOf(node, result.output, result.h);
}

function rnn(node: Node): Tensor[] {
  const { x, weights, h } = layerOf(node, [0]);
  const result = rl.rnn(x, weights, { h });
  return outputsOf(node, result.output, result.h);
}

export const neural: Operators = {
  BatchNormalization: batchNorm,
  Dropout: dropout,
  GRU: gru,
  InstanceNormalization: instanceNorm,
  LSTM: lstm,
  LayerNormalization: layerNorm,
  MeanVarianceNormalization: meanVariance,
  RNN: rnn,
};
