/* pack_run.c: the instructions that packs alone have. */
#include "for_speed.h"
#include "program/block.h"

void mg_set_lanes(mg_block *at, const mg_instruction *in) {
    at->used = in->count;
    at->lanes = (in->count + MG_LANES - 1) / MG_LANES * MG_LANES;
}

void mg_gather(const mg_block *at, const mg_instruction *in) {
    const mg_product *const terms = at->schedule->terms + in->first;
    double *const out = mg_slot(at, in->out);
    for (uint32_t l = 0; l < in->count; l++) out[l] = at->slots[terms[l].a];
}

void mg_choose(const mg_block *at, const mg_instruction *in) {
    const uint32_t place = mg_place_among(mg_scalar(at, in->x), in->count);
    double *const out = mg_slot(at, in->out);
    for (size_t l = 0; l < at->used; l++)
        out[l] = place < in->count ? mg_slot(at, at->schedule->terms[in->first + place].a)[l] : NAN;
}

/* ---- by the expressions of the operator table ---- */

void mg_apply_exact(const mg_block *at, const mg_instruction *in) {
    const mg_lanes_of x = mg_operand_lanes(at, in->x, NULL),
                      y = mg_operand_lanes(at, in->y, &in->number);
    double *const out = mg_slot(at, in->out);
    unsigned status = MG_OK;
    switch (in->op) {
#define X(name, ...)                                                                          \
    case MG_OP_##name:                                                                        \
        for (size_t l = 0; l < at->used; l++)                                                 \
            status |= mg_evaluate(MG_OP_##name, x.at[l * x.step], y.at[l * y.step], out + l); \
        break;
        MG_OPERATORS(X)
#undef X
        default:
            break;
    }
    if (status != MG_OK) at->trap->status = (int)status;
}

void mg_push_exact(const mg_block *at, const mg_instruction *in, int side) {
    const mg_lanes_of x = mg_operand_lanes(at, in->x, NULL),
                      y = mg_operand_lanes(at, in->y, &in->number);
    const mg_lanes_of z = mg_operand_lanes(at, in->z, NULL);
    const double *const g = mg_slot(at, in->g);
    const bool same = x.step + y.step + z.step == 0 && in->mask == MG_NOTHING;
    double *const out = mg_slot(at, in->out), slopes[2] = {0.0, 0.0};
    for (size_t l = 0; l < at->used; l++) {
        out[l] = 0.0;
        if (in->mask != MG_NOTHING && mg_slot(at, in->mask)[l] == 0.0) continue;
        if (l == 0 || !same) {
            const mg_status status = mg_differentiate(in->op, x.at[l * x.step], y.at[l * y.step],
                                                      z.at[l * z.step], &slopes[0], &slopes[1]);
            if (status != MG_OK) at->trap->status = (int)status;
        }
        out[l] = slopes[side] * g[l];
    }
}

/* ---- one by one ---- */

static double sum_of_terms(const double *v, const mg_product *term, const mg_product *end) {
    double sum = -0.0;
    for (; term < end; term++) sum += term->b == MG_NOTHING ? v[term->a] : v[term->a] * v[term->b];
    return sum;
}

static double select_one(const double *v, const mg_instruction *in) {
    if (v[in->x] != 0.0) return in->y == MG_NOTHING ? 0.0 : v[in->y];
    return in->z == MG_NOTHING ? in->number : v[in->z];
}

/* Return g dz/dx or g dz/dy. */
static double slope_of_one(const mg_block *at, const mg_instruction *in) {
    const double *v = at->slots;
    double dx, dy;
    if (in->mask != MG_NOTHING && v[in->mask] == 0.0) return 0.0;
    const double y = in->y == MG_NOTHING ? in->number : v[in->y];
    const mg_status status = mg_differentiate(in->op, v[in->x], y, v[in->z], &dx, &dy);
    if (status != MG_OK) at->trap->status = (int)status;
    return (in->code == MG_CODE_EXACT_X ? dx : dy) * v[in->g];
}

void mg_run_ones(const mg_block *at, const mg_instruction *in, size_t count) {
    double *const v = at->slots;
    const mg_product *const terms = at->schedule->terms;
    for (const mg_instruction *const end = in + count; in < end; in++) {
        mg_status status = MG_OK;
        double out;
        switch ((mg_code)in->code) {
            case MG_CODE_ADD:
                out = v[in->x] + v[in->y];
                break;
            case MG_CODE_MULTIPLY:
                out = v[in->x] * v[in->y];
                break;
            case MG_CODE_FUSED:
                out = v[in->x] + v[in->y] * v[in->z];
                break;
            case MG_CODE_SUM:
                out = sum_of_terms(v, terms + in->first, terms + in->first + in->count);
                break;
            case MG_CODE_DIVIDE:
                out = v[in->x] / v[in->y];
                status = v[in->y] == 0.0 ? MG_ZERO_DIVISION : MG_OK;
                break;
            case MG_CODE_LESS:
                out = v[in->x] < v[in->y];
                break;
            case MG_CODE_LESS_EQUAL:
                out = v[in->x] <= v[in->y];
                break;
            case MG_CODE_EQUAL:
                out = v[in->x] == v[in->y];
                break;
            case MG_CODE_SELECT:
                out = select_one(v, in);
                break;
            case MG_CODE_EXACT:
                status = mg_evaluate(in->op, v[in->x], in->y == MG_NOTHING ? in->number : v[in->y],
                                     &out);
                break;
            default:
                out = slope_of_one(at, in);
                break;
        }
        if (status != MG_OK) at->trap->status = (int)status;
        v[in->out] = out;
    }
}
