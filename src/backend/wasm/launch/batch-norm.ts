/** Launchers of kinds `batchMoments`, `batchNorm` and `batchNormGrad`. */
import type { View } from "../../backend.ts";
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** Elements a thread takes at a time: 10 µs of work or more. */
const WORK = 8192;

/** Channels a thread takes at a time; where they are lanes, whole vectors. */
function grainOf(x: View, channels: number, inner: number): number {
  const least = Math.ceil((WORK * channels) / x.size);
  return inner === 1 ? Math.ceil(least / 4) * 4 : least;
}

/** x → mean, variance */
const batchMoments: Launcher = (rt, _kernel, [x], [mean, variance]) => {
  const { outer, n: channels, inner } = around(x, 1);
  if (x.size === 0) {
    for (const moment of [mean, variance]) fillWith(rt, moment, NaN);
    return;
  }
  const args = [rt.dense(x), rt.pointer(mean), rt.pointer(variance), outer, channels, inner];
  rt.parallel("batch_moments_f32", channels, grainOf(x, channels, inner), args);
};

/** x, mean, variance, weight?, bias? → y */
const batchNorm: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const [x, mean, variance, weight, bias] = inputs;
  const { outer, n: channels, inner } = around(x, 1);
  const scale = rt.scratch(4 * channels);
  const w = weight === undefined ? 0 : rt.dense(weight);
  rt.call("batch_norm_scale_f32", rt.dense(variance), w, scale, attrs.eps as number, channels);
  const args = [rt.dense(x), rt.dense(mean), scale, bias === undefined ? 0 : rt.dense(bias)];
  args.push(rt.pointer(y), channels, inner);
  const pieces = inner === 1 ? outer : outer * channels;
  rt.parallel("batch_norm_f32", pieces, Math.ceil((WORK * pieces) / y.size), args);
};

/** x, dy, mean, variance, weight? → dx, dweight, dbias */
const batchNormGrad: Launcher = (rt, _kernel, inputs, [dx, dweight, dbias], attrs) => {
  const [x, dy, mean, variance, weight] = inputs;
  if (x.size === 0) {
    for (const sum of [dweight, dbias]) fillWith(rt, sum, 0);
    return;
  }
  const { outer, n: channels, inner } = around(x, 1);
  const args = [x, dy, mean, variance].map((view) => rt.dense(view));
  args.push(weight === undefined ? 0 : rt.dense(weight));
  args.push(rt.pointer(dx), rt.pointer(dweight), rt.pointer(dbias));
  args.push(attrs.eps as number, Number(attrs.fixed), outer, channels, inner);
  rt.parallel("batch_norm_grad_f32", channels, grainOf(x, channels, inner), args);
};

export const batchNormLaunchers: Readonly<Record<string, Launcher>> = {
  batchMoments,
  batchNorm,
  batchNormGrad,
};
