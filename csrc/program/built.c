/* built.c: calls of few rows by functions that were compiled from a program's C. */
#include <string.h>

#include "program/program.h"

/* Where the numbers of one row lie in the room. */
typedef struct {
    double *inputs, *results, *seeds, *input_gradients, *parameter_gradients, *room;
} row_of_numbers;

static row_of_numbers divide_room(const mg_built *built, double *room) {
    row_of_numbers row = {.inputs = room};
    row.results = row.inputs + built->inputs;
    row.seeds = row.results + built->outputs;
    row.input_gradients = row.seeds + built->outputs;
    row.parameter_gradients = row.input_gradients + built->inputs;
    row.room = row.parameter_gradients + built->captured;
    return row;
}

static double *element(const mg_column *column, size_t row) {
    return column->data + (ptrdiff_t)row * column->stride;
}

/* Return what the function for a row returns. */
static int compute(const mg_built *built, mg_mode mode, const mg_call *call, size_t row,
                   const row_of_numbers *at) {
    for (size_t i = 0; i < built->inputs; i++) at->inputs[i] = *element(&call->inputs[i], row);
    if (mode == MG_FORWARD) return built->values(at->inputs, call->scalars, at->results, at->room);
    for (size_t i = 0; i < built->outputs; i++)
        at->seeds[i] = call->seeds[i].data != NULL ? *element(&call->seeds[i], row) : call->seed;
    return built->gradients(at->inputs, call->scalars, at->seeds, at->results, at->input_gradients,
                            at->parameter_gradients, at->room);
}

static void write(const mg_built *built, mg_mode mode, mg_call *call, size_t row,
                  const row_of_numbers *at) {
    for (size_t i = 0; i < built->outputs; i++) {
        if (call->outputs[i].data != NULL) *element(&call->outputs[i], row) = at->results[i];
        if (mode == MG_PARAMETERS) call->total += at->seeds[i] * at->results[i];
    }
    for (size_t i = 0; mode == MG_PARAMETERS && i < built->captured; i++)
        call->captured_grads[i] += at->parameter_gradients[i];
    for (size_t i = 0; mode == MG_INPUTS && i < built->inputs; i++)
        if (call->gradients[i].data != NULL)
            *element(&call->gradients[i], row) = at->input_gradients[i];
}

size_t mg_built_room(const mg_built *built) {
    return 2 * (built->inputs + built->outputs) + built->captured + built->room + 1;
}

int mg_replay_built(const mg_built *built, mg_mode mode, mg_call *call, double *room) {
    const row_of_numbers at = divide_room(built, room);
    call->all_fail = 0;
    call->total = 0.0;
    call->trap = (mg_trap){.row = SIZE_MAX, .status = MG_OK};
    if (mode == MG_PARAMETERS) memset(call->captured_grads, 0, built->captured * sizeof(double));
    for (size_t row = 0; row < call->count; row++) {
        if (compute(built, mode, call, row, &at) != 0) return 1;
        write(built, mode, call, row, &at);
    }
    return 0;
}
