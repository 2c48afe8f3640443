/** Kinds `attention` and `attentionGrad`: see attention-code.ts. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import type { Result } from "./attention-code.ts";
import { attentionCode, isOfQueries, TILE } from "./attention-code.ts";
import { placesOf } from "./places.ts";

/** Matrices [..., heads, rows, columns], by the names of the code. */
type Matrices = Readonly<Partial<Record<"q" | "k" | "v" | "mask" | "y" | "dy" | Result, View>>>;

/** [..., l, heads, v] as [..., heads, l, v] */
function byHead(view: View): View {
  const swap = (list: readonly number[]): number[] => {
    const n = list.length;
    return [...list.slice(0, n - 3), list[n - 2], list[n - 3], list[n - 1]];
  };
  return { ...view, shape: swap(view.shape), strides: swap(view.strides) };
}

const headsOf = ({ shape }: View): number =>
  shape.slice(0, -2).reduce((product, extent) => product * extent, 1);

/** Where the matrices of `head` begin, and their strides. */
function placesOfHeads(matrices: Matrices): ReturnType<typeof placesOf> {
  const names = Object.keys(matrices) as (keyof Matrices)[];
  const strides = names.map((name) => [name, matrices[name]!.strides] as const);
  const leading = strides.map(([name, list]) => [name, list.slice(0, -2)] as const);
  const shape = matrices[names[0]]!.shape.slice(0, -2);
  const places = placesOf(shape, Object.fromEntries(leading), "head");
  const within = strides.flatMap(([name, list]) => {
    const [row, column] = list.slice(-2);
    return [
      [`${name}Row`, row],
      [`${name}Column`, column],
    ];
  });
  return { ...places, u32: { ...places.u32, ...Object.fromEntries(within) } };
}

/** Makes one of the four results of `reads`; `others` are dense. */
function attend(
  rt: Runtime,
  result: Result,
  reads: Matrices,
  output: View,
  others: { reads?: Record<string, View>; writes?: Record<string, View> },
  attrs: Attrs,
): void {
  const { isCausal, scale, p, seed, call } = attrs as Record<string, number>;
  const ofQueries = isOfQueries(result);
  const [queries, features] = reads.q!.shape.slice(-2);
  const keys = reads.k!.shape.at(-2)!;
  const width = output.shape.at(-1)!;
  const own = ofQueries ? queries : keys;
  const quads = width <= TILE ? 1 : width <= 2 * TILE ? 2 : 4;
  const tiles = Math.ceil(own / TILE);
  // One even for no columns: the statistics are made beside them.
  const chunks = Math.max(1, Math.ceil(width / (TILE * quads)));
  const places = placesOfHeads({ ...reads, [result]: output });
  const code = { result, quads, masked: "mask" in reads, drops: p > 0, places: places.code };
  // All but the last of 2^32 hashes are dropped for p = 1; the growth makes that one 0 too.
  const threshold = Math.min(Math.ceil(p * 2 ** 32), 2 ** 32 - 1);
  rt.run({
    key: `attention ${result} ${quads} ${places.key} ${code.drops ? "drops" : ""}`,
    reads: { ...reads, ...others.reads },
    writes: { ...others.writes, [result]: output },
    u32: {
      ...places.u32,
      own,
      others: ofQueries ? keys : queries,
      queries,
      keys,
      features,
      values: reads.v?.shape.at(-1) ?? 0,
      width,
      tiles,
      chunks,
      causal: Number(isCausal),
      ...(code.drops ? { threshold, seed, call } : {}),
    },
    f32: { scale, ...(code.drops ? { growth: p === 1 ? 0 : 1 / (1 - p) } : {}) },
    groups: headsOf(output) * tiles * chunks,
    code: () => attentionCode(code),
  });
}

/** query, key, value, mask? → y [..., l, heads, v], largest score and 1 / Σ e^(score − largest) of each query */
const attention: Launcher = (rt, _kernel, [q, k, v, mask], [y, statistics], attrs) => {
  const reads = { q, k, v, ...(mask && { mask }) };
  attend(rt, "y", reads, byHead(y), { writes: { statistics } }, attrs);
};

/** query, key, value, y, statistics, dy, mask? → dq, dk, dv */
const attentionGrad: Launcher = (rt, _kernel, inputs, [dq, dk, dv], attrs) => {
  const [q, k, v, y, statistics, gradient, mask] = inputs;
  const dy = byHead(gradient);
  const means = meansOf(rt, dy, byHead(y));
  const masked = mask && { mask };
  const reads = { q, k, v, dy, ...masked };
  attend(rt, "dv", { q, k, dy, ...masked }, dv, { reads: { statistics } }, attrs);
  attend(rt, "dk", reads, dk, { reads: { statistics, means } }, attrs);
  attend(rt, "dq", reads, dq, { reads: { statistics, means } }, attrs);
};

/** dy · y of each query: the mean slope of its weights. */
function meansOf(rt: Runtime, dy: View, y: View): View {
  const [l, width] = y.shape.slice(-2);
  const heads = headsOf(y);
  const means = rt.scratch(heads * l, "float32");
  const places = placesOfHeads({ dy, y });
  rt.run({
    key: `attention means ${places.key}`,
    reads: { dy, y },
    writes: { means },
    u32: { ...places.u32, l, width },
    groups: heads * l,
    code: () => `  let head = group / p.l;
  let row = group % p.l;
${places.code}
  var own = 0.0;
  for (var k = lane; k < p.width; k += 64u) {
    own += dy[dy_i + row * p.dyRow + k * p.dyColumn] * y[y_i + row * p.yRow + k * p.yColumn];
  }
  let mean = group_sum(lane, own);
  if (lane == 0u) { means[group] = mean; }`,
  });
  return means;
}

export const attentionLaunchers: Readonly<Record<string, Launcher>> = { attention, attentionGrad };
