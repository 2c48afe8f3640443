/**
 * x modulo π/2 in double-double: x = (quarters + 4 · whole) π/2 + remainder[0] + remainder[1], with
 * |remainder| ≤ π/4 and about 2^-100 absolute, which no float64 is too near to a multiple for
 * (the nearest has 2^-61).
 */
import { highWord, powerOfTwo } from "./bits.ts";
import { productError, sumError } from "./double.ts";

/** What `reduceQuarter` leaves. */
export const remainder = new Float64Array(2);

/** π/2 in three parts of 33 bits, so that their products with 20 bits are exact, and the rest. */
const PART_1 = 1.5707963267341256;
const PART_2 = 6.077100506303966e-11;
const PART_3 = 2.0222662487111665e-21;
const PART_4 = 8.4784276603689e-32;
const TWO_OVER_PI = 0.6366197723675814;
const ROUND = 6755399441055744;

/** Sets `remainder`; the result is the number of quarter turns modulo 4. x is finite. */
export function reduceQuarter(x: number): number {
  if (Math.abs(x) >= 1e6) return reduceLarge(x);
  // W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980.
  const n = x * TWO_OVER_PI + ROUND - ROUND;
  const first = x - n * PART_1; // exact: the leading bits cancel
  const b = n * PART_2;
  const second = first - b;
  const c = n * PART_3;
  const third = second - c;
  const low = sumError(first, -b, second) + sumError(second, -c, third) - n * PART_4;
  const high = third + low;
  remainder[0] = high;
  remainder[1] = third - high + low;
  return n & 3;
}

/** 2/π = 0.a2f983… in base 2^24: 1248 bits. */
const DIGITS = Float64Array.from(
  (
    "a2f983 6e4e44 1529fc 2757d1 f534dd c0db62 95993c 439041 fe5163 abdebb c561b7 246e3a 424dd2 " +
    "e00649 2eea09 d1921c fe1deb 1cb129 a73ee8 8235f5 2ebb44 84e99c 7026b4 5f7e41 3991d6 398353 " +
    "39f49c 845f8b bdf928 3b1ff8 97ffde 05980f ef2f11 8b5a0a 6d1f6d 367ecf 27cb09 b74f46 3f669e " +
    "5fea2d 7527ba c7ebe5 f17b3d 0739f7 8a5292 ea6bfb 5fb11f 8d5d08 560330 46fc7b 6babf0 cfbc20"
  ).split(" "),
  (digit) => Number.parseInt(digit, 16),
);
const BASE = 16777216;
/** Digits of 2/π that take part: 3 whose products are whole, and 6 behind the point. */
const columns = new Float64Array(9);

/**
 * M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric functions", ACM SIGNUM Newsletter 18,
 * 1983: of x · 2/π only the digits around the point count, as multiples of 4 fall out. |x| ≥ 1e6.
 */
function reduceLarge(x: number): number {
  // |x| = (a₀ 2^48 + a₁ 2^24 + a₂) 2^(24 s - 72): s places the digits.
  const exponent = ((highWord(x) >>> 20) & 2047) - 1022; // |x| < 2^exponent
  const s = Math.ceil(exponent / 24);
  let rest = Math.abs(x) * powerOfTwo(-12 * s) * powerOfTwo(-12 * s) * BASE;
  const a0 = Math.floor(rest);
  rest = (rest - a0) * BASE;
  const a1 = Math.floor(rest);
  rest = (rest - a1) * BASE;
  const a2 = Math.floor(rest);
  const a3 = (rest - a2) * BASE;
  // |x| = (a₀ + a₁/B + a₂/B² + a₃/B³) B^(s-1). Column i holds multiples of B^(1-i): digit d has B^(-d-1).
  for (let i = 0; i < 9; i++) {
    const d = s - 2 + i - 1;
    columns[i] = a0 * digit(d) + a1 * digit(d - 1) + a2 * digit(d - 2) + a3 * digit(d - 3);
  }
  for (let i = 8; i > 0; i--) {
    const carry = Math.floor(columns[i] / BASE);
    columns[i] -= carry * BASE;
    columns[i - 1] += carry;
  }
  // Column 0 has multiples of B, column 1 ones.
  let n = columns[1];
  // The fraction in three parts, the first two exact (48 bits): they may cancel.
  let first = (columns[2] + columns[3] / BASE) / BASE;
  const second = (columns[4] + columns[5] / BASE) / 4722366482869645213696; // 2^72
  const third = (columns[6] + columns[7] / BASE) / 1329227995784915872903807060280344576; // 2^120
  if (first >= 0.5) {
    n++;
    first -= 1;
  }
  const both = first + second;
  const rest2 = sumError(first, second, both) + third;
  const sum = both + rest2;
  const low = both - sum + rest2;
  // times π/2 = 1.5707… + 6.1e-17
  const high = sum * 1.5707963267948966;
  const lowProduct =
    productError(sum, 1.5707963267948966, high) +
    (sum * 6.123233995736766e-17 + low * 1.5707963267948966);
  const angle = high + lowProduct;
  remainder[0] = angle;
  remainder[1] = high - angle + lowProduct;
  if (x > 0) return n & 3;
  remainder[0] = -angle;
  remainder[1] = -remainder[1];
  return -n & 3;
}

function digit(d: number): number {
  return d < 0 ? 0 : DIGITS[d];
}
