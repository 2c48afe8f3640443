/**
 * The one-dimensional transforms of Winograd's minimal filtering F(4, 3) (Winograd 1980; Lavin and
 * Gray, arXiv 1509.09308), and their adjoints. Four results of a filter of three taps over six
 * inputs are y = Aᵀ((G g) ⊙ (Bᵀ d)): six products instead of twelve. Everything two-dimensional
 * applies a line transform along rows, then along columns.
 *
 * The polynomials are evaluated at 0, ±a, ±b and ∞. The customary a = 1, b = 2 needs the fewest
 * multiplications, but its powers spread; a = 5/8, b = 3/2 lose four times less: against float64,
 * with 32 channels of normally distributed numbers, the worst error is 1.0e-6 of the largest
 * result (4.4e-6 with 1 and 2, 3e-7 for a plain sum). All constants but G's divisors are exact.
 *
 * A line goes from vectors in registers to memory, `step` bytes apart. Lanes are independent.
 */
import { F32x4 } from "./simd";

// prettier-ignore
const CONSTANTS: usize = memory.data<f32>([
  0.625, 0.625, 0.625, 0.625, // a
  1.5, 1.5, 1.5, 1.5, // b
  0.390625, 0.390625, 0.390625, 0.390625, // a²
  2.25, 2.25, 2.25, 2.25, // b²
  0.87890625, 0.87890625, 0.87890625, 0.87890625, // a²b²
  2.640625, 2.640625, 2.640625, 2.640625, // a² + b²
  0.244140625, 0.244140625, 0.244140625, 0.244140625, // a³
  3.375, 3.375, 3.375, 3.375, // b³
  1.1377777777777778, 1.1377777777777778, 1.1377777777777778, 1.1377777777777778, // 1 / a²b²
  -0.6884033613445378, -0.6884033613445378, -0.6884033613445378, -0.6884033613445378, // 1 / 2a²(a² − b²)
  0.11951447245564893, 0.11951447245564893, 0.11951447245564893, 0.11951447245564893, // 1 / 2b²(b² − a²)
], 16);

// Loaded where they are used: a literal in a loop would be built anew each time.
@final
class Points {
  @inline
  static get a(): v128 {
    return v128.load(CONSTANTS);
  }
  @inline
  static get b(): v128 {
    return v128.load(CONSTANTS, 16);
  }
  @inline
  static get a2(): v128 {
    return v128.load(CONSTANTS, 32);
  }
  @inline
  static get b2(): v128 {
    return v128.load(CONSTANTS, 48);
  }
  @inline
  static get a2b2(): v128 {
    return v128.load(CONSTANTS, 64);
  }
  @inline
  static get sum(): v128 {
    return v128.load(CONSTANTS, 80);
  }
  @inline
  static get a3(): v128 {
    return v128.load(CONSTANTS, 96);
  }
  @inline
  static get b3(): v128 {
    return v128.load(CONSTANTS, 112);
  }
  @inline
  static get n0(): v128 {
    return v128.load(CONSTANTS, 128);
  }
  @inline
  static get na(): v128 {
    return v128.load(CONSTANTS, 144);
  }
  @inline
  static get nb(): v128 {
    return v128.load(CONSTANTS, 160);
  }
}

/** Bᵀ: six inputs to six frequencies. */
@final
export class Data {
  @inline
  static put(
    x0: v128,
    x1: v128,
    x2: v128,
    x3: v128,
    x4: v128,
    x5: v128,
    to: usize,
    step: usize,
  ): void {
    const sum = Points.sum;
    const a2b2 = Points.a2b2;
    v128.store(to, F32x4.fma(a2b2, x0, F32x4.fnma(sum, x2, x4)));
    v128.store(to + step * 5, F32x4.fma(a2b2, x1, F32x4.fnma(sum, x3, x5)));
    const ea = F32x4.fnma(Points.b2, x2, x4);
    const oa = F32x4.fnma(Points.b2, x1, x3);
    v128.store(to + step, F32x4.fma(Points.a, oa, ea));
    v128.store(to + step * 2, F32x4.fnma(Points.a, oa, ea));
    const eb = F32x4.fnma(Points.a2, x2, x4);
    const ob = F32x4.fnma(Points.a2, x1, x3);
    v128.store(to + step * 3, F32x4.fma(Points.b, ob, eb));
    v128.store(to + step * 4, F32x4.fnma(Points.b, ob, eb));
  }
}

/** Aᵀ: six frequencies to four results. */
@final
export class Result {
  @inline
  static put(
    m0: v128,
    m1: v128,
    m2: v128,
    m3: v128,
    m4: v128,
    m5: v128,
    to: usize,
    step: usize,
  ): void {
    const sa = f32x4.add(m1, m2);
    const da = f32x4.sub(m1, m2);
    const sb = f32x4.add(m3, m4);
    const db = f32x4.sub(m3, m4);
    v128.store(to, f32x4.add(m0, f32x4.add(sa, sb)));
    v128.store(to + step, F32x4.fma(Points.b, db, f32x4.mul(Points.a, da)));
    v128.store(to + step * 2, F32x4.fma(Points.b2, sb, f32x4.mul(Points.a2, sa)));
    const x3 = F32x4.fma(Points.a3, da, m5);
    v128.store(to + step * 3, F32x4.fma(Points.b3, db, x3));
  }
}

/** A, the adjoint of Result: four results to six frequencies. */
@final
export class ResultAdjoint {
  @inline
  static put(d0: v128, d1: v128, d2: v128, d3: v128, to: usize, step: usize): void {
    v128.store(to, d0);
    v128.store(to + step * 5, d3);
    const ea = F32x4.fma(Points.a2, d2, d0);
    const oa = F32x4.fma(Points.a2, d3, d1);
    v128.store(to + step, F32x4.fma(Points.a, oa, ea));
    v128.store(to + step * 2, F32x4.fnma(Points.a, oa, ea));
    const eb = F32x4.fma(Points.b2, d2, d0);
    const ob = F32x4.fma(Points.b2, d3, d1);
    v128.store(to + step * 3, F32x4.fma(Points.b, ob, eb));
    v128.store(to + step * 4, F32x4.fnma(Points.b, ob, eb));
  }
}

/** G: three taps to six frequencies. */
@final
export class Filter {
  @inline
  static put(g0: v128, g1: v128, g2: v128, to: usize, step: usize): void {
    v128.store(to, f32x4.mul(Points.n0, g0));
    v128.store(to + step * 5, g2);
    const ea = F32x4.fma(Points.a2, g2, g0);
    v128.store(to + step, f32x4.mul(Points.na, F32x4.fma(Points.a, g1, ea)));
    v128.store(to + step * 2, f32x4.mul(Points.na, F32x4.fnma(Points.a, g1, ea)));
    const eb = F32x4.fma(Points.b2, g2, g0);
    v128.store(to + step * 3, f32x4.mul(Points.nb, F32x4.fma(Points.b, g1, eb)));
    v128.store(to + step * 4, f32x4.mul(Points.nb, F32x4.fnma(Points.b, g1, eb)));
  }
}

/** Gᵀ, the adjoint of Filter: six frequencies to three taps. */
@final
export class FilterAdjoint {
  @inline
  static put(
    m0: v128,
    m1: v128,
    m2: v128,
    m3: v128,
    m4: v128,
    m5: v128,
    to: usize,
    step: usize,
  ): void {
    const sa = f32x4.mul(Points.na, f32x4.add(m1, m2));
    const da = f32x4.mul(Points.na, f32x4.sub(m1, m2));
    const sb = f32x4.mul(Points.nb, f32x4.add(m3, m4));
    const db = f32x4.mul(Points.nb, f32x4.sub(m3, m4));
    v128.store(to, F32x4.fma(Points.n0, m0, f32x4.add(sa, sb)));
    v128.store(to + step, F32x4.fma(Points.b, db, f32x4.mul(Points.a, da)));
    const x2 = F32x4.fma(Points.a2, sa, m5);
    v128.store(to + step * 2, F32x4.fma(Points.b2, sb, x2));
  }
}

/**
 * F(3, 3) at ±1/2, ±1 and ∞, as polynomials: the five coefficients of a product of two of three, for gradients.
 * All constants but G's divisor are exact, and its error is half of that of F(4, 3); with the customary
 * point 0 in place of one of them it would be twice as large.
 */
// prettier-ignore
const SMALL: usize = memory.data<f32>([
  0.5, 0.5, 0.5, 0.5, // a
  0.25, 0.25, 0.25, 0.25, // a²
  0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, // 1 / 2(1 − a²)
], 16);

@final
class SmallPoints {
  @inline
  static get a(): v128 {
    return v128.load(SMALL);
  }
  @inline
  static get a2(): v128 {
    return v128.load(SMALL, 16);
  }
  @inline
  static get n(): v128 {
    return v128.load(SMALL, 32);
  }
}

/** A of F(3, 3): three results to five frequencies. */
@final
export class SmallResultAdjoint {
  @inline
  static put(d0: v128, d1: v128, d2: v128, to: usize, step: usize): void {
    const ea = F32x4.fma(SmallPoints.a2, d2, d0);
    v128.store(to, F32x4.fma(SmallPoints.a, d1, ea));
    v128.store(to + step, F32x4.fnma(SmallPoints.a, d1, ea));
    const eb = f32x4.add(d0, d2);
    v128.store(to + step * 2, f32x4.add(eb, d1));
    v128.store(to + step * 3, f32x4.sub(eb, d1));
    v128.store(to + step * 4, d2);
  }
}

/** B of F(3, 3): five frequencies to five inputs. */
@final
export class SmallDataAdjoint {
  @inline
  static put(m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, to: usize, step: usize): void {
    const sa = f32x4.add(m0, m1);
    const db = f32x4.sub(m2, m3);
    const half = f32x4.sub(m0, m1);
    const da = f32x4.add(half, half); // divided by a
    const rest = f32x4.sub(f32x4.add(m2, m3), m4);
    v128.store(to, F32x4.fnma(SmallPoints.a2, rest, sa));
    v128.store(to + step, F32x4.fnma(SmallPoints.a2, db, da));
    v128.store(to + step * 2, F32x4.fnma(SmallPoints.a2, m4, f32x4.sub(rest, sa)));
    v128.store(to + step * 3, f32x4.sub(db, da));
    v128.store(to + step * 4, m4);
  }
}

/** G of F(3, 3): three taps to five frequencies. */
@final
export class SmallFilter {
  @inline
  static put(g0: v128, g1: v128, g2: v128, to: usize, step: usize): void {
    const ea = F32x4.fma(SmallPoints.a2, g2, g0);
    v128.store(to, f32x4.mul(SmallPoints.n, F32x4.fma(SmallPoints.a, g1, ea)));
    v128.store(to + step, f32x4.mul(SmallPoints.n, F32x4.fnma(SmallPoints.a, g1, ea)));
    const eb = f32x4.add(g0, g2);
    v128.store(to + step * 2, f32x4.mul(SmallPoints.n, f32x4.add(eb, g1)));
    v128.store(to + step * 3, f32x4.mul(SmallPoints.n, f32x4.sub(eb, g1)));
    v128.store(to + step * 4, g2);
  }
}

/**
 * The second pass of a transform from six lines: line j, whose six vectors lie 96 bytes apart at
 * `from + 16·j`, goes to `to + nt·j`, `step` bytes apart. n lines.
 */
export function data_lines(from: usize, to: usize, step: usize, nt: usize): void {
  for (let j = 0; j < 6; j++) {
    // prettier-ignore
    Data.put(v128.load(from), v128.load(from, 96), v128.load(from, 192), v128.load(from, 288),
      v128.load(from, 384), v128.load(from, 480), to, step);
    from += 16;
    to += nt;
  }
}

/** The same of ResultAdjoint: four vectors. */
export function result_adjoint_lines(from: usize, to: usize, step: usize, nt: usize): void {
  for (let j = 0; j < 6; j++) {
    // prettier-ignore
    ResultAdjoint.put(v128.load(from), v128.load(from, 96), v128.load(from, 192), v128.load(from, 288),
      to, step);
    from += 16;
    to += nt;
  }
}

/** A first pass from frequencies: line j from `from + nf·j`, `step` bytes apart, to `to + 16·j`, 96 bytes apart. */
export function result_lines(from: usize, step: usize, nf: usize, to: usize): void {
  for (let j = 0; j < 6; j++) {
    // prettier-ignore
    Result.put(v128.load(from), v128.load(from + step), v128.load(from + step * 2),
      v128.load(from + step * 3), v128.load(from + step * 4), v128.load(from + step * 5), to, 96);
    from += nf;
    to += 16;
  }
}
