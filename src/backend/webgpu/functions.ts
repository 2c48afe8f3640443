/**
 * WGSL functions that kernels may name; a module holds those that it names, and those that they name.
 *
 * WGSL lets a compiler assume that there are no NaN and no infinities, so they are recognised and made by
 * their bits. The mathematics is that of assembly/math-f32.ts, because the built-in functions are too coarse
 * (`sin` may be off by 2^-11) or undefined (`tanh` of large numbers). Denormal numbers may count as 0.
 */
import { trigonometry } from "./trigonometry.ts";

const sources: Readonly<Record<string, string>> = {
  is_nan: "fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }",
  is_inf: "fn is_inf(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }",
  // Constant expressions may not be NaN or infinite; variables may.
  nan: `var<private> nan_bits: u32 = 0x7fc00000u;
fn nan() -> f32 { return bitcast<f32>(nan_bits); }`,
  infinity: `var<private> infinity_bits: u32 = 0x7f800000u;
fn infinity() -> f32 { return bitcast<f32>(infinity_bits); }`,
  with_sign: `fn with_sign(x: f32, sign: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(sign) & 0x80000000u));
}`,

  f_max: `fn f_max(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return select(b, a, a > b);
}`,
  f_min: `fn f_min(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return select(b, a, a < b);
}`,
  ordered: "fn ordered(a: f32, b: f32) -> bool { return !is_nan(a) && !is_nan(b); }",
  f_sign: `fn f_sign(x: f32) -> f32 {
  if (is_nan(x)) { return 0.0; }
  return sign(x);
}`,
  f_sqrt: `fn f_sqrt(x: f32) -> f32 {
  if (is_nan(x) || x < 0.0) { return nan(); }
  if (x == 0.0 || is_inf(x)) { return x; }
  let y = sqrt(x);
  return fma(fma(-y, y, x), 0.5 / y, y);
}`,
  f_div: `fn f_div(a: f32, b: f32) -> f32 {
  if (is_nan(a) || is_nan(b)) { return nan(); }
  if (b == 0.0) {
    if (a == 0.0) { return nan(); }
    return with_sign(infinity(), with_sign(1.0, a) * with_sign(1.0, b));
  }
  if (is_inf(b)) {
    if (is_inf(a)) { return nan(); }
    return with_sign(0.0, with_sign(1.0, a) * with_sign(1.0, b));
  }
  if (is_inf(a)) { return with_sign(a, with_sign(1.0, a) * with_sign(1.0, b)); }
  return a / b;
}`,
  // Long division of the significands, eight bits at a time: exact, whatever the quotient.
  f_mod: `fn f_mod(a: f32, b: f32) -> f32 {
  let x = bitcast<u32>(a) & 0x7fffffffu;
  let y = bitcast<u32>(b) & 0x7fffffffu;
  if (is_nan(a) || is_nan(b) || is_inf(a) || y == 0u) { return nan(); }
  if (x < y) { return a; }
  let exponent = max(y >> 23u, 1u);
  let divisor = select(0u, 0x800000u, y >= 0x800000u) | (y & 0x7fffffu);
  var rest = (select(0u, 0x800000u, x >= 0x800000u) | (x & 0x7fffffu)) % divisor;
  for (var left = max(x >> 23u, 1u) - exponent; left > 0u; left -= min(left, 8u)) {
    rest = (rest << min(left, 8u)) % divisor;
  }
  let shift = min(countLeadingZeros(rest) - 8u, exponent - 1u);
  let lifted = rest << shift;
  let normal = lifted >= 0x800000u;
  let bits = select(lifted, (lifted & 0x7fffffu) | ((exponent - shift) << 23u), normal);
  return with_sign(bitcast<f32>(bits), a);
}`,
  f_remainder: `fn f_remainder(a: f32, b: f32) -> f32 {
  let rest = f_mod(a, b);
  if (rest != 0.0 && (rest < 0.0) != (b < 0.0)) { return rest + b; }
  return rest;
}`,
  i_remainder: `fn i_remainder(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  let rest = a % b;
  return select(rest, rest + b, rest != 0 && (rest < 0) != (b < 0));
}`,
  i_mod: `fn i_mod(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  return a % b;
}`,

  expm1_reduced: `fn expm1_reduced(r: f32) -> f32 {
  var q = fma(0.0013814581, r, 0.008368725);
  q = fma(q, r, 0.04166839);
  q = fma(q, r, 0.16666521);
  q = fma(q, r, 0.49999994);
  return fma(q * r, r, r);
}`,
  // The twelve leading bits. Of a small whole number these are all, which no compiler knows: where two exact products
  // with the same n follow each other, Mesa's takes n out, and only the rounded sum of the constants is left.
  leading: "fn leading(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }",
  // x - n log 2
  less_log2: `fn less_log2(x: f32, n: f32) -> f32 {
  return fma(leading(n), 0.00021219444, fma(n, -0.6933594, x));
}`,
  // 2^n e^r, for normal results.
  exp_of: `fn exp_of(n: f32, r: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(1.0 + expm1_reduced(r)) + (bitcast<u32>(i32(n)) << 23u));
}`,
  f_exp: `fn f_exp(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 88.72283) { return infinity(); }
  if (x < -87.3365) { return 0.0; }
  let n = round(x * 1.442695);
  return exp_of(n, less_log2(x, n));
}`,
  f_expm1: `fn f_expm1(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 88.72283) { return infinity(); }
  let bounded = max(x, -18.0);
  let n = round(bounded * 1.442695);
  let r = less_log2(bounded, n);
  let scale = bitcast<f32>(0x3f000000u + (bitcast<u32>(i32(n)) << 23u));
  return 2.0 * fma(scale, expm1_reduced(r), scale - 0.5);
}`,
  // Finite x > 0 as 2^e (1 + f), 1 + f between sqrt(1/2) and sqrt(2).
  log_parts: `struct LogParts { e: f32, f: f32 }
fn log_parts(x: f32) -> LogParts {
  let small = x < 1.17549435e-38;
  let bits = bitcast<i32>(select(x, x * 8388608.0, small));
  let k = (bits - 0x3f3504f3) >> 23u;
  let f = bitcast<f32>(bits - (k << 23u)) - 1.0;
  return LogParts(f32(select(k, k - 23, small)), f);
}`,
  // (log(1 + f) - f + f^2 / 2) / f^3
  log_tail: `fn log_tail(f: f32) -> f32 {
  var p = fma(0.070376836, f, -0.1151461);
  p = fma(p, f, 0.116769984);
  p = fma(p, f, -0.12420141);
  p = fma(p, f, 0.14249323);
  p = fma(p, f, -0.16668057);
  p = fma(p, f, 0.20000714);
  p = fma(p, f, -0.24999994);
  return fma(p, f, 0.3333333);
}`,
  // log(1 + f) + e log 2
  log_reduced: `fn log_reduced(f: f32, e: f32) -> f32 {
  let f2 = f * f;
  let y = fma(-0.5, f2, fma(e, -0.00021219444, f * log_tail(f) * f2));
  return fma(e, 0.6933594, f + y);
}`,
  f_log: `fn f_log(x: f32) -> f32 {
  if (is_nan(x) || x < 0.0) { return nan(); }
  if (x == 0.0) { return -infinity(); }
  if (is_inf(x)) { return x; }
  let parts = log_parts(x);
  return log_reduced(parts.f, parts.e);
}`,
  // The exponent apart from the rest, so that powers of 2 come out exact.
  f_log2: `fn f_log2(x: f32) -> f32 {
  if (is_nan(x) || x <= 0.0 || is_inf(x)) { return f_log(x); }
  let parts = frexp(x);
  let low = parts.fract < 0.70710677;
  let m = select(parts.fract, 2.0 * parts.fract, low);
  return f32(select(parts.exp, parts.exp - 1, low)) + f_log(m) * 1.442695041;
}`,
  f_log10: `fn f_log10(x: f32) -> f32 {
  if (is_nan(x) || x <= 0.0 || is_inf(x)) { return f_log(x); }
  return f_log2(x) * 0.30102999566;
}`,
  // What 1 + x loses cannot be computed: a compiler may take (1 + x) - 1 for x. So x itself is reduced.
  f_log1p: `fn f_log1p(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x) || x <= -1.0 || x > 1.0e9) { return f_log(1.0 + x); }
  if (x == 0.0) { return x; }
  let k = (bitcast<i32>(1.0 + x) - 0x3f3504f3) >> 23u;
  let scale = bitcast<f32>((127 - k) << 23u);
  return log_reduced(fma(scale, x, scale - 1.0), f32(k));
}`,
  f_log_one_plus_exp: `fn f_log_one_plus_exp(x: f32) -> f32 {
  return f_max(x, 0.0) + f_log1p(f_exp(-abs(x)));
}`,
  f_sigmoid: "fn f_sigmoid(x: f32) -> f32 { return f_div(1.0, 1.0 + f_exp(-x)); }",
  f_tanh: `fn f_tanh(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let t = f_expm1(min(2.0 * abs(x), 18.2));
  return with_sign(t / (t + 2.0), x);
}`,
  erf_small: `fn erf_small(x: f32, s: f32) -> f32 {
  var p = fma(-0.0005967617, s, 0.0049911942);
  p = fma(p, s, -0.026768135);
  p = fma(p, s, 0.112819925);
  p = fma(p, s, -0.37612534);
  p = fma(p, s, 0.12837917);
  return fma(p, x, x);
}`,
  f_erf: `fn f_erf(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let t = min(abs(x), 10.0);
  let s = t * t;
  if (t <= 0.9277344) { return with_sign(erf_small(t, s), x); }
  let r = fma(-1.7285347e-5, t, 0.00038319713);
  let u = fma(-0.0038839644, t, 0.024254622);
  var q = fma(r, s, u);
  q = fma(q, t, -0.10677788);
  q = fma(q, t, -0.6348467);
  q = fma(q, t, -0.12871751);
  return with_sign(1.0 - f_exp(fma(q, t, -t)), x);
}`,
  // e^(-x^2/2) in two factors: the rounding of x^2 itself would count x^2/2 times.
  f_bell: `fn f_bell(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (abs(x) > 20.0) { return 0.0; }
  let high = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
  let d = -0.5 * (x - high) * (x + high);
  let c = fma(fma(fma(0.041666668, d, 0.16666667), d, 0.5), d, 1.0);
  let e = f_exp(-0.5 * (high * high));
  return fma(e, c * d, e);
}`,
  f_normal_cdf: `fn f_normal_cdf(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let t = min(abs(x * 0.70710677), 10.0);
  if (t <= 0.9277344) { return fma(0.5, with_sign(erf_small(t, t * t), x), 0.5); }
  let q = (t - 2.0) / (t + 2.0);
  var r = fma(-0.0015278202, q, 0.001127007);
  r = fma(r, q, 0.008759055);
  r = fma(r, q, -0.008016491);
  r = fma(r, q, -0.054224085);
  r = fma(r, q, 0.16405037);
  r = fma(r, q, -0.16603026);
  r = fma(r, q, -0.09276381);
  r = fma(r, q, 1.2769784);
  let tail = 0.5 * f_bell(x) * (r / fma(2.0, t, 1.0));
  return select(tail, 1.0 - tail, x > 0.0);
}`,
  f_gelu_inner: `fn f_gelu_inner(x: f32) -> f32 {
  return 0.7978845608 * fma(0.044715 * x, x * x, x);
}`,
  f_silu_slope: `fn f_silu_slope(z: f32) -> f32 {
  return f_sigmoid(z) * (1.0 + z * f_sigmoid(-z));
}`,
  f_gelu_slope: `fn f_gelu_slope(z: f32) -> f32 {
  return f_normal_cdf(z) + z * (0.3989422804 * f_bell(z));
}`,
  f_gelu_tanh_slope: `fn f_gelu_tanh_slope(x: f32) -> f32 {
  let u = 2.0 * f_gelu_inner(x);
  let s = f_sigmoid(u);
  let slope = 1.5957691216 * fma(0.134145 * x, x, 1.0);
  return s + x * s * f_sigmoid(-u) * slope;
}`,
  // Where gradients are constant, so that an infinity gives their limit.
  f_bounded: `fn f_bounded(x: f32) -> f32 { return f_min(f_max(x, -1000.0), 1000.0); }`,
  ...trigonometry,

  // m^b for finite m > 0. The logarithm is high + low, b * high exact in two parts: a rounding of the exponent would
  // count as often as the exponent is large.
  exp_of_product: `fn exp_of_product(b: f32, m: f32) -> f32 {
  let about = b * f_log(m);
  if (about > 89.0) { return infinity(); }
  if (about < -88.0) { return 0.0; }
  let parts = log_parts(m);
  let f = parts.f;
  let first = leading(f);
  let last = f - first;
  let high = leading(f_log(m));
  let small = fma(f * f, f * log_tail(f), fma(parts.e, -0.00021219444, last - 0.5 * last * (f + first)));
  let low = (fma(parts.e, 0.6933594, -high) + first) - 0.5 * first * first + small;
  let b_first = leading(b);
  let exact = b_first * high;
  let rest = fma(b - b_first, high, b * low);
  let x = exact + rest;
  if (x > 88.72283) { return infinity(); }
  if (x < -87.3365) { return 0.0; }
  let n = round(x * 1.442695);
  return exp_of(n, less_log2(exact, n) + rest);
}`,
  f_pow: `fn f_pow(a: f32, b: f32) -> f32 {
  if (b == 0.0 || a == 1.0) { return 1.0; }
  if (is_nan(a) || is_nan(b)) { return nan(); }
  let m = abs(a);
  if (is_inf(b)) {
    if (m == 1.0) { return 1.0; }
    if ((m > 1.0) == (b > 0.0)) { return infinity(); }
    return 0.0;
  }
  let odd = abs(b) < 16777216.0 && b == floor(b) && (i32(b) & 1) == 1;
  var y = 0.0;
  if (m == 0.0 || is_inf(m)) {
    if (is_inf(m) == (b > 0.0)) { y = infinity(); }
  } else {
    if (a < 0.0 && b != floor(b)) { return nan(); }
    y = exp_of_product(b, m);
  }
  return select(y, with_sign(y, a), odd);
}`,
  f_pow_scalar: `fn f_pow_scalar(x: f32, exponent: f32) -> f32 {
  if (exponent == 0.5) { return f_sqrt(x); }
  if (exponent == -0.5) { return f_div(1.0, f_sqrt(x)); }
  if (exponent == 2.0) { return x * x; }
  if (exponent == 3.0) { return x * x * x; }
  return f_pow(x, exponent);
}`,

  // MurmurHash3's finaliser, as assembly/hash.ts.
  mix_bits: `fn mix_bits(a: u32) -> u32 {
  var h = a;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}`,

  // Trees over the 64 lanes of a workgroup; every lane gets the result.
  group_sum: `var<workgroup> sum_lanes: array<f32, 64>;
fn group_sum(lane: u32, x: f32) -> f32 {
  workgroupBarrier();
  sum_lanes[lane] = x;
  for (var step = 32u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) { sum_lanes[lane] += sum_lanes[lane + step]; }
  }
  workgroupBarrier();
  return sum_lanes[0];
}`,
  group_max: `var<workgroup> max_lanes: array<f32, 64>;
fn group_max(lane: u32, x: f32) -> f32 {
  workgroupBarrier();
  max_lanes[lane] = x;
  for (var step = 32u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) { max_lanes[lane] = f_max(max_lanes[lane], max_lanes[lane + step]); }
  }
  workgroupBarrier();
  return max_lanes[0];
}`,
};

/**
 * What takes the place of the above where there are subgroups: two reductions of theirs and two barriers for a tree's seven.
 * Neither their size nor which lanes they have matters: the first lane of each keeps its result, the others `least`, and the
 * lanes of every subgroup share out all 64.
 */
const overSubgroups = (
  { array, type, reduce, least }: Readonly<Record<"array" | "type" | "reduce" | "least", string>>,
  join: (a: string, b: string) => string,
): string => `  let part = ${reduce}(own);
  workgroupBarrier();
  ${array}[lane] = select(${least}, part, subgroupElect());
  workgroupBarrier();
  let lanes = subgroupAdd(1u);
  var rest: ${type} = ${least};
  for (var k = subgroupExclusiveAdd(1u); k < 64u; k += lanes) { rest = ${join("rest", `${array}[k]`)}; }
  let result = ${reduce}(rest);`;

const withSubgroups: Readonly<Record<string, string>> = {
  group_sum: `var<workgroup> sum_lanes: array<f32, 64>;
fn group_sum(lane: u32, own: f32) -> f32 {
${overSubgroups({ array: "sum_lanes", type: "f32", reduce: "subgroupAdd", least: "0.0" }, (a, b) => `${a} + ${b}`)}
  return result;
}`,
  // Of numbers in the order of floats, among which NaN is the largest: subgroupMax of floats may lose it.
  group_max: `var<workgroup> max_lanes: array<u32, 64>;
fn group_max(lane: u32, x: f32) -> f32 {
  let bits = select(bitcast<u32>(x), 0x7fc00000u, is_nan(x));
  let own = bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
${overSubgroups({ array: "max_lanes", type: "u32", reduce: "subgroupMax", least: "0u" }, (a, b) => `max(${a}, ${b})`)}
  return bitcast<f32>(result ^ select(0xffffffffu, 0x80000000u, result >= 0x80000000u));
}`,
};

/** The functions that `code` names, and those that they name; `subgroups`: some may use the feature of that name. */
export function functionsFor(code: string, subgroups: boolean): string {
  const known = subgroups ? { ...sources, ...withSubgroups } : sources;
  const found = new Set<string>();
  const collect = (text: string): void => {
    for (const [name] of text.matchAll(/\b[a-z]\w*(?=\()/g)) {
      const source = Object.hasOwn(known, name) ? known[name] : undefined;
      if (source === undefined || found.has(name)) continue;
      found.add(name);
      collect(source);
    }
  };
  collect(code);
  return [...found].map((name) => known[name]).join("\n");
}
