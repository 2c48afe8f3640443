/**
 * Kinds `reduce` and `argreduce`. Sums run in an order that depends on shapes alone: short rows in runs of 16
 * by one lane, longer ones by the 64 lanes of a workgroup and a tree, the longest in blocks first.
 */
import type { DType, Kernel, View } from "../../backend.ts";
import { around } from "../../layout.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { wgslType } from "../pipelines.ts";
import { fillWith } from "./movement.ts";
import { placesOf } from "./places.ts";

/** Elements that one lane reduces by itself at most; more if there are rows enough for all lanes. */
const SHORT = 64;
const SHORT_OF_MANY = 1024;
const MANY = 4096;
/** Elements that one workgroup reduces at most, where there are few rows. */
const BLOCK = 8192;

const ofNothing: Readonly<Record<string, number>> = {
  sum: 0,
  mean: NaN,
  prod: 1,
  amax: -Infinity,
  amin: Infinity,
};

/** What a reduction starts from, and how it goes on; `mean` sums. */
function stepsOf(
  stem: string,
  type: string,
): { first: string; join: (a: string, b: string) => string } {
  switch (stem) {
    case "prod":
      return { first: `${type}(1)`, join: (a, b) => `${a} * ${b}` };
    case "amax":
      return type === "f32"
        ? { first: "-infinity()", join: (a, b) => `f_max(${a}, ${b})` }
        : { first: type === "i32" ? "i32(-2147483648)" : "0u", join: (a, b) => `max(${a}, ${b})` };
    case "amin":
      return type === "f32"
        ? { first: "infinity()", join: (a, b) => `f_min(${a}, ${b})` }
        : { first: type === "i32" ? "2147483647i" : "1u", join: (a, b) => `min(${a}, ${b})` };
    default:
      return { first: `${type}(0)`, join: (a, b) => `${a} + ${b}` };
  }
}

export const sum: Kernel = { name: "sum", kind: "reduce", wasm: "sum", reference: () => {} };
export const mean: Kernel = { name: "mean", kind: "reduce", wasm: "mean", reference: () => {} };

export const reduce: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const dims = attrs.dims as readonly number[];
  const kept = x.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const part = (list: readonly number[]): Part => ({
    shape: list.map((d) => x.shape[d]),
    strides: list.map((d) => x.strides[d]),
  });
  const n = dims.reduce((product, d) => product * x.shape[d], 1);
  if (n === 0) fillWith(rt, y, ofNothing[kernel.wasm]);
  else fold(rt, kernel, x, part(kept), part(dims), n, y);
};

/** Some dimensions of a view. */
interface Part {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** `n` elements of x for each of y's. */
function fold(rt: Runtime, kernel: Kernel, x: View, kept: Part, reduced: Part, n: number, y: View) {
  const rows = y.size;
  const blocks = n > 2 * BLOCK && rows < MANY ? Math.ceil(n / BLOCK) : 1;
  if (blocks > 1) {
    const partial = rt.scratch(rows * blocks, y.dtype);
    pass(rt, kernel, x, kept, reduced, n, blocks, partial, 1);
    const rest = { shape: [blocks], strides: [1] };
    const outer = { shape: [rows], strides: [blocks] };
    pass(rt, kernel, partial, outer, rest, blocks, 1, y, n);
  } else {
    pass(rt, kernel, x, kept, reduced, n, 1, y, n);
  }
}

/** y[row, block] from the elements of each row in blocks; a mean divides by `count`. */
function pass(
  rt: Runtime,
  { wasm: stem }: Kernel,
  x: View,
  kept: Part,
  reduced: Part,
  n: number,
  blocks: number,
  y: View,
  count: number,
): void {
  const alone = n <= SHORT || (n <= SHORT_OF_MANY && y.size >= MANY);
  const row = placesOf(kept.shape, { x: kept.strides }, "row");
  // `along` has the names of its own; it begins where the row does.
  const along = placesOf(reduced.shape, { at: reduced.strides }, "k", { at: "x_i" });
  const type = wgslType[y.dtype];
  const { first, join } = stepsOf(stem, type);
  const added = type === "f32" && (stem === "sum" || stem === "mean");
  const finish = stem === "mean" ? "result / p.count" : "result";
  const load = (into: string, from: string, step: string, to: string): string => `
  var ${into} = ${first};
  for (var run = ${from}; run < ${to}; run += 16u * ${step}) {
    var part = ${first};
    for (var k = run; k < min(run + 16u * ${step}, ${to}); k += ${step}) {
${along.code}
      part = ${join("part", `${type}(x[at_i])`)};
    }
    ${into} = ${join(into, "part")};
  }`;
  rt.run({
    key: `${stem} ${alone ? "lane" : "group"} ${row.key} ${along.key}`,
    reads: { x },
    writes: { y },
    u32: { ...row.u32, ...along.u32, n, blocks, block: blocks === 1 ? n : BLOCK },
    f32: { count },
    ...(alone ? { items: y.size } : { groups: y.size }),
    code: () =>
      alone
        ? `  let row = i;
${row.code}${load("result", "0u", "1u", "p.n")}
  y[p.y_at + i] = ${finish};`
        : {
            outside: added ? "" : `var<workgroup> lanes: array<${type}, 64>;`,
            body: `  let row = group / p.blocks;
  let begin = (group % p.blocks) * p.block;
  let end = min(begin + p.block, p.n);
${row.code}${load("own", "begin + lane", "64u", "end")}
  ${added ? "let result = group_sum(lane, own);" : tree(join)}
  if (lane == 0u) { y[p.y_at + group] = ${finish}; }`,
          },
  });
}

const tree = (join: (a: string, b: string) => string): string => `lanes[lane] = own;
  for (var step = 32u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) { lanes[lane] = ${join("lanes[lane]", "lanes[lane + step]")}; }
  }
  let result = lanes[0];`;

/** The sum or mean of all elements of a dense array. */
export function reduceAll(rt: Runtime, kernel: Kernel, x: View, y: View): void {
  const flat: View = { ...x, shape: [x.size], strides: [1] };
  reduce(rt, kernel, [flat], [y], { dims: [0] });
}

/** Which of two is better, by value, NaN before all, the first of equals. */
const betterOf = (symbol: string, dtype: DType): string =>
  dtype === "float32"
    ? `fn better(a: f32, i: u32, b: f32, k: u32) -> bool {
  if (is_nan(a) || is_nan(b)) { return is_nan(a) && (!is_nan(b) || i < k); }
  return a ${symbol} b || (a == b && i < k);
}`
    : `fn better(a: ${wgslType[dtype]}, i: u32, b: ${wgslType[dtype]}, k: u32) -> bool {
  return a ${symbol} b || (a == b && i < k);
}`;

export const argreduce: Launcher = (rt, { wasm: stem }, [x], [y], attrs) => {
  const { n, inner } = around(x, attrs.dim as number | undefined);
  const type = wgslType[x.dtype];
  rt.run({
    key: stem,
    reads: { x: rt.dense(x) },
    writes: { y },
    u32: { n, inner },
    groups: y.size,
    code: () => ({
      outside: `${betterOf(stem === "argmax" ? ">" : "<", x.dtype)}
var<workgroup> values: array<${type}, 64>;
var<workgroup> at: array<u32, 64>;`,
      body: `  let start = p.x_at + (group / p.inner) * p.n * p.inner + group % p.inner;
  var best = min(lane, p.n - 1u);
  var value = x[start + best * p.inner];
  for (var k = lane + 64u; k < p.n; k += 64u) {
    let next = x[start + k * p.inner];
    if (better(next, k, value, best)) { value = next; best = k; }
  }
  values[lane] = value;
  at[lane] = best;
  for (var step = 32u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step && better(values[lane + step], at[lane + step], values[lane], at[lane])) {
      values[lane] = values[lane + step];
      at[lane] = at[lane + step];
    }
  }
  if (lane == 0u) { y[p.y_at + group] = i32(at[0]); }`,
    }),
  });
};
