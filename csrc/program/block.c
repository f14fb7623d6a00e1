/* block.c: guards, rows that are left out, and errors, lane by lane of a block. */
#include "program/block.h"

/* ---- guards ---- */

bool mg_holds(const mg_guard *guard, double x, double y) {
    return mg_compare(guard->relation, x, y) == (guard->outcome != 0);
}

void mg_check_guard(const mg_block *at, const mg_instruction *in) {
    const mg_guard *guard = &at->program->guards[in->index];
    for (size_t l = 0; l < at->used; l++) {
        double x = mg_is_scalar(in->x) ? mg_scalar(at, in->x) : mg_slot(at, in->x)[l];
        double y = mg_is_scalar(in->y) ? mg_scalar(at, in->y) : mg_slot(at, in->y)[l];
        if (!mg_holds(guard, x, y)) at->failed[l] = 1;
    }
}

/* ---- rows that are left out ---- */

/* Moving a value costs as much as eight multiplications. */
size_t mg_lanes_to_keep(const mg_block *at, const mg_instruction *in, size_t zeros) {
    const size_t kept = (at->used - zeros + MG_LANES - 1) / MG_LANES * MG_LANES;
    if (kept >= at->lanes) return at->lanes;
    const double saved = in->number * (double)(at->lanes - kept);
    const double cost = (double)(in->count + 1) * (double)(at->lanes + 8 * kept);
    return saved > cost ? kept : at->lanes;
}

size_t mg_count_zeros(const mg_block *at, const double *x) {
    size_t zeros = 0;
    for (size_t l = 0; l < at->used; l++) zeros += x[l] == 0.0;
    return zeros;
}

static void move_lanes(double *value, const uint32_t *lanes, size_t count) {
    for (size_t l = 0; l < count; l++) value[l] = value[lanes[l]];
}

void mg_keep_lanes(mg_block *at, const mg_instruction *in, const double *x, size_t zeros,
                   size_t kept) {
    uint32_t lanes[MG_MOST_LANES];
    size_t count = 0, room = kept - (at->used - zeros);
    for (uint32_t l = 0; count < kept; l++) {
        const bool zero = x[l] == 0.0, filled = zero && room != 0;
        lanes[count] = l;
        count += !zero || filled;
        room -= filled;
    }
    const mg_product *terms = at->schedule->terms + in->first;
    for (uint32_t i = 0; i < in->count; i++) move_lanes(mg_slot(at, terms[i].a), lanes, kept);
    move_lanes(mg_slot(at, in->x), lanes, kept);
    at->used = at->lanes = kept;
}

/* ---- what the function would raise, run row by row ---- */

static double lane_of(const mg_block *at, const mg_instruction *in, uint32_t reference, size_t l) {
    if (reference == MG_NOTHING) return in->number;
    return mg_is_scalar(reference) ? mg_scalar(at, reference) : mg_slot(at, reference)[l];
}

void mg_check_lanes(const mg_block *at, const mg_instruction *in) {
    const bool derivative = in->code == MG_CODE_PUSH_X || in->code == MG_CODE_PUSH_Y;
    if (!derivative && in->code != MG_CODE_APPLY && in->code != MG_CODE_DIVIDE) return;
    for (size_t l = 0; l < at->used; l++) {
        double z, dx, dy;
        mg_status status;
        const double x = lane_of(at, in, in->x, l), y = lane_of(at, in, in->y, l);
        if (at->rows[l] >= at->trap->row && at->trap->status != MG_OK) continue;
        if (in->mask != MG_NOTHING && lane_of(at, in, in->mask, l) == 0.0) continue;
        if (derivative)
            status = mg_differentiate(in->op, x, y, mg_slot(at, in->z)[l], &dx, &dy);
        else if (in->code == MG_CODE_DIVIDE)
            status = y == 0.0 ? MG_ZERO_DIVISION : MG_OK;
        else
            status = mg_evaluate(in->op, x, y, &z);
        if (status == MG_OK) continue;
        *at->trap = (mg_trap){.row = at->rows[l],
                              .status = (int)status,
                              .op = in->code == MG_CODE_DIVIDE ? -1 : in->op,
                              .derivative = derivative,
                              .x = x,
                              .y = y};
    }
}
