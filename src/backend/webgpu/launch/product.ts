/**
 * Tiled products: C[m, n] = Σ_k A[m, k] · B[k, n] for each of several batches, where A, B and C are wherever
 * snippets of WGSL say. Matrix products and convolutions (as implicit products) differ in these alone.
 *
 * tiles.ts chooses the tile; product-code.ts writes the kernel. Where the result has few tiles and k is long, workgroups
 * sum parts of k, and a second dispatch adds the parts in their order.
 */
import type { Attrs, View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";
import { FLAG_BYTES } from "./half-code.ts";
import { activate, finishOf, tileCode } from "./product-code.ts";
import { isSmall, planOf } from "./tiles.ts";

/** A or B: `across` is a row of A or a column of B. */
export interface Operand {
  /** Do neighbours in memory follow each other along k? Otherwise across. */
  readonly alongK: boolean;
  /** Is the array read as vec4? Then the value is four neighbours, and there are multiples of four. */
  readonly wide: boolean;
  /** An expression of `row` or `column`, `k`, `batch`, and `place` and `step`, if they are given. */
  readonly value: string;
  /** An expression of `row` or `column` (and `batch`), of type vec3u, which is found once: `place`. */
  readonly place?: string;
  /** The same of `k`: `step`. */
  readonly step?: string;
}

export interface Product {
  /** Says which snippets these are. */
  readonly key: string;
  /** The arrays behind A and B; those of wide operands have their names in `wide`. */
  readonly reads: Readonly<Record<string, View>>;
  readonly wide: readonly string[];
  readonly y: View;
  readonly u32?: Readonly<Record<string, number>>;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  /** Statements that see `batch`: what A and B share. */
  readonly setup?: string;
  /** Functions that the expressions call. */
  readonly outside?: string;
  readonly a: Operand;
  readonly b: Operand;
  /** Where `batch`, `row`, `column` goes: an index after y's begin. */
  readonly at: string;
  /** Do four columns from a multiple of four on lie side by side at a multiple of four there? */
  readonly quads: boolean;
  /** An expression of `batch`, `row`, `column` that is added. */
  readonly bias?: string;
  readonly activation?: Activation | null;
  /** In place of an activation: what is stored, an expression of `value`, `row` and `column`. */
  readonly finish?: string;
  /** The arrays that `bias` and `finish` read. */
  readonly finishReads?: Readonly<Record<string, View>>;
  /** Do A or B read the array `y`? Then sums are never in parts, which would be written elsewhere. */
  readonly inPlace?: boolean;
  /** May A and B be rounded to f16 where the device has it? In forward products alone: see half-code.ts. */
  readonly halves?: boolean;
}

export interface Activation {
  readonly activation: string;
  readonly slope: number;
}

/** The activation that a record asks for; null for none. */
export function activationOf({ activation, slope }: Attrs): Activation | null {
  if (activation === undefined) return null;
  return { activation: activation as string, slope: slope as number };
}

/**
 * A matrix in memory as an operand: strides across and along k, and `inner`, all other strides and offsets that count.
 * `base` is where the batch's matrix begins after the view. `small` products read no vec4.
 */
export function matrixOperand(
  name: string,
  across: { readonly name: "row" | "column"; readonly stride: number; readonly extent: number },
  along: { readonly stride: number; readonly extent: number },
  inner: readonly number[],
  base: string,
  small: boolean,
): { operand: Operand; u32: Record<string, number> } {
  const alongK = along.stride === 1 && across.stride !== 1;
  const [quick, slow] = alongK ? [along, across] : [across, along];
  const wide =
    !small &&
    quick.stride === 1 &&
    quick.extent % 4 === 0 &&
    [slow.stride, ...inner].every((stride) => stride >= 0 && stride % 4 === 0);
  const index = `${base} + ${across.name} * p.${name}_across + k * p.${name}_along`;
  return {
    operand: { alongK, wide, value: elementOf(name, index, wide) },
    u32: { [`${name}_across`]: across.stride, [`${name}_along`]: along.stride },
  };
}

/** The element at an index of a view; of an array that is read as vec4, it and the next three. */
export const elementOf = (name: string, index: string, wide: boolean): string =>
  wide ? `${name}[p.${name}_at + (${index}) / 4u]` : `${name}[p.${name}_at + ${index}]`;

/** Names of the arrays that are read as vec4. */
export const wideOf = (operands: Readonly<Record<string, Operand>>): string[] =>
  Object.keys(operands).filter((name) => operands[name].wide);

export function multiply(rt: Runtime, product: Product): void {
  const { m, n, k, batch, y, activation = null, bias, inPlace = false } = product;
  if (m * n * batch === 0) return;
  const small = isSmall(m, n, k, batch);
  const halves = product.halves === true && rt.halves && !small;
  const limits = halves ? { ...rt.group, bytes: rt.group.bytes - FLAG_BYTES } : rt.group;
  const { tile, splits, part } = planOf(m, n, k, batch, limits, !inPlace);
  const rowTiles = Math.ceil(m / tile.rows);
  const columnTiles = Math.ceil(n / tile.columns);
  const whole = splits === 1;
  const target = whole ? y : rt.scratch(splits * batch * m * n, "float32");
  const inQuads = whole ? product.quads && y.offset % 4 === 0 : n % 4 === 0;
  const quads = inQuads && !small;
  const orders = [product.a, product.b].map(
    ({ alongK, wide }) => `${alongK ? "k" : "x"}${wide ? "4" : ""}`,
  );
  const size = `${tile.rows}x${tile.columns}${halves ? " halves" : ""}`;
  const slope = activation === null ? {} : { f32: { slope: activation.slope } };
  const finish = `${bias === undefined ? "" : "bias "}${activation?.activation ?? ""}`;
  const shape = { m, n, k, batches: batch };
  rt.run({
    key: `${product.key} ${size} ${orders.join("")} ${quads ? "quads" : ""} ${whole ? finish : "part"}`,
    reads: whole ? { ...product.reads, ...product.finishReads } : product.reads,
    writes: { y: target },
    wide: quads ? [...product.wide, "y"] : product.wide,
    u32: { ...product.u32, ...shape, rowTiles, columnTiles, part },
    ...(whole ? slope : {}),
    groups: splits * batch * rowTiles * columnTiles,
    lanes: tile.lanes,
    code: () => tileCode(product, tile, { whole, quads, halves }),
  });
  if (whole) return;
  rt.run({
    key: `${product.key} sum ${finish}`,
    reads: { parts: target, ...product.finishReads },
    writes: { y },
    u32: { ...product.u32, ...shape, splits },
    ...slope,
    items: batch * m * n,
    code: () => ({
      outside: finishOf(product),
      body: `  let batch = i / (p.m * p.n);
  let row = i / p.n % p.m;
  let column = i % p.n;
  var total = 0.0;
  for (var part = 0u; part < p.splits; part++) { total += parts[part * p.work + i]; }
  y[p.y_at + ${product.at}] = ${activate("total")};`,
    }),
  });
}
