/* one_row.c: replays of packs, and the instructions that packs alone have. */
#include <string.h>

#include "program/block.h"
#include "program/packs.h"

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

/* An operand over lanes: lane l's number is at[l * step]. */
typedef struct {
    const double *at;
    size_t step;
} lanes_of;

static lanes_of operand(const mg_block *at, uint32_t reference, const double *exponent) {
    if (reference == MG_NOTHING) return (lanes_of){exponent, 0};
    return (lanes_of){at->slots + (reference & ~MG_SCALAR), !mg_is_scalar(reference)};
}

void mg_apply_exact(const mg_block *at, const mg_instruction *in) {
    const lanes_of x = operand(at, in->x, NULL), y = operand(at, in->y, &in->number);
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
    const lanes_of x = operand(at, in->x, NULL), y = operand(at, in->y, &in->number);
    const double *const z = mg_slot(at, in->z), *const g = mg_slot(at, in->g);
    double *const out = mg_slot(at, in->out);
    for (size_t l = 0; l < at->used; l++) {
        double slopes[2];
        out[l] = 0.0;
        if (in->mask != MG_NOTHING && mg_slot(at, in->mask)[l] == 0.0) continue;
        const mg_status status = mg_differentiate(in->op, x.at[l * x.step], y.at[l * y.step], z[l],
                                                  &slopes[0], &slopes[1]);
        if (status != MG_OK) at->trap->status = (int)status;
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

/* ---- a replay ---- */

/* Compute all that is to be computed of the numbers at the first places. */
static void run_packs(const mg_packs *packs, int kind, double *room, mg_trap *trap) {
    mg_block at = {
        .schedule = &packs->schedule,
        .slots = room,
        .scalars = room,
        .stride = 1,
        .trap = trap,
    };
    mg_choose_kernels(kind)->run(&at, 0, packs->schedule.count);
}

static void put_constants(const mg_packs *packs, double *room) {
    memcpy(room + packs->seeds + packs->output_count, packs->constants,
           packs->constant_count * sizeof(double));
}

/* Return the number of the first guard that fails, or 0. */
static uint32_t failing_guard(const mg_packs *packs, const double *room) {
    for (size_t i = 0; i < packs->guard_count; i++) {
        const mg_guard *guard = &packs->guards[i];
        if (!mg_holds(guard, room[guard->left], room[guard->right])) return guard->number;
    }
    return 0;
}

/* Return a lookup with a wrong index, or NULL. */
static const mg_lookup *wrong_lookup(const mg_packs *packs, const double *room) {
    for (size_t i = 0; i < packs->lookup_count; i++) {
        const mg_lookup *lookup = &packs->lookups[i];
        if (mg_place_among(room[lookup->x], lookup->count) == lookup->count) return lookup;
    }
    return NULL;
}

int mg_packs_replay(const mg_packs *packs, double *room, const double *numbers, const double *seeds,
                    double *outputs, double *gradients) {
    mg_trap trap = {.status = MG_OK};
    const size_t count = packs->inputs + packs->captured;
    memcpy(room, numbers, count * sizeof(double));
    if (seeds != NULL) memcpy(room + packs->seeds, seeds, packs->output_count * sizeof(double));
    put_constants(packs, room);
    run_packs(packs, 0, room, &trap);
    if (failing_guard(packs, room) != 0) return 1;
    if (trap.status != MG_OK || wrong_lookup(packs, room) != NULL) return 2;
    for (size_t i = 0; i < packs->output_count; i++)
        outputs[packs->outputs[i].to] = room[packs->outputs[i].place];
    if (gradients == NULL) return 0;
    memset(gradients, 0, count * sizeof(double));
    for (size_t i = 0; i < packs->gradient_count; i++)
        gradients[packs->gradients[i].to] = room[packs->gradients[i].place];
    return 0;
}

static double at_row(const mg_column *column, size_t row) {
    return column->data[(ptrdiff_t)row * column->stride];
}

static void put_row(const mg_packs *packs, const mg_call *call, size_t row, double *room) {
    for (size_t i = 0; i < packs->inputs; i++) room[i] = at_row(&call->inputs[i], row);
    for (size_t i = 0; i < packs->output_count; i++)
        room[packs->seeds + i] =
            call->seeds[i].data != NULL ? at_row(&call->seeds[i], row) : call->seed;
}

/* Write the results of a row to the call. */
static void take_row(const mg_packs *packs, mg_mode mode, mg_call *call, size_t row,
                     const double *room) {
    for (size_t i = 0; i < packs->output_count; i++) {
        const mg_answer *output = &packs->outputs[i];
        const mg_column *to = &call->outputs[output->to];
        if (to->data != NULL) to->data[(ptrdiff_t)row * to->stride] = room[output->place];
        if (mode == MG_PARAMETERS)
            call->total += room[packs->seeds + output->to] * room[output->place];
    }
    for (size_t i = 0; i < packs->gradient_count; i++) {
        const mg_answer *gradient = &packs->gradients[i];
        if (mode == MG_PARAMETERS) {
            call->captured_grads[gradient->to - packs->inputs] += room[gradient->place];
            continue;
        }
        const mg_column *to = &call->gradients[gradient->to];
        if (to->data != NULL) to->data[(ptrdiff_t)row * to->stride] = room[gradient->place];
    }
}

int mg_packs_replay_rows(const mg_packs *packs, mg_mode mode, mg_call *call, double *room) {
    int failures = 0;
    memcpy(room + packs->inputs, call->captured, packs->captured * sizeof(double));
    put_constants(packs, room);
    call->all_fail = 0;
    call->total = 0.0;
    call->trap = (mg_trap){.row = SIZE_MAX, .status = MG_OK};
    if (mode == MG_PARAMETERS) memset(call->captured_grads, 0, packs->captured * sizeof(double));
    for (size_t i = 0; i < call->count; i++) {
        const size_t row = call->rows != NULL ? call->rows[i] : i;
        mg_trap errors = {.status = MG_OK}; /* that only a call with `check` would tell */
        put_row(packs, call, row, room);
        run_packs(packs, call->kind, room, &errors);
        const uint32_t failed = failing_guard(packs, room);
        if (call->failed != NULL) call->failed[i] = failed;
        if (failed != 0) {
            failures = 1;
            continue;
        }
        const mg_lookup *wrong = wrong_lookup(packs, room);
        if (wrong == NULL)
            take_row(packs, mode, call, row, room);
        else if (call->trap.status == MG_OK)
            call->trap = (mg_trap){.row = wrong->own ? row : SIZE_MAX,
                                   .status = MG_NO_ITEM,
                                   .op = -1,
                                   .x = room[wrong->x],
                                   .y = (double)wrong->count};
    }
    return failures;
}
