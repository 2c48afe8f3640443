/** Attention with several heads. */
import { ShapeError, ValueError } from "../errors.ts";
import { attentionWeights, scaledDotProductAttention } from "../ops/attention.ts";
import { add } from "../ops/arithmetic.ts";
import { reshape } from "../ops/broadcast.ts";
import { logicalNot, logicalOr, where } from "../ops/compare.ts";
import { zeros } from "../ops/creation.ts";
import { linear, matmul } from "../ops/matmul.ts";
import { split, transpose } from "../ops/movement.ts";
import { dropout } from "../ops/random.ts";
import { mean } from "../ops/reduce.ts";
import type { Generator } from "../random.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { isFloat } from "../tensor.ts";
import { constant, uniform } from "./init/index.ts";
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
  /** Inputs and outputs are [batch, length, width] instead of [length, batch, width]. Default false. */
  batchFirst?: boolean;
}

export interface AttentionMasks {
  /**
   * [l, s] or [batch·heads, l, s]. bool: true = this key is *not* seen, as in PyTorch's module (and the
   * opposite of `scaledDotProductAttention`); numbers are added to the scores. Default: none.
   */
  attnMask?: Tensor | null;
  /** [batch, s], likewise: true where the sequence has ended. Default: none. */
  keyPaddingMask?: Tensor | null;
  /** Query i sees keys j ≤ i only; no `attnMask` is needed. Default false. */
  isCausal?: boolean;
}

/**
 * Multi-head attention (Vaswani et al., arXiv 1706.03762): projections, `scaledDotProductAttention` in
 * heads of width embedDim / numHeads, and a projection of the joined heads. Parameters have PyTorch's
 * names: in_proj_weight [3·embedDim, embedDim] (or q_proj_weight, k_proj_weight, v_proj_weight where
 * widths differ), in_proj_bias, out_proj.weight, out_proj.bias.
 */
export class MultiheadAttention extends Module {
  readonly embedDim: number;
  readonly numHeads: number;
  readonly dropout: number;
  readonly batchFirst: boolean;
  inProjWeight: Tensor | null = null;
  qProjWeight: Tensor | null = null;
  kProjWeight: Tensor | null = null;
  vProjWeight: Tensor | null = null;
  inProjBias: Tensor | null;
  outProj: Linear;
  private readonly generator: Generator | undefined;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { bias = true, kdim = embedDim, vdim = embedDim, batchFirst = false } = options;
    const { dropout: p = 0, device, dtype, generator } = options;
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
  }

  /**
   * query [l, batch, embedDim], key [s, batch, kdim], value [s, batch, vdim] → output
   * [l, batch, embedDim]; self-attention where only the query is given. `needWeights` (default
   * false) adds the weights, averaged over heads [batch, l, s], or [batch, heads, l, s] with
   * `averageAttnWeights: false`.
   */
  forward(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: AttentionMasks & { needWeights?: boolean; averageAttnWeights?: boolean } = {},
  ): { output: Tensor; weights: Tensor | null } {
    this.checkInputs(query, key, value);
    if (!this.training) warnAtY("MultiheadAttention in eval mode", [this.outProj.weight]);
    const turned = (x: Tensor): Tensor => (this.batchFirst ? x : transpose(x, 0, 1));
    const [q, k, v] = this.project(query, key, value).map((x) => this.heads(turned(x)));
    const { isCausal = false, needWeights = false, averageAttnWeights = true } = options;
    const mask = this.mask(options, q, k);
    const p = this.training ? this.dropout : 0;
    let weights: Tensor | null = null;
    let joined: Tensor;
    if (needWeights) {
      weights = attentionWeights(q, k, { mask, isCausal });
      if (p > 0) weights = dropout(weights, { p, generator: this.generator });
      joined = matmul(weights, v);
      if (averageAttnWeights) weights = mean(weights, 1);
    } else {
      const { generator } = this;
      joined = scaledDotProductAttention(q, k, v, { mask, isCausal, dropout: p, generator });
    }
    const [batch, , l] = q.shape;
    const merged = reshape(transpose(joined, 1, 2), [batch, l, this.embedDim]);
    return { output: turned(this.outProj.forward(merged)), weights };
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

  /** [batch, length, embedDim] → [batch, heads, length, embedDim / heads] */
  private heads(x: Tensor): Tensor {
    const [batch, length] = x.shape;
    return transpose(reshape(x, [batch, length, this.numHeads, -1]), 1, 2);
  }

  /** Both masks as one for `scaledDotProductAttention`. */
  private mask({ attnMask, keyPaddingMask }: AttentionMasks, q: Tensor, k: Tensor): Tensor | null {
    const [batch, heads, l] = q.shape;
    const s = k.shape[2];
    const masks: Tensor[] = [];
    if (attnMask) {
      const every = [batch * heads, l, s];
      if (sameShape(attnMask.shape, every)) masks.push(reshape(attnMask, [batch, heads, l, s]));
      else if (sameShape(attnMask.shape, [l, s])) masks.push(attnMask);
      else {
        throw new ShapeError(
          `MultiheadAttention: attnMask has the shape ${formatShape(attnMask.shape)}; expected ` +
            `${formatShape([l, s])} or ${formatShape(every)}`,
        );
      }
    }
    if (keyPaddingMask) {
      if (!sameShape(keyPaddingMask.shape, [batch, s])) {
        throw new ShapeError(
          `MultiheadAttention: keyPaddingMask has the shape ${formatShape(keyPaddingMask.shape)}; expected ` +
            `${formatShape([batch, s])}, batch and keys`,
        );
      }
      masks.push(reshape(keyPaddingMask, [batch, 1, 1, s]));
    }
    if (masks.length === 0) return null;
    if (!masks.some((mask) => isFloat(mask.dtype))) {
      return logicalNot(masks.reduce((a, b) => logicalOr(a, b)));
    }
    const zero = zeros([], { dtype: q.dtype, device: q.device });
    const added = masks.map((mask) => (isFloat(mask.dtype) ? mask : where(mask, -Infinity, zero)));
    return added.reduce((a, b) => add(a, b));
  }

  private checkInputs(query: Tensor, key: Tensor, value: Tensor): void {
    const { embedDim, batchFirst } = this;
    const [batch, length] = batchFirst ? [0, 1] : [1, 0];
    const kdim = this.kProjWeight?.shape[1] ?? embedDim;
    const vdim = this.vProjWeight?.shape[1] ?? embedDim;
    const fits =
      [query, key, value].every((x) => x.ndim === 3 && x.shape[batch] === query.shape[batch]) &&
      key.shape[length] === value.shape[length] &&
      query.shape[2] === embedDim &&
      key.shape[2] === kdim &&
      value.shape[2] === vdim;
    if (fits) return;
    const order = (n: string): string => (batchFirst ? `batch, ${n}` : `${n}, batch`);
    throw new ShapeError(
      `MultiheadAttention: query ${formatShape(query.shape)}, key ${formatShape(key.shape)}, value ${formatShape(value.shape)}; ` +
        `expected [${order("l")}, ${embedDim}], [${order("s")}, ${kdim}], [${order("s")}, ${vdim}]`,
    );
  }
}
