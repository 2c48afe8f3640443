/** What the recurrent layers share: weights and states, their checks, and how sequences lie in memory. */
import type { NdArray } from "../backend/backend.ts";
import { ShapeError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add } from "./arithmetic.ts";
import { reshape } from "./broadcast.ts";
import { zeros } from "./creation.ts";
import { matmul } from "./matmul.ts";
import { narrow, transpose } from "./movement.ts";

/** Gates are stacked by rows. LSTM: input, forget, cell, output; GRU: reset, update, new. */
export interface RecurrentWeights {
  /** [gates · hidden, in] */
  weightIh: Tensor;
  /** [gates · hidden, hidden]; with a projection [gates · hidden, projection]. */
  weightHh: Tensor;
  /** [gates · hidden]. Default: none. */
  biasIh?: Tensor | null;
  /** [gates · hidden]. Default: none. */
  biasHh?: Tensor | null;
  /** [projection, hidden], of an LSTM alone: h becomes weightHr · h. Default: none. */
  weightHr?: Tensor | null;
}

/** What a layer remembers, [batch, hidden]; an LSTM has `c` too. Default: zeros. */
export interface RecurrentState {
  /** With a projection [batch, projection]. */
  h?: Tensor | null;
  c?: Tensor | null;
}

export interface SequenceOptions {
  /** Begin with the last step. Outputs stay in the order of the inputs. Default false. */
  reverse?: boolean;
}

export interface SequenceAttrs {
  readonly reverse: boolean;
}

/** Extents of a layer, checked. */
export interface Extents {
  readonly time: number;
  readonly batch: number;
  readonly hidden: number;
  /** Of h: hidden, or the projection's. */
  readonly size: number;
}

/** Checks inputs and weights of a layer whose gates are `gates`. */
export function checkSequence(
  op: string,
  x: Tensor,
  weights: RecurrentWeights,
  gates: number,
): Extents {
  if (x.ndim !== 3 || x.shape[0] === 0) {
    throw new ShapeError(
      `${op}: found ${x.describe()}; expected [time, batch, in] with at least one step`,
    );
  }
  checkDType(op, x, ["float32", "float64"]);
  const [time, batch, width] = x.shape;
  const { weightIh, weightHh, weightHr = null } = weights;
  if (weightHr !== null && weightHr.ndim !== 2) {
    throw new ShapeError(
      `${op}: weightHr has the shape ${formatShape(weightHr.shape)}; expected [projection, hidden]`,
    );
  }
  const hidden = weightHr === null ? weightHh.shape[1] : weightHr.shape[1];
  const size = weightHr === null ? hidden : weightHr.shape[0];
  const rows = gates * hidden;
  if (!sameShape(weightIh.shape, [rows, width]) || !sameShape(weightHh.shape, [rows, size])) {
    const projected =
      weightHr === null
        ? `[${gates} · hidden, hidden]`
        : `[${gates} · hidden, projection] with weightHr ${formatShape(weightHr.shape)}, [projection, hidden]`;
    throw new ShapeError(
      `${op}: weightIh ${formatShape(weightIh.shape)} and weightHh ${formatShape(weightHh.shape)} for inputs of ` +
        `width ${width}; expected [${gates} · hidden, ${width}] and ${projected}`,
    );
  }
  for (const name of ["biasIh", "biasHh"] as const) {
    const bias = weights[name];
    if (!bias || sameShape(bias.shape, [rows])) continue;
    throw new ShapeError(
      `${op}: ${name} has the shape ${formatShape(bias.shape)}; expected [${rows}], one number per row of the weights`,
    );
  }
  return { time, batch, hidden, size };
}

/** The state to begin with: what is given, checked, or zeros. */
export function initialState(
  op: string,
  name: "h" | "c",
  given: Tensor | null | undefined,
  batch: number,
  size: number,
  like: Tensor,
): Tensor {
  if (!given) return zeros([batch, size], { dtype: like.dtype, device: like.device });
  if (sameShape(given.shape, [batch, size])) return given;
  throw new ShapeError(
    `${op}: ${name} has the shape ${formatShape(given.shape)}; expected [${batch}, ${size}], batch and hidden`,
  );
}

/*
 * The states of a sequence are [time + 1, batch, size] with the initial one first, or last in reverse: so
 * outputs, and what each step started from, are runs of them, and cost no copy.
 */

/** What the steps computed, and the last of it [batch, size]. */
export function outputsOf(states: Tensor, reverse: boolean): { output: Tensor; h: Tensor } {
  const [places, batch, size] = states.shape;
  const time = places - 1;
  return {
    output: narrow(states, 0, reverse ? 0 : 1, time),
    h: reshape(narrow(states, 0, reverse ? 0 : time, 1), [batch, size]),
  };
}

/** What the steps started from. */
export function startsOf(states: Tensor, reverse: boolean): Tensor {
  return narrow(states, 0, reverse ? 1 : 0, states.shape[0] - 1);
}

/** Σ over all steps and rows of dyᵀ·x: the gradient of a weight that takes x to y. */
export function weightGrad(dy: Tensor, x: Tensor): Tensor {
  const flat = (a: Tensor): Tensor => reshape(a, [a.shape[0] * a.shape[1], a.shape[2]]);
  return matmul(transpose(flat(dy), 0, 1), flat(x));
}

/** The biases of inputs and states, which always meet in a sum. */
export function bothBiases({ biasIh, biasHh }: RecurrentWeights): Tensor | null {
  if (biasIh && biasHh) return add(biasIh, biasHh);
  return biasIh ?? biasHh ?? null;
}

/** Σ a[i + k]·b[j + k·stride] over n numbers: what the float64 definitions are made of. */
export function dot(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
  n: number,
  stride = 1,
): number {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += a[i + k] * b[j + k * stride];
  return sum;
}

/** target [batch, n] = rows [batch, m] of `from`, from element `at` on, times weight [m, n]. */
export function carryBack(from: NdArray, at: number, weight: NdArray, target: NdArray): void {
  const [m, n] = weight.shape;
  for (let i = 0; i < target.data.length; i++) {
    const row = Math.floor(i / n);
    target.data[i] = dot(from.data, at + row * m, weight.data, i % n, m, n);
  }
}

/** The states of all steps of x, and the first. */
export const statesShape = (x: Tensor, size: number): Shape => [x.shape[0] + 1, x.shape[1], size];
