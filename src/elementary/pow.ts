/**
 * Powers. Whole exponents: repeated squaring in double-double; others: x^y = e^(y log x), with log x to
 * 2^-66 and the product in two parts.
 */
import { scale } from "./bits.ts";
import { productError, quotient } from "./double.ts";
import { expPart, expParts } from "./exp.ts";
import { logFine, logPart } from "./log.ts";

/**
 * x^y, at most 0.52 ulp (0.8 where the result is subnormal). Special values as in C (IEEE 754 pow), which
 * is what PyTorch has: unlike JavaScript, 1^NaN and (−1)^±Infinity are 1. Whole exponents up to 2^20
 * and ½ are rounded correctly but for rare ties, where the result is between 1e-280 and 1e280.
 */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (y === 1) return x;
  if (y === 2) return x * x;
  if (y === -1) return 1 / x;
  if (x !== x || y !== y) return NaN;
  const a = Math.abs(x);
  if (Math.abs(y) === Infinity) {
    if (a === 1) return 1;
    return a > 1 === y > 0 ? Infinity : 0;
  }
  const negative = x < 0 || (x === 0 && 1 / x < 0);
  const odd = negative && Math.abs(y % 2) === 1;
  if (a === 0 || a === Infinity) {
    const result = (a === 0) === y > 0 ? 0 : Infinity;
    return odd ? -result : result;
  }
  if (negative && Math.floor(y) !== y) return NaN;
  const result = positive(a, y);
  return odd ? -result : result;
}

/** x > 0 and y finite */
function positive(x: number, y: number): number {
  if (x === 1) return 1;
  if (y === 0.5) return Math.sqrt(x);
  if (Math.floor(y) === y && Math.abs(y) <= 1048576) {
    const result = whole(x, Math.abs(y), y < 0);
    if (result !== 0) return result;
  }
  // |log x| is at least 2^-53 and below 2^10: beyond these the answer is known, and products may overflow.
  const magnitude = Math.abs(y);
  if (magnitude > 3.7e19) return x > 1 === y > 0 ? Infinity : 0;
  if (magnitude < 1e-20) return 1;
  logFine(x);
  const high = logPart[0];
  const product = y * high;
  if (product > 709.8) return Infinity;
  if (product < -745.2) return 0;
  const k = expParts(product, productError(y, high, product) + y * logPart[1]);
  return scale(expPart[0] + expPart[1], k);
}

/** x^1, x^2, x^4, … of one x, in two parts: an optimizer asks for β^t with the same β at every step. */
const squares = new Float64Array(21);
const squaresLow = new Float64Array(21);
/** How many of them are there. */
let known = 0;

/** x^n, or its inverse, 2 ≤ n ≤ 2^20; 0 where splitting would fail, near the ends of the range. */
function whole(x: number, n: number, inverse: boolean): number {
  if (!(x > 1e-280 && x < 1e280)) return 0;
  if (x !== squares[0]) known = 1;
  squares[0] = x;
  let high = 1;
  let low = 0;
  for (let i = 0, rest = n; ; i++, rest >>= 1) {
    if (i === known && !addSquare(i)) return 0;
    if ((rest & 1) === 0) continue;
    const square = squares[i];
    const product = high * square;
    if (!(product > 1e-280 && product < 1e280)) return 0;
    const error = productError(high, square, product) + (high * squaresLow[i] + low * square);
    high = product + error;
    low = product - high + error;
    if (rest === 1) return inverse ? quotient(1, 0, high, low) : high + low;
  }
}

/** Squares the one before; false where that would fail. */
function addSquare(i: number): boolean {
  const square = squares[i - 1];
  const product = square * square;
  if (!(product > 1e-280 && product < 1e280)) return false;
  const error = productError(square, square, product) + 2 * square * squaresLow[i - 1];
  squares[i] = product + error;
  squaresLow[i] = product - squares[i] + error;
  known = i + 1;
  return true;
}
