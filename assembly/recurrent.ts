/** What the recurrent kernels share (rnn.ts, lstm.ts, gru.ts). */
import { ROWS } from "./blocks";

/** Gradients on their way back through time. */
@final
export class Carry {
  /**
   * Gradients that have all but vanished become 0: their products would be denormal numbers, 85 times
   * as slow, and a long sequence has many.
   */
  @inline
  static flush(v: v128): v128 {
    return v128.andnot(v, f32x4.lt(f32x4.abs(v), v128.load(VANISHED)));
  }
}

/** 2^-100 */
const VANISHED: usize = memory.data<f32>(
  [7.888609e-31, 7.888609e-31, 7.888609e-31, 7.888609e-31],
  16,
);

/** Rows [from, to) of a [batch, ...] array that panels [begin, end) of gemm_rows() rows are. */
@final
export class Rows {
  @inline
  static from(begin: i32): i32 {
    return begin * ROWS;
  }

  @inline
  static to(end: i32, batch: i32): i32 {
    return min(batch, end * ROWS);
  }
}

/**
 * Steps and states: x[at] leads from states[before] to states[after]; in reverse the last step comes first and
 * states[time] is the initial one.
 */
@final
export class Time {
  @inline
  static at(step: i32, time: i32, reverse: i32): i32 {
    return reverse ? time - 1 - step : step;
  }

  @inline
  static before(at: i32, reverse: i32): i32 {
    return reverse ? at + 1 : at;
  }

  @inline
  static after(at: i32, reverse: i32): i32 {
    return reverse ? at : at + 1;
  }
}

/** Rows [from, to) of `bytes` each. */
export function copyRows(target: usize, source: usize, bytes: usize, from: i32, to: i32): void {
  const skip = bytes * from;
  memory.copy(target + skip, source + skip, bytes * (to - from));
}

export function clearRows(target: usize, bytes: usize, from: i32, to: i32): void {
  memory.fill(target + bytes * from, 0, bytes * (to - from));
}

/** target = a + b, rows [from, to) of n numbers; `target` may be `a` or `b`. */
export function addRows(target: usize, a: usize, b: usize, n: i32, from: i32, to: i32): void {
  let i = (<usize>(n * from)) << 2;
  const stop = (<usize>(n * to)) << 2;
  for (; i + 16 <= stop; i += 16) {
    v128.store(target + i, f32x4.add(v128.load(a + i), v128.load(b + i)));
  }
  for (; i < stop; i += 4) store<f32>(target + i, load<f32>(a + i) + load<f32>(b + i));
}
