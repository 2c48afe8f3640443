/**
 * Double-double arithmetic: a number as the unevaluated sum high + low of two float64, |low| at most
 * half a unit in the last place of high, which gives about 106 bits. It needs nothing but IEEE 754
 * + − × ÷ √ and no fused multiply-add (T. J. Dekker, "A floating-point technique for extending the
 * available precision", Numerische Mathematik 18, 1971; J.-M. Muller et al., "Handbook of
 * Floating-Point Arithmetic", chapter 4).
 *
 * The tuples make tables when a module loads; what runs for every element works with plain numbers.
 */
export type Double = readonly [high: number, low: number];

/** The upper 26 bits (Veltkamp), so that products of such halves are exact. |a| < 2^996. */
export function upperHalf(a: number): number {
  const c = 134217729 * a; // 2^27 + 1
  return c - (c - a);
}

/** a b − product, exactly, for product = a b rounded. Below 2^996, and above 2^-968 or 0. */
export function productError(a: number, b: number, product: number): number {
  const a1 = upperHalf(a);
  const b1 = upperHalf(b);
  const a2 = a - a1;
  const b2 = b - b1;
  return a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
}

/** a + b − sum, exactly, for sum = a + b rounded (Knuth). */
export function sumError(a: number, b: number, sum: number): number {
  const b1 = sum - a;
  return a - (sum - b1) + (b - b1);
}

/** (a + aLow) / (b + bLow) rounded: half a unit in the last place, and 2^-100 or so. */
export function quotient(a: number, aLow: number, b: number, bLow: number): number {
  const q = a / b;
  const p = q * b;
  return q + (a - p - productError(q, b, p) + aLow - q * bLow) / b;
}

function normalize(high: number, low: number): Double {
  const sum = high + low;
  return [sum, low - (sum - high)];
}

export function add([a, aLow]: Double, [b, bLow]: Double): Double {
  const sum = a + b;
  return normalize(sum, sumError(a, b, sum) + aLow + bLow);
}

export function mul([a, aLow]: Double, [b, bLow]: Double): Double {
  const product = a * b;
  return normalize(product, productError(a, b, product) + (a * bLow + aLow * b));
}

export function div([a, aLow]: Double, [b, bLow]: Double): Double {
  const q = a / b;
  const p = q * b;
  return normalize(q, (a - p - productError(q, b, p) + aLow - q * bLow) / b);
}

/** One step of Newton's method from the rounded root. */
export function sqrt([a, aLow]: Double): Double {
  const root = Math.sqrt(a);
  const p = root * root;
  return normalize(root, (a - p - productError(root, root, p) + aLow) / (2 * root));
}
