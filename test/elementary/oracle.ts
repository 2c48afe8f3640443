/**
 * Elementary functions to more than 120 bits in integer arithmetic: what src/elementary is measured
 * against. It shares neither code nor method with it: plain series, no tables.
 */

/** m · 2^e, exactly. */
export interface Real {
  m: bigint;
  e: number;
}

/** Bits behind the point of fixed-point numbers: value · 2^P. */
const P = 260;
const ONE = 1n << BigInt(P);

/** A float64 as it is. */
export function real(x: number): Real {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 2047n);
  const fraction = bits & 0xfffffffffffffn;
  const m = exponent === 0 ? fraction : fraction | (1n << 52n);
  return { m: x < 0 ? -m : m, e: Math.max(exponent, 1) - 1075 };
}

/** |m| < 2^bits */
function bitsOf(m: bigint): number {
  return (m < 0n ? -m : m).toString(2).length;
}

function shift(m: bigint, by: number): bigint {
  return by >= 0 ? m << BigInt(by) : m >> BigInt(-by);
}

/** value · 2^precision, rounded down. */
function fixed({ m, e }: Real, precision = P): bigint {
  return shift(m, e + precision);
}

function add(a: Real, b: Real): Real {
  const e = Math.min(a.e, b.e);
  return { m: shift(a.m, a.e - e) + shift(b.m, b.e - e), e };
}

function mul(a: Real, b: Real): Real {
  return short({ m: a.m * b.m, e: a.e + b.e });
}

function div(a: Real, b: Real): Real {
  const up = Math.max(0, P + bitsOf(b.m) - bitsOf(a.m));
  return short({ m: (a.m << BigInt(up)) / b.m, e: a.e - up - b.e });
}

function short({ m, e }: Real): Real {
  const drop = Math.max(0, bitsOf(m) - P);
  return { m: m >> BigInt(drop), e: e + drop };
}

const negate = ({ m, e }: Real): Real => ({ m: -m, e });
const one: Real = { m: 1n, e: 0 };
const two: Real = { m: 2n, e: 0 };

/** arctan(1/n) · 2^precision */
function arctanInverse(n: bigint, precision: number): bigint {
  let power = (1n << BigInt(precision)) / n;
  let sum = 0n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += k % 4n === 1n ? power / k : -(power / k);
    power /= n * n;
  }
  return sum;
}

/** π with 1500 bits behind the point: 16 arctan(1/5) − 4 arctan(1/239) (Machin). */
const PI_BITS = 1500;
const PI = 16n * arctanInverse(5n, PI_BITS) - 4n * arctanInverse(239n, PI_BITS);
const pi: Real = { m: PI, e: -PI_BITS };

/** ⌊√n⌋ */
function squareRoot(n: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(bitsOf(n) / 2));
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** Fixed-point log of a fixed-point number near 1: 2 atanh((m − 1)/(m + 1)). */
function logFixed(m: bigint): bigint {
  const s = ((m - ONE) << BigInt(P)) / (m + ONE);
  const square = (s * s) >> BigInt(P);
  let sum = 0n;
  let power = s;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = (power * square) >> BigInt(P);
  }
  return 2n * sum;
}

const LN2 = logFixed((3n * ONE) / 2n) + logFixed((4n * ONE) / 3n);

export function exp(x: Real): Real {
  // Bits of the whole part of x come on top.
  const value = fixed(x);
  const k = (value + LN2 / 2n) / LN2 - (value + LN2 / 2n < 0n ? 1n : 0n);
  const r = value - k * LN2;
  let sum = ONE;
  let term = ONE;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    term = ((term * r) >> BigInt(P)) / n;
    sum += term;
  }
  return { m: sum, e: Number(k) - P };
}

export function log(x: Real): Real {
  const bits = bitsOf(x.m);
  let k = bits + x.e;
  let m = shift(x.m, P - bits); // [½, 1)
  if (m < (ONE * 3n) / 4n) {
    m <<= 1n;
    k--;
  }
  return { m: BigInt(k) * LN2 + logFixed(m), e: -P };
}

/** sin or cos of x − n π/2 with the nearest n, by Taylor; turned by n. */
function turned(x: Real, quarters: bigint): Real {
  const value = fixed(x, PI_BITS - 10);
  const quarter = PI >> 11n;
  const shifted = value + quarter / 2n;
  const n = shifted / quarter - (shifted < 0n ? 1n : 0n);
  const r = (value - n * quarter) >> BigInt(PI_BITS - 10 - P);
  const phase = (((n + quarters) % 4n) + 4n) % 4n;
  const odd = phase % 2n === 1n;
  let term = odd ? ONE : r;
  let sum = 0n;
  for (let k = odd ? 1n : 2n; term !== 0n && term !== -1n; k += 2n) {
    sum += term;
    term = -((term * r * r) >> BigInt(2 * P)) / (k * (k + 1n));
  }
  return { m: phase >= 2n ? -sum : sum, e: -P };
}

export const sin = (x: Real): Real => turned(x, 0n);
export const cos = (x: Real): Real => turned(x, 1n);
export const tan = (x: Real): Real => div(sin(x), cos(x));
export const cosPi = (x: Real): Real => cos(mul(x, short(pi)));
export const expm1 = (x: Real): Real => add(exp(x), negate(one));
export const log1p = (x: Real): Real => log(add(x, one));
export const log2 = (x: Real): Real => div(log(x), { m: LN2, e: -P });
export const log10 = (x: Real): Real => div(log(x), log({ m: 10n, e: 0 }));
export const pow = (x: Real, y: Real): Real => exp(mul(y, log(x)));
export const sigmoid = (x: Real): Real => div(one, add(one, exp(negate(x))));

export function logOnePlusExp(x: Real): Real {
  const e = exp(x);
  if (bitsOf(e.m) + e.e > -50) return log(add(one, e));
  // e − e²/2 + e³/3, as fixed-point numbers run out of bits.
  const square = mul(e, e);
  const cube = div(mul(square, e), { m: 3n, e: 0 });
  return add(add(e, { m: -square.m, e: square.e - 1 }), cube);
}

export function tanh(x: Real): Real {
  const e = expm1(mul(two, x));
  return div(e, add(e, two));
}

/** To P bits: √x, x > 0. */
function root({ m, e }: Real): Real {
  const up = 2 * P + (e & 1);
  return short({ m: squareRoot(m << BigInt(up)), e: (e - up) / 2 });
}

/** Three times halved, then the series of the small angle. */
export function atan(x: Real): Real {
  if (x.m < 0n) return negate(atan(negate(x)));
  if (x.m === 0n) return x;
  if (bitsOf(x.m) + x.e > 1) {
    return add(short({ m: pi.m, e: pi.e - 1 }), negate(atan(div(one, x))));
  }
  let small = x;
  for (let k = 0; k < 3; k++) {
    small = div(small, add(one, root(short(add(one, mul(small, small))))));
  }
  const square = mul(small, small);
  let power = small;
  let sum = small;
  for (let n = 3; bitsOf(power.m) + power.e > bitsOf(small.m) + small.e - P; n += 2) {
    power = negate(mul(power, square));
    sum = short(add(sum, div(power, { m: BigInt(n), e: 0 })));
  }
  return { m: sum.m, e: sum.e + 3 };
}

/** The angle of the point (x, y). */
export function atan2(y: Real, x: Real): Real {
  if (x.m === 0n) return { m: y.m < 0n ? -pi.m : pi.m, e: pi.e - 1 };
  const slope = atan(div(y, x));
  return x.m > 0n ? slope : add(slope, y.m < 0n ? negate(pi) : pi);
}

const leg = (x: Real): Real => root(add(one, { m: -x.m * x.m, e: 2 * x.e }));
export const asin = (x: Real): Real => atan2(x, leg(x));
export const acos = (x: Real): Real => atan2(leg(x), x);

/** erf x · 2^precision = 2/√π e^(-x²) Σ 2^k x^(2k+1) / (1 · 3 ⋯ (2k+1)): positive terms. */
function erfFixed(x: Real, precision: number): bigint {
  const p = BigInt(precision);
  const value = fixed(x, precision);
  const square = (value * value) >> p;
  let term = value;
  let sum = 0n;
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    sum += term;
    term = ((2n * term * square) >> p) / (2n * k + 1n);
  }
  // e^(-x²) = 1/e^(x²), e^(x²) by its own series of positive terms.
  let growth = 0n;
  let power = 1n << p;
  for (let k = 1n; power !== 0n; k++) {
    growth += power;
    power = ((power * square) >> p) / k;
  }
  const root = squareRoot(shift(PI, 2 * precision - PI_BITS));
  return ((((2n * sum) << p) / growth) << p) / root;
}

/** Bits that 1 − erf x loses, and some. */
const tailBits = (x: Real): number => {
  const size = Number(fixed(x, 20)) / 1048576;
  return 200 + Math.ceil(1.5 * size * size);
};

export function erf(x: Real): Real {
  const precision = tailBits(x);
  return { m: erfFixed(x, precision), e: -precision };
}

export function erfc(x: Real): Real {
  const precision = tailBits(x);
  return { m: (1n << BigInt(precision)) - erfFixed(x, precision), e: -precision };
}

export function normalCdf(x: Real): Real {
  const half = squareRoot(1n << BigInt(2 * PI_BITS - 1));
  const { m, e } = erfc({ m: -x.m * half, e: x.e - PI_BITS });
  return { m, e: e - 1 };
}

export function normalDensity(x: Real): Real {
  const { m, e } = exp(negate(mul(x, { m: x.m, e: x.e - 1 })));
  return div({ m, e }, { m: squareRoot(shift(PI, 2 * P - PI_BITS + 1)), e: -P });
}

/** |result − exact| in units of the last place that a float64 of the exact value has. */
export function ulpError(result: number, exact: Real): number {
  const unit = Math.max(bitsOf(exact.m) + exact.e - 1, -1022) - 52;
  if (!Number.isFinite(result)) {
    const overflows = exact.e + bitsOf(exact.m) > 1024;
    return overflows && result > 0 === exact.m > 0n ? 0 : Infinity;
  }
  const difference = add(real(result), negate(exact));
  return Math.abs(Number(shift(difference.m, difference.e - unit + 30))) / 1073741824;
}
