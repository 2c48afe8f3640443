/**
 * The fused steps, one pass over dense blocks. Their `reference` functions define what they compute;
 * on the CPU assembly/optim.ts does the same in float32. Gradients are only read.
 */
import type { Kernel, NdArray } from "../../backend/backend.ts";
import { runInPlace } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";

/** z → p += weight·(z − p), in place: between x and y, and z into the average; `kept`, if it is there, becomes what p was. */
export const lerpKernel: Kernel = {
  name: "lerpInPlace",
  kind: "lerp",
  wasm: "lerp",
  reference: (
    [{ data: z }]: readonly NdArray[],
    [{ data: p }, kept]: readonly NdArray[],
    { weight }: { weight: number },
  ) => {
    (kept as NdArray | undefined)?.data.set(p);
    for (let i = 0; i < p.length; i++) p[i] += weight * (z[i] - p[i]);
  },
};

export function lerpInPlace(p: Tensor, z: Tensor, weight: number): void {
  runInPlace(lerpKernel, [z], [p], { weight });
}

/** The same; what p was is in `kept` then. */
export function lerpKeeping(p: Tensor, kept: Tensor, z: Tensor, weight: number): void {
  runInPlace(lerpKernel, [z], [p, kept], { weight });
}

/** `decay`: weight decay, taken at y. `yStep` = lr·(β(1 − ckp1) − 1), which counts for nothing where x is given. */
export interface SgdAttrs {
  decay: number;
  ckp1: number;
  yStep: number;
  lr: number;
  /** 1 where the last output is x, kept beside y: x += ckp1 (z − x) with the new z. Default 0. */
  keepsX?: number;
}

/** Where x is, for steps that know of it. */
export interface Average {
  /** From before the step: y becomes the new x in its place. */
  x?: Tensor;
  /** x kept beside y (which says nothing of it with β = 0): it becomes the new x. */
  mean?: Tensor;
}

type StepReference<A> = (inputs: readonly NdArray[], outputs: readonly NdArray[], attrs: A) => void;

/** The step, and after it what becomes of an x beside y. */
const withMean =
  <A extends SgdAttrs>(step: StepReference<A>): StepReference<A> =>
  (inputs, outputs, attrs) => {
    if (!attrs.keepsX) {
      step(inputs, outputs, attrs);
      return;
    }
    step(inputs, outputs.slice(0, -1), attrs);
    averageInto(outputs[outputs.length - 1], outputs[1], attrs.ckp1);
  };

/** x += ckp1 (z − x) */
export function averageInto({ data: x }: NdArray, { data: z }: NdArray, ckp1: number): void {
  for (let i = 0; i < x.length; i++) x[i] += ckp1 * (z[i] - x[i]);
}

function runStep<A extends SgdAttrs>(
  kernel: Kernel,
  grad: Tensor,
  blocks: readonly Tensor[],
  { x, mean }: Average,
  attrs: A,
): void {
  const inputs = x === undefined ? [grad] : [grad, x];
  if (mean === undefined) runInPlace(kernel, inputs, blocks, attrs);
  else runInPlace(kernel, inputs, [...blocks, mean], { ...attrs, keepsX: 1 });
}

/** y[i] and z[i] from the direction d; with x the new z comes first. */
function move(
  i: number,
  d: number,
  [{ data: y }, { data: z }]: readonly NdArray[],
  x: NdArray | undefined,
  { ckp1, yStep, lr }: SgdAttrs,
): void {
  if (x === undefined) y[i] += ckp1 * (z[i] - y[i]) + yStep * d;
  z[i] -= lr * d;
  if (x !== undefined) y[i] = x.data[i] + ckp1 * (z[i] - x.data[i]);
}

/**
 * grad, x? → y, z in place: d = g + decay·y; y += ckp1 (z − y) + yStep·d; z −= lr·d. With x, from before the step:
 * z −= lr·d; y = x + ckp1 (z − x), the new x. (With `keepsX` all steps here have one more output, x.)
 */
export const sgdKernel: Kernel = {
  name: "sgdScheduleFreeStep",
  kind: "sgdScheduleFreeStep",
  wasm: "sgd_schedulefree",
  reference: withMean<SgdAttrs>(([{ data: grad }, x], outputs, attrs) => {
    const y = outputs[0].data;
    for (let i = 0; i < y.length; i++) move(i, grad[i] + attrs.decay * y[i], outputs, x, attrs);
  }),
};

export function sgdStep(
  grad: Tensor,
  y: Tensor,
  z: Tensor,
  average: Average,
  attrs: SgdAttrs,
): void {
  runStep(sgdKernel, grad, [y, z], average, attrs);
}

/** `invBias…` = 1 / (1 − β^t); `momentum` is the inner momentum; `eps` > 0. */
export interface AdamWAttrs extends SgdAttrs {
  beta2: number;
  oneMinusBeta2: number;
  invBias2: number;
  eps: number;
  momentum: number;
  oneMinusMomentum: number;
  invBias1: number;
}

/**
 * grad, x? → y, z, v and, with inner momentum, m, in place:
 * v = β₂v + (1 − β₂)g²; m = μm + (1 − μ)g (without inner momentum m·invBias1 is g);
 * d = m·invBias1 / (√(v·invBias2) + eps) + decay·y; then as for SGD.
 */
export const adamwKernel: Kernel = {
  name: "adamwScheduleFreeStep",
  kind: "adamwScheduleFreeStep",
  wasm: "adamw_schedulefree",
  reference: withMean<AdamWAttrs>(([{ data: grad }, x], outputs, a) => {
    const [{ data: y }, , { data: v }, momenta] = outputs;
    const m = (momenta as NdArray | undefined)?.data;
    for (let i = 0; i < y.length; i++) {
      const g = grad[i];
      v[i] = a.beta2 * v[i] + a.oneMinusBeta2 * g * g;
      let direction = g;
      if (m !== undefined) {
        m[i] = a.momentum * m[i] + a.oneMinusMomentum * g;
        direction = m[i] * a.invBias1;
      }
      const d = direction / (Math.sqrt(v[i] * a.invBias2) + a.eps) + a.decay * y[i];
      move(i, d, outputs, x, a);
    }
  }),
};

/** The flat sequences of Schedule-Free Adam, or a run of them. */
export interface AdamWState {
  y: Tensor;
  z: Tensor;
  v: Tensor;
  /** Exactly when there is inner momentum. */
  m: Tensor | null;
}

export function adamwStep(
  grad: Tensor,
  { y, z, v, m }: AdamWState,
  average: Average,
  attrs: AdamWAttrs,
): void {
  runStep(adamwKernel, grad, m === null ? [y, z, v] : [y, z, v, m], average, attrs);
}

/** The part of RAdam before its rectification: `beta2` and `eps` as for AdamW. */
export interface RAdamSgdAttrs extends SgdAttrs {
  beta2: number;
  oneMinusBeta2: number;
  eps: number;
}

/** grad, x? → y, z, v in place: v = β₂v + (1 − β₂)g²; then as for SGD. */
export const radamSgdKernel: Kernel = {
  name: "radamScheduleFreeStep",
  kind: "radamScheduleFreeStep",
  wasm: "radam_schedulefree",
  reference: withMean<RAdamSgdAttrs>(([{ data: grad }, x], outputs, a) => {
    const [{ data: y }, , { data: v }] = outputs;
    for (let i = 0; i < y.length; i++) {
      v[i] = a.beta2 * v[i] + a.oneMinusBeta2 * grad[i] * grad[i];
      move(i, grad[i] + a.decay * y[i], outputs, x, a);
    }
  }),
};

export function radamSgdStep(
  grad: Tensor,
  { y, z, v }: Omit<AdamWState, "m">,
  average: Average,
  attrs: RAdamSgdAttrs,
): void {
  runStep(radamSgdKernel, grad, [y, z, v], average, attrs);
}

/** `decay` = lr²·weight decay; `step` = lr / (1 − β₁^t); `keep` = 1 − ckp1. */
export interface AdamCCoefficients {
  decay: number;
  step: number;
  keep: number;
  ckp1: number;
}

/**
 * `eps` > 0; `beta`: the interpolation between z (0) and x (1). The coefficients are here, or in a tensor where they
 * follow from values that cannot be read at once.
 */
export interface AdamCAttrs extends Partial<AdamCCoefficients> {
  beta1: number;
  oneMinusBeta1: number;
  beta2: number;
  oneMinusBeta2: number;
  invBias2: number;
  eps: number;
  beta: number;
  oneMinusBeta: number;
}

/**
 * grad, [decay, step, keep, ckp1]? → y, z, x, m, v in place: m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²;
 * z −= decay·y + step·m / (√(v·invBias2) + eps); x = keep·x + ckp1·z; y = beta·x + (1 − beta)z.
 */
export const adamcKernel: Kernel = {
  name: "adamcScheduleFreeStep",
  kind: "adamcScheduleFreeStep",
  wasm: "adamc_schedulefree",
  reference: (
    [{ data: grad }, given]: readonly NdArray[],
    outputs: readonly NdArray[],
    a: AdamCAttrs,
  ) => {
    const [y, z, x, m, v] = outputs.map(({ data }) => data);
    const numbers = [a.decay!, a.step!, a.keep!, a.ckp1!];
    const [decay, step, keep, ckp1] = (given as NdArray | undefined)?.data ?? numbers;
    for (let i = 0; i < y.length; i++) {
      const g = grad[i];
      m[i] = a.beta1 * m[i] + a.oneMinusBeta1 * g;
      v[i] = a.beta2 * v[i] + a.oneMinusBeta2 * g * g;
      const d = m[i] / (Math.sqrt(v[i] * a.invBias2) + a.eps);
      z[i] = z[i] - decay * y[i] - step * d;
      x[i] = keep * x[i] + ckp1 * z[i];
      y[i] = a.beta * x[i] + a.oneMinusBeta * z[i];
    }
  },
};

/** The flat state of AdamC Schedule-Free+, or a run of it. */
export interface AdamCState {
  y: Tensor;
  z: Tensor;
  x: Tensor;
  m: Tensor;
  v: Tensor;
}

/** `coefficients` [4] is given exactly when `attrs` has none. */
export function adamcStep(
  grad: Tensor,
  { y, z, x, m, v }: AdamCState,
  attrs: AdamCAttrs,
  coefficients: Tensor | null,
): void {
  const inputs = coefficients === null ? [grad] : [grad, coefficients];
  runInPlace(adamcKernel, inputs, [y, z, x, m, v], attrs);
}

/** Elements whose sums `polyakSums` adds up to one number. */
export const POLYAK_PIECE = 4096;

/** grad, z, x → [2 · pieces]: Σ|grad| and Σ grad·(z − x) of each piece of 4096 elements. */
export const polyakKernel: Kernel = {
  name: "polyakSums",
  kind: "polyakSums",
  wasm: "polyak_sums",
  reference: (
    [{ data: grad }, { data: z }, { data: x }]: readonly NdArray[],
    [{ data: sums }]: readonly NdArray[],
  ) => {
    sums.fill(0);
    for (let i = 0; i < grad.length; i++) {
      const at = 2 * Math.floor(i / POLYAK_PIECE);
      sums[at] += Math.abs(grad[i]);
      sums[at + 1] += grad[i] * (z[i] - x[i]);
    }
  },
};

/** Σ|grad| and Σ grad·(z − x) of each piece into `sums`, [2 · pieces], in one pass. */
export function polyakSums(grad: Tensor, z: Tensor, x: Tensor, sums: Tensor): void {
  runInPlace(polyakKernel, [grad, z, x], [sums], {});
}
