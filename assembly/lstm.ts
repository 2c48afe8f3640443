/**
 * Long short-term memory over a sequence, with PyTorch's order of gates: input, forget, cell, output.
 *
 *     i, f, o = σ(…), g = tanh(…) of x[at] + h·W_hhᵀ
 *     c' = f·c + i·g
 *     h' = o·tanh(c') [·W_hrᵀ]
 *
 * x: [time, batch, 4·hidden], what the inputs contribute, biases included. Rows of a batch know nothing of each
 * other, so a thread takes some of them (`begin … end` counts panels of gemm_rows() rows) through
 * all steps. Weights are packed by gemm_pack_right_f32.
 */
import { gemm_f32 } from "./gemm";
import { Quad } from "./lanes";
import { Math4 } from "./math-f32";
import { addRows, Carry, clearRows, copyRows, Rows, Time } from "./recurrent";
import { F32x4 } from "./simd";

@final
class Cell {
  /** `gates` comes with what h contributes, and goes with the activated gates. */
  @inline
  static forward(
    x: usize,
    gates: usize,
    before: usize,
    after: usize,
    h: usize,
    width: usize,
    n: i32,
  ): void {
    const i = Math4.sigmoid(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, i, n);
    x += width;
    gates += width;
    const f = Math4.sigmoid(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, f, n);
    x += width;
    gates += width;
    const g = Math4.tanh(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, g, n);
    x += width;
    gates += width;
    const o = Math4.sigmoid(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, o, n);
    const c = F32x4.fma(f, Quad.load(before, n), f32x4.mul(i, g));
    Quad.store(after, c, n);
    Quad.store(h, f32x4.mul(o, Math4.tanh(c)), n);
  }

  /**
   * From the gradient of h', which is dh + carry (carry may be 0), and of c' in `dc` to those of the gates before
   * activation, and of c in `dc`. `h`: where o·tanh(c') goes, or 0.
   */
  @inline
  static backward(
    gates: usize,
    before: usize,
    after: usize,
    dh: usize,
    carry: usize,
    dc: usize,
    dgates: usize,
    h: usize,
    width: usize,
    n: i32,
  ): void {
    const one = Math4.one();
    const i = Quad.load(gates, n);
    const f = Quad.load(gates + width, n);
    const g = Quad.load(gates + 2 * width, n);
    const o = Quad.load(gates + 3 * width, n);
    const t = Math4.tanh(Quad.load(after, n));
    if (h) Quad.store(h, f32x4.mul(o, t), n);
    let d = Quad.load(dh, n);
    if (carry) d = f32x4.add(d, Quad.load(carry, n));
    const dot = f32x4.mul(f32x4.mul(d, t), f32x4.mul(o, f32x4.sub(one, o)));
    Quad.store(dgates + 3 * width, Carry.flush(dot), n);
    const cell = F32x4.fma(f32x4.mul(d, o), F32x4.fnma(t, t, one), Quad.load(dc, n));
    const input = f32x4.mul(f32x4.mul(cell, g), f32x4.mul(i, f32x4.sub(one, i)));
    Quad.store(dgates, Carry.flush(input), n);
    const memory = f32x4.mul(cell, Quad.load(before, n));
    const forget = f32x4.mul(memory, f32x4.mul(f, f32x4.sub(one, f)));
    Quad.store(dgates + width, Carry.flush(forget), n);
    const candidate = f32x4.mul(f32x4.mul(cell, i), F32x4.fnma(g, g, one));
    Quad.store(dgates + 2 * width, Carry.flush(candidate), n);
    Quad.store(dc, Carry.flush(f32x4.mul(cell, f)), n);
  }
}

function forwardRow(
  x: usize,
  gates: usize,
  before: usize,
  after: usize,
  h: usize,
  hidden: i32,
): void {
  const width = (<usize>hidden) << 2;
  const whole = width & ~15;
  for (let k: usize = 0; k < whole; k += 16) {
    Cell.forward(x + k, gates + k, before + k, after + k, h + k, width, 4);
  }
  const rest = hidden & 3;
  if (rest) {
    const k = whole;
    Cell.forward(x + k, gates + k, before + k, after + k, h + k, width, rest);
  }
}

function backwardRow(
  gates: usize,
  before: usize,
  after: usize,
  dh: usize,
  carry: usize,
  dc: usize,
  dgates: usize,
  h: usize,
  hidden: i32,
): void {
  const width = (<usize>hidden) << 2;
  const whole = width & ~15;
  for (let k: usize = 0; k < whole; k += 16) {
    // prettier-ignore
    Cell.backward(gates + k, before + k, after + k, dh + k, carry ? carry + k : 0, dc + k, dgates + k,
      h ? h + k : 0, width, 4);
  }
  const rest = hidden & 3;
  if (rest) {
    const k = whole;
    // prettier-ignore
    Cell.backward(gates + k, before + k, after + k, dh + k, carry ? carry + k : 0, dc + k, dgates + k,
      h ? h + k : 0, width, rest);
  }
}

/**
 * `weight`: W_hhᵀ [size, 4·hidden]; `projection`: W_hrᵀ [hidden, size], or 0 where size is hidden.
 * Writes all states [time + 1, batch, size] and cells [time + 1, batch, hidden], those of the start
 * included, the last cells again to `last` [batch, hidden], and the gates [time, batch, 4·hidden].
 * `hiddens`: room for [batch, hidden] where there is a projection.
 */
export function lstm_sequence_f32(
  x: usize,
  h0: usize,
  c0: usize,
  weight: usize,
  projection: usize,
  states: usize,
  last: usize,
  gates: usize,
  cells: usize,
  hiddens: usize,
  time: i32,
  batch: i32,
  hidden: i32,
  size: i32,
  reverse: i32,
  begin: i32,
  end: i32,
): void {
  const from = Rows.from(begin);
  const to = Rows.to(end, batch);
  const width = (<usize>hidden) << 2;
  const stateBytes = (<usize>(batch * size)) << 2;
  const cellBytes = width * batch;
  const first = reverse ? time : 0;
  copyRows(states + stateBytes * first, h0, (<usize>size) << 2, from, to);
  copyRows(cells + cellBytes * first, c0, width, from, to);
  for (let step = 0; step < time; step++) {
    const at = Time.at(step, time, reverse);
    const before = Time.before(at, reverse);
    const after = Time.after(at, reverse);
    const h = states + stateBytes * before;
    const next = states + stateBytes * after;
    const g = gates + 4 * cellBytes * at;
    gemm_f32(h, size, 1, 0, 0, 0, g, 0, batch, 4 * hidden, size, 0, weight, 0, begin, end);
    const target = projection ? hiddens : next;
    for (let row = from; row < to; row++) {
      const skip = width * row;
      // prettier-ignore
      forwardRow(x + 4 * (cellBytes * at + skip), g + 4 * skip, cells + cellBytes * before + skip,
        cells + cellBytes * after + skip, target + skip, hidden);
    }
    if (projection) {
      // prettier-ignore
      gemm_f32(hiddens, hidden, 1, 0, 0, 0, next, 0, batch, size, hidden, 0, projection, 0, begin, end);
    }
  }
  copyRows(last, cells + cellBytes * (reverse ? 0 : time), width, from, to);
}

/**
 * From the gradients of the states, `dstates`, and of the last cells, `dlast`, to those of x, h0 and c0.
 * `weight`: W_hh [4·hidden, size]; `projection`: W_hr [size, hidden], or 0. With a projection, `dh`
 * [time, batch, size] and `hiddens` [time, batch, hidden] are written too: the gradient of every h', and
 * what it was projected from; `dhidden` is room for [batch, hidden].
 */
export function lstm_sequence_grad_f32(
  gates: usize,
  cells: usize,
  dstates: usize,
  dlast: usize,
  weight: usize,
  projection: usize,
  dx: usize,
  dh0: usize,
  dc0: usize,
  dh: usize,
  hiddens: usize,
  dhidden: usize,
  time: i32,
  batch: i32,
  hidden: i32,
  size: i32,
  reverse: i32,
  begin: i32,
  end: i32,
): void {
  const from = Rows.from(begin);
  const to = Rows.to(end, batch);
  const width = (<usize>hidden) << 2;
  const stateBytes = (<usize>(batch * size)) << 2;
  const cellBytes = width * batch;
  // dh0 and dc0 hold the gradients on their way back to the start.
  clearRows(dh0, (<usize>size) << 2, from, to);
  copyRows(dc0, dlast, width, from, to);
  for (let step = time - 1; step >= 0; step--) {
    const at = Time.at(step, time, reverse);
    const before = cells + cellBytes * Time.before(at, reverse);
    const after = cells + cellBytes * Time.after(at, reverse);
    let given = dstates + stateBytes * Time.after(at, reverse);
    let carry = dh0;
    if (projection) {
      const total = dh + stateBytes * at;
      addRows(total, given, dh0, size, from, to);
      // prettier-ignore
      gemm_f32(total, size, 1, 0, 0, 0, dhidden, 0, batch, hidden, size, 0, projection, 0, begin, end);
      given = dhidden;
      carry = 0;
    }
    const d = dx + 4 * cellBytes * at;
    for (let row = from; row < to; row++) {
      const skip = width * row;
      // prettier-ignore
      backwardRow(gates + 4 * (cellBytes * at + skip), before + skip, after + skip, given + skip,
        carry ? carry + skip : 0, dc0 + skip, d + 4 * skip,
        projection ? hiddens + cellBytes * at + skip : 0, hidden);
    }
    gemm_f32(d, 4 * hidden, 1, 0, 0, 0, dh0, 0, batch, size, 4 * hidden, 0, weight, 0, begin, end);
  }
  addRows(dh0, dh0, dstates + (reverse ? stateBytes * time : 0), size, from, to);
}
