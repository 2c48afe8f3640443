/** Attention as one record: neither direction ever holds the matrix of scores. */
import type { Kernel, NdArray } from "../backend/backend.ts";
import { exp } from "../elementary/index.ts";
import type { Op } from "../op.ts";
import { defineOp, runInPlace } from "../op.ts";
import { sizeOf } from "../shape.ts";
import type { Vjp } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { empty } from "../tensor.ts";
import { transpose } from "./movement.ts";
import type { DropoutAttrs } from "./random.ts";
import { keeps } from "./random.ts";

export interface AttentionAttrs extends DropoutAttrs {
  isCausal: boolean;
  /** Factor of query · key. */
  scale: number;
}

/** A query with its weights, one per key, before and after dropout. */
interface Query {
  /** All leading dimensions as one, and the row in it. */
  head: number;
  row: number;
  /** Where its features begin in query, and its result in y. */
  q: number;
  y: number;
  weights: Float64Array;
  kept: Float64Array;
  /** The largest score, and 1 / Σ e^(score − largest); 0 and 0 where it sees no key. */
  largest: number;
  inverse: number;
}

/** The definition: `visit` gets every query. The weights are valid until it returns. */
function eachQuery(
  [query, key, value, mask]: readonly NdArray[],
  attrs: AttentionAttrs,
  visit: (query: Query) => void,
): void {
  const { isCausal, scale, p } = attrs;
  const [heads, l, e] = query.shape.slice(-3);
  const [s, v] = value.shape.slice(-2);
  const weights = new Float64Array(s);
  const kept = new Float64Array(s);
  const count = sizeOf(query.shape.slice(0, -1));
  for (let i = 0; i < count; i++) {
    const row = i % l;
    const head = Math.floor(i / l);
    let largest = -Infinity;
    for (let j = 0; j < s; j++) {
      let score = mask?.data[i * s + j] ?? 0;
      if (isCausal && j > row) score = -Infinity;
      if (score !== -Infinity) {
        let product = 0;
        for (let f = 0; f < e; f++) {
          product += query.data[i * e + f] * key.data[(head * s + j) * e + f];
        }
        score += scale * product;
      }
      weights[j] = score;
      largest = Math.max(largest, score);
    }
    if (largest === -Infinity) largest = 0;
    let sum = 0;
    for (let j = 0; j < s; j++) sum += weights[j] = exp(weights[j] - largest);
    const inverse = sum === 0 ? 0 : 1 / sum;
    for (let j = 0; j < s; j++) {
      weights[j] *= inverse;
      kept[j] = p === 0 ? weights[j] : keeps(attrs, i * s + j) ? weights[j] / (1 - p) : 0;
    }
    const y = ((Math.floor(head / heads) * l + row) * heads + (head % heads)) * v;
    visit({ head, row, q: i * e, y, weights, kept, largest, inverse });
  }
}

/** From query, key, value, y, statistics, dy, mask? to the gradients of the first three. */
const attentionGrad: Kernel = {
  name: "attentionGrad",
  kind: "attentionGrad",
  wasm: "attention_grad",
  reference: (
    [query, key, value, y, , dy, mask]: readonly NdArray[],
    [dq, dk, dv]: readonly NdArray[],
    attrs: AttentionAttrs,
  ) => {
    const [s, v] = value.shape.slice(-2);
    const e = query.shape[query.shape.length - 1];
    for (const gradient of [dq, dk, dv]) gradient.data.fill(0);
    const operands = mask === undefined ? [query, key, value] : [query, key, value, mask];
    eachQuery(operands, attrs, ({ head, q, y: at, weights, kept }) => {
      let mean = 0; // of the weights' gradients
      for (let f = 0; f < v; f++) mean += dy.data[at + f] * y.data[at + f];
      for (let j = 0; j < s; j++) {
        const k = (head * s + j) * e;
        const own = (head * s + j) * v;
        let slope = 0;
        for (let f = 0; f < v; f++) {
          slope += dy.data[at + f] * value.data[own + f];
          dv.data[own + f] += kept[j] * dy.data[at + f];
        }
        const score = attrs.scale * (kept[j] * slope - weights[j] * mean);
        for (let f = 0; f < e; f++) {
          dq.data[q + f] += score * key.data[k + f];
          dk.data[k + f] += score * query.data[q + f];
        }
      }
    });
  },
};

/** Room for a gradient of `x`, laid out like it: heads may lie beside each other in a row. */
function emptyLike(x: Tensor): Tensor {
  const [heads, rows] = [x.ndim - 3, x.ndim - 2];
  if (x.strides[heads] >= x.strides[rows]) return empty(x.backend, x.shape, x.dtype, "grad");
  const turned = x.shape.map((extent, d) =>
    d === heads ? x.shape[rows] : d === rows ? x.shape[heads] : extent,
  );
  return transpose(empty(x.backend, turned, x.dtype, "grad"), heads, rows);
}

const vjp: Vjp<AttentionAttrs> = (dy, { saved }, attrs) => {
  const [query, key, value, y, statistics, mask] = saved;
  const gradients = [query, key, value].map(emptyLike);
  const given = [query, key, value, y, statistics, dy];
  runInPlace(attentionGrad, mask === undefined ? given : [...given, mask], gradients, attrs);
  return [...gradients, null];
};

/**
 * softmax(scale · query · keyᵀ) · value: query [..., heads, l, e], key [..., heads, s, e], value
 * [..., heads, s, v] → y [..., l, heads, v], in which the heads of a query lie beside each other.
 * Values that no query sees must be finite on the cpu: their weight is 0.
 */
export const attentionOp: Op<AttentionAttrs> = defineOp<AttentionAttrs>({
  name: "attention",
  kind: "attention",
  wasm: "attention",
  reference: (
    operands: readonly NdArray[],
    [y, statistics]: readonly NdArray[],
    attrs: AttentionAttrs,
  ) => {
    const value = operands[2];
    const [s, v] = value.shape.slice(-2);
    const l = operands[0].shape[operands[0].shape.length - 2];
    y.data.fill(0);
    eachQuery(operands, attrs, ({ head, row, y: at, kept, largest, inverse }) => {
      for (let j = 0; j < s; j++) {
        for (let f = 0; f < v; f++) {
          y.data[at + f] += kept[j] * value.data[(head * s + j) * v + f];
        }
      }
      statistics.data[head * 2 * l + row] = largest;
      statistics.data[(head * 2 + 1) * l + row] = inverse;
    });
  },
  shape: ([query, , value]) => {
    const [heads, l] = query.shape.slice(-3);
    return [...query.shape.slice(0, -3), l, heads, value.shape[value.ndim - 1]];
  },
  extra: ([query]) => [
    { shape: [...query.shape.slice(0, -2), 2, query.shape[query.ndim - 2]], dtype: query.dtype },
  ],
  saves: [0, 1, 2, "y", "extra0"],
  vjp,
});

/** The same with a mask [..., heads, l, s] that is added to the scores, and has no gradient. */
export const maskedAttentionOp: Op<AttentionAttrs> = defineOp<AttentionAttrs>({
  ...attentionOp,
  name: "attentionMasked",
  saves: [0, 1, 2, "y", "extra0", 3],
});
