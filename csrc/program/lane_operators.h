/* lane_operators.h: the operators' loops over lanes, for the interpreters of kernels.inc.h, which
 * says what TARGET is. The loops come from the operator table; some operators have a faster loop
 * too. Loops are inlined into the interpreters, but those of the longest functions, each of which
 * the compiler sees once. */
#ifndef MG_LANE_OPERATORS_H
#define MG_LANE_OPERATORS_H

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

/* ---- values ---- */

/* Return op(x, y). */
MG_INLINE double mg_value_of_op(int op, double x, double y) {
    double z;
    mg_evaluate(op, x, y, &z);
    return z;
}

/* out = op(x, y) by a loop that is faster than the table's own expression; false: there is none. */
MG_INLINE bool mg_apply_fast(int op, const double *restrict x, double y, size_t lanes,
                             double *restrict out) {
    switch (op) {
        case MG_OP_exp:
            EACH_LANE out[l] = mg_lane_exp(x[l]);
            return true;
        case MG_OP_log:
            EACH_LANE out[l] = mg_lane_log(x[l]);
            return true;
        case MG_OP_tanh:
            EACH_LANE out[l] = mg_lane_tanh(x[l]);
            return true;
        case MG_OP_sigmoid:
            EACH_LANE out[l] = mg_lane_sigmoid(x[l]);
            return true;
        case MG_OP_sin:
            mg_sine_lanes(x, 0, lanes, out);
            return true;
        case MG_OP_cos:
            mg_sine_lanes(x, 1, lanes, out);
            return true;
        case MG_OP_exponent: /* short ways, where they differ from pow by at most one unit */
            if (y == 2.0)
                EACH_LANE out[l] = x[l] * x[l];
            else if (y == -1.0)
                EACH_LANE out[l] = 1.0 / x[l];
            else if (y == 1.0)
                EACH_LANE out[l] = x[l];
            else if (y == 3.0)
                EACH_LANE out[l] = x[l] * x[l] * x[l];
            else if (y == 0.5)
                EACH_LANE out[l] = mg_lane_root(x[l]);
            else if (y == -0.5)
                EACH_LANE out[l] = 1.0 / mg_lane_root(x[l]);
            else
                mg_power_lanes((mg_operand){x, 0.0}, (mg_operand){NULL, y}, 0.0, lanes, out);
            return true;
        default:
            return false;
    }
}

/* out = op(x, y). A row's value has a row among its operands, so the operand of an operator of one
 * operand is a row. */
MG_INLINE void mg_apply_op(int op, mg_form form, mg_operand x_in, mg_operand y_in, size_t lanes,
                           double *restrict out) {
    if (op == MG_OP_add || op == MG_OP_multiply) return; /* these have instructions of their own */
    if (op == MG_OP_power || op == MG_OP_number_power)
        mg_power_lanes(x_in, y_in, 0.0, lanes, out);
    else if (MG_ARITY(form) == 2)
        EACH_ROW(x_in, y_in, mg_value_of_op(op, x, y));
    else if (!mg_apply_fast(op, x_in.row, y_in.number, lanes, out))
        EACH_ROW_X(x_in, y_in, mg_value_of_op(op, x, y));
}

MG_INLINE void mg_apply(const mg_block *at, const mg_instruction *in) {
    const mg_operand x = mg_lane_operand(at, in->x), y = mg_second_lane_operand(at, in);
    switch (in->op) {
#define X(name, symbol, form, ...)                                              \
    case MG_OP_##name:                                                          \
        mg_apply_op(MG_OP_##name, form, x, y, at->lanes, mg_slot(at, in->out)); \
        break;
        MG_SHORT_OPERATORS(X)
#undef X
        default:
            mg_apply_called(at, in);
            break;
    }
}

/* ---- derivatives, times the gradient g ---- */

/* out = g dz/dx, where z = op(x, y), by a faster loop; false: there is none. */
MG_INLINE bool mg_push_fast(int op, const double *restrict x, double y, const double *restrict z,
                            const double *restrict g, size_t lanes, double *restrict out) {
    switch (op) {
        case MG_OP_tanh:
            EACH_LANE out[l] = (1.0 - z[l] * z[l]) * g[l];
            return true;
        case MG_OP_sin:
            mg_sine_lanes(x, 1, lanes, out);
            EACH_LANE out[l] *= g[l];
            return true;
        case MG_OP_cos:
            mg_sine_lanes(x, 0, lanes, out);
            EACH_LANE out[l] = -out[l] * g[l];
            return true;
        case MG_OP_exponent:
            if (y == 2.0)
                EACH_LANE out[l] = 2.0 * x[l] * g[l];
            else if (y == -1.0) /* x * x overflows where x^-2 does not underflow */
                EACH_LANE out[l] = -((1.0 / x[l]) * (1.0 / x[l])) * g[l];
            else if (y == 1.0)
                EACH_LANE out[l] = g[l];
            else if (y == 3.0)
                EACH_LANE out[l] = 3.0 * (x[l] * x[l]) * g[l];
            else if (y == 0.5)
                EACH_LANE out[l] = 0.5 / mg_lane_root(x[l]) * g[l];
            else if (y == -0.5) /* x * root overflows where x^-1.5 does not underflow */
                EACH_LANE out[l] = -0.5 * (1.0 / mg_lane_root(x[l]) / fabs(x[l])) * g[l];
            else
                mg_power_dx_lanes((mg_operand){x, 0.0}, (mg_operand){NULL, y}, false, g, lanes,
                                  out);
            return true;
        default:
            return false;
    }
}

/* out = g dz/dx (side 0) or g dz/dy (side 1), where z = op(x, y). */
MG_INLINE void mg_push_op(int op, mg_form form, int side, mg_operand x_in, mg_operand y_in,
                          const double *restrict z, const double *restrict g, size_t lanes,
                          double *restrict out) {
    if (op == MG_OP_add || op == MG_OP_multiply) return;
    if ((op == MG_OP_power || op == MG_OP_number_power) && side == 0)
        mg_power_dx_lanes(x_in, y_in, op == MG_OP_number_power, g, lanes, out);
    else if (op == MG_OP_power || op == MG_OP_number_power)
        mg_power_dy_lanes(x_in, z, g, lanes, out);
    else if (MG_ARITY(form) == 2 && side == 0)
        EACH_ROW(x_in, y_in, mg_dx(op, x, y, z[l]) * g[l]);
    else if (MG_ARITY(form) == 2)
        EACH_ROW(x_in, y_in, mg_dy(op, x, y, z[l]) * g[l]);
    else if (side == 0 && !mg_push_fast(op, x_in.row, y_in.number, z, g, lanes, out))
        EACH_ROW_X(x_in, y_in, mg_dx(op, x, y, z[l]) * g[l]);
}

MG_INLINE void mg_push_side(const mg_block *at, const mg_instruction *in, int side) {
    const mg_operand x = mg_lane_operand(at, in->x), y = mg_second_lane_operand(at, in);
    const double *const z = mg_slot(at, in->z), *const g = mg_slot(at, in->g);
    switch (in->op) {
#define X(name, symbol, form, ...)                                                         \
    case MG_OP_##name:                                                                     \
        mg_push_op(MG_OP_##name, form, side, x, y, z, g, at->lanes, mg_slot(at, in->out)); \
        break;
        MG_SHORT_OPERATORS(X)
#undef X
        default:
            mg_push_called(at, in, side);
            break;
    }
}

#endif
