/**
 * Kinds `rnnSequenceGrad`, `gruSequenceGrad` and `lstmSequenceGrad`: backwards through the steps. The product of a
 * step carries the gradient of what it gave to what it started from, and adds what came from outside; the first
 * to run carries nothing.
 */
import type { View } from "../../backend.ts";
import { stepAt } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";
import { copyInto, fillWith } from "./movement.ts";
import { rowsOf, stepOf, stepProduct } from "./steps.ts";

/** states, dstates, weight → dx, dh0; one dispatch a step */
const rnnSequenceGrad: Launcher = (rt, _kernel, [states, dstates, weight], [dx, dh0], attrs) => {
  const [time, batch, hidden] = dx.shape;
  const reverse = attrs.reverse as boolean;
  const [results, given] = [rt.dense(states), rt.dense(dstates)];
  let later: View | null = null;
  for (let i = time - 1; i >= 0; i--) {
    const { at, after } = stepAt(i, time, reverse);
    const y = stepOf(dx, at, batch, hidden);
    const state = "states[p.states_at + row * p.n + column]";
    stepProduct(rt, {
      a: later,
      weight,
      plus: [stepOf(given, after, batch, hidden)],
      y,
      name: attrs.relu ? "relu slope" : "tanh slope",
      finish: attrs.relu
        ? `value * f32(!is_nan(${state}) && ${state} > 0.0)`
        : `value * (1.0 - ${state} * ${state})`,
      reads: { states: stepOf(results, after, batch, hidden) },
    });
    later = y;
  }
  const plus = [stepOf(given, reverse ? time : 0, batch, hidden)];
  stepProduct(rt, { a: later, weight, plus, y: dh0 });
};

/** gates, inner, states, dstates, weight → dx, dinner, dh0; two dispatches a step */
const gruSequenceGrad: Launcher = (rt, _kernel, inputs, [dx, dinner, dh0], attrs) => {
  const [time, batch, hidden] = inputs[1].shape;
  const reverse = attrs.reverse as boolean;
  const [gates, inner, states, dstates] = inputs.slice(0, 4).map((view) => rt.dense(view));
  const weight = inputs[4];
  const own = (): View => rowsOf(rt.scratch(batch * hidden, "float32"), 0, batch, hidden);
  const [dh, kept] = [own(), own()];
  fillWith(rt, kept, 0);
  let later: View | null = null;
  for (let i = time - 1; i >= 0; i--) {
    const { at, before, after } = stepAt(i, time, reverse);
    const dsums = stepOf(dinner, at, batch, 3 * hidden);
    const plus = [stepOf(dstates, after, batch, hidden), kept];
    stepProduct(rt, { a: later, weight, plus, y: dh });
    rt.run({
      key: "gru cell slopes",
      reads: {
        gates: stepOf(gates, at, batch, 3 * hidden),
        inner: stepOf(inner, at, batch, hidden),
        start: stepOf(states, before, batch, hidden),
        dh,
      },
      writes: { dx: stepOf(dx, at, batch, 3 * hidden), dsums, kept },
      u32: { hidden },
      items: batch * hidden,
      code: () => `  let first = (i / p.hidden) * 3u * p.hidden + i % p.hidden;
  let gates_i = p.gates_at + first;
  let r = gates[gates_i];
  let z = gates[gates_i + p.hidden];
  let n = gates[gates_i + 2u * p.hidden];
  let d = dh[p.dh_at + i];
  let dn = d * (1.0 - z) * (1.0 - n * n);
  let dz = d * (start[p.start_at + i] - n) * z * (1.0 - z);
  let dr = dn * inner[p.inner_at + i] * r * (1.0 - r);
  let dx_i = p.dx_at + first;
  dx[dx_i] = dr;
  dx[dx_i + p.hidden] = dz;
  dx[dx_i + 2u * p.hidden] = dn;
  let dsums_i = p.dsums_at + first;
  dsums[dsums_i] = dr;
  dsums[dsums_i + p.hidden] = dz;
  dsums[dsums_i + 2u * p.hidden] = dn * r;
  kept[p.kept_at + i] = d * z;`,
    });
    later = dsums;
  }
  const plus = [stepOf(dstates, reverse ? time : 0, batch, hidden), kept];
  stepProduct(rt, { a: later, weight, plus, y: dh0 });
};

/**
 * gates, cells, dy, weight, projection? → dx, dh0, dc0, and with a projection dh, hiddens; two dispatches a step,
 * with a projection three
 */
const lstmSequenceGrad: Launcher = (rt, _kernel, inputs, [dx, dh0, dc0, dh, hiddens], attrs) => {
  const [gates, cells, dy] = inputs.slice(0, 3).map((view) => rt.dense(view));
  const [weight, projection] = inputs.slice(3);
  const [time, batch] = dx.shape;
  const [hidden, size] = [dc0.shape[1], dh0.shape[1]];
  const reverse = attrs.reverse as boolean;
  const given = rowsOf(rt.scratch(batch * hidden, "float32"), 0, batch, hidden);
  copyInto(rt, rowsOf(dy, (time + 1) * batch * size, batch, hidden), dc0);
  let later: View | null = null;
  for (let i = time - 1; i >= 0; i--) {
    const { at, before, after } = stepAt(i, time, reverse);
    const dstates = stepOf(dy, after, batch, size);
    const dhNow = projection === undefined ? given : stepOf(dh, at, batch, size);
    stepProduct(rt, { a: later, weight, plus: [dstates], y: dhNow });
    if (projection !== undefined) stepProduct(rt, { a: dhNow, weight: projection, y: given });
    const slopes = stepOf(dx, at, batch, 4 * hidden);
    const projected =
      projection === undefined ? null : { hiddens: stepOf(hiddens, at, batch, hidden) };
    rt.run({
      key: "lstm cell slopes",
      reads: {
        gates: stepOf(gates, at, batch, 4 * hidden),
        start: stepOf(cells, before, batch, hidden),
        end: stepOf(cells, after, batch, hidden),
        given,
      },
      writes: { dx: slopes, dc: dc0, ...projected },
      u32: { hidden },
      items: batch * hidden,
      code: () => `  let first = (i / p.hidden) * 4u * p.hidden + i % p.hidden;
  let gates_i = p.gates_at + first;
  let input = gates[gates_i];
  let forget = gates[gates_i + p.hidden];
  let cell = gates[gates_i + 2u * p.hidden];
  let output = gates[gates_i + 3u * p.hidden];
  let t = f_tanh(end[p.end_at + i]);
  let d = given[p.given_at + i];
  let total = dc[p.dc_at + i] + d * output * (1.0 - t * t);
  let dx_i = p.dx_at + first;
  dx[dx_i] = total * cell * input * (1.0 - input);
  dx[dx_i + p.hidden] = total * start[p.start_at + i] * forget * (1.0 - forget);
  dx[dx_i + 2u * p.hidden] = total * input * (1.0 - cell * cell);
  dx[dx_i + 3u * p.hidden] = d * t * output * (1.0 - output);
  dc[p.dc_at + i] = total * forget;
  ${projected === null ? "" : "hiddens[p.hiddens_at + i] = output * t;"}`,
    });
    later = slopes;
  }
  const first = stepOf(dy, reverse ? time : 0, batch, size);
  stepProduct(rt, { a: later, weight, plus: [first], y: dh0 });
};

export const recurrentGradLaunchers: Readonly<Record<string, Launcher>> = {
  rnnSequenceGrad,
  gruSequenceGrad,
  lstmSequenceGrad,
};
