/**
 * Elman's recurrence over a sequence, h' = tanh(x[at] + h·W_hhᵀ) or relu. x: [time, batch, hidden], what the
 * inputs contribute, biases included. Work is split as in lstm.ts.
 */
import { gemm_f32 } from "./gemm";
import { Quad } from "./lanes";
import { Math4 } from "./math-f32";
import { addRows, Carry, clearRows, copyRows, Rows, Time } from "./recurrent";
import { F32x4 } from "./simd";

/** h' from what h contributes, in place; and the gradient of the sum from that of h'. */
interface Activation {
  forward(sum: v128): v128;
  backward(y: v128, dy: v128): v128;
}

@final
class Tanh implements Activation {
  @inline
  forward(sum: v128): v128 {
    return Math4.tanh(sum);
  }
  @inline
  backward(y: v128, dy: v128): v128 {
    return f32x4.mul(dy, F32x4.fnma(y, y, Math4.one()));
  }
}

/** As relu_f32 and relu_grad_f32. */
@final
class Relu implements Activation {
  @inline
  forward(sum: v128): v128 {
    return f32x4.pmax(sum, Math4.zero());
  }
  @inline
  backward(y: v128, dy: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, Math4.zero()));
  }
}

/** h += x, activated: n numbers. */
function forwardRows<T extends Activation>(x: usize, h: usize, n: i32): void {
  const op = changetype<T>(0);
  for (; n >= 4; n -= 4) {
    v128.store(h, op.forward(f32x4.add(v128.load(x), v128.load(h))));
    x += 16;
    h += 16;
  }
  if (n) Quad.store(h, op.forward(f32x4.add(Quad.load(x, n), Quad.load(h, n))), n);
}

function backwardRows<T extends Activation>(
  y: usize,
  dh: usize,
  carry: usize,
  dx: usize,
  n: i32,
): void {
  const op = changetype<T>(0);
  for (; n >= 4; n -= 4) {
    const d = f32x4.add(v128.load(dh), v128.load(carry));
    v128.store(dx, Carry.flush(op.backward(v128.load(y), d)));
    y += 16;
    dh += 16;
    carry += 16;
    dx += 16;
  }
  if (n) {
    const d = f32x4.add(Quad.load(dh, n), Quad.load(carry, n));
    Quad.store(dx, Carry.flush(op.backward(Quad.load(y, n), d)), n);
  }
}

/**
 * `weight`: W_hhᵀ [hidden, hidden], packed by gemm_pack_right_f32. Writes all states [time + 1, batch, hidden],
 * the first included.
 */
export function rnn_sequence_f32(
  x: usize,
  h0: usize,
  weight: usize,
  states: usize,
  relu: i32,
  time: i32,
  batch: i32,
  hidden: i32,
  reverse: i32,
  begin: i32,
  end: i32,
): void {
  const from = Rows.from(begin);
  const to = Rows.to(end, batch);
  const width = (<usize>hidden) << 2;
  const bytes = width * batch;
  const skip = width * from;
  const n = hidden * (to - from);
  copyRows(states + (reverse ? bytes * time : 0), h0, width, from, to);
  for (let step = 0; step < time; step++) {
    const at = Time.at(step, time, reverse);
    const h = states + bytes * Time.before(at, reverse);
    const next = states + bytes * Time.after(at, reverse);
    gemm_f32(h, hidden, 1, 0, 0, 0, next, 0, batch, hidden, hidden, 0, weight, 0, begin, end);
    if (relu) forwardRows<Relu>(x + bytes * at + skip, next + skip, n);
    else forwardRows<Tanh>(x + bytes * at + skip, next + skip, n);
  }
}

/** From the gradient of the states to those of x and h0. `weight`: W_hh, packed. */
export function rnn_sequence_grad_f32(
  states: usize,
  dstates: usize,
  weight: usize,
  dx: usize,
  dh0: usize,
  relu: i32,
  time: i32,
  batch: i32,
  hidden: i32,
  reverse: i32,
  begin: i32,
  end: i32,
): void {
  const from = Rows.from(begin);
  const to = Rows.to(end, batch);
  const width = (<usize>hidden) << 2;
  const bytes = width * batch;
  const skip = width * from;
  const n = hidden * (to - from);
  clearRows(dh0, width, from, to);
  for (let step = time - 1; step >= 0; step--) {
    const at = Time.at(step, time, reverse);
    const place = bytes * Time.after(at, reverse) + skip;
    const d = dx + bytes * at;
    if (relu) backwardRows<Relu>(states + place, dstates + place, dh0 + skip, d + skip, n);
    else backwardRows<Tanh>(states + place, dstates + place, dh0 + skip, d + skip, n);
    gemm_f32(d, hidden, 1, 0, 0, 0, dh0, 0, batch, hidden, hidden, 0, weight, 0, begin, end);
  }
  addRows(dh0, dh0, dstates + (reverse ? bytes * time : 0), hidden, from, to);
}
