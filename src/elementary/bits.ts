/** The parts of a float64: exponent and leading bits, powers of two. Exact on every engine. */

const value = new Float64Array(1);
const words = new Uint32Array(value.buffer);
value[0] = 1;
/** Which word holds sign and exponent: depends on the byte order of the machine. */
const HIGH = words[1] === 0 ? 0 : 1;

/** Sign, 11 bits of exponent (biased by 1023) and the 20 leading bits of the fraction. */
export function highWord(x: number): number {
  value[0] = x;
  return words[HIGH];
}

/** 2^e at e + 1074, for e from -1074 to 1023. `2 ** e` is not exact everywhere when e is a variable. */
const powers = new Float64Array(2098);
for (let i = 0, power = Number.MIN_VALUE; i < powers.length; i++, power *= 2) powers[i] = power;

/** 2^e for a whole e from -1074 to 1023. */
export function powerOfTwo(e: number): number {
  return powers[e + 1074];
}

/** x · 2^e, rounded once: 2^-2 < |x| < 4, e whole, from -1200 to 1200. */
export function scale(x: number, e: number): number {
  if (e > 1020) return x * powers[e - 40 + 1074] * 1099511627776; // 2^40
  if (e < -1074) return x * powers[e + 120 + 1074] * powers[1074 - 120];
  return x * powers[e + 1074];
}
