/** Launchers of pooling. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";

/** Elements a thread reads at a time: 10 µs of work or more. */
const WORK = 16384;

type Pair = readonly [number, number];
const one: Pair = [1, 1];

function isTwoByTwo(x: View, y: View, attrs: Attrs): boolean {
  const { kernelSize, stride, padding, dilation = one } = attrs as Record<string, Pair>;
  const is = (pair: Pair, n: number) => pair[0] === n && pair[1] === n;
  return (
    is(kernelSize, 2) &&
    is(stride, 2) &&
    is(padding, 0) &&
    is(dilation, 1) &&
    2 * y.shape[2] <= x.shape[2] &&
    2 * y.shape[3] <= x.shape[3]
  );
}

/** h, w, oh, ow and the windows. */
function geometry(x: View, y: View, attrs: Attrs): number[] {
  const { kernelSize, stride, padding } = attrs as Record<string, Pair>;
  const [, , h, w] = x.shape;
  const [, , oh, ow] = y.shape;
  return [h, w, oh, ow, ...kernelSize, ...stride, ...padding];
}

/** Planes per chunk. */
const grainOf = (x: View): number => Math.ceil(WORK / Math.max(1, x.shape[2] * x.shape[3]));
const planesOf = (x: View): number => x.shape[0] * x.shape[1];

export const maxPool2d: Launcher = (rt, _kernel, [x], [y, index], attrs) => {
  if (y.size === 0) return;
  const args = [rt.dense(x), rt.pointer(y), rt.pointer(index)];
  const relu = Number(attrs.activation === "relu");
  if (isTwoByTwo(x, y, attrs)) {
    args.push(x.shape[2], x.shape[3], y.shape[2], y.shape[3], relu);
    rt.parallel("max_pool_2x2_f32", planesOf(x), grainOf(x), args);
  } else {
    args.push(...geometry(x, y, attrs), ...(attrs.dilation as Pair), relu);
    rt.parallel("max_pool_f32", planesOf(x), grainOf(x), args);
  }
};

export const maxPool2dGrad: Launcher = (rt, _kernel, [dy, index], [dx], attrs) => {
  if (dx.size === 0) return;
  const args = [rt.dense(dy), rt.dense(index), rt.pointer(dx)];
  const [, , h, w] = dx.shape;
  const [, , oh, ow] = dy.shape;
  if (isTwoByTwo(dx, dy, attrs)) {
    args.push(h, w, oh, ow);
    rt.parallel("max_pool_grad_2x2_f32", planesOf(dx), grainOf(dx), args);
  } else {
    args.push(h * w, oh * ow);
    rt.parallel("max_pool_grad_f32", planesOf(dx), grainOf(dx), args);
  }
};

export const avgPool2d: Launcher = (rt, _kernel, [x], [y], attrs) => {
  if (y.size === 0) return;
  const args = [rt.dense(x), rt.pointer(y)];
  if (isTwoByTwo(x, y, attrs)) {
    args.push(x.shape[2], x.shape[3], y.shape[2], y.shape[3]);
    rt.parallel("avg_pool_2x2_f32", planesOf(x), grainOf(x), args);
  } else {
    args.push(...geometry(x, y, attrs), attrs.countIncludePad === false ? 0 : 1);
    rt.parallel("avg_pool_f32", planesOf(x), grainOf(x), args);
  }
};

export const avgPool2dGrad: Launcher = (rt, _kernel, [dy], [dx], attrs) => {
  if (dx.size === 0) return;
  const args = [rt.dense(dy), rt.pointer(dx), ...geometry(dx, dy, attrs)];
  args.push(attrs.countIncludePad === false ? 0 : 1);
  rt.parallel("avg_pool_grad_f32", planesOf(dx), grainOf(dx), args);
};
