/* called_lanes.h: loops over lanes for operators whose rows of the table are calls of functions.
 * Each loop of some length is compiled once and works on whole rows, of which the functions are put
 * together. Lanes that are nan thereafter are left to called.c: those that are out of the ordinary,
 * and those that are nan indeed. So no lane's result depends on the other lanes. */
#ifndef MG_CALLED_LANES_H
#define MG_CALLED_LANES_H

#include "program/lane_functions.h"

/* ---- values ---- */

/* out = op(x, y), but for lanes that are left nan; false: there is no such loop. */
TARGET MG_NEVER_INLINE static bool mg_called_values(int op, const double *restrict x,
                                                    const double *restrict y, size_t lanes,
                                                    double *restrict out) {
    double one[MG_MOST_LANES], two[MG_MOST_LANES], three[MG_MOST_LANES];
    switch (op) {
        case MG_OP_log1p:
            mg_log1p_lanes(x, lanes, out);
            return true;
        case MG_OP_expm1:
            mg_quarter_expm1_lanes(x, false, lanes, one);
            EACH_LANE out[l] = mg_lane_expm1(x[l], one[l]);
            return true;
        case MG_OP_tan:
            EACH_LANE out[l] = mg_lane_ordinary_tangent(x[l]);
            return true;
        case MG_OP_asin:
            mg_other_leg_lanes(x, lanes, one);
            mg_angle_lanes(x, one, lanes, out);
            return true;
        case MG_OP_acos:
            mg_other_leg_lanes(x, lanes, one);
            mg_angle_lanes(one, x, lanes, out);
            return true;
        case MG_OP_atan:
            mg_fill_lanes(1.0, one);
            mg_angle_lanes(x, one, lanes, out);
            return true;
        case MG_OP_sinh:
            mg_sinh_lanes(x, lanes, out);
            return true;
        case MG_OP_cosh:
            mg_cosh_lanes(x, lanes, out);
            return true;
        case MG_OP_asinh:
            EACH_LANE one[l] = mg_lane_asinh_argument(x[l]);
            mg_log1p_lanes(one, lanes, out);
            EACH_LANE out[l] = mg_lane_with_sign(out[l], x[l]);
            return true;
        case MG_OP_acosh:
            EACH_LANE one[l] = mg_lane_acosh_argument(x[l]);
            mg_log1p_lanes(one, lanes, out);
            return true;
        case MG_OP_atanh:
            EACH_LANE one[l] = mg_lane_atanh_argument(x[l]);
            mg_log1p_lanes(one, lanes, out);
            EACH_LANE out[l] = mg_lane_with_sign(0.5 * out[l], x[l]);
            return true;
        case MG_OP_erf:
        case MG_OP_erfc:
            mg_bell_lanes(x, 1.0, lanes, one);
            mg_erf_lanes(x, false, one, lanes, two, three);
            if (op == MG_OP_erf)
                EACH_LANE out[l] = mg_lane_erf(x[l], two[l], three[l]);
            else
                EACH_LANE out[l] = mg_lane_erfc(x[l], two[l], three[l]);
            return true;
        case MG_OP_log2:
            EACH_LANE out[l] = mg_lane_log2(x[l]);
            return true;
        case MG_OP_log10:
            mg_long_log_lanes(x, lanes, one, two);
            EACH_LANE out[l] = mg_lane_log10(x[l], one[l], two[l]);
            return true;
        case MG_OP_softplus:
            mg_wide_exp_lanes(x, lanes, one);
            EACH_LANE one[l] *= MG_NARROW;
            mg_log1p_lanes(one, lanes, out);
            EACH_LANE out[l] += x[l] > 0.0 ? x[l] : 0.0;
            return true;
        case MG_OP_gelu:
            mg_bell_lanes(x, 0.5, lanes, one);
            mg_erf_lanes(x, true, one, lanes, two, three);
            EACH_LANE out[l] = mg_lane_gelu(x[l], two[l], three[l]);
            return true;
        case MG_OP_silu:
            mg_wide_exp_lanes(x, lanes, one);
            EACH_LANE out[l] = mg_lane_silu(x[l], one[l]);
            return true;
        case MG_OP_atan2:
            mg_angle_lanes(x, y, lanes, out);
            return true;
        case MG_OP_hypot:
            EACH_LANE out[l] = mg_lane_hypot(x[l], y[l]);
            return true;
        default:
            return false;
    }
}

/* ---- derivatives, times the gradient g ---- */

/* For an operator whose table row has no call in its derivative. */
#define BY_TABLE(name)                                                  \
    case MG_OP_##name:                                                  \
        EACH_LANE out[l] = mg_dx(MG_OP_##name, x[l], 0.0, z[l]) * g[l]; \
        return true;

/* out = g dz/dx (side 0) or g dz/dy (side 1), where z = op(x, y), but for lanes that are left nan;
 * false: there is no such loop. */
TARGET MG_NEVER_INLINE static bool mg_called_pushes(int op, int side, const double *restrict x,
                                                    const double *restrict y,
                                                    const double *restrict z,
                                                    const double *restrict g, size_t lanes,
                                                    double *restrict out) {
    double one[MG_MOST_LANES], two[MG_MOST_LANES], three[MG_MOST_LANES];
    switch (op) {
        BY_TABLE(log1p)
        BY_TABLE(tan)
        BY_TABLE(asin)
        BY_TABLE(acos)
        BY_TABLE(acosh)
        BY_TABLE(atanh)
        BY_TABLE(log2)
        BY_TABLE(log10)
        case MG_OP_expm1:
            mg_exp_lanes(x, lanes, out);
            break;
        case MG_OP_atan:
            EACH_LANE out[l] = mg_lane_atan_dx(x[l]);
            break;
        case MG_OP_sinh:
            mg_cosh_lanes(x, lanes, out);
            break;
        case MG_OP_cosh:
            mg_sinh_lanes(x, lanes, out);
            break;
        case MG_OP_asinh:
            EACH_LANE out[l] = 1.0 / mg_lane_hypot(1.0, x[l]);
            break;
        case MG_OP_erf:
        case MG_OP_erfc: {
            const double factor = op == MG_OP_erf ? MG_2_SQRTPI : -MG_2_SQRTPI;
            mg_bell_lanes(x, 1.0, lanes, one);
            EACH_LANE out[l] = one[l] * (factor * MG_NARROW);
            break;
        }
        case MG_OP_softplus:
            mg_wide_exp_lanes(x, lanes, one);
            EACH_LANE out[l] = mg_lane_softplus_dx(x[l], one[l]);
            break;
        case MG_OP_gelu:
            mg_bell_lanes(x, 0.5, lanes, one);
            mg_erf_lanes(x, true, one, lanes, two, three);
            EACH_LANE out[l] = mg_lane_gelu_dx(x[l], two[l], three[l], one[l]);
            break;
        case MG_OP_silu:
            mg_wide_exp_lanes(x, lanes, one);
            EACH_LANE out[l] = mg_lane_silu_dx(x[l], one[l]);
            break;
        case MG_OP_atan2:
            if (side == 0)
                EACH_LANE out[l] = mg_lane_over_squares(y[l], x[l], y[l]);
            else
                EACH_LANE out[l] = -mg_lane_over_squares(x[l], x[l], y[l]);
            break;
        case MG_OP_hypot:
            if (side == 0)
                EACH_LANE out[l] = mg_lane_hypot_dx(x[l], y[l]);
            else
                EACH_LANE out[l] = mg_lane_hypot_dx(y[l], x[l]);
            break;
        default:
            return false;
    }
    EACH_LANE out[l] *= g[l];
    return true;
}

/* ---- instructions ---- */

/* Whether some lane is nan. */
MG_INLINE bool mg_has_nan(const double *restrict x, size_t lanes) {
    uint64_t found = 0;
    EACH_LANE found |= mg_lane_bits(x[l] == x[l] ? 0.0 : 1.0);
    return found != 0;
}

/* out = op(x, y) for an operator that MG_IS_CALLED. */
TARGET MG_NEVER_INLINE static void mg_apply_longer(const mg_block *at, const mg_instruction *in) {
    double x_room[MG_MOST_LANES], y_room[MG_MOST_LANES], *const out = mg_slot(at, in->out);
    const double *const x = mg_lane_row(mg_lane_operand(at, in->x), x_room);
    const double *const y = mg_lane_row(mg_second_lane_operand(at, in), y_room);
    const bool done = mg_called_values(in->op, x, y, at->lanes, out);
    if (!done || mg_has_nan(out, at->lanes)) mg_apply_called(at, in, done);
}

/* out = g dz/dx (side 0) or g dz/dy (side 1), where z = op(x, y) */
TARGET MG_NEVER_INLINE static void mg_push_longer(const mg_block *at, const mg_instruction *in,
                                                  int side) {
    double x_room[MG_MOST_LANES], y_room[MG_MOST_LANES], *const out = mg_slot(at, in->out);
    const double *const x = mg_lane_row(mg_lane_operand(at, in->x), x_room);
    const double *const y = mg_lane_row(mg_second_lane_operand(at, in), y_room);
    const double *const z = mg_slot(at, in->z), *const g = mg_slot(at, in->g);
    const bool done = mg_called_pushes(in->op, side, x, y, z, g, at->lanes, out);
    if (!done || mg_has_nan(out, at->lanes)) mg_push_called(at, in, side, done);
}

#endif
