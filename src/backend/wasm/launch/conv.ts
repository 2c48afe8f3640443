/** Launchers of the convolution and its two gradients. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { grainOf } from "./cut.ts";
import { activate, epilogueOf, RELU } from "./epilogue.ts";
import { fillWith } from "./movement.ts";
import { isWinograd, winogradForward, winogradGradInput, winogradGradWeight } from "./winograd.ts";

/** Elements of weights that a thread packs or adds at a time. */
const WEIGHTS_JOB = 1 << 14;
/** Groups of at most so many filters are summed directly: tiles would be nearly empty. */
const DIRECT_FILTERS = 2;
/** Groups of at most so many channels read their pixels where they are: packing them would not pay. */
const THIN_CHANNELS = 8;
/** Elements of dy that a thread takes at a time. */
const ELEMENTS_JOB = 1 << 14;
/** Bytes of what conv2d_plan writes. */
const PLAN_BYTES = 64;

type Pair = readonly [number, number];

interface Plan {
  readonly pointer: number;
  readonly groups: number;
  /** Channels and filters of a group, and elements of a filter. */
  readonly channels: number;
  readonly filters: number;
  readonly taps: number;
  /** Multiply-adds of the whole convolution. */
  readonly work: number;
}

function makePlan(rt: Runtime, x: View, weight: View, y: View, attrs: Attrs): Plan {
  const [images, , height, width] = x.shape;
  const [all, channels, kernelHeight, kernelWidth] = weight.shape;
  const [, , outHeight, outWidth] = y.shape;
  const groups = attrs.groups as number;
  const filters = all / groups;
  const geometry = [attrs.stride, attrs.padding, attrs.dilation] as Pair[];
  const pointer = rt.scratch(PLAN_BYTES);
  const counts = [images, channels, filters, groups];
  const extents = [height, width, outHeight, outWidth, kernelHeight, kernelWidth];
  rt.call("conv2d_plan", pointer, ...counts, ...extents, ...geometry.flat());
  const taps = channels * kernelHeight * kernelWidth;
  return { pointer, groups, channels, filters, taps, work: y.size * taps };
}

/** Do the kernels that sum directly (assembly/conv-direct.ts) take it? */
function isDirect(rt: Runtime, plan: Plan): boolean {
  return plan.filters <= DIRECT_FILTERS && rt.call("conv2d_direct_fits", plan.pointer) !== 0;
}

/** Do the kernels for few channels (assembly/conv-thin.ts) take it? `fits` is the export that knows. */
function isThin(rt: Runtime, plan: Plan, fits: string): boolean {
  return plan.channels <= THIN_CHANNELS && rt.call(fits, plan.pointer) !== 0;
}

/** The filters in panels, as they are or transposed. */
function packWeight(rt: Runtime, plan: Plan, weight: View, transposed: boolean): number {
  const { groups, filters, taps } = plan;
  const [rows, k] = transposed ? [taps, filters] : [filters, taps];
  const tile = rt.call("gemm_rows");
  const packed = rt.scratch(groups * Math.ceil(rows / tile) * tile * k * 4);
  const grain = Math.ceil(WEIGHTS_JOB / Math.max(rows * k, 1));
  const args = [plan.pointer, rt.dense(weight), packed, Number(transposed)];
  rt.parallel("conv2d_pack_f32", groups, grain, args);
  return packed;
}

const conv2d: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  if (y.size === 0) return;
  const [x, weight] = inputs;
  const plan = makePlan(rt, x, weight, y, attrs);
  const epilogue = epilogueOf(attrs);
  const activated = epilogue === null ? "" : "_activated";
  if (isWinograd(weight, y, attrs) && winogradForward(rt, plan.pointer, inputs, y, attrs)) {
    if (epilogue !== null) activate(rt, y, epilogue);
    return;
  }
  let bias = inputs.length > 2 ? rt.dense(inputs[2]) : 0;
  if (isDirect(rt, plan)) {
    const planes = y.shape[0] * y.shape[1];
    const args = [plan.pointer, rt.dense(x), rt.dense(weight), bias, rt.pointer(y)];
    if (epilogue !== null) args.push(...epilogue);
    const grain = grainOf(planes, plan.work, rt.threads);
    rt.parallel(`conv2d_direct${activated}_f32`, planes, grain, args);
    return;
  }
  if (isThin(rt, plan, "conv2d_thin_fits")) {
    thinForward(rt, plan, [rt.dense(x), rt.dense(weight), bias], y, epilogue);
    return;
  }
  const packed = packWeight(rt, plan, weight, false);
  if (bias !== 0) {
    const all = weight.shape[0];
    const rows = rt.scratch(all * 32);
    rt.call("conv2d_bias_f32", bias, rows, 0, all);
    bias = rows;
  }
  const jobs = rt.call("conv2d_jobs", plan.pointer);
  const args = [plan.pointer, rt.dense(x), packed, bias, rt.pointer(y)];
  if (epilogue !== null) args.push(...epilogue);
  rt.parallel(`conv2d${activated}_f32`, jobs, grainOf(jobs, plan.work, rt.threads), args);
};

/** `operands`: addresses of x, weight and bias. */
function thinForward(
  rt: Runtime,
  plan: Plan,
  operands: readonly number[],
  y: View,
  epilogue: ReturnType<typeof epilogueOf>,
): void {
  const jobs = rt.call("conv2d_thin_jobs", plan.pointer);
  const relu = epilogue !== null && epilogue[0] === RELU;
  const args = [plan.pointer, ...operands, rt.pointer(y), relu ? 0 : -Infinity];
  rt.parallel("conv2d_thin_f32", jobs, grainOf(jobs, plan.work, rt.threads), args);
  if (epilogue !== null && !relu) activate(rt, y, epilogue);
}

const conv2dGradInput: Launcher = (rt, _kernel, [dy, weight], [dx], attrs) => {
  if (dx.size === 0) return;
  const plan = makePlan(rt, dx, weight, dy, attrs);
  const winograd = isWinograd(weight, dy, attrs);
  if (winograd && winogradGradInput(rt, plan.pointer, [dy, weight], dx, attrs)) return;
  if (isDirect(rt, plan)) {
    const planes = dx.shape[0] * dx.shape[1];
    const args = [plan.pointer, rt.dense(dy), rt.dense(weight), rt.pointer(dx)];
    const grain = grainOf(planes, plan.work, rt.threads);
    rt.parallel("conv2d_direct_grad_input_f32", planes, grain, args);
    return;
  }
  const packed = packWeight(rt, plan, weight, true);
  const jobs = rt.call("conv2d_grad_input_jobs", plan.pointer);
  const args = [plan.pointer, rt.dense(dy), packed, rt.pointer(dx)];
  rt.parallel("conv2d_grad_input_f32", jobs, grainOf(jobs, plan.work, rt.threads), args);
};

/** x, dy, y? → dweight, and dbias if it is asked for; with a y, the result after relu, dy counts where that is not ≤ 0. */
const conv2dGradWeight: Launcher = (rt, _kernel, [x, dy, y], [dw, dbias], attrs) => {
  const plan = makePlan(rt, x, dw, dy, attrs);
  const winograd = isWinograd(dw, dy, attrs);
  const direct = !winograd && isDirect(rt, plan);
  if (!winograd && !direct && isThin(rt, plan, "conv2d_thin_grad_weight_fits")) {
    thinGradWeight(rt, plan, [rt.dense(x), rt.dense(dy), y ? rt.dense(y) : 0], dw, dbias);
    return;
  }
  let given = rt.dense(dy);
  if (y) {
    const before = rt.scratch(dy.size * 4);
    rt.parallel("relu_grad_f32", dy.size, ELEMENTS_JOB, [rt.dense(y), given, before]);
    given = before;
  }
  if (dbias) gradBias(rt, given, dy, dbias);
  if (dw.size === 0) return;
  const operands = [plan.pointer, rt.dense(x), given];
  if (winograd) winogradGradWeight(rt, operands, dw);
  else if (direct) {
    const planes = dw.shape[0] * dw.shape[1];
    const grain = grainOf(planes, plan.work, rt.threads);
    rt.parallel("conv2d_direct_grad_weight_f32", planes, grain, [...operands, rt.pointer(dw)]);
  } else generalGradWeight(rt, plan, operands, dw);
};

/** dbias = dy at that address, of that shape, summed: over each plane, then over images. */
function gradBias(rt: Runtime, given: number, dy: View, dbias: View): void {
  const [images, filters, height, width] = dy.shape;
  const pixels = height * width;
  if (images * pixels === 0) {
    fillWith(rt, dbias, 0);
    return;
  }
  const planes = rt.scratch(images * filters * 4);
  const rowArgs = [given, planes, pixels, pixels, 1];
  const grain = Math.ceil(ELEMENTS_JOB / pixels);
  rt.parallel("sum_rows_f32", images * filters, grain, rowArgs);
  const columnArgs = [planes, rt.pointer(dbias), images, filters, images, 1];
  rt.parallel("sum_cols_f32", filters, Math.ceil(ELEMENTS_JOB / images / 16) * 16, columnArgs);
}

/** `operands`: addresses of x, dy and y or 0. */
function thinGradWeight(
  rt: Runtime,
  plan: Plan,
  operands: readonly number[],
  dw: View,
  dbias: View | undefined,
): void {
  const parts = rt.call("conv2d_thin_grad_weight_parts", plan.pointer);
  const jobs = parts * plan.groups;
  const [all] = dw.shape;
  const size = dw.size + all;
  const sums = rt.scratch(parts * size * 4);
  const args = [plan.pointer, ...operands, sums];
  rt.parallel("conv2d_thin_grad_weight_f32", jobs, grainOf(jobs, plan.work, rt.threads), args);
  addParts(rt, sums, parts, size, dw);
  if (dbias) addParts(rt, sums + dw.size * 4, parts, size, dbias);
}

/** `operands`: plan, x and dy. */
function generalGradWeight(rt: Runtime, plan: Plan, operands: readonly number[], dw: View): void {
  const parts = rt.call("conv2d_grad_weight_parts", plan.pointer);
  const jobs = rt.call("conv2d_grad_weight_jobs", plan.pointer);
  const sums = parts > 1 ? rt.scratch(parts * dw.size * 4) : rt.pointer(dw);
  const grain = grainOf(jobs, plan.work, rt.threads);
  rt.parallel("conv2d_grad_weight_f32", jobs, grain, [...operands, sums]);
  if (parts > 1) addParts(rt, sums, parts, dw.size, dw);
}

/** y = the sum of `parts` arrays, `size` elements apart. */
function addParts(rt: Runtime, from: number, parts: number, size: number, y: View): void {
  const args = [from, parts, size, rt.pointer(y)];
  rt.parallel("conv2d_grad_weight_sum_f32", y.size, WEIGHTS_JOB, args);
}

export const convLaunchers: Readonly<Record<string, Launcher>> = {
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
};
