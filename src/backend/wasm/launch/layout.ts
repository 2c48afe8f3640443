/** Layouts written to memory (assembly/layout.ts), and the names of exports. */
import type { DType, Kernel } from "../../backend.ts";
import type { Layout } from "../../layout.ts";
import type { Runtime } from "../runtime.ts";

/** Writes a layout of up to three arrays to scratch memory. */
export function writeLayout(rt: Runtime, { shape, strides }: Layout): number {
  const [a, b, c = b] = strides;
  const at = rt.scratch(16 * shape.length);
  for (let d = 0; d < shape.length; d++) {
    rt.call("set_dimension", at, d, shape[d], a[d], b[d], c[d]);
  }
  return at;
}

/** What exports call the types. */
export const suffix: Readonly<Record<DType, string>> = {
  float32: "f32",
  float64: "f64",
  int32: "i32",
  bool: "bool",
};

type Names = Partial<Record<DType, string>>;
const names = new WeakMap<Kernel, Names>();
const variants = new WeakMap<Kernel, Map<string, Names>>();

/** `stem_variant_type`: made once, because joined strings are slow keys. */
export function exportName(kernel: Kernel, dtype: DType, variant = ""): string {
  let known = variant === "" ? names.get(kernel) : variants.get(kernel)?.get(variant);
  if (known === undefined) known = namesOf(kernel, variant);
  return (known[dtype] ??= `${kernel.wasm}${variant}_${suffix[dtype]}`);
}

function namesOf(kernel: Kernel, variant: string): Names {
  const made: Names = {};
  const others = variants.get(kernel) ?? new Map<string, Names>();
  if (variant === "") names.set(kernel, made);
  else variants.set(kernel, others.set(variant, made));
  return made;
}
