/**
 * Sines, cosines and their inverses in WGSL: see functions.ts. Angles are reduced to x = quarter · pi/2 + rest, |rest|
 * <= pi/4, a `Turn`.
 */
export const trigonometry: Readonly<Record<string, string>> = {
  mul_high: `fn mul_high(a: u32, b: u32) -> u32 {
  let low = a & 0xffffu;
  let high = a >> 16u;
  let first = high * (b & 0xffffu) + ((low * (b & 0xffffu)) >> 16u);
  let second = low * (b >> 16u) + (first & 0xffffu);
  return high * (b >> 16u) + (first >> 16u) + (second >> 16u);
}`,
  bits_from: `fn bits_from(a: u32, b: u32, at: u32) -> u32 {
  return (a << at) | ((b >> 1u) >> (31u - at));
}`,
  // Payne and Hanek's reduction (SIGNUM 18, 1983) for |x| >= 1024: x = m 2^(e - 158) with 32 bits of m times the 96
  // bits of 2/pi of which no product is a multiple of 4. No float is so near to a multiple of pi/2 that the
  // upper half of the 64 bits of the fraction were 0.
  large_turn: `fn large_turn(x: f32) -> Turn {
  var two_over_pi = array<u32, 7>(
    0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u);
  let bits = bitcast<u32>(x);
  let m = (bits << 8u) | 0x80000000u;
  let from_bit = ((bits >> 23u) & 255u) - 128u;
  let word = from_bit >> 5u;
  let at = from_bit & 31u;
  let w2 = bits_from(two_over_pi[word], two_over_pi[word + 1u], at);
  let w1 = bits_from(two_over_pi[word + 1u], two_over_pi[word + 2u], at);
  let w0 = bits_from(two_over_pi[word + 2u], two_over_pi[word + 3u], at);
  let carried = mul_high(m, w0);
  let r1 = m * w1 + carried;
  let r2 = m * w2 + mul_high(m, w1) + u32(r1 < carried);
  var high = bits_from(r2, r1, 2u);
  var low = bits_from(r1, m * w0, 2u);
  var quarter = i32(r2 >> 30u);
  let beyond = high >= 0x80000000u;
  if (beyond) {
    quarter += 1;
    low = ~low + 1u;
    high = ~high + u32(low == 0u);
  }
  let zeros = countLeadingZeros(high);
  let digits = bits_from(high, low, zeros);
  let upper = f32(digits >> 8u);
  let lower = f32(digits & 255u) * 0.00390625;
  let scaled = fma(upper, 1.5707964, fma(leading(upper), -4.371139e-8, lower * 1.5707964));
  let rest = scaled * bitcast<f32>((103u - zeros) << 23u);
  return Turn(select(rest, -rest, beyond != (x < 0.0)), select(quarter, -quarter, x < 0.0));
}`,
  // Cody and Waite's: the first three products are exact, as |n| < 1024. `m` is n, which no compiler knows (`leading`).
  small_turn: `struct Turn { rest: f32, quarter: i32 }
fn small_turn(x: f32) -> Turn {
  let n = round(x * 0.63661975);
  let m = leading(n);
  var r = fma(n, -1.5703125, x);
  r = fma(m, -4.837512969970703e-4, r);
  r = fma(n, -7.549533620476723e-8, r);
  return Turn(fma(m, -2.563344151594519e-12, r), i32(n));
}`,
  // Cephes' polynomials.
  f_sin_cos: `fn f_sin_cos(x: f32, more: i32) -> f32 {
  if (is_nan(x) || is_inf(x)) { return nan(); }
  var turned = small_turn(x);
  if (abs(x) >= 1024.0) { turned = large_turn(x); }
  let r = turned.rest;
  let s = r * r;
  let k = (turned.quarter + more) & 3;
  let sine = fma(r * s, fma(s, fma(s, -1.9515296e-4, 8.332161e-3), -1.6666655e-1), r);
  let tail = fma(s, fma(s, 2.4433157e-5, -1.3887316e-3), 4.1666646e-2);
  let cosine = fma(s * s, tail, fma(-0.5, s, 1.0));
  let y = select(sine, cosine, (k & 1) == 1);
  return select(y, -y, k >= 2);
}`,
  f_sin: "fn f_sin(x: f32) -> f32 { return f_sin_cos(x, 0); }",
  f_cos: "fn f_cos(x: f32) -> f32 { return f_sin_cos(x, 1); }",
  // Cephes' atanf: two reductions to |t| <= tan(pi/8), then a polynomial.
  f_atan: `fn f_atan(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  var t = abs(x);
  var angle = 0.0;
  if (is_inf(x)) { return with_sign(1.5707964, x); }
  if (t > 2.4142137) {
    angle = 1.5707964;
    t = -1.0 / t;
  } else if (t > 0.41421357) {
    angle = 0.78539819;
    t = (t - 1.0) / (t + 1.0);
  }
  let s = t * t;
  let q = fma(fma(fma(8.0537446e-2, s, -1.3877686e-1), s, 1.9977711e-1), s, -3.3332949e-1);
  return with_sign(angle + fma(q * s, t, t), x);
}`,
  f_atan2: `fn f_atan2(y: f32, x: f32) -> f32 {
  if (is_nan(y) || is_nan(x)) { return nan(); }
  var angle = 0.0;
  if (is_inf(x)) {
    if (is_inf(y)) { angle = 0.78539819; }
  } else if (y != 0.0) {
    angle = f_atan(f_div(abs(y), abs(x)));
  }
  return with_sign(select(angle, 3.1415927 - angle, with_sign(1.0, x) < 0.0), y);
}`,
  f_asin: `fn f_asin(x: f32) -> f32 {
  if (is_nan(x) || abs(x) > 1.0) { return nan(); }
  return f_atan2(x, f_sqrt((1.0 - x) * (1.0 + x)));
}`,
  f_acos: `fn f_acos(x: f32) -> f32 {
  if (is_nan(x) || abs(x) > 1.0) { return nan(); }
  return f_atan2(f_sqrt((1.0 - x) * (1.0 + x)), x);
}`,
};
