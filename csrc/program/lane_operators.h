/* lane_operators.h: the operators' loops over lanes, inlined into the interpreters of
 * kernels.inc.h. The loops come from the operator table; some operators have a faster loop too. */
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

/* Loops out[l] = expression for operands that are rows or numbers, not both numbers. The expression
 * may contain x, y and l. */
#define EACH_LANE for (size_t l = 0; l < lanes; l++)
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
        case MG_OP_exponent: /* at most half a unit in the last place from what pow returns */
            if (y == 2.0)
                EACH_LANE out[l] = x[l] * x[l];
            else if (y == -1.0)
                EACH_LANE out[l] = 1.0 / x[l];
            else if (y == 1.0)
                EACH_LANE out[l] = x[l];
            else
                return false;
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
    if (MG_ARITY(form) == 2)
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
        case MG_OP_exponent:
            if (y == 2.0)
                EACH_LANE out[l] = 2.0 * x[l] * g[l];
            else if (y == -1.0) /* x * x overflows where x^-2 does not underflow */
                EACH_LANE out[l] = -((1.0 / x[l]) * (1.0 / x[l])) * g[l];
            else if (y == 1.0)
                EACH_LANE out[l] = g[l];
            else
                return false;
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
    if (MG_ARITY(form) == 2 && side == 0)
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
