/* bits.c: what the library computes, as bits, one line for each result: recorded graphs, and a
 * program in every mode and for every kind of processor. .ci/cross builds this for several systems
 * and compares what is printed. All operators of the table are here, on ordinary numbers and on
 * those at the edges. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "micrograd.h"

enum { INPUTS = 3, UNITS = 8, ROWS = 1500, KINDS = 3, MOST = 128 };
enum { PARAMETERS = UNITS * (INPUTS + 1) };

static const double edges[] = {0.0,   -0.0, 0.5,      -0.5,      1.0,      -1.0,  2.0,
                               3.0,   -3.0, 1e-300,   5e-324,    1e300,    710.0, -745.0,
                               1e-17, 0.75, INFINITY, -INFINITY, 100000.5, -40.0};
enum { EDGES = sizeof edges / sizeof *edges };

static void *need(void *made) {
    if (made != NULL) return made;
    fputs("bits: no memory\n", stderr);
    exit(2);
}

static double random_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 4503599627370496.0 - 1.0;
}

/* Of a nan neither sign nor payload is promised. */
static uint64_t mix(uint64_t hash, double x) {
    uint64_t bits = 0x7ff8000000000000u;
    if (!isnan(x)) memcpy(&bits, &x, sizeof bits);
    hash = (hash ^ bits) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static void print_number(double x) {
    if (isnan(x))
        printf(" nan");
    else
        printf(" %a", x);
}

/* ---- recorded graphs ---- */

static void print_push(mg_arena *arena, mg_node *out, mg_node **operands) {
    mg_order *order;
    mg_node *culprit;
    mg_zero_grads(arena, operands, 2);
    const mg_status status = mg_backward(arena, out, &order, &culprit);
    print_number(mg_node_data(out));
    if (status != MG_OK) printf(" status %d", (int)status);
    for (int k = 0; k < 2; k++) print_number(mg_node_grad(operands[k]));
}

static void print_operator(mg_arena *arena, int op, double x, double y) {
    mg_node *operands[2] = {need(mg_leaf(arena, x)), need(mg_leaf(arena, y))}, *out;
    mg_status status = MG_OK;
    if (mg_operator_form(op) == MG_FORM_EXPONENT)
        out = mg_record_power(arena, operands[0], y, 0, &status);
    else
        out = mg_record(arena, op, operands[0], mg_operator_arity(op) == 2 ? operands[1] : NULL,
                        &status);
    printf("%s(%a, %a)", mg_operator_name(op), x, y);
    if (out == NULL)
        printf(" status %d", (int)status);
    else
        print_push(arena, out, operands);
    printf("\n");
    if (out != NULL) mg_release(out);
    for (int k = 0; k < 2; k++) mg_release(operands[k]);
}

static void print_operators(mg_arena *arena) {
    for (int op = 0; op < mg_operator_count(); op++)
        for (int i = 0; i < EDGES && mg_operator_arity(op) != 0; i++)
            print_operator(arena, op, edges[i], edges[(5 * i + 3) % EDGES]);
}

/* ---- a recording ---- */

typedef struct {
    mg_arena *arena;
    mg_position start;
    mg_node *inputs[INPUTS];
    mg_node *parameters[PARAMETERS];
    mg_node *outputs[MOST];
    const char *names[MOST];
    size_t count;
    double captured[PARAMETERS];
    size_t captures;
} recording;

static mg_node *put(recording *at, const char *name, mg_node *node) {
    if (at->count == MOST) exit(2);
    at->names[at->count] = name;
    return at->outputs[at->count++] = need(node);
}

/* Whatever the first row's numbers are, nothing is raised: mg_restore computes nothing. */
static void record_operators(recording *at) {
    for (int op = 0; op < mg_operator_count(); op++) {
        const size_t arity = mg_operator_arity(op);
        if (arity == 0) continue;
        put(at, mg_operator_name(op),
            mg_restore(at->arena, op, 0.5, at->inputs, arity, 2.5, 0, NULL, NULL));
    }
}

static void record_network(recording *at) {
    mg_term sum[UNITS], weights[INPUTS], inputs[INPUTS];
    for (int i = 0; i < UNITS; i++) {
        mg_node **row = at->parameters + i * (INPUTS + 1);
        for (int j = 0; j < INPUTS; j++) {
            weights[j] = (mg_term){row[j], 0.0, 0};
            inputs[j] = (mg_term){at->inputs[j], 0.0, 0};
        }
        const mg_term bias = {row[INPUTS], 0.0, 0};
        mg_node *unit = mg_dot(at->arena, weights, inputs, INPUTS, &bias,
                               mg_operator_find(i % 2 == 0 ? "relu" : "tanh"), NULL);
        sum[i] = (mg_term){put(at, "unit", unit), 0.0, 0};
    }
    put(at, "total", mg_total(at->arena, sum, UNITS, NULL));
    mg_node *losses[3] = {mg_mse(at->arena, sum, sum + 2, UNITS - 2, NULL),
                          mg_hinge(at->arena, sum, sum + 2, UNITS - 2, NULL),
                          mg_logsumexp(at->arena, sum, UNITS, NULL)};
    put(at, "mse", losses[0]);
    put(at, "hinge", losses[1]);
    put(at, "logsumexp", losses[2]);
}

static mg_node *record_rule(recording *at, const char *name, mg_rule rule, size_t count,
                            mg_node *const *operands) {
    mg_node *node = need(mg_record_rule(at->arena, rule, 0.0, operands, count, NULL));
    return name == NULL ? node : put(at, name, node);
}

static void record_rules(recording *at) {
    mg_node **x = at->inputs, **w = at->parameters;
    record_rule(at, "divide", MG_RULE_DIVIDE, 2, x);
    record_rule(at, "detach", MG_RULE_DETACH, 1, x);
    record_rule(at, "equal", MG_RULE_EQUAL, 2, x);
    record_rule(at, "less or equal", MG_RULE_LESS_EQUAL, 2, x);
    mg_node *less = record_rule(at, "less", MG_RULE_LESS, 2, x);
    mg_node *table = record_rule(at, NULL, MG_RULE_TABLE, 5, w);
    record_rule(at, "take", MG_RULE_TAKE, 2, (mg_node *[]){x[2], table});
    record_rule(at, "select", MG_RULE_SELECT, 3,
                (mg_node *[]){less, at->outputs[at->count - 2], w[7]});
}

/* `every` operator, or what raises no error on random numbers. */
static void record_all(recording *at, bool every, uint64_t seed) {
    for (int i = 0; i < PARAMETERS; i++)
        at->parameters[i] = need(mg_leaf(at->arena, random_number(&seed)));
    mg_begin_recording(at->arena, &at->start);
    for (int i = 0; i < INPUTS; i++) at->inputs[i] = need(mg_leaf(at->arena, i == 1 ? 0.5 : 0.0));
    if (every) record_operators(at);
    record_network(at);
    record_rules(at);
    mg_end_recording(at->arena);
}

/* ---- replays ---- */

static mg_trace *trace_of(recording *at) {
    mg_status status = MG_OK;
    mg_node *culprit;
    mg_node *anchor = need(mg_record_custom(at->arena, 0.0, at->outputs, at->count, NULL, &status));
    return need(mg_trace_new(at->arena, anchor, &at->start, at->inputs, INPUTS, &status, &culprit));
}

/* A program with one guard, x < y, that some of the rows fail. */
static mg_program *program_of(recording *at) {
    mg_status status = MG_OK;
    mg_trace *trace = trace_of(at);
    const mg_guard guard = {.relation = MG_LESS, .left = 0, .right = 1, .outcome = 1};
    mg_program *program =
        need(mg_program_new(at->arena, trace->entries, trace->count, INPUTS, trace->captures,
                            trace->root, trace->roots, &guard, 1, &status));
    at->captures = trace->captures;
    mg_get_data(at->arena, trace->captured, trace->captures, at->captured);
    mg_trace_free(at->arena, trace);
    return program;
}

/* Random rows, and before them the edges; where gradients are summed over rows, random ones alone.
 * The third input is an index. */
static void make_rows(double *rows, mg_mode mode, uint64_t seed) {
    for (int row = 0; row < ROWS; row++) {
        const bool at_edge = mode != MG_PARAMETERS && row < EDGES * EDGES;
        rows[row * INPUTS] = at_edge ? edges[row / EDGES] : 8.0 * random_number(&seed);
        rows[row * INPUTS + 1] = at_edge ? edges[row % EDGES] : 3.0 * random_number(&seed);
        rows[row * INPUTS + 2] = row % 5;
    }
}

/* What a replay writes. */
typedef struct {
    double outputs[MOST * ROWS];
    double gradients[INPUTS * ROWS];
    double parameters[PARAMETERS];
    uint32_t failed[ROWS];
    double total;
} results;

static void replay(const recording *at, mg_program *program, mg_mode mode, int kind,
                   const mg_column *seeds, results *out) {
    static double rows[ROWS * INPUTS];
    mg_column inputs[INPUTS], outputs[MOST], gradients[INPUTS];
    make_rows(rows, mode, 2);
    mg_set_columns(inputs, rows, INPUTS, 1, INPUTS);
    mg_set_columns(outputs, out->outputs, at->count, 1, MOST);
    mg_set_columns(gradients, out->gradients, INPUTS, 1, INPUTS);
    const size_t sums = mg_program_sums(program) * mg_replay_chunks(ROWS);
    mg_call call = {.inputs = inputs,
                    .count = ROWS,
                    .outputs = outputs,
                    .seeds = seeds,
                    .scale = 1.0,
                    .gradients = gradients,
                    .failed = out->failed,
                    .scalars = need(calloc(mg_program_scalars(program) + 1, sizeof(double))),
                    .sums = need(calloc(sums, sizeof(double))),
                    .captured_grads = out->parameters,
                    .kind = kind};
    memcpy(call.scalars, at->captured, at->captures * sizeof(double));
    memset(out, 0, sizeof *out);
    mg_workspace *workspace = need(mg_workspace_new(program, mode));
    mg_replay(program, mode, &call, workspace);
    out->total = call.total;
    mg_workspace_free(workspace);
    free(call.scalars);
    free(call.sums);
}

/* ---- what is printed of a replay ---- */

static uint64_t hash_column(const double *column, size_t stride) {
    uint64_t hash = 14695981039346656037u;
    for (size_t row = 0; row < ROWS; row++) hash = mix(hash, column[row * stride]);
    return hash;
}

static void print_column(const char *name, mg_mode mode, const double *column, size_t stride) {
    printf("mode %d %s %016llx", (int)mode, name, (unsigned long long)hash_column(column, stride));
    for (size_t row = ROWS - 2; row < ROWS; row++) print_number(column[row * stride]);
    printf("\n");
}

static void print_results(const recording *at, mg_mode mode, const results *out) {
    size_t failed = 0;
    for (size_t row = 0; row < ROWS; row++) failed += out->failed[row] != 0;
    printf("mode %d: %lu rows fail\n", (int)mode, (unsigned long)failed);
    for (size_t k = 0; k < at->count; k++) print_column(at->names[k], mode, out->outputs + k, MOST);
    for (size_t k = 0; k < INPUTS && (mode == MG_INPUTS || mode == MG_ALL); k++)
        print_column("gradient", mode, out->gradients + k, INPUTS);
    for (size_t k = 0; k < at->captures && (mode == MG_PARAMETERS || mode == MG_ALL); k++) {
        printf("mode %d parameter", (int)mode);
        print_number(out->parameters[k]);
        printf("\n");
    }
}

/* Whether two replays have written the same bits. */
static bool same(const results *a, const results *b) {
    const double *x = (const double *)a, *y = (const double *)b;
    for (size_t i = 0; i < MOST * ROWS + INPUTS * ROWS + PARAMETERS; i++)
        if (mix(0, x[i]) != mix(0, y[i])) return false;
    return memcmp(a->failed, b->failed, sizeof a->failed) == 0;
}

/* Each output by itself, so that a nan of one says nothing of the others' gradients. */
static void print_gradients(const recording *at, mg_program *program, results *out) {
    double one = 1.0;
    mg_column seeds[MOST];
    for (size_t k = 0; k < at->count; k++) {
        double zero = 0.0;
        for (size_t j = 0; j < at->count; j++)
            seeds[j] = (mg_column){.data = j == k ? &one : &zero, .stride = 0};
        replay(at, program, MG_INPUTS, 0, seeds, out);
        for (size_t i = 0; i < INPUTS; i++)
            print_column(at->names[k], MG_INPUTS, out->gradients + i, INPUTS);
    }
}

/* ---- one row at a time, and parameters ---- */

static void print_packs(void) {
    static recording of, *at = &of;
    static double rows[ROWS * INPUTS], numbers[INPUTS + PARAMETERS], gradients[INPUTS + PARAMETERS];
    double seeds[MOST], outputs[MOST];
    at->arena = need(mg_arena_new());
    record_all(at, false, 5);
    mg_program *program = program_of(at);
    mg_status status = MG_OK;
    mg_packs *packs = need(mg_packs_new(program, MG_ALL, 1, &status));
    double *room = need(calloc(mg_packs_room(packs), sizeof(double)));
    make_rows(rows, MG_PARAMETERS, 3);
    for (size_t k = 0; k < MOST; k++) seeds[k] = 1.0;
    memcpy(numbers + INPUTS, at->captured, at->captures * sizeof(double));
    for (size_t row = 0; row < 50; row++) {
        memcpy(numbers, rows + row * INPUTS, INPUTS * sizeof(double));
        const int hindered = mg_replay_packs(packs, room, numbers, seeds, outputs, gradients);
        printf("row %lu: %d", (unsigned long)row, hindered);
        for (size_t k = 0; k < at->count && hindered == 0; k++) print_number(outputs[k]);
        for (size_t k = 0; k < INPUTS + at->captures && hindered == 0; k++)
            print_number(gradients[k]);
        printf("\n");
    }
    free(room);
    mg_packs_free(packs);
    mg_program_free(program);
    mg_arena_free(at->arena);
}

static void print_optimizers(const recording *at) {
    mg_node *const *nodes = at->parameters;
    const mg_sgd sgd = {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = 1};
    const mg_adam adam = {.step = 1.0, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const mg_rmsprop rmsprop = {.lr = 0.01, .alpha = 0.99, .eps = 1e-8, .centered = 1};
    static double memory[6][PARAMETERS];
    uint64_t seed = 4;
    for (size_t k = 0; k < PARAMETERS; k++) mg_node_set_grad(nodes[k], random_number(&seed));
    printf("norm %a\n", mg_clip_norm(at->arena, nodes, PARAMETERS, 1.0, 2.0));
    mg_sgd_step(at->arena, nodes, PARAMETERS, &sgd, memory[0]);
    mg_adam_step(at->arena, nodes, PARAMETERS, &adam, memory[1], memory[2], NULL);
    mg_rmsprop_step(at->arena, nodes, PARAMETERS, &rmsprop, memory[3], memory[4], memory[5]);
    for (size_t k = 0; k < PARAMETERS; k++) printf("parameter %a\n", mg_node_data(nodes[k]));
}

int main(void) {
    static recording at;
    static results first, other;
    double one = 1.0;
    mg_column seeds[MOST];
    for (size_t k = 0; k < MOST; k++) seeds[k] = (mg_column){.data = &one, .stride = 0};
    at.arena = need(mg_arena_new());
    print_operators(at.arena);
    record_all(&at, true, 1);
    mg_program *program = program_of(&at);
    for (mg_mode mode = MG_FORWARD; mode < MG_MODES; mode++) {
        if (mg_program_prepare(program, mode) != MG_OK) exit(2);
        replay(&at, program, mode, 0, seeds, &first);
        print_results(&at, mode, &first);
        for (int kind = 1; kind < KINDS; kind++) {
            replay(&at, program, mode, kind, seeds, &other);
            if (!same(&first, &other)) printf("mode %d: kind %d differs\n", (int)mode, kind);
        }
    }
    print_gradients(&at, program, &first);
    print_packs();
    print_optimizers(&at);
    mg_program_free(program);
    mg_arena_free(at.arena);
    return 0;
}
