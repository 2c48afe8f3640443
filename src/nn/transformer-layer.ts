/** What the layers of a transformer share, encoding or decoding. */
import { ValueError } from "../errors.ts";
import { gelu, relu } from "../ops/activation.ts";
import { dropout } from "../ops/random.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMasks } from "./attention-masks.ts";
import { MultiheadAttention } from "./attention.ts";
import { LayerNorm } from "./layer-norm.ts";
import type { LayerOptions } from "./layers.ts";
import { checkCount, Linear } from "./layers.ts";
import { Module, snakeCase } from "./module.ts";

export interface TransformerLayerOptions extends LayerOptions {
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

/** Attention, two linear layers, shortcuts and norms, which sub-classes put together. */
export abstract class TransformerLayer extends Module {
  readonly dropout: number;
  readonly normFirst: boolean;
  abstract linear1: Linear;
  abstract linear2: Linear;
  private readonly activation: (x: Tensor) => Tensor;
  private readonly dModel: number;
  private readonly options: TransformerLayerOptions;

  constructor(name: string, dModel: number, options: TransformerLayerOptions) {
    super();
    const { dropout: p = 0.1, activation = "relu", normFirst = false } = options;
    if (typeof activation !== "function" && !Object.hasOwn(activations, activation)) {
      throw new ValueError(
        `${name}: activation is "${String(activation)}"; expected "relu", "gelu" or a function`,
      );
    }
    this.dropout = p;
    this.normFirst = normFirst;
    this.activation = typeof activation === "function" ? activation : activations[activation];
    this.dModel = dModel;
    this.options = options;
  }

  /** self_attn, …: PyTorch's names. */
  override namedChildren(): [string, Module][] {
    return super.namedChildren().map(([name, child]) => [snakeCase(name), child]);
  }

  protected makeAttention(numHeads: number): MultiheadAttention {
    const { batchFirst, bias, device, dtype, generator } = this.options;
    const place = { device, dtype, generator };
    return new MultiheadAttention(this.dModel, numHeads, {
      ...place,
      bias,
      batchFirst,
      dropout: this.dropout,
    });
  }

  /** linear1 and linear2. */
  protected makeLinears(): [Linear, Linear] {
    const { dimFeedforward = 2048, bias, device, dtype, generator } = this.options;
    const place = { bias, device, dtype, generator };
    return [
      new Linear(this.dModel, dimFeedforward, place),
      new Linear(dimFeedforward, this.dModel, place),
    ];
  }

  protected makeNorm(): LayerNorm {
    const { layerNormEps: eps = 1e-5, bias, device, dtype } = this.options;
    return new LayerNorm(this.dModel, { bias, device, dtype, eps });
  }

  protected attend(
    attention: MultiheadAttention,
    x: Tensor,
    memory: Tensor,
    masks: AttentionMasks,
  ): Tensor {
    return this.drop(attention.forward(x, memory, memory, masks).output);
  }

  protected feed(x: Tensor): Tensor {
    const hidden =
      this.activation === relu
        ? this.linear1.forward(x, { activation: "relu" })
        : this.activation(this.linear1.forward(x));
    return this.drop(this.linear2.forward(this.drop(hidden)));
  }

  private drop(x: Tensor): Tensor {
    const { dropout: p, training } = this;
    return dropout(x, { p, training, generator: this.options.generator });
  }
}

/** Layers from `make`, each with initial values of its own. */
export function makeLayers<L extends TransformerLayer>(
  name: string,
  make: (i: number) => L,
  count: number,
): L[] {
  checkCount(name, "numLayers", count);
  const layers = Array.from({ length: count }, (_, i) => make(i));
  if (new Set(layers).size === count) return layers;
  throw new ValueError(`${name}: makeLayer gave one layer twice; expected a new one each time`);
}
