/** Strided views as kernels want them: dimensions merged, and written to memory (assembly/layout.ts). */
import type { DType, Kernel, View } from "../../backend.ts";
import type { Shape, Strides } from "../../../shape.ts";
import { broadcastStrides } from "../../../shape.ts";
import type { Runtime } from "../runtime.ts";

/** Extents and the strides of each array, outermost first; at least one dimension. */
export interface Layout {
  readonly shape: number[];
  readonly strides: number[][];
}

/** Drops extents of 1 and merges neighbours that all arrays step through evenly. */
export function collapse(shape: Shape, strides: readonly Strides[]): Layout {
  const extents: number[] = [];
  const merged = strides.map((): number[] => []);
  for (let d = 0; d < shape.length; d++) {
    const extent = shape[d];
    if (extent === 1) continue;
    const last = extents.length - 1;
    let even = last >= 0;
    for (let k = 0; even && k < strides.length; k++) {
      even = merged[k][last] === strides[k][d] * extent;
    }
    if (even) extents[last] *= extent;
    else extents.push(extent);
    const at = extents.length - 1;
    for (let k = 0; k < strides.length; k++) merged[k][at] = strides[k][d];
  }
  if (extents.length === 0) {
    extents.push(1);
    for (const list of merged) list.push(1);
  }
  return { shape: extents, strides: merged };
}

/** Writes a layout of up to three arrays to scratch memory. */
export function writeLayout(rt: Runtime, { shape, strides }: Layout): number {
  const [a, b, c = b] = strides;
  const at = rt.scratch(16 * shape.length);
  for (let d = 0; d < shape.length; d++) {
    rt.call("set_dimension", at, d, shape[d], a[d], b[d], c[d]);
  }
  return at;
}

/** The view read as if it had that shape. */
export function broadcastTo(view: View, shape: Shape, size: number): View {
  const strides = broadcastStrides(view.shape, view.strides, shape);
  return { ...view, shape, strides, size };
}

/** What exports call the types. */
export const suffix: Readonly<Record<DType, string>> = {
  float32: "f32",
  float64: "f64",
  int32: "i32",
  bool: "bool",
};

type Names = Partial<Record<DType, string>>;
const names = new WeakMap<Kernel, Map<string, Names>>();

/** `stem_variant_type`: made once, because joined strings are slow keys. */
export function exportName(kernel: Kernel, dtype: DType, variant = ""): string {
  let variants = names.get(kernel);
  if (variants === undefined) names.set(kernel, (variants = new Map<string, Names>()));
  let known = variants.get(variant);
  if (known === undefined) variants.set(variant, (known = {}));
  return (known[dtype] ??= `${kernel.wasm}${variant}_${suffix[dtype]}`);
}
