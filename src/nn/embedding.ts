/** A table of learned vectors. */
import { ValueError } from "../errors.ts";
import type { EmbeddingOptions } from "../ops/embedding.ts";
import { checkNorms, embedding, paddingRow } from "../ops/embedding.ts";
import { randn } from "../ops/creation.ts";
import { narrow } from "../ops/movement.ts";
import { noGrad } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import type { LayerOptions, SharedWeight } from "./layers.ts";
import { shared } from "./layers.ts";
import { Module, parameter, warnAtY } from "./module.ts";

/** index [...] (int32) → [..., embeddingDim]. weight [numEmbeddings, embeddingDim], standard normal. */
export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly options: EmbeddingOptions;
  weight: Tensor;

  /** `options.paddingIdx`: a row that starts at 0 (but in a `weight` of another's) and takes no gradient. The rest as `embedding` has them. */
  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingOptions & LayerOptions & SharedWeight = {},
  ) {
    super();
    for (const [name, value] of Object.entries({ numEmbeddings, embeddingDim })) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new ValueError(`Embedding: ${name} is ${value}; expected a whole number from 1 up`);
    }
    const { paddingIdx, scaleGradByFreq, maxNorm, normType, weight, ...place } = options;
    checkNorms("Embedding", options);
    const skip = paddingRow("Embedding", paddingIdx, numEmbeddings);
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.options = { paddingIdx, scaleGradByFreq, maxNorm, normType };
    const shape = [numEmbeddings, embeddingDim];
    this.weight = weight ? shared("Embedding", weight, shape) : parameter(randn(shape, place));
    if (skip >= 0 && !weight) clearRow(this.weight, skip);
  }

  forward(index: Tensor): Tensor {
    if (!this.training) warnAtY("Embedding in eval mode", [this.weight]);
    return embedding(index, this.weight, this.options);
  }
}

function clearRow(weight: Tensor, row: number): void {
  noGrad(() => {
    narrow(weight, 0, row, 1).copyFrom(new Float32Array(weight.shape[1]));
  });
}
