/** The encoding layer that transformers stack, and the stack. */
import { add } from "../ops/arithmetic.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMasks } from "./attention-masks.ts";
import type { MultiheadAttention } from "./attention.ts";
import type { LayerNorm } from "./layer-norm.ts";
import type { Linear } from "./layers.ts";
import { Module } from "./module.ts";
import type { TransformerLayerOptions } from "./transformer-layer.ts";
import { makeLayers, TransformerLayer } from "./transformer-layer.ts";

/**
 * Self-attention and two linear layers, each with a shortcut and a norm (Vaswani et al., arXiv
 * 1706.03762): x = norm1(x + attention(x)), x = norm2(x + linear2(activation(linear1(x)))); with `normFirst`
 * x = x + attention(norm1(x)), x = x + linear2(activation(linear1(norm2(x)))). Parameters have PyTorch's
 * names: self_attn.in_proj_weight, linear1.weight, norm1.bias, ….
 */
export class TransformerEncoderLayer extends TransformerLayer {
  selfAttn: MultiheadAttention;
  linear1: Linear;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;

  constructor(dModel: number, numHeads: number, options: TransformerLayerOptions = {}) {
    super("TransformerEncoderLayer", dModel, options);
    this.selfAttn = this.makeAttention(numHeads);
    [this.linear1, this.linear2] = this.makeLinears();
    this.norm1 = this.makeNorm();
    this.norm2 = this.makeNorm();
  }

  /** x [time, batch, dModel] → the same; masks as `MultiheadAttention` takes them. */
  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const { norm1, norm2, selfAttn } = this;
    const attend = (y: Tensor): Tensor => this.attend(selfAttn, y, y, masks);
    if (this.normFirst) {
      const y = add(x, attend(norm1.forward(x)));
      return add(y, this.feed(norm2.forward(y)));
    }
    const y = norm1.forward(x, attend(x));
    return norm2.forward(y, this.feed(y));
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
    this.layers = makeLayers("TransformerEncoder", makeLayer, numLayers);
    this.norm = options.norm ?? null;
  }

  /** x [time, batch, dModel] → the same; masks as `MultiheadAttention` takes them, for all layers. */
  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const y = this.layers.reduce((y, layer) => layer.forward(y, masks), x);
    return this.norm === null ? y : this.norm.forward(y);
  }
}
