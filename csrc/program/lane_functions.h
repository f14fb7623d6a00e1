/* lane_functions.h: operands over lanes, and the longest functions over whole rows of lanes, each
 * of which the compiler sees once for each kind of processor. kernels.inc.h says what TARGET is. */
#ifndef MG_LANE_FUNCTIONS_H
#define MG_LANE_FUNCTIONS_H

#include "program/block.h"
#include "program/lanes.h"

/* ---- operands ---- */

/* An operand over lanes: a number for each lane, or one number for all lanes. */
typedef struct {
    const double *restrict row; /* a number for each lane; NULL: the operand is number */
    double number;
} mg_operand;

MG_INLINE mg_operand mg_lane_operand(const mg_block *at, uint32_t reference) {
    if (mg_is_scalar(reference)) return (mg_operand){NULL, mg_scalar(at, reference)};
    return (mg_operand){mg_slot(at, reference), 0.0};
}

/* Return the second operand; where an instruction has none, its exponent. */
MG_INLINE mg_operand mg_second_lane_operand(const mg_block *at, const mg_instruction *in) {
    if (in->y == MG_NOTHING) return (mg_operand){NULL, in->number};
    return mg_lane_operand(at, in->y);
}

/* Each lane l. The number of lanes is a multiple of MG_LANES: told so, compilers make no code for a
 * rest. */
#define EACH_LANE for (size_t l = 0, end = lanes / MG_LANES * MG_LANES; l != end; l++)

/* Loops out[l] = expression for operands that are rows or numbers, not both numbers. The expression
 * may contain x, y and l. */
#define EACH_ROW(in_x, in_y, expression)                 \
    do {                                                 \
        const double *restrict const row_x = (in_x).row; \
        const double *restrict const row_y = (in_y).row; \
        if (row_x != NULL && row_y != NULL) {            \
            EACH_LANE {                                  \
                const double x = row_x[l], y = row_y[l]; \
                out[l] = (expression);                   \
            }                                            \
        } else if (row_x != NULL) {                      \
            EACH_ROW_X(in_x, in_y, expression);          \
        } else {                                         \
            const double x = (in_x).number;              \
            EACH_LANE {                                  \
                const double y = row_y[l];               \
                out[l] = (expression);                   \
            }                                            \
        }                                                \
    } while (0)

/* The loop where x is a row and y is a number. */
#define EACH_ROW_X(in_x, in_y, expression)              \
    do {                                                \
        const double *restrict const only = (in_x).row; \
        const double y = (in_y).number;                 \
        (void)y;                                        \
        EACH_LANE {                                     \
            const double x = only[l];                   \
            out[l] = (expression);                      \
        }                                               \
    } while (0)

/* ---- sine, cosine and powers ---- */

/* out = expression in lanes that are nan: those that a fast loop has left, and those that are nan
 * indeed. So no lane's result depends on the other lanes. */
#define EACH_LEFT_LANE(expression)                                         \
    do {                                                                   \
        uint64_t left = 0;                                                 \
        EACH_LANE left |= mg_lane_bits(out[l] == out[l] ? 0.0 : 1.0);      \
        if (left != 0) EACH_LANE if (isnan(out[l])) out[l] = (expression); \
    } while (0)

/* out = sin x where quarter is 0, cos x where it is 1. */
TARGET MG_NEVER_INLINE static void mg_sine_lanes(const double *restrict x, uint64_t quarter,
                                                 size_t lanes, double *restrict out) {
    EACH_LANE out[l] = mg_lane_ordinary_sine(x[l], quarter);
    EACH_LEFT_LANE(quarter != 0 ? cos(x[l]) : sin(x[l]));
}

MG_INLINE void mg_fill_lanes(double number, double *restrict room) {
    for (size_t l = 0; l < MG_MOST_LANES; l++) room[l] = number;
}

/* Return an operand as a row; of a number, in `room`. */
MG_INLINE const double *mg_lane_row(mg_operand in, double *restrict room) {
    if (in.row != NULL) return in.row;
    mg_fill_lanes(in.number, room);
    return room;
}

/* high + low = log |x|; high is nan where x is no normal number. */
TARGET MG_NEVER_INLINE static void mg_long_log_lanes(const double *restrict x, size_t lanes,
                                                     double *restrict high, double *restrict low) {
    EACH_LANE high[l] = mg_lane_long_log(x[l], &low[l]);
}

/* out = x^(y - less). Short loops are faster than a long one, whose steps overlap less. */
TARGET MG_NEVER_INLINE static void mg_power_lanes(mg_operand x_in, mg_operand y_in, double less,
                                                  size_t lanes, double *restrict out) {
    double x_room[MG_MOST_LANES], y_room[MG_MOST_LANES], high[MG_MOST_LANES], low[MG_MOST_LANES];
    const double *restrict const x = mg_lane_row(x_in, x_room);
    const double *restrict const y = mg_lane_row(y_in, y_room);
    uint64_t signs = 0;
    mg_long_log_lanes(x, x_in.row == NULL ? MG_LANES : lanes, high, low);
    if (x_in.row == NULL) {
        mg_fill_lanes(high[0], high);
        mg_fill_lanes(low[0], low);
    }
    EACH_LANE out[l] = mg_lane_exp_of_product(y[l] - less, high[l], low[l]);
    EACH_LANE signs |= mg_lane_bits(x[l]);
    if (signs >> 63 != 0) EACH_LANE out[l] = mg_lane_signed_power(x[l], y[l] - less, out[l]);
    EACH_LEFT_LANE(pow(x[l], y[l] - less));
}

/* out = g dz/dx, where z = x^y: mg_power_dx, mg_number_power_dx if x is a number. */
TARGET MG_NEVER_INLINE static void mg_power_dx_lanes(mg_operand x_in, mg_operand y_in, bool number,
                                                     const double *restrict g, size_t lanes,
                                                     double *restrict out) {
    double y_room[MG_MOST_LANES];
    const double *restrict const y = mg_lane_row(y_in, y_room);
    mg_power_lanes(x_in, y_in, 1.0, lanes, out);
    EACH_LANE out[l] = y[l] == 0.0 ? 0.0 : y[l] * out[l];
    if (number) EACH_LANE out[l] = isfinite(out[l]) ? out[l] : 0.0;
    EACH_LANE out[l] *= g[l];
}

/* out = g dz/dy, where z = x^y: mg_power_dy. */
TARGET MG_NEVER_INLINE static void mg_power_dy_lanes(mg_operand x_in, const double *restrict z,
                                                     const double *restrict g, size_t lanes,
                                                     double *restrict out) {
    double x_room[MG_MOST_LANES];
    const double *restrict const x = mg_lane_row(x_in, x_room);
    EACH_LANE {
        const double dy = z[l] * mg_lane_log(x[l]);
        out[l] = (x[l] == 0.0 ? 0.0 : dy) * g[l];
    }
}

/* ---- exponentials, logarithms, angles ---- */

TARGET MG_NEVER_INLINE static void mg_exp_lanes(const double *restrict x, size_t lanes,
                                                double *restrict out) {
    EACH_LANE out[l] = mg_lane_exp(x[l]);
}

/* out = MG_WIDE e^-|x| */
TARGET MG_NEVER_INLINE static void mg_wide_exp_lanes(const double *restrict x, size_t lanes,
                                                     double *restrict out) {
    EACH_LANE out[l] = mg_lane_wide_exp(-fabs(x[l]), -0.0);
}

/* out = MG_WIDE e^(-share x^2) */
TARGET MG_NEVER_INLINE static void mg_bell_lanes(const double *restrict x, double share,
                                                 size_t lanes, double *restrict out) {
    EACH_LANE out[l] = mg_lane_wide_bell(x[l], share);
}

/* Of a = |x|, or |x| / sqrt 2 if `normal`: core = erf a where a is below 3/4, tail = MG_WIDE erfc a
 * where a is above 0.47. bell = MG_WIDE e^(-a^2). */
TARGET MG_NEVER_INLINE static void mg_erf_lanes(const double *restrict x, bool normal,
                                                const double *restrict bell, size_t lanes,
                                                double *restrict core, double *restrict tail) {
    const double factor = normal ? MG_ROOT_HALF : 1.0;
    EACH_LANE core[l] = mg_lane_core_erf(fabs(x[l]) * factor);
    if (normal)
        EACH_LANE tail[l] = mg_lane_scaled_erfc(fabs(x[l]), true) * bell[l];
    else
        EACH_LANE tail[l] = mg_lane_scaled_erfc(fabs(x[l]), false) * bell[l];
}

TARGET MG_NEVER_INLINE static void mg_log1p_lanes(const double *restrict x, size_t lanes,
                                                  double *restrict out) {
    EACH_LANE out[l] = mg_lane_log1p(x[l]);
}

/* out = (e^|x| - 1) / 4, or without the bars where `sizes` is false. */
TARGET MG_NEVER_INLINE static void mg_quarter_expm1_lanes(const double *restrict x, bool sizes,
                                                          size_t lanes, double *restrict out) {
    const uint64_t mask = sizes ? ~MG_SIGN : ~(uint64_t)0;
    EACH_LANE out[l] = mg_lane_quarter_expm1(mg_lane_double(mg_lane_bits(x[l]) & mask));
}

TARGET MG_NEVER_INLINE static void mg_angle_lanes(const double *restrict y,
                                                  const double *restrict x, size_t lanes,
                                                  double *restrict out) {
    EACH_LANE out[l] = mg_lane_angle(y[l], x[l]);
}

TARGET MG_NEVER_INLINE static void mg_sinh_lanes(const double *restrict x, size_t lanes,
                                                 double *restrict out) {
    double room[MG_MOST_LANES];
    mg_quarter_expm1_lanes(x, true, lanes, room);
    EACH_LANE out[l] = mg_lane_sinh(x[l], room[l]);
}

TARGET MG_NEVER_INLINE static void mg_cosh_lanes(const double *restrict x, size_t lanes,
                                                 double *restrict out) {
    double room[MG_MOST_LANES];
    mg_quarter_expm1_lanes(x, true, lanes, room);
    EACH_LANE out[l] = mg_lane_cosh(room[l]);
}

/* out = sqrt(1 - x^2) */
TARGET MG_NEVER_INLINE static void mg_other_leg_lanes(const double *restrict x, size_t lanes,
                                                      double *restrict out) {
    EACH_LANE out[l] = sqrt((1.0 - x[l]) * (1.0 + x[l]));
}

#endif
