/**
 * The gradient of attention.ts. With weights P = e^(S − m)·r, made again from q, k and the statistics
 * m and r (bit for bit those of the forward pass), D = rowsum(dO ∘ O), and M the mask of dropout:
 *
 *     dV = (M∘P)ᵀ·dO    dP = M∘(dO·Vᵀ)    dS = P∘(dP − D)    dQ = scale·dS·K    dK = scale·dSᵀ·Q
 *
 * Sums run over blocks of queries and of keys in ascending order. So a head is one job, or its blocks are
 * jobs of their own (those of dQ apart from those of dK and dV, at the price of making P twice): the
 * bits are the same.
 */
import { Panel } from "./attention-panel";
import { DK, DQ, DV, DY, Heads, K, multiply_by, Q, V, Y } from "./attention-plan";
import { Area, COLUMNS, ROWS } from "./blocks";
import { Math4 } from "./math-f32";
import { pack_left, pack_right } from "./pack";
import { F32x4 } from "./simd";
import { multiply, ZEROS } from "./tile";

/** dq, dk, dv of heads [begin, end). */
export function attention_grad_f32(p: usize, begin: i32, end: i32): void {
  const heads = Heads.at(p);
  for (let head = begin; head < end; head++) {
    clear(heads, head, 0, heads.s);
    for (let first = 0; first < heads.l; first += heads.block) {
      queries(heads, head, first, 0, heads.s, true, true);
    }
  }
}

/** dq of blocks of queries, [begin, end) of heads · ⌈l / block⌉. */
export function attention_grad_queries_f32(p: usize, begin: i32, end: i32): void {
  const heads = Heads.at(p);
  const blocks = (heads.l + heads.block - 1) / heads.block;
  for (let job = begin; job < end; job++) {
    const head = job / blocks;
    queries(heads, head, (job - head * blocks) * heads.block, 0, heads.s, true, false);
  }
}

/** dk and dv of blocks of keys, [begin, end) of heads · ⌈s / block⌉. */
export function attention_grad_keys_f32(p: usize, begin: i32, end: i32): void {
  const heads = Heads.at(p);
  const blocks = (heads.s + heads.block - 1) / heads.block;
  for (let job = begin; job < end; job++) {
    const head = job / blocks;
    const from = (job - head * blocks) * heads.block;
    const to = min(heads.s, from + heads.block);
    clear(heads, head, from, to);
    for (let first = 0; first < heads.l; first += heads.block) {
      queries(heads, head, first, from, to, false, true);
    }
  }
}

/** dk = dv = 0 for keys [from, to). */
function clear(heads: Heads, head: i32, from: i32, to: i32): void {
  const dk = heads.address(DK, head);
  const dv = heads.address(DV, head);
  for (let i = from; i < to; i++) {
    memory.fill(dk + heads.row(DK) * i, 0, (<usize>heads.e) << 2);
    memory.fill(dv + heads.row(DV) * i, 0, (<usize>heads.v) << 2);
  }
}

/** A block of queries from `first` on against keys [from, to): dq, where `ofQueries`; their part of dk and dv. */
function queries(
  heads: Heads,
  head: i32,
  first: i32,
  from: i32,
  to: i32,
  ofQueries: bool,
  ofKeys: bool,
): void {
  const n = min(heads.block, heads.l - first);
  const seen = min(to, heads.visible(first + n));
  if (!ofQueries && seen <= from) return;
  const e = heads.e;
  const v = heads.v;
  const block = heads.block;
  const panels = (n + COLUMNS - 1) / COLUMNS;
  const wide = (<usize>(panels * COLUMNS)) << 2; // bytes of a feature of all queries
  const query = Area.left; // [panel][e][8], times scale
  const given = query + wide * e; // dO: [panel][v][8]
  const result = given + wide * v; // dq: [panel][e][8]
  const sums = result + wide * e; // [panel]: m, r, D
  // Right panels over queries: [panel of 8 features][query][8]
  const queryRows = sums + ((<usize>panels) << 7);
  const deep = (<usize>n) << 5;
  const givenRows = queryRows + deep * ((e + COLUMNS - 1) / COLUMNS);
  const scores = givenRows + deep * ((v + COLUMNS - 1) / COLUMNS);
  const slopes = scores + ((<usize>max(block, v)) << 5);
  const mask = slopes + ((<usize>block) << 5);
  // Left panels over queries, for each ROWS keys: [query][ROWS]
  const weightRows = mask + ((<usize>block) << 5);
  const rows = (<usize>(n * ROWS)) << 2; // bytes of one of them
  const keyPanels = (block + ROWS - 1) / ROWS;
  const slopeRows = weightRows + rows * keyPanels;
  const keys = slopeRows + rows * keyPanels; // [panel of keys][e][ROWS]
  const perKey = (<usize>(keyPanels * ROWS)) << 2;
  const values = keys + perKey * e; // [panel of keys][v][ROWS]
  const features = values + perKey * v; // [panel of features][key][ROWS] of K

  const q = heads.address(Q, head);
  const dy = heads.address(DY, head);
  heads.panels(Q, q, first, n, e, heads.scale, query);
  heads.panels(DY, dy, first, n, v, 1, given);
  statistics(heads, head, first, n, given, scores, sums);
  pack_right(q + heads.row(Q) * first, heads.row(Q), heads.column(Q), n, e, queryRows, deep);
  multiply_by(queryRows, heads.scale, n * COLUMNS * ((e + COLUMNS - 1) / COLUMNS));
  pack_right(dy + heads.row(DY) * first, heads.row(DY), heads.column(DY), n, v, givenRows, deep);
  if (ofQueries) memory.fill(result, 0, wide * e);

  const k = heads.address(K, head);
  const value = heads.address(V, head);
  for (let key = from; key < seen; key += block) {
    const count = min(block, seen - key);
    const depth = (<usize>(count * ROWS)) << 2;
    const kAt = k + heads.row(K) * key;
    const vAt = value + heads.row(V) * key;
    pack_left(kAt, heads.row(K), heads.column(K), count, e, keys, (e * ROWS) << 2);
    pack_left(vAt, heads.row(V), heads.column(V), count, v, values, (v * ROWS) << 2);
    pack_left(kAt, heads.column(K), heads.row(K), e, count, features, depth);
    for (let j = 0; j < panels; j++) {
      const at = first + j * COLUMNS;
      let visible = min(count, heads.visible(at + COLUMNS) - key);
      if (visible <= 0) continue;
      // Whole panels of keys: those that follow read them all.
      visible = min(count, ((visible + ROWS - 1) / ROWS) * ROWS);
      const own = query + ((<usize>(j * e)) << 5);
      Panel.scores(heads, head, keys, own, at, key, visible, scores, mask);
      const gradient = given + ((<usize>(j * v)) << 5);
      // prettier-ignore
      multiply(visible, COLUMNS, v, values, (v * ROWS) << 2, ROWS << 2, gradient, 0, 32,
        slopes, 32, ZEROS, 0, 0);
      const width = min(COLUMNS, n - j * COLUMNS);
      const column = (<usize>(j * COLUMNS * ROWS)) << 2;
      weigh(scores, visible, sums + (j << 7));
      if (heads.threshold) {
        Panel.drop(heads, head, slopes, at, key, visible);
        slope(scores, slopes, visible, sums + (j << 7));
        Panel.drop(heads, head, scores, at, key, visible);
      } else {
        slope(scores, slopes, visible, sums + (j << 7));
      }
      if (ofQueries) {
        const dq = result + ((<usize>(j * e)) << 5);
        multiply(e, COLUMNS, visible, features, depth, ROWS << 2, slopes, 0, 32, dq, 32, dq, 32, 4);
      }
      if (ofKeys) {
        pack_left(scores, 32, 4, visible, width, weightRows + column, rows);
        pack_left(slopes, 32, 4, visible, width, slopeRows + column, rows);
      }
    }
    if (!ofKeys) continue;
    for (let j = 0; j < count; j += ROWS) {
      // The first panel of queries that sees one of these keys.
      const start = heads.causal ? max(0, key + j - first) & ~(COLUMNS - 1) : 0;
      if (start >= n) break;
      const height = min(ROWS, count - j);
      const left = (<usize>(j * n + start * ROWS)) << 2;
      const skip = (<usize>start) << 5;
      const dk = heads.address(DK, head) + heads.row(DK) * (key + j);
      const dv = heads.address(DV, head) + heads.row(DV) * (key + j);
      // prettier-ignore
      multiply(height, v, n - start, weightRows + left, 0, ROWS << 2, givenRows + skip, deep, 32,
        dv, heads.row(DV), dv, heads.row(DV), 4);
      // prettier-ignore
      multiply(height, e, n - start, slopeRows + left, 0, ROWS << 2, queryRows + skip, deep, 32,
        dk, heads.row(DK), dk, heads.row(DK), 4);
    }
  }
  if (!ofQueries) return;
  const dq = heads.address(DQ, head);
  multiply_by(result, heads.scale, panels * COLUMNS * e);
  for (let j = 0; j < panels; j++) {
    const at = first + j * COLUMNS;
    const width = min(COLUMNS, n - j * COLUMNS);
    const own = result + ((<usize>(j * e)) << 5);
    Panel.write(own, e, width, dq + heads.row(DQ) * at, heads.row(DQ));
  }
}

/** sums[panel] = m[8], r[8], D[8]; 0 for missing queries. `y` is room for a panel of O. */
function statistics(
  heads: Heads,
  head: i32,
  first: i32,
  n: i32,
  given: usize,
  y: usize,
  sums: usize,
): void {
  const v = heads.v;
  const results = heads.address(Y, head);
  for (let j = 0; j < n; j += COLUMNS) {
    const width = min(COLUMNS, n - j);
    const from = heads.statistics + ((<usize>(head * 2 * heads.l + first + j)) << 2);
    memory.fill(sums, 0, 128);
    memory.copy(sums, from, width << 2);
    memory.copy(sums + 32, from + ((<usize>heads.l) << 2), width << 2);
    heads.panels(Y, results, first + j, width, v, 1, y);
    dot(given, y, v, sums + 64);
    given += (<usize>v) << 5;
    sums += 128;
  }
}

/** out[8] = Σ a·b over n rows. */
function dot(a: usize, b: usize, n: i32, out: usize): void {
  let sum0 = Math4.zero();
  let sum1 = Math4.zero();
  for (let i: usize = 0, end = (<usize>n) << 5; i < end; i += 32) {
    sum0 = F32x4.fma(v128.load(a + i), v128.load(b + i), sum0);
    sum1 = F32x4.fma(v128.load(a + i, 16), v128.load(b + i, 16), sum1);
  }
  v128.store(out, sum0);
  v128.store(out, sum1, 16);
}

/** x = e^(x − m)·r */
function weigh(x: usize, n: i32, sums: usize): void {
  const m0 = v128.load(sums);
  const m1 = v128.load(sums, 16);
  const r0 = v128.load(sums, 32);
  const r1 = v128.load(sums, 48);
  for (const end = x + ((<usize>n) << 5); x < end; x += 32) {
    v128.store(x, f32x4.mul(Math4.exp(f32x4.sub(v128.load(x), m0)), r0));
    v128.store(x, f32x4.mul(Math4.exp(f32x4.sub(v128.load(x, 16), m1)), r1), 16);
  }
}

/** dp = p·(dp − D) */
function slope(p: usize, dp: usize, n: i32, sums: usize): void {
  const d0 = v128.load(sums, 64);
  const d1 = v128.load(sums, 80);
  for (let i: usize = 0, end = (<usize>n) << 5; i < end; i += 32) {
    v128.store(dp + i, f32x4.mul(v128.load(p + i), f32x4.sub(v128.load(dp + i), d0)));
    v128.store(dp + i, f32x4.mul(v128.load(p + i, 16), f32x4.sub(v128.load(dp + i, 16), d1)), 16);
  }
}
