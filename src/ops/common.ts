/** What several operation files share: shape rules, dtype rules, gradients of broadcasts. */
import type { DType, Kernel } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import type { Shape } from "../shape.ts";
import { broadcastShapes, sameShape } from "../shape.ts";
import type { Vjp } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { commonBackend, isFloat } from "../tensor.ts";

/** Attributes of operations that have none. */
export type NoAttrs = Record<never, never>;
export const none: NoAttrs = Object.freeze({});

export const inputShape = ([x]: readonly Tensor[]): Shape => x.shape;

export interface ElementwiseSpec<A> {
  name: string;
  /** The float64 definition, one element at a time; parameters follow the elements. */
  reference: (...values: number[]) => number;
  /** Names of the numeric attributes that follow the elements. */
  params?: readonly (keyof A & string)[];
  /** The stem of the kernel's name; by default `name`. */
  wasm?: string;
  /** The GPU's expression: see Kernel. */
  wgsl?: Kernel["wgsl"];
  dtype?: Op<A>["dtype"];
  saves?: Op<A>["saves"];
  vjp?: Vjp<A>;
}

/** y[i] = f(x[i]) */
export function defineMap<A = NoAttrs>(spec: ElementwiseSpec<A>): Op<A> {
  return defineOp<A>({ wasm: spec.name, ...spec, kind: "map", shape: inputShape });
}

/** y[i] = f(a[i], b[i]) with broadcasting; both inputs have one dtype. */
export function defineZip<A = NoAttrs>(spec: ElementwiseSpec<A>): Op<A> {
  return defineOp<A>({
    wasm: spec.name,
    ...spec,
    kind: "zip",
    shape: ([a, b]) => broadcastShapes(spec.name, a.shape, b.shape),
  });
}

const castKernel: Kernel = {
  name: "cast",
  kind: "cast",
  // Conversion is what storing into the output's typed array does, but for bool.
  reference: ([x]: readonly { data: ArrayLike<number> }[], [y]: readonly { data: unknown }[]) => {
    const target = y.data as Float64Array | Uint8Array;
    for (let i = 0; i < target.length; i++) {
      target[i] = target instanceof Uint8Array ? Number(x.data[i] !== 0) : x.data[i];
    }
  },
  wasm: "cast",
};

const castOp: Op<{ dtype: DType }> = defineOp<{ dtype: DType }>({
  ...castKernel,
  shape: inputShape,
  dtype: (_inputs, { dtype }) => dtype,
  vjp: (dy, { inputs: [x] }) => [isFloat(x.dtype) ? cast(dy, x.dtype) : null],
});

/**
 * The tensor in another dtype; itself if it has it already. Floats are cut towards zero when they
 * become int32; anything but 0 becomes true.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : run(castOp, [x], { dtype });
}

/** int32 and bool become the device's float type; floats stay. */
export function toFloat(x: Tensor): Tensor {
  return isFloat(x.dtype) ? x : cast(x, x.backend.capabilities().float);
}

const rank: Readonly<Record<DType, number>> = { bool: 0, int32: 1, float32: 2, float64: 3 };

/** Both in the wider of their dtypes: bool < int32 < float32 < float64. */
export function promote(op: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  if (a.dtype === b.dtype) return [a, b];
  commonBackend(op, [a, b]);
  return rank[a.dtype] < rank[b.dtype] ? [cast(a, b.dtype), b] : [a, cast(b, a.dtype)];
}

/** Is this the gradient's way back through a broadcast? Then which dims were widened? */
export function broadcastDims(from: Shape, to: Shape): number[] | null {
  if (sameShape(from, to)) return null;
  const lead = to.length - from.length;
  const dims: number[] = [];
  for (let i = 0; i < to.length; i++) {
    if (i < lead || (from[i - lead] === 1 && to[i] !== 1)) dims.push(i);
  }
  return dims;
}

/** A tensor, or a number that stands for a tensor full of it. */
export type Operand = Tensor | number;

export function checkOperands(op: string, a: Operand, b: Operand): void {
  if (typeof a === "number" && typeof b === "number") {
    throw new ValueError(`${op}: both operands are numbers; at least one must be a tensor`);
  }
}

/**
 * A number meets a tensor: whole numbers keep int32 and bool exact (bool becomes int32), others
 * make floats of them.
 */
export function forScalar(x: Tensor, value: number): Tensor {
  if (x.dtype !== "int32" && x.dtype !== "bool") return x;
  return Number.isInteger(value) ? cast(x, "int32") : toFloat(x);
}

/** Runs an operation of two tensors in the wider of their dtypes. */
export function zip(op: Op<NoAttrs>, a: Tensor, b: Tensor): Tensor {
  const [left, right] = promote(op.name, a, b);
  return run(op, [left, right], none);
}
