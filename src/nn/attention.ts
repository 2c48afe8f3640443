/** Attention with several heads. */
import { ShapeError, ValueError } from "../errors.ts";
import { attentionWeights, scaledDotProductAttention } from "../ops/attention.ts";
import { expand, reshape } from "../ops/broadcast.ts";
import { zeros } from "../ops/creation.ts";
import { linear } from "../ops/linear.ts";
import { matmul } from "../ops/matmul.ts";
import { concat, split, squeeze, transpose, unsqueeze } from "../ops/movement.ts";
import { dropout } from "../ops/random.ts";
import { mean } from "../ops/reduce.ts";
import type { Generator } from "../random.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMasks } from "./attention-masks.ts";
import { maskFor } from "./attention-masks.ts";
import { constant, uniform, xavierNormal } from "./init/index.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount, Linear } from "./layers.ts";
import { Module, parameter, snakeCase, warnAtY } from "./module.ts";

export interface MultiheadAttentionOptions extends LayerOptions {
  /** Probability that a weight becomes 0 while training. Default 0. */
  dropout?: number;
  /** Add biases to the projections. Default true. */
  bias?: boolean;
  /** Width of keys, if another than embedDim. */
  kdim?: number;
  /** Width of values, if another than embedDim. */
  vdim?: number;
  /** Learned vectors bias_k and bias_v as one more key and value of every sequence. Default false. */
  addBiasKv?: boolean;
  /** Zeros as one more key and value of every sequence: what a query attends to for nothing. Default false. */
  addZeroAttn?: boolean;
  /** Inputs and outputs are [batch, length, width] instead of [length, batch, width]. Default false. */
  batchFirst?: boolean;
}

export interface AttentionResult {
  output: Tensor;
  /** null unless asked for. */
  weights: Tensor | null;
}

/**
 * Multi-head attention (Vaswani et al., arXiv 1706.03762): projections, `scaledDotProductAttention` in
 * heads of width embedDim / numHeads, and a projection of the joined heads. Parameters have PyTorch's
 * names: in_proj_weight [3·embedDim, embedDim] (or q_proj_weight, k_proj_weight, v_proj_weight where
 * widths differ), in_proj_bias, bias_k and bias_v [1, 1, embedDim], out_proj.weight, out_proj.bias.
 */
export class MultiheadAttention extends Module {
  readonly embedDim: number;
  readonly numHeads: number;
  readonly dropout: number;
  readonly batchFirst: boolean;
  readonly addZeroAttn: boolean;
  inProjWeight: Tensor | null = null;
  qProjWeight: Tensor | null = null;
  kProjWeight: Tensor | null = null;
  vProjWeight: Tensor | null = null;
  inProjBias: Tensor | null;
  biasK: Tensor | null = null;
  biasV: Tensor | null = null;
  outProj: Linear;
  private readonly generator: Generator | undefined;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { bias = true, kdim = embedDim, vdim = embedDim, batchFirst = false } = options;
    const { dropout: p = 0, addBiasKv = false, addZeroAttn = false } = options;
    const { device, dtype, generator } = options;
    checkCount("MultiheadAttention", "embedDim", embedDim);
    checkCount("MultiheadAttention", "numHeads", numHeads);
    checkCount("MultiheadAttention", "kdim", kdim);
    checkCount("MultiheadAttention", "vdim", vdim);
    if (embedDim % numHeads !== 0) {
      throw new ValueError(
        `MultiheadAttention: numHeads is ${numHeads}; expected a divisor of embedDim ${embedDim}`,
      );
    }
    if (!(p >= 0 && p <= 1)) {
      throw new ValueError(`MultiheadAttention: dropout is ${p}; expected 0 to 1`);
    }
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.dropout = p;
    this.batchFirst = batchFirst;
    this.addZeroAttn = addZeroAttn;
    this.generator = generator;
    // Xavier's bound, as PyTorch: √(6 / (fanIn + fanOut)).
    const projection = (rows: number, columns: number): Tensor => {
      const bound = Math.sqrt(6 / (rows + columns));
      const weight = parameter(zeros([rows, columns], { device, dtype }));
      return uniform(weight, -bound, bound, generator);
    };
    if (kdim === embedDim && vdim === embedDim) {
      this.inProjWeight = projection(3 * embedDim, embedDim);
    } else {
      this.qProjWeight = projection(embedDim, embedDim);
      this.kProjWeight = projection(embedDim, kdim);
      this.vProjWeight = projection(embedDim, vdim);
    }
    this.inProjBias = bias ? parameter(zeros([3 * embedDim], { device, dtype })) : null;
    this.outProj = new Linear(embedDim, embedDim, { bias, device, dtype, generator });
    if (this.outProj.bias !== null) constant(this.outProj.bias, 0);
    if (addBiasKv) {
      const row = (): Tensor => {
        const x = parameter(zeros([1, 1, embedDim], { device, dtype }));
        return xavierNormal(x, { generator });
      };
      this.biasK = row();
      this.biasV = row();
    }
  }

  /**
   * query [l, batch, embedDim], key [s, batch, kdim], value [s, batch, vdim] → output
   * [l, batch, embedDim], all with or all without batch; self-attention where only the query is given.
   * `needWeights` (default false) adds the weights, averaged over heads [batch, l, s], or
   * [batch, heads, l, s] with `averageAttnWeights: false`; s counts added keys too.
   */
  forward(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: AttentionMasks & { needWeights?: boolean; averageAttnWeights?: boolean } = {},
  ): AttentionResult {
    this.checkInputs(query, key, value);
    if (!this.training) warnAtY("MultiheadAttention in eval mode", [this.outProj.weight]);
    if (query.ndim === 2) return this.single(query, key, value, options);
    const turned = (x: Tensor): Tensor => (this.batchFirst ? x : transpose(x, 0, 1));
    const projected = this.project(query, key, value).map(turned);
    const [q, k, v] = this.withBiases(projected).map((x) => this.heads(x));
    const [batch, heads, l] = q.shape;
    const [keys, values] = this.addZeroAttn ? [withZeros(k), withZeros(v)] : [k, v];
    const { needWeights = false, averageAttnWeights = true } = options;
    const scores = { batch, heads, l, s: key.shape[this.batchFirst ? 1 : 0] };
    const mask = maskFor(options, { ...scores, added: keys.shape[2] - scores.s, like: q });
    const p = this.training ? this.dropout : 0;
    let weights: Tensor | null = null;
    let joined: Tensor;
    if (needWeights) {
      weights = attentionWeights(q, keys, mask);
      if (p > 0) weights = dropout(weights, { p, generator: this.generator });
      joined = matmul(weights, values);
      if (averageAttnWeights) weights = mean(weights, 1);
    } else {
      const { generator } = this;
      joined = scaledDotProductAttention(q, keys, values, { ...mask, dropout: p, generator });
    }
    const merged = reshape(transpose(joined, 1, 2), [batch, l, this.embedDim]);
    return { output: turned(this.outProj.forward(merged)), weights };
  }

  /** A sequence without a batch: a batch of one. */
  private single(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    { keyPaddingMask, ...options }: Parameters<MultiheadAttention["forward"]>[3] & object,
  ): AttentionResult {
    const dim = this.batchFirst ? 0 : 1;
    const q = unsqueeze(query, dim);
    const k = key === query ? q : unsqueeze(key, dim); // self-attention is one product
    const v = value === key ? k : unsqueeze(value, dim);
    const padding = keyPaddingMask && unsqueeze(keyPaddingMask, 0);
    const { output, weights } = this.forward(q, k, v, { ...options, keyPaddingMask: padding });
    return { output: squeeze(output, dim), weights: weights && squeeze(weights, 0) };
  }

  /** in_proj_weight, …; out_proj is a module of its own. */
  protected override tensorName(property: string): string {
    return snakeCase(property);
  }

  override namedChildren(): [string, Module][] {
    return super.namedChildren().map(([name, child]) => [snakeCase(name), child]);
  }

  private project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    const { inProjWeight, inProjBias, embedDim } = this;
    if (inProjWeight !== null && query === key && key === value) {
      return split(linear(query, inProjWeight, inProjBias), embedDim, -1);
    }
    const weights =
      inProjWeight === null
        ? [this.qProjWeight!, this.kProjWeight!, this.vProjWeight!]
        : split(inProjWeight, embedDim);
    const biases = inProjBias === null ? [] : split(inProjBias, embedDim);
    return [query, key, value].map((x, i) => linear(x, weights[i], biases[i]));
  }

  /** Keys and values [batch, s, embedDim] with bias_k and bias_v behind them. */
  private withBiases([q, k, v]: readonly Tensor[]): Tensor[] {
    const { biasK, biasV, embedDim } = this;
    if (biasK === null || biasV === null) return [q, k, v];
    const row = (x: Tensor): Tensor => expand(x, [q.shape[0], 1, embedDim]);
    return [q, concat([k, row(biasK)], 1), concat([v, row(biasV)], 1)];
  }

  /** [batch, length, embedDim] → [batch, heads, length, embedDim / heads] */
  private heads(x: Tensor): Tensor {
    const [batch, length] = x.shape;
    return transpose(reshape(x, [batch, length, this.numHeads, -1]), 1, 2);
  }

  private checkInputs(query: Tensor, key: Tensor, value: Tensor): void {
    const { embedDim, batchFirst } = this;
    const [batch, length] = batchFirst ? [0, 1] : [1, 0];
    const kdim = this.kProjWeight?.shape[1] ?? embedDim;
    const vdim = this.vProjWeight?.shape[1] ?? embedDim;
    const rank = query.ndim;
    const alike = (x: Tensor): boolean =>
      x.ndim === rank && (rank === 2 || x.shape[batch] === query.shape[batch]);
    const fits =
      (rank === 2 || rank === 3) &&
      [key, value].every(alike) &&
      key.shape[rank === 2 ? 0 : length] === value.shape[rank === 2 ? 0 : length] &&
      query.shape[rank - 1] === embedDim &&
      key.shape[rank - 1] === kdim &&
      value.shape[rank - 1] === vdim;
    if (fits) return;
    const order = (n: string): string => (batchFirst ? `batch, ${n}` : `${n}, batch`);
    throw new ShapeError(
      `MultiheadAttention: query ${formatShape(query.shape)}, key ${formatShape(key.shape)}, value ${formatShape(value.shape)}; ` +
        `expected [${order("l")}, ${embedDim}], [${order("s")}, ${kdim}], [${order("s")}, ${vdim}], all with or all without batch`,
    );
  }
}

/** Keys or values [batch, heads, s, width] with a row of zeros behind them. */
function withZeros(x: Tensor): Tensor {
  const [batch, heads, , width] = x.shape;
  const { dtype, device } = x;
  return concat([x, zeros([batch, heads, 1, width], { dtype, device })], 2);
}
