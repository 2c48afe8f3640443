/** Writing text with a model, one character after the other. */
import { noGrad, rand, scope, softmax, tensor, topk } from "roadless";
import { breathe } from "../common/interrupt.ts";
import type { CharacterModel } from "./model.ts";

export interface Taste {
  /** Below 1: likely characters become likelier; above 1: the text becomes wilder. */
  readonly temperature: number;
  /** Only so many of the likeliest characters are chosen from. */
  readonly topK: number;
}

/**
 * `length` characters that follow `prompt`, one by one. The model has to be in evaluation mode; `prompt`
 * holds at least one character, all of the model's vocabulary.
 */
export async function* continueText(
  model: CharacterModel,
  prompt: string,
  length: number,
  { temperature, topK }: Taste,
): AsyncGenerator<string> {
  const { vocabulary, size } = model;
  const text = [...vocabulary.encode(prompt)];
  for (let written = 0; written < length; written++) {
    await breathe();
    const seen = text.slice(-size.context);
    const open = scope();
    const { likelihoods, indices } = noGrad(() => {
      const logits = model.forward(tensor([seen], { dtype: "int32" })); // [1, seen, vocabulary]
      const last = logits.narrow(1, seen.length - 1, 1).flatten();
      const { values, indices } = topk(last, Math.min(topK, vocabulary.size));
      return { likelihoods: softmax(values.div(temperature), 0), indices };
    });
    const reads = [likelihoods.data(), indices.data(), rand([]).data()] as const;
    open.end(); // what is read has been copied
    const [shares, characters, [point]] = await Promise.all(reads);
    const next = characters[draw(shares, point)];
    text.push(next);
    yield vocabulary.characters[next];
  }
}

/** The number whose share of [0, 1) `point` falls into. `likelihoods` add up to 1, or nearly so. */
function draw(likelihoods: ArrayLike<number>, point: number): number {
  let i = 0;
  for (
    let sum = likelihoods[0];
    sum <= point && i < likelihoods.length - 1;
    sum += likelihoods[i]
  ) {
    i++;
  }
  return i;
}
