/** Losses, and single steps of optimizers (ai.onnx.preview.training). */
import * as rl from "../../../src/index.ts";
import type { Reduction, Tensor } from "../../../src/index.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

function lossOptions(node: Node): {
  reduction: Reduction;
  weight: Tensor | null;
  ignoreIndex: number;
} {
  return {
    reduction: node.text("reduction", "mean") as Reduction,
    weight: node.given(2),
    ignoreIndex: node.number("ignore_index", -100),
  };
}

/** The logarithms of the probabilities are the second output. */
function crossEntropy(node: Node): Tensor[] {
  const loss = rl.crossEntropy(node.x(), node.x(1), lossOptions(node));
  return [loss, rl.logSoftmax(node.x(), 1)];
}

/** The inputs from position 2 on: every kind of tensor for parameter 1, 2, …, then the next kind. */
function kindsOf(node: Node, count: number): Tensor[][] {
  const tensors = node.inputs.slice(2).map((_, i) => node.x(i + 2));
  const parameters = tensors.length / count;
  return Array.from({ length: count }, (_, kind) =>
    tensors.slice(kind * parameters, (kind + 1) * parameters),
  );
}

type OptimizerState = Record<string, readonly (Tensor | readonly number[])[]>;

/**
 * One step of the optimizer made for parameters that hold `values` and have the gradients `gradients`, from
 * the given state (by key, for each parameter): the new parameters, and what is asked of the new state.
 */
function oneStep(
  make: (params: Tensor[]) => rl.optim.Optimizer,
  values: readonly Tensor[],
  gradients: readonly Tensor[],
  given: OptimizerState,
  asked: readonly string[],
): Tensor[] {
  const params = values.map((value) => {
    const param = value.clone();
    param.requiresGrad = true;
    return param;
  });
  const optimizer = make(params);
  const state: Record<number, Record<string, rl.optim.StateValue>> = {};
  params.forEach((_, i) => {
    state[i] = Object.fromEntries(Object.entries(given).map(([key, list]) => [key, list[i]]));
  });
  optimizer.loadStateDict({ ...optimizer.stateDict(), state });
  params.forEach((param, i) => rl.sum(rl.mul(param, gradients[i])).backward());
  optimizer.step();
  const after = optimizer.stateDict().state;
  const result = [
    ...params.map((param) => param.detach().clone()),
    ...asked.flatMap((key) => params.map((_, i) => after[i][key] as Tensor)),
  ];
  optimizer.dispose();
  return result;
}

/** T counts from 0, and decides about the weight of the first gradient. */
function momentum(node: Node): Tensor[] {
  const [values, gradients, buffers] = kindsOf(node, 3);
  const options = {
    lr: node.value(0)!,
    momentum: node.number("alpha", 0),
    dampening: node.value(1) === 0 ? 0 : 1 - node.number("beta", 0),
    weightDecay: node.number("norm_coefficient", 0),
    nesterov: node.text("mode", "standard") === "nesterov",
  };
  const make = (params: Tensor[]) => new rl.optim.SGD(params, options);
  return oneStep(make, values, gradients, { momentum_buffer: buffers }, ["momentum_buffer"]);
}

function adagrad(node: Node): Tensor[] {
  const [values, gradients, sums] = kindsOf(node, 3);
  const options = {
    lr: node.value(0)!,
    lrDecay: node.number("decay_factor", 0),
    weightDecay: node.number("norm_coefficient", 0),
    eps: node.number("epsilon", 1e-6),
  };
  const make = (params: Tensor[]) => new rl.optim.Adagrad(params, options);
  const step = values.map(() => [node.value(1)!]);
  return oneStep(make, values, gradients, { step, sum: sums }, ["sum"]);
}

/**
 * ONNX adds epsilon to √v as it is, PyTorch to √(v / (1 - β₂^t)); and at T = 0 ONNX corrects nothing. With t =
 * T + 1 for PyTorch's count, lr and eps are such that both come to the same step.
 */
function adam(node: Node): Tensor[] {
  const [values, gradients, first, second] = kindsOf(node, 4);
  if (node.number("norm_coefficient_post", 0) !== 0) {
    throw new NotApplicable("a norm coefficient after the step");
  }
  const betas = [node.number("alpha", 0.9), node.number("beta", 0.999)] as const;
  const T = node.value(1)!;
  const [momentOne, momentTwo] = betas.map((beta) => 1 - beta ** (T + 1));
  const corrected = T === 0 ? 1 : Math.sqrt(1 - betas[1] ** T) / (1 - betas[0] ** T);
  const options = {
    lr: (node.value(0)! * corrected * momentOne) / Math.sqrt(momentTwo),
    betas,
    eps: node.number("epsilon", 1e-6) / Math.sqrt(momentTwo),
    weightDecay: node.number("norm_coefficient", 0),
  };
  const make = (params: Tensor[]) => new rl.optim.Adam(params, options);
  const state = { step: values.map(() => [T]), exp_avg: first, exp_avg_sq: second };
  return oneStep(make, values, gradients, state, ["exp_avg", "exp_avg_sq"]);
}

export const training: Operators = {
  Adagrad: adagrad,
  Adam: adam,
  Momentum: momentum,
  NegativeLogLikelihoodLoss: (node) => rl.nllLoss(node.x(), node.x(1), lossOptions(node)),
  SoftmaxCrossEntropyLoss: crossEntropy,
};
