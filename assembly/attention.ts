/**
 * Attention without the matrix of scores: y = softmax(scale·q·kᵀ + mask)·v, block by block
 * (T. Dao, arXiv 2307.08691). A panel of 8 queries goes through the keys in blocks; its largest score,
 * its sum and its result so far are corrected when a block brings a larger score.
 *
 * The order of all sums depends on shapes alone. Blocks above the causal diagonal are left out.
 * Scores are scratch memory; what is kept is two numbers per query (Heads.statistics).
 */
import { Panel } from "./attention-panel";
import { Heads, K, Q, V, Y } from "./attention-plan";
import { Area, COLUMNS, ROWS } from "./blocks";
import { pack_left } from "./pack";
import { multiply, ZEROS } from "./tile";

export * from "./attention-grad";
export {
  attention_block,
  attention_bytes,
  attention_dimension,
  attention_operand,
  attention_plan,
} from "./attention-plan";

/** y and the statistics of panels of 8 queries, [begin, end) of heads · ⌈l / 8⌉. */
export function attention_f32(p: usize, begin: i32, end: i32): void {
  const heads = Heads.at(p);
  const panels = (heads.l + COLUMNS - 1) / COLUMNS;
  const most = heads.block / COLUMNS;
  for (let unit = begin; unit < end;) {
    const head = unit / panels;
    const first = unit - head * panels;
    const count = min(min(end - unit, panels - first), most);
    attend(heads, head, first * COLUMNS, min(heads.l, (first + count) * COLUMNS) - first * COLUMNS);
    unit += count;
  }
}

/** n queries from `first` on. */
function attend(heads: Heads, head: i32, first: i32, n: i32): void {
  const e = heads.e;
  const v = heads.v;
  const panels = (n + COLUMNS - 1) / COLUMNS;
  const queries = Area.left; // [panel][e][8]
  const sums = queries + ((<usize>(panels * e)) << 5); // [panel][v][8]
  const state = sums + ((<usize>(panels * v)) << 5); // [panel]: largest, sum, correction
  const scores = state + ((<usize>panels) << 7);
  const most = heads.block << 1;
  const mask = scores + ((<usize>most) << 5);
  const keys = mask + ((<usize>most) << 5); // [panel of keys][e][ROWS]
  const values = keys + ((<usize>((most + ROWS) * e)) << 2); // [panel of features][key][ROWS]
  heads.panels(Q, heads.address(Q, head), first, n, e, heads.scale, queries);
  Panel.reset(state, panels);
  const k = heads.address(K, head);
  const value = heads.address(V, head);
  const seen = heads.visible(first + n);
  for (let key = 0; key < seen; key += most) {
    const count = min(most, seen - key);
    const depth = (<usize>(count * ROWS)) << 2;
    // prettier-ignore
    pack_left(k + heads.row(K) * key, heads.row(K), heads.column(K), count, e, keys, (e * ROWS) << 2);
    pack_left(value + heads.row(V) * key, heads.column(V), heads.row(V), v, count, values, depth);
    for (let j = 0; j < panels; j++) {
      const query = first + j * COLUMNS;
      const visible = min(count, heads.visible(query + COLUMNS) - key);
      if (visible <= 0) continue;
      const own = state + (j << 7);
      const to = sums + ((<usize>(j * v)) << 5);
      const panel = queries + ((<usize>(j * e)) << 5);
      Panel.scores(heads, head, keys, panel, query, key, visible, scores, mask);
      Panel.weights(scores, visible, own);
      if (heads.threshold) Panel.drop(heads, head, scores, query, key, visible);
      let init = ZEROS;
      let step: usize = 0;
      if (key > 0) {
        Panel.scale(to, v, own + 64);
        init = to;
        step = 32;
      }
      multiply(v, COLUMNS, visible, values, depth, ROWS << 2, scores, 0, 32, to, 32, init, step, 4);
    }
  }
  if (seen == 0) memory.fill(sums, 0, (<usize>(panels * v)) << 5);
  const y = heads.address(Y, head);
  for (let j = 0; j < panels; j++) {
    const own = state + (j << 7);
    const query = first + j * COLUMNS;
    const width = min(COLUMNS, n - j * COLUMNS);
    Panel.finish(own);
    const to = sums + ((<usize>(j * v)) << 5);
    Panel.scale(to, v, own + 32);
    Panel.write(to, v, width, y + heads.row(Y) * query, heads.row(Y));
    const statistics = heads.statistics + ((<usize>(head * 2 * heads.l + query)) << 2);
    memory.copy(statistics, own, width << 2);
    memory.copy(statistics + ((<usize>heads.l) << 2), own + 32, width << 2);
  }
}
