/**
 * Running averages of gradients, as all fused forms of Adam keep them; `i` and `stop` count bytes.
 *
 * Denormals are 85 times slower than other numbers, so they become 0.
 */

/** A method, because asc warns of exported functions that return vectors. */
@final
class Second {
  /** Four elements of the sums below: what v becomes. */
  @inline
  static step(
    v: usize,
    grad: usize,
    beta2: v128,
    oneMinusBeta2: v128,
    tinyV: v128,
    tinyG: v128,
  ): v128 {
    const given = v128.load(grad);
    const g = v128.andnot(given, f32x4.lt(f32x4.abs(given), tinyG));
    const kept = f32x4.mul(beta2, v128.load(v));
    const sum = f32x4.add(kept, f32x4.mul(f32x4.mul(oneMinusBeta2, g), g));
    const next = v128.andnot(sum, f32x4.lt(sum, tinyV));
    v128.store(v, next);
    return next;
  }
}

/** v = beta2·v + (1 − beta2) g²; v below `tinyV` becomes 0, and so does g² for |g| below `tinyG`. */
export function secondMoment(
  v: usize,
  grad: usize,
  beta2: f32,
  oneMinusBeta2: f32,
  tinyV: f32,
  tinyG: f32,
  i: usize,
  stop: usize,
): void {
  const beta2s = f32x4.splat(beta2);
  const oneMinusBeta2s = f32x4.splat(oneMinusBeta2);
  const tinyVs = f32x4.splat(tinyV);
  const tinyGs = f32x4.splat(tinyG);
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    Second.step(v + i, grad + i, beta2s, oneMinusBeta2s, tinyVs, tinyGs);
  }
  for (; i < stop; i += 4) {
    let g = load<f32>(grad + i);
    if (abs<f32>(g) < tinyG) g = 0;
    const vi: f32 = beta2 * load<f32>(v + i) + oneMinusBeta2 * g * g;
    store<f32>(v + i, vi < tinyV ? 0 : vi);
  }
}

/** The same, and roots = √(v·invBias2) + eps: square roots hide behind the rest of this loop. */
export function secondMomentRoots(
  v: usize,
  roots: usize,
  grad: usize,
  beta2: f32,
  oneMinusBeta2: f32,
  invBias2: f32,
  eps: f32,
  tinyV: f32,
  tinyG: f32,
  i: usize,
  stop: usize,
): void {
  const beta2s = f32x4.splat(beta2);
  const oneMinusBeta2s = f32x4.splat(oneMinusBeta2);
  const invBias2s = f32x4.splat(invBias2);
  const epsilons = f32x4.splat(eps);
  const tinyVs = f32x4.splat(tinyV);
  const tinyGs = f32x4.splat(tinyG);
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    const vi = Second.step(v + i, grad + i, beta2s, oneMinusBeta2s, tinyVs, tinyGs);
    v128.store(roots + i, f32x4.add(f32x4.sqrt(f32x4.mul(vi, invBias2s)), epsilons));
  }
  secondMoment(v, grad, beta2, oneMinusBeta2, tinyV, tinyG, i, stop);
  for (; i < stop; i += 4) {
    store<f32>(roots + i, sqrt<f32>(load<f32>(v + i) * invBias2) + eps);
  }
}

/** m = momentum·m + (1 − momentum) g */
export function firstMoment(
  m: usize,
  grad: usize,
  momentum: f32,
  oneMinusMomentum: f32,
  i: usize,
  stop: usize,
): void {
  const momenta = f32x4.splat(momentum);
  const oneMinusMomenta = f32x4.splat(oneMinusMomentum);
  const smallest = f32x4.splat(f32.MIN_NORMAL_VALUE);
  const body = i + ((stop - i) & ~15);
  for (; i < body; i += 16) {
    const mi = f32x4.add(
      f32x4.mul(momenta, v128.load(m + i)),
      f32x4.mul(oneMinusMomenta, v128.load(grad + i)),
    );
    v128.store(m + i, v128.andnot(mi, f32x4.lt(f32x4.abs(mi), smallest)));
  }
  for (; i < stop; i += 4) {
    const mi: f32 = momentum * load<f32>(m + i) + oneMinusMomentum * load<f32>(grad + i);
    store<f32>(m + i, abs<f32>(mi) < f32.MIN_NORMAL_VALUE ? 0 : mi);
  }
}
