/** Convolutions of 3 × 3 by Winograd's transforms: when, and how they are split (assembly/winograd.ts). */
import type { Attrs, View } from "../../backend.ts";
import type { Runtime } from "../runtime.ts";

/** Fewer products per tile do not pay for the transforms. */
const LEAST_CHANNELS = 16;
/** Fewer tiles do not pay for the filters' transform. */
const LEAST_TILES = 48;
/** Results computed for nothing at the borders, as a factor of all. */
const MOST_WASTE = 1.6;
/** Filters that a thread transforms at a time: of about so many elements. */
const FILTER_JOB = 1 << 12;

type Pair = readonly [number, number];

/** Is this a convolution that Winograd's form makes faster, at its larger (stated) error? */
export function isWinograd(weight: View, y: View, attrs: Attrs): boolean {
  const [all, channels, kernelHeight, kernelWidth] = weight.shape;
  const [images, , height, width] = y.shape;
  const [stride, dilation] = [attrs.stride as Pair, attrs.dilation as Pair];
  if (kernelHeight !== 3 || kernelWidth !== 3) return false;
  if (stride[0] !== 1 || stride[1] !== 1 || dilation[0] !== 1 || dilation[1] !== 1) return false;
  if (channels < LEAST_CHANNELS || all / (attrs.groups as number) < LEAST_CHANNELS) return false;
  const tiles = Math.ceil(height / 4) * Math.ceil(width / 4);
  return images * tiles >= LEAST_TILES && 16 * tiles <= MOST_WASTE * height * width;
}

function packFilters(rt: Runtime, plan: number, weight: View, attrs: Attrs, transposed: boolean) {
  const [all, channels] = weight.shape;
  const groups = attrs.groups as number;
  const filters = all / groups;
  const [rows, k] = transposed ? [channels, filters] : [filters, channels];
  const tile = rt.call("gemm_rows");
  const packed = rt.scratch(groups * 36 * Math.ceil(rows / tile) * tile * k * 4);
  const grain = Math.ceil(FILTER_JOB / (channels * 36));
  const args = [plan, rt.dense(weight), packed, Number(transposed)];
  rt.parallel("conv2d_winograd_filters_f32", all, grain, args);
  return packed;
}

/** y = w ⋆ x + bias. `plan` from conv2d_plan; false where blocks of it do not fit. */
export function winogradForward(
  rt: Runtime,
  plan: number,
  [x, weight, bias]: readonly View[],
  y: View,
  attrs: Attrs,
): boolean {
  if (!rt.call("conv2d_winograd_fits", plan)) return false;
  const filters = packFilters(rt, plan, weight, attrs, false);
  const args = [plan, rt.dense(x), filters, bias ? rt.dense(bias) : 0, rt.pointer(y)];
  rt.parallel("conv2d_winograd_f32", rt.call("conv2d_winograd_jobs", plan), 1, args);
  return true;
}

/** dx. Strict kernels take the form with the smaller error: see assembly/winograd-small.ts. */
export function winogradGradInput(
  rt: Runtime,
  plan: number,
  [dy, weight]: readonly View[],
  dx: View,
  attrs: Attrs,
): boolean {
  if (rt.call("conv2d_winograd_small")) return smallGradInput(rt, [dy, weight], dx, attrs);
  if (!rt.call("conv2d_winograd_fits", plan)) return false;
  const filters = packFilters(rt, plan, weight, attrs, true);
  const args = [plan, rt.dense(dy), filters, rt.pointer(dx)];
  const jobs = rt.call("conv2d_winograd_grad_input_jobs", plan);
  rt.parallel("conv2d_winograd_grad_input_f32", jobs, 1, args);
  return true;
}

/** dx as the convolution of dy with the filters turned round, by F(2 × 2, 3 × 3). */
function smallGradInput(
  rt: Runtime,
  [dy, weight]: readonly View[],
  dx: View,
  attrs: Attrs,
): boolean {
  const padding = (attrs.padding as Pair).map((before) => 2 - before);
  if (padding[0] < 0 || padding[1] < 0) return false;
  const groups = attrs.groups as number;
  const [images, all, height, width] = dy.shape;
  const filters = weight.shape[1];
  const channels = all / groups;
  const plan = rt.scratch(64);
  const extents = [height, width, dx.shape[2], dx.shape[3], 3, 3];
  rt.call(
    "conv2d_plan",
    plan,
    images,
    channels,
    filters,
    groups,
    ...extents,
    1,
    1,
    ...padding,
    1,
    1,
  );
  if (!rt.call("conv2d_winograd2_fits", plan)) return false;
  const tile = rt.call("gemm_rows");
  const packed = rt.scratch(groups * 16 * Math.ceil(filters / tile) * tile * channels * 4);
  const grain = Math.ceil(FILTER_JOB / (filters * 16));
  rt.parallel("conv2d_winograd2_filters_f32", all, grain, [plan, rt.dense(weight), packed]);
  const args = [plan, rt.dense(dy), packed, rt.pointer(dx)];
  rt.parallel("conv2d_winograd2_f32", rt.call("conv2d_winograd2_jobs", plan), 1, args);
  return true;
}

export function winogradGradWeight(
  rt: Runtime,
  plan: number,
  [x, dy]: readonly View[],
  dw: View,
): void {
  const jobs = rt.call("conv2d_winograd_grad_weight_jobs", plan);
  const sums = rt.scratch(jobs * rt.call("conv2d_winograd_grad_weight_bytes", plan));
  const args = [plan, rt.dense(x), rt.dense(dy), sums];
  rt.parallel("conv2d_winograd_grad_weight_f32", jobs, 1, args);
  const [all, channels] = dw.shape;
  const grain = Math.ceil(FILTER_JOB / (channels * 36));
  const sumArgs = [plan, sums, rt.pointer(dw)];
  rt.parallel("conv2d_winograd_grad_weight_sum_f32", all, grain, sumArgs);
}
