/**
 * Gated recurrent units over a sequence, in PyTorch's form and order of gates: reset, update, new.
 *
 *     r, z = σ(x[at] + h·W_hhᵀ + b_hh)
 *     n = tanh(x[at] + r·(h·W_hhᵀ + b_hh))
 *     h' = (1 − z)·n + z·h
 *
 * x: [time, batch, 3·hidden], what the inputs contribute. Work is split as in lstm.ts.
 */
import { gemm_f32 } from "./gemm";
import { Quad } from "./lanes";
import { Math4 } from "./math-f32";
import { addRows, Carry, clearRows, copyRows, Rows, Time } from "./recurrent";
import { F32x4 } from "./simd";

@final
class Cell {
  /** `gates` comes with what h contributes; of that, the part of n goes to `inner`. */
  @inline
  static forward(
    x: usize,
    gates: usize,
    inner: usize,
    h: usize,
    next: usize,
    width: usize,
    n: i32,
  ): void {
    const r = Math4.sigmoid(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, r, n);
    x += width;
    gates += width;
    const z = Math4.sigmoid(f32x4.add(Quad.load(x, n), Quad.load(gates, n)));
    Quad.store(gates, z, n);
    x += width;
    gates += width;
    const own = Quad.load(gates, n);
    Quad.store(inner, own, n);
    const candidate = Math4.tanh(F32x4.fma(r, own, Quad.load(x, n)));
    Quad.store(gates, candidate, n);
    const difference = f32x4.sub(Quad.load(h, n), candidate);
    Quad.store(next, F32x4.fma(z, difference, candidate), n);
  }

  /**
   * From the gradient of h', which is dh + carry + kept, to those of x and of h·W_hhᵀ + b_hh, and in
   * `kept` of h, as far as it goes there directly.
   */
  @inline
  static backward(
    gates: usize,
    inner: usize,
    h: usize,
    dh: usize,
    carry: usize,
    kept: usize,
    dx: usize,
    dinner: usize,
    width: usize,
    n: i32,
  ): void {
    const one = Math4.one();
    const r = Quad.load(gates, n);
    const z = Quad.load(gates + width, n);
    const candidate = Quad.load(gates + 2 * width, n);
    const d = f32x4.add(f32x4.add(Quad.load(dh, n), Quad.load(carry, n)), Quad.load(kept, n));
    Quad.store(kept, Carry.flush(f32x4.mul(d, z)), n);
    const rest = f32x4.sub(one, z);
    const slope = F32x4.fnma(candidate, candidate, one);
    const dn = Carry.flush(f32x4.mul(f32x4.mul(d, rest), slope));
    const difference = f32x4.sub(Quad.load(h, n), candidate);
    const dz = Carry.flush(f32x4.mul(f32x4.mul(d, difference), f32x4.mul(z, rest)));
    const gate = f32x4.mul(r, f32x4.sub(one, r));
    const dr = Carry.flush(f32x4.mul(f32x4.mul(dn, Quad.load(inner, n)), gate));
    Quad.store(dx, dr, n);
    Quad.store(dinner, dr, n);
    Quad.store(dx + width, dz, n);
    Quad.store(dinner + width, dz, n);
    Quad.store(dx + 2 * width, dn, n);
    Quad.store(dinner + 2 * width, Carry.flush(f32x4.mul(dn, r)), n);
  }
}

function forwardRow(
  x: usize,
  gates: usize,
  inner: usize,
  h: usize,
  next: usize,
  hidden: i32,
): void {
  const width = (<usize>hidden) << 2;
  const whole = width & ~15;
  for (let k: usize = 0; k < whole; k += 16) {
    Cell.forward(x + k, gates + k, inner + k, h + k, next + k, width, 4);
  }
  const rest = hidden & 3;
  if (rest) {
    const k = whole;
    Cell.forward(x + k, gates + k, inner + k, h + k, next + k, width, rest);
  }
}

function backwardRow(
  gates: usize,
  inner: usize,
  h: usize,
  dh: usize,
  carry: usize,
  kept: usize,
  dx: usize,
  dinner: usize,
  hidden: i32,
): void {
  const width = (<usize>hidden) << 2;
  const whole = width & ~15;
  for (let k: usize = 0; k < whole; k += 16) {
    // prettier-ignore
    Cell.backward(gates + k, inner + k, h + k, dh + k, carry + k, kept + k, dx + k, dinner + k, width, 4);
  }
  const rest = hidden & 3;
  if (rest) {
    const k = whole;
    // prettier-ignore
    Cell.backward(gates + k, inner + k, h + k, dh + k, carry + k, kept + k, dx + k, dinner + k, width, rest);
  }
}

/**
 * `weight`: W_hhᵀ [hidden, 3·hidden], packed by gemm_pack_right_f32; `bias`: b_hh [3·hidden], or 0. Writes all
 * states [time + 1, batch, hidden], the first included, the gates [time, batch, 3·hidden], and n's
 * part of h·W_hhᵀ + b_hh [time, batch, hidden] to `inner`.
 */
export function gru_sequence_f32(
  x: usize,
  h0: usize,
  weight: usize,
  bias: usize,
  states: usize,
  gates: usize,
  inner: usize,
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
  copyRows(states + (reverse ? bytes * time : 0), h0, width, from, to);
  for (let step = 0; step < time; step++) {
    const at = Time.at(step, time, reverse);
    const h = states + bytes * Time.before(at, reverse);
    const next = states + bytes * Time.after(at, reverse);
    const g = gates + 3 * bytes * at;
    // prettier-ignore
    gemm_f32(h, hidden, 1, 0, 0, 0, g, bias, batch, 3 * hidden, hidden, 0, weight, 0, begin, end);
    for (let row = from; row < to; row++) {
      const skip = width * row;
      // prettier-ignore
      forwardRow(x + 3 * (bytes * at + skip), g + 3 * skip, inner + bytes * at + skip, h + skip,
        next + skip, hidden);
    }
  }
}

/**
 * From the gradient of the states to those of x, of h·W_hhᵀ + b_hh (`dinner`, [time, batch, 3·hidden]) and
 * of h0. `weight`: W_hh [3·hidden, hidden], packed; `kept`: room for [batch, hidden].
 */
export function gru_sequence_grad_f32(
  gates: usize,
  inner: usize,
  states: usize,
  dstates: usize,
  weight: usize,
  dx: usize,
  dinner: usize,
  dh0: usize,
  kept: usize,
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
  clearRows(dh0, width, from, to);
  clearRows(kept, width, from, to);
  for (let step = time - 1; step >= 0; step--) {
    const at = Time.at(step, time, reverse);
    const h = states + bytes * Time.before(at, reverse);
    const given = dstates + bytes * Time.after(at, reverse);
    const d = dinner + 3 * bytes * at;
    for (let row = from; row < to; row++) {
      const skip = width * row;
      // prettier-ignore
      backwardRow(gates + 3 * (bytes * at + skip), inner + bytes * at + skip, h + skip, given + skip,
        dh0 + skip, kept + skip, dx + 3 * (bytes * at + skip), d + 3 * skip, hidden);
    }
    // prettier-ignore
    gemm_f32(d, 3 * hidden, 1, 0, 0, 0, dh0, 0, batch, hidden, 3 * hidden, 0, weight, 0, begin, end);
  }
  addRows(dh0, dh0, kept, hidden, from, to);
  addRows(dh0, dh0, dstates + (reverse ? bytes * time : 0), hidden, from, to);
}
