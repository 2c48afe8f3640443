/** Activation functions, and softmax along an axis. */
import * as rl from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

function hardmax(node: Node): Tensor {
  const x = node.x();
  const axis = node.number("axis", -1);
  const last = rl.oneHot(rl.argmax(x, axis), x.shape.at(axis)!).to(x.dtype);
  const at = axis < 0 ? axis + x.ndim : axis;
  const order = x.shape.map((_, d) => d).filter((d) => d !== x.ndim - 1);
  order.splice(at, 0, x.ndim - 1);
  return rl.permute(last, order);
}

/** Beyond lambda, x moves towards 0 by bias: not at all (hard), or by lambda (soft). */
function shrink(node: Node): Tensor {
  const bias = node.number("bias", 0);
  const lambda = node.number("lambd", 0.5);
  if (bias === 0) return rl.hardshrink(node.x(), lambda);
  if (bias === lambda) return rl.softshrink(node.x(), lambda);
  throw new NotApplicable("shrinking by something else than lambda");
}

function hardSigmoid(x: Tensor, alpha: number, beta: number): Tensor {
  return rl.clamp(rl.add(rl.mul(x, alpha), beta), { min: 0, max: 1 });
}

export const activation: Operators = {
  Celu: (node) => rl.celu(node.x(), node.number("alpha", 1)),
  Elu: (node) => rl.elu(node.x(), node.number("alpha", 1)),
  HardSigmoid: (node) => hardSigmoid(node.x(), node.number("alpha", 0.2), node.number("beta", 0.5)),
  HardSwish: (node) => rl.hardswish(node.x()),
  Hardmax: hardmax,
  LeakyRelu: (node) => rl.leakyRelu(node.x(), node.number("alpha", 0.01)),
  LogSoftmax: (node) => rl.logSoftmax(node.x(), node.number("axis", -1)),
  PRelu: (node) => rl.where(rl.gt(node.x(), 0), node.x(), rl.mul(node.x(), node.x(1))),
  Relu: (node) => rl.relu(node.x()),
  Selu: (node) =>
    rl.mul(
      rl.elu(node.x(), node.number("alpha", 1.67326319217681884765625)),
      node.number("gamma", 1.05070102214813232421875),
    ),
  Shrink: shrink,
  Sigmoid: (node) => rl.sigmoid(node.x()),
  Softmax: (node) => rl.softmax(node.x(), node.number("axis", -1)),
  Softplus: (node) => rl.softplus(node.x()),
  Softsign: (node) => rl.softsign(node.x()),
  Tanh: (node) => rl.tanh(node.x()),
  ThresholdedRelu: (node) => rl.threshold(node.x(), node.number("alpha", 1), 0),
};
