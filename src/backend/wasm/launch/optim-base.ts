/** Launchers of the base optimizers' fused steps; all views are dense and as long as the first. */
import type { View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";

/** Elements a thread takes at a time: about 10 µs of work. */
const GRAIN = 16384;

const SMALLEST_NORMAL = 2 ** -126;

type Numbers = Readonly<Record<string, number>>;

/** Addresses of the outputs, 0 for those that there are not, then of the gradient. */
const addresses = (rt: Runtime, grad: View, outputs: readonly (View | undefined)[]): number[] => [
  ...outputs.map((view) => (view === undefined ? 0 : rt.pointer(view))),
  rt.dense(grad),
];

/** Second moments are dropped where they are denormal and √v cannot be seen beside eps. */
function tiny(eps: number, gain: number): [v: number, g: number] {
  const root = eps * 2 ** -25;
  const v = Math.min(SMALLEST_NORMAL, root * root);
  return [v, gain > 0 ? Math.sqrt(v / gain) : 0];
}

/** grad → p, and b where there is momentum */
const sgdStep: Launcher = (rt, kernel, [grad], outputs, attrs) => {
  const a = attrs as Numbers;
  const momentum = outputs.length > 1;
  const args = addresses(rt, grad, outputs);
  args.push(a.sign, a.decay, a.lr);
  if (momentum) args.push(a.keep, a.gain, a.look);
  const name = momentum ? `${kernel.wasm}_momentum_f32` : `${kernel.wasm}_f32`;
  rt.parallel(name, outputs[0].size, GRAIN, args);
};

/** grad → p, m, v, and the largest v where that is kept */
const adamStep: Launcher = (rt, kernel, [grad], [p, m, v, most], attrs) => {
  const a = attrs as Numbers;
  const args = addresses(rt, grad, [p, m, v, most]);
  args.push(a.sign, a.decay, a.shrink, a.lr, a.momentum, a.oneMinusMomentum);
  args.push(a.beta2, a.oneMinusBeta2, a.invRoot, a.eps, a.adaptive);
  args.push(...tiny(a.eps, a.oneMinusBeta2));
  rt.parallel(`${kernel.wasm}_f32`, p.size, GRAIN, args);
};

/** grad → p, v, then the average gradient if `centered` and b if there is momentum */
const rmspropStep: Launcher = (rt, kernel, [grad], [p, v, ...others], attrs) => {
  const a = attrs as Numbers;
  const mean = a.centered ? others.shift() : undefined;
  const args = addresses(rt, grad, [p, v, mean, others[0]]);
  args.push(a.sign, a.decay, a.lr, a.alpha, a.oneMinusAlpha, a.eps, a.momentum);
  args.push(...tiny(a.eps, a.oneMinusAlpha));
  rt.parallel(`${kernel.wasm}_f32`, p.size, GRAIN, args);
};

/** grad → p, s */
const adagradStep: Launcher = (rt, kernel, [grad], [p, s], attrs) => {
  const a = attrs as Numbers;
  const args = addresses(rt, grad, [p, s]);
  args.push(a.sign, a.decay, a.lr, a.eps);
  rt.parallel(`${kernel.wasm}_f32`, p.size, GRAIN, args);
};

/** grad → p, m */
const lionStep: Launcher = (rt, kernel, [grad], [p, m], attrs) => {
  const a = attrs as Numbers;
  const args = addresses(rt, grad, [p, m]);
  args.push(a.sign, a.shrink, a.lr, a.beta1, a.oneMinusBeta1, a.beta2, a.oneMinusBeta2);
  rt.parallel(`${kernel.wasm}_f32`, p.size, GRAIN, args);
};

export const optimBaseLaunchers: Readonly<Record<string, Launcher>> = {
  sgdStep,
  adamStep,
  rmspropStep,
  adagradStep,
  lionStep,
};
