/* called.c: the loops of operators that are calls of functions, compiled once; and the lanes that
 * the loops of called_lanes.h leave. */
#include "program/block.h"

/* For an operator, out[l] = expression in x, y, and l: in all lanes, or in those that are nan. */
#define EACH_LANE(name, expression)                            \
    case MG_OP_##name:                                         \
        for (size_t l = 0; l < at->used; l++) {                \
            const double x = x_in.at[l * x_in.step];           \
            const double y = y_in.at[l * y_in.step];           \
            if (!left || isnan(out[l])) out[l] = (expression); \
        }                                                      \
        break;

void mg_apply_called(const mg_block *at, const mg_instruction *in, bool left) {
    double *const out = mg_slot(at, in->out);
    const mg_lanes_of x_in = mg_operand_lanes(at, in->x, NULL);
    const mg_lanes_of y_in = mg_operand_lanes(at, in->y, &in->number);
    switch (in->op) {
#define X(name, ...) EACH_LANE(name, mg_value(MG_OP_##name, x, y))
        MG_CALLED_OPERATORS(X)
#undef X
        default:
            break;
    }
}

void mg_push_called(const mg_block *at, const mg_instruction *in, int side, bool left) {
    double *const out = mg_slot(at, in->out);
    const mg_lanes_of x_in = mg_operand_lanes(at, in->x, NULL);
    const mg_lanes_of y_in = mg_operand_lanes(at, in->y, &in->number);
    const double *const z = mg_slot(at, in->z), *const g = mg_slot(at, in->g);
    if (side == 0) switch (in->op) {
#define X(name, ...) EACH_LANE(name, mg_dx(MG_OP_##name, x, y, z[l]) * g[l])
            MG_CALLED_OPERATORS(X)
#undef X
            default:
                break;
        }
    else
        switch (in->op) {
#define X(name, ...) EACH_LANE(name, mg_dy(MG_OP_##name, x, y, z[l]) * g[l])
            MG_CALLED_OPERATORS(X)
#undef X
            default:
                break;
        }
}
