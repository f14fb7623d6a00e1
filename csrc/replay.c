/* replay.c: a program over many rows.
 *
 * Rows are taken in chunks, whose bounds depend on their number alone, and chunks in blocks of as
 * many rows as the cache has room for. Within a block each instruction is a loop over the block's
 * lanes. A sum over rows is kept in MG_LANES partial sums, by the row's place in its chunk, however
 * wide the blocks are; partial sums are added up chunk by chunk. So the bits of a result depend on
 * the rows alone: not on the block's width, not on which thread replays which chunk.
 *
 * A block in which rows have failed a guard is replayed without them before anything is summed. */
#include "program.h"

#include <string.h>

#include "lanes.h"

/* The loops are compiled once more for wider vectors, and the system's loader takes what the
 * processor has. No version fuses multiplications with additions: results are the same in all. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) && \
    defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&    \
    !defined(__AVX2__)
#define WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDE
#endif

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
typedef double pack __attribute__((vector_size(32), may_alias));
enum { PACK = 4 };
#else
#define ALWAYS_INLINE static inline
typedef double pack;
enum { PACK = 1 };
#endif

enum {
    CHUNK_ROWS = 128,       /* at least, and a multiple of it */
    MOST_CHUNKS = 64,       /* more threads than this find nothing to do */
    MOST_LANES = 128,       /* of a block */
    CACHE = 400 * 1024      /* bytes of slots in a block: well within a second-level cache */
};

/* ---- where things lie ---- */

/* A block of rows under way. */
typedef struct {
    const mg_program *program;
    const mg_schedule *schedule;
    const mg_call *call;
    mg_mode mode;
    double *slots;
    const double *scalars;
    double *sums;
    const uint32_t *rows; /* the rows of the lanes */
    size_t used;          /* lanes that are rows */
    size_t lanes;         /* computed: a multiple of MG_LANES */
    unsigned char *failed;
    double total;
    bool check;
    mg_trap *trap;
} block;

ALWAYS_INLINE bool is_scalar(uint32_t reference) {
    return (reference & MG_SCALAR) != 0;
}

ALWAYS_INLINE double scalar(const block *at, uint32_t reference) {
    return at->scalars[reference & ~MG_SCALAR];
}

ALWAYS_INLINE double *slot(const block *at, uint32_t reference) {
    return at->slots + (size_t)reference * at->lanes;
}

/* ---- the operators, lane by lane ---- */

#define EACH_LANE for (size_t l = 0; l < lanes; l++)

/* Loops over one operator: out = (value), its operands rows or scalars. */
#define APPLY(value)                                 \
    if (is_scalar(in->x) && is_scalar(in->y)) {      \
        const double x = xs, y = ys, z = (value);    \
        (void)x, (void)y;                            \
        EACH_LANE out[l] = z;                        \
    } else if (is_scalar(in->x)) {                   \
        const double x = xs;                         \
        EACH_LANE {                                  \
            const double y = yr[l];                  \
            (void)x, (void)y;                        \
            out[l] = (value);                        \
        }                                            \
    } else if (is_scalar(in->y)) {                   \
        const double y = ys;                         \
        EACH_LANE {                                  \
            const double x = xr[l];                  \
            (void)x, (void)y;                        \
            out[l] = (value);                        \
        }                                            \
    } else {                                         \
        EACH_LANE {                                  \
            const double x = xr[l], y = yr[l];       \
            (void)x, (void)y;                        \
            out[l] = (value);                        \
        }                                            \
    }

/* The same for a derivative times the gradient. */
#define PUSH(derivative)                                      \
    if (is_scalar(in->x)) {                                   \
        const double x = xs;                                  \
        EACH_LANE {                                           \
            const double y = yr[l], z = zr[l];                \
            (void)x, (void)y, (void)z;                        \
            out[l] = (derivative)*gr[l];                      \
        }                                                     \
    } else if (is_scalar(in->y)) {                            \
        const double y = ys;                                  \
        EACH_LANE {                                           \
            const double x = xr[l], z = zr[l];                \
            (void)x, (void)y, (void)z;                        \
            out[l] = (derivative)*gr[l];                      \
        }                                                     \
    } else {                                                  \
        EACH_LANE {                                           \
            const double x = xr[l], y = yr[l], z = zr[l];     \
            (void)x, (void)y, (void)z;                        \
            out[l] = (derivative)*gr[l];                      \
        }                                                     \
    }

/* Where operands of an instruction are; a missing second one counts as a scalar. */
#define OPERANDS                                                                       \
    double *restrict const out = slot(at, in->out);                                    \
    const double *restrict const xr = is_scalar(in->x) ? NULL : slot(at, in->x);       \
    const double *restrict const yr = is_scalar(in->y) ? NULL : slot(at, in->y);       \
    const double xs = is_scalar(in->x) ? scalar(at, in->x) : 0.0;                      \
    const double ys = in->y == MG_NOTHING ? in->number                                 \
                      : is_scalar(in->y)  ? scalar(at, in->y)                          \
                                          : 0.0;                                       \
    const size_t lanes = at->lanes;                                                    \
    (void)xr, (void)yr, (void)xs, (void)ys

/* What is faster than the table's own expression over lanes. */
ALWAYS_INLINE bool apply_fast(const block *at, const mg_instruction *in) {
    OPERANDS;
    if (is_scalar(in->x)) return false;
    switch (in->op) {
        case MG_OP_exp:
            EACH_LANE out[l] = mg_lane_exp(xr[l]);
            return true;
        case MG_OP_log:
            EACH_LANE out[l] = mg_lane_log(xr[l]);
            return true;
        case MG_OP_tanh:
            EACH_LANE out[l] = mg_lane_tanh(xr[l]);
            return true;
        case MG_OP_sigmoid:
            EACH_LANE out[l] = mg_lane_sigmoid(xr[l]);
            return true;
        case MG_OP_exponent: /* at most half a unit in the last place from what pow returns */
            if (ys == 2.0)
                EACH_LANE out[l] = xr[l] * xr[l];
            else if (ys == -1.0)
                EACH_LANE out[l] = 1.0 / xr[l];
            else if (ys == 1.0)
                EACH_LANE out[l] = xr[l];
            else
                return false;
            return true;
        default:
            return false;
    }
}

ALWAYS_INLINE bool push_fast(const block *at, const mg_instruction *in) {
    OPERANDS;
    const double *restrict const gr = slot(at, in->g);
    if (is_scalar(in->x)) return false;
    switch (in->op) {
        case MG_OP_tanh: {
            const double *restrict const zr = slot(at, in->z);
            EACH_LANE out[l] = (1.0 - zr[l] * zr[l]) * gr[l];
            return true;
        }
        case MG_OP_exponent: {
            if (ys == 2.0) {
                EACH_LANE out[l] = 2.0 * xr[l] * gr[l];
            } else if (ys == -1.0) {
                EACH_LANE out[l] = -1.0 / (xr[l] * xr[l]) * gr[l];
            } else if (ys == 1.0) {
                EACH_LANE out[l] = gr[l];
            } else {
                return false;
            }
            return true;
        }
        default:
            return false;
    }
}

ALWAYS_INLINE void apply(const block *at, const mg_instruction *in) {
    OPERANDS;
    if (apply_fast(at, in)) return;
    switch (in->op) {
#define X(name, symbol, form, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                 \
        APPLY(value)                                                   \
        break;
        MG_OPERATORS(X)
#undef X
        default:
            break;
    }
}

ALWAYS_INLINE void push_x(const block *at, const mg_instruction *in) {
    OPERANDS;
    const double *restrict const zr = slot(at, in->z), *restrict const gr = slot(at, in->g);
    if (push_fast(at, in)) return;
    switch (in->op) {
#define X(name, symbol, form, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                 \
        PUSH(dzdx)                                                     \
        break;
        MG_OPERATORS(X)
#undef X
        default:
            break;
    }
}

ALWAYS_INLINE void push_y(const block *at, const mg_instruction *in) {
    OPERANDS;
    const double *restrict const zr = slot(at, in->z), *restrict const gr = slot(at, in->g);
    switch (in->op) {
#define X(name, symbol, form, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                 \
        PUSH(dzdy)                                                     \
        break;
        MG_OPERATORS(X)
#undef X
        default:
            break;
    }
}

/* ---- sums of products ---- */

/* A number in every lane. */
#if defined(__GNUC__)
#define SPREAD(number) ((pack){number, number, number, number})
#else
#define SPREAD(number) (number)
#endif

/* `width` packs of lanes from l on: the sum stays in registers. */
#define SUM_TILE(width)                                                                     \
    do {                                                                                    \
        pack sum[width];                                                                    \
        for (int k = 0; k < (width); k++) sum[k] = SPREAD(-0.0);                            \
        for (uint32_t r = 0; r < in->count; r++) {                                          \
            const mg_run *run = &at->schedule->runs[in->first + r];                         \
            const mg_product *term = &at->schedule->terms[run->first];                      \
            const mg_product *const end = term + run->count;                                \
            switch (run->kind) {                                                            \
                case MG_RUN_SCALAR_ROW:                                                     \
                    for (; term < end; term++) {                                            \
                        const double number = scalar(at, term->a);                          \
                        const pack a = SPREAD(number);                                      \
                        const pack *b = (const pack *)(slot(at, term->b) + l);              \
                        for (int k = 0; k < (width); k++) sum[k] += a * b[k];               \
                    }                                                                       \
                    break;                                                                  \
                case MG_RUN_ROW_ROW:                                                        \
                    for (; term < end; term++) {                                            \
                        const pack *a = (const pack *)(slot(at, term->a) + l);              \
                        const pack *b = (const pack *)(slot(at, term->b) + l);              \
                        for (int k = 0; k < (width); k++) sum[k] += a[k] * b[k];            \
                    }                                                                       \
                    break;                                                                  \
                case MG_RUN_ROW:                                                            \
                    for (; term < end; term++) {                                            \
                        const pack *a = (const pack *)(slot(at, term->a) + l);              \
                        for (int k = 0; k < (width); k++) sum[k] += a[k];                   \
                    }                                                                       \
                    break;                                                                  \
                case MG_RUN_SCALAR:                                                         \
                    for (; term < end; term++) {                                            \
                        const double number = scalar(at, term->a);                          \
                        const pack a = SPREAD(number);                                      \
                        for (int k = 0; k < (width); k++) sum[k] += a;                      \
                    }                                                                       \
                    break;                                                                  \
            }                                                                               \
        }                                                                                   \
        for (int k = 0; k < (width); k++) ((pack *)(slot(at, in->out) + l))[k] = sum[k];    \
        l += (size_t)(width)*PACK;                                                          \
    } while (0)

ALWAYS_INLINE void sum_terms(const block *at, const mg_instruction *in) {
    size_t l = 0;
    while (l + 8 * PACK <= at->lanes) SUM_TILE(8);
    while (l < at->lanes) SUM_TILE(MG_LANES / PACK);
}

/* Lanes of a number that is g, or a times g, for a row's place modulo MG_LANES. */
ALWAYS_INLINE void reduce_one(const block *at, const mg_product *term, const double *restrict g) {
    double *restrict const sum = at->sums + (size_t)term->a * MG_LANES;
    const size_t whole = at->used - at->used % MG_LANES;
    const double *restrict const b = term->b == MG_NOTHING ? NULL : slot(at, term->b);
    double acc[MG_LANES];
    for (size_t k = 0; k < MG_LANES; k++) acc[k] = sum[k];
    if (b != NULL) {
        for (size_t l = 0; l < whole; l += MG_LANES)
            for (size_t k = 0; k < MG_LANES; k++) acc[k] += b[l + k] * g[l + k];
        for (size_t l = whole; l < at->used; l++) acc[l - whole] += b[l] * g[l];
    } else {
        for (size_t l = 0; l < whole; l += MG_LANES)
            for (size_t k = 0; k < MG_LANES; k++) acc[k] += g[l + k];
        for (size_t l = whole; l < at->used; l++) acc[l - whole] += g[l];
    }
    for (size_t k = 0; k < MG_LANES; k++) sum[k] = acc[k];
}

/* Four products with the same gradient at once. */
ALWAYS_INLINE void reduce_four(const block *at, const mg_product *terms, const double *g) {
    enum { WIDTH = MG_LANES / PACK };
    const size_t whole = at->used - at->used % MG_LANES;
    const double *b[4];
    pack acc[4][WIDTH];
    for (int t = 0; t < 4; t++) {
        b[t] = slot(at, terms[t].b);
        const pack *sum = (const pack *)(at->sums + (size_t)terms[t].a * MG_LANES);
        for (int k = 0; k < WIDTH; k++) acc[t][k] = sum[k];
    }
    for (size_t l = 0; l < whole; l += MG_LANES)
        for (int k = 0; k < WIDTH; k++) {
            const pack gradient = ((const pack *)(g + l))[k];
            for (int t = 0; t < 4; t++) acc[t][k] += ((const pack *)(b[t] + l))[k] * gradient;
        }
    for (int t = 0; t < 4; t++) {
        double *sum = at->sums + (size_t)terms[t].a * MG_LANES;
        for (int k = 0; k < WIDTH; k++) ((pack *)sum)[k] = acc[t][k];
        for (size_t l = whole; l < at->used; l++) sum[l - whole] += b[t][l] * g[l];
    }
}

static bool are_distinct(const mg_product *terms) {
    for (int i = 0; i < 4; i++) {
        if (terms[i].b == MG_NOTHING) return false;
        for (int k = 0; k < i; k++)
            if (terms[i].a == terms[k].a) return false;
    }
    return true;
}

ALWAYS_INLINE void reduce(const block *at, const mg_instruction *in) {
    const mg_product *term = at->schedule->terms + in->first;
    const mg_product *const end = term + in->count;
    const double *g = slot(at, in->g);
    while (term < end) {
        if (end - term >= 4 && are_distinct(term)) {
            reduce_four(at, term, g);
            term += 4;
        } else {
            reduce_one(at, term++, g);
        }
    }
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
    const mg_column *column = &at->call->seeds[in->index];
    if (column->data != NULL)
        load_column(at, column, out);
    else
        for (size_t l = 0; l < at->used; l++) out[l] = at->call->seed;
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
    if (at->mode != MG_PARAMETERS) return;
    const mg_column *seeds = &call->seeds[in->index];
    for (size_t l = 0; l < at->used; l++) {
        const double seed = seeds->data != NULL
                                ? seeds->data[(ptrdiff_t)at->rows[l] * seeds->stride]
                                : call->seed;
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

/* ---- what the row-by-row program would raise ---- */

static mg_status partial_error(int op, double x, double y, double z) {
    switch (op) {
#define X(name, symbol, form, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name: {                                               \
        const double dx = (dzdx);                                      \
        (void)dx, (void)y, (void)z;                                    \
        return (partial_error);                                        \
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

/* ---- a block ---- */

WIDE static void run(block *at, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const mg_instruction *in = &at->schedule->code[i];
        if (at->check) check_lanes(at, in);
        switch ((mg_code)in->code) {
            case MG_CODE_APPLY:
                apply(at, in);
                break;
            case MG_CODE_DIVIDE: {
                OPERANDS;
                APPLY(x / y);
                break;
            }
            case MG_CODE_SUM:
                sum_terms(at, in);
                break;
            case MG_CODE_ADD: {
                OPERANDS;
                APPLY(x + y);
                break;
            }
            case MG_CODE_MULTIPLY: {
                OPERANDS;
                APPLY(x * y);
                break;
            }
            case MG_CODE_FUSED: {
                const double *restrict const zr = slot(at, in->z);
                OPERANDS;
                if (is_scalar(in->x) && is_scalar(in->y))
                    EACH_LANE out[l] = xs + ys * zr[l];
                else if (is_scalar(in->x))
                    EACH_LANE out[l] = xs + yr[l] * zr[l];
                else if (is_scalar(in->y))
                    EACH_LANE out[l] = xr[l] + ys * zr[l];
                else
                    EACH_LANE out[l] = xr[l] + yr[l] * zr[l];
                break;
            }
            case MG_CODE_LOAD:
                load(at, in);
                break;
            case MG_CODE_STORE:
                store(at, in);
                break;
            case MG_CODE_GUARD:
                check_guard(at, in);
                break;
            case MG_CODE_SEED:
                load_seeds(at, in);
                break;
            case MG_CODE_PUSH_X:
                push_x(at, in);
                break;
            case MG_CODE_PUSH_Y:
                push_y(at, in);
                break;
            case MG_CODE_REDUCE:
                reduce(at, in);
                break;
            case MG_CODE_GRADIENT:
                store_column(at, &at->call->gradients[in->index], in->x);
                break;
        }
    }
}

static size_t round_up(size_t count, size_t step) {
    return (count + step - 1) / step * step;
}

/* Run up to the guards; the number of rows that failed one. */
static size_t run_forward(block *at) {
    size_t failures = 0;
    memset(at->failed, 0, at->used);
    at->lanes = round_up(at->used, MG_LANES);
    run(at, 0, at->schedule->forward);
    for (size_t l = 0; l < at->used; l++) failures += at->failed[l];
    return failures;
}

/* The rows at these places of the call's list; true: a guard failed. */
static bool run_block(block *at, uint32_t *rows, size_t first, size_t count) {
    const mg_call *call = at->call;
    const bool check = call->check != 0;
    for (size_t l = 0; l < count; l++)
        rows[l] = call->rows != NULL ? call->rows[first + l] : (uint32_t)(first + l);
    at->rows = rows;
    at->used = count;
    at->check = check && at->program->guard_count == 0;
    size_t failures = run_forward(at);
    if (failures != 0) {
        size_t kept = 0;
        for (size_t l = 0; l < count; l++) {
            call->failed[first + l] = at->failed[l];
            if (!at->failed[l]) rows[kept++] = rows[l];
        }
        at->used = kept;
    }
    at->check = check;
    if (at->used != 0) {
        const bool again = failures != 0 || (check && at->program->guard_count != 0);
        if (again) run_forward(at);
        run(at, at->schedule->forward, at->schedule->count);
    }
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

static double add_lanes(const double *sum) {
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static bool run_chunk(block *at, mg_workspace *workspace, size_t chunk) {
    const mg_program *program = at->program;
    const mg_call *call = at->call;
    const size_t size = chunk_rows(call->count), first = chunk * size;
    const size_t count = call->count - first < size ? call->count - first : size;
    const size_t blocks = (count + workspace->lanes - 1) / workspace->lanes;
    const size_t width = round_up((count + blocks - 1) / blocks, MG_LANES);
    bool failures = false;
    at->total = 0.0;
    if (at->mode == MG_PARAMETERS)
        memset(at->sums, 0, program->adjoint_count * MG_LANES * sizeof(double));
    for (size_t done = 0; done < count; done += width) {
        const size_t rows = count - done < width ? count - done : width;
        failures |= run_block(at, workspace->rows, first + done, rows);
    }
    if (at->mode != MG_PARAMETERS) return failures;
    double *sums = call->sums + chunk * (program->adjoint_count + 1);
    for (size_t i = 0; i < program->adjoint_count; i++)
        sums[i] = add_lanes(at->sums + i * MG_LANES);
    sums[program->adjoint_count] = at->total;
    return failures;
}

int mg_replay_rows(const mg_program *program, mg_mode mode, const mg_call *call,
                   mg_workspace *workspace, size_t first_chunk, size_t last_chunk, mg_trap *trap) {
    bool failures = false;
    block at = {
        .program = program,
        .schedule = &program->schedules[mode],
        .call = call,
        .mode = mode,
        .slots = workspace->slots,
        .scalars = call->scalars,
        .sums = workspace->sums,
        .failed = workspace->failed,
        .trap = trap,
    };
    for (size_t chunk = first_chunk; chunk < last_chunk; chunk++)
        failures |= run_chunk(&at, workspace, chunk);
    return failures;
}

void mg_set_columns(mg_column *out, double *data, size_t count, ptrdiff_t stride) {
    for (size_t i = 0; i < count; i++) out[i] = (mg_column){data + i, stride};
}

/* ---- scalars ---- */

static double scalar_of(const mg_program *program, const double *scalars, uint32_t entry) {
    return scalars[program->fates[entry].scalar];
}

int mg_replay_begin(const mg_program *program, mg_call *call) {
    double *scalars = call->scalars;
    memcpy(scalars, program->constants, program->scalar_count * sizeof(double));
    call->trap.status = MG_OK;
    for (size_t i = 0; i < program->order_count; i++) {
        const uint32_t place = program->order[i];
        const mg_entry *entry = &program->entries[place];
        double *out = &scalars[program->fates[place].scalar];
        mg_status status = MG_OK;
        if (program->fates[place].value != place) continue;
        if (entry->op == MG_TRACE_CAPTURED) {
            *out = call->captured[entry->x];
            continue;
        }
        const double x = scalar_of(program, scalars, entry->x);
        const bool binary = entry->op == MG_TRACE_DIVIDE ||
                            (mg_is_table_op(entry->op) && mg_arities[entry->op] == 2);
        const double y = binary ? scalar_of(program, scalars, entry->y) : entry->number;
        if (entry->op == MG_TRACE_LINK) {
            *out = x;
        } else if (entry->op == MG_TRACE_DIVIDE) {
            *out = x / y;
            if (y == 0.0) status = MG_ZERO_DIVISION;
        } else {
            status = mg_evaluate((int)entry->op, x, y, out);
        }
        if (status != MG_OK && call->trap.status == MG_OK)
            call->trap = (mg_trap){.status = (int)status,
                                   .op = mg_is_table_op(entry->op) ? (int)entry->op : -1,
                                   .x = x,
                                   .y = y};
    }
    for (size_t i = 0; i < program->guard_count; i++) {
        const mg_guard *guard = &program->guards[i];
        if (program->fates[guard->left].level == MG_LEVEL_ROW ||
            program->fates[guard->right].level == MG_LEVEL_ROW)
            continue;
        if (!holds(guard, scalar_of(program, scalars, guard->left),
                   scalar_of(program, scalars, guard->right)))
            return 0;
    }
    return 1;
}

/* Push the adjoints of scalars down to the captured nodes. */
static void push_scalars(const mg_program *program, mg_call *call, double *adjoints) {
    for (size_t i = 0; i < program->captured; i++) call->captured_grads[i] = 0.0;
    for (size_t i = program->order_count; i-- > 0;) {
        const uint32_t place = program->order[i];
        const mg_entry *entry = &program->entries[place];
        const double g = adjoints[program->adjoints[place]];
        if (!program->fates[place].reached) continue;
        if (entry->op == MG_TRACE_CAPTURED) {
            call->captured_grads[entry->x] += g;
            continue;
        }
        const double z = call->scalars[program->fates[place].scalar];
        if (entry->op == MG_TRACE_LINK) {
            const uint32_t to[] = {program->adjoints[entry->x], program->adjoints[entry->y]};
            if (to[0] != MG_NOTHING) adjoints[to[0]] += g;
            if (to[1] != MG_NOTHING)
                adjoints[to[1]] += scalar_of(program, call->scalars, entry->z) * g;
            continue;
        }
        if (!mg_is_table_op(entry->op)) continue;
        const bool binary = mg_arities[entry->op] == 2;
        const double x = scalar_of(program, call->scalars, entry->x);
        const double y =
            binary ? scalar_of(program, call->scalars, entry->y) : entry->number;
        double dx = 0.0, dy = 0.0;
        mg_status status = MG_OK;
        switch (entry->op) {
#define X(name, symbol, form, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                 \
        dx = (dzdx);                                                   \
        dy = (dzdy);                                                   \
        status = (partial_error);                                      \
        break;
            MG_OPERATORS(X)
#undef X
            default:
                break;
        }
        if (status != MG_OK && call->trap.status == MG_OK)
            call->trap = (mg_trap){
                .status = (int)status, .op = (int)entry->op, .derivative = 1, .x = x, .y = y};
        (void)z;
        const uint32_t to = program->adjoints[entry->x];
        if (to != MG_NOTHING) adjoints[to] += dx * g;
        if (binary && program->adjoints[entry->y] != MG_NOTHING)
            adjoints[program->adjoints[entry->y]] += dy * g;
    }
}

void mg_replay_end(const mg_program *program, mg_mode mode, mg_call *call) {
    const size_t chunks = mg_replay_chunks(call->count), width = program->adjoint_count + 1;
    if (mode != MG_PARAMETERS) return;
    if (chunks == 0) memset(call->sums, 0, width * sizeof(double));
    for (size_t chunk = 1; chunk < chunks; chunk++)
        for (size_t i = 0; i < width; i++) call->sums[i] += call->sums[chunk * width + i];
    call->total = call->sums[width - 1];
    push_scalars(program, call, call->sums);
}

int mg_replay(const mg_program *program, mg_mode mode, mg_call *call, mg_workspace *workspace) {
    if (!mg_replay_begin(program, call)) return 2;
    mg_trap trap = {.row = SIZE_MAX};
    int failures =
        mg_replay_rows(program, mode, call, workspace, 0, mg_replay_chunks(call->count), &trap);
    if (call->trap.status == MG_OK && trap.status != MG_OK) call->trap = trap;
    mg_replay_end(program, mode, call);
    return failures;
}

/* ---- workspaces ---- */

mg_workspace *mg_workspace_new(mg_arena *memory, const mg_program *program, mg_mode mode) {
    const size_t slots = program->schedules[mode].slots;
    size_t lanes = CACHE / sizeof(double) / (slots + 1) / MG_LANES * MG_LANES;
    if (lanes < MG_LANES) lanes = MG_LANES;
    if (lanes > MOST_LANES) lanes = MOST_LANES;
    const size_t doubles = slots * lanes + program->adjoint_count * MG_LANES;
    const size_t size = sizeof(mg_workspace) + doubles * sizeof(double) + 64 +
                        lanes * (sizeof(uint32_t) + 1);
    if (slots > SIZE_MAX / 64 / MOST_LANES) return NULL;
    mg_lock_take(&memory->lock);
    mg_workspace *workspace = mg_allocate(memory, size);
    mg_lock_give(&memory->lock);
    if (workspace == NULL) return NULL;
    workspace->lanes = lanes;
    workspace->slots = (double *)(((uintptr_t)workspace->room + 63) & ~(uintptr_t)63);
    workspace->sums = workspace->slots + slots * lanes;
    workspace->rows = (uint32_t *)(workspace->sums + program->adjoint_count * MG_LANES);
    workspace->failed = (unsigned char *)(workspace->rows + lanes);
    return workspace;
}

void mg_workspace_free(mg_arena *memory, mg_workspace *workspace) {
    mg_lock_take(&memory->lock);
    mg_deallocate(memory, workspace);
    mg_lock_give(&memory->lock);
}
