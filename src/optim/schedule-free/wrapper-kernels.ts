/**
 * What `ScheduleFreeWrapper` does to parameters and z before and after the wrapped step, and the three as one pass where
 * that step is a kernel.
 */
import type { Kernel, NdArray, ReferenceFunction } from "../../backend/backend.ts";
import { runInPlace } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
import { averageInto } from "./kernels.ts";

/** `zDecay` = lr·weightDecayAtY, `yDecay` = zDecay·(1 − β), `toX` = 1 − 1/β. */
export interface BeforeAttrs {
  zDecay: number;
  yDecay: number;
  toX: number;
}

const before = (
  _inputs: readonly NdArray[],
  [{ data: p }, { data: z }]: readonly NdArray[],
  { zDecay, yDecay, toX }: BeforeAttrs,
): void => {
  for (let i = 0; i < p.length; i++) {
    z[i] -= zDecay * p[i];
    const y = p[i] - yDecay * p[i];
    p[i] = y + toX * (z[i] - y);
  }
};

/** p, z in place: z −= zDecay·p; y = p − yDecay·p; p = y + toX (z − y). */
export const beforeKernel: Kernel = {
  name: "wrapperBefore",
  kind: "wrapperBefore",
  wasm: "wrapper_before",
  reference: before,
};

export function wrapperBefore(p: Tensor, z: Tensor, attrs: BeforeAttrs): void {
  runInPlace(beforeKernel, [], [p, z], attrs);
}

/** `toY` = 1 − β. */
export interface AfterAttrs {
  ckp1: number;
  toY: number;
}

const after = (
  [{ data: z }]: readonly NdArray[],
  [{ data: p }]: readonly NdArray[],
  { ckp1, toY }: AfterAttrs,
): void => {
  for (let i = 0; i < p.length; i++) {
    const x = p[i] + ckp1 * (z[i] - p[i]);
    p[i] = x + toY * (z[i] - x);
  }
};

/** z → p in place: x = p + ckp1 (z − p); p = x + toY (z − x). */
export const afterKernel: Kernel = {
  name: "wrapperAfter",
  kind: "wrapperAfter",
  wasm: "wrapper_after",
  reference: after,
};

export function wrapperAfter(p: Tensor, z: Tensor, attrs: AfterAttrs): void {
  runInPlace(afterKernel, [z], [p], attrs);
}

/** `step`: what the base's kernel takes. */
export interface WrappedAttrs extends BeforeAttrs, AfterAttrs {
  step: object;
  /** 1 where the last output is x, kept beside y, as β = 0 needs it: x += ckp1 (z − x) and p = z. Default 0. */
  keepsX?: number;
}

const wrapped = new Map<Kernel, Kernel>();

/**
 * grad → p, z, state in place: `wrapperBefore`, then the kernel's own step of z with `step`, then `wrapperAfter`. `base` is
 * the kernel of a fused base optimizer: grad → z, state. For x beside y see `keepsX`.
 */
export function wrappedKernel(base: Kernel): Kernel {
  const known = wrapped.get(base);
  if (known !== undefined) return known;
  const step = base.reference as ReferenceFunction;
  const made: Kernel = {
    name: `${base.name}Wrapped`,
    kind: `${base.kind}Wrapped`,
    wasm: base.wasm,
    reference: (
      inputs: readonly NdArray[],
      [p, z, ...others]: readonly NdArray[],
      attrs: WrappedAttrs,
    ) => {
      before([], [p, z], attrs);
      step(inputs, [z, ...(attrs.keepsX ? others.slice(0, -1) : others)], attrs.step as never);
      if (attrs.keepsX) {
        averageInto(others[others.length - 1], z, attrs.ckp1);
        p.data.set(z.data);
      } else {
        after([z], [p], attrs);
      }
    },
  };
  wrapped.set(base, made);
  return made;
}
