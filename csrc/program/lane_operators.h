/* lane_operators.h: the operators' loops over lanes, for the interpreters of kernels.inc.h, which
 * says what TARGET is. The loops come from the operator table; some operators have a faster loop
 * too. Loops are inlined into the interpreters, but those of lane_functions.h and called_lanes.h.
 */
#ifndef MG_LANE_OPERATORS_H
#define MG_LANE_OPERATORS_H

#include "program/called_lanes.h"
#include "program/lane_functions.h"

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
            mg_exp_lanes(x, lanes, out);
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
            mg_apply_longer(at, in);
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
            mg_push_longer(at, in, side);
            break;
    }
}

#endif
