/** Gated recurrent units. */
import type { NdArray } from "../backend/backend.ts";
import { stepAt } from "../backend/layout.ts";
import { sigmoid, tanh } from "../elementary/index.ts";
import { defineOp, run, runAll } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { sum } from "./broadcast.ts";
import { linear } from "./linear.ts";
import type { RecurrentWeights, SequenceAttrs, SequenceOptions } from "./recurrent.ts";
import {
  carryBack,
  checkSequence,
  dot,
  initialState,
  outputsOf,
  startsOf,
  statesShape,
  weightGrad,
} from "./recurrent.ts";

/**
 * x [time, batch, 3·hidden], what the inputs contribute, h0, weightHh, biasHh? → all states, h0 among them; the
 * gates, and n's part of U h + b_hh.
 */
const gruSequence = defineOp<SequenceAttrs>({
  name: "gruSequence",
  kind: "gruSequence",
  wasm: "gru_sequence",
  reference: (
    inputs: readonly NdArray[],
    [y, gates, inner]: readonly NdArray[],
    { reverse }: SequenceAttrs,
  ) => {
    const [x, h0, weight, bias] = inputs;
    const [time, batch, hidden] = inner.shape;
    y.data.set(h0.data, reverse ? time * batch * hidden : 0);
    for (let i = 0; i < time; i++) {
      const { at, before, after } = stepAt(i, time, reverse);
      for (let row = 0; row < batch; row++) {
        const h = (before * batch + row) * hidden;
        const from = (at * batch + row) * 3 * hidden;
        for (let k = 0; k < hidden; k++) {
          const [ur, uz, un] = [0, 1, 2].map((gate) => {
            const j = gate * hidden + k;
            return dot(weight.data, j * hidden, y.data, h, hidden) + (bias?.data[j] ?? 0);
          });
          const r = sigmoid(x.data[from + k] + ur);
          const z = sigmoid(x.data[from + hidden + k] + uz);
          const n = tanh(x.data[from + 2 * hidden + k] + r * un);
          [r, z, n].forEach((value, gate) => {
            gates.data[from + gate * hidden + k] = value;
          });
          inner.data[(at * batch + row) * hidden + k] = un;
          y.data[(after * batch + row) * hidden + k] = (1 - z) * n + z * y.data[h + k];
        }
      }
    }
  },
  shape: ([x, h0]) => statesShape(x, h0.shape[1]),
  extra: ([x, h0]) => [
    { shape: x.shape, dtype: x.dtype },
    { shape: [...x.shape.slice(0, 2), h0.shape[1]], dtype: x.dtype },
  ],
  saves: ["y", 2, "extra0", "extra1"],
  vjp: (dy, context, attrs) => {
    const [states, weightHh, gates, inner] = context.saved;
    const inputs = [gates, inner, states, dy, weightHh];
    const [dx, dinner, dh0] = runAll(gruSequenceGrad, inputs, attrs);
    const starts = startsOf(states, attrs.reverse);
    const biased = context.inputs.length > 3 && context.needs(3);
    return [
      dx,
      dh0,
      context.needs(2) ? weightGrad(dinner, starts) : null,
      biased ? sum(dinner, [0, 1]) : null,
    ];
  },
});

/** gates, inner, states, the states' gradient, weightHh → the gradients of x, of U h + b_hh, and of h0. */
const gruSequenceGrad = defineOp<SequenceAttrs>({
  name: "gruSequenceGrad",
  kind: "gruSequenceGrad",
  wasm: "gru_sequence_grad",
  reference: (
    [gates, inner, states, dstates, weight]: readonly NdArray[],
    [dx, dinner, dh0]: readonly NdArray[],
    { reverse }: SequenceAttrs,
  ) => {
    const [time, batch, hidden] = inner.shape;
    const kept = new Float64Array(batch * hidden);
    dh0.data.fill(0);
    for (let i = time - 1; i >= 0; i--) {
      const { at, before, after } = stepAt(i, time, reverse);
      for (let j = 0; j < batch * hidden; j++) {
        const row = Math.floor(j / hidden);
        const to = at * batch * 3 * hidden + row * 3 * hidden + (j % hidden);
        const [r, z, n] = [0, 1, 2].map((gate) => gates.data[to + gate * hidden]);
        const d = dstates.data[after * batch * hidden + j] + dh0.data[j] + kept[j];
        kept[j] = d * z;
        const dn = d * (1 - z) * (1 - n * n);
        const dz = d * (states.data[before * batch * hidden + j] - n) * z * (1 - z);
        const dr = dn * inner.data[at * batch * hidden + j] * r * (1 - r);
        [dr, dz, dn].forEach((value, gate) => {
          dx.data[to + gate * hidden] = value;
          dinner.data[to + gate * hidden] = gate === 2 ? value * r : value;
        });
      }
      carryBack(dinner, at * batch * 3 * hidden, weight, dh0);
    }
    const first = reverse ? time * batch * hidden : 0;
    for (let j = 0; j < kept.length; j++) dh0.data[j] += kept[j] + dstates.data[first + j];
  },
  shape: ([gates]) => gates.shape,
  extra: ([gates, inner]) => [
    { shape: gates.shape, dtype: gates.dtype },
    { shape: inner.shape.slice(1), dtype: gates.dtype },
  ],
});

/**
 * Gated recurrent unit (Cho et al., arXiv 1406.1078; PyTorch's form): with r, z = σ(…),
 * n = tanh(W x + b_ih + r (U h + b_hh)) and h = (1 - z) n + z h.
 * x [time, batch, in] → output [time, batch, hidden] and the last h [batch, hidden].
 */
export function gru(
  x: Tensor,
  weights: RecurrentWeights,
  options: SequenceOptions & { h?: Tensor | null } = {},
): { output: Tensor; h: Tensor } {
  const { reverse = false } = options;
  const { batch, hidden } = checkSequence("gru", x, weights, 3);
  const { weightIh, weightHh, biasIh, biasHh } = weights;
  const h = initialState("gru", "h", options.h, batch, hidden, weightHh);
  const inputs = [linear(x, weightIh, biasIh), h, weightHh];
  if (biasHh) inputs.push(biasHh);
  return outputsOf(run(gruSequence, inputs, { reverse }), reverse);
}
