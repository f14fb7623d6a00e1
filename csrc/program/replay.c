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

#include "program/block.h"

enum {
    CHUNK_ROWS = 128, /* at least, and a multiple of it */
    MOST_CHUNKS = 64, /* more threads than this find nothing to do */
    LEAST_LANES = 16,
    CACHE = 8 << 20 /* bytes of slots in a block; beyond them blocks get narrower. It is the last
                     * level of cache that counts: values are read in the order in which they lie,
                     * or nearly, and what a wider block saves is the instructions' overhead. A
                     * program of 10,000 runs twice as fast with 128 lanes, 7 MB, as with 32. */
};

/* ---- the kind of processor ---- */

static const mg_kernels *choose_kernels(int kind) {
#if defined(MG_HAS_KINDS)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && kind-- <= 0) return &mg_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && kind-- <= 0) return &mg_kernels_avx2;
#endif
    (void)kind;
    return &mg_kernels_plain;
}

/* ---- a block ---- */

static size_t round_up(size_t count, size_t step) {
    return (count + step - 1) / step * step;
}

/* Run up to the guards; the number of rows that failed one. */
static size_t run_forward(mg_block *at, const mg_kernels *kernels) {
    size_t failures = 0;
    memset(at->failed, 0, at->used);
    at->lanes = at->stride = round_up(at->used, MG_LANES);
    kernels->run(at, 0, at->schedule->forward);
    for (size_t l = 0; l < at->used; l++) failures += at->failed[l];
    return failures;
}

/* Leave out the rows that have failed a guard, those from place `first` on in the call's list. */
static void drop_failed(mg_block *at, uint32_t *rows, size_t first) {
    size_t kept = 0;
    for (size_t l = 0; l < at->used; l++) {
        at->call->failed[first + l] = at->failed[l];
        if (!at->failed[l]) rows[kept++] = rows[l];
    }
    at->used = kept;
}

/* The rows at these places of the call's list; true: a guard failed. Where nothing is summed and
 * nothing checked, rows that failed may be stored all the same: they are to be replayed again. */
static bool run_block(mg_block *at, const mg_kernels *kernels, uint32_t *rows, size_t first,
                      size_t count) {
    const mg_call *call = at->call;
    const bool check = call->check != 0, guarded = at->program->guard_count != 0;
    for (size_t l = 0; l < count; l++)
        rows[l] = call->rows != NULL ? call->rows[first + l] : (uint32_t)(first + l);
    at->rows = rows;
    at->used = count;
    at->check = check && !guarded;
    const size_t failures = run_forward(at, kernels);
    if (failures != 0 && at->mode == MG_FORWARD && !check) {
        memcpy(call->failed + first, at->failed, count);
    } else if (failures != 0 || (check && guarded)) {
        if (failures != 0) drop_failed(at, rows, first);
        at->check = check;
        if (at->used != 0) run_forward(at, kernels);
    }
    const size_t passes = call->jacobian ? at->program->output_count : 1;
    for (at->pass = 0; at->used != 0 && at->pass < passes; at->pass++)
        kernels->run(at, at->schedule->forward, at->schedule->count);
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
static size_t run_blocks(mg_block *at, const mg_kernels *kernels, mg_workspace *workspace,
                         mg_progress *progress, size_t most) {
    const mg_program *program = at->program;
    const size_t size = chunk_rows(at->call->count), first = progress->chunk * size;
    const size_t count = at->call->count - first < size ? at->call->count - first : size;
    const size_t blocks = (count + workspace->lanes - 1) / workspace->lanes;
    const size_t width = round_up((count + blocks - 1) / blocks, MG_LANES);
    const size_t before = progress->done;
    at->total = progress->total;
    if (before == 0 && mg_adds_up(at->mode))
        memset(at->sums, 0, program->sum_count * MG_LANES * sizeof(double));
    while (progress->done < count && progress->done - before < most) {
        const size_t left = count - progress->done, rows = left < width ? left : width;
        progress->failures |= run_block(at, kernels, workspace->rows, first + progress->done, rows);
        progress->done += rows;
    }
    const size_t rows = progress->done - before;
    progress->total = at->total;
    if (progress->done < count) return rows;
    if (mg_adds_up(at->mode)) {
        double *sums = at->call->sums + progress->chunk * (program->adjoint_count + 1);
        kernels->add_lanes(at->sums, program->sum_count, sums);
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
    const mg_kernels *kernels = choose_kernels(call->kind);
    size_t done = 0;
    mg_block at = {
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
    };
    while (progress->chunk < progress->last && done < rows)
        done += run_blocks(&at, kernels, workspace, progress, rows - done);
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
        if (!mg_holds(guard, scalars[left->scalar], scalars[right->scalar])) return 0;
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
    if (!mg_adds_up(mode)) return 0;
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
    if (lanes > MG_MOST_LANES) lanes = MG_MOST_LANES;
    const size_t doubles = (slots + 1) * lanes + program->sum_count * MG_LANES;
    const size_t size =
        sizeof(mg_workspace) + doubles * sizeof(double) + 64 + lanes * (sizeof(uint32_t) + 1);
    if (slots > SIZE_MAX / 64 / MG_MOST_LANES) return NULL;
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
