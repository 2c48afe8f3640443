/** Kinds `rnnSequence`, `gruSequence` and `lstmSequence`. */
import { stepAt } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";
import { copyInto } from "./movement.ts";
import { rowsOf, stepOf, stepProduct, transposed } from "./steps.ts";

/** x, h0, weight → states; one dispatch a step */
const rnnSequence: Launcher = (rt, _kernel, [x, h0, weight], [states], attrs) => {
  const [time, batch, hidden] = x.shape;
  const reverse = attrs.reverse as boolean;
  const inputs = rt.dense(x);
  copyInto(rt, h0, stepOf(states, reverse ? time : 0, batch, hidden));
  for (let i = 0; i < time; i++) {
    const { at, before, after } = stepAt(i, time, reverse);
    stepProduct(rt, {
      a: stepOf(states, before, batch, hidden),
      weight: transposed(weight),
      plus: [stepOf(inputs, at, batch, hidden)],
      y: stepOf(states, after, batch, hidden),
      name: attrs.relu ? "relu" : "tanh",
      finish: attrs.relu ? "f_max(value, 0.0)" : "f_tanh(value)",
    });
  }
};

/** x, h0, weight, bias? → states, gates, inner; two dispatches a step */
const gruSequence: Launcher = (rt, _kernel, inputs, [states, gates, inner], attrs) => {
  const [x, h0, weight, bias] = inputs;
  const [time, batch, hidden] = inner.shape;
  const reverse = attrs.reverse as boolean;
  const given = rt.dense(x);
  const plus = bias === undefined ? [] : [rt.dense(bias)];
  const sums = rowsOf(rt.scratch(3 * batch * hidden, "float32"), 0, batch, 3 * hidden);
  copyInto(rt, h0, stepOf(states, reverse ? time : 0, batch, hidden));
  for (let i = 0; i < time; i++) {
    const { at, before, after } = stepAt(i, time, reverse);
    const h = stepOf(states, before, batch, hidden);
    stepProduct(rt, { a: h, weight: transposed(weight), plus, y: sums });
    rt.run({
      key: "gru cell",
      reads: { x: stepOf(given, at, batch, 3 * hidden), sums },
      writes: {
        gates: stepOf(gates, at, batch, 3 * hidden),
        inner: stepOf(inner, at, batch, hidden),
        states: stepOf(states, after, batch, hidden),
      },
      u32: { hidden, before: h.offset },
      items: batch * hidden,
      code: () => `  let first = (i / p.hidden) * 3u * p.hidden + i % p.hidden;
  let x_i = p.x_at + first;
  let gates_i = p.gates_at + first;
  let un = sums[p.sums_at + first + 2u * p.hidden];
  let r = f_sigmoid(x[x_i] + sums[p.sums_at + first]);
  let z = f_sigmoid(x[x_i + p.hidden] + sums[p.sums_at + first + p.hidden]);
  let n = f_tanh(x[x_i + 2u * p.hidden] + r * un);
  gates[gates_i] = r;
  gates[gates_i + p.hidden] = z;
  gates[gates_i + 2u * p.hidden] = n;
  inner[p.inner_at + i] = un;
  states[p.states_at + i] = (1.0 - z) * n + z * states[p.before + i];`,
    });
  }
};

/**
 * x, h0, c0, weight, projection? → states and the last c in a row, gates, cells; two dispatches a step, with a
 * projection three
 */
const lstmSequence: Launcher = (rt, _kernel, inputs, [y, gates, cells], attrs) => {
  const [x, h0, c0, weight, projection] = inputs;
  const [time, batch] = x.shape;
  const [hidden, size] = [c0.shape[1], h0.shape[1]];
  const reverse = attrs.reverse as boolean;
  const given = rt.dense(x);
  copyInto(rt, h0, stepOf(y, reverse ? time : 0, batch, size));
  copyInto(rt, c0, stepOf(cells, reverse ? time : 0, batch, hidden));
  const hiddens = projection && rowsOf(rt.scratch(batch * hidden, "float32"), 0, batch, hidden);
  for (let i = 0; i < time; i++) {
    const { at, before, after } = stepAt(i, time, reverse);
    const gatesNow = stepOf(gates, at, batch, 4 * hidden);
    const h = stepOf(y, after, batch, size);
    stepProduct(rt, {
      a: stepOf(y, before, batch, size),
      weight: transposed(weight),
      plus: [stepOf(given, at, batch, 4 * hidden)],
      y: gatesNow,
    });
    rt.run({
      key: "lstm cell",
      writes: {
        gates: gatesNow,
        cells: stepOf(cells, after, batch, hidden),
        h: hiddens ?? h,
      },
      u32: { hidden, before: stepOf(cells, before, batch, hidden).offset },
      items: batch * hidden,
      code: () => `  let gates_i = p.gates_at + (i / p.hidden) * 4u * p.hidden + i % p.hidden;
  let input = f_sigmoid(gates[gates_i]);
  let forget = f_sigmoid(gates[gates_i + p.hidden]);
  let cell = f_tanh(gates[gates_i + 2u * p.hidden]);
  let output = f_sigmoid(gates[gates_i + 3u * p.hidden]);
  let c = forget * cells[p.before + i] + input * cell;
  gates[gates_i] = input;
  gates[gates_i + p.hidden] = forget;
  gates[gates_i + 2u * p.hidden] = cell;
  gates[gates_i + 3u * p.hidden] = output;
  cells[p.cells_at + i] = c;
  h[p.h_at + i] = output * f_tanh(c);`,
    });
    if (hiddens !== undefined) {
      stepProduct(rt, { a: hiddens, weight: transposed(projection), y: h });
    }
  }
  const last = stepOf(cells, reverse ? 0 : time, batch, hidden);
  copyInto(rt, last, rowsOf(y, (time + 1) * batch * size, batch, hidden));
};

export const recurrentLaunchers: Readonly<Record<string, Launcher>> = {
  rnnSequence,
  gruSequence,
  lstmSequence,
};
