/* operators.h: the operator table. Everything the library knows about an operator stands in the
 * operator's row: the enum, the names, the forward evaluation, the partial derivatives and the
 * error checks are generated from the table.
 *
 * The columns of a row:
 *     name, symbol, form
 *     finite           whether dz/dx and dz/dy are finite wherever x, y and z are; in doubt: false
 *     value            z
 *     error in value   a mg_status: what is wrong with z
 *     dz/dx, dz/dy     each with what it is computed from, of x, y and z
 *     error in partials   a mg_status: what is wrong with them; dx is dz/dx as just computed
 * in which x is the first operand, y the second operand or the exponent, and z the value.
 *
 * The expressions are those of the pure-Python class, in its order of operations, on the same
 * libm: results agree with those of the class to the last bit. Hence pow(x, 2) and not x * x: the
 * two differ in the last bit about once in a thousand times. */
#ifndef MG_OPERATORS_H
#define MG_OPERATORS_H

#include <math.h>
#include <stdbool.h>

#include "compiler.h"
#include "graph/special.h"
#include "micrograd.h"

/* 2^53. Not every larger integer is a double, and 2^53 + 1 rounds to 2^53. */
#define MG_LARGEST_INTEGER 9007199254740992.0

/* 2 / sqrt(pi), 1 / log(2) and 1 / log(10) */
#define MG_2_SQRTPI 1.1283791670955126
#define MG_LOG2_E 1.4426950408889634
#define MG_LOG10_E 0.4342944819032518

/* ---- the errors Python raises ---- */

/* float.__pow__: 0 to a negative power, a fractional power of a negative number, overflow */
static inline mg_status mg_check_power(double x, double y, double z) {
    if (!isfinite(x) || !isfinite(y)) return MG_OK;
    if (x == 0.0 && y < 0.0) return MG_ZERO_DIVISION;
    if (x < 0.0 && y != floor(y)) return MG_DOMAIN;
    return isinf(z) ? MG_RANGE : MG_OK;
}

/* math.*: finite in, infinite out */
static inline mg_status mg_check_range(double x, double z) {
    return isinf(z) && isfinite(x) ? MG_RANGE : MG_OK;
}

/* 1 / math.sqrt(x) */
static inline mg_status mg_check_inverse_root(double x) {
    return x == 0.0 ? MG_ZERO_DIVISION : x < 0.0 ? MG_DOMAIN : MG_OK;
}

/* d atan2(x, y): no direction at the origin */
static inline mg_status mg_check_angle(double x, double y) {
    return x == 0.0 && y == 0.0 ? MG_ZERO_DIVISION : MG_OK;
}

/* lgamma, digamma: no value at the poles 0, -1, -2, ... */
static inline mg_status mg_check_gamma(double x, double z) {
    return x <= 0.0 && x == floor(x) ? MG_DOMAIN : mg_check_range(x, z);
}

/* ---- functions too long for a row ----
 *
 * Others are in special.c. */

/* tanh x = (e^2x - 1) / (e^2x + 1), and its limit where e^2x is no longer finite */
static inline double mg_tanh(double x) {
    double e = exp(2.0 * x);
    return isinf(e) ? 1.0 : (e - 1.0) / (e + 1.0);
}

/* 1 / (1 + e^-x), written so that the exponential cannot overflow */
static inline double mg_sigmoid(double x) {
    if (x >= 0.0) return 1.0 / (1.0 + exp(-x));
    double e = exp(x);
    return e / (1.0 + e);
}

/* pow as the library computes it. Given a constant exponent, compilers would replace pow(t, 2.0) by
 * t * t and pow(t, -1.0) by 1 / t, whose last bits differ from Python's t**2 and t**-1 now and
 * then. */
static inline double mg_pow(double x, double y) {
    volatile double opaque = y;
    return pow(x, opaque);
}

/* d|x|/dx: 0 at 0, nan at nan */
static inline double mg_sign(double x) {
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x == 0.0 ? 0.0 : x;
}

/* d max(x, y)/dx: 1 where x is larger, 0 where y is, 1/2 at a tie, nan at nan */
static inline double mg_share(double x, double y) {
    return x > y ? 1.0 : x < y ? 0.0 : x == y ? 0.5 : x + y;
}

static inline double mg_larger(double x, double y) {
    return x >= y ? x : y > x ? y : x + y;
}

/* d(x^y)/dx = y x^(y-1), and 0 for y = 0 whatever x is: x^0 is 1 */
static inline double mg_power_dx(double x, double y) {
    return y == 0.0 ? 0.0 : y * mg_pow(x, y - 1.0);
}

/* d(x^y)/dx where x is a number and no Value: nobody asks for that derivative, so it is 0 where
 * mg_power_dx is not finite. */
static inline double mg_number_power_dx(double x, double y) {
    const double dx = mg_power_dx(x, y);
    return isfinite(dx) ? dx : 0.0;
}

static inline mg_status mg_check_power_dx(double x, double y, double dx) {
    return isfinite(dx) ? MG_OK : mg_check_power(x, y - 1.0, mg_pow(x, y - 1.0));
}

/* d(x^y)/dy = x^y log x, and its limit 0 at x = 0 (as PyTorch has it). For negative x, where x^y is
 * defined for integers y alone, it is nan. */
static inline double mg_power_dy(double x, double z) {
    return x == 0.0 ? 0.0 : z * log(x);
}

/* d atan(x)/dx, without overflow of the square */
static inline double mg_atan_dx(double x) {
    return fabs(x) < 1e150 ? 1.0 / (1.0 + x * x) : 1.0 / x / x;
}

/* clang-format off */

/* The table has two parts. A new row comes last, in the second: pickled programs know operators by
 * their numbers.
 *
 *  name      symbol     form               finite?
      value                 error in value
      dz/dx                 computed from
      dz/dy                 computed from      error in partials
      what help() says */
#define MG_SHORT_OPERATORS(X)                                                                      \
  X(add,      "+",       MG_FORM_INFIX,     true,                                                  \
      x + y,                MG_OK,                                                                 \
      1.0,                  MG_FROM_NONE,                                                          \
      1.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "x + y")                                                                                     \
  X(multiply, "*",       MG_FORM_INFIX,     true,                                                  \
      x * y,                MG_OK,                                                                 \
      y,                    MG_FROM_Y,                                                             \
      x,                    MG_FROM_X,         MG_OK,                                              \
      "x * y")                                                                                     \
  X(exponent, "**",      MG_FORM_EXPONENT,  false,                                                 \
      mg_pow(x, y),         mg_check_power(x, y, z),                                               \
      mg_power_dx(x, y),    MG_FROM_X | MG_FROM_Y,                                                 \
      0.0,                  MG_FROM_NONE,      mg_check_power_dx(x, y, dx),                        \
      "x ** n for a number n")                                                                     \
  X(power,    "**",      MG_FORM_INFIX,     false,                                                 \
      mg_pow(x, y),         mg_check_power(x, y, z),                                               \
      mg_power_dx(x, y),    MG_FROM_X | MG_FROM_Y,                                                 \
      mg_power_dy(x, z),    MG_FROM_X | MG_FROM_Z, mg_check_power_dx(x, y, dx),                    \
      "x ** y")                                                                                    \
  X(exp,      "exp",     MG_FORM_METHOD,    true,                                                  \
      exp(x),               mg_check_range(x, z),                                                  \
      z,                    MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return e**x. Its derivative is e**x.\n\n"                                                   \
      "Raises OverflowError if x is above 709.78.")                                                \
  X(log,      "log",     MG_FORM_METHOD,    false,                                                 \
      log(x),               x <= 0.0 ? MG_DOMAIN : MG_OK,                                          \
      1.0 / x,              MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      x == 0.0 ? MG_ZERO_DIVISION : MG_OK,                \
      "Return the natural logarithm of x. Its derivative is 1/x.\n\n"                              \
      "Raises ValueError if x is 0 or below.")                                                     \
  X(tanh,     "tanh",    MG_FORM_METHOD,    true,                                                  \
      mg_tanh(x),           MG_OK,                                                                 \
      1.0 - mg_pow(z, 2.0), MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_range(z, z * z),                           \
      "Return (e**2x - 1) / (e**2x + 1). Its derivative is 1 - tanh(x)**2.")                       \
  X(relu,     "ReLU",    MG_FORM_METHOD,    true,                                                  \
      x < 0.0 ? 0.0 : x,    MG_OK,                                                                 \
      z > 0.0 ? 1.0 : 0.0,  MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return max(x, 0). Its derivative is 1 where x is above 0, and 0 at 0.")                     \
  X(sigmoid,  "sigmoid", MG_FORM_METHOD,    true,                                                  \
      mg_sigmoid(x),        MG_OK,                                                                 \
      z * (1.0 - z),        MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return 1 / (1 + e**-x), s. Its derivative is s * (1 - s).")                                 \
  X(sin,      "sin",     MG_FORM_METHOD,    true,                                                  \
      sin(x),               isinf(x) ? MG_DOMAIN : MG_OK,                                          \
      cos(x),               MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      isinf(x) ? MG_DOMAIN : MG_OK,                       \
      "Return the sine of x radians. Its derivative is cos(x).\n\n"                                \
      "Raises ValueError if x is infinite.")                                                       \
  X(cos,      "cos",     MG_FORM_METHOD,    true,                                                  \
      cos(x),               isinf(x) ? MG_DOMAIN : MG_OK,                                          \
      -sin(x),              MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      isinf(x) ? MG_DOMAIN : MG_OK,                       \
      "Return the cosine of x radians. Its derivative is -sin(x).\n\n"                             \
      "Raises ValueError if x is infinite.")                                                       \
  X(sqrt,     "sqrt",    MG_FORM_METHOD,    false,                                                 \
      sqrt(x),              x < 0.0 ? MG_DOMAIN : MG_OK,                                           \
      0.5 / z,              MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      z == 0.0 ? MG_ZERO_DIVISION : MG_OK,                \
      "Return the square root of x. Its derivative is 1 / (2 * sqrt(x)).\n\n"                      \
      "Raises ValueError if x is below 0; backward() raises ZeroDivisionError if x is 0.")         \
  X(abs,      "abs",     MG_FORM_METHOD,    true,                                                  \
      fabs(x),              MG_OK,                                                                 \
      mg_sign(x),           MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return |x|. Its derivative is the sign of x, and 0 at 0.")                                  \
  X(maximum,  "max",     MG_FORM_FUNCTION,  true,                                                  \
      mg_larger(x, y),      MG_OK,                                                                 \
      mg_share(x, y),       MG_FROM_X | MG_FROM_Y,                                                 \
      mg_share(y, x),       MG_FROM_X | MG_FROM_Y, MG_OK,                                          \
      "Return the larger of two Values or numbers, nan if one of them is nan.\n\n"                 \
      "The larger one gets the gradient, at a tie each of them half of it. Of more than two it is\n" \
      "taken pairwise, from the left.")                                                            \
  X(minimum,  "min",     MG_FORM_FUNCTION,  true,                                                  \
      -mg_larger(-x, -y),   MG_OK,                                                                 \
      mg_share(y, x),       MG_FROM_X | MG_FROM_Y,                                                 \
      mg_share(x, y),       MG_FROM_X | MG_FROM_Y, MG_OK,                                          \
      "Return the smaller of two Values or numbers, nan if one of them is nan.\n\n"                \
      "The smaller one gets the gradient, at a tie each of them half of it. Of more than two it is\n" \
      "taken pairwise, from the left.")                                                            \
  X(number_power, "**",  MG_FORM_INFIX,     false,                                                 \
      mg_pow(x, y),         mg_check_power(x, y, z),                                               \
      mg_number_power_dx(x, y), MG_FROM_X | MG_FROM_Y,                                             \
      mg_power_dy(x, z),    MG_FROM_X | MG_FROM_Z, MG_OK,                                          \
      "n ** x for a number n")

/* The operators that are calls of functions. These take much longer than what is around the call, of
 * which there is one copy for all of them, where other operators have copies of their own. */
#define MG_CALLED_OPERATORS(X)                                                                     \
  X(log1p,    "log1p",   MG_FORM_METHOD,    true,                                                  \
      log1p(x),             x <= -1.0 ? MG_DOMAIN : MG_OK,                                         \
      1.0 / (1.0 + x),      MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      x == -1.0 ? MG_ZERO_DIVISION : MG_OK,               \
      "Return log(1 + x), accurate for small x, too. Its derivative is 1 / (1 + x).\n\n"           \
      "Raises ValueError if x is -1 or below.")                                                    \
  X(expm1,    "expm1",   MG_FORM_METHOD,    true,                                                  \
      expm1(x),             mg_check_range(x, z),                                                  \
      exp(x),               MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_range(x, dx),                              \
      "Return e**x - 1, accurate for small x, too. Its derivative is e**x.\n\n"                    \
      "Raises OverflowError if x is above 709.78.")                                                \
  X(tan,      "tan",     MG_FORM_METHOD,    true,                                                  \
      tan(x),               isinf(x) ? MG_DOMAIN : MG_OK,                                          \
      1.0 + z * z,          MG_FROM_Z,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return the tangent of x radians. Its derivative is 1 + tan(x)**2.\n\n"                      \
      "Raises ValueError if x is infinite.")                                                       \
  X(asin,     "asin",    MG_FORM_METHOD,    false,                                                 \
      asin(x),              fabs(x) > 1.0 ? MG_DOMAIN : MG_OK,                                     \
      1.0 / sqrt((1.0 - x) * (1.0 + x)), MG_FROM_X,                                                \
      0.0,                  MG_FROM_NONE,      mg_check_inverse_root((1.0 - x) * (1.0 + x)),       \
      "Return the angle from -pi/2 to pi/2 whose sine is x. Its derivative is\n"                   \
      "1 / sqrt(1 - x**2).\n\n"                                                                    \
      "Raises ValueError if x is below -1 or above 1; backward() raises\n"                         \
      "ZeroDivisionError if x is -1 or 1.")                                                        \
  X(acos,     "acos",    MG_FORM_METHOD,    false,                                                 \
      acos(x),              fabs(x) > 1.0 ? MG_DOMAIN : MG_OK,                                     \
      -1.0 / sqrt((1.0 - x) * (1.0 + x)), MG_FROM_X,                                               \
      0.0,                  MG_FROM_NONE,      mg_check_inverse_root((1.0 - x) * (1.0 + x)),       \
      "Return the angle from 0 to pi whose cosine is x. Its derivative is\n"                       \
      "-1 / sqrt(1 - x**2).\n\n"                                                                   \
      "Raises ValueError if x is below -1 or above 1; backward() raises\n"                         \
      "ZeroDivisionError if x is -1 or 1.")                                                        \
  X(atan,     "atan",    MG_FORM_METHOD,    true,                                                  \
      atan(x),              MG_OK,                                                                 \
      mg_atan_dx(x),        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return the angle from -pi/2 to pi/2 whose tangent is x. Its derivative is\n"                \
      "1 / (1 + x**2).")                                                                           \
  X(sinh,     "sinh",    MG_FORM_METHOD,    true,                                                  \
      sinh(x),              mg_check_range(x, z),                                                  \
      cosh(x),              MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_range(x, dx),                              \
      "Return (e**x - e**-x) / 2. Its derivative is cosh(x).\n\n"                                  \
      "Raises OverflowError if |x| is above 710.47.")                                              \
  X(cosh,     "cosh",    MG_FORM_METHOD,    true,                                                  \
      cosh(x),              mg_check_range(x, z),                                                  \
      sinh(x),              MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_range(x, dx),                              \
      "Return (e**x + e**-x) / 2. Its derivative is sinh(x).\n\n"                                  \
      "Raises OverflowError if |x| is above 710.47.")                                              \
  X(asinh,    "asinh",   MG_FORM_METHOD,    true,                                                  \
      asinh(x),             MG_OK,                                                                 \
      1.0 / mg_hypot(1.0, x), MG_FROM_X,                                                           \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return the number whose sinh is x. Its derivative is 1 / sqrt(1 + x**2).")                  \
  X(acosh,    "acosh",   MG_FORM_METHOD,    false,                                                 \
      acosh(x),             x < 1.0 ? MG_DOMAIN : MG_OK,                                           \
      1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), MG_FROM_X,                                            \
      0.0,                  MG_FROM_NONE,      mg_check_inverse_root(x - 1.0),                     \
      "Return the number, 0 or above, whose cosh is x. Its derivative is\n"                        \
      "1 / sqrt(x**2 - 1).\n\n"                                                                    \
      "Raises ValueError if x is below 1; backward() raises ZeroDivisionError if x is 1.")         \
  X(atanh,    "atanh",   MG_FORM_METHOD,    true,                                                  \
      atanh(x),             fabs(x) >= 1.0 ? MG_DOMAIN : MG_OK,                                    \
      1.0 / ((1.0 - x) * (1.0 + x)), MG_FROM_X,                                                    \
      0.0,                  MG_FROM_NONE,      fabs(x) == 1.0 ? MG_ZERO_DIVISION : MG_OK,          \
      "Return the number whose tanh is x. Its derivative is 1 / (1 - x**2).\n\n"                   \
      "Raises ValueError if x is -1 or below, or 1 or above.")                                     \
  X(erf,      "erf",     MG_FORM_METHOD,    true,                                                  \
      erf(x),               MG_OK,                                                                 \
      mg_bell(x, MG_2_SQRTPI), MG_FROM_X,                                                          \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return the error function of x. Its derivative is 2 / sqrt(pi) * e**-x**2.")                \
  X(erfc,     "erfc",    MG_FORM_METHOD,    true,                                                  \
      erfc(x),              MG_OK,                                                                 \
      mg_bell(x, -MG_2_SQRTPI), MG_FROM_X,                                                         \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return 1 - erf(x), accurate for large x, too. Its derivative is\n"                          \
      "-2 / sqrt(pi) * e**-x**2.")                                                                 \
  X(log2,     "log2",    MG_FORM_METHOD,    false,                                                 \
      log2(x),              x <= 0.0 ? MG_DOMAIN : MG_OK,                                          \
      MG_LOG2_E / x,        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      x == 0.0 ? MG_ZERO_DIVISION : MG_OK,                \
      "Return the logarithm of x to base 2. Its derivative is 1 / (x * log(2)).\n\n"               \
      "Raises ValueError if x is 0 or below.")                                                     \
  X(log10,    "log10",   MG_FORM_METHOD,    false,                                                 \
      log10(x),             x <= 0.0 ? MG_DOMAIN : MG_OK,                                          \
      MG_LOG10_E / x,       MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      x == 0.0 ? MG_ZERO_DIVISION : MG_OK,                \
      "Return the logarithm of x to base 10. Its derivative is 1 / (x * log(10)).\n\n"             \
      "Raises ValueError if x is 0 or below.")                                                     \
  X(softplus, "softplus", MG_FORM_METHOD,    true,                                                 \
      mg_softplus(x),       MG_OK,                                                                 \
      mg_sigmoid(x),        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return log(1 + e**x), for large x, too. Its derivative is sigmoid(x).")                     \
  X(gelu,     "gelu",    MG_FORM_METHOD,    true,                                                  \
      mg_gelu(x),           MG_OK,                                                                 \
      mg_gelu_dx(x),        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return x * P(x), where P(x) = erfc(-x / sqrt(2)) / 2 is the normal distribution.\n"         \
      "Its derivative is P(x) + x * e**(-x**2 / 2) / sqrt(2 * pi).")                               \
  X(silu,     "silu",    MG_FORM_METHOD,    true,                                                  \
      mg_silu(x),           MG_OK,                                                                 \
      mg_silu_dx(x),        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      MG_OK,                                              \
      "Return x * sigmoid(x). Its derivative is s + x * s * (1 - s), s = sigmoid(x).")             \
  X(lgamma,   "lgamma",  MG_FORM_METHOD,    false,                                                 \
      mg_lgamma(x),         isinf(x) ? MG_OK : mg_check_gamma(x, z),                               \
      mg_digamma(x),        MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_gamma(x, dx),                              \
      "Return the natural logarithm of |gamma(x)|. Its derivative is digamma(x).\n\n"              \
      "Raises ValueError if x is an integer, 0 or below; OverflowError if x is above 2.55e305.")   \
  X(digamma,  "digamma", MG_FORM_METHOD,    false,                                                 \
      mg_digamma(x),        mg_check_gamma(x, z),                                                  \
      mg_trigamma(x),       MG_FROM_X,                                                             \
      0.0,                  MG_FROM_NONE,      mg_check_gamma(x, dx),                              \
      "Return the derivative of lgamma(x). Its derivative is the trigamma function.\n\n"           \
      "Raises ValueError if x is an integer, 0 or below, or -inf; OverflowError if |x| is\n"       \
      "below 5.6e-309.")                                                                           \
  X(atan2,    "atan2",   MG_FORM_FUNCTION,  false,                                                 \
      atan2(x, y),          MG_OK,                                                                 \
      mg_over_squares(y, x, y), MG_FROM_X | MG_FROM_Y,                                             \
      -mg_over_squares(x, x, y), MG_FROM_X | MG_FROM_Y, mg_check_angle(x, y),                      \
      "Return the angle from -pi to pi of the point with height x and width y:\n"                  \
      "atan(x / y) if y is above 0. Its derivatives are y / (x**2 + y**2) and\n"                   \
      "-x / (x**2 + y**2).\n\n"                                                                    \
      "backward() raises ZeroDivisionError if both are 0.")                                        \
  X(hypot,    "hypot",   MG_FORM_FUNCTION,  true,                                                  \
      mg_hypot(x, y),       MG_OK,                                                                 \
      mg_hypot_dx(x, y),    MG_FROM_X | MG_FROM_Y,                                                 \
      mg_hypot_dx(y, x),    MG_FROM_X | MG_FROM_Y, MG_OK,                                          \
      "Return sqrt(x**2 + y**2), also where the squares overflow. Its derivatives are\n"           \
      "x / hypot(x, y) and y / hypot(x, y), and 0 if both are 0.")

#define MG_OPERATORS(X) MG_SHORT_OPERATORS(X) MG_CALLED_OPERATORS(X)

/* clang-format on */

/* What a partial derivative is computed from. */
enum { MG_FROM_NONE = 0, MG_FROM_X = 1, MG_FROM_Y = 2, MG_FROM_Z = 4 };

enum {
    MG_OP_leaf,
    MG_OP_custom,
#define X(name, ...) MG_OP_##name,
    MG_OPERATORS(X)
#undef X
        MG_OP_COUNT,
    MG_OP_packed = MG_OP_COUNT /* a sum of products, its last node alone written out: see dots.c */
};

#define MG_IS_CALLED(op) ((op) >= MG_OP_log1p) /* of the second part of the table */

/* The number of operands that are nodes, for an operator of the table with this form. */
#define MG_ARITY(form) ((form) == MG_FORM_INFIX || (form) == MG_FORM_FUNCTION ? 2 : 1)

/* The number of operands of every operator, or MG_ARITY_CUSTOM (the extra has the number) or
 * MG_ARITY_PACKED. */
#define MG_ARITY_CUSTOM 3
#define MG_ARITY_PACKED 4
static const unsigned char mg_arities[MG_OP_COUNT + 1] = {0, MG_ARITY_CUSTOM,
#define X(name, symbol, form, ...) MG_ARITY(form),
                                                          MG_OPERATORS(X)
#undef X
                                                              MG_ARITY_PACKED};

/* ---- the table as functions: with op known at compile time each is one expression ---- */

/* mg_evaluate and mg_differentiate for an operator that MG_IS_CALLED: operators.c. */
mg_status mg_evaluate_called(int op, double x, double y, double *result);
mg_status mg_differentiate_called(int op, double x, double y, double z, double *dx, double *dy);

/* Write op(x, y) to *result; return what is wrong with it. */
MG_INLINE mg_status mg_evaluate(int op, double x, double y, double *result) {
    double z;
    switch (op) {
#define X(name, symbol, form, finite, value, error, ...) \
    case MG_OP_##name:                                   \
        z = (value);                                     \
        *result = z;                                     \
        return (error);
        MG_SHORT_OPERATORS(X)
#undef X
        default:
            return mg_evaluate_called(op, x, y, result);
    }
}

/* Return op(x, y). */
MG_INLINE double mg_value(int op, double x, double y) {
    switch (op) {
#define X(name, symbol, form, finite, value, ...) \
    case MG_OP_##name:                            \
        return (value);
        MG_OPERATORS(X)
#undef X
        default:
            return x;
    }
}

/* Make nan of each of x, y and z that a row does not name as needed: so a row that names too little
 * shows at once, in wrong results. */
#define MG_KEEP_ONLY(from)                \
    do {                                  \
        if (!((from)&MG_FROM_X)) x = NAN; \
        if (!((from)&MG_FROM_Y)) y = NAN; \
        if (!((from)&MG_FROM_Z)) z = NAN; \
        (void)x, (void)y, (void)z;        \
    } while (0)

/* Return dz/dx where z = op(x, y). */
MG_INLINE double mg_dx(int op, double x, double y, double z) {
    switch (op) {
#define X(name, symbol, form, finite, value, error, dzdx, from_x, ...) \
    case MG_OP_##name:                                                 \
        MG_KEEP_ONLY(from_x);                                          \
        return (dzdx);
        MG_OPERATORS(X)
#undef X
        default:
            return 0.0;
    }
}

/* Return dz/dy where z = op(x, y). */
MG_INLINE double mg_dy(int op, double x, double y, double z) {
    switch (op) {
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, ...) \
    case MG_OP_##name:                                                               \
        MG_KEEP_ONLY(from_y);                                                        \
        return (dzdy);
        MG_OPERATORS(X)
#undef X
        default:
            return 0.0;
    }
}

/* Return what is wrong with the partial derivatives; dx is dz/dx. */
MG_INLINE mg_status mg_check_partials(int op, double x, double y, double z, double dx) {
    (void)x, (void)y, (void)z, (void)dx;
    switch (op) {
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, wrong, about) \
    case MG_OP_##name:                                                                        \
        return (wrong);
        MG_OPERATORS(X)
#undef X
        default:
            return MG_OK;
    }
}

/* Write dz/dx to *dx and dz/dy to *dy; return what is wrong with them. */
MG_INLINE mg_status mg_differentiate(int op, double x, double y, double z, double *dx, double *dy) {
    if (MG_IS_CALLED(op)) return mg_differentiate_called(op, x, y, z, dx, dy);
    *dx = mg_dx(op, x, y, z);
    *dy = mg_dy(op, x, y, z);
    return mg_check_partials(op, x, y, z, *dx);
}

/* Whether the partial derivatives are finite wherever operands and value are: a column. */
static inline bool mg_has_finite_partials(int op) {
    switch (op) {
#define X(name, symbol, form, finite, ...) \
    case MG_OP_##name:                     \
        return (finite);
        MG_OPERATORS(X)
#undef X
        default:
            return false;
    }
}

/* What dz/dx (side 0) or dz/dy (side 1) is computed from: a column, of MG_FROM_X, ... */
static inline int mg_computed_from(int op, int side) {
    switch (op) {
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, ...) \
    case MG_OP_##name:                                                               \
        return side == 0 ? (from_x) : (from_y);
        MG_OPERATORS(X)
#undef X
        default:
            return MG_FROM_NONE;
    }
}

#endif
