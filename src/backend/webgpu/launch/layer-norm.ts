/** Kinds `layerNorm` and `layerNormGrad`: a workgroup for each row, statistics in two passes. */
import type { View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** The mean (0 without centring) and 1 / √(variance + eps) of a row of `x`, which begins at `at`. */
const moments = (x: string): string => `  let at = p.${x}_at + group * p.n;
  var mean = 0.0;
  if (p.centre != 0u) {
    var own = 0.0;
    for (var k = lane; k < p.n; k += 64u) { own += ${x}[at + k]; }
    mean = group_sum(lane, own) / f32(p.n);
  }
  var squares = 0.0;
  for (var k = lane; k < p.n; k += 64u) {
    let apart = ${x}[at + k] - mean;
    squares += apart * apart;
  }
  let scale = f_div(1.0, f_sqrt(group_sum(lane, squares) / f32(p.n) + p.eps));`;

/** x, weight?, bias? → y; with `added` x, residual, weight?, bias? → y, sum */
export const layerNorm: Launcher = (rt, _kernel, inputs, [y, sum], attrs) => {
  const n = attrs.n as number;
  if (y.size === 0) return;
  const [x, ...others] = inputs.map((view) => rt.dense(view));
  const residual = attrs.added === true ? others.shift() : undefined;
  const [weight, bias] = others as (View | undefined)[];
  const from = residual === undefined ? "x" : "sum";
  rt.run({
    key: "layerNorm",
    reads: { x, ...given({ residual, weight, bias }) },
    writes: residual === undefined ? { y } : { y, sum },
    u32: { n, centre: Number(attrs.centre) },
    f32: { eps: attrs.eps as number },
    groups: y.size / n,
    // A lane reads of the sum what it wrote itself.
    code: () => `${residual === undefined ? "" : addRow}${moments(from)}
  for (var k = lane; k < p.n; k += 64u) {
    var value = (${from}[at + k] - mean) * scale;
    ${weight === undefined ? "" : "value *= weight[p.weight_at + k];"}
    ${bias === undefined ? "" : "value += bias[p.bias_at + k];"}
    y[p.y_at + group * p.n + k] = value;
  }`,
  });
};

const addRow = `  for (var k = group * p.n + lane; k < (group + 1u) * p.n; k += 64u) {
    sum[p.sum_at + k] = x[p.x_at + k] + residual[p.residual_at + k];
  }
`;

/** Without what is not there. */
function given(views: Readonly<Record<string, View | undefined>>): Record<string, View> {
  const entries = Object.entries(views).filter((entry) => entry[1] !== undefined);
  return Object.fromEntries(entries as [string, View][]);
}

/** x, dy, weight? → dx, and with a weight dweight, dbias [n]; with `added` x, dy, plus, weight? */
export const layerNormGrad: Launcher = (rt, _kernel, inputs, outputs, attrs) => {
  const [x, dy, ...others] = inputs.map((view) => rt.dense(view));
  const plus = attrs.added === true ? others.shift() : undefined;
  const weight = others[0] as View | undefined;
  const [dx, dweight, dbias] = outputs;
  const n = attrs.n as number;
  const rows = n === 0 ? 0 : dx.size / n;
  if (rows === 0) {
    for (const sum of outputs.slice(1)) fillWith(rt, sum, 0);
    return;
  }
  const statistics = rt.scratch(2 * rows, "float32");
  const affine = weight !== undefined;
  rt.run({
    key: "layerNormGrad",
    reads: { x, dy, ...given({ plus, weight }) },
    writes: { dx, statistics },
    u32: { n, centre: Number(attrs.centre) },
    f32: { eps: attrs.eps as number },
    groups: rows,
    code: () => {
      const g = `dy[p.dy_at + group * p.n + k]${affine ? " * weight[p.weight_at + k]" : ""}`;
      const rest = plus === undefined ? "" : " + plus[p.plus_at + group * p.n + k]";
      return `${moments("x")}
  var own_shift = 0.0;
  var own_slope = 0.0;
  for (var k = lane; k < p.n; k += 64u) {
    let g = ${g};
    own_shift += g;
    own_slope += g * ((x[at + k] - mean) * scale);
  }
  let slope = group_sum(lane, own_slope) / f32(p.n);
  let shift = select(0.0, group_sum(lane, own_shift) / f32(p.n), p.centre != 0u);
  for (var k = lane; k < p.n; k += 64u) {
    let normal = (x[at + k] - mean) * scale;
    dx[p.dx_at + group * p.n + k] = scale * (${g} - shift - normal * slope)${rest};
  }
  if (lane == 0u) {
    statistics[2u * group] = mean;
    statistics[2u * group + 1u] = scale;
  }`;
    },
  });
  if (!affine) return;
  rt.run({
    key: "layerNormGrad sums",
    reads: { x, dy, statistics },
    writes: { dweight, dbias },
    u32: { n, rows },
    groups: n,
    code: () => `  var own_weight = 0.0;
  var own_bias = 0.0;
  for (var row = lane; row < p.rows; row += 64u) {
    let d = dy[p.dy_at + row * p.n + group];
    let normal = (x[p.x_at + row * p.n + group] - statistics[2u * row]) * statistics[2u * row + 1u];
    own_weight += d * normal;
    own_bias += d;
  }
  let weight_sum = group_sum(lane, own_weight);
  let bias_sum = group_sum(lane, own_bias);
  if (lane > 0u) { return; }
  dweight[p.dweight_at + group] = weight_sum;
  dbias[p.dbias_at + group] = bias_sum;`,
  });
};
