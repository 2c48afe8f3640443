/** Kinds `copy`, `concat`, `cast` and `fill`. */
import type { DType, View } from "../../backend.ts";
import { stridesOf } from "../../../shape.ts";
import { wgslType } from "../pipelines.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { placesOf } from "./places.ts";

export const copy: Launcher = (rt, _kernel, [x], [y]) => copyInto(rt, x, y);

/** y = x, any strides on both sides, converted where the dtypes differ. */
export function copyInto(rt: Runtime, x: View, y: View): void {
  const places = placesOf(y.shape, { x: x.strides, y: y.strides });
  rt.run({
    key: `copy ${places.key}`,
    reads: { x },
    writes: { y },
    u32: places.u32,
    items: y.size,
    code: () => `${places.code}\n  y[y_i] = ${converted("x[x_i]", x.dtype, y.dtype)};`,
  });
}

/** Floats are cut towards zero (NaN gives 0); anything but 0 is true. */
export function converted(value: string, from: DType, to: DType): string {
  if (from === to) return value;
  if (to === "bool") {
    return from === "float32" ? `u32(is_nan(${value}) || ${value} != 0.0)` : `u32(${value} != 0)`;
  }
  if (from === "float32") return `i32(select(${value}, 0.0, is_nan(${value})))`;
  return `${wgslType[to]}(${value})`;
}

export const cast: Launcher = (rt, _kernel, [x], [y]) =>
  copyInto(rt, x, { ...y, strides: stridesOf(y.shape) });

export const concat: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  const dim = attrs.dim as number;
  let { offset } = y;
  for (const x of inputs) {
    copyInto(rt, x, { ...y, offset, shape: x.shape, size: x.size });
    offset += x.shape[dim] * y.strides[dim];
  }
};

export const fill: Launcher = (rt, _kernel, _inputs, [y], attrs) =>
  fillWith(rt, y, attrs.value as number);

/** y = value, converted to y's type. */
export function fillWith(rt: Runtime, y: View, value: number): void {
  const places = placesOf(y.shape, { y: y.strides });
  const number = filling(value, y.dtype);
  rt.run({
    key: `fill ${places.key}`,
    writes: { y },
    u32: places.u32,
    ...(y.dtype === "float32" ? { f32: { value: number } } : { i32: { value: number } }),
    items: y.size,
    code: () => `${places.code}\n  y[y_i] = ${wgslType[y.dtype]}(p.value);`,
  });
}

/** The number that stands for the value in arrays of that type. */
export const filling = (value: number, dtype: DType): number =>
  dtype === "bool" ? Number(value !== 0) : value;
