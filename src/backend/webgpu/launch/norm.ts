/** Kind `norm`: what optimizers measure of dense blocks. */
import type { View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";

/** Elements that one workgroup measures. */
const BLOCK = 8192;

/**
 * Elements relative to the largest, so that no power overflows: `unit` is the power of two that brings it near
 * 1, because quotients of very large and very small numbers are coarse.
 */
const relative = `fn unit_of(largest: f32) -> f32 {
  return bitcast<f32>(clamp(254u - (bitcast<u32>(largest) >> 23u), 1u, 253u) << 23u);
}
fn measurable(largest: f32) -> bool { return largest > 0.0 && !is_nan(largest) && !is_inf(largest); }`;

interface Power {
  readonly key: string;
  /** |x|^p of an expression in [0, 1], and the p-th root of one that is at least 1. */
  readonly raise: (x: string) => string;
  readonly root: (x: string) => string;
}

function powerOf(p: number): Power {
  if (p === 1) return { key: "1", raise: (x) => x, root: (x) => x };
  if (p === 2) return { key: "2", raise: (x) => `square(${x})`, root: (x) => `f_sqrt(${x})` };
  return {
    key: "p",
    raise: (x) => `f_pow(${x}, p.power)`,
    root: (x) => `f_pow(${x}, 1.0 / p.power)`,
  };
}

/** x, or x and z → ‖x‖_p or ‖x − z‖₂, one number. A block's elements are read twice, the second time from a cache. */
export const norm: Launcher = (rt, _kernel, [x, z], [y], attrs) => {
  const p = attrs.p as number;
  const arrays: Record<string, View> = z === undefined ? { x } : { x, z };
  const reads = Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [name, rt.dense(view)]),
  );
  const power = p === Infinity ? null : powerOf(p);
  const n = x.size;
  const blocks = Math.ceil(n / BLOCK);
  const parts = rt.scratch(2 * blocks, "float32");
  const numbers = { f32: { power: p } };
  const outside = `${relative}\nfn square(x: f32) -> f32 { return x * x; }`;
  const value = `abs(x[p.x_at + k]${z === undefined ? "" : " - z[p.z_at + k]"})`;
  rt.run({
    key: `norm ${power?.key ?? "largest"}`,
    reads,
    writes: { parts },
    u32: { n },
    ...numbers,
    groups: blocks,
    code: () => ({
      outside,
      body: `  let begin = group * ${BLOCK}u + lane;
  let end = min((group + 1u) * ${BLOCK}u, p.n);
  var own_largest = 0.0;
  for (var k = begin; k < end; k += 64u) { own_largest = f_max(own_largest, ${value}); }
  let largest = group_max(lane, own_largest);
  var own = 0.0;
${
  power === null
    ? ""
    : `  if (measurable(largest)) {
    let unit = unit_of(largest);
    let top = largest * unit;
    for (var k = begin; k < end; k += 64u) { own += ${power.raise(`${value} * unit / top`)}; }
  }`
}
  let sum = group_sum(lane, own);
  if (lane > 0u) { return; }
  parts[2u * group] = largest;
  parts[2u * group + 1u] = sum;`,
    }),
  });
  rt.run({
    key: `norm of parts ${power?.key ?? "largest"}`,
    reads: { parts },
    writes: { y },
    u32: { blocks },
    ...numbers,
    groups: 1,
    code: () => ({
      outside,
      body: `  var own_largest = 0.0;
  for (var k = lane; k < p.blocks; k += 64u) { own_largest = f_max(own_largest, parts[2u * k]); }
  let largest = group_max(lane, own_largest);
  let unit = unit_of(largest);
  let top = largest * unit;
  var own = 0.0;
${
  power === null
    ? ""
    : `  if (measurable(largest)) {
    for (var k = lane; k < p.blocks; k += 64u) {
      own += ${power.raise("parts[2u * k] * unit / top")} * parts[2u * k + 1u];
    }
  }`
}
  let sum = group_sum(lane, own);
  if (lane > 0u) { return; }
  var found = largest;
${power === null ? "" : `  if (measurable(largest)) { found = top * ${power.root("sum")} / unit; }`}
  y[p.y_at] = found;`,
    }),
  });
};
