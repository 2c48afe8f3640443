/** Reductions, running sums, sorting, and products of matrices. */
import * as rl from "../../../src/index.ts";
import type { ReduceOptions, Tensor } from "../../../src/index.ts";
import type { Node, Operator, Operators } from "../node.ts";

type Reduction = (x: Tensor, dim?: readonly number[], options?: ReduceOptions) => Tensor;

/** Axes are an attribute, or (ReduceSum since version 13) an input; none means all. */
const over =
  (reduce: Reduction): Operator =>
  (node) => {
    const axes = node.either("axes", 1);
    const none = axes === null || axes.length === 0;
    if (none && node.number("noop_with_empty_axes", 0) === 1) return node.x();
    return reduce(node.x(), none ? undefined : axes, { keepdim: node.number("keepdims", 1) === 1 });
  };

const index =
  (choose: typeof rl.argmax): Operator =>
  (node) => {
    const x = node.x();
    const dim = node.number("axis", 0);
    const options = { keepdim: node.number("keepdims", 1) === 1 };
    if (node.number("select_last_index", 0) === 0) return choose(x, dim, options);
    return rl.sub(x.shape.at(dim)! - 1, choose(rl.flip(x, dim), dim, options));
  };

function cumsum(node: Node): Tensor {
  const dim = node.value(1)!;
  const backwards = node.number("reverse", 0) === 1;
  const x = backwards ? rl.flip(node.x(), dim) : node.x();
  const sums = rl.cumsum(x, dim);
  const y = node.number("exclusive", 0) === 1 ? rl.sub(sums, x) : sums;
  return backwards ? rl.flip(y, dim) : y;
}

function topK(node: Node): Tensor[] {
  const largest = node.number("largest", 1) === 1;
  const { values, indices } = rl.topk(node.x(), node.value(1)!, node.number("axis", -1), {
    largest,
  });
  return [values, indices];
}

/** alpha A' B' + beta C */
function gemm(node: Node): Tensor {
  const a = node.number("transA", 0) === 1 ? rl.transpose(node.x(), 0, 1) : node.x();
  const b = node.number("transB", 0) === 1 ? rl.transpose(node.x(1), 0, 1) : node.x(1);
  const product = rl.mul(rl.matmul(a, b), node.number("alpha", 1));
  const c = node.given(2);
  return c === null ? product : rl.add(product, rl.mul(c, node.number("beta", 1)));
}

export const reduce: Operators = {
  ArgMax: index(rl.argmax),
  ArgMin: index(rl.argmin),
  CumSum: cumsum,
  Einsum: (node) => rl.einsum(node.text("equation", ""), ...node.inputs.map((_, i) => node.x(i))),
  Gemm: gemm,
  GlobalAveragePool: (node) => rl.mean(node.x(), spatial(node.x()), { keepdim: true }),
  GlobalMaxPool: (node) => rl.amax(node.x(), spatial(node.x()), { keepdim: true }),
  MatMul: (node) => rl.matmul(node.x(), node.x(1)),
  ReduceL1: over((x, dim, options) => rl.norm(x, 1, dim, options)),
  ReduceL2: over((x, dim, options) => rl.norm(x, 2, dim, options)),
  ReduceLogSum: over((x, dim, options) => rl.log(rl.sum(x, dim, options))),
  ReduceLogSumExp: over(rl.logsumexp),
  ReduceMax: over(rl.amax),
  ReduceMean: over(rl.mean),
  ReduceMin: over(rl.amin),
  ReduceProd: over(rl.prod),
  ReduceSum: over(rl.sum),
  ReduceSumSquare: over((x, dim, options) => rl.sum(rl.square(x), dim, options)),
  TopK: topK,
};

/** All dimensions but the batch and the channels. */
function spatial(x: Tensor): number[] {
  return x.shape.map((_, d) => d).slice(2);
}
