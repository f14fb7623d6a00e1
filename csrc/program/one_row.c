/* one_row.c: replays of packs, one row at a time. */
#include <string.h>

#include "program/block.h"
#include "program/packs.h"

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
