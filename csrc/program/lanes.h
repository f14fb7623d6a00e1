/* lanes.h: elementary functions without branches or calls, for loops that compilers vectorise.
 *
 * Measured against glibc 2.36, at a million points for each range (a part of them in
 * tests/compile/test_lanes.py):
 *     exp      differs by one unit in the last place at 1.4% of the points, by more at none
 *     log      differs by one unit at 8% of the points near 1, elsewhere hardly ever
 *     sigmoid  the engine's formula over this exp: differs by at most two units
 *     tanh     the engine's formula over this exp. Near 0 the subtraction e - 1 cancels, so that a
 *              unit of e counts for more. But there the rounding errors of this exp vanish, and the
 *              bits of e are nearly always the library's: they differ at 0.08% of the points where
 *              |x| < 0.01, and at one in a million where |x| < 1e-6.
 *     sin, cos differ by one unit at 3.8% of the points where |x| < 1, at 3.2% up to 10^5, and by
 *              more at none; next to all multiples of pi/2 up to 10^5 at one in 100,000. The error
 *              is below 0.79 units.
 *     x^y      differs by one unit at 1.5% of the points, at 2.1% where a mantissa is near
 *              sqrt(2/3) or sqrt(3/2), and by more at none. The error is below 0.68 units.
 * The last two leave the lanes that are out of the ordinary to the library: they return nan there,
 * and lane_operators.h calls the library. A result does not depend on other lanes.
 *
 * Short ways: x^3 by two products, x^0.5 by a square root, x^-0.5 by a square root and a quotient
 * differ by at most one unit from what pow returns. */
#ifndef MG_LANES_H
#define MG_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "compiler.h"

MG_INLINE uint64_t mg_lane_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

MG_INLINE double mg_lane_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 1.5 * 2^52. The sum of this and a small number has the nearest integer in its lowest bits. */
#define MG_SHIFT 6755399441055744.0
/* ln 2 in two parts, the first with 21 zero bits at its end, as in fdlibm. */
#define MG_LN2_HIGH 6.93147180369123816490e-01
#define MG_LN2_LOW 1.90821492927058770002e-10

/* ---- exponentials and logarithms ---- */

/* 2^k for an integer k from -1022 to 1023. */
MG_INLINE double mg_lane_scale(double k) {
    return mg_lane_double((mg_lane_bits(k + MG_SHIFT) + 1023) << 52);
}

/* e^(x + more) = 2^k e^r with |r| <= ln 2 / 2, where |more| is below a unit of x: return e^r. r is
 * kept in two parts, and so is 1 + r, so that little but the last addition rounds. e^r is its
 * series up to r^13; the terms left out are below 2^-57. */
MG_INLINE double mg_lane_reduced_exp(double x, double more, double *exponent) {
    const double k = (x * 1.44269504088896338700e+00 + MG_SHIFT) - MG_SHIFT;
    const double high = x - k * MG_LN2_HIGH;
    const double low = k * MG_LN2_LOW;
    const double r = high - low;
    const double rest = ((high - r) - low) + more;
    const double r2 = r * r, r4 = r2 * r2;
    const double a = 1.0 / 2 + r * (1.0 / 6);
    const double b = 1.0 / 24 + r * (1.0 / 120);
    const double c = 1.0 / 720 + r * (1.0 / 5040);
    const double d = 1.0 / 40320 + r * (1.0 / 362880);
    const double e = 1.0 / 3628800 + r * (1.0 / 39916800);
    const double f = 1.0 / 479001600 + r * (1.0 / 6227020800.0);
    const double series = r2 * ((a + r2 * b) + r4 * ((c + r2 * d) + r4 * (e + r2 * f)));
    const double sum = 1.0 + r;
    const double left = r - (sum - 1.0);
    *exponent = k;
    return sum + (left + (series + rest * (sum + series)));
}

/* 2^k is multiplied in two halves, for results that are subnormal. */
MG_INLINE double mg_lane_exp(double x) {
    double k;
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    const double y = mg_lane_reduced_exp(x, -0.0, &k); /* x + -0.0 is x, and costs nothing */
    const double half = (k * 0.5 + MG_SHIFT) - MG_SHIFT;
    return y * mg_lane_scale(half) * mg_lane_scale(k - half);
}

/* log x = k ln 2 + log(1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), as in fdlibm's e_log.c. */
MG_INLINE double mg_lane_log(double x) {
    const double tiny = 2.2250738585072014e-308; /* subnormal numbers lie below */
    const double wide = x < tiny ? x * 18014398509481984.0 : x;
    const uint64_t bits = mg_lane_bits(wide);
    const uint64_t shifted = bits - 0x3fe6a09e667f3bcdu + ((uint64_t)1023 << 52);
    const uint64_t exponent = shifted >> 52;
    const double biased = mg_lane_double(exponent | 0x4330000000000000u) - 4503599627370496.0;
    const double k = biased - (x < tiny ? 1077.0 : 1023.0);
    const double f = mg_lane_double(bits - ((exponent - 1023) << 52)) - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s, w = z * z;
    const double t1 = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double t2 = z * (6.666666666666735130e-01 +
                           w * (2.857142874366239149e-01 +
                                w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double half = 0.5 * f * f;
    const double y = k * MG_LN2_HIGH - ((half - (s * (half + (t1 + t2)) + k * MG_LN2_LOW)) - f);
    const double edge = x == 0.0 ? -INFINITY : x < 0.0 ? NAN : x; /* log inf = inf, log nan = nan */
    return x > 0.0 && x < INFINITY ? y : edge;
}

MG_INLINE double mg_lane_tanh(double x) {
    const double e = mg_lane_exp(2.0 * x);
    const double y = (e - 1.0) / (e + 1.0);
    return e == INFINITY ? 1.0 : y;
}

MG_INLINE double mg_lane_sigmoid(double x) {
    const double e = mg_lane_exp(x < 0.0 ? x : -x);
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}

/* ---- powers ---- */

/* x without its lowest 27 bits: the product of two such numbers is exact. */
MG_INLINE double mg_lane_head(double x) {
    return mg_lane_double(mg_lane_bits(x) & 0xfffffffff8000000u);
}

/* log |x| = high + low for a normal x, to 2^-67 of it; high has 26 bits, and is nan for other x.
 *
 * |x| = 2^k m with sqrt(2/3) <= m < 2 sqrt(2/3), and log m = log c + 2 artanh s, where c is 1 or
 * 1.5 and s = (m - c) / (m + c), so that |s| <= 0.102. 2 artanh s = 2/3 s (3 + s^2 + s^4 p(s^2)),
 * and the polynomial p interpolates at Chebyshev's points. Each factor is a head, so that products
 * of heads are exact, and a rest of 2^-26 of it. fdlibm's e_pow.c goes this way, too. */
MG_INLINE double mg_lane_long_log(double x, double *low) {
    const double size = fabs(x);
    const uint64_t bits = mg_lane_bits(size);
    const uint64_t shifted = bits - 0x3fea20bd700c2c3eu + ((uint64_t)1023 << 52);
    const uint64_t exponent = shifted >> 52;
    const double k = mg_lane_double(exponent | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
    const double m = mg_lane_double(bits - ((exponent - 1023) << 52));
    const double half = m > 1.224744871391589 ? 0.5 : 0.0; /* sqrt 1.5 */
    const double c = 1.0 + half;
    const double c_high = half * (2 * 0.40546510787680745); /* log c, the first part with 32 bits */
    const double c_low = half * (2 * 2.3135693072984416e-10);

    const double f = m - c, inverse = 1.0 / (m + c);
    const double s = f * inverse;
    const double t_high = mg_lane_head(m + c), t_low = m - (t_high - c);
    const double s_high = mg_lane_head(s);
    const double s_low = ((f - s_high * t_high) - s_high * t_low) * inverse;

    const double z = s * s, z2 = z * z;
    const double p01 = 0.6 + z * 0.4285714285714264;
    const double p23 = 0.3333333333367868 + z * 0.27272727069880004;
    const double p45 = 0.23076979772167147 + z * 0.19991876777718842;
    const double p = p01 + z2 * (p23 + z2 * (p45 + z2 * 0.18222267978052858));
    const double z_high = s_high * s_high;
    const double rest = z2 * p + s_low * (s_high + s);
    const double q_high = mg_lane_head((3.0 + z_high) + rest);
    const double q_low = rest - ((q_high - 3.0) - z_high);

    const double u = s_high * q_high, v = s_low * q_high + s * q_low;
    const double w_high = mg_lane_head(u + v), w_low = v - (w_high - u);
    const double y_high = w_high * 0.6666666567325592; /* 2/3, in two parts */
    const double y_low = w_high * 9.934107462565104e-09 + w_low * 0.6666666666666666;
    const double k_high = k * MG_LN2_HIGH;
    const double tail = (y_low + c_low) + k * MG_LN2_LOW;
    const double high = mg_lane_head(((k_high + c_high) + y_high) + tail);
    *low = tail - (((high - k_high) - c_high) - y_high);
    const double finite = high + (size - size); /* inf - inf is nan */
    return size >= 2.2250738585072014e-308 ? finite : NAN;
}

/* e^(y (log_high + log_low)), or nan where that is not well inside the normal numbers. */
MG_INLINE double mg_lane_exp_of_product(double y, double log_high, double log_low) {
    double k;
    const double y_high = mg_lane_head(y), y_low = y - y_high;
    const double product = y_high * log_high, rest = y_low * log_high + y * log_low;
    const double high = product + rest, low = rest - (high - product);
    const double z = mg_lane_reduced_exp(high, low, &k) * mg_lane_scale(k);
    return fabs(high) <= 708.0 ? z : NAN;
}

/* x^y of a power z of |x|: nan where x is negative and y no integer, or no integer below 2^51. */
MG_INLINE double mg_lane_signed_power(double x, double y, double z) {
    const double shifted = y + MG_SHIFT; /* of an odd y the lowest bit is set */
    const uint64_t sign = mg_lane_bits(x) & (mg_lane_bits(shifted) << 63);
    const double integer = fabs(y) < 2251799813685248.0 ? shifted - MG_SHIFT : NAN;
    return (x > 0.0 ? y : integer) == y ? mg_lane_double(mg_lane_bits(z) ^ sign) : NAN;
}

/* The square root as pow(x, 0.5) has it: of -0 it is 0, of -inf it is inf. */
MG_INLINE double mg_lane_root(double x) {
    return x == -INFINITY ? INFINITY : sqrt(x + 0.0);
}

/* ---- sine and cosine ---- */

/* sin x where quarter is 0, cos x where it is 1, or nan where |x| is above 10^5 or nan.
 *
 * |x| = k pi/2 + r with |r| <= pi/4, by pi/2 in three parts, of which the first two have products
 * with k that are exact; k is below 2^16. r is kept in two parts. Its relative error is largest for
 * numbers next to a multiple of pi/2, and below 2^-56 there. The polynomials are those of fdlibm's
 * k_sin.c and k_cos.c. */
MG_INLINE double mg_lane_ordinary_sine(double x, uint64_t quarter) {
    const double size = fabs(x);
    const double shifted = size * 0.6366197723675814 + MG_SHIFT, k = shifted - MG_SHIFT;
    const double first = size - k * 1.5707963267923333;
    const double second = k * 2.5633441515839558e-12;
    const double high = first - second;
    const double low = k * 1.0562999066987428e-23 - ((first - high) - second);
    const double r = high - low, rest = (high - r) - low;
    const double z = r * r, z2 = z * z;
    const double s23 = -1.98412698298579493134e-04 + z * 2.75573137070700676789e-06;
    const double s45 = -2.50507602534068634195e-08 + z * 1.58969099521155010221e-10;
    const double s = (8.33333333332248946124e-03 + z * s23) + z * z2 * s45;
    const double cube = z * r;
    const double sine =
        r - ((z * (0.5 * rest - cube * s) - rest) - cube * -1.66666666666666324348e-01);
    const double c01 = 4.16666666666666019037e-02 + z * -1.38888888888741095749e-03;
    const double c23 = 2.48015872894767294178e-05 + z * -2.75573143513906633035e-07;
    const double c45 = 2.08757232129817482790e-09 + z * -1.13596475577881948265e-11;
    const double c = z * (c01 + z2 * (c23 + z2 * c45));
    const double half = 0.5 * z, whole = 1.0 - half;
    const double cosine = whole + (((1.0 - whole) - half) + (z * c - r * rest));

    const uint64_t turn = mg_lane_bits(shifted) + quarter; /* counts quarters of a turn */
    const uint64_t other = 0 - (turn & 1);
    const uint64_t odd = mg_lane_bits(x) & (quarter - 1); /* the sine alone has the sign of x */
    const uint64_t sign = (((turn >> 1) << 63) ^ odd) & 0x8000000000000000u;
    const uint64_t bits = (mg_lane_bits(sine) & ~other) | (mg_lane_bits(cosine) & other);
    return size <= 1e5 ? mg_lane_double(bits ^ sign) : NAN;
}

#endif
