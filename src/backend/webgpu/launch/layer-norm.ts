/** Kinds `layerNorm` and `layerNormGrad`: a workgroup for each row, statistics in two passes. */
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** The row's mean (0 without centring) and 1 / √(variance + eps). */
const moments = `  let at = p.x_at + group * p.n;
  var mean = 0.0;
  if (p.centre != 0u) {
    var own = 0.0;
    for (var k = lane; k < p.n; k += 64u) { own += x[at + k]; }
    mean = group_sum(lane, own) / f32(p.n);
  }
  var squares = 0.0;
  for (var k = lane; k < p.n; k += 64u) {
    let apart = x[at + k] - mean;
    squares += apart * apart;
  }
  let scale = f_div(1.0, f_sqrt(group_sum(lane, squares) / f32(p.n) + p.eps));`;

/** x, weight?, bias? → y */
export const layerNorm: Launcher = (rt, _kernel, [x, weight, bias], [y], attrs) => {
  const n = attrs.n as number;
  if (y.size === 0) return;
  const reads = {
    x: rt.dense(x),
    ...(weight === undefined ? {} : { weight: rt.dense(weight) }),
    ...(bias === undefined ? {} : { bias: rt.dense(bias) }),
  };
  rt.run({
    key: "layerNorm",
    reads,
    writes: { y },
    u32: { n, centre: Number(attrs.centre) },
    f32: { eps: attrs.eps as number },
    groups: y.size / n,
    code: () => `${moments}
  for (var k = lane; k < p.n; k += 64u) {
    var value = (x[at + k] - mean) * scale;
    ${weight === undefined ? "" : "value *= weight[p.weight_at + k];"}
    ${bias === undefined ? "" : "value += bias[p.bias_at + k];"}
    y[p.y_at + group * p.n + k] = value;
  }`,
  });
};

/** x, dy, weight? → dx, and with a weight dweight, dbias [n] */
export const layerNormGrad: Launcher = (rt, _kernel, inputs, outputs, attrs) => {
  const [x, dy, weight] = inputs.map((view) => rt.dense(view));
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
    reads: affine ? { x, dy, weight } : { x, dy },
    writes: { dx, statistics },
    u32: { n, centre: Number(attrs.centre) },
    f32: { eps: attrs.eps as number },
    groups: rows,
    code: () => {
      const g = `dy[p.dy_at + group * p.n + k]${affine ? " * weight[p.weight_at + k]" : ""}`;
      return `${moments}
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
    dx[p.dx_at + group * p.n + k] = scale * (${g} - shift - normal * slope);
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
