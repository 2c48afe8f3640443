/**
 * The WGSL of attention: one tile, used in four ways. A workgroup of 64 lanes owns 32 rows of the result and goes
 * through the others, 32 at a time:
 *
 *     result   own rows   others    weight of a pair                   is summed with
 *     y        queries    keys      e^(score − largest so far)         value
 *     dq       queries    keys      scale · (kept · slope − w · mean)  key
 *     dk       keys       queries   the same                           query
 *     dv       keys       queries   kept                               dy
 *
 * with w = e^(score − largest) · inverse, kept = w after dropout, slope = dy · value, mean = dy · y. Weights exist for a
 * tile only, in workgroup memory (T. Dao, arXiv 2307.08691), as vec4 of four own rows. Each lane has 4 × 4 pairs, then
 * 4 rows of the result and `4 · quads` of its columns in registers. The order of all sums depends on shapes alone.
 */
export type Result = "y" | "dq" | "dk" | "dv";

/** Rows and columns of a tile of pairs. */
export const TILE = 32;
/** Features, or others, that lie in workgroup memory at a time. */
const DEPTH = 16;
/** vec4 across a tile. */
const QUADS = TILE / 4;
/** vec4 from one column of a tile to the next: odd, so that lanes that store a row meet different banks. */
const STEP = QUADS + 1;

const four = [0, 1, 2, 3] as const;
const letters = ["x", "y", "z", "w"] as const;

/** The matrix that weights are summed with, whose rows are the others. */
const summed = { y: "v", dq: "k", dk: "q", dv: "dy" } as const;

/** Are the rows of the result queries, or keys? */
export const isOfQueries = (result: Result): boolean => result === "y" || result === "dq";

export interface AttentionCode {
  readonly result: Result;
  /** Columns of the result that a workgroup makes: 32 times this. 1, 2 or 4. */
  readonly quads: number;
  readonly masked: boolean;
  readonly drops: boolean;
  /** Statements that declare where the matrices of `head` begin: `q_i`, … */
  readonly places: string;
}

/** 4 × 4 sums `into`0 to 3 of products of rows of two matrices, one of queries and one of keys, along `extent`. */
function products(into: string, own: string, other: string, extent: string): string {
  const element = (array: string, row: string): string =>
    `${array}[${array}_i + (${row}) * p.${array}Row + feature * p.${array}Column]`;
  return `${four.map((r) => `  var ${into}${r} = vec4f();`).join("\n")}
  for (var start = 0u; start < p.${extent}; start += ${DEPTH}u) {
    for (var e = lane; e < ${QUADS * DEPTH}u; e += 64u) {
      let depth = e % ${DEPTH}u;
      let across = e / ${DEPTH}u;
      let feature = start + depth;
      var left = vec4f();
      var right = vec4f();
      if (feature < p.${extent}) {
        for (var j = 0u; j < 4u; j++) {
          let on = 4u * across + j;
          if (first + on < p.own) { left[j] = ${element(own, "first + on")}; }
          if (next + on < p.others) { right[j] = ${element(other, "next + on")}; }
        }
      }
      area[depth * ${STEP}u + across] = left;
      area[${DEPTH * STEP}u + depth * ${STEP}u + across] = right;
    }
    workgroupBarrier();
    for (var depth = 0u; depth < ${DEPTH}u; depth++) {
      let left = area[depth * ${STEP}u + lane_row];
      let right = area[${DEPTH * STEP}u + depth * ${STEP}u + lane_column];
${four.map((r) => `      ${into}${r} = fma(vec4f(left.${letters[r]}), right, ${into}${r});`).join("\n")}
    }
    workgroupBarrier();
  }`;
}

/** Functions and memory outside of `main`. */
function outside({ result, quads, masked, drops }: AttentionCode): string {
  const area = DEPTH * Math.max(2 * STEP, QUADS * quads + 1);
  return `var<workgroup> area: array<vec4f, ${area}>;
var<workgroup> weights: array<vec4f, ${TILE * STEP}>;
var<workgroup> partial: array<vec4f, ${QUADS * QUADS}>;
fn hidden(score: f32) -> bool { return bitcast<u32>(score) == 0xff800000u; }
fn score(product: f32, mask_at: u32, query: u32, key: u32) -> f32 {
  if (query >= p.queries || key >= p.keys || (p.causal == 1u && key > query)) { return -infinity(); }
${
  masked
    ? `  let added = mask[mask_at + query * p.maskRow + key * p.maskColumn];
  if (hidden(added)) { return added; }
  return p.scale * product + added;`
    : "  return p.scale * product;"
}
}
fn kept(weight: f32, head: u32, query: u32, key: u32) -> f32 {
${
  drops
    ? `  let place = (head * p.queries + query) * p.keys + key;
  let keep = mix_bits(place ^ mix_bits(p.seed ^ mix_bits(p.call))) >= p.threshold;
  return select(0.0, weight * p.growth, keep);`
    : "  return weight;"
}
}
${
  result === "y"
    ? ""
    : `fn weight(score: f32, head: u32, query: u32) -> f32 {
  if (query >= p.queries) { return 0.0; }
  let at = p.statistics_at + head * 2u * p.queries + query;
  return f_exp(score - statistics[at]) * statistics[at + p.queries];
}`
}`;
}

/** Sums up the tile's weights times the rows of the others. */
function accumulate({ result, quads }: AttentionCode): string {
  const x = summed[result];
  const across = QUADS * quads;
  const lines = [];
  for (let w = 0; w < quads; w++) {
    lines.push(`      let right${w} = area[depth * ${across + 1}u + lane_column + ${QUADS * w}u];`);
    for (const r of four) {
      lines.push(`      sum${r}_${w} = fma(vec4f(left.${letters[r]}), right${w}, sum${r}_${w});`);
    }
  }
  return `  for (var half = 0u; half < ${TILE}u; half += ${DEPTH}u) {
    workgroupBarrier();
    for (var e = lane; e < ${DEPTH * across}u; e += 64u) {
      let depth = e / ${across}u;
      let row = next + half + depth;
      var value = vec4f();
      for (var j = 0u; j < 4u; j++) {
        let column = chunk + 4u * (e % ${across}u) + j;
        if (row < p.others && column < p.width) {
          value[j] = ${x}[${x}_i + row * p.${x}Row + column * p.${x}Column];
        }
      }
      area[depth * ${across + 1}u + e % ${across}u] = value;
    }
    workgroupBarrier();
    for (var depth = 0u; depth < ${DEPTH}u; depth++) {
      let left = weights[(half + depth) * ${STEP}u + lane_row];
${lines.join("\n")}
    }
  }
  workgroupBarrier();`;
}

const sumsOf = (quads: number, r: number): string[] =>
  Array.from({ length: quads }, (_, w) => `sum${r}_${w}`);

/** Stores a lane's 4 × 4 sums `from`0 to 3, where `each` finds them: a vec4 of rows for each column. */
function stash(from: string, array: string): string {
  return letters
    .map((s, column) => {
      const rows = four.map((r) => `${from}${r}.${s}`).join(", ");
      return `  ${array}[(4u * lane_column + ${column}u) * ${STEP}u + lane_row] = vec4f(${rows});`;
    })
    .join("\n");
}

/**
 * Loops over a lane's pairs: statements that see `query`, `key`, the row `r` of the lane's four, and change `w[r]`; `at` is the
 * place of the vec4 `w` in its tile.
 */
function each(result: Result, statements: string): string {
  const [query, key] = isOfQueries(result) ? ["row", "column"] : ["column", "row"];
  return `  for (var s = 0u; s < 4u; s++) {
    let column = next + 4u * lane_column + s;
    let at = (4u * lane_column + s) * ${STEP}u + lane_row;
    var w = weights[at];
    for (var r = 0u; r < 4u; r++) {
      let row = first + 4u * lane_row + r;
      let query = ${query};
      let key = ${key};
${statements}
    }
    weights[at] = w;
  }`;
}

const scored = "score(w[r], mask_at, query, key)";

/** Makes the weights of y: relative to the largest score so far, which corrects what there is. */
function weighOnline({ result, quads }: AttentionCode): string {
  const fixes = four.flatMap((r) => sumsOf(quads, r).map((sum) => `  ${sum} *= fix[${r}];`));
  return `  var most = vec4f(-infinity());
${each(
  result,
  `      w[r] = ${scored};
      most[r] = f_max(most[r], w[r]);`,
)}
  partial[lane_row * ${QUADS}u + lane_column] = most;
  workgroupBarrier();
  for (var r = 0u; r < 4u; r++) {
    var largest = top[r];
    for (var k = 0u; k < ${QUADS}u; k++) {
      largest = f_max(largest, partial[lane_row * ${QUADS}u + k][r]);
    }
    base[r] = select(largest, 0.0, hidden(largest));
    fix[r] = f_exp(top[r] - base[r]);
    top[r] = largest;
  }
  total *= fix;
${each(
  result,
  `      let weight = f_exp(w[r] - base[r]);
      total[r] += weight;
      w[r] = kept(weight, head, query, key);`,
)}
${fixes.join("\n")}`;
}

/** Makes the weights of a gradient, from what the record saved. */
function weighAgain(result: Result): string {
  const weight = `weight(${scored}, head, query)`;
  if (result === "dv") return each(result, `      w[r] = kept(${weight}, head, query, key);`);
  const [own, other] = isOfQueries(result) ? ["dy", "v"] : ["v", "dy"];
  return `${each(result, `      w[r] = ${weight};`)}
${products("d", own, other, "values")}
${stash("d", "area")}
${each(
  result,
  `      var mean = 0.0;
      if (query < p.queries) { mean = means[head * p.queries + query]; }
      w[r] = p.scale * (kept(w[r], head, query, key) * area[at][r] - w[r] * mean);`,
)}`;
}

/** The rows' sums of weights: each lane knows the part of its own pairs. */
const statistics = `  partial[lane_row * ${QUADS}u + lane_column] = total;
  workgroupBarrier();
  for (var r = 0u; r < 4u; r++) {
    var sum = 0.0;
    for (var k = 0u; k < ${QUADS}u; k++) { sum += partial[lane_row * ${QUADS}u + k][r]; }
    fix[r] = select(f_div(1.0, sum), 0.0, sum == 0.0);
    let row = first + 4u * lane_row + r;
    if (chunk == 0u && lane_column == 0u && row < p.queries) {
      let at = p.statistics_at + head * 2u * p.queries + row;
      statistics[at] = select(top[r], 0.0, hidden(top[r]));
      statistics[at + p.queries] = fix[r];
    }
  }`;

/** The WGSL of one of the four. */
export function attentionCode(code: AttentionCode): { outside: string; body: string } {
  const { result, quads } = code;
  const ofQueries = isOfQueries(result);
  const online = result === "y";
  const sums = four.map((r) => sumsOf(quads, r));
  const results = sums.flatMap((row, r) =>
    row.map(
      (sum, w) => `  for (var s = 0u; s < 4u; s++) {
    let row = first + 4u * lane_row + ${r}u;
    let column = chunk + 4u * (lane_column + ${QUADS * w}u) + s;
    if (row < p.own && column < p.width) {
      let at = ${result}_i + row * p.${result}Row + column * p.${result}Column;
      ${result}[at] = ${sum}[s]${online ? ` * fix[${r}]` : ""};
    }
  }`,
    ),
  );
  return {
    outside: outside(code),
    body: `  let head = group / (p.tiles * p.chunks);
  let first = ((group / p.chunks) % p.tiles) * ${TILE}u;
  let chunk = (group % p.chunks) * ${TILE * quads}u;
  let lane_row = lane / ${QUADS}u;
  let lane_column = lane % ${QUADS}u;
${code.places}
  let mask_at = ${code.masked ? "mask_i" : "0u"};
${sums.flatMap((row) => row.map((sum) => `  var ${sum} = vec4f();`)).join("\n")}
${online ? "  var top = vec4f(-infinity());\n  var base = vec4f();\n  var total = vec4f();\n  var fix = vec4f();" : ""}
  // Keys behind the last query of the tile, and queries before its first key, see nothing of it.
  var begin = 0u;
  var end = p.others;
  if (p.causal == 1u) { ${ofQueries ? `end = min(end, first + ${TILE}u);` : "begin = first;"} }
  for (var next = begin; next < end; next += ${TILE}u) {
${ofQueries ? products("c", "q", "k", "features") : products("c", "k", "q", "features")}
${stash("c", "weights")}
${online ? weighOnline(code) : weighAgain(result)}
${accumulate(code)}
  }
${online ? statistics : ""}
${results.join("\n")}`,
  };
}
