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
#include "micrograd.h"

/* 2^53. Not every larger integer is a double, and 2^53 + 1 rounds to 2^53. */
#define MG_LARGEST_INTEGER 9007199254740992.0

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

/* ---- functions too long for a row ---- */

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

/* clang-format off */

/* A new row comes last: pickled programs know operators by their numbers.
 *
 *  name      symbol     form               finite?
      value                 error in value
      dz/dx                 computed from
      dz/dy                 computed from      error in partials
      what help() says */
#define MG_OPERATORS(X)                                                                            \
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

/* Write op(x, y) to *result; return what is wrong with it. */
MG_INLINE mg_status mg_evaluate(int op, double x, double y, double *result) {
    double z;
    switch (op) {
#define X(name, symbol, form, finite, value, error, ...) \
    case MG_OP_##name:                                   \
        z = (value);                                     \
        *result = z;                                     \
        return (error);
        MG_OPERATORS(X)
#undef X
        default:
            *result = x;
            return MG_OK;
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
