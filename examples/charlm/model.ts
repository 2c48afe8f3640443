/** A causal transformer over characters, and its way into a file and out of it. */
import {
  arange,
  loadSafetensors,
  nn,
  RoadlessError,
  saveSafetensorsAsync,
  type Tensor,
} from "roadless";
import { UsageError } from "../common/options.ts";
import { Vocabulary } from "./text.ts";

export interface Size {
  /** How many characters it sees at once. */
  readonly context: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
}

export class CharacterModel extends nn.Module {
  readonly vocabulary: Vocabulary;
  readonly size: Size;
  characters: nn.Embedding;
  positions: nn.Embedding;
  blocks: nn.ModuleList<nn.TransformerEncoderLayer>;
  norm: nn.LayerNorm;
  logits: nn.Linear;

  constructor(vocabulary: Vocabulary, size: Size) {
    super();
    const { context, width, heads, layers } = size;
    this.vocabulary = vocabulary;
    this.size = size;
    this.characters = new nn.Embedding(vocabulary.size, width);
    this.positions = new nn.Embedding(context, width);
    this.blocks = new nn.ModuleList();
    for (let i = 0; i < layers; i++) {
      const block = new nn.TransformerEncoderLayer(width, heads, {
        dimFeedforward: 4 * width,
        activation: "gelu",
        dropout: 0, // the text is too long to be learned by heart in minutes
        batchFirst: true,
        normFirst: true,
      });
      this.blocks.append(block);
    }
    this.norm = new nn.LayerNorm(width);
    const { weight } = this.characters; // tied: what stands for a character also recognises it
    this.logits = new nn.Linear(width, vocabulary.size, { weight, bias: false });
    // Not PyTorch's 1, as they are the weights of the output too.
    nn.init.normal(this.characters.weight, 0, 1 / Math.sqrt(width));
    nn.init.normal(this.positions.weight, 0, 1 / Math.sqrt(width));
  }

  /** Characters [n, time] → logits of the one that follows each of them [n, time, vocabulary]. */
  forward(x: Tensor): Tensor {
    let y = this.characters.forward(x).add(this.positions.forward(arange(x.shape[1])));
    for (const block of this.blocks) y = block.forward(y, { isCausal: true });
    return this.logits.forward(this.norm.forward(y));
  }
}

/** The parameters have to hold x: call the optimizer's `eval()` first. `notes` are kept with them. */
export async function saveModel(
  file: string,
  model: CharacterModel,
  notes: Readonly<Record<string, string | number>>,
): Promise<void> {
  const metadata: Record<string, string> = { vocabulary: model.vocabulary.characters.join("") };
  for (const [name, value] of Object.entries({ ...model.size, ...notes })) {
    metadata[name] = String(value);
  }
  await saveSafetensorsAsync(file, await model.stateDictAsync(), metadata);
}

/** The model in a file that `saveModel` wrote. Throws UsageError for another one. */
export function loadModel(file: string): CharacterModel {
  try {
    const { tensors, metadata } = loadSafetensors(file);
    const { vocabulary, context, width, heads, layers } = metadata;
    if (vocabulary === undefined) throw new UsageError("it names no vocabulary");
    const model = new CharacterModel(new Vocabulary(vocabulary), {
      context: Number(context),
      width: Number(width),
      heads: Number(heads),
      layers: Number(layers),
    });
    model.loadStateDict(Object.fromEntries(tensors));
    return model;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof RoadlessError)) throw error;
    throw new UsageError(
      `--load is "${file}"; expected a file that this example saved (${error.message})`,
    );
  }
}
