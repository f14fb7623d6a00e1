/* races.c: what several threads may do at a time, done by several threads. Built with
 * ThreadSanitizer by .ci/sanitize, which reports what none of them may do; the results are compared
 * with one thread's, bit by bit, besides. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "micrograd.h"

enum { THREADS = 4, INPUTS = 3, UNITS = 12, ROWS = 3000, ROUNDS = 20 };
enum { PARAMETERS = UNITS * (INPUTS + UNITS) + UNITS };

static void *need(void *made) {
    if (made != NULL) return made;
    fputs("races: no memory\n", stderr);
    exit(2);
}

static double random_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 4503599627370496.0 - 1.0;
}

static void run_together(void *(*work)(void *), void *arguments, size_t size) {
    pthread_t threads[THREADS];
    for (size_t k = 0; k < THREADS; k++)
        if (pthread_create(&threads[k], NULL, work, (char *)arguments + k * size) != 0) exit(2);
    for (size_t k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
}

/* ---- recording ---- */

static mg_node *record(mg_arena *arena, const char *name, mg_node *x, mg_node *y) {
    return need(mg_record(arena, mg_operator_find(name), x, y, NULL));
}

/* relu(1 - w2 . tanh(w1 . x)): in reverse rows are left out, and gradients summed. What is recorded
 * on the way is released, the inputs and parameters are not. */
static mg_node *record_loss(mg_arena *arena, mg_node **parameters, mg_node **inputs) {
    mg_node *layer[2][UNITS], **w = parameters, *loss = need(mg_leaf(arena, 1.0)), *next;
    for (int depth = 0; depth < 2; depth++)
        for (int i = 0; i < UNITS; i++) {
            mg_node *sum = need(mg_leaf(arena, 0.0));
            for (int j = 0; j < (depth == 0 ? INPUTS : UNITS); j++) {
                mg_node *product =
                    record(arena, "multiply", *w++, depth == 0 ? inputs[j] : layer[0][j]);
                next = record(arena, "add", sum, product);
                mg_release(product);
                mg_release(sum);
                sum = next;
            }
            layer[depth][i] = record(arena, "tanh", sum, NULL);
            mg_release(sum);
        }
    for (int i = 0; i < UNITS; i++) {
        mg_node *product = record(arena, "multiply", *w++, layer[1][i]);
        next = record(arena, "add", loss, product);
        mg_release(product);
        mg_release(loss);
        loss = next;
    }
    for (int i = 0; i < 2 * UNITS; i++) mg_release(layer[i / UNITS][i % UNITS]);
    next = record(arena, "relu", loss, NULL);
    mg_release(loss);
    return next;
}

/* A dot product of the parameters, looked at by all threads: unpacked by one of them. */
static mg_node *make_dot(mg_arena *arena, mg_node **parameters) {
    mg_term terms[PARAMETERS];
    for (int i = 0; i < PARAMETERS; i++) terms[i] = (mg_term){parameters[i], 0.0, 0};
    return need(mg_dot(arena, terms, terms, PARAMETERS, NULL, -1, NULL));
}

static void look_at(mg_node *node) {
    for (int depth = 0; depth < PARAMETERS - 1; depth++) {
        if (mg_node_arity(node) != 2 || mg_node_operator(node) != mg_operator_find("add") ||
            !mg_node_has_partials(node) || mg_node_exponent(node) != 0.0)
            exit(2);
        node = mg_node_operand(node, 0);
    }
}

static void make_leaves(mg_arena *arena, uint64_t seed, mg_node **out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = need(mg_leaf(arena, random_number(&seed)));
}

static void release_all(mg_node **nodes, size_t count) {
    for (size_t i = 0; i < count; i++) mg_release(nodes[i]);
}

/* Graphs of each thread's own over the same parameters, to which all add gradients. */
typedef struct {
    mg_arena *arena;
    mg_node **parameters;
    mg_node **dots;
} recording;

static void *record_and_go_back(void *argument) {
    const recording *at = argument;
    for (uint64_t k = 0; k < ROUNDS; k++) {
        mg_node *inputs[INPUTS], *culprit;
        mg_order *order;
        look_at(at->dots[k]);
        make_leaves(at->arena, k, inputs, INPUTS);
        mg_node *loss = record_loss(at->arena, at->parameters, inputs);
        if (mg_backward(at->arena, loss, &order, &culprit) != MG_OK) exit(2);
        mg_release(loss);
        release_all(inputs, INPUTS);
    }
    return NULL;
}

/* ---- replaying ---- */

typedef struct {
    mg_program *program;
    mg_mode mode;
    const double *parameters;
    double *rows;
    mg_call call;
    mg_column inputs[INPUTS], output, seed, gradients[INPUTS];
    double *results; /* of each row: the output, then the gradients of inputs */
    double grads[PARAMETERS];
    uint32_t failed[ROWS];
    atomic_size_t *next; /* the chunk to be taken next, with other threads; NULL: all alone */
} replay;

static void begin(replay *at) {
    const size_t sums = mg_program_sums(at->program) * mg_replay_chunks(ROWS);
    mg_set_columns(at->inputs, at->rows, INPUTS, 1, INPUTS);
    at->results = need(calloc(ROWS * (INPUTS + 1), sizeof(double)));
    mg_set_columns(&at->output, at->results, 1, 1, INPUTS + 1);
    mg_set_columns(at->gradients, at->results + 1, INPUTS, 1, INPUTS + 1);
    at->call.inputs = at->inputs;
    at->call.count = ROWS;
    at->call.outputs = &at->output;
    at->call.seeds = &at->seed;
    at->call.seed = at->call.scale = 1.0;
    at->call.gradients = at->gradients;
    at->call.failed = at->failed;
    at->call.captured_grads = at->grads;
    at->call.scalars = need(calloc(mg_program_scalars(at->program), sizeof(double)));
    memcpy(at->call.scalars, at->parameters, PARAMETERS * sizeof(double));
    at->call.sums = need(calloc(sums, sizeof(double)));
}

static void *replay_alone(void *argument) {
    replay *at = argument;
    if (mg_program_prepare(at->program, at->mode) != MG_OK) exit(2);
    mg_workspace *workspace = need(mg_workspace_new(at->program, at->mode));
    begin(at);
    mg_replay(at->program, at->mode, &at->call, workspace);
    mg_workspace_free(workspace);
    return NULL;
}

/* A thread's part of one replay. */
typedef struct {
    replay *whole;
    mg_trap trap;
} part;

static void *replay_chunks(void *argument) {
    part *mine = argument;
    replay *at = mine->whole;
    mg_workspace *workspace = need(mg_workspace_new(at->program, at->mode));
    for (;;) {
        const size_t chunk = atomic_fetch_add(at->next, 1);
        if (chunk >= mg_replay_chunks(ROWS)) break;
        mg_progress progress = {.chunk = chunk, .last = chunk + 1};
        while (
            mg_replay_some(at->program, at->mode, &at->call, workspace, &progress, 1, &mine->trap))
            continue;
    }
    mg_workspace_free(workspace);
    return NULL;
}

static void replay_together(replay *at) {
    atomic_size_t next = 0;
    part parts[THREADS] = {{0}};
    for (size_t k = 0; k < THREADS; k++) parts[k] = (part){at, {.row = SIZE_MAX}};
    at->next = &next;
    begin(at);
    mg_replay_begin(at->program, &at->call);
    run_together(replay_chunks, parts, sizeof(part));
    mg_replay_end(at->program, at->mode, &at->call); /* finite: once */
}

static bool same(const replay *a, const replay *b) {
    return memcmp(a->results, b->results, ROWS * (INPUTS + 1) * sizeof(double)) == 0 &&
           memcmp(a->grads, b->grads, sizeof a->grads) == 0 &&
           memcmp(a->failed, b->failed, sizeof a->failed) == 0 && a->call.total == b->call.total;
}

static void end(replay *at) {
    free(at->results);
    free(at->call.scalars);
    free(at->call.sums);
}

/* A program with a guard, x0 < x1, that about half of the rows fail. */
static mg_program *compile(mg_arena *arena, mg_arena *memory, mg_node **parameters) {
    mg_node *inputs[INPUTS], *culprit;
    mg_position start;
    mg_status status;
    mg_begin_recording(arena, &start);
    make_leaves(arena, 1, inputs, INPUTS);
    mg_node *loss = record_loss(arena, parameters, inputs);
    mg_node *const ends[] = {loss, inputs[0], inputs[1]};
    mg_node *anchor = need(mg_record_rule(arena, MG_RULE_NONE, 0.0, ends, 3, &status));
    mg_end_recording(arena);
    mg_trace *trace = need(mg_trace_new(arena, anchor, &start, inputs, INPUTS, &status, &culprit));
    const mg_guard guard = {MG_LESS, trace->root[1], trace->root[2],
                            mg_node_data(inputs[0]) < mg_node_data(inputs[1])};
    mg_program *program = need(mg_program_new(memory, trace->entries, trace->count, INPUTS,
                                              trace->captures, trace->root, 1, &guard, 1, &status));
    mg_trace_free(arena, trace);
    mg_release(anchor);
    mg_release(loss);
    release_all(inputs, INPUTS);
    return program;
}

static bool replay_all(mg_program *program, const double *data, double *rows) {
    bool good = true;
    for (mg_mode mode = MG_FORWARD; mode < MG_MODES; mode++) {
        replay *all = need(calloc(THREADS + 1, sizeof(replay)));
        for (size_t k = 0; k <= THREADS; k++)
            all[k] = (replay){.program = program,
                              .mode = mode,
                              .rows = rows,
                              .parameters = data,
                              .call = {.check = mode == MG_ALL}};
        run_together(replay_alone, all, sizeof(replay)); /* the first of them prepares the mode */
        replay_together(&all[THREADS]);
        for (size_t k = 1; k <= THREADS; k++) good &= same(&all[0], &all[k]);
        for (size_t k = 0; k <= THREADS; k++) end(&all[k]);
        free(all);
    }
    return good;
}

int main(void) {
    mg_arena *arena = need(mg_arena_new()), *memory = need(mg_arena_new());
    mg_node *parameters[PARAMETERS], *dots[ROUNDS];
    double data[PARAMETERS], *rows = need(malloc(ROWS * INPUTS * sizeof(double)));
    uint64_t seed = 2;
    make_leaves(arena, 3, parameters, PARAMETERS);
    for (size_t i = 0; i < ROWS * INPUTS; i++) rows[i] = 3.0 * random_number(&seed);
    mg_program *program = compile(arena, memory, parameters);
    mg_get_data(arena, parameters, PARAMETERS, data);
    const bool good = replay_all(program, data, rows);
    mg_program_free(program);

    recording recordings[THREADS];
    for (size_t k = 0; k < ROUNDS; k++) dots[k] = make_dot(arena, parameters);
    for (size_t k = 0; k < THREADS; k++) recordings[k] = (recording){arena, parameters, dots};
    run_together(record_and_go_back, recordings, sizeof(recording));
    release_all(dots, ROUNDS);
    release_all(parameters, PARAMETERS);
    mg_arena_free(arena);
    mg_arena_free(memory);
    free(rows);
    if (!good) fputs("races: results depend on threads\n", stderr);
    return good ? 0 : 1;
}
