/**
 * Activations inside matrix products and convolutions: y = f(y) on what a call has just computed,
 * while it is in the cache. The functions are those of map-activation.ts and map-elementary.ts, so the bits
 * are those of the operation followed by its activation.
 */
import { COLUMNS, ROWS } from "./blocks";
import { conv2d_direct_f32, conv2d_f32 } from "./conv";
import { job_pixels, Plan } from "./conv-plan";
import { gemm_f32, gemm_nt_f32 } from "./gemm";
import { leaky_relu_f32, relu_f32, sigmoid_f32 } from "./map-activation";
import { tanh_f32 } from "./map-elementary";

const RELU: i32 = 1;
const LEAKY_RELU: i32 = 2;
const SIGMOID: i32 = 3;

/** y[i] = f(y[i]) for i in [begin, end): f is relu (1), leaky relu of that slope (2), sigmoid (3) or tanh (4). */
export function activate_f32(y: usize, f: i32, slope: f32, begin: i32, end: i32): void {
  if (f == RELU) relu_f32(y, y, begin, end);
  else if (f == LEAKY_RELU) leaky_relu_f32(y, y, slope, begin, end);
  else if (f == SIGMOID) sigmoid_f32(y, y, begin, end);
  else tanh_f32(y, y, begin, end);
}

/** Rows of `width` neighbours, `row` elements apart. */
function activate_rows(y: usize, f: i32, slope: f32, rows: i32, width: i32, row: i32): void {
  for (let i = 0; i < rows; i++) {
    activate_f32(y, f, slope, 0, width);
    y += (<usize>row) << 2;
  }
}

/** What units [begin, end) of c [m, n] cover: rows, or columns where `byColumns`. */
function activate_units(
  c: usize,
  f: i32,
  slope: f32,
  m: i32,
  n: i32,
  byColumns: i32,
  begin: i32,
  end: i32,
): void {
  if (!byColumns) activate_f32(c, f, slope, begin * n, min(m, end) * n);
  else activate_rows(c + ((<usize>begin) << 2), f, slope, m, min(n, end) - begin, n);
}

/** f(gemm_f32) */
export function gemm_activated_f32(
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  c: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  left: usize,
  right: usize,
  byColumns: i32,
  f: i32,
  slope: f32,
  begin: i32,
  end: i32,
): void {
  // prettier-ignore
  gemm_f32(a, aRow, aColumn, b, bRow, bColumn, c, bias, m, n, k, left, right, byColumns, begin, end);
  const unit = byColumns ? COLUMNS : ROWS;
  activate_units(c, f, slope, m, n, byColumns, begin * unit, end * unit);
}

/** f(gemm_nt_f32) */
export function gemm_nt_activated_f32(
  a: usize,
  lda: i32,
  b: usize,
  ldb: i32,
  c: usize,
  bias: usize,
  m: i32,
  n: i32,
  k: i32,
  byColumns: i32,
  f: i32,
  slope: f32,
  begin: i32,
  end: i32,
): void {
  gemm_nt_f32(a, lda, b, ldb, c, bias, m, n, k, byColumns, begin, end);
  activate_units(c, f, slope, m, n, byColumns, begin, end);
}

/** f(conv2d_f32), one job after another. */
export function conv2d_activated_f32(
  p: usize,
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  f: i32,
  slope: f32,
  begin: i32,
  end: i32,
): void {
  const plan = Plan.at(p);
  const pixels = plan.pixels;
  const perJob = job_pixels(pixels);
  const perPlane = (pixels + perJob - 1) / perJob;
  for (let job = begin; job < end; job++) {
    conv2d_f32(p, x, w, bias, y, job, job + 1);
    const image = job / perPlane; // image · groups + group
    const first = (job - image * perPlane) * perJob;
    const to = y + ((<usize>(image * plan.filters) * pixels + first) << 2);
    activate_rows(to, f, slope, plan.filters, min(perJob, pixels - first), pixels);
  }
}

/** f(conv2d_direct_f32) */
export function conv2d_direct_activated_f32(
  p: usize,
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  f: i32,
  slope: f32,
  begin: i32,
  end: i32,
): void {
  const pixels = Plan.at(p).pixels;
  for (let plane = begin; plane < end; plane++) {
    conv2d_direct_f32(p, x, w, bias, y, plane, plane + 1);
    activate_f32(y, f, slope, plane * pixels, (plane + 1) * pixels);
  }
}
