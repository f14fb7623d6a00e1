/* called.c: the loops of operators that are calls of functions, compiled once; and the lanes that
 * the loops of called_lanes.h leave. */
#include "program/block.h"

/* An operand over lanes: lane l's number is at[l * step]. */
typedef struct {
    const double *at;
    size_t step;
} lanes_of;

/* Return the operand of an instruction, its exponent where it has none. A number that is the same
 * for all lanes is put at *number. */
static lanes_of operand(const mg_block *at, uint32_t reference, double exponent, double *number) {
    if (reference != MG_NOTHING && !mg_is_scalar(reference))
        return (lanes_of){mg_slot(at, reference), 1};
    *number = reference == MG_NOTHING ? exponent : mg_scalar(at, reference);
    return (lanes_of){number, 0};
}

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
    double x_number, y_number, *const out = mg_slot(at, in->out);
    const lanes_of x_in = operand(at, in->x, 0.0, &x_number);
    const lanes_of y_in = operand(at, in->y, in->number, &y_number);
    switch (in->op) {
#define X(name, ...) EACH_LANE(name, mg_value(MG_OP_##name, x, y))
        MG_CALLED_OPERATORS(X)
#undef X
        default:
            break;
    }
}

void mg_push_called(const mg_block *at, const mg_instruction *in, int side, bool left) {
    double x_number, y_number, *const out = mg_slot(at, in->out);
    const lanes_of x_in = operand(at, in->x, 0.0, &x_number);
    const lanes_of y_in = operand(at, in->y, in->number, &y_number);
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
