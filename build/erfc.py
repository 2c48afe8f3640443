"""Coefficients of src/elementary/erf.ts; needs mpmath. G(t) = (1 + 2z) exp(z²) erfc(z) with
z = 4 (1 + t)/(1 - t), around t = j/4, j = -3 … 3, by interpolation in Chebyshev points."""

from mpmath import chebyfit, erfc, exp, mp, mpf, nstr

mp.prec = 200


def g(t):
    z = 4 * (1 + t) / (1 - t)
    return (1 + 2 * z) * exp(z * z) * erfc(z)


for j in range(-3, 4):
    center = mpf(j) / 4
    # A little beyond ±1/8: the rounded quotient decides which centre is nearest.
    p, error = chebyfit(lambda u: g(center + u), [-0.1251, 0.1251], 12, error=True)
    constant = p[-1]
    high = float(constant)
    print(f"  // t near {float(center)}, error {nstr(error, 2)}")
    numbers = [repr(float(constant - mpf(high))), repr(high)]
    print("  " + ", ".join([repr(float(c)) for c in p[:-1]] + numbers) + ",")
