/* special.c: functions of the operator table that are too long for a row.
 *
 * micrograd_c/_command/special.py has the same in Python, to the last bit. */
#include "graph/special.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const double pi = 3.141592653589793;

/* ---- squares ---- */

/* Return the rounding error of the product x * x, x * x - square: exact where nothing underflows.
 * x is cut into two parts of 26 bits, as Dekker does. */
static double error_of_square(double x, double square) {
    const double wide = x * 134217729.0; /* 2^27 + 1 */
    const double high = wide - (wide - x), low = x - high;
    return ((high * high - square) + 2.0 * high * low) + low * low;
}

/* A power of two that brings the larger of two numbers to where squares neither overflow nor lose
 * bits. */
static double scale_of(double larger) {
    return larger > 0x1p500 ? 0x1p-600 : larger < 0x1p-400 ? 0x1p600 : 1.0;
}

static double larger_of(double x, double y) {
    return fabs(x) > fabs(y) ? fabs(x) : fabs(y);
}

/* The square root of the rounded sum of squares, put right by what the roundings have lost. */
double mg_hypot(double x, double y) {
    if (isinf(x) || isinf(y)) return INFINITY;
    if (isnan(x) || isnan(y)) return x + y;
    const double larger = larger_of(x, y), smaller = fabs(x) > fabs(y) ? fabs(y) : fabs(x);
    if (larger == 0.0) return 0.0;
    const double scale = scale_of(larger), a = larger * scale, b = smaller * scale;
    const double aa = a * a, bb = b * b, h = sqrt(aa + bb), hh = h * h;
    const double lost = error_of_square(a, aa) + (error_of_square(b, bb) - error_of_square(h, hh));
    return (h + (((aa - hh) + bb) + lost) / (2.0 * h)) / scale;
}

double mg_hypot_dx(double x, double y) {
    const double larger = larger_of(x, y);
    if (larger == 0.0) return isnan(x) || isnan(y) ? x + y : 0.0;
    const double scale = scale_of(larger), h = mg_hypot(x * scale, y * scale);
    return scale < 1.0 ? x / h * scale : x * scale / h; /* neither underflows before the result */
}

double mg_over_squares(double a, double x, double y) {
    if (isnan(x) || isnan(y)) return x + y;
    if (isinf(x) || isinf(y)) return 0.0;
    const double scale = scale_of(larger_of(x, y)), p = x * scale, q = y * scale;
    return a * scale / (p * p + q * q) * scale;
}

/* ---- the normal distribution ---- */

/* Return factor * e^(-share * x^2), where share is 1 or 1/2. A large exponent that was rounded
 * would give a wrong power: what it has lost is made up for. */
static double bell(double x, double share, double factor) {
    if (share * x * x > 750.0) return factor * 0.0;
    const double square = x * x;
    const double power = factor * exp(-share * square);
    return power - power * (share * error_of_square(x, square));
}

double mg_bell(double x, double factor) {
    return bell(x, 1.0, factor);
}

/* Return erfc(-x / sqrt 2), twice the normal distribution. The argument's rounding error, which
 * erfc would multiply by x^2, is taken back by the derivative of erfc. */
static double twice_normal(double x) {
    const double root = 0.7071067811865476, root_rest = -4.833646656726457e-17;
    const double root_high = 0.7071067839860916, root_low = root - root_high; /* 26 bits each */
    const double wide = x * 134217729.0;
    const double high = wide - (wide - x), low = x - high;
    const double t = x * root;
    const double rest = ((high * root_high - t) + (high * root_low + low * root_high)) +
                        (low * root_low + x * root_rest);
    return erfc(-t) + 1.1283791670955126 * exp(-t * t) * rest;
}

double mg_gelu(double x) {
    if (x < -40.0) return -0.0;
    if (x > 40.0) return x;
    return 0.5 * x * twice_normal(x);
}

/* P(x) + x p(x), where p(x) is the density */
double mg_gelu_dx(double x) {
    if (x < -40.0) return -0.0;
    if (x > 40.0) return 1.0;
    return 0.5 * twice_normal(x) + x * bell(x, 0.5, 0.3989422804014327);
}

/* ---- of the logistic function ---- */

double mg_softplus(double x) {
    return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
}

/* factor * e^x for x below -700, where e^x itself has few bits left. e^-47.5 is nearly a double. */
static double small_power(double x, double factor) {
    return factor * exp(x + 47.5) * 2.349698337452817e-21;
}

double mg_silu(double x) {
    if (x > -700.0) return x / (1.0 + exp(-x));
    if (x < -800.0) return -0.0;
    return small_power(x, x);
}

/* s (1 + x (1 - s)), where s is the logistic function of x, and 1 - s of -x */
double mg_silu_dx(double x) {
    if (x < -800.0) return -0.0;
    if (x > 800.0) return 1.0;
    const double e = exp(-fabs(x)), s = (x < 0.0 ? e : 1.0) / (1.0 + e);
    const double slope = 1.0 + x * ((x < 0.0 ? 1.0 : e) / (1.0 + e));
    if (x > -700.0) return s * slope;
    return small_power(x, slope);
}

/* ---- the gamma function ---- */

/* Lanczos' approximation as Python's math.lgamma has it, with these numbers, which are those of
 * Boost: gamma(x) = (x + g - 1/2)^(x - 1/2) e^-(x + g - 1/2) over / under. */
static const double lanczos_g = 6.024680040776729583740234375;
static const double over[] = {
    23531376880.410759688572007674451636754734846804940,
    42919803642.649098768957899047001988850926355848959,
    35711959237.355668049440185451547166705960488635843,
    17921034426.037209699919755754458931112671403265390,
    6039542586.3520280050642916443072979210699388420708,
    1439720407.3117216736632230727949123939715485786772,
    248874557.86205415651146038641322942321632125127801,
    31426415.585400194380614231628318205362874684987640,
    2876370.6289353724412254090516208496135991145378768,
    186056.26539522349504029498971604569928220784236328,
    8071.6720023658162106380029022722506138218516325024,
    210.82427775157934587250973392071336271166969580291,
    2.5066282746310002701649081771338373386264310793408,
};
static const double under[COUNT(over)] = {
    0.0,       39916800.0, 120543840.0, 150917976.0, 105258076.0, 45995730.0, 13339535.0,
    2637558.0, 357423.0,   32670.0,     1925.0,      66.0,        1.0};

/* Return over(x) / under(x), polynomials in x, or in 1/x where powers of x would be large. */
static double lanczos_ratio(double x) {
    double p = 0.0, q = 0.0;
    if (x < 5.0)
        for (size_t i = COUNT(over); i-- > 0;) {
            p = p * x + over[i];
            q = q * x + under[i];
        }
    else
        for (size_t i = 0; i < COUNT(over); i++) {
            p = p / x + over[i];
            q = q / x + under[i];
        }
    return p / q;
}

/* |sin(pi x)| for x > 0, by a sine or cosine of at most pi/4 */
static double sine_of_pi_times(double x) {
    const double y = fmod(x, 2.0);
    switch ((int)round(2.0 * y)) {
        case 0:
            return fabs(sin(pi * y));
        case 1:
            return fabs(cos(pi * (y - 0.5)));
        case 2:
            return fabs(sin(pi * (1.0 - y)));
        case 3:
            return fabs(cos(pi * (y - 1.5)));
        default:
            return fabs(sin(pi * (y - 2.0)));
    }
}

double mg_lgamma(double x) {
    const double size = fabs(x);
    if (!isfinite(x)) return size;
    if (x == floor(x) && x <= 2.0) return x <= 0.0 ? INFINITY : 0.0;
    if (size < 1e-20) return -log(size);
    double result = log(lanczos_ratio(size)) - lanczos_g;
    result += (size - 0.5) * (log(size + lanczos_g - 0.5) - 1.0);
    if (x < 0.0) result = 1.1447298858494002 - log(sine_of_pi_times(size)) - log(size) - result;
    return result;
}

/* Where the series in 1/x^2 begin, which the Bernoulli numbers B_2, B_4, ... make */
#define SERIES_FROM 9.0
static const double bernoulli[] = {1.0 / 6,       -1.0 / 30,      1.0 / 42, -1.0 / 30,
                                   5.0 / 66,      -691.0 / 2730,  7.0 / 6,  -3617.0 / 510,
                                   43867.0 / 798, -174611.0 / 330};

/* x digamma(x) / (x - zero) for x from 3/4 to 3: a polynomial in x - 15/8, to 3e-18. The zero is
 * given in two parts. */
static const double zero = 1.4616321449683622, zero_rest = 9.549995429965697e-17;
static const double near_zero[] = {
    1.5369485700734726,      0.2750001097684805,      -0.04671580750390213,
    0.011356244721525717,    -0.003198194151818933,   0.0009726750621667662,
    -0.0003094536279560987,  0.0001012696911262817,   -3.375841929279591e-05,
    1.1394390799483511e-05,  -3.87905257899968e-06,   1.3285412897088938e-06,
    -4.5694890522615904e-07, 1.5759832428954814e-07,  -5.4490486589224616e-08,
    1.8952588033582996e-08,  -6.571119682854557e-09,  2.1847527145200857e-09,
    -7.585389260359347e-10,  3.375962117962966e-10,   -1.173317224167846e-10,
    3.980873786075799e-12,   -1.3797505787273825e-12, 1.105373391891554e-11,
    -3.844092517337133e-12,
};

/* Return pi / tan(pi x). */
static double cotangent(double x) {
    const double r = x - rint(x), rest = 0.5 - fabs(r);
    return rest < 0.25 ? copysign(pi * tan(pi * rest), r) : pi / tan(pi * r);
}

double mg_digamma(double x) {
    if (x <= 0.0) return mg_digamma(1.0 - x) - cotangent(x);
    if (x >= SERIES_FROM) {
        double series = 0.0;
        for (size_t n = COUNT(bernoulli); n > 0; n--)
            series = (series + bernoulli[n - 1] / (2.0 * (double)n)) / x / x;
        return log(x) - (0.5 / x + series);
    }
    double y = x, steps = 0.0, rest = -zero_rest;
    if (x < 0.75) { /* digamma(x) = digamma(x + 1) - 1 / x */
        y = x + 1.0;
        steps = -1.0 / x;
        rest += x - (y - 1.0); /* what the sum has lost */
    }
    while (y > 3.0) { /* digamma(y) = digamma(y - 1) + 1 / (y - 1) */
        y -= 1.0;
        steps += 1.0 / y;
    }
    double ratio = 0.0;
    for (size_t i = COUNT(near_zero); i-- > 0;) ratio = ratio * (y - 1.875) + near_zero[i];
    return steps + ((y - zero) + rest) * ratio / y;
}

/* Return n! / scale^(n + 1) for a natural number n, and the scale: 1, or n / e where powers of n!'s
 * size would overflow. There it is Stirling's series. */
static double factorial(double n, double *scale) {
    double result = 1.0;
    *scale = 1.0;
    if (n <= 22.0) { /* exact */
        for (double i = 2.0; i <= n; i += 1.0) result *= i;
        return result;
    }
    *scale = n * 0.36787944117144233;
    const double series =
        1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - 1.0 / 1680 / n / n) / n / n) / n / n;
    return 2.5066282746310007 * sqrt(n) * exp(series / n) / *scale;
}

/* Return the sum of (scale / y)^(n + 1) for y = x, x + 1, x + 2, ..., where x > 0. */
static double sum_of_powers(double n, double x, double scale) {
    double steps = 0.0, result = 0.0, series = 0.0;
    while (x + steps < SERIES_FROM + n && steps < 45.0)
        steps += 1.0; /* after 45 powers, nothing is left */
    const double y = x + steps;
    if (y >= SERIES_FROM + n) {
        for (double k = COUNT(bernoulli); k > 0.0; k -= 1.0) {
            const double pair = (n + 2.0 * k - 2.0) / y * ((n + 2.0 * k - 1.0) / y);
            series = (series + bernoulli[(size_t)k - 1]) * pair / (2.0 * k * (2.0 * k - 1.0));
        }
        result = pow(y / scale, -n) / n * scale * (1.0 + (0.5 * n / y + series));
    }
    while (steps > 0.0) {
        steps -= 1.0;
        result += pow((x + steps) / scale, -(n + 1.0));
    }
    return result;
}

double mg_polygamma(double n, double x) {
    if (n == 0.0) return mg_digamma(x);
    if (!(n > 0.0 && n == floor(n)) || isinf(n) || (x <= 0.0 && x == floor(x))) return NAN;
    const bool is_odd = fmod(n, 2.0) == 1.0;
    double scale, sum;
    const double factor = factorial(n, &scale);
    if (x > 0.0)
        sum = sum_of_powers(n, x, scale);
    else { /* all powers of r + i for integers i, but those of which there are none from x on */
        const double r = x - rint(x);
        const double beyond = sum_of_powers(n, 1.0 - r, scale) - sum_of_powers(n, 1.0 - x, scale);
        sum = pow(r / scale, -(n + 1.0)) + sum_of_powers(n, 1.0 + r, scale);
        sum += is_odd ? beyond : -beyond;
    }
    return is_odd ? factor * sum : -factor * sum;
}
