/* special.h: functions of the operator table that are too long for a row, and their derivatives.
 *
 * Each takes any double and raises nothing: which arguments are errors is said by the table. Where
 * Python's math has the function, the bits are those of Python's. */
#ifndef MG_SPECIAL_H
#define MG_SPECIAL_H

/* sqrt(x^2 + y^2): correctly rounded but for one pair in a million or so, as math.hypot is */
double mg_hypot(double x, double y);

/* d hypot(x, y)/dx = x / hypot(x, y), and 0 at (0, 0) */
double mg_hypot_dx(double x, double y);

/* a / (x^2 + y^2), where a is x or y: without overflow of the squares; 0 where x or y is infinite
 */
double mg_over_squares(double a, double x, double y);

/* factor e^(-x^2), for the derivatives of erf and erfc */
double mg_bell(double x, double factor);

/* log(1 + e^x) */
double mg_softplus(double x);

/* x P(x), where P(x) = erfc(-x / sqrt 2) / 2 is the normal distribution. For x below -1 it is up to
 * three units in the last place off, of which two are the C library's erfc's. */
double mg_gelu(double x);
double mg_gelu_dx(double x);

/* x / (1 + e^-x) */
double mg_silu(double x);
double mg_silu_dx(double x);

/* log |gamma(x)|, its derivative and the derivative of that: inf or nan at the poles 0, -1, ...
 * mg_digamma is up to two and a half units in the last place off for x > 0; for x < 0, where two
 * terms may cancel, five units of the larger term or 2e-16. */
double mg_lgamma(double x);
double mg_digamma(double x);
double mg_trigamma(double x);

#endif
