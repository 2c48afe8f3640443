/**
 * Random numbers that depend on a seed, a call number and a position, on nothing else: not on
 * threads, devices or engines. Philox 4x32-10 is a counter-based generator (J. K. Salmon,
 * M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11):
 *
 *   words of block b = philox(counter = [b, attempt, call mod 2^32, call div 2^32],
 *                             key     = [seed mod 2^32, seed div 2^32])
 *
 * Element i of a call reads word i mod 4 of block i div 4. `attempt` is 0, except where rejection
 * asks for another word. float64 arrays get the numbers that float32 arrays get, before rounding,
 * so that the reference backend sees the same randomness as the others.
 */
import { refuseDraw } from "./capture.ts";
import { powerOfTwo } from "./elementary/index.ts";
import { ValueError } from "./errors.ts";

const TWO_32 = 4294967296;

/** Plain data: survives JSON. `call` is the number that the next call takes. */
export interface GeneratorState {
  readonly seed: number;
  readonly call: number;
}

/** The state of a generator before its first use, for those that are used while somebody watches. */
export type GeneratorStates = Map<Generator, GeneratorState>;

let watched: GeneratorStates | null = null;

/**
 * Runs `fn`, and puts the generators that it draws from or sets into `states`, each with its state
 * before that: what it takes to run `fn` again with the same random numbers, or to undo the draws.
 */
export function watchingGenerators<T>(states: GeneratorStates, fn: () => T): T {
  const outer = watched;
  watched = states;
  try {
    return fn();
  } finally {
    watched = outer;
    for (const [generator, state] of states) {
      if (outer !== null && !outer.has(generator)) outer.set(generator, state);
    }
  }
}

/** Runs `fn` with generators in the given states, and puts theirs back. */
export function withGenerators<T>(states: ReadonlyMap<Generator, GeneratorState>, fn: () => T): T {
  const now = [...states.keys()].map((generator) => [generator, generator.getState()] as const);
  for (const [generator, state] of states) generator.setState(state);
  try {
    return fn();
  } finally {
    for (const [generator, state] of now) generator.setState(state);
  }
}

/**
 * A source of random numbers. Every random operation takes one call number from it, whatever the
 * number of values; two generators of the same seed and call number give the same values.
 */
export class Generator {
  #seed: number;
  #call = 0;

  /** `seed`: a whole number from 0 to 2^53 - 1; anything else is a ValueError. */
  constructor(seed: number) {
    checkCount("Generator", "seed", seed);
    this.#seed = seed;
  }

  get seed(): number {
    return this.#seed;
  }

  /** Takes a call number: 0, 1, 2, ... */
  nextCall(): number {
    refuseDraw();
    this.#noteUse();
    return this.#call++;
  }

  /** Takes a call number and makes a seed for another generator from it: 53 random bits. */
  nextSeed(): number {
    philoxBlock(this.#seed, this.nextCall(), 0, 0);
    return (words[0] >>> 11) * TWO_32 + words[1];
  }

  getState(): GeneratorState {
    return { seed: this.#seed, call: this.#call };
  }

  setState(state: GeneratorState): void {
    checkCount("Generator.setState", "seed", state.seed);
    checkCount("Generator.setState", "call", state.call);
    this.#noteUse();
    this.#seed = state.seed;
    this.#call = state.call;
  }

  #noteUse(): void {
    if (watched !== null && !watched.has(this)) watched.set(this, this.getState());
  }
}

function checkCount(op: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ValueError(
      `${op}: ${name} is ${String(value)}; expected a whole number from 0 to 2^53 - 1`,
    );
  }
}

let shared: Generator | undefined;

/** The generator of every operation that is not given one. Its seed is random until `manualSeed`. */
export function defaultGenerator(): Generator {
  shared ??= new Generator(randomSeed());
  return shared;
}

/** Restarts the default generator: the same seed gives the same numbers from here on. */
export function manualSeed(seed: number): Generator {
  checkCount("manualSeed", "seed", seed);
  const generator = defaultGenerator();
  generator.setState({ seed, call: 0 });
  return generator;
}

function randomSeed(): number {
  const bits = globalThis.crypto?.getRandomValues(new Uint32Array(2));
  if (bits === undefined) return Math.floor(Math.random() * 2 ** 53);
  return (bits[0] >>> 11) * TWO_32 + bits[1];
}

/** The last block that `philox` computed. */
const words = new Uint32Array(4);

/** Ten rounds. 32x32 → 64 bit products are put together from 16-bit halves, as integers. */
function philox(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): void {
  for (let round = 0; round < 10; round++) {
    // 0xd2511f53 * c0
    const aLow = c0 & 0xffff;
    const aHigh = c0 >>> 16;
    const aCross = Math.imul(0xd251, aLow) + (Math.imul(0x1f53, aLow) >>> 16);
    const aRest = Math.imul(0x1f53, aHigh) + (aCross & 0xffff);
    const high0 = Math.imul(0xd251, aHigh) + (aCross >>> 16) + (aRest >>> 16);
    const low0 = Math.imul(0xd2511f53, c0);
    // 0xcd9e8d57 * c2
    const bLow = c2 & 0xffff;
    const bHigh = c2 >>> 16;
    const bCross = Math.imul(0xcd9e, bLow) + (Math.imul(0x8d57, bLow) >>> 16);
    const bRest = Math.imul(0x8d57, bHigh) + (bCross & 0xffff);
    const high1 = Math.imul(0xcd9e, bHigh) + (bCross >>> 16) + (bRest >>> 16);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

function philoxBlock(seed: number, call: number, block: number, attempt: number): void {
  philox(block, attempt, call | 0, (call / TWO_32) | 0, seed | 0, (seed / TWO_32) | 0);
}

/** One block of Philox 4x32-10: four 32-bit words from a counter and a key of 32-bit words. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  return [words[0], words[1], words[2], words[3]];
}

/**
 * Fills `out` uniformly from [low, high): low + u * (high - low) in float64, rounded to the type
 * of `out`, where u is a multiple of 2^-24 in [0, 1). A value that rounds up to `high` becomes the
 * number below it. Bounds are first rounded to the type of `out`; they must be finite, low < high.
 */
export function fillUniform(
  out: Float32Array | Float64Array,
  generator: Generator,
  low = 0,
  high = 1,
): void {
  const single = out instanceof Float32Array;
  const from = single ? Math.fround(low) : low;
  const to = single ? Math.fround(high) : high;
  const range = to - from;
  if (!(range > 0 && range < Infinity)) {
    throw new ValueError(
      `fillUniform: low is ${low}, high is ${high}; expected finite bounds with low < high, ` +
        `also after rounding to ${single ? "float32" : "float64"}`,
    );
  }
  const below = single ? float32Below(to) : float64Below(to);
  const { seed } = generator;
  const call = generator.nextCall();
  const n = out.length;
  for (let i = 0; i < n; i += 4) {
    philoxBlock(seed, call, i >>> 2, 0);
    const end = n - i < 4 ? n - i : 4;
    for (let j = 0; j < end; j++) {
      const value = from + (words[j] >>> 8) * 2 ** -24 * range;
      // Compared as a number of the array's type: rounding to it may be what reaches `to`.
      out[i + j] = value;
      if (out[i + j] >= to) out[i + j] = below;
    }
  }
}

/** The largest float32 below a finite float32. */
function float32Below(x: number): number {
  if (x === 0) return -(2 ** -149);
  const bits = new Int32Array(1);
  const value = new Float32Array(bits.buffer);
  value[0] = x;
  bits[0] += x > 0 ? -1 : 1;
  return value[0];
}

/** The largest float64 below a finite float64. */
function float64Below(x: number): number {
  if (x === 0) return -Number.MIN_VALUE;
  const bits = new BigInt64Array(1);
  const value = new Float64Array(bits.buffer);
  value[0] = x;
  bits[0] += x > 0 ? -1n : 1n;
  return value[0];
}

/**
 * Fills `out` from the normal distribution: mean + std * z in float64, rounded to the type of
 * `out`. `mean` and `std` ≥ 0 are finite.
 *
 * Words (a, b) give two values by Box and Muller: r cos θ and r sin θ with r = √(-2 ln u),
 * u = (a + ½)/2^32 and θ = 2πb/2^32; |z| is at most 6.77. Logarithm, sine and cosine are the
 * series below, as those of JavaScript differ between engines; the error of z is at most 3.0 ulp
 * of float64 (40 000 values against 200-bit arithmetic).
 */
export function fillNormal(
  out: Float32Array | Float64Array,
  generator: Generator,
  mean = 0,
  std = 1,
): void {
  if (!Number.isFinite(mean) || !Number.isFinite(std) || std < 0) {
    throw new ValueError(
      `fillNormal: mean is ${mean}, std is ${std}; expected finite numbers, std not negative`,
    );
  }
  const { seed } = generator;
  const call = generator.nextCall();
  const n = out.length;
  for (let i = 0; i < n; i += 2) {
    if ((i & 3) === 0) philoxBlock(seed, call, i >>> 2, 0);
    const a = words[i & 3];
    const b = words[(i & 3) + 1];
    const radius = std * Math.sqrt(2 * negativeLog(a));
    // The nearest quarter turn, and the angle left over, within ±π/4.
    const quarter = ((b + 0x20000000) >>> 30) & 3;
    const angle = ((b - (quarter << 30)) | 0) * RADIANS;
    const s = radius * sinSeries(angle);
    const c = radius * cosSeries(angle);
    const odd = (quarter & 1) !== 0;
    const x = odd ? s : c;
    const y = odd ? c : s;
    out[i] = mean + (quarter === 1 || quarter === 2 ? -x : x);
    if (i + 1 < n) out[i + 1] = mean + (quarter >= 2 ? -y : y);
  }
}

/** 2π/2^32 */
const RADIANS = 1.4629180792671596e-9;
const LN_2 = 0.6931471805599453;
const powersOfHalf = Float64Array.from({ length: 33 }, (_, e) => powerOfTwo(-e));

/** c[0] z^(n-1) + ... + c[n-1] */
function polynomial(c: Float64Array, z: number): number {
  let sum = c[0];
  for (let i = 1; i < c.length; i++) sum = sum * z + c[i];
  return sum;
}

/** (atanh s - s)/s = z/3 + z²/5 + ..., z = s², without the factor z */
const atanhTerms = Float64Array.from([23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3], (n) => 1 / n);
/** sin x = x - x z (1/3! - z/5! + ...), z = x² */
const sinTerms = Float64Array.from([17, 15, 13, 11, 9, 7, 5, 3], taylorTerm);
/** cos x = 1 - z (1/2! - z/4! + ...), z = x² */
const cosTerms = Float64Array.from([18, 16, 14, 12, 10, 8, 6, 4, 2], taylorTerm);

/** ±1/n!; n! is exact up to 18. */
function taylorTerm(n: number): number {
  let factorial = 1;
  for (let i = 2; i <= n; i++) factorial *= i;
  return (n % 4 < 2 ? -1 : 1) / factorial;
}

/**
 * -ln((a + ½)/2^32) for a 32-bit a. With (a + ½)/2^32 = m / 2^k, m in [√½, √2), this is
 * k ln 2 - ln m and ln m = 2 atanh s, s = (m - 1)/(m + 1), |s| < 0.172.
 */
export function negativeLog(a: number): number {
  const bits = 32 - Math.clz32(a);
  let m = (a + 0.5) * powersOfHalf[bits];
  let k = 32 - bits;
  if (m < Math.SQRT1_2) {
    m *= 2;
    k++;
  }
  const s = (m - 1) / (m + 1);
  const z = s * s;
  return k * LN_2 - 2 * (s + s * z * polynomial(atanhTerms, z));
}

/** |x| ≤ π/4 */
function sinSeries(x: number): number {
  const z = x * x;
  return x - x * z * polynomial(sinTerms, z);
}

/** |x| ≤ π/4 */
function cosSeries(x: number): number {
  const z = x * x;
  return 1 - z * polynomial(cosTerms, z);
}

/**
 * Fills `out` with whole numbers from [low, high), -2^31 ≤ low < high ≤ 2^31, each with exactly
 * the same probability: word * range div 2^32, with rejection (D. Lemire, "Fast random integer
 * generation in an interval", ACM TOMACS 29, 2019).
 */
export function fillIntegers(
  out: Int32Array,
  generator: Generator,
  low: number,
  high: number,
): void {
  const limit = 2 ** 31;
  if (
    !Number.isInteger(low) ||
    !Number.isInteger(high) ||
    low < -limit ||
    high > limit ||
    low >= high
  ) {
    throw new ValueError(
      `fillIntegers: low is ${low}, high is ${high}; expected whole numbers with -2^31 <= low < high <= 2^31`,
    );
  }
  const range = high - low;
  const threshold = TWO_32 % range;
  const { seed } = generator;
  const call = generator.nextCall();
  for (let i = 0; i < out.length; i++) {
    if ((i & 3) === 0) philoxBlock(seed, call, i >>> 2, 0);
    const word = words[i & 3];
    const rejected = lowProduct(word, range) < threshold;
    const value = rejected ? redraw(seed, call, i, range) : highProduct(word, range);
    out[i] = low + value;
  }
}

/** word * range mod 2^32, for range from 1 to 2^32. */
function lowProduct(word: number, range: number): number {
  return Math.imul(word, range) >>> 0;
}

/** word * range div 2^32, for range from 1 to 2^32: every term is a whole number below 2^53. */
function highProduct(word: number, range: number): number {
  const high = word * Math.floor(range / 65536);
  return Math.floor((high + Math.floor((word * (range & 0xffff)) / 65536)) / 65536);
}

/** Element i from its words of attempts 1, 2, ...; leaves `words` as it was. */
function redraw(seed: number, call: number, i: number, range: number): number {
  const threshold = TWO_32 % range;
  let word = 0;
  for (let attempt = 1; ; attempt++) {
    philoxBlock(seed, call, i >>> 2, attempt);
    word = words[i & 3];
    if (lowProduct(word, range) >= threshold) break;
  }
  philoxBlock(seed, call, i >>> 2, 0);
  return highProduct(word, range);
}

/**
 * The numbers 0 to n - 1 in random order, all orders equally likely (Fisher and Yates; `n` from 0
 * to 2^31 - 1).
 */
export function permutation(n: number, generator: Generator): Int32Array {
  if (!Number.isInteger(n) || n < 0 || n >= 2 ** 31) {
    throw new ValueError(`permutation: n is ${n}; expected a whole number from 0 to 2^31 - 1`);
  }
  const { seed } = generator;
  const call = generator.nextCall();
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = 0; i < n - 1; i++) {
    if ((i & 3) === 0) philoxBlock(seed, call, i >>> 2, 0);
    const range = n - i;
    const word = words[i & 3];
    const low = lowProduct(word, range);
    // 2^32 mod range is below range: most words need no division.
    const rejected = low < range && low < TWO_32 % range;
    const j = i + (rejected ? redraw(seed, call, i, range) : highProduct(word, range));
    const swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
  return order;
}
