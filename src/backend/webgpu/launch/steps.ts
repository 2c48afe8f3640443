/**
 * What the recurrent launchers share. A step of a sequence is one product, of the states with the weights, and
 * where gates meet one dispatch for the cells. What the inputs contribute was one product for all steps before.
 */
import type { View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";
import type { Operand } from "./product.ts";
import { elementOf, matrixOperand, multiply, wideOf } from "./product.ts";
import { isSmall } from "./tiles.ts";

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
  const k = a === null ? 0 : a.shape[1];
  const small = isSmall(batch, n, k, 1);
  // A buffer that is written may be bound once only.
  const inside = a !== null && a.buffer === y.buffer;
  const left: Operand = inside
    ? { alongK: true, wide: false, value: "y[p.aFrom + row * p.k + k]" }
    : denseRows("a", a, k, small);
  const right = matrixOperand(
    "b",
    { name: "column", stride: weight.strides[1], extent: n },
    { stride: weight.strides[0], extent: k },
    [weight.offset],
    "0u",
    small,
  );
  const u32: Record<string, number> = { ...right.u32 };
  if (inside) u32.aFrom = a.offset;
  const finishReads: Record<string, View> = { ...reads };
  const terms = plus.map((view, i) => {
    finishReads[`plus${i}`] = view;
    u32[`plusRow${i}`] = view.shape.length === 1 ? 0 : n;
    return `plus${i}[p.plus${i}_at + row * p.plusRow${i} + column]`;
  });
  multiply(rt, {
    key: `step ${name} ${a === null ? "first" : inside ? "inside" : "apart"} ${plus.length}`,
    reads: a === null ? {} : inside ? { b: weight } : { a, b: weight },
    wide: a === null ? [] : wideOf({ a: left, b: right.operand }),
    y,
    u32,
    m: batch,
    n,
    k,
    batch: 1,
    a: left,
    b: a === null ? nothing : right.operand,
    at: "row * p.n + column",
    quads: !inside && n % 4 === 0,
    bias: terms.length === 0 ? undefined : terms.join(" + "),
    finish,
    finishReads,
    inPlace: inside,
  });
}

const nothing: Operand = { alongK: true, wide: false, value: "0.0" };

/** Rows of `k` dense elements; no view gives no product. */
function denseRows(name: string, view: View | null, k: number, small: boolean): Operand {
  if (view === null) return nothing;
  const wide = !small && k % 4 === 0 && view.offset % 4 === 0;
  return { alongK: true, wide, value: elementOf(name, "row * p.k + k", wide) };
}
