/* replay.c: a program over many rows.
 *
 * The rows are divided into chunks, whose bounds depend on the number of rows alone. A chunk is
 * divided into blocks of as many rows as the cache has room for. Within a block each instruction is
 * a loop over the block's lanes.
 *
 * A sum over rows is that of its chunks' sums, in order, and a chunk's is that of its blocks'. In a
 * block the lane of a row, modulo MG_LANES, decides to which of MG_LANES partial sums the row is
 * added. The lane of a row depends on the width of blocks, which depends on the program, and on
 * which rows of the block are gone through in reverse. So the bits of a result depend on program,
 * parameters and rows alone, not on which thread replays which chunk.
 *
 * Threads share nothing that any of them writes. Program and call are only read. A workspace and a
 * trap are one thread's own. Of what the call points to, outputs, gradients and failed have a place
 * for each row, and sums have a place for each chunk; each chunk is one thread's.
 *
 * A block in which rows have failed a guard is replayed without those rows before anything is
 * summed. */
#include <string.h>

#include "program/block.h"
#include "program/per_call.h"

enum {
    CHUNK_ROWS = 128, /* a chunk has a multiple of so many rows; the last one may have fewer */
    MOST_CHUNKS = 64, /* more threads than this find nothing to do */
    LEAST_LANES = 16,
    CACHE = 8 << 20 /* bytes of slots in a block; a program with more gets narrower blocks. The last
                     * level of cache is what counts: values are read in the order in which they
                     * lie, or nearly, and a wider block saves the overhead of instructions. A
                     * program of 10,000 instructions runs twice as fast with 128 lanes (7 MB) as
                     * with 32. */
};

struct mg_workspace {
    mg_arena *memory;
    size_t lanes;     /* the widest block that a slot has room for */
    double *slots;    /* lanes doubles for each slot, aligned */
    double *ones;     /* 1.0 for each lane: a factor for gradients that are summed alone */
    uint32_t *rows;   /* the row of each lane */
    uint32_t *failed; /* for each lane: the number of the first guard that its row fails, or 0 */
    mg_block block;
    double room[]; /* where all these lie */
};

/* ---- the kind of processor ---- */

mg_interpreter *mg_choose_interpreter(int kind) {
#if defined(MG_HAS_KINDS)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && kind-- <= 0) return mg_run_avx512;
    if (__builtin_cpu_supports("avx2") && kind-- <= 0) return mg_run_avx2;
#endif
    (void)kind;
    return mg_run_plain;
}

/* ---- a block ---- */

static size_t round_up(size_t count, size_t step) {
    return (count + step - 1) / step * step;
}

/* A block goes through stages: MG_STAGE_FORWARD, up to the last guard; MG_STAGE_AGAIN, where rows
 * have failed a guard, the same once more without those rows; MG_STAGE_REST, the rest of the code.
 */

static void start_forward(mg_block *at, mg_stage stage) {
    for (size_t l = 0; l < at->used; l++) at->failed[l] = at->call->all_fail;
    at->lanes = at->stride = round_up(at->used, MG_LANES);
    at->stage = stage;
    at->next = 0;
}

/* Begin a block of the rows first, first + 1, ... of the call's list, count of them. */
static void start_block(mg_block *at, size_t first, size_t count) {
    const mg_call *call = at->call;
    for (size_t l = 0; l < count; l++)
        at->rows[l] = call->rows != NULL ? call->rows[first + l] : (uint32_t)(first + l);
    at->first = first;
    at->used = at->count = count;
    at->check = call->check != 0 && at->program->guard_count == 0;
    start_forward(at, MG_STAGE_FORWARD);
}

/* Write to the call which rows have failed a guard; return whether there are any. */
static bool tell_failed(mg_block *at) {
    size_t failures = 0;
    if (at->program->guard_count == 0) return false;
    for (size_t l = 0; l < at->used; l++) failures += at->failed[l] != 0;
    if (failures != 0)
        memcpy(at->call->failed + at->first, at->failed, at->used * sizeof *at->failed);
    return failures != 0;
}

static void drop_failed(mg_block *at) {
    size_t kept = 0;
    for (size_t l = 0; l < at->used; l++)
        if (!at->failed[l]) at->rows[kept++] = at->rows[l];
    at->used = kept;
}

/* Whether to compute less for the rest of the code is worth the way there once more. */
static bool pays(const mg_block *at) {
    const mg_schedule *schedule = at->schedule;
    size_t kept = 0;
    for (size_t l = 0; l < at->used; l++) kept += at->failed[l] == 0;
    kept = round_up(kept, MG_LANES);
    return (at->lanes - kept) * (schedule->count - schedule->decided) > kept * schedule->decided;
}

/* The guards have been evaluated: begin MG_STAGE_AGAIN if it is needed, and return whether it was
 * begun. Where nothing is summed and nothing checked, the outputs of rows that failed may be stored
 * all the same: another program will replay those rows. */
static bool goes_again(mg_block *at) {
    const bool check = at->call->check != 0, failed = tell_failed(at);
    at->failures |= failed;
    if (!failed && at->check == check) return false;
    if (at->mode == MG_FORWARD && !check && !pays(at)) return false;
    drop_failed(at);
    at->check = check;
    if (at->used != 0) start_forward(at, MG_STAGE_AGAIN);
    return at->used != 0;
}

/* Begin the stage after one that has ended; false: there is none. */
static bool next_stage(mg_block *at) {
    if (at->stage == MG_STAGE_FORWARD && goes_again(at)) return true;
    if (at->stage == MG_STAGE_REST) return false;
    at->stage = MG_STAGE_REST;
    at->next = at->schedule->decided;
    return at->used != 0;
}

/* Run a block until *work is done, which is counted down; true: the block is done. */
static bool run_block(mg_block *at, mg_interpreter *run, size_t *work) {
    const mg_schedule *schedule = at->schedule;
    while (*work != 0) {
        const size_t end = at->stage == MG_STAGE_REST ? schedule->count : schedule->decided;
        const size_t cost = at->lanes * schedule->terms_each, left = end - at->next;
        const size_t step = left * cost <= *work ? left : *work / cost + 1;
        run(at, at->next, at->next + step);
        at->next += step;
        *work -= step * cost < *work ? step * cost : *work;
        if ((at->next == end || at->used == 0) && !next_stage(at)) return true;
    }
    return false;
}

/* ---- all rows ---- */

static size_t chunk_rows(size_t rows) {
    size_t least = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return least <= CHUNK_ROWS ? CHUNK_ROWS : round_up(least, CHUNK_ROWS);
}

size_t mg_replay_chunks(size_t rows) {
    return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

/* Run the chunk under way until *work is done, which is counted down, or the chunk is done. */
static void run_chunk(mg_block *at, mg_interpreter *run, size_t widest, mg_progress *progress,
                      size_t *work) {
    const mg_program *program = at->program;
    const size_t size = chunk_rows(at->call->count), first = progress->chunk * size;
    const size_t count = at->call->count - first < size ? at->call->count - first : size;
    const size_t blocks = (count + widest - 1) / widest;
    const size_t width = round_up((count + blocks - 1) / blocks, MG_LANES);
    const size_t sums = program->adjoint_count + 1; /* the last one is the total */
    if (mg_adds_up(at->mode)) at->sums = at->call->sums + progress->chunk * sums;
    if (progress->done == 0 && at->stage == MG_STAGE_NONE) {
        at->total = 0.0;
        if (mg_adds_up(at->mode)) memset(at->sums, 0, sums * sizeof(double));
    }
    for (; progress->done < count; progress->done += at->count) {
        const size_t left = count - progress->done;
        if (at->stage == MG_STAGE_NONE)
            start_block(at, first + progress->done, left < width ? left : width);
        if (!run_block(at, run, work)) return;
        at->stage = MG_STAGE_NONE;
    }
    if (mg_adds_up(at->mode)) at->sums[program->adjoint_count] = at->total;
    progress->chunk++;
    progress->done = 0;
}

int mg_replay_some(const mg_program *program, mg_mode mode, const mg_call *call,
                   mg_workspace *workspace, mg_progress *progress, size_t work, mg_trap *trap) {
    mg_interpreter *const run = mg_choose_interpreter(call->kind);
    mg_block *at = &workspace->block;
    if (!progress->under_way)
        *at = (mg_block){
            .program = program,
            .schedule = &program->schedules[mode],
            .call = call,
            .mode = mode,
            .slots = workspace->slots,
            .scalars = call->scalars,
            .ones = workspace->ones,
            .rows = workspace->rows,
            .failed = workspace->failed,
            .finite = -1,
            .trap = trap,
        };
    progress->under_way = 1;
    while (progress->chunk < progress->last && work != 0)
        run_chunk(at, run, workspace->lanes, progress, &work);
    progress->failures = at->failures;
    return progress->chunk < progress->last;
}

void mg_set_columns(mg_column *out, double *data, size_t count, ptrdiff_t step, ptrdiff_t stride) {
    for (size_t i = 0; i < count; i++) out[i] = (mg_column){data + (ptrdiff_t)i * step, stride};
}

/* ---- a replay ---- */

/* Return the number of the first guard between scalars that fails, or 0. *first tells whether no
 * guard that rows may fail stands before it. */
static uint32_t first_to_fail(const mg_program *program, const double *scalars, bool *first) {
    *first = true;
    for (size_t i = 0; i < program->guard_count; i++) {
        const mg_guard *guard = &program->guards[i];
        const mg_fate *left = &program->fates[guard->left], *right = &program->fates[guard->right];
        if (left->level == MG_LEVEL_ROW || right->level == MG_LEVEL_ROW)
            *first = false;
        else if (!mg_holds(guard, scalars[left->scalar], scalars[right->scalar]))
            return guard->number;
    }
    return 0;
}

int mg_replay_begin(const mg_program *program, mg_call *call) {
    const size_t captured = program->captured;
    memcpy(call->scalars + captured, program->constants + captured,
           (program->scalar_count - captured) * sizeof(double));
    call->trap.status = MG_OK;
    mg_evaluate_scalars(program, call);
    bool first;
    call->all_fail = first_to_fail(program, call->scalars, &first);
    if (call->all_fail == 0 || !first) return 1;
    for (size_t i = 0; i < call->count; i++) call->failed[i] = call->all_fail;
    return 0;
}

int mg_replay_end(const mg_program *program, mg_mode mode, mg_call *call) {
    const size_t chunks = mg_replay_chunks(call->count), width = program->adjoint_count + 1;
    if (!mg_adds_up(mode)) return 0;
    if (chunks == 0) memset(call->sums, 0, width * sizeof(double));
    for (size_t chunk = 1; chunk < chunks; chunk++)
        for (size_t i = 0; i < width; i++) call->sums[i] += call->sums[chunk * width + i];
    call->total = call->sums[width - 1];
    const bool again = mg_push_scalars(program, call);
    call->scale = 1.0;
    while (again && call->scale * (double)call->count > 1.0) call->scale *= 0.5;
    return again;
}

int mg_replay(const mg_program *program, mg_mode mode, mg_call *call, mg_workspace *workspace) {
    if (!mg_replay_begin(program, call)) return 1;
    mg_progress progress;
    mg_trap trap = {.row = SIZE_MAX};
    do {
        progress = (mg_progress){.last = mg_replay_chunks(call->count)};
        mg_replay_some(program, mode, call, workspace, &progress, SIZE_MAX, &trap);
        if (call->trap.status == MG_OK && trap.status != MG_OK) call->trap = trap;
    } while (mg_replay_end(program, mode, call));
    return progress.failures;
}

size_t mg_sort_rows(const mg_call *call, size_t guards, uint32_t *sorted, uint32_t *numbers,
                    uint32_t *ends) {
    const uint32_t *failed = call->failed;
    uint32_t sum = 0, last = 0;
    size_t groups = 0;
    memset(ends, 0, (guards + 1) * sizeof *ends);
    for (size_t i = 0; i < call->count; i++) ends[failed[i]]++;
    for (size_t g = 0; g <= guards; g++) {
        const uint32_t count = ends[g];
        ends[g] = sum; /* where the group begins; and, when its rows have been written, ends */
        sum += count;
    }
    for (size_t i = 0; i < call->count; i++)
        sorted[ends[failed[i]]++] = call->rows != NULL ? call->rows[i] : (uint32_t)i;
    for (uint32_t g = 0; g <= guards; g++) {
        if (ends[g] == last) continue;
        last = ends[g];
        numbers[groups] = g;
        ends[groups++] = last;
    }
    return groups;
}

/* ---- workspaces ---- */

mg_workspace *mg_workspace_new(const mg_program *program, mg_mode mode) {
    mg_arena *memory = program->memory;
    const size_t slots = program->schedules[mode].slots;
    size_t lanes = CACHE / sizeof(double) / (slots + 1) / MG_LANES * MG_LANES;
    if (lanes < LEAST_LANES) lanes = LEAST_LANES;
    if (lanes > MG_MOST_LANES) lanes = MG_MOST_LANES;
    const size_t doubles = (slots + 1) * lanes;
    const size_t size =
        sizeof(mg_workspace) + doubles * sizeof(double) + 64 + 2 * lanes * sizeof(uint32_t);
    if (slots > SIZE_MAX / 64 / MG_MOST_LANES) return NULL;
    mg_lock_take(&memory->lock);
    mg_workspace *workspace = mg_allocate(memory, size);
    mg_lock_give(&memory->lock);
    if (workspace == NULL) return NULL;
    workspace->memory = memory;
    workspace->lanes = lanes;
    workspace->slots = (double *)(((uintptr_t)workspace->room + 63) & ~(uintptr_t)63);
    workspace->ones = workspace->slots + slots * lanes;
    workspace->rows = (uint32_t *)(workspace->ones + lanes);
    workspace->failed = workspace->rows + lanes;
    for (size_t l = 0; l < lanes; l++) workspace->ones[l] = 1.0;
    return workspace;
}

void mg_workspace_free(mg_workspace *workspace) {
    mg_arena *memory = workspace->memory;
    mg_lock_take(&memory->lock);
    mg_deallocate(memory, workspace);
    mg_lock_give(&memory->lock);
}
