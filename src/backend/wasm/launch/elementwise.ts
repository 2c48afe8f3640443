/** Launchers of kinds `map`, `zip`, `where` and `accumulate`. */
import type { Attrs, Kernel, View } from "../../backend.ts";
import { broadcastTo, collapse } from "../../layout.ts";
import { broadcastStrides, isContiguous, sameShape, stridesOf } from "../../../shape.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { exportName, writeLayout } from "./layout.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const CHEAP = 32768;
const GRAIN = 8192;
const EXPENSIVE = 2048;

const cheap = new Set(["add", "sub", "mul", "neg", "abs", "relu", "relu_grad", "square", "sqrt"]);
/** Computed in float64. */
const expensive = new Set([
  "log2",
  "log10",
  "sin",
  "cos",
  "tan",
  "pow",
  "scalar_pow",
  "pow_scalar",
]);

function grainOf(stem: string): number {
  return cheap.has(stem) ? CHEAP : expensive.has(stem) ? EXPENSIVE : GRAIN;
}

/** Appends the operation's parameters; int32 kernels get whole numbers that fit. */
function addParams(args: number[], { params }: Kernel, attrs: Attrs, whole: boolean): void {
  if (params === undefined) return;
  for (const name of params) {
    const value = attrs[name] as number;
    args.push(whole ? Math.min(Math.max(value, -2147483648), 2147483647) : value);
  }
}

export const map: Launcher = (rt, kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const args = [rt.dense(x), rt.pointer(y)];
  addParams(args, kernel, attrs, x.dtype === "int32");
  rt.parallel(exportName(kernel, x.dtype), y.size, grainOf(kernel.wasm), args);
};

/** a > b is b < a: these have no kernels of their own. */
const exchanged: Readonly<Record<string, Kernel>> = {
  gt: { name: "gt", kind: "zip", wasm: "lt", reference: (a: number, b: number) => Number(a < b) },
  ge: { name: "ge", kind: "zip", wasm: "le", reference: (a: number, b: number) => Number(a <= b) },
};

export const zip: Launcher = (rt, kernel, [a, b], [y], attrs) => {
  if (y.size === 0) return;
  const other = exchanged[kernel.wasm];
  if (kernel.params !== undefined || kernel.wasm.endsWith("_grad")) {
    zipDense(rt, kernel, a, b, y, attrs);
  } else if (other !== undefined) {
    zipInto(rt, other, b, a, y);
  } else {
    zipInto(rt, kernel, a, b, y);
  }
};

/** Kernels with parameters take operands of one shape. */
function zipDense(rt: Runtime, kernel: Kernel, a: View, b: View, y: View, attrs: Attrs): void {
  const { shape, size } = y;
  const fit = (view: View) =>
    sameShape(view.shape, shape) ? view : broadcastTo(view, shape, size);
  const args = [rt.dense(fit(a)), rt.dense(fit(b)), rt.pointer(y)];
  addParams(args, kernel, attrs, a.dtype === "int32");
  rt.parallel(exportName(kernel, a.dtype), size, grainOf(kernel.wasm), args);
}

/** y = f(a, b); y may be a. */
function zipInto(rt: Runtime, kernel: Kernel, a: View, b: View, y: View): void {
  const { shape } = y;
  const grain = grainOf(kernel.wasm);
  if (
    sameShape(a.shape, b.shape) &&
    isContiguous(a.shape, a.strides) &&
    isContiguous(b.shape, b.strides)
  ) {
    const args = [rt.pointer(a), rt.pointer(b), rt.pointer(y)];
    rt.parallel(exportName(kernel, a.dtype), y.size, grain, args);
    return;
  }
  let stridesA: readonly number[] = broadcastStrides(a.shape, a.strides, shape);
  let stridesB: readonly number[] = broadcastStrides(b.shape, b.strides, shape);
  let layout = collapse(shape, [stridesA, stridesB]);
  let pointerA = 0;
  let pointerB = 0;
  if (!fits(layout.strides)) {
    pointerA = rt.dense(a);
    pointerB = rt.dense(b);
    stridesA = broadcastStrides(a.shape, stridesOf(a.shape), shape);
    stridesB = broadcastStrides(b.shape, stridesOf(b.shape), shape);
    layout = collapse(shape, [stridesA, stridesB]);
  } else {
    pointerA = rt.pointer(a);
    pointerB = rt.pointer(b);
  }
  const args = [pointerA, pointerB, rt.pointer(y)];
  if (layout.shape.length === 1 && layout.strides[0][0] === 1 && layout.strides[1][0] === 1) {
    rt.parallel(exportName(kernel, a.dtype), y.size, grain, args);
  } else {
    args.push(writeLayout(rt, layout), layout.shape.length);
    rt.parallel(exportName(kernel, a.dtype, "_nd"), y.size, grain, args);
  }
}

/** Can kernels read these rows: one operand in order, the other too, or constant? */
function fits([a, b]: readonly (readonly number[])[]): boolean {
  const lastA = a[a.length - 1];
  const lastB = b[b.length - 1];
  return (lastA === 1 && (lastB === 1 || lastB === 0)) || (lastA === 0 && lastB === 1);
}

const add: Kernel = {
  name: "accumulate",
  kind: "zip",
  wasm: "add",
  reference: (a: number, b: number) => a + b,
};

/** a += b */
export const accumulate: Launcher = (rt, _kernel, [b], [a]) => {
  if (a.size > 0) zipInto(rt, add, a, b, a);
};

export const where: Launcher = (rt, _kernel, [condition, a, b], [y]) => {
  if (y.size === 0) return;
  const strides = [condition, a, b].map((v) => broadcastStrides(v.shape, v.strides, y.shape));
  const layout = collapse(y.shape, strides);
  const [c, sa, sb] = layout.strides;
  const args = [rt.pointer(condition), rt.pointer(a), rt.pointer(b), rt.pointer(y)];
  const row = layout.shape.length === 1 && c[0] === 1 && sa[0] >> 1 === 0 && sb[0] >> 1 === 0;
  if (row && y.dtype !== "bool") {
    rt.parallel("where_4", y.size, GRAIN, [...args, sa[0], sb[0]]);
  } else {
    args.push(writeLayout(rt, layout), layout.shape.length);
    rt.parallel(y.dtype === "bool" ? "where_nd_1" : "where_nd_4", y.size, GRAIN, args);
  }
};
