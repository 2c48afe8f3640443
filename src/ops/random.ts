/** Operations that draw random numbers. */
import type { NdArray } from "../backend/backend.ts";
import { currentCapture, refuseDraw, uncaptured } from "../capture.ts";
import { ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp, run } from "../op.ts";
import type { Generator } from "../random.ts";
import { defaultGenerator } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { inputShape, toFloat } from "./common.ts";
import { isRecomputing } from "../recompute.ts";
import { mul } from "./arithmetic.ts";

export interface DropoutAttrs {
  p: number;
  seed: number;
  call: number;
}

/** MurmurHash3's finaliser: a bijection of 32-bit words that spreads every bit. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Is element i (row-major) one of those that stay? */
export function keeps({ p, seed, call }: DropoutAttrs, i: number): boolean {
  return mix(i ^ mix(seed ^ mix(call))) >= p * 2 ** 32;
}

const dropoutOp: Op<DropoutAttrs> = defineOp<DropoutAttrs>({
  name: "dropout",
  kind: "dropout",
  wasm: "dropout",
  reference: ([x]: readonly NdArray[], [y]: readonly NdArray[], attrs: DropoutAttrs) => {
    const scale = 1 / (1 - attrs.p);
    for (let i = 0; i < y.data.length; i++) y.data[i] = keeps(attrs, i) ? x.data[i] * scale : 0;
  },
  shape: inputShape,
  // The mask is a function of position, seed and call: the gradient passes through it again.
  vjp: (dy, _context, attrs) => [run(dropoutOp, [dy], attrs)],
});

/** Which elements a dropout keeps; takes a call number of the generator. */
export function drawDropout(
  op: string,
  p: number,
  generator: Generator = defaultGenerator(),
): DropoutAttrs {
  if (!(p >= 0 && p <= 1)) throw new ValueError(`${op}: p is ${p}; expected 0 to 1`);
  if (p === 0) return { p, seed: 0, call: 0 };
  const attrs = { p, seed: 0, call: 0 };
  const draw = (): void => {
    attrs.seed = (generator.seed ^ (generator.seed / 2 ** 32)) >>> 0;
    attrs.call = generator.nextCall() >>> 0;
  };
  if (p === 1) return attrs;
  const capture = currentCapture();
  if (capture === null) draw();
  else {
    if (isRecomputing()) refuseDraw();
    uncaptured(draw);
    capture.changes(attrs, draw);
  }
  return attrs;
}

export interface DropoutOptions {
  /** Probability that an element becomes 0. Default 0.5. */
  p?: number;
  /** False: the identity. Default true. */
  training?: boolean;
  /** Default: the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/**
 * Each element becomes 0 with probability p, others x/(1-p), so that the mean stays. The same
 * elements on every device and for any number of threads.
 */
export function dropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  const { p = 0.5, training = true, generator } = options;
  const attrs = drawDropout("dropout", training ? p : 0, generator);
  if (attrs.p === 0) return x;
  return p === 1 ? mul(x, 0) : run(dropoutOp, [toFloat(x)], attrs);
}
