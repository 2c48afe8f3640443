/** Activations inside matrix products and convolutions (assembly/epilogue.ts). */
import type { Attrs, View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";

/** Elements a thread takes at a time. */
const GRAIN = 16384;

/** relu's number. */
export const RELU = 1;
const codes: Readonly<Record<string, number>> = { relu: RELU, leakyRelu: 2, sigmoid: 3, tanh: 4 };

/** The activation that a record asks for, as kernels take it: its number and slope; null for none. */
export function epilogueOf(attrs: Attrs): readonly number[] | null {
  const { activation, slope } = attrs;
  return activation === undefined ? null : [codes[activation as string], slope as number];
}

/** All of y, where the kernel that computed it has no epilogue. */
export function activate(rt: Runtime, y: View, epilogue: readonly number[]): void {
  rt.parallel("activate_f32", y.size, GRAIN, [rt.pointer(y), ...epilogue]);
}
