/** Kinds `batchMoments`, `batchNorm` and `batchNormGrad`: x is [outer, channels, inner]. */
import { around } from "../../layout.ts";
import type { Launcher } from "../runtime.ts";
import { fillWith } from "./movement.ts";

/** Statements at every element of the group's channel; `at` is its place after the view's begin. */
const channel = (statements: string): string => `  for (var k = lane; k < p.n; k += 64u) {
    let at = ((k / p.inner) * p.channels + group) * p.inner + k % p.inner;
    ${statements}
  }`;

/** x → mean, variance; in two passes, a workgroup for each channel */
const batchMoments: Launcher = (rt, _kernel, [x], [mean, variance]) => {
  const { outer, n: channels, inner } = around(x, 1);
  if (x.size === 0) {
    for (const moment of [mean, variance]) fillWith(rt, moment, NaN);
    return;
  }
  rt.run({
    key: "batchMoments",
    reads: { x: rt.dense(x) },
    writes: { mean, variance },
    u32: { channels, inner, n: outer * inner },
    groups: channels,
    code: () => `  var own = 0.0;
${channel("own += x[p.x_at + at];")}
  let centre = group_sum(lane, own) / f32(p.n);
  var squares = 0.0;
${channel("let apart = x[p.x_at + at] - centre; squares += apart * apart;")}
  let spread = group_sum(lane, squares) / f32(p.n);
  if (lane > 0u) { return; }
  mean[p.mean_at + group] = centre;
  variance[p.variance_at + group] = spread;`,
  });
};

/** x, mean, variance, weight?, bias? → y */
const batchNorm: Launcher = (rt, _kernel, inputs, [y], attrs) => {
  const [x, mean, variance, weight, bias] = inputs.map((view) => rt.dense(view));
  const { n: channels, inner } = around(x, 1);
  rt.run({
    key: "batchNorm",
    reads: {
      x,
      mean,
      variance,
      ...(weight === undefined ? {} : { weight }),
      ...(bias === undefined ? {} : { bias }),
    },
    writes: { y },
    u32: { channels, inner },
    f32: { eps: attrs.eps as number },
    items: y.size,
    code: () => `  let c = (i / p.inner) % p.channels;
  let root = f_sqrt(variance[p.variance_at + c] + p.eps);
  var value = f_div(x[p.x_at + i] - mean[p.mean_at + c], root);
  ${weight === undefined ? "" : "value *= weight[p.weight_at + c];"}
  ${bias === undefined ? "" : "value += bias[p.bias_at + c];"}
  y[p.y_at + i] = value;`,
  });
};

/** x, dy, mean, variance, weight? → dx, dweight, dbias; a workgroup for each channel */
const batchNormGrad: Launcher = (rt, _kernel, inputs, [dx, dweight, dbias], attrs) => {
  const [x, dy, mean, variance, weight] = inputs.map((view) => rt.dense(view));
  const { outer, n: channels, inner } = around(x, 1);
  if (x.size === 0) {
    for (const sum of [dweight, dbias]) fillWith(rt, sum, 0);
    return;
  }
  const reads = { x, dy, mean, variance, ...(weight === undefined ? {} : { weight }) };
  rt.run({
    key: "batchNormGrad",
    reads,
    writes: { dx, dweight, dbias },
    u32: { channels, inner, n: outer * inner, fixed: Number(attrs.fixed) },
    f32: { eps: attrs.eps as number },
    groups: channels,
    code: () => `  let centre = mean[p.mean_at + group];
  let inverse = f_div(1.0, f_sqrt(variance[p.variance_at + group] + p.eps));
  var own_weight = 0.0;
  var own_bias = 0.0;
${channel(`let d = dy[p.dy_at + at];
    own_weight += d * ((x[p.x_at + at] - centre) * inverse);
    own_bias += d;`)}
  let weight_sum = group_sum(lane, own_weight);
  let bias_sum = group_sum(lane, own_bias);
  let scale = inverse${weight === undefined ? "" : " * weight[p.weight_at + group]"};
${channel(`let normal = (x[p.x_at + at] - centre) * inverse;
    var through = 0.0;
    if (p.fixed == 0u) { through = (bias_sum + normal * weight_sum) / f32(p.n); }
    dx[p.dx_at + at] = (dy[p.dy_at + at] - through) * scale;`)}
  if (lane > 0u) { return; }
  dweight[p.dweight_at + group] = weight_sum;
  dbias[p.dbias_at + group] = bias_sum;`,
  });
};

export const batchNormLaunchers: Readonly<Record<string, Launcher>> = {
  batchMoments,
  batchNorm,
  batchNormGrad,
};
