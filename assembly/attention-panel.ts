/** What forward and gradient of attention do to a panel of 8 queries: scores, weights, dropout. */
import { Heads, MASK } from "./attention-plan";
import { COLUMNS, ROWS } from "./blocks";
import { Hash } from "./hash";
import { Math4 } from "./math-f32";
import { pack_right } from "./pack";
import { multiply, ZEROS } from "./tile";

/** Keys whose weights are summed in one chain. */
const CHAIN: i32 = 64;

/** A panel is [n][8]: a row of 8 queries for each of n keys or features. */
@final
export class Panel {
  /** The panel's state: largest score [8], sum [8], correction of earlier results [8]. */
  static reset(state: usize, panels: i32): void {
    const low = f32x4.splat(-Infinity);
    for (let j = 0; j < panels; j++) {
      v128.store(state, low);
      v128.store(state, low, 16);
      v128.store(state, Math4.zero(), 32);
      v128.store(state, Math4.zero(), 48);
      state += 128;
    }
  }

  /**
   * out[n][8] = keys·panel + mask, from `query` and `key` on; -Infinity where a query may not
   * look. `keys` are left panels [e][ROWS]. `mask` is room for the mask's part.
   */
  static scores(
    heads: Heads,
    head: i32,
    keys: usize,
    panel: usize,
    query: i32,
    key: i32,
    n: i32,
    out: usize,
    mask: usize,
  ): void {
    const e = heads.e;
    multiply(n, COLUMNS, e, keys, (e * ROWS) << 2, ROWS << 2, panel, 0, 32, out, 32, ZEROS, 0, 0);
    if (heads.has(MASK)) {
      const row = heads.row(MASK);
      const column = heads.column(MASK);
      const at = heads.address(MASK, head) + row * query + column * key;
      pack_right(at, column, row, n, min(COLUMNS, heads.l - query), mask, (<usize>n) << 5);
      Panel.addMask(out, mask, n);
    }
    if (heads.causal) Panel.cutFuture(out, query - key, n);
  }

  /** Where the mask is -Infinity so is the score, whatever it was. */
  private static addMask(x: usize, mask: usize, n: i32): void {
    const low = f32x4.splat(-Infinity);
    for (const end = x + ((<usize>n) << 5); x < end; x += 16) {
      const m = v128.load(mask);
      v128.store(x, v128.bitselect(low, f32x4.add(v128.load(x), m), f32x4.eq(m, low)));
      mask += 16;
    }
  }

  /** -Infinity for keys after the query: query i sees rows j ≤ ahead + i. */
  private static cutFuture(x: usize, ahead: i32, n: i32): void {
    const low = f32x4.splat(-Infinity);
    for (let j = max(0, ahead + 1); j < n; j++) {
      const at = x + (j << 5);
      const later = i32x4.splat(j - ahead);
      const first = i32x4.gt_s(later, i32x4(0, 1, 2, 3));
      const second = i32x4.gt_s(later, i32x4(4, 5, 6, 7));
      v128.store(at, v128.bitselect(low, v128.load(at), first));
      v128.store(at, v128.bitselect(low, v128.load(at, 16), second), 16);
    }
  }

  /** x = e^(x − largest so far); brings the state up to date. */
  static weights(x: usize, n: i32, state: usize): void {
    let m0 = v128.load(state);
    let m1 = v128.load(state, 16);
    const end = x + ((<usize>n) << 5);
    for (let at = x; at < end; at += 32) {
      m0 = f32x4.pmax(m0, v128.load(at));
      m1 = f32x4.pmax(m1, v128.load(at, 16));
    }
    // Nothing to look at yet: any finite number does, and avoids Infinity − Infinity.
    const low = f32x4.splat(-Infinity);
    const from0 = v128.andnot(m0, f32x4.eq(m0, low));
    const from1 = v128.andnot(m1, f32x4.eq(m1, low));
    const old0 = Math4.exp(f32x4.sub(v128.load(state), from0));
    const old1 = Math4.exp(f32x4.sub(v128.load(state, 16), from1));
    let total0 = f32x4.mul(v128.load(state, 32), old0);
    let total1 = f32x4.mul(v128.load(state, 48), old1);
    while (x < end) {
      const stop = min(end, x + (CHAIN << 5));
      let sum0 = Math4.zero();
      let sum1 = Math4.zero();
      for (; x < stop; x += 32) {
        const e0 = Math4.exp(f32x4.sub(v128.load(x), from0));
        const e1 = Math4.exp(f32x4.sub(v128.load(x, 16), from1));
        v128.store(x, e0);
        v128.store(x, e1, 16);
        sum0 = f32x4.add(sum0, e0);
        sum1 = f32x4.add(sum1, e1);
      }
      total0 = f32x4.add(total0, sum0);
      total1 = f32x4.add(total1, sum1);
    }
    v128.store(state, m0);
    v128.store(state, m1, 16);
    v128.store(state, total0, 32);
    v128.store(state, total1, 48);
    v128.store(state, old0, 64);
    v128.store(state, old1, 80);
  }

  /** Of the state makes statistics: the largest score (0 where all are -Infinity), 1 / sum (0 for 0). */
  static finish(state: usize): void {
    const low = f32x4.splat(-Infinity);
    for (let i: usize = 0; i < 32; i += 16) {
      const m = v128.load(state + i);
      const sum = v128.load(state + i, 32);
      const inverse = f32x4.div(Math4.one(), sum);
      v128.store(state + i, v128.andnot(m, f32x4.eq(m, low)));
      v128.store(state + i, v128.andnot(inverse, f32x4.eq(sum, Math4.zero())), 32);
    }
  }

  /** x = growth·x where dropout keeps the weight, else 0. Weights count row-major: [head, query, key]. */
  static drop(heads: Heads, head: i32, x: usize, query: i32, key: i32, n: i32): void {
    const s = heads.s;
    const first = (head * heads.l + query) * s + key;
    const lanes = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(s));
    let counter0 = i32x4.add(i32x4.splat(first), lanes);
    let counter1 = i32x4.add(i32x4.splat(first + 4 * s), lanes);
    const one = i32x4.splat(1);
    const secret = i32x4.splat(heads.key);
    const threshold = i32x4.splat(heads.threshold);
    const growth = f32x4.splat(heads.growth);
    const m1 = i32x4.splat(Hash.FIRST);
    const m2 = i32x4.splat(Hash.SECOND);
    for (const end = x + ((<usize>n) << 5); x < end; x += 32) {
      const keep0 = Hash.keep(counter0, secret, threshold, m1, m2);
      const keep1 = Hash.keep(counter1, secret, threshold, m1, m2);
      v128.store(x, v128.and(f32x4.mul(v128.load(x), growth), keep0));
      v128.store(x, v128.and(f32x4.mul(v128.load(x, 16), growth), keep1), 16);
      counter0 = i32x4.add(counter0, one);
      counter1 = i32x4.add(counter1, one);
    }
  }

  /** x[n][8] *= factor[8] */
  static scale(x: usize, n: i32, factor: usize): void {
    const f0 = v128.load(factor);
    const f1 = v128.load(factor, 16);
    for (const end = x + ((<usize>n) << 5); x < end; x += 32) {
      v128.store(x, f32x4.mul(v128.load(x), f0));
      v128.store(x, f32x4.mul(v128.load(x, 16), f1), 16);
    }
  }

  /** to[query][n] = x[n][query] for `width` ≤ 8 queries, `row` bytes apart. */
  static write(x: usize, n: i32, width: i32, to: usize, row: usize): void {
    let f = 0;
    for (; f + 4 <= n; f += 4) {
      const at = x + (f << 5);
      for (let q = 0; q < width; q += 4) {
        const from = at + (q << 2);
        const r0 = v128.load(from);
        const r1 = v128.load(from, 32);
        const r2 = v128.load(from, 64);
        const r3 = v128.load(from, 96);
        const a0 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
        const a1 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
        const b0 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
        const b1 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
        const out = to + row * q + (f << 2);
        const left = width - q;
        v128.store(out, i64x2.shuffle(a0, b0, 0, 2));
        if (left > 1) v128.store(out + row, i64x2.shuffle(a0, b0, 1, 3));
        if (left > 2) v128.store(out + row * 2, i64x2.shuffle(a1, b1, 0, 2));
        if (left > 3) v128.store(out + row * 3, i64x2.shuffle(a1, b1, 1, 3));
      }
    }
    for (; f < n; f++) {
      for (let q = 0; q < width; q++) {
        store<f32>(to + row * q + (f << 2), load<f32>(x + (f << 5) + (q << 2)));
      }
    }
  }
}
