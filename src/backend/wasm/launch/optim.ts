/** Launchers of the fused optimizer steps; all views are dense and as long as the first. */
import type { View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { exportName } from "./layout.ts";

/** Elements a thread takes at a time: about 10 µs of work. */
const GRAIN = 16384;

const SMALLEST_NORMAL = 2 ** -126;

/** Of the outputs, and of the gradient after them. */
function pointers(rt: Runtime, outputs: readonly View[], grad: View): number[] {
  const list: number[] = [];
  for (let i = 0; i < outputs.length; i++) list.push(rt.pointer(outputs[i]));
  list.push(rt.dense(grad));
  return list;
}

export function lerpInPlace(rt: Runtime, p: View, z: View, weight: number): void {
  rt.parallel("lerp_f32", p.size, GRAIN, [rt.pointer(p), rt.dense(z), weight]);
}

export function copy(rt: Runtime, from: View, to: View): void {
  rt.parallel("copy_4", to.size, GRAIN, [rt.dense(from), rt.pointer(to)]);
}

/** z → p += weight·(z − p), and what p was where that is kept */
const lerp: Launcher = (rt, _kernel, [z], [p, ...kept], attrs) => {
  for (const to of kept) copy(rt, p, to);
  lerpInPlace(rt, p, z, attrs.weight as number);
};

/**
 * With x beside the gradient: a step that leaves y, then y = x + ckp1 (z − x). With x as last output: the step, then
 * x += ckp1 (z − x).
 */
const averaging =
  (step: Launcher): Launcher =>
  (rt, kernel, inputs, outputs, attrs) => {
    const ckp1 = attrs.ckp1 as number;
    if (attrs.keepsX) {
      step(rt, kernel, inputs, outputs.slice(0, -1), attrs);
      lerpInPlace(rt, outputs[outputs.length - 1], outputs[1], ckp1);
      return;
    }
    if (inputs.length === 1) {
      step(rt, kernel, inputs, outputs, attrs);
      return;
    }
    const [grad, x] = inputs;
    const [y, z] = outputs;
    step(rt, kernel, [grad], outputs, { ...attrs, ckp1: 0, yStep: 0 });
    copy(rt, x, y);
    lerpInPlace(rt, y, z, ckp1);
  };

/** grad → y, z; for x see `averaging` */
const sgdScheduleFreeStep: Launcher = (rt, kernel, [grad], outputs, attrs) => {
  const { decay, ckp1, yStep, lr } = attrs as Record<string, number>;
  const args = pointers(rt, outputs, grad);
  args.push(decay, ckp1, yStep, lr);
  rt.parallel(exportName(kernel, "float32"), outputs[0].size, GRAIN, args);
};

/** Second moments below this are dropped: denormal, and √v cannot be seen beside eps. */
function smallestV(eps: number): number {
  const root = eps * 2 ** -25;
  return Math.min(SMALLEST_NORMAL, root * root);
}

/** And so are gradients below this, which would make such second moments. */
function smallestG(v: number, oneMinusBeta2: number): number {
  return oneMinusBeta2 > 0 ? Math.sqrt(v / oneMinusBeta2) : 0;
}

function pushTiny(args: number[], { eps, oneMinusBeta2 }: Record<string, number>): void {
  const v = smallestV(eps);
  args.push(v, smallestG(v, oneMinusBeta2));
}

/** grad → y, z, v */
const radamScheduleFreeStep: Launcher = (rt, kernel, [grad], outputs, attrs) => {
  const a = attrs as Record<string, number>;
  const args = pointers(rt, outputs, grad);
  args.push(a.beta2, a.oneMinusBeta2, a.decay, a.ckp1, a.yStep, a.lr);
  pushTiny(args, a);
  rt.parallel(exportName(kernel, "float32"), outputs[0].size, GRAIN, args);
};

/** grad → y, z, v, and m where there is inner momentum */
const adamwScheduleFreeStep: Launcher = (rt, kernel, [grad], outputs, attrs) => {
  const a = attrs as Record<string, number>;
  const momentum = outputs.length > 3;
  const tinyV = smallestV(a.eps);
  // Written at once: an array that grows is noticed in the step of a small model.
  const args = [
    rt.pointer(outputs[0]),
    rt.pointer(outputs[1]),
    rt.pointer(outputs[2]),
    rt.dense(grad),
    a.beta2,
    a.oneMinusBeta2,
    a.invBias2,
    a.eps,
    a.decay,
    a.ckp1,
    a.yStep,
    a.lr,
    tinyV,
    smallestG(tinyV, a.oneMinusBeta2),
  ];
  if (momentum) {
    args.splice(4, 0, a.momentum, a.oneMinusMomentum, a.invBias1);
    args.splice(3, 0, rt.pointer(outputs[3]));
  }
  const name = exportName(kernel, "float32", momentum ? "_momentum" : "");
  rt.parallel(name, outputs[0].size, GRAIN, args);
};

/** grad → y, z, x, m, v */
const adamcScheduleFreeStep: Launcher = (rt, kernel, [grad], outputs, attrs) => {
  const a = attrs as Record<string, number>;
  const args = pointers(rt, outputs, grad);
  args.push(a.beta1, a.oneMinusBeta1, a.beta2, a.oneMinusBeta2, a.invBias2, a.eps, a.decay, a.step);
  args.push(a.keep, a.ckp1, a.beta, a.oneMinusBeta);
  pushTiny(args, a);
  rt.parallel(exportName(kernel, "float32"), outputs[0].size, GRAIN, args);
};

/** grad, z, x → two sums for each piece of 4096 elements */
const polyakSums: Launcher = (rt, kernel, inputs, [sums]) => {
  const args = [...inputs.map((view) => rt.dense(view)), rt.pointer(sums), inputs[0].size];
  rt.parallel(exportName(kernel, "float32"), sums.size / 2, GRAIN / 4096, args);
};

export const optimLaunchers: Readonly<Record<string, Launcher>> = {
  lerp,
  sgdScheduleFreeStep: averaging(sgdScheduleFreeStep),
  radamScheduleFreeStep: averaging(radamScheduleFreeStep),
  adamwScheduleFreeStep: averaging(adamwScheduleFreeStep),
  adamcScheduleFreeStep,
  polyakSums,
};
