/** Elementary functions: the same bits on every engine, exact results, order. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as elementary from "../../src/elementary/index.ts";
import { productError, quotient, sumError } from "../../src/elementary/double.ts";
import { powerOfTwo, scale } from "../../src/elementary/bits.ts";
import { fingerprint } from "../fingerprint.ts";
import { draws, functions } from "./cases.ts";

const bits = suite("elementary functions: bits");

/** Of 1000 values in each range of cases.ts. A change here changes what the reference computes. */
const pinned: Record<string, string> = {
  exp: "61258378",
  expm1: "96d7340f",
  log: "559f7597",
  log2: "8ee7d28c",
  log10: "68afad5d",
  log1p: "b1aa3dc0",
  sin: "1408d8e1",
  cos: "ab4be127",
  tan: "1487d86e",
  cosPi: "3742234b",
  asin: "59735b0f",
  acos: "e274de88",
  atan: "2306a3a0",
  atan2: "3996f92e",
  tanh: "c123fd1b",
  sigmoid: "655956e7",
  logOnePlusExp: "d4419d37",
  erf: "2021b3a3",
  erfc: "163de0f2",
  normalCdf: "cb5ac53c",
  normalDensity: "5cd5bcab",
  pow: "05433df4",
};

for (const { name, f, ranges } of functions) {
  bits(`${name}: the recorded bits`, () => {
    const values = ranges.flatMap((range) => [...draws(range, 1000)].map(([x, y]) => f(x, y)));
    assert.ok(values.every((value) => !Number.isNaN(value)));
    assert.is(fingerprint([Float64Array.from(values)]), pinned[name]);
  });
}

/** a^n rounded correctly, by exact integer arithmetic on a's 53 bits. */
function exactPower(a: number, n: number): number {
  let exponent = 0;
  while (!Number.isInteger(a)) {
    a *= 2;
    exponent++;
  }
  const numerator = BigInt(a) ** BigInt(n);
  const shift = BigInt(exponent * n);
  // 80 bits of the quotient are enough to round to 53 but for exact ties.
  const length = BigInt(numerator.toString(2).length);
  const extra = length > 80n ? length - 80n : 0n;
  const e = Number(extra - shift);
  const half = Math.trunc(e / 2);
  return Number(numerator >> extra) * powerOfTwo(half) * powerOfTwo(e - half);
}

bits("pow: whole powers are rounded correctly", () => {
  for (const base of [0.9, 0.95, 0.98, 0.99, 0.999, 0.9955, 0.5, 1 / 3, 1.7, 10]) {
    for (const n of [1, 2, 3, 7, 10, 31, 64, 100, 255, 500]) {
      const expected = exactPower(base, n);
      if (!(expected > 1e-250 && expected < 1e250)) continue;
      assert.is(elementary.pow(base, n), expected, `${base}^${n}`);
    }
  }
});

bits("log2 and log10 are exact for whole powers", () => {
  for (let e = -1074; e < 1024; e++) assert.is(elementary.log2(powerOfTwo(e)), e);
  for (let e = 0; e <= 22; e++) assert.is(elementary.log10(Number(`1e${e}`)), e);
});

bits("neighbouring arguments keep their order, also where tables change over", () => {
  const { atan, exp, expm1, log, log1p, tanh, sigmoid, erf } = elementary;
  for (const f of [atan, exp, expm1, log, log1p, tanh, sigmoid, erf]) {
    for (let i = 0; i < 300; i++) {
      const middle = 0.25 + i / 128;
      let before = -Infinity;
      for (let step = -8; step <= 8; step++) {
        const value = f(middle * (1 + step * Number.EPSILON));
        assert.ok(value >= before, `${f.name} falls beside ${middle}`);
        before = value;
      }
    }
  }
});

bits("odd and even functions are", () => {
  for (let i = 1; i < 200; i++) {
    const x = (i * i * Math.PI) / 700;
    for (const f of [
      elementary.sin,
      elementary.tan,
      elementary.atan,
      elementary.tanh,
      elementary.erf,
    ]) {
      assert.is(f(-x), -f(x));
    }
    for (const f of [elementary.cos, elementary.cosPi, elementary.normalDensity]) {
      assert.is(f(-x), f(x));
    }
    for (const big of [1e7, 1e100, 1e300]) {
      assert.is(elementary.sin(-x * big), -elementary.sin(x * big));
    }
  }
});

bits("what rounding takes away is found exactly", () => {
  assert.is(sumError(1, 1e-20, 1), 1e-20);
  const a = 1 + Number.EPSILON;
  assert.is(productError(a, a, a * a), Number.EPSILON * Number.EPSILON);
  assert.is(quotient(1, 0, 3, 0), 1 / 3);
});

bits("scaling rounds once, over the whole range", () => {
  assert.is(scale(1, -1074), Number.MIN_VALUE);
  assert.is(scale(1.5, -1075), Number.MIN_VALUE);
  assert.is(scale(1, -1075), 0);
  assert.is(scale(1, 1023), powerOfTwo(1023));
  assert.is(scale(0.5, 1024), powerOfTwo(1023));
  assert.is(scale(1, 1024), Infinity);
  for (const [e, value] of [
    [-1074, Number.MIN_VALUE],
    [-1022, 2.2250738585072014e-308],
    [0, 1],
    [10, 1024],
    [1023, 8.98846567431158e307],
  ]) {
    assert.is(powerOfTwo(e), value);
  }
});

bits.run();
