/** The layer `transformer_lm` of golden/1 traces: a small causal transformer over characters. */
import type { Tensor } from "../index.ts";
import * as rl from "../index.ts";
import type { ParameterSpec } from "./model.ts";

export interface TransformerSpec {
  width: number;
  heads: number;
  blocks: number;
  block_length: number;
  mlp_width: number;
  gelu: "none" | "tanh";
  eps: number;
}

/**
 * Ids [batch, time] → logits [batch · time, vocabulary]: token and position embeddings; blocks of
 * x += proj(attention(ln1(x))), x += fc2(gelu(fc1(ln2(x)))); layer norm; head.
 */
export function transformerLm(
  { width, heads, blocks, gelu, eps }: TransformerSpec,
  parameters: ReadonlyMap<string, Tensor>,
): (ids: Tensor) => Tensor {
  const get = (name: string): Tensor => {
    const found = parameters.get(name);
    if (found === undefined) {
      throw new rl.ValueError(
        `transformer_lm: there is no parameter ${name}; expected it in the list`,
      );
    }
    return found;
  };
  const norm = (name: string, x: Tensor): Tensor =>
    rl.layerNorm(x, width, {
      weight: get(`${name}.weight`),
      bias: parameters.get(`${name}.bias`),
      eps,
    });
  const linear = (name: string, x: Tensor): Tensor =>
    rl.linear(x, get(`${name}.weight`), parameters.get(`${name}.bias`));
  const attention = (name: string, x: Tensor): Tensor => {
    const [batch, time] = x.shape;
    const [q, k, v] = rl
      .split(linear(`${name}.qkv`, x), width, -1)
      .map((part) => rl.transpose(rl.reshape(part, [batch, time, heads, -1]), 1, 2));
    const y = rl.scaledDotProductAttention(q, k, v, { isCausal: true });
    return linear(`${name}.proj`, rl.reshape(rl.transpose(y, 1, 2), x.shape));
  };
  return (ids) => {
    const positions = rl.narrow(get("pos.weight"), 0, 0, ids.shape[1]);
    let x = rl.add(rl.embedding(ids, get("tok.weight")), positions);
    for (let b = 0; b < blocks; b++) {
      const name = `blocks.${b}`;
      x = rl.add(x, attention(name, norm(`${name}.ln1`, x)));
      const hidden = rl.gelu(linear(`${name}.fc1`, norm(`${name}.ln2`, x)), { approximate: gelu });
      x = rl.add(x, linear(`${name}.fc2`, hidden));
    }
    return rl.flatten(linear("head", norm("ln", x)), 0, 1);
  };
}

/** Its parameters, in order; layer norms start at ones and zeros. */
export function transformerParameters(
  { width, blocks, block_length, mlp_width }: TransformerSpec,
  vocabulary: number,
): ParameterSpec[] {
  const weight = (name: string, shape: number[]): ParameterSpec => {
    return { name: `${name}.weight`, shape, init: "hash", fan_in: shape[1] };
  };
  const linear = (name: string, shape: number[]): ParameterSpec[] => [
    weight(name, shape),
    { name: `${name}.bias`, shape: [shape[0]], init: "hash", fan_in: shape[1] },
  ];
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [width], init: "ones" },
    { name: `${name}.bias`, shape: [width], init: "zeros" },
  ];
  const block = (name: string): ParameterSpec[] => [
    ...norm(`${name}.ln1`),
    weight(`${name}.qkv`, [3 * width, width]),
    ...linear(`${name}.proj`, [width, width]),
    ...norm(`${name}.ln2`),
    ...linear(`${name}.fc1`, [mlp_width, width]),
    ...linear(`${name}.fc2`, [width, mlp_width]),
  ];
  return [
    weight("tok", [vocabulary, width]),
    weight("pos", [block_length, width]),
    ...Array.from({ length: blocks }, (_, b) => block(`blocks.${b}`)).flat(),
    ...norm("ln"),
    ...linear("head", [vocabulary, width]),
  ];
}
