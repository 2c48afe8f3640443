/**
 * Launchers of the recurrent sequences and their gradients (assembly/rnn.ts, lstm.ts, gru.ts). A thread takes
 * some rows of the batch through all steps, so that no step waits for another thread.
 */
import type { View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { grainOf } from "./cut.ts";
import { packRight } from "./matmul.ts";

/** Runs a kernel over panels of rows; `work`: multiply-adds per row. */
function overRows(
  rt: Runtime,
  name: string,
  batch: number,
  work: number,
  args: readonly number[],
): void {
  const rows = rt.call("gemm_rows");
  const panels = Math.ceil(batch / rows);
  rt.parallel(name, panels, grainOf(panels, panels * rows * work, rt.threads), args);
}

/** weightᵀ [in, out] of weight [out, in], packed. */
function packTransposed(rt: Runtime, weight: View): number {
  const [n, k] = weight.shape;
  return packRight(rt, rt.dense(weight), 1, k, k, n);
}

function pack(rt: Runtime, weight: View): number {
  const [k, n] = weight.shape;
  return packRight(rt, rt.dense(weight), n, 1, k, n);
}

const rnnSequence: Launcher = (rt, _kernel, [x, h0, weight], [states], attrs) => {
  if (states.size === 0) return;
  const [time, batch, hidden] = x.shape;
  const args = [rt.dense(x), rt.dense(h0), packTransposed(rt, weight), rt.pointer(states)];
  args.push(Number(attrs.relu), time, batch, hidden, Number(attrs.reverse));
  overRows(rt, "rnn_sequence_f32", batch, time * hidden * hidden, args);
};

const rnnSequenceGrad: Launcher = (rt, _kernel, [states, dstates, weight], [dx, dh0], attrs) => {
  if (states.size === 0) return;
  const [time, batch, hidden] = dx.shape;
  const args = [rt.dense(states), rt.dense(dstates), pack(rt, weight)];
  args.push(rt.pointer(dx), rt.pointer(dh0));
  args.push(Number(attrs.relu), time, batch, hidden, Number(attrs.reverse));
  overRows(rt, "rnn_sequence_grad_f32", batch, time * hidden * hidden, args);
};

const gruSequence: Launcher = (rt, _kernel, inputs, [states, gates, inner], attrs) => {
  if (states.size === 0) return;
  const [x, h0, weight, bias] = inputs;
  const [time, batch, hidden] = inner.shape;
  const args = [rt.dense(x), rt.dense(h0), packTransposed(rt, weight)];
  args.push(bias === undefined ? 0 : rt.dense(bias));
  args.push(rt.pointer(states), rt.pointer(gates), rt.pointer(inner));
  args.push(time, batch, hidden, Number(attrs.reverse));
  overRows(rt, "gru_sequence_f32", batch, 3 * time * hidden * hidden, args);
};

const gruSequenceGrad: Launcher = (rt, _kernel, inputs, [dx, dinner, dh0], attrs) => {
  if (dh0.size === 0) return;
  const [gates, inner, states, dstates, weight] = inputs;
  const [time, batch, hidden] = inner.shape;
  const args = [gates, inner, states, dstates].map((view) => rt.dense(view));
  args.push(pack(rt, weight), rt.pointer(dx), rt.pointer(dinner), rt.pointer(dh0));
  args.push(rt.scratch(4 * batch * hidden), time, batch, hidden, Number(attrs.reverse));
  overRows(rt, "gru_sequence_grad_f32", batch, 3 * time * hidden * hidden, args);
};

const lstmSequence: Launcher = (rt, _kernel, inputs, [y, gates, cells], attrs) => {
  if (y.size === 0) return;
  const [x, h0, c0, weight, projection] = inputs;
  const [time, batch] = x.shape;
  const [hidden, size] = [c0.shape[1], h0.shape[1]];
  const states = rt.pointer(y);
  const args = [rt.dense(x), rt.dense(h0), rt.dense(c0), packTransposed(rt, weight)];
  args.push(projection === undefined ? 0 : packTransposed(rt, projection));
  args.push(states, states + 4 * (time + 1) * batch * size, rt.pointer(gates), rt.pointer(cells));
  args.push(projection === undefined ? 0 : rt.scratch(4 * batch * hidden));
  args.push(time, batch, hidden, size, Number(attrs.reverse));
  overRows(rt, "lstm_sequence_f32", batch, 4 * time * hidden * size, args);
};

const lstmSequenceGrad: Launcher = (rt, _kernel, inputs, [dx, dh0, dc0, dh, hiddens], attrs) => {
  if (dx.size === 0) return;
  const [gates, cells, dy, weight, projection] = inputs;
  const [time, batch] = dx.shape;
  const [hidden, size] = [dc0.shape[1], dh0.shape[1]];
  const dstates = rt.dense(dy);
  const args = [rt.dense(gates), rt.dense(cells), dstates];
  args.push(dstates + 4 * (time + 1) * batch * size, pack(rt, weight));
  args.push(projection === undefined ? 0 : pack(rt, projection));
  args.push(rt.pointer(dx), rt.pointer(dh0), rt.pointer(dc0));
  if (projection === undefined) args.push(0, 0, 0);
  else args.push(rt.pointer(dh), rt.pointer(hiddens), rt.scratch(4 * batch * hidden));
  args.push(time, batch, hidden, size, Number(attrs.reverse));
  overRows(rt, "lstm_sequence_grad_f32", batch, 4 * time * hidden * size, args);
};

export const recurrentLaunchers: Readonly<Record<string, Launcher>> = {
  rnnSequence,
  rnnSequenceGrad,
  gruSequence,
  gruSequenceGrad,
  lstmSequence,
  lstmSequenceGrad,
};
