/**
 * What the recurrent launchers share. A step of a sequence is one product, of the states with the weights, and
 * where gates meet one dispatch for the cells. What the inputs contribute was one product for all steps before.
 */
import type { View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";
import { multiply } from "./product.ts";

/** Rows [batch, width] of a dense array, from element `at` of the view on. */
export function rowsOf(view: View, at: number, batch: number, width: number): View {
  const size = batch * width;
  return { ...view, offset: view.offset + at, shape: [batch, width], strides: [width, 1], size };
}

/** Step `at` of a dense [time, batch, width]. */
export function stepOf(view: View, at: number, batch: number, width: number): View {
  return rowsOf(view, at * batch * width, batch, width);
}

/** weightᵀ, as a view. */
export function transposed(weight: View): View {
  const { shape, strides } = weight;
  return { ...weight, shape: [shape[1], shape[0]], strides: [strides[1], strides[0]] };
}

export interface StepProduct {
  /** [batch, k] dense, null for no product at all; it may lie in y's buffer, elsewhere. */
  readonly a: View | null;
  /** [k, n], any strides. */
  readonly weight: View;
  /** What is added: [batch, n] dense, or one row [n] for all. */
  readonly plus?: readonly View[];
  /** [batch, n] dense */
  readonly y: View;
  /** Names `finish`: an expression of `value`, `row`, `column`, and of the arrays in `reads`. */
  readonly name?: string;
  readonly finish?: string;
  readonly reads?: Readonly<Record<string, View>>;
}

/** y = finish(a · weight + Σ plus) */
export function stepProduct(rt: Runtime, step: StepProduct): void {
  const { a, weight, plus = [], y, name = "", finish, reads = {} } = step;
  const [batch, n] = y.shape;
  // A buffer that is written may be bound once only.
  const inside = a !== null && a.buffer === y.buffer;
  const arrays: Record<string, View> = a === null || inside ? { ...reads } : { a, ...reads };
  if (a !== null) arrays.b = weight;
  const u32: Record<string, number> = { bRow: weight.strides[0], bColumn: weight.strides[1] };
  if (inside) u32.aFrom = a.offset;
  const terms = plus.map((view, i) => {
    arrays[`plus${i}`] = view;
    u32[`plusRow${i}`] = view.shape.length === 1 ? 0 : n;
    return `plus${i}[p.plus${i}_at + row * p.plusRow${i} + column]`;
  });
  const from = inside ? "y[p.aFrom" : "a[p.a_at";
  multiply(rt, {
    key: `step ${name} ${a === null ? "first" : inside ? "inside" : "apart"} ${plus.length}`,
    reads: arrays,
    y,
    u32,
    m: batch,
    n,
    k: a === null ? 0 : a.shape[1],
    batch: 1,
    a: a === null ? "0.0" : `${from} + row * p.k + k]`,
    b: a === null ? "0.0" : "b[p.b_at + k * p.bRow + column * p.bColumn]",
    aAlongK: true,
    bAlongK: weight.strides[1] !== 1 && weight.strides[0] === 1,
    at: "row * p.n + column",
    bias: terms.length === 0 ? undefined : terms.join(" + "),
    finish,
  });
}
