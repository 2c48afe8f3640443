/** Long short-term memory, with and without a projection. */
import type { NdArray } from "../backend/backend.ts";
import { stepAt } from "../backend/layout.ts";
import { sigmoid, tanh } from "../elementary/index.ts";
import { defineOp, run, runAll } from "../op.ts";
import { sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { reshape } from "./broadcast.ts";
import { linear } from "./linear.ts";
import { narrow } from "./movement.ts";
import type {
  RecurrentState,
  RecurrentWeights,
  SequenceAttrs,
  SequenceOptions,
} from "./recurrent.ts";
import {
  bothBiases,
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
 * x [time, batch, 4·hidden], what the inputs contribute, h0, c0, weightHh, weightHr? → one after another, as
 * both have gradients, all states [time + 1, batch, size], h0 among them, and the last c [batch, hidden];
 * the gates; and all cells [time + 1, batch, hidden].
 */
const lstmSequence = defineOp<SequenceAttrs>({
  name: "lstmSequence",
  kind: "lstmSequence",
  wasm: "lstm_sequence",
  reference: (
    inputs: readonly NdArray[],
    [y, gates, cells]: readonly NdArray[],
    { reverse }: SequenceAttrs,
  ) => {
    const [x, h0, c0, weight, projection] = inputs;
    const [time, batch] = x.shape;
    const [, size] = h0.shape;
    const [, hidden] = c0.shape;
    const h = new Float64Array(hidden);
    y.data.set(h0.data, reverse ? time * batch * size : 0);
    cells.data.set(c0.data, reverse ? time * batch * hidden : 0);
    for (let step = 0; step < time; step++) {
      const { at, before, after } = stepAt(step, time, reverse);
      for (let row = 0; row < batch; row++) {
        const source = before * batch + row;
        const target = after * batch + row;
        const from = (at * batch + row) * 4 * hidden;
        for (let k = 0; k < hidden; k++) {
          const values = [0, 1, 2, 3].map((gate) => {
            const j = gate * hidden + k;
            const sum = x.data[from + j] + dot(weight.data, j * size, y.data, source * size, size);
            return gate === 2 ? tanh(sum) : sigmoid(sum);
          });
          values.forEach((value, gate) => {
            gates.data[from + gate * hidden + k] = value;
          });
          const [i, f, g, o] = values;
          const c = f * cells.data[source * hidden + k] + i * g;
          cells.data[target * hidden + k] = c;
          h[k] = o * tanh(c);
        }
        for (let j = 0; j < size; j++) {
          const value = projection ? dot(projection.data, j * hidden, h, 0, hidden) : h[j];
          y.data[target * size + j] = value;
        }
      }
    }
    const last = (reverse ? 0 : time) * batch * hidden;
    const end = (time + 1) * batch * size;
    y.data.set(cells.data.subarray(last, last + batch * hidden), end);
  },
  shape: ([x, h0, c0]) => [sizeOf(statesShape(x, h0.shape[1])) + c0.size],
  extra: ([x, , c0]) => [
    { shape: x.shape, dtype: x.dtype },
    { shape: statesShape(x, c0.shape[1]), dtype: x.dtype },
  ],
  saves: ["y", 3, "extra0", "extra1", 4],
  vjp: (dy, context, attrs) => {
    const [y, weightHh, gates, cells, weightHr] = context.saved;
    const inputs = [gates, cells, dy, weightHh];
    if (weightHr !== undefined) inputs.push(weightHr);
    const [dx, dh0, dc0, dh, hiddens] = runAll(lstmSequenceGrad, inputs, attrs);
    const { states } = parts(y, statesShape(gates, weightHh.shape[1]), dc0.shape);
    return [
      dx,
      dh0,
      dc0,
      context.needs(3) ? weightGrad(dx, startsOf(states, attrs.reverse)) : null,
      weightHr !== undefined && context.needs(4) ? weightGrad(dh, hiddens) : null,
    ];
  },
});

/** What lstmSequence put one after another. */
function parts(
  y: Tensor,
  states: readonly number[],
  c: readonly number[],
): { states: Tensor; c: Tensor } {
  const size = sizeOf(states);
  return {
    states: reshape(narrow(y, 0, 0, size), states),
    c: reshape(narrow(y, 0, size, y.size - size), c),
  };
}

/**
 * gates, cells, the gradient of what lstmSequence gave, weightHh, weightHr? → the gradients of x, h0 and c0; with a
 * projection also that of every h [time, batch, size], and what each was projected from
 * [time, batch, hidden].
 */
const lstmSequenceGrad = defineOp<SequenceAttrs>({
  name: "lstmSequenceGrad",
  kind: "lstmSequenceGrad",
  wasm: "lstm_sequence_grad",
  reference: (
    inputs: readonly NdArray[],
    [dx, dh0, dc0, dh, hiddens]: readonly NdArray[],
    { reverse }: SequenceAttrs,
  ) => {
    const [gates, cells, dy, weight, projection] = inputs;
    const [time, batch] = dx.shape;
    const [, hidden] = dc0.shape;
    const [, size] = dh0.shape;
    const given = { data: new Float64Array(batch * hidden), shape: dc0.shape };
    dh0.data.fill(0);
    dc0.data.set(dy.data.subarray((time + 1) * batch * size));
    for (let step = time - 1; step >= 0; step--) {
      const { at, before, after } = stepAt(step, time, reverse);
      const total = projection ? dh.data.subarray(at * batch * size) : given.data;
      for (let j = 0; j < batch * size; j++) {
        total[j] = dy.data[after * batch * size + j] + dh0.data[j];
      }
      if (projection) carryBack(dh, at * batch * size, projection, given);
      for (let j = 0; j < batch * hidden; j++) {
        const to = at * batch * 4 * hidden + Math.floor(j / hidden) * 4 * hidden + (j % hidden);
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => gates.data[to + gate * hidden]);
        const t = tanh(cells.data[after * batch * hidden + j]);
        const dc = dc0.data[j] + given.data[j] * o * (1 - t * t);
        const slopes = [
          dc * g * i * (1 - i),
          dc * cells.data[before * batch * hidden + j] * f * (1 - f),
          dc * i * (1 - g * g),
          given.data[j] * t * o * (1 - o),
        ];
        slopes.forEach((value, gate) => {
          dx.data[to + gate * hidden] = value;
        });
        dc0.data[j] = dc * f;
        if (projection) hiddens.data[at * batch * hidden + j] = o * t;
      }
      carryBack(dx, at * batch * 4 * hidden, weight, dh0);
    }
    const first = reverse ? time * batch * size : 0;
    for (let j = 0; j < batch * size; j++) dh0.data[j] += dy.data[first + j];
  },
  shape: ([gates]) => gates.shape,
  extra: ([gates, cells, , weightHh, weightHr]) => {
    const { dtype } = gates;
    const [time, batch] = gates.shape;
    const [size, hidden] = [weightHh.shape[1], cells.shape[2]];
    const states = [
      { shape: [batch, size], dtype },
      { shape: [batch, hidden], dtype },
    ];
    if (weightHr === undefined) return states;
    return [
      ...states,
      { shape: [time, batch, size], dtype },
      { shape: [time, batch, hidden], dtype },
    ];
  },
});

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates): with
 * i, f, o = σ(…) and g = tanh(…) of W x + b_ih + U h + b_hh, c = f c + i g and h = o tanh(c).
 * x [time, batch, in] → output [time, batch, hidden] and the last h and c [batch, hidden].
 *
 * With weightHr (Sak et al., arXiv 1402.1128) h = weightHr · (o tanh(c)), and outputs and h have the size of
 * the projection.
 */
export function lstm(
  x: Tensor,
  weights: RecurrentWeights,
  options: SequenceOptions & RecurrentState = {},
): { output: Tensor; h: Tensor; c: Tensor } {
  const { reverse = false } = options;
  const { time, batch, hidden, size } = checkSequence("lstm", x, weights, 4);
  const { weightIh, weightHh, weightHr } = weights;
  const h = initialState("lstm", "h", options.h, batch, size, weightHh);
  const c = initialState("lstm", "c", options.c, batch, hidden, weightHh);
  const inputs = [linear(x, weightIh, bothBiases(weights)), h, c, weightHh];
  if (weightHr) inputs.push(weightHr);
  const y = run(lstmSequence, inputs, { reverse });
  const all = parts(y, [time + 1, batch, size], [batch, hidden]);
  return { ...outputsOf(all.states, reverse), c: all.c };
}
