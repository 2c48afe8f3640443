/**
 * The fused steps of the base optimizers, one pass over dense blocks. Their `reference` functions
 * define what they compute; on the CPU assembly/optim-base.ts does the same in float32. Gradients
 * are only read. In all, d = sign·g + decay·p with sign ±1; decay 0 leaves p out of it.
 */
import type { Kernel, NdArray } from "../../backend/backend.ts";

/** What d is made of. `decay` 0 leaves p out of it, also where p is infinite. */
export interface DirectionAttrs {
  sign: number;
  decay: number;
}

/** `look`: Nesterov's momentum, 0 without. */
export interface SgdAttrs extends DirectionAttrs {
  lr: number;
  keep: number;
  gain: number;
  look: number;
}

const direction = (g: number, p: number, { sign, decay }: DirectionAttrs): number =>
  decay === 0 ? sign * g : sign * g + decay * p;

/**
 * grad → p and, with momentum, b, in place: b = keep·b + gain·d; p −= lr·u, where u is d without
 * momentum, b with it, and d + look·b for look > 0.
 */
export const sgdKernel: Kernel = {
  name: "sgdStep",
  kind: "sgdStep",
  wasm: "sgd",
  reference: (
    [{ data: grad }]: readonly NdArray[],
    [{ data: p }, buffer]: readonly NdArray[],
    a: SgdAttrs,
  ) => {
    const b = (buffer as NdArray | undefined)?.data;
    for (let i = 0; i < p.length; i++) {
      const d = direction(grad[i], p[i], a);
      let u = d;
      if (b !== undefined) {
        b[i] = a.keep * b[i] + a.gain * d;
        u = a.look > 0 ? d + a.look * b[i] : b[i];
      }
      p[i] -= a.lr * u;
    }
  },
};

/** `shrink` = 1 − lr·λ for decoupled weight decay; `invRoot` = 1/√(1 − β₂^t) or 1; `eps` > 0. */
export interface AdamAttrs extends DirectionAttrs {
  shrink: number;
  lr: number;
  momentum: number;
  oneMinusMomentum: number;
  beta2: number;
  oneMinusBeta2: number;
  invRoot: number;
  eps: number;
  /** 0 or 1: divide by the root of the second moment? */
  adaptive: number;
}

/**
 * grad → p, m, v and, for AMSGrad, the largest v so far, in place:
 * m = β₁m + (1 − β₁)d; v = β₂v + (1 − β₂)d²;
 * p = shrink·p − lr·m / (√v·invRoot + eps), or shrink·p − lr·m if not `adaptive`.
 */
export const adamKernel: Kernel = {
  name: "adamStep",
  kind: "adamStep",
  wasm: "adam",
  reference: (
    [{ data: grad }]: readonly NdArray[],
    [{ data: p }, { data: m }, { data: v }, largest]: readonly NdArray[],
    a: AdamAttrs,
  ) => {
    const most = (largest as NdArray | undefined)?.data;
    for (let i = 0; i < p.length; i++) {
      const d = direction(grad[i], p[i], a);
      m[i] = a.momentum * m[i] + a.oneMinusMomentum * d;
      v[i] = a.beta2 * v[i] + a.oneMinusBeta2 * d * d;
      if (most !== undefined) most[i] = Math.max(most[i], v[i]);
      const root = Math.sqrt(most === undefined ? v[i] : most[i]) * a.invRoot;
      const u = a.adaptive ? m[i] / (root + a.eps) : m[i];
      p[i] = a.shrink * p[i] - a.lr * u;
    }
  },
};

/** `centered`: 0 or 1; `eps` > 0. */
export interface RmspropAttrs extends DirectionAttrs {
  lr: number;
  alpha: number;
  oneMinusAlpha: number;
  eps: number;
  momentum: number;
  centered: number;
}

/**
 * grad → p, v, then a if `centered`, then b with momentum, in place: v = αv + (1 − α)d²;
 * a = αa + (1 − α)d; u = d / (√(v − a²) + eps) (a is 0 if not centered; v − a² below 0 counts as 0);
 * b = momentum·b + u; p −= lr·b (p −= lr·u without momentum).
 */
export const rmspropKernel: Kernel = {
  name: "rmspropStep",
  kind: "rmspropStep",
  wasm: "rmsprop",
  reference: (
    [{ data: grad }]: readonly NdArray[],
    [{ data: p }, { data: v }, ...others]: readonly NdArray[],
    k: RmspropAttrs,
  ) => {
    const a = k.centered ? others.shift()!.data : undefined;
    const b = (others[0] as NdArray | undefined)?.data;
    for (let i = 0; i < p.length; i++) {
      const d = direction(grad[i], p[i], k);
      v[i] = k.alpha * v[i] + k.oneMinusAlpha * d * d;
      let variance = v[i];
      if (a !== undefined) {
        a[i] = k.alpha * a[i] + k.oneMinusAlpha * d;
        variance = Math.max(0, v[i] - a[i] * a[i]);
      }
      let u = d / (Math.sqrt(variance) + k.eps);
      if (b !== undefined) {
        b[i] = k.momentum * b[i] + u;
        u = b[i];
      }
      p[i] -= k.lr * u;
    }
  },
};

/** `eps` > 0. */
export interface AdagradAttrs extends DirectionAttrs {
  lr: number;
  eps: number;
}

/** grad → p, s in place: s += d²; p −= lr·d / (√s + eps). */
export const adagradKernel: Kernel = {
  name: "adagradStep",
  kind: "adagradStep",
  wasm: "adagrad",
  reference: (
    [{ data: grad }]: readonly NdArray[],
    [{ data: p }, { data: s }]: readonly NdArray[],
    a: AdagradAttrs,
  ) => {
    for (let i = 0; i < p.length; i++) {
      const d = direction(grad[i], p[i], a);
      s[i] += d * d;
      p[i] -= (a.lr * d) / (Math.sqrt(s[i]) + a.eps);
    }
  },
};

export interface LionAttrs {
  sign: number;
  shrink: number;
  lr: number;
  beta1: number;
  oneMinusBeta1: number;
  beta2: number;
  oneMinusBeta2: number;
}

/**
 * grad → p, m in place, with d = sign·g: p = shrink·p − lr·sgn(β₁m + (1 − β₁)d);
 * m = β₂m + (1 − β₂)d. sgn(0) is 0.
 */
export const lionKernel: Kernel = {
  name: "lionStep",
  kind: "lionStep",
  wasm: "lion",
  reference: (
    [{ data: grad }]: readonly NdArray[],
    [{ data: p }, { data: m }]: readonly NdArray[],
    a: LionAttrs,
  ) => {
    for (let i = 0; i < p.length; i++) {
      const d = a.sign * grad[i];
      p[i] = a.shrink * p[i] - a.lr * Math.sign(a.beta1 * m[i] + a.oneMinusBeta1 * d);
      m[i] = a.beta2 * m[i] + a.oneMinusBeta2 * d;
    }
  },
};
