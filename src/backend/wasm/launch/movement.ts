/** Launchers of kinds `copy`, `concat`, `cast` and `fill`. */
import type { DType, View } from "../../backend.ts";
import type { Layout } from "../../layout.ts";
import { collapse } from "../../layout.ts";
import { isContiguous } from "../../../shape.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { suffix, writeLayout } from "./layout.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const GRAIN = 16384;
/** Rows that a strip of a transposition takes together (assembly/movement.ts). */
const STRIP = 16;

const bytesOf = (dtype: DType): number => (dtype === "bool" ? 1 : 4);

export const copy: Launcher = (rt, _kernel, [x], [y]) => copyInto(rt, x, y);

/** y = x, any strides on both sides. */
function copyInto(rt: Runtime, x: View, y: View): void {
  if (y.size === 0) return;
  const bytes = bytesOf(y.dtype);
  const args = [rt.pointer(x), rt.pointer(y)];
  if (isContiguous(x.shape, x.strides) && isContiguous(y.shape, y.strides)) {
    rt.parallel(bytes === 4 ? "copy_4" : "copy_1", y.size, GRAIN * 4, args);
    return;
  }
  const layout = collapse(y.shape, [x.strides, y.strides]);
  const planes = bytes === 4 ? asTransposition(layout) : null;
  if (planes !== null) {
    const rank = planes.shape.length;
    const [i, j] = planes.shape.slice(rank - 2);
    const strips = (y.size / (i * j)) * Math.ceil(i / STRIP);
    const grain = Math.ceil(GRAIN / (STRIP * j));
    rt.parallel("copy_transposed_4", strips, grain, [...args, writeLayout(rt, planes), rank]);
    return;
  }
  args.push(writeLayout(rt, layout), layout.shape.length);
  rt.parallel(`copy_nd_${bytes}`, y.size, GRAIN, args);
}

/** The dimensions in another order: last the one that y has in order, before it that of x. */
function asTransposition({ shape, strides: [x, y] }: Layout): Layout | null {
  const i = x.findIndex((stride, d) => stride === 1 && shape[d] >= 4);
  const j = y.findIndex((stride, d) => stride === 1 && shape[d] >= 4);
  if (i < 0 || j < 0 || i === j) return null;
  const order = shape.map((_, d) => d).filter((d) => d !== i && d !== j);
  order.push(i, j);
  const sorted = (list: readonly number[]) => order.map((d) => list[d]);
  return { shape: sorted(shape), strides: [sorted(x), sorted(y)] };
}

export const concat: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  const dim = attrs.dim as number;
  let { offset } = y;
  for (const x of inputs) {
    copyInto(rt, x, { ...y, offset, shape: x.shape, size: x.size });
    offset += x.shape[dim] * y.strides[dim];
  }
};

export const cast: Launcher = (rt, _kernel, [x], [y]) => {
  if (x.dtype === y.dtype) {
    copyInto(rt, x, y);
  } else if (y.size > 0) {
    const name = `cast_${suffix[x.dtype]}_${suffix[y.dtype]}`;
    rt.parallel(name, y.size, GRAIN, [rt.dense(x), rt.pointer(y)]);
  }
};

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

export const fill: Launcher = (rt, _kernel, _inputs, [y], attrs) =>
  fillWith(rt, y, attrs.value as number);

/** y = value, converted to y's type. */
export function fillWith(rt: Runtime, y: View, value: number): void {
  if (y.size === 0) return;
  if (y.dtype === "bool") {
    rt.parallel("fill_1", y.size, GRAIN * 16, [rt.pointer(y), value === 0 ? 0 : 1]);
    return;
  }
  float[0] = value;
  const word = y.dtype === "float32" ? bits[0] : value;
  rt.parallel("fill_4", y.size, GRAIN * 4, [rt.pointer(y), word]);
}
