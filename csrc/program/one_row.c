/* one_row.c: replays of packs, one row at a time. */
#include <string.h>

#include "for_speed.h"
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
    mg_choose_interpreter(kind)(&at, 0, packs->schedule.count);
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

int mg_replay_packs(const mg_packs *packs, double *room, const double *numbers, const double *seeds,
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

/* ---- a call with one row ---- */

static void put_row(const mg_packs *packs, const mg_call *call, double *room) {
    for (size_t i = 0; i < packs->inputs; i++) room[i] = *call->inputs[i].data;
    for (size_t i = 0; i < packs->output_count; i++) {
        const double *seed = call->seeds[i].data;
        room[packs->seeds + i] = seed != NULL ? *seed : call->seed;
    }
}

/* Write the results to the call. */
static void take_row(const mg_packs *packs, mg_mode mode, mg_call *call, const double *room) {
    for (size_t i = 0; i < packs->output_count; i++) {
        const mg_answer *output = &packs->outputs[i];
        double *to = call->outputs[output->to].data;
        if (to != NULL) *to = room[output->place];
        if (mode == MG_PARAMETERS)
            call->total += room[packs->seeds + output->to] * room[output->place];
    }
    if (mode == MG_PARAMETERS) memset(call->captured_grads, 0, packs->captured * sizeof(double));
    for (size_t i = 0; i < packs->gradient_count; i++) {
        const mg_answer *gradient = &packs->gradients[i];
        const double number = room[gradient->place];
        double *to = mode == MG_PARAMETERS ? &call->captured_grads[gradient->to - packs->inputs]
                                           : call->gradients[gradient->to].data;
        if (to != NULL) *to = number;
    }
}

int mg_replay_row(const mg_packs *packs, mg_mode mode, mg_call *call, double *room) {
    mg_trap errors = {.status = MG_OK}; /* that only a call with `check` would tell */
    memcpy(room + packs->inputs, call->scalars, packs->captured * sizeof(double));
    put_constants(packs, room);
    put_row(packs, call, room);
    call->all_fail = 0;
    call->total = 0.0;
    call->trap = (mg_trap){.row = SIZE_MAX, .status = MG_OK};
    run_packs(packs, call->kind, room, &errors);
    const uint32_t failed = failing_guard(packs, room);
    const mg_lookup *wrong = failed == 0 ? wrong_lookup(packs, room) : NULL;
    if (call->failed != NULL) call->failed[0] = failed;
    if (wrong != NULL)
        call->trap = (mg_trap){.row = wrong->own ? 0 : SIZE_MAX,
                               .status = MG_NO_ITEM,
                               .op = -1,
                               .x = room[wrong->x],
                               .y = (double)wrong->count};
    else if (failed == 0)
        take_row(packs, mode, call, room);
    return failed != 0;
}
