/** The layer that transformers stack, and the stack. */
import { ValueError } from "../errors.ts";
import { gelu, relu } from "../ops/activation.ts";
import { add } from "../ops/arithmetic.ts";
import { dropout } from "../ops/random.ts";
import type { Generator } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMasks } from "./attention-masks.ts";
import { MultiheadAttention } from "./attention.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount, Linear } from "./layers.ts";
import { Module, snakeCase } from "./module.ts";
import { LayerNorm } from "./layer-norm.ts";

export interface TransformerEncoderLayerOptions extends LayerOptions {
  /** Width between the two linear layers. Default 2048. */
  dimFeedforward?: number;
  /** Probability of every dropout while training, that of attention weights too. Default 0.1. */
  dropout?: number;
  /** Between the linear layers. Default "relu". */
  activation?: "relu" | "gelu" | ((x: Tensor) => Tensor);
  /** Added to the variance in the norms. Default 1e-5. */
  layerNormEps?: number;
  /** Inputs and outputs are [batch, time, width] instead of [time, batch, width]. Default false. */
  batchFirst?: boolean;
  /** Normalise what enters attention and the linear layers, instead of the sums. Default false. */
  normFirst?: boolean;
  /** Biases in linear layers, attention and norms. Default true. */
  bias?: boolean;
}

const activations = { relu, gelu: (x: Tensor): Tensor => gelu(x) };

/**
 * Self-attention and two linear layers, each with a shortcut and a norm (Vaswani et al., arXiv
 * 1706.03762): x = norm1(x + attention(x)), x = norm2(x + linear2(activation(linear1(x)))); with `normFirst`
 * x = x + attention(norm1(x)), x = x + linear2(activation(linear1(norm2(x)))). Parameters have PyTorch's
 * names: self_attn.in_proj_weight, linear1.weight, norm1.bias, ….
 */
export class TransformerEncoderLayer extends Module {
  readonly dropout: number;
  readonly normFirst: boolean;
  selfAttn: MultiheadAttention;
  linear1: Linear;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  private readonly activation: (x: Tensor) => Tensor;
  private readonly generator: Generator | undefined;

  constructor(dModel: number, numHeads: number, options: TransformerEncoderLayerOptions = {}) {
    super();
    const { dimFeedforward = 2048, dropout: p = 0.1, activation = "relu" } = options;
    const { layerNormEps: eps = 1e-5, batchFirst = false, normFirst = false } = options;
    const { bias = true, device, dtype, generator } = options;
    if (typeof activation !== "function" && !Object.hasOwn(activations, activation)) {
      throw new ValueError(
        `TransformerEncoderLayer: activation is "${String(activation)}"; expected "relu", "gelu" or a function`,
      );
    }
    const place = { device, dtype, bias };
    this.dropout = p;
    this.normFirst = normFirst;
    this.activation = typeof activation === "function" ? activation : activations[activation];
    this.generator = generator;
    this.selfAttn = new MultiheadAttention(dModel, numHeads, {
      ...place,
      dropout: p,
      batchFirst,
      generator,
    });
    this.linear1 = new Linear(dModel, dimFeedforward, { ...place, generator });
    this.linear2 = new Linear(dimFeedforward, dModel, { ...place, generator });
    this.norm1 = new LayerNorm(dModel, { ...place, eps });
    this.norm2 = new LayerNorm(dModel, { ...place, eps });
  }

  /** x [time, batch, dModel] → the same; masks as `MultiheadAttention` takes them. */
  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const { norm1, norm2 } = this;
    if (this.normFirst) {
      const y = add(x, this.attend(norm1.forward(x), masks));
      return add(y, this.feed(norm2.forward(y)));
    }
    const y = norm1.forward(add(x, this.attend(x, masks)));
    return norm2.forward(add(y, this.feed(y)));
  }

  /** self_attn, …: PyTorch's names. */
  override namedChildren(): [string, Module][] {
    return super.namedChildren().map(([name, child]) => [snakeCase(name), child]);
  }

  private attend(x: Tensor, masks: AttentionMasks): Tensor {
    return this.drop(this.selfAttn.forward(x, x, x, masks).output);
  }

  private feed(x: Tensor): Tensor {
    const hidden =
      this.activation === relu
        ? this.linear1.forward(x, { activation: "relu" })
        : this.activation(this.linear1.forward(x));
    return this.drop(this.linear2.forward(this.drop(hidden)));
  }

  private drop(x: Tensor): Tensor {
    const { dropout: p, training, generator } = this;
    return dropout(x, { p, training, generator });
  }
}

/**
 * `TransformerEncoderLayer`s one after another, and a norm at the end if one is given. PyTorch's names:
 * layers.0.self_attn.in_proj_weight, …, norm.weight.
 */
export class TransformerEncoder extends Module {
  readonly layers: readonly TransformerEncoderLayer[];
  norm: LayerNorm | null;

  /**
   * @param makeLayer makes each layer, so that each has initial values of its own
   * @param options.norm for what the last layer gives; with `normFirst` layers there should be one. Default: none
   */
  constructor(
    makeLayer: (i: number) => TransformerEncoderLayer,
    numLayers: number,
    options: { norm?: LayerNorm | null } = {},
  ) {
    super();
    checkCount("TransformerEncoder", "numLayers", numLayers);
    this.layers = Array.from({ length: numLayers }, (_, i) => makeLayer(i));
    if (this.layers.some((layer, i) => this.layers.indexOf(layer) !== i)) {
      throw new ValueError(
        "TransformerEncoder: makeLayer gave one layer twice; expected a new one each time",
      );
    }
    this.norm = options.norm ?? null;
  }

  /** x [time, batch, dModel] → the same; masks as `MultiheadAttention` takes them, for all layers. */
  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const y = this.layers.reduce((y, layer) => layer.forward(y, masks), x);
    return this.norm === null ? y : this.norm.forward(y);
  }
}
