/** Kinds `polyakSums` and `polyakStep`: the step size of AdamC Schedule-Free+, which is not read on the way. */
import type { Launcher } from "../runtime.ts";

/** Elements of a piece of `polyakSums`: the record's. */
const PIECE = 4096;

/** grad, z, x → Σ|grad| and Σ grad·(z − x) of each piece */
export const polyakSums: Launcher = (rt, _kernel, inputs, [sums]) => {
  const [g, z, x] = inputs.map((view) => rt.dense(view));
  rt.run({
    key: "polyakSums",
    reads: { g, z, x },
    writes: { sums },
    u32: { n: g.size },
    groups: sums.size / 2,
    code: () => `  var own_total = 0.0;
  var own_product = 0.0;
  for (var k = group * ${PIECE}u + lane; k < min((group + 1u) * ${PIECE}u, p.n); k += 64u) {
    let slope = g[p.g_at + k];
    own_total += abs(slope);
    own_product += slope * (z[p.z_at + k] - x[p.x_at + k]);
  }
  let total = group_sum(lane, own_total);
  let product = group_sum(lane, own_product);
  if (lane > 0u) { return; }
  sums[p.sums_at + 2u * group] = total;
  sums[p.sums_at + 2u * group + 1u] = product;`,
  });
};

const numbers = "beta keep gain bias corrected rate averaged weight power weightDecay bias1".split(
  " ",
);

/** sums, loss, first? → counters, coefficients: one workgroup, of which one lane goes on with the sums. */
export const polyakStep: Launcher = (rt, _kernel, inputs, [counters, coefficients], attrs) => {
  const [sums, loss] = inputs.map((view) => rt.dense(view));
  const others = inputs.length > 2;
  rt.run({
    key: "polyakStep",
    reads: { sums, loss, ...(others ? { first: inputs[2] } : {}) },
    writes: { counters, coefficients },
    u32: { pieces: sums.size / 2 },
    f32: Object.fromEntries(numbers.map((name) => [name, Number(attrs[name])])),
    groups: 1,
    code: () => `  var own_total = 0.0;
  var own_product = 0.0;
  for (var k = lane; k < p.pieces; k += 64u) {
    own_total += sums[p.sums_at + 2u * k];
    own_product += sums[p.sums_at + 2u * k + 1u];
  }
  let total = group_sum(lane, own_total);
  let product = group_sum(lane, own_product);
  if (lane > 0u) { return; }
  let term = p.beta * product;
  let average = p.keep * ${others ? "first[p.first_at]" : "counters[p.counters_at]"} + p.gain * total;
  let corrected = f_div(average, p.bias);
  let value = loss[p.loss_at] + term;
  var lr = 0.0;
  if (corrected != 0.0 || is_nan(corrected)) {
    var numerator = 0.0;
    if (!is_nan(value) && value > 0.0) { numerator = value; }
    lr = p.rate * f_div(numerator, corrected);
  }
  var most = lr;
  let known = counters[p.counters_at + 5u];
  if (!is_nan(known) && !is_nan(lr) && known > lr) { most = known; }
  var weight_sum = counters[p.counters_at + 4u];
  var c = 1.0;
  if (p.averaged != 0.0) {
    let weight = f_pow_scalar(most, p.power) * p.weight;
    weight_sum += weight;
    c = 0.0;
    if (weight_sum != 0.0 || is_nan(weight_sum)) { c = f_div(weight, weight_sum); }
  }
  var found = array(average, corrected, value, term, weight_sum, most, lr);
  if (p.corrected != 0.0) { found[0] = corrected; }
  for (var k = 0u; k < 7u; k++) { counters[p.counters_at + k] = found[k]; }
  var made = array(lr * lr * p.weightDecay, lr / p.bias1, 1.0 - c, c);
  for (var k = 0u; k < 4u; k++) { coefficients[p.coefficients_at + k] = made[k]; }`,
  });
};
