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

/** The filters in the frequency domain: panels of `rows`, k deep. */
function packFilters(
  rt: Runtime,
  name: string,
  plan: number,
  weight: View,
  groups: number,
  frequencies: number,
  rows: number,
  k: number,
): number {
  const [all, channels] = weight.shape;
  const tile = rt.call("gemm_rows");
  const packed = rt.scratch(groups * frequencies * Math.ceil(rows / tile) * tile * k * 4);
  const grain = Math.ceil(FILTER_JOB / (channels * frequencies));
  rt.parallel(name, all, grain, [plan, rt.dense(weight), packed]);
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
  const groups = attrs.groups as number;
  const [rows, k] = [weight.shape[0] / groups, weight.shape[1]];
  const name = "conv2d_winograd_filters_f32";
  const filters = packFilters(rt, name, plan, weight, groups, 36, rows, k);
  const args = [plan, rt.dense(x), filters, bias ? rt.dense(bias) : 0, rt.pointer(y)];
  rt.parallel("conv2d_winograd_f32", rt.call("conv2d_winograd_jobs", plan), 1, args);
  return true;
}

/** dx; false where blocks of it do not fit. */
export function winogradGradInput(
  rt: Runtime,
  plan: number,
  [dy, weight]: readonly View[],
  dx: View,
  attrs: Attrs,
): boolean {
  if (!rt.call("conv2d_winograd_fits", plan)) return false;
  const groups = attrs.groups as number;
  const [rows, k] = [weight.shape[1], weight.shape[0] / groups];
  const name = "conv2d_winograd_grad_input_filters_f32";
  const filters = packFilters(rt, name, plan, weight, groups, 25, rows, k);
  const args = [plan, rt.dense(dy), filters, rt.pointer(dx)];
  const jobs = rt.call("conv2d_winograd_grad_input_jobs", plan);
  rt.parallel("conv2d_winograd_grad_input_f32", jobs, 1, args);
  return true;
}

/** dw. `operands`: plan, addresses of x and dy. */
export function winogradGradWeight(rt: Runtime, operands: readonly number[], dw: View): void {
  const [plan] = operands;
  const jobs = rt.call("conv2d_winograd_grad_weight_jobs", plan);
  const sums = rt.scratch(jobs * rt.call("conv2d_winograd_grad_weight_bytes", plan));
  rt.parallel("conv2d_winograd_grad_weight_f32", jobs, 1, [...operands, sums]);
  const [all, channels] = dw.shape;
  const grain = Math.ceil(FILTER_JOB / (channels * 36));
  const sumArgs = [plan, sums, rt.pointer(dw)];
  rt.parallel("conv2d_winograd_grad_weight_sum_f32", all, grain, sumArgs);
}
