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
 *
 * The further ones were measured against numbers of 113 bits. The largest errors that were
 * found, of values and of derivatives, in units in the last place:
 *     log1p     0.83 1.50     log2      1.64 0.63     asin      2.02 2.16     hypot     1.17 2.35
 *     expm1     1.07 0.75     log10     0.73 0.73     acos      2.49 2.16     atan2     1.81 2.38
 *     softplus  1.43 2.12     sinh      2.13 1.58     atan      1.05 2.20     gelu      3.68 3.32
 *     silu      2.64 3.50     cosh      1.58 2.13     tan       1.33 3.16     erf       1.43 1.30
 *     asinh     1.69 2.16     acosh     2.59 3.15     atanh     1.51 2.01     erfc      3.42 1.28
 * The derivatives of gelu and silu are sums of two terms, of which one is negative where x is.
 * Where these cancel, for x from -3 to 0, their errors are below 1.2e-16.
 *
 * With AVX2 exp and log take 3 ns a row, expm1, log2, hypot, sinh, cosh and log1p 1 to 3.5 (calls
 * of the library 3 to 19), atan, atan2, tan, silu and the inverse functions 4 to 5 (5 to 23), log10
 * and softplus 5.5 (9.5, 15), erf, erfc and gelu 8 to 9 (19 to 28).
 *
 * Sine, cosine, powers and the further functions leave lanes that are out of the ordinary to the
 * library: they return nan there, and lane_functions.h or called.c calls the library. A result does
 * not depend on other lanes.
 *
 * Short ways: x^3 by two products, x^0.5 by a square root, x^-0.5 by a square root and a quotient
 * differ by at most one unit from what pow returns. */
#ifndef MG_LANES_H
#define MG_LANES_H

#include <math.h>
#include <stdbool.h>
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

/* x where mask has no bits, y where it has all. */
MG_INLINE double mg_lane_either(uint64_t mask, double x, double y) {
    return mg_lane_double((mg_lane_bits(x) & ~mask) | (mg_lane_bits(y) & mask));
}

#define MG_SIGN ((uint64_t)1 << 63)

MG_INLINE double mg_lane_with_sign(double size, double x) {
    return mg_lane_double(mg_lane_bits(fabs(size)) | (mg_lane_bits(x) & MG_SIGN));
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

/* e^(x + more) = 2^k e^r with |r| <= ln 2 / 2, where |more| is below a unit of x: return e^r but
 * for *rest, which is smaller by far. r is kept in two parts, and so is 1 + r, so that little but
 * the last addition rounds. e^r is its series up to r^13; the terms left out are below 2^-57. */
MG_INLINE double mg_lane_split_exp(double x, double more, double *exponent, double *rest) {
    const double k = (x * 1.44269504088896338700e+00 + MG_SHIFT) - MG_SHIFT;
    const double high = x - k * MG_LN2_HIGH;
    const double low = k * MG_LN2_LOW;
    const double r = high - low;
    const double lost = ((high - r) - low) + more;
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
    *rest = left + (series + lost * (sum + series));
    return sum;
}

/* e^r in one part. */
MG_INLINE double mg_lane_reduced_exp(double x, double more, double *exponent) {
    double rest;
    const double sum = mg_lane_split_exp(x, more, exponent, &rest);
    return sum + rest;
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

/* log x = k ln 2 + log(1 + f) for a normal x > 0, with sqrt(1/2) <= 1 + f < sqrt(2), as in fdlibm's
 * e_log.c. log(1 + f) = f - (half - rest). */
typedef struct {
    double k, f, half, rest;
} mg_log_parts;

MG_INLINE mg_log_parts mg_lane_split_log(double x) {
    const uint64_t bits = mg_lane_bits(x);
    const uint64_t shifted = bits - 0x3fe6a09e667f3bcdu + ((uint64_t)1023 << 52);
    const uint64_t exponent = shifted >> 52;
    const double k = mg_lane_double(exponent | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
    const double f = mg_lane_double(bits - ((exponent - 1023) << 52)) - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s, w = z * z;
    const double t1 = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double t2 = z * (6.666666666666735130e-01 +
                           w * (2.857142874366239149e-01 +
                                w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double half = 0.5 * f * f;
    return (mg_log_parts){k, f, half, s * (half + (t1 + t2))};
}

/* log x + more, where |more| is below a unit of 1, and x is a normal number that is 2^lift times
 * what is meant. */
MG_INLINE double mg_lane_normal_log(double x, double lift, double more) {
    const mg_log_parts of = mg_lane_split_log(x);
    const double k = of.k - lift, tail = k * MG_LN2_LOW + more;
    return k * MG_LN2_HIGH - ((of.half - (of.rest + tail)) - of.f);
}

MG_INLINE double mg_lane_log(double x) {
    const double tiny = 2.2250738585072014e-308; /* subnormal numbers lie below */
    const double wide = x < tiny ? x * 18014398509481984.0 : x;
    const double y = mg_lane_normal_log(wide, x < tiny ? 54.0 : 0.0, -0.0);
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

/* A number in two parts: what a last addition has lost is in the second one. */
typedef struct {
    double sum, lost;
} mg_two_parts;

/* *sine and *cosine of r, where size = k pi/2 + r with |r| <= pi/4, and size is from 0 to 10^5:
 * return bits whose lowest two are those of k.
 *
 * pi/2 has three parts, of which the first two have products with k that are exact; k is below
 * 2^16. r is kept in two parts. Its relative error is largest for numbers next to a multiple of
 * pi/2, and below 2^-56 there. The polynomials are those of fdlibm's k_sin.c and k_cos.c. */
MG_INLINE uint64_t mg_lane_turn(double size, mg_two_parts *sine, mg_two_parts *cosine) {
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
    const double less = (z * (0.5 * rest - cube * s) - rest) - cube * -1.66666666666666324348e-01;
    sine->sum = r - less;
    sine->lost = (r - sine->sum) - less;
    const double c01 = 4.16666666666666019037e-02 + z * -1.38888888888741095749e-03;
    const double c23 = 2.48015872894767294178e-05 + z * -2.75573143513906633035e-07;
    const double c45 = 2.08757232129817482790e-09 + z * -1.13596475577881948265e-11;
    const double c = z * (c01 + z2 * (c23 + z2 * c45));
    const double half = 0.5 * z, whole = 1.0 - half;
    const double more = ((1.0 - whole) - half) + (z * c - r * rest);
    cosine->sum = whole + more;
    cosine->lost = more - (cosine->sum - whole);
    return mg_lane_bits(shifted);
}

/* sin x where quarter is 0, cos x where it is 1, or nan where |x| is above 10^5 or nan. */
MG_INLINE double mg_lane_ordinary_sine(double x, uint64_t quarter) {
    mg_two_parts sine, cosine;
    const double size = fabs(x);
    const uint64_t turn = mg_lane_turn(size, &sine, &cosine) + quarter; /* quarters of a turn */
    const uint64_t other = 0 - (turn & 1);
    const uint64_t odd = mg_lane_bits(x) & (quarter - 1); /* the sine alone has the sign of x */
    const uint64_t sign = (((turn >> 1) << 63) ^ odd) & MG_SIGN;
    const uint64_t bits = mg_lane_bits(mg_lane_either(other, sine.sum, cosine.sum));
    return size <= 1e5 ? mg_lane_double(bits ^ sign) : NAN;
}

/* tan x, or nan where |x| is above 10^5 or nan: sin r / cos r, or -cos r / sin r for an odd k. */
MG_INLINE double mg_lane_ordinary_tangent(double x) {
    mg_two_parts sine, cosine;
    const double size = fabs(x);
    const uint64_t other = 0 - (mg_lane_turn(size, &sine, &cosine) & 1);
    const double under = mg_lane_either(other, cosine.sum, sine.sum);
    const double over_lost = mg_lane_either(other, sine.lost, cosine.lost);
    const double under_lost = mg_lane_either(other, cosine.lost, sine.lost);
    const double ratio = mg_lane_either(other, sine.sum, cosine.sum) / under;
    const double y = ratio + (over_lost - ratio * under_lost) / under;
    const uint64_t sign = (mg_lane_bits(x) ^ other) & MG_SIGN;
    return size <= 1e5 ? mg_lane_double(mg_lane_bits(y) ^ sign) : NAN;
}

/* ---- angles ---- */

/* The angle of the point (x, y), atan2(y, x); nan where both are 0 or infinite, or too large.
 *
 * In the first eighth of a turn the angle is atan(a / b), where a and b are the smaller and the
 * larger of |x| and |y|, or pi/4 + atan((a - b) / (a + b)), so that |t| <= tan(pi/8) for atan t;
 * the other eighths are mirrored. atan t = t + t^3 p(t^2), and the polynomial p interpolates at
 * Chebyshev's points, to 2^-56 of the result. */
MG_INLINE double mg_lane_angle(double y, double x) {
    const double height = fabs(y), width = fabs(x);
    const double a = height > width ? width : height, b = height > width ? height : width;
    const bool middle = a > 0.41421356237309503 * b;
    const double over = middle ? a - b : a, under = middle ? a + b : b;
    const double t = over / under, z = t * t, z2 = z * z, z4 = z2 * z2;
    const double p01 = -0.3333333333333333 + z * 0.19999999999995516;
    const double p23 = -0.14285714284665682 + z * 0.11111111015187018;
    const double p45 = -0.0909090457530649 + z * 0.07692183125376892;
    const double p67 = -0.06664510525508936 + z * 0.05858140904866328;
    const double p89 = -0.050854078345894844 + z * 0.03923044778479309;
    const double p =
        (p01 + z2 * p23) + z4 * ((p45 + z2 * p67) + z4 * (p89 - z2 * 0.019175404711104935));
    const double eighth = middle ? 1.0 : 0.0; /* turns are counted in eighths */
    const double half = height > width ? 2.0 - eighth : eighth;
    const double turn = x < 0.0 ? 4.0 - half : half;
    const double mirrored = height > width ? -t : t, u = x < 0.0 ? -mirrored : mirrored;
    const double rest = u * z * p + turn * 4.960467898402702e-10; /* pi/4 in two parts, */
    const double angle = turn * 0.7853981629014015 + (u + rest);  /* the first with 30 bits */
    const double sum = middle ? under : 0.0;
    return mg_lane_with_sign(angle + (sum - sum), y); /* inf - inf is nan */
}

/* ---- lengths ---- */

/* A power of two that brings the larger of two numbers to where squares neither overflow nor lose
 * bits; *back is its reciprocal. */
MG_INLINE double mg_lane_scale_of(double x, double y, double *back) {
    const double larger = fabs(x) > fabs(y) ? fabs(x) : fabs(y);
    const double widening = larger < 0x1p-400 ? 0x1p600 : 1.0;
    const double widening_back = larger < 0x1p-400 ? 0x1p-600 : 1.0;
    *back = larger > 0x1p500 ? 0x1p600 : widening_back;
    return larger > 0x1p500 ? 0x1p-600 : widening;
}

/* sqrt(x^2 + y^2), or nan where one is nan and the other infinite. */
MG_INLINE double mg_lane_hypot(double x, double y) {
    double back;
    const double scale = mg_lane_scale_of(x, y, &back), a = x * scale, b = y * scale;
    return sqrt(a * a + b * b) * back;
}

/* x / hypot(x, y), and 0 where both are 0. x is made larger before the division, smaller after it.
 */
MG_INLINE double mg_lane_hypot_dx(double x, double y) {
    double back;
    const double scale = mg_lane_scale_of(x, y, &back), a = x * scale, b = y * scale;
    const double up = scale > 1.0 ? a : x, down = scale < 1.0 ? scale : 1.0;
    const double z = up / sqrt(a * a + b * b) * down;
    return x == 0.0 && y == 0.0 ? 0.0 : z;
}

/* a / (x^2 + y^2), where a is x or y, or nan where x or y is infinite. */
MG_INLINE double mg_lane_over_squares(double a, double x, double y) {
    double back;
    const double scale = mg_lane_scale_of(x, y, &back), p = x * scale, q = y * scale;
    const double z = a * scale / (p * p + q * q) * scale;
    return p * p + q * q < INFINITY ? z : NAN;
}

/* d atan(x)/dx, 1 / (1 + x^2), without overflow of the square. */
MG_INLINE double mg_lane_atan_dx(double x) {
    const bool large = fabs(x) >= 1e150;
    const double z = 1.0 / (large ? x : 1.0 + x * x);
    return large ? z * z : z;
}

/* ---- logarithms and exponentials of numbers near 1 ---- */

/* log(1 + x), or nan where x is -1 or below, infinite or nan. What the sum 1 + x loses is added to
 * the logarithm, divided by the sum, the slope there. */
MG_INLINE double mg_lane_log1p(double x) {
    const double sum = 1.0 + x;
    const double lost = x > 1.0 ? 1.0 - (sum - x) : x - (sum - 1.0);
    const double y = mg_lane_normal_log(sum, 0.0, lost / sum);
    return x > -1.0 && x < INFINITY ? mg_lane_with_sign(y, x) : NAN; /* the sign is for x = -0 */
}

/* (e^x - 1) / 4: a quarter, so that sinh and cosh do not overflow before their time. For |x| below
 * 2^-1000 bits are lost. */
MG_INLINE double mg_lane_quarter_expm1(double x) {
    double k, rest;
    x = x > 710.8 ? 710.8 : x; /* e^x / 2 is infinite from 710.48 on */
    x = x < -40.0 ? -40.0 : x;
    const double sum = mg_lane_split_exp(x, -0.0, &k, &rest), scale = mg_lane_scale(k - 2.0);
    return (sum * scale - 0.25) + rest * scale;
}

/* e^x - 1 of quarter = (e^x - 1) / 4. */
MG_INLINE double mg_lane_expm1(double x, double quarter) {
    return fabs(x) < 0x1p-54 ? x : 4.0 * quarter;
}

/* sinh x and cosh x of quarter = (e^|x| - 1) / 4; the sinh of large numbers is nan. */
MG_INLINE double mg_lane_sinh(double x, double quarter) {
    const double half = 2.0 * quarter, y = half + half / (2.0 * half + 1.0);
    return fabs(x) < 0x1p-54 ? x : mg_lane_with_sign(y, x);
}

MG_INLINE double mg_lane_cosh(double quarter) {
    const double half = 2.0 * quarter;
    return (half + 0.5) + 0.5 / (2.0 * half + 1.0);
}

/* log x to base 2, or nan where x is not normal, or negative: exact for powers of 2. */
MG_INLINE double mg_lane_log2(double x) {
    const mg_log_parts of = mg_lane_split_log(x);
    const double y = of.k + (of.f - (of.half - of.rest)) * 1.4426950408889634;
    return x >= 2.2250738585072014e-308 && x < INFINITY ? y : NAN;
}

/* log x to base 10 of log |x| = high + low, as mg_lane_long_log has it, or nan where x is negative:
 * exact for powers of 10. The factor's first part has 26 bits. */
MG_INLINE double mg_lane_log10(double x, double high, double low) {
    const double factor = 0.4342944819032518, factor_high = mg_lane_head(factor);
    const double factor_low = factor - factor_high;
    const double y = high * factor_high + (high * factor_low + low * factor);
    return x > 0.0 ? y : NAN;
}

/* The arguments of log1p, of which asinh |x|, acosh x and 2 atanh |x| are made: 2 |x| where a
 * square would overflow, and nan where there is no result. */
MG_INLINE double mg_lane_asinh_argument(double x) {
    const double size = fabs(x), square = size * size;
    const double w = size + square / (1.0 + sqrt(1.0 + square));
    return size < 1e150 ? w : 2.0 * size;
}

MG_INLINE double mg_lane_acosh_argument(double x) {
    const double t = x - 1.0, w = t + sqrt(t * (t + 2.0));
    return t < 0.0 ? NAN : t < 1e150 ? w : 2.0 * x;
}

MG_INLINE double mg_lane_atanh_argument(double x) {
    const double size = fabs(x);
    return 2.0 * size / (1.0 - size);
}

/* ---- exponentials of negative numbers, and the error function ---- */

#define MG_ROOT_HALF 0.7071067811865476 /* sqrt(1/2) */

/* Exponentials of negative numbers are kept so many times as large, lest they are subnormal and
 * bits are lost. The last product is with MG_NARROW. */
#define MG_WIDE 0x1p100
#define MG_NARROW 0x1p-100

/* MG_WIDE e^(x + more), where x is 0 or below, and |more| below a unit of x. */
MG_INLINE double mg_lane_wide_exp(double x, double more) {
    double k;
    x = x < -777.0 ? -777.0 : x;
    const double y = mg_lane_reduced_exp(x, more, &k);
    return y * mg_lane_scale(k + 100.0);
}

/* MG_WIDE e^(-share x^2), where share is 1 or 1/2. The square is exact: it has two parts. */
MG_INLINE double mg_lane_wide_bell(double x, double share) {
    const double size = fabs(x) > 40.0 ? 40.0 : fabs(x); /* e^-800 is 0 */
    const double high = mg_lane_head(size), low = size - high, square = size * size;
    const double lost = ((high * high - square) + 2.0 * high * low) + low * low;
    return mg_lane_wide_exp(-share * square, -share * lost);
}

/* erf x for 0 <= x <= 3/4: x + x p(x^2), where the polynomial p interpolates at Chebyshev's points,
 * to 2^-55. */
MG_INLINE double mg_lane_core_erf(double x) {
    const double z = x * x, z2 = z * z, z4 = z2 * z2;
    const double p01 = 0.1283791670955126 + z * -0.37612638903183754;
    const double p23 = 0.11283791670955087 + z * -0.026866170645118446;
    const double p45 = 0.005223977625222192 + z * -0.0008548327001135946;
    const double p67 = 0.00012055331545294116 + z * -1.4925589383821143e-05;
    const double p89 = 1.646038320985815e-06 + z * -1.63332293434337e-07;
    const double pab = 1.4413879289095029e-08 + z * -9.502840894774706e-10;
    const double p = (p01 + z2 * p23) + z4 * ((p45 + z2 * p67) + z4 * (p89 + z2 * pab));
    return x + x * p;
}

/* e^(a^2) erfc a for a from 0.47 on, where a is `size`, or size / sqrt 2 if `normal`.
 *
 * It is (1 / sqrt(pi) + p / q) / (a + 1/2). The quotient of polynomials is below 0.08, so that its
 * roundings count for little; it meets the function at Chebyshev's points (of (a - 3) / (a + 3)),
 * to 2^-57. If `normal`, both sides of the outer quotient are multiplied by sqrt 2, so that what
 * rounds size / sqrt 2 counts for little, too. */
MG_INLINE double mg_lane_scaled_erfc(double size, bool normal) {
    const double wide = normal ? size * MG_ROOT_HALF : size;
    const double a = wide > 30.0 ? 30.0 : wide; /* erfc 30 is 0 */
    const double a2 = a * a, a4 = a2 * a2;
    const double p01 = -0.06418958349619272 + a * 0.21393595022262374;
    const double p23 = 0.5204814028224162 + a * 0.5245117616383608;
    const double p45 = 0.3220930959859051 + a * 0.13395821663839377;
    const double p67 = 0.03889881295513656 + a * 0.00776855382097529;
    const double p89 = 0.0009902743603927564 + a * 6.403742156854496e-05;
    const double q01 = 1.0 + a * 3.4565493822004143;
    const double q23 = 5.570057367962342 + a * 5.527800529345887;
    const double q45 = 3.7555818500975047 + a * 1.8337580937109372;
    const double q67 = 0.6555986205880048 + a * 0.17081065857782035;
    const double q89 = 0.031389747590328324 + a * 0.0037374379561634476;
    const double p = (p01 + a2 * p23) + a4 * ((p45 + a2 * p67) + a4 * p89);
    const double q =
        (q01 + a2 * q23) + a4 * ((q45 + a2 * q67) + a4 * (q89 + a2 * 0.0002270067489212616));
    if (normal) { /* sqrt(2 / pi) in two parts */
        const double rest = 5.033195093187903e-17;
        return (0.7978845608028653 + (p / q * 1.4142135623730951 + rest)) / (size + MG_ROOT_HALF);
    }
    return (0.5641895835477563 + p / q) / (size + 0.5);
}

/* erf x and erfc x of core = mg_lane_core_erf |x| and tail = MG_WIDE erfc |x|. */
MG_INLINE double mg_lane_erf(double x, double core, double tail) {
    const double y = fabs(x) < 0.75 ? core : 1.0 - tail * MG_NARROW;
    return mg_lane_with_sign(y, x);
}

MG_INLINE double mg_lane_erfc(double x, double core, double tail) {
    const double inside = 1.0 - (x < 0.0 ? -core : core), outside = tail * MG_NARROW;
    return fabs(x) < 0.475 ? inside : x < 0.0 ? 2.0 - outside : outside;
}

/* gelu x = x erfc(-x / sqrt 2) / 2 and its derivative, of the same for |x| / sqrt 2, and of
 * bell = MG_WIDE e^(-x^2 / 2). */
MG_INLINE double mg_lane_gelu(double x, double core, double tail) {
    const double half = 0.5 * x, outside = half * (2.0 - tail * MG_NARROW);
    const double inside = half * (1.0 + (x < 0.0 ? -core : core));
    const double below = x < -40.0 ? -0.0 : half * tail * MG_NARROW;
    return fabs(x) < 0.67 ? inside : x < 0.0 ? below : outside;
}

MG_INLINE double mg_lane_gelu_dx(double x, double core, double tail, double bell) {
    const double slope = (x > 40.0 ? 40.0 : x) * 0.3989422804014327 * bell; /* 1 / sqrt(2 pi) */
    const double inside = 0.5 + 0.5 * (x < 0.0 ? -core : core);
    const double outside = x < 0.0 ? 0.5 * tail : MG_WIDE - 0.5 * tail;
    const double y = ((fabs(x) < 0.67 ? inside * MG_WIDE : outside) + slope) * MG_NARROW;
    return x < -40.0 ? -0.0 : y;
}

/* ---- of the logistic function, with e = MG_WIDE e^-|x| ---- */

MG_INLINE double mg_lane_softplus_dx(double x, double e) {
    const double narrow = e * MG_NARROW;
    return (x < 0.0 ? narrow : 1.0) / (1.0 + narrow);
}

MG_INLINE double mg_lane_silu(double x, double e) {
    const double y = (x < 0.0 ? x * e : x) / (1.0 + e * MG_NARROW);
    return x < -800.0 ? -0.0 : x < 0.0 ? y * MG_NARROW : y;
}

/* s (1 + x (1 - s)), where s is the logistic function of x, and 1 - s of -x. With n = e^-|x| it is
 * (1 + n + x n) / (1 + n)^2, or for x below 0 n (1 + n + x) / (1 + n)^2. nan where x is inf. */
MG_INLINE double mg_lane_silu_dx(double x, double e) {
    const double narrow = e * MG_NARROW, square = 1.0 + narrow * (2.0 + narrow);
    const double slope = (1.0 + narrow) + (x < 0.0 ? x : x * narrow);
    const double y = (x < 0.0 ? slope * e : slope) / square;
    return x < -800.0 ? -0.0 : x < 0.0 ? y * MG_NARROW : y;
}

#endif
