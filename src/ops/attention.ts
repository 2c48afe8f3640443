/** Scaled dot-product attention, and rotary position embedding. */
import { cos, pow, sin } from "../elementary/index.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { run } from "../op.ts";
import type { Generator } from "../random.ts";
import type { Shape } from "../shape.ts";
import { broadcastShapes, formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { isFloat } from "../tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { attentionOp, maskedAttentionOp } from "./attention-fused.ts";
import { expand, reshape, sum } from "./broadcast.ts";
import { cast, toFloat } from "./common.ts";
import { eq, ge, logicalAnd, logicalOr, ne, where } from "./compare.ts";
import { arange, tensor, zeros } from "./creation.ts";
import { matmul } from "./matmul.ts";
import { concat, narrow, transpose, unsqueeze } from "./movement.ts";
import { drawDropout, dropout } from "./random.ts";
import { softmax } from "./softmax.ts";

export interface AttentionOptions {
  /** Broadcast to [..., l, s]. bool: true = attend; numbers are added to the scores. Default: none. */
  mask?: Tensor | null;
  /** Query i sees keys j ≤ i only, also where l ≠ s. Together with `mask`: both hold. Default false. */
  isCausal?: boolean;
  /** Factor of query · key. Default 1/√e. */
  scale?: number;
  /** Probability that a weight becomes 0 (others grow); applied whenever it is not 0. Default 0. */
  dropout?: number;
  /** Source of dropout. Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
  /** Key and value have fewer heads (third dimension from the end); each serves a group. Default false. */
  enableGqa?: boolean;
}

/**
 * softmax(scale · query · keyᵀ + mask) · value: query [..., l, e], key [..., s, e], value [..., s, v] →
 * [..., l, v], as torch.nn.functional.scaled_dot_product_attention (Vaswani et al., arXiv 1706.03762).
 * Leading dimensions broadcast. A query that may attend to nothing gives zeros, and no gradient.
 * Scores are never stored, except where the gradient of a mask of numbers is asked for.
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  if (value.ndim < 2 || key.ndim < 2 || value.shape[value.ndim - 2] !== key.shape[key.ndim - 2]) {
    throw new ShapeError(
      `scaledDotProductAttention: key ${formatShape(key.shape)} and value ${formatShape(value.shape)}; ` +
        "expected [..., s, e] and [..., s, v]",
    );
  }
  if (options.enableGqa) return grouped(query, key, value, options);
  const { mask = null, dropout: p = 0, generator } = options;
  if (isFusable(query, value, mask)) return fused(query, key, value, options);
  const weights = attentionWeights(query, key, options);
  return matmul(p === 0 ? weights : dropout(weights, { p, generator }), value);
}

/** Widths up to which 8 queries and 8 keys fit a thread's scratch memory. */
const WIDEST = 4096;

/** The one rule: attention is one operation, unless the mask's gradient is asked for: a matrix of scores itself. */
function isFusable(query: Tensor, value: Tensor, mask: Tensor | null): boolean {
  const width = Math.max(query.shape[query.ndim - 1], value.shape[value.ndim - 1]);
  return width <= WIDEST && !mask?.requiresGrad;
}

/** By the record `attention`: operands of one dtype, leading dimensions alike and at least one. */
function fused(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  const name = "scaledDotProductAttention";
  const { l, s, mask, isCausal, scale } = checkScores(query, key, options);
  const floats = [query, key, value].map(toFloat);
  const dtype = floats.some((x) => x.dtype === "float64") ? "float64" : "float32";
  const operands = floats.map((x) => cast(x, dtype));
  if (mask !== null) {
    const zero = zeros([], { dtype, device: mask.device });
    const added = isFloat(mask.dtype) ? cast(mask, dtype) : where(ne(mask, 0), zero, -Infinity);
    operands.push(expand(added, [...mask.shape.slice(0, -2), l, s]));
  }
  let lead: Shape = [];
  for (const x of operands) lead = broadcastShapes(name, lead, x.shape.slice(0, -2));
  const heads = lead.length === 0 ? [1] : lead;
  const inputs = operands.map((x) => expand(x, [...heads, ...x.shape.slice(-2)]));
  // The same object: a compiled step renews the draw in it.
  const drawn = drawDropout(name, options.dropout ?? 0, options.generator);
  const attrs = Object.assign(drawn, { isCausal, scale });
  const y = transpose(run(mask === null ? attentionOp : maskedAttentionOp, inputs, attrs), -2, -3);
  return lead.length === 0 ? reshape(y, y.shape.slice(1)) : y;
}

interface Scores {
  /** Queries and keys. */
  l: number;
  s: number;
  mask: Tensor | null;
  isCausal: boolean;
  scale: number;
}

/** The options with their defaults, checked against the shapes. */
function checkScores(query: Tensor, key: Tensor, options: AttentionOptions): Scores {
  const e = query.shape[query.ndim - 1];
  if (query.ndim < 2 || key.ndim < 2 || key.shape[key.ndim - 1] !== e) {
    throw new ShapeError(
      `scaledDotProductAttention: query ${formatShape(query.shape)} and key ${formatShape(key.shape)}; ` +
        "expected [..., l, e] and [..., s, e]",
    );
  }
  const { mask = null, isCausal = false, scale = 1 / Math.sqrt(e) } = options;
  const [l, s] = [query.shape[query.ndim - 2], key.shape[key.ndim - 2]];
  const fits = (extent: number | undefined, n: number): boolean => extent === n || extent === 1;
  if (
    mask !== null &&
    (!fits(mask.shape[mask.ndim - 1], s) || !fits(mask.shape[mask.ndim - 2] ?? 1, l))
  ) {
    throw new ShapeError(
      `scaledDotProductAttention: mask ${formatShape(mask.shape)} for ${l} queries and ${s} keys; ` +
        `expected something that broadcasts to [..., ${l}, ${s}]`,
    );
  }
  return { l, s, mask, isCausal, scale };
}

/** The weights [..., l, s] with which values are averaged; options as `scaledDotProductAttention`. */
export function attentionWeights(query: Tensor, key: Tensor, options: AttentionOptions): Tensor {
  const { l, s, mask, isCausal, scale } = checkScores(query, key, options);
  const past = isCausal
    ? ge(
        unsqueeze(arange(l, undefined, 1, { device: query.device }), 1),
        arange(s, undefined, 1, { device: query.device }),
      )
    : null;
  const scores = matmul(mul(query, scale), transpose(key, -1, -2));
  if (mask === null) {
    return softmax(past === null ? scores : where(past, scores, -Infinity), -1);
  }
  const added = isFloat(mask.dtype);
  const open = added ? ne(mask, -Infinity) : ne(mask, 0);
  const allowed = past === null ? open : logicalAnd(open, past);
  // Rows without anything to attend to would be 0/0: they attend to all, and their weights are dropped.
  const idle = eq(sum(allowed, -1, { keepdim: true }), 0);
  const sound = logicalOr(allowed, idle);
  const biased = added ? add(scores, where(idle, 0, where(open, mask, 0))) : scores;
  return where(idle, 0, softmax(where(sound, biased, -Infinity), -1));
}

/** Heads of queries in groups, each of which shares a head of keys and values; nothing is copied. */
function grouped(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Tensor {
  const heads = query.shape[query.ndim - 3];
  const own = key.shape[key.ndim - 3];
  for (const x of [key, value]) {
    if (query.ndim >= 3 && x.ndim >= 3 && heads % own === 0 && x.shape[x.ndim - 3] === own)
      continue;
    throw new ShapeError(
      `scaledDotProductAttention: enableGqa with query ${formatShape(query.shape)} and ${formatShape(x.shape)}; ` +
        "expected [..., heads, l, e] and [..., groups, s, e] with heads a multiple of groups",
    );
  }
  const split = (x: Tensor): Tensor =>
    reshape(x, [...x.shape.slice(0, -3), own, heads / own, ...x.shape.slice(-2)]);
  const share = (x: Tensor): Tensor => unsqueeze(x, x.ndim - 2);
  let { mask = null } = options;
  if (mask !== null && mask.ndim > 2) {
    mask = mask.shape[mask.ndim - 3] === heads ? split(mask) : share(mask);
  }
  const each = { ...options, mask, enableGqa: false };
  const y = scaledDotProductAttention(split(query), share(key), share(value), each);
  return reshape(y, [...y.shape.slice(0, -4), heads, ...y.shape.slice(-2)]);
}

export interface RotaryOptions {
  /** Wavelengths grow from 2π to 2π·base. Default 10000. */
  base?: number;
  /** Position of the first row: how many rows came before. Default 0. */
  offset?: number;
  /** Pairs are neighbours (0, 1), (2, 3), …; by default i and i + d/2 (GPT-NeoX, Llama). */
  interleaved?: boolean;
}

/**
 * Rotary position embedding (Su et al., arXiv 2104.09864): x [..., t, d] with each pair i of features of
 * row p turned by the angle p · base^(-2i/d). d is even. Products of queries and keys then depend on
 * the distance of their positions alone.
 */
export function rotaryEmbedding(x: Tensor, options: RotaryOptions = {}): Tensor {
  const { base = 10_000, offset = 0, interleaved = false } = options;
  const [t, d] = x.shape.slice(-2);
  if (x.ndim < 2 || d % 2 !== 0) {
    throw new ShapeError(
      `rotaryEmbedding: found ${formatShape(x.shape)}; expected [..., t, d] with an even d`,
    );
  }
  if (!(base > 0)) throw new ValueError(`rotaryEmbedding: base is ${base}; expected a number > 0`);
  const half = d / 2;
  const table = (f: (angle: number) => number): Tensor =>
    tensor(
      Float64Array.from({ length: t * half }, (_, k) =>
        f((offset + Math.floor(k / half)) * pow(base, -(k % half) / half)),
      ),
      { shape: [t, half, 1], dtype: x.dtype, device: x.device },
    );
  const cosines = table(cos);
  const sines = table(sin);
  const lead = x.shape.slice(0, -1);
  const pairs = interleaved
    ? reshape(x, [...lead, half, 2])
    : transpose(reshape(x, [...lead, 2, half]), -1, -2);
  const a = narrow(pairs, -1, 0, 1);
  const b = narrow(pairs, -1, 1, 1);
  const turned = concat(
    [sub(mul(a, cosines), mul(b, sines)), add(mul(a, sines), mul(b, cosines))],
    -1,
  );
  return reshape(interleaved ? turned : transpose(turned, -1, -2), x.shape);
}
