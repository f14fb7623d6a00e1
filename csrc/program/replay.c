/* replay.c: a program over many rows.
 *
 * Rows are taken in chunks, whose bounds depend on their number alone, and chunks in blocks of as
 * many rows as the cache has room for. Within a block each instruction is a loop over the block's
 * lanes. A sum over rows is kept in MG_LANES partial sums, by the row's place in its block, whose
 * width is the program's, among the rows that are gone through in reverse; partial sums are added
 * up chunk by chunk. So the bits of a result depend on program, parameters and rows alone, not on
 * which thread replays which chunk.
 *
 * Threads share nothing that any of them writes: program and call are only read, a workspace and a
 * trap are one thread's own, and of what the call points to, outputs, gradients and failed have a
 * place for each row, sums a place for each chunk, and each chunk is one thread's.
 *
 * A block in which rows have failed a guard is replayed without them before anything is summed. */
#include <string.h>

#include "program/lane_operators.h"

enum {
    CHUNK_ROWS = 128, /* at least, and a multiple of it */
    MOST_CHUNKS = 64, /* more threads than this find nothing to do */
    MOST_LANES = 128,
    LEAST_LANES = 16,
    BATCH = 16,     /* so many sums have their lanes added up at a time */
    CACHE = 8 << 20 /* bytes of slots in a block; beyond them blocks get narrower. It is the last
                     * level of cache that counts: values are read in the order in which they lie,
                     * or nearly, and what a wider block saves is the instructions' overhead. A
                     * program of 10,000 runs twice as fast with 128 lanes, 7 MB, as with 32. */
};

/* Whether sums over rows are asked for. */
static inline bool adds_up(mg_mode mode) {
    return mode == MG_PARAMETERS || mode == MG_ALL;
}

/* ---- between rows and lanes ---- */

ALWAYS_INLINE void load_column(const block *at, const mg_column *column, double *restrict out) {
    for (size_t l = 0; l < at->used; l++)
        out[l] = column->data[(ptrdiff_t)at->rows[l] * column->stride];
}

ALWAYS_INLINE void load(const block *at, const mg_instruction *in) {
    double *out = slot(at, in->out);
    load_column(at, &at->call->inputs[in->index], out);
    for (size_t l = at->used; l < at->lanes; l++) out[l] = out[at->used - 1];
}

ALWAYS_INLINE void load_seeds(const block *at, const mg_instruction *in) {
    double *out = slot(at, in->out);
    const mg_call *call = at->call;
    const mg_column *column = &call->seeds[in->index];
    const double seed = !call->jacobian ? call->seed : in->index == at->pass ? 1.0 : 0.0;
    if (!call->jacobian && column->data != NULL)
        load_column(at, column, out);
    else
        for (size_t l = 0; l < at->used; l++) out[l] = seed;
    for (size_t l = 0; l < at->used; l++) out[l] *= call->scale;
    for (size_t l = at->used; l < at->lanes; l++) out[l] = 0.0;
}

ALWAYS_INLINE void store_column(const block *at, const mg_column *column, uint32_t reference) {
    if (column->data == NULL) return;
    const double *from = is_scalar(reference) ? NULL : slot(at, reference);
    for (size_t l = 0; l < at->used; l++)
        column->data[(ptrdiff_t)at->rows[l] * column->stride] =
            from != NULL ? from[l] : scalar(at, reference);
}

ALWAYS_INLINE void store(block *at, const mg_instruction *in) {
    const mg_call *call = at->call;
    store_column(at, &call->outputs[in->index], in->x);
    if (!adds_up(at->mode) || call->jacobian) return;
    const mg_column *seeds = &call->seeds[in->index];
    for (size_t l = 0; l < at->used; l++) {
        const double seed =
            seeds->data != NULL ? seeds->data[(ptrdiff_t)at->rows[l] * seeds->stride] : call->seed;
        at->total += seed * (is_scalar(in->x) ? scalar(at, in->x) : slot(at, in->x)[l]);
    }
}

static bool holds(const mg_guard *guard, double x, double y) {
    bool outcome = guard->relation == MG_LESS         ? x < y
                   : guard->relation == MG_LESS_EQUAL ? x <= y
                                                      : x == y;
    return outcome == (guard->outcome != 0);
}

static void check_guard(const block *at, const mg_instruction *in) {
    const mg_guard *guard = &at->program->guards[in->index];
    for (size_t l = 0; l < at->used; l++) {
        double x = is_scalar(in->x) ? scalar(at, in->x) : slot(at, in->x)[l];
        double y = is_scalar(in->y) ? scalar(at, in->y) : slot(at, in->y)[l];
        if (!holds(guard, x, y)) at->failed[l] = 1;
    }
}

/* ---- rows that are left out ---- */

/* How many lanes to go on with, if `zeros` of them add nothing; all of them, if leaving some out
 * costs more than it saves. A value that is moved costs as much as eight that are multiplied. */
static size_t lanes_to_keep(const block *at, const mg_instruction *in, size_t zeros) {
    const size_t kept = (at->used - zeros + MG_LANES - 1) / MG_LANES * MG_LANES;
    if (kept >= at->lanes) return at->lanes;
    const double saved = in->number * (double)(at->lanes - kept);
    const double cost = (double)(in->count + 1) * (double)(at->lanes + 8 * kept);
    return saved > cost ? kept : at->lanes;
}

static size_t count_zeros(const block *at, const double *x) {
    size_t zeros = 0;
    for (size_t l = 0; l < at->used; l++) zeros += x[l] == 0.0;
    return zeros;
}

static void move_lanes(double *value, const uint32_t *lanes, size_t count) {
    for (size_t l = 0; l < count; l++) value[l] = value[lanes[l]];
}

/* Go on with the lanes in which x is not zero and as many others as make them a multiple of
 * MG_LANES, of which there are enough: fewer lanes than before are kept. */
static void keep_lanes(block *at, const mg_instruction *in, const double *x, size_t zeros,
                       size_t kept) {
    uint32_t lanes[MOST_LANES];
    size_t count = 0, room = kept - (at->used - zeros);
    for (uint32_t l = 0; count < kept; l++) {
        const bool zero = x[l] == 0.0, filled = zero && room != 0;
        lanes[count] = l;
        count += !zero || filled;
        room -= filled;
    }
    const mg_product *terms = at->schedule->terms + in->first;
    for (uint32_t i = 0; i < in->count; i++) move_lanes(slot(at, terms[i].a), lanes, kept);
    move_lanes(slot(at, in->x), lanes, kept);
    at->used = at->lanes = kept;
}

/* ---- what the row-by-row program would raise ---- */

static mg_status partial_error(int op, double x, double y, double z) {
    switch (op) {
#define X(name, symbol, form, finite, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name: {                                                       \
        const double dx = (dzdx);                                              \
        (void)dx, (void)y, (void)z;                                            \
        return (partial_error);                                                \
    }
        MG_OPERATORS(X)
#undef X
        default:
            return MG_OK;
    }
}

static double lane_of(const block *at, const mg_instruction *in, uint32_t reference, size_t l) {
    if (reference == MG_NOTHING) return in->number;
    return is_scalar(reference) ? scalar(at, reference) : slot(at, reference)[l];
}

static void check_lanes(const block *at, const mg_instruction *in) {
    const bool derivative = in->code == MG_CODE_PUSH_X || in->code == MG_CODE_PUSH_Y;
    if (!derivative && in->code != MG_CODE_APPLY && in->code != MG_CODE_DIVIDE) return;
    for (size_t l = 0; l < at->used; l++) {
        double z;
        mg_status status;
        const double x = lane_of(at, in, in->x, l), y = lane_of(at, in, in->y, l);
        if (at->rows[l] >= at->trap->row && at->trap->status != MG_OK) continue;
        if (derivative)
            status = partial_error(in->op, x, y, slot(at, in->z)[l]);
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

/* ---- for each kind of processor ---- */

#define NAME(x) x##_plain
#define TARGET
#if defined(__GNUC__)
#define PACK_BYTES 16
#else
#define PACK_BYTES 8
#endif
#include "program/kernels.inc.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define HAS_KINDS

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2")))
#define PACK_BYTES 32
#include "program/kernels.inc.h"

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f")))
#define PACK_BYTES 64
#include "program/kernels.inc.h"
#endif

typedef struct {
    void (*run)(block *at, size_t from, size_t to);
    void (*add_lanes)(const double *sums, size_t count, double *out);
} processor;

static processor choose_processor(int kind) {
#if defined(HAS_KINDS)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && kind-- <= 0)
        return (processor){run_avx512, add_lanes_avx512};
    if (__builtin_cpu_supports("avx2") && kind-- <= 0) return (processor){run_avx2, add_lanes_avx2};
#endif
    (void)kind;
    return (processor){run_plain, add_lanes_plain};
}

/* ---- a block ---- */

static size_t round_up(size_t count, size_t step) {
    return (count + step - 1) / step * step;
}

/* Run up to the guards; the number of rows that failed one. */
static size_t run_forward(block *at) {
    size_t failures = 0;
    memset(at->failed, 0, at->used);
    at->lanes = at->stride = round_up(at->used, MG_LANES);
    at->run(at, 0, at->schedule->forward);
    for (size_t l = 0; l < at->used; l++) failures += at->failed[l];
    return failures;
}

/* Leave out the rows that have failed a guard, those from place `first` on in the call's list. */
static void drop_failed(block *at, uint32_t *rows, size_t first) {
    size_t kept = 0;
    for (size_t l = 0; l < at->used; l++) {
        at->call->failed[first + l] = at->failed[l];
        if (!at->failed[l]) rows[kept++] = rows[l];
    }
    at->used = kept;
}

/* The rows at these places of the call's list; true: a guard failed. Where nothing is summed and
 * nothing checked, rows that failed may be stored all the same: they are to be replayed again. */
static bool run_block(block *at, uint32_t *rows, size_t first, size_t count) {
    const mg_call *call = at->call;
    const bool check = call->check != 0, guarded = at->program->guard_count != 0;
    for (size_t l = 0; l < count; l++)
        rows[l] = call->rows != NULL ? call->rows[first + l] : (uint32_t)(first + l);
    at->rows = rows;
    at->used = count;
    at->check = check && !guarded;
    const size_t failures = run_forward(at);
    if (failures != 0 && at->mode == MG_FORWARD && !check) {
        memcpy(call->failed + first, at->failed, count);
    } else if (failures != 0 || (check && guarded)) {
        if (failures != 0) drop_failed(at, rows, first);
        at->check = check;
        if (at->used != 0) run_forward(at);
    }
    const size_t passes = call->jacobian ? at->program->output_count : 1;
    for (at->pass = 0; at->used != 0 && at->pass < passes; at->pass++)
        at->run(at, at->schedule->forward, at->schedule->count);
    return failures != 0;
}

/* ---- all rows ---- */

static size_t chunk_rows(size_t rows) {
    size_t least = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return least <= CHUNK_ROWS ? CHUNK_ROWS : round_up(least, CHUNK_ROWS);
}

size_t mg_replay_chunks(size_t rows) {
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

/* Go on with the chunk under way, block by block, by about so many rows; how many they were. */
static size_t run_blocks(block *at, mg_workspace *workspace, mg_progress *progress, size_t most) {
    const mg_program *program = at->program;
    const size_t size = chunk_rows(at->call->count), first = progress->chunk * size;
    const size_t count = at->call->count - first < size ? at->call->count - first : size;
    const size_t blocks = (count + workspace->lanes - 1) / workspace->lanes;
    const size_t width = round_up((count + blocks - 1) / blocks, MG_LANES);
    const size_t before = progress->done;
    at->total = progress->total;
    if (before == 0 && adds_up(at->mode))
        memset(at->sums, 0, program->sum_count * MG_LANES * sizeof(double));
    while (progress->done < count && progress->done - before < most) {
        const size_t left = count - progress->done, rows = left < width ? left : width;
        progress->failures |= run_block(at, workspace->rows, first + progress->done, rows);
        progress->done += rows;
    }
    const size_t rows = progress->done - before;
    progress->total = at->total;
    if (progress->done < count) return rows;
    if (adds_up(at->mode)) {
        double *sums = at->call->sums + progress->chunk * (program->adjoint_count + 1);
        at->add_lanes(at->sums, program->sum_count, sums);
        for (size_t i = program->sum_count; i < program->adjoint_count; i++) sums[i] = 0.0;
        sums[program->adjoint_count] = at->total;
    }
    progress->chunk++;
    progress->done = 0;
    progress->total = 0.0;
    return rows;
}

int mg_replay_rows(const mg_program *program, mg_mode mode, const mg_call *call,
                   mg_workspace *workspace, mg_progress *progress, size_t rows, mg_trap *trap) {
    const processor chosen = choose_processor(call->kind);
    size_t done = 0;
    block at = {
        .program = program,
        .schedule = &program->schedules[mode],
        .call = call,
        .mode = mode,
        .slots = workspace->slots,
        .scalars = call->scalars,
        .sums = workspace->sums,
        .ones = workspace->ones,
        .failed = workspace->failed,
        .finite = -1,
        .trap = trap,
        .run = chosen.run,
        .add_lanes = chosen.add_lanes,
    };
    while (progress->chunk < progress->last && done < rows)
        done += run_blocks(&at, workspace, progress, rows - done);
    return progress->chunk < progress->last;
}

void mg_set_columns(mg_column *out, double *data, size_t count, ptrdiff_t stride) {
    for (size_t i = 0; i < count; i++) out[i] = (mg_column){data + i, stride};
}

/* ---- a replay ---- */

int mg_replay_begin(const mg_program *program, mg_call *call) {
    const double *const scalars = call->scalars;
    memcpy(call->scalars, program->constants, program->scalar_count * sizeof(double));
    call->trap.status = MG_OK;
    mg_evaluate_scalars(program, call);
    for (size_t i = 0; i < program->guard_count; i++) {
        const mg_guard *guard = &program->guards[i];
        const mg_fate *left = &program->fates[guard->left], *right = &program->fates[guard->right];
        if (left->level == MG_LEVEL_ROW || right->level == MG_LEVEL_ROW) continue;
        if (!holds(guard, scalars[left->scalar], scalars[right->scalar])) return 0;
    }
    return 1;
}

static bool are_finite(const double *numbers, size_t count) {
    size_t i = 0;
    while (i < count && isfinite(numbers[i])) i++;
    return i == count;
}

int mg_replay_end(const mg_program *program, mg_mode mode, mg_call *call) {
    const size_t chunks = mg_replay_chunks(call->count), width = program->adjoint_count + 1;
    if (!adds_up(mode)) return 0;
    if (chunks == 0) memset(call->sums, 0, width * sizeof(double));
    for (size_t chunk = 1; chunk < chunks; chunk++)
        for (size_t i = 0; i < width; i++) call->sums[i] += call->sums[chunk * width + i];
    call->total = call->sums[width - 1];
    mg_push_scalars(program, call, call->sums);
    const bool again = call->scale == 1.0 && !call->jacobian && call->count > 1 &&
                       !are_finite(call->captured_grads, program->captured);
    call->scale = 1.0;
    while (again && call->scale * (double)call->count > 1.0) call->scale *= 0.5;
    return again;
}

int mg_replay(const mg_program *program, mg_mode mode, mg_call *call, mg_workspace *workspace) {
    if (!mg_replay_begin(program, call)) return 2;
    mg_progress progress;
    mg_trap trap = {.row = SIZE_MAX};
    do {
        progress = (mg_progress){.last = mg_replay_chunks(call->count)};
        mg_replay_rows(program, mode, call, workspace, &progress, SIZE_MAX, &trap);
        if (call->trap.status == MG_OK && trap.status != MG_OK) call->trap = trap;
    } while (mg_replay_end(program, mode, call));
    return progress.failures;
}

/* ---- workspaces ---- */

mg_workspace *mg_workspace_new(const mg_program *program, mg_mode mode) {
    mg_arena *memory = program->memory;
    const size_t slots = program->schedules[mode].slots;
    size_t lanes = CACHE / sizeof(double) / (slots + 1) / MG_LANES * MG_LANES;
    if (lanes < LEAST_LANES) lanes = LEAST_LANES;
    if (lanes > MOST_LANES) lanes = MOST_LANES;
    const size_t doubles = (slots + 1) * lanes + program->sum_count * MG_LANES;
    const size_t size =
        sizeof(mg_workspace) + doubles * sizeof(double) + 64 + lanes * (sizeof(uint32_t) + 1);
    if (slots > SIZE_MAX / 64 / MOST_LANES) return NULL;
    mg_lock_take(&memory->lock);
    mg_workspace *workspace = mg_allocate(memory, size);
    mg_lock_give(&memory->lock);
    if (workspace == NULL) return NULL;
    workspace->memory = memory;
    workspace->lanes = lanes;
    workspace->slots = (double *)(((uintptr_t)workspace->room + 63) & ~(uintptr_t)63);
    workspace->sums = workspace->slots + slots * lanes;
    workspace->ones = workspace->sums + program->sum_count * MG_LANES;
    workspace->rows = (uint32_t *)(workspace->ones + lanes);
    workspace->failed = (unsigned char *)(workspace->rows + lanes);
    for (size_t l = 0; l < lanes; l++) workspace->ones[l] = 1.0;
    return workspace;
}

void mg_workspace_free(mg_workspace *workspace) {
    mg_arena *memory = workspace->memory;
    mg_lock_take(&memory->lock);
    mg_deallocate(memory, workspace);
    mg_lock_give(&memory->lock);
}
