/**
 * Tiled products: C[m, n] = Σ_k A[m, k] · B[k, n] for each of several batches, where A, B and C are wherever
 * snippets of WGSL say. Matrix products and convolutions (as implicit products) differ in these alone.
 *
 * A workgroup of 64 lanes computes a tile of 32 × 32: each lane 4 × 4 of it, in registers. 16 columns of A and
 * rows of B at a time lie in workgroup memory as vec4, so that a lane reads one of each for 16 multiply-adds.
 */
import type { Attrs, View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";

const TILE = 32;
const DEPTH = 16;

export interface Product {
  /** Says which snippets these are. */
  readonly key: string;
  readonly reads: Readonly<Record<string, View>>;
  /** The output, as `y`. */
  readonly y: View;
  readonly u32?: Readonly<Record<string, number>>;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  /** Statements that see `batch`: what the snippets share. */
  readonly setup?: string;
  /** Functions that the expressions call. */
  readonly outside?: string;
  /** Expressions that see `row` and `k`, `k` and `column`, and are inside of the matrices. */
  readonly a: string;
  readonly b: string;
  /** Is A read in order along k? Then lanes step through k first. */
  readonly aAlongK: boolean;
  readonly bAlongK: boolean;
  /** Where `row`, `column` goes: an index of y. */
  readonly at: string;
  /** An expression that is added. */
  readonly bias?: string;
  readonly activation?: Activation | null;
  /** In place of an activation: what is stored, an expression of `value`, `row` and `column`. */
  readonly finish?: string;
}

export interface Activation {
  readonly activation: string;
  readonly slope: number;
}

const activations: Readonly<Record<string, string>> = {
  relu: "f_max(value, 0.0)",
  leakyRelu: "select(value * p.slope, value, !is_nan(value) && value > 0.0)",
  sigmoid: "f_sigmoid(value)",
  tanh: "f_tanh(value)",
};

/** The activation that a record asks for; null for none. */
export function activationOf({ activation, slope }: Attrs): Activation | null {
  if (activation === undefined) return null;
  return { activation: activation as string, slope: slope as number };
}

export function multiply(rt: Runtime, product: Product): void {
  const { m, n, k, batch, activation = null } = product;
  if (m * n * batch === 0) return;
  const rowTiles = Math.ceil(m / TILE);
  const columnTiles = Math.ceil(n / TILE);
  const order = `${product.aAlongK ? "k" : "m"}${product.bAlongK ? "k" : "n"}`;
  rt.run({
    key: `${product.key} ${order} ${activation?.activation ?? ""}`,
    reads: product.reads,
    writes: { y: product.y },
    u32: { ...product.u32, m, n, k, rowTiles, columnTiles },
    ...(activation === null ? {} : { f32: { slope: activation.slope } }),
    groups: batch * rowTiles * columnTiles,
    code: () => ({ outside: `${tiles}\n${product.outside ?? ""}`, body: body(product) }),
  });
}

const tiles = `var<workgroup> tile_a: array<f32, ${TILE * DEPTH}>;
var<workgroup> tile_b: array<f32, ${TILE * DEPTH}>;
fn quad_a(at: u32) -> vec4f {
  return vec4f(tile_a[at], tile_a[at + 1u], tile_a[at + 2u], tile_a[at + 3u]);
}
fn quad_b(at: u32) -> vec4f {
  return vec4f(tile_b[at], tile_b[at + 1u], tile_b[at + 2u], tile_b[at + 3u]);
}`;

function body(product: Product): string {
  const split = (alongK: boolean, across: string): string =>
    alongK
      ? `let depth = e % ${DEPTH}u; let ${across} = e / ${DEPTH}u;`
      : `let ${across} = e % ${TILE}u; let depth = e / ${TILE}u;`;
  const { activation = null } = product;
  const plain = product.finish ?? "value";
  const finish = activation === null ? plain : activations[activation.activation];
  return `  let batch = group / (p.rowTiles * p.columnTiles);
  let first_row = ((group / p.columnTiles) % p.rowTiles) * ${TILE}u;
  let first_column = (group % p.columnTiles) * ${TILE}u;
  let lane_row = (lane / 8u) * 4u;
  let lane_column = (lane % 8u) * 4u;
${product.setup ?? ""}
  var c0 = vec4f(); var c1 = vec4f(); var c2 = vec4f(); var c3 = vec4f();
  for (var start = 0u; start < p.k; start += ${DEPTH}u) {
    for (var e = lane; e < ${TILE * DEPTH}u; e += 64u) {
      ${split(product.aAlongK, "across")}
      let row = first_row + across;
      let k = start + depth;
      var value = 0.0;
      if (row < p.m && k < p.k) { value = ${product.a}; }
      tile_a[depth * ${TILE}u + across] = value;
    }
    for (var e = lane; e < ${TILE * DEPTH}u; e += 64u) {
      ${split(product.bAlongK, "across")}
      let column = first_column + across;
      let k = start + depth;
      var value = 0.0;
      if (column < p.n && k < p.k) { value = ${product.b}; }
      tile_b[depth * ${TILE}u + across] = value;
    }
    workgroupBarrier();
    for (var depth = 0u; depth < ${DEPTH}u; depth++) {
      let a = quad_a(depth * ${TILE}u + lane_row);
      let b = quad_b(depth * ${TILE}u + lane_column);
      c0 = fma(vec4f(a.x), b, c0);
      c1 = fma(vec4f(a.y), b, c1);
      c2 = fma(vec4f(a.z), b, c2);
      c3 = fma(vec4f(a.w), b, c3);
    }
    workgroupBarrier();
  }
  let c = array<vec4f, 4>(c0, c1, c2, c3);
  for (var r = 0u; r < 4u; r++) {
    let row = first_row + lane_row + r;
    if (row >= p.m) { break; }
    for (var s = 0u; s < 4u; s++) {
      let column = first_column + lane_column + s;
      if (column >= p.n) { break; }
      let value = c[r][s]${product.bias === undefined ? "" : ` + ${product.bias}`};
      y[p.y_at + ${product.at}] = ${finish};
    }
  }`;
}
