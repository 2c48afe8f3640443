/** Elman's recurrent layer. */
import type { NdArray } from "../backend/backend.ts";
import { stepAt } from "../backend/layout.ts";
import { tanh } from "../elementary/index.ts";
import { defineOp, run, runAll } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { linear } from "./linear.ts";
import type { RecurrentWeights, SequenceAttrs, SequenceOptions } from "./recurrent.ts";
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

interface RnnAttrs extends SequenceAttrs {
  readonly relu: boolean;
}

/** x [time, batch, hidden], what the inputs contribute, h0, weightHh → all states, h0 among them. */
const rnnSequence = defineOp<RnnAttrs>({
  name: "rnnSequence",
  kind: "rnnSequence",
  wasm: "rnn_sequence",
  reference: ([x, h0, weight]: readonly NdArray[], [y]: readonly NdArray[], attrs: RnnAttrs) => {
    const { reverse, relu } = attrs;
    const [time, batch, hidden] = x.shape;
    const row = batch * hidden;
    y.data.set(h0.data, reverse ? time * row : 0);
    for (let i = 0; i < time; i++) {
      const { at, before, after } = stepAt(i, time, reverse);
      for (let b = 0; b < row; b += hidden) {
        for (let k = 0; k < hidden; k++) {
          const own = dot(weight.data, k * hidden, y.data, before * row + b, hidden);
          const sum = x.data[at * row + b + k] + own;
          y.data[after * row + b + k] = relu ? Math.max(sum, 0) : tanh(sum);
        }
      }
    }
  },
  shape: ([x]) => statesShape(x, x.shape[2]),
  saves: ["y", 2],
  vjp: (dy, context, attrs) => {
    const [states, weightHh] = context.saved;
    const [dx, dh0] = runAll(rnnSequenceGrad, [states, dy, weightHh], attrs);
    const starts = startsOf(states, attrs.reverse);
    return [dx, dh0, context.needs(2) ? weightGrad(dx, starts) : null];
  },
});

/** states, their gradient, weightHh → the gradients of x and h0. */
const rnnSequenceGrad = defineOp<RnnAttrs>({
  name: "rnnSequenceGrad",
  kind: "rnnSequenceGrad",
  wasm: "rnn_sequence_grad",
  reference: (
    [states, dstates, weight]: readonly NdArray[],
    [dx, dh0]: readonly NdArray[],
    { reverse, relu }: RnnAttrs,
  ) => {
    const [time, batch, hidden] = dx.shape;
    const row = batch * hidden;
    dh0.data.fill(0);
    for (let i = time - 1; i >= 0; i--) {
      const { at, after } = stepAt(i, time, reverse);
      for (let k = 0; k < row; k++) {
        const y = states.data[after * row + k];
        const slope = relu ? Number(y > 0) : 1 - y * y;
        dx.data[at * row + k] = (dstates.data[after * row + k] + dh0.data[k]) * slope;
      }
      carryBack(dx, at * row, weight, dh0);
    }
    const first = reverse ? time * row : 0;
    for (let k = 0; k < row; k++) dh0.data[k] += dstates.data[first + k];
  },
  shape: ([states]) => [states.shape[0] - 1, ...states.shape.slice(1)],
  extra: ([states]) => [{ shape: states.shape.slice(1), dtype: states.dtype }],
});

/**
 * Elman's recurrence h = tanh(W x + b_ih + U h + b_hh), or relu: x [time, batch, in] → output
 * [time, batch, hidden] and the last h [batch, hidden].
 */
export function rnn(
  x: Tensor,
  weights: RecurrentWeights,
  options: SequenceOptions & { h?: Tensor | null; nonlinearity?: "tanh" | "relu" } = {},
): { output: Tensor; h: Tensor } {
  const { nonlinearity = "tanh", reverse = false } = options;
  const { batch, hidden } = checkSequence("rnn", x, weights, 1);
  const { weightIh, weightHh } = weights;
  const h = initialState("rnn", "h", options.h, batch, hidden, weightHh);
  const inputs = linear(x, weightIh, bothBiases(weights));
  const attrs = { reverse, relu: nonlinearity === "relu" };
  return outputsOf(run(rnnSequence, [inputs, h, weightHh], attrs), reverse);
}
