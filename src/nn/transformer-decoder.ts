/** The decoding layer that transformers stack, and the stack. */
import { add } from "../ops/arithmetic.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMasks } from "./attention-masks.ts";
import type { MultiheadAttention } from "./attention.ts";
import type { LayerNorm } from "./layer-norm.ts";
import type { Linear } from "./layers.ts";
import { Module } from "./module.ts";
import type { TransformerLayerOptions } from "./transformer-layer.ts";
import { makeLayers, TransformerLayer } from "./transformer-layer.ts";

export interface DecoderMasks {
  /** What x may see of x; usually `{ isCausal: true }`. Default: everything. */
  own?: AttentionMasks;
  /** What x may see of the memory. Default: everything. */
  memory?: AttentionMasks;
}

/**
 * Self-attention, attention to a memory (what an encoder made of another sequence) and two linear layers,
 * each with a shortcut and a norm (Vaswani et al., arXiv 1706.03762): x = norm1(x + attention(x)),
 * x = norm2(x + attention(x, memory)), x = norm3(x + linear2(activation(linear1(x)))); with `normFirst` each norm
 * is of what enters. Parameters have PyTorch's names: self_attn.in_proj_weight,
 * multihead_attn.in_proj_weight, linear1.weight, norm3.bias, ….
 */
export class TransformerDecoderLayer extends TransformerLayer {
  selfAttn: MultiheadAttention;
  multiheadAttn: MultiheadAttention;
  linear1: Linear;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm;

  constructor(dModel: number, numHeads: number, options: TransformerLayerOptions = {}) {
    super("TransformerDecoderLayer", dModel, options);
    this.selfAttn = this.makeAttention(numHeads);
    this.multiheadAttn = this.makeAttention(numHeads);
    [this.linear1, this.linear2] = this.makeLinears();
    this.norm1 = this.makeNorm();
    this.norm2 = this.makeNorm();
    this.norm3 = this.makeNorm();
  }

  /** x [time, batch, dModel], memory [length, batch, dModel] → as x. */
  forward(x: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    const { norm1, norm2, norm3, selfAttn, multiheadAttn } = this;
    const attend = (y: Tensor): Tensor => this.attend(selfAttn, y, y, masks.own ?? {});
    const look = (y: Tensor): Tensor => this.attend(multiheadAttn, y, memory, masks.memory ?? {});
    if (this.normFirst) {
      const y = add(x, attend(norm1.forward(x)));
      const z = add(y, look(norm2.forward(y)));
      return add(z, this.feed(norm3.forward(z)));
    }
    const y = norm1.forward(x, attend(x));
    const z = norm2.forward(y, look(y));
    return norm3.forward(z, this.feed(z));
  }
}

/**
 * `TransformerDecoderLayer`s one after another, all looking at one memory, and a norm at the end if one is
 * given. PyTorch's names: layers.0.multihead_attn.in_proj_weight, …, norm.weight.
 */
export class TransformerDecoder extends Module {
  readonly layers: readonly TransformerDecoderLayer[];
  norm: LayerNorm | null;

  /**
   * @param makeLayer makes each layer, so that each has initial values of its own
   * @param options.norm for what the last layer gives; with `normFirst` layers there should be one. Default: none
   */
  constructor(
    makeLayer: (i: number) => TransformerDecoderLayer,
    numLayers: number,
    options: { norm?: LayerNorm | null } = {},
  ) {
    super();
    this.layers = makeLayers("TransformerDecoder", makeLayer, numLayers);
    this.norm = options.norm ?? null;
  }

  /** x [time, batch, dModel], memory [length, batch, dModel] → as x; the masks are for all layers. */
  forward(x: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    const y = this.layers.reduce((y, layer) => layer.forward(y, memory, masks), x);
    return this.norm === null ? y : this.norm.forward(y);
  }
}
