/* kernels.inc.h: the interpreter of instructions over a block's lanes, for one kind of processor.
 * kernels_plain.c, kernels_avx2.c and kernels_avx512.c include this file, each with
 *
 *     TARGET      the attribute that lets the compiler use the instructions of that processor
 *     PACK_BYTES  the size of its vectors; 8: there are none
 *     RUN         the name of the result, a mg_interpreter
 *
 * No kind fuses multiplications with additions, and none changes their order: results are the same
 * to the last bit. */
#include "for_speed.h"
#include "program/block.h"
#include "program/lane_operators.h"

/* ---- sums of products ---- */

#define PACK ((size_t)(PACK_BYTES / sizeof(double)))

#if PACK_BYTES == 64
#define SPREAD(number) ((pack){number, number, number, number, number, number, number, number})
#elif PACK_BYTES == 32
#define SPREAD(number) ((pack){number, number, number, number})
#elif PACK_BYTES == 16
#define SPREAD(number) ((pack){number, number})
#else
#define SPREAD(number) (number)
#endif

#if PACK_BYTES == 8
typedef double pack;
#else
/* The lanes of a pack (see packs.c) may begin at any double. */
typedef double pack __attribute__((vector_size(PACK_BYTES), may_alias, aligned(8)));
#endif

#define AT(reference) ((const pack *)(mg_slot(at, reference) + l))

/* Compute a sum of products for `width` packs of lanes, from lane l on. The packs of the sum stay
 * in registers. */
#define SUM_TILE(width)                                                          \
    do {                                                                         \
        pack sum[width];                                                         \
        for (int k = 0; k < (width); k++) sum[k] = SPREAD(-0.0);                 \
        for (uint32_t r = 0; r < in->count; r++) {                               \
            const mg_run *run = &at->schedule->runs[in->first + r];              \
            const mg_product *term = &at->schedule->terms[run->first];           \
            const mg_product *const end = term + run->count;                     \
            switch (run->kind) {                                                 \
                case MG_RUN_SCALAR_ROW:                                          \
                    for (; term < end; term++) {                                 \
                        const double number = mg_scalar(at, term->a);            \
                        const pack a = SPREAD(number), *b = AT(term->b);         \
                        for (int k = 0; k < (width); k++) sum[k] += a * b[k];    \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_ROW_ROW:                                             \
                    for (; term < end; term++) {                                 \
                        const pack *a = AT(term->a), *b = AT(term->b);           \
                        for (int k = 0; k < (width); k++) sum[k] += a[k] * b[k]; \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_ROW:                                                 \
                    for (; term < end; term++) {                                 \
                        const pack *a = AT(term->a);                             \
                        for (int k = 0; k < (width); k++) sum[k] += a[k];        \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_SCALAR:                                              \
                    for (; term < end; term++) {                                 \
                        const double number = mg_scalar(at, term->a);            \
                        const pack a = SPREAD(number);                           \
                        for (int k = 0; k < (width); k++) sum[k] += a;           \
                    }                                                            \
                    break;                                                       \
            }                                                                    \
        }                                                                        \
        pack *out = (pack *)(mg_slot(at, in->out) + l);                          \
        for (int k = 0; k < (width); k++) out[k] = sum[k];                       \
    } while (0)

/* Compute all lanes in tiles of `width` packs. There are at least `width` packs of lanes. The last
 * tile ends where the lanes end, and may compute some lanes a second time. */
#define TILES(tile, width)                                           \
    do {                                                             \
        const size_t last = at->lanes - (width)*PACK;                \
        for (size_t l = 0; l < last; l += (width)*PACK) tile(width); \
        const size_t l = last;                                       \
        tile(width);                                                 \
    } while (0)

#define WIDTH ((int)(MG_LANES / PACK)) /* packs of MG_LANES lanes */
#define TOGETHER (8 / WIDTH)           /* so many times MG_LANES lanes fill eight registers */

/* Compute a sum of products, in the smallest number of tiles of at most eight packs, or nearly. */
TARGET static inline void sum_terms(const mg_block *at, const mg_instruction *in) {
    const size_t packs = at->lanes / PACK;
    switch (packs <= 8 ? packs : packs <= 16 ? (packs + 1) / 2 : 8) {
#define CASE(width)             \
    case width:                 \
        TILES(SUM_TILE, width); \
        break;
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
    }
}

/* ---- sums over rows ---- */

/* A mask of all bits for each of MG_LANES lanes, then of no bits for as many. The masks from
 * MG_LANES - n on let the first n of MG_LANES lanes pass. */
static const uint64_t row_masks[2 * MG_LANES] = {~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
                                                 ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
                                                 ~(uint64_t)0, ~(uint64_t)0};

#if PACK_BYTES == 8
#define MASK(product, mask) mg_lane_double(mg_lane_bits(product) & *(mask))
#else
typedef long long mask_pack __attribute__((vector_size(PACK_BYTES), may_alias, aligned(8)));
#define MASK(product, mask) ((pack)((mask_pack)(product) & *(const mask_pack *)(mask)))
typedef double four_lanes __attribute__((vector_size(32), may_alias, aligned(8)));
typedef double two_lanes __attribute__((vector_size(16), may_alias, aligned(8)));
#endif

/* Return the sum of MG_LANES lanes: the second half is added to the first, until there is one. */
TARGET MG_INLINE double add_lanes(const double *lanes) {
#if PACK_BYTES == 8
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
#else
    const four_lanes fours = ((const four_lanes *)lanes)[0] + ((const four_lanes *)lanes)[1];
    const two_lanes twos = ((const two_lanes *)&fours)[0] + ((const two_lanes *)&fours)[1];
    return twos[0] + twos[1];
#endif
}

/* For each of `count` terms add the sum over rows of b * g, or of g where b is MG_NOTHING, to the
 * sum of adjoint a. Lanes beyond the rows add 0. Lane l is added to partial sum l modulo MG_LANES.
 */
TARGET MG_INLINE void reduce_terms(const mg_block *at, const mg_product *terms, const int count,
                                   const double *g) {
    const size_t rest = at->used % MG_LANES, whole = at->used - rest;
    const double *b[TOGETHER];
    pack sum[TOGETHER][WIDTH];
    for (int t = 0; t < count; t++) {
        b[t] = terms[t].b == MG_NOTHING ? at->ones : mg_slot(at, terms[t].b);
        for (int k = 0; k < WIDTH; k++) sum[t][k] = SPREAD(0.0);
    }
    for (size_t l = 0; l < whole; l += MG_LANES)
        for (int k = 0; k < WIDTH; k++) {
            const pack gradient = ((const pack *)(g + l))[k];
            for (int t = 0; t < count; t++) sum[t][k] += ((const pack *)(b[t] + l))[k] * gradient;
        }
    for (int k = 0; rest != 0 && k < WIDTH; k++) {
        const pack gradient = ((const pack *)(g + whole))[k];
        const uint64_t *mask = row_masks + MG_LANES - rest + (size_t)k * PACK;
        for (int t = 0; t < count; t++)
            sum[t][k] += MASK(((const pack *)(b[t] + whole))[k] * gradient, mask);
    }
    for (int t = 0; t < count; t++) at->sums[terms[t].a] += add_lanes((const double *)sum[t]);
}

/* Do a reduction, with as many terms at once as fill eight registers with their partial sums. */
TARGET static inline void reduce_rows(const mg_block *at, const mg_instruction *in) {
    const mg_product *term = at->schedule->terms + in->first;
    const mg_product *const end = term + in->count;
    const double *g = mg_slot(at, in->g);
#define REDUCE(count) \
    for (; end - term >= (count); term += (count)) reduce_terms(at, term, count, g)
    REDUCE(TOGETHER);
    REDUCE((TOGETHER + 1) / 2);
    REDUCE((TOGETHER + 3) / 4);
    REDUCE(1);
#undef REDUCE
}

/* ---- rows that are left out ---- */

/* Compute the tests of `width` packs of lanes, from lane l on: nan where a value is not finite,
 * otherwise the gradient x. */
#define TEST_TILE(width)                                                     \
    do {                                                                     \
        pack sum[width];                                                     \
        const double none = 0.0;                                             \
        const pack zero = SPREAD(none), *x = AT(in->x);                      \
        for (int k = 0; k < (width); k++) sum[k] = x[k];                     \
        for (const mg_product *term = terms; term < end; term++) {           \
            const pack *a = AT(term->a);                                     \
            for (int k = 0; k < (width); k++) sum[k] += a[k] * zero;         \
        }                                                                    \
        for (int k = 0; k < (width); k++) ((pack *)(tests + l))[k] = sum[k]; \
    } while (0)

/* Leave out the rows whose gradient x is zero and whose values are finite, if that saves work. */
TARGET static void keep(mg_block *at, const mg_instruction *in) {
    _Alignas(64) double tests[MG_MOST_LANES];
    const mg_product *const terms = at->schedule->terms + in->first, *const end = terms + in->count;
    if (mg_lanes_to_keep(at, in, mg_count_zeros(at, mg_slot(at, in->x))) == at->lanes) return;
    if (at->finite < 0) at->finite = mg_are_finite(at->scalars, at->program->scalar_count);
    if (!at->finite) return;
    if (at->lanes >= 4 * PACK)
        TILES(TEST_TILE, 4);
    else
        TILES(TEST_TILE, 1);
    const size_t zeros = mg_count_zeros(at, tests), kept = mg_lanes_to_keep(at, in, zeros);
    if (kept != at->lanes) mg_keep_lanes(at, in, tests, zeros, kept);
}

/* ---- the interpreter ---- */

/* out = expression in x and y, whose operands are rows or scalars, not both scalars. */
#define INFIX(expression)                                                                      \
    do {                                                                                       \
        const mg_operand x_in = mg_lane_operand(at, in->x), y_in = mg_lane_operand(at, in->y); \
        double *restrict const out = mg_slot(at, in->out);                                     \
        const size_t lanes = at->lanes;                                                        \
        EACH_ROW(x_in, y_in, expression);                                                      \
    } while (0)

/* out = x + y * z, where z is a row. */
TARGET static void fused(const mg_block *at, const mg_instruction *in) {
    const mg_operand x = mg_lane_operand(at, in->x), y = mg_lane_operand(at, in->y);
    const double *restrict const x_row = x.row, *restrict const y_row = y.row;
    const double *restrict const z = mg_slot(at, in->z);
    double *restrict const out = mg_slot(at, in->out);
    const size_t lanes = at->lanes;
    if (x_row == NULL && y_row == NULL)
        EACH_LANE out[l] = x.number + y.number * z[l];
    else if (x_row == NULL)
        EACH_LANE out[l] = x.number + y_row[l] * z[l];
    else if (y_row == NULL)
        EACH_LANE out[l] = x_row[l] + y.number * z[l];
    else
        EACH_LANE out[l] = x_row[l] + y_row[l] * z[l];
}

/* out = x != 0 ? y : z, where each may be a row, a scalar or left out. */
TARGET static void select_lanes(const mg_block *at, const mg_instruction *in) {
    const mg_operand none = {NULL, 0.0}, otherwise = {NULL, in->number};
    const mg_operand x = mg_lane_operand(at, in->x);
    const mg_operand y = in->y == MG_NOTHING ? none : mg_lane_operand(at, in->y);
    const mg_operand z = in->z == MG_NOTHING ? otherwise : mg_lane_operand(at, in->z);
    const mg_operand all = x.number != 0.0 ? y : z; /* where x is a scalar */
    const double *restrict const x_row = x.row, *restrict const all_row = all.row;
    const double *restrict const y_row = y.row, *restrict const z_row = z.row;
    double *restrict const out = mg_slot(at, in->out);
    const size_t lanes = at->lanes;
    if (x_row == NULL && all_row == NULL)
        EACH_LANE out[l] = all.number;
    else if (x_row == NULL)
        EACH_LANE out[l] = all_row[l];
    else if (y_row == NULL && z_row == NULL)
        EACH_LANE out[l] = x_row[l] != 0.0 ? y.number : z.number;
    else if (y_row == NULL)
        EACH_LANE {
            const double other = z_row[l];
            out[l] = x_row[l] != 0.0 ? y.number : other;
        }
    else if (z_row == NULL)
        EACH_LANE {
            const double one = y_row[l];
            out[l] = x_row[l] != 0.0 ? one : z.number;
        }
    else
        EACH_LANE {
            const double one = y_row[l], other = z_row[l];
            out[l] = x_row[l] != 0.0 ? one : other;
        }
}

/* ---- tables ---- */

/* Write the place among an instruction's elements that each lane's index names. */
TARGET MG_INLINE void find_places(const mg_block *at, const mg_instruction *in,
                                  uint32_t *restrict places) {
    const mg_operand x = mg_lane_operand(at, in->x);
    const double *restrict const row = x.row;
    const uint32_t count = in->count;
    const size_t lanes = at->lanes;
    if (row == NULL) {
        const uint32_t place = mg_place_among(x.number, count);
        EACH_LANE places[l] = place;
    } else {
        EACH_LANE places[l] = mg_place_among(row[l], count);
    }
}

/* A short table of scalars is copied, one number behind the other. */
TARGET static void take(const mg_block *at, const mg_instruction *in) {
    uint32_t places[MG_MOST_LANES];
    double numbers[MG_MOST_LANES];
    const mg_product *const terms = at->schedule->terms + in->first;
    double *restrict const out = mg_slot(at, in->out);
    const uint32_t count = in->count;
    const size_t lanes = at->lanes;
    bool short_of_rows = count < MG_MOST_LANES;
    find_places(at, in, places);
    for (uint32_t i = 0; short_of_rows && i < count; i++) {
        short_of_rows = mg_is_scalar(terms[i].a);
        if (short_of_rows) numbers[i] = mg_scalar(at, terms[i].a);
    }
    if (short_of_rows) {
        numbers[count] = (double)NAN;
        EACH_LANE out[l] = numbers[places[l]];
        return;
    }
    EACH_LANE {
        const uint32_t from = places[l] < count ? terms[places[l]].a : MG_NOTHING;
        out[l] = from == MG_NOTHING   ? (double)NAN
                 : mg_is_scalar(from) ? mg_scalar(at, from)
                                      : mg_slot(at, from)[l];
    }
}

/* out = y where x is one of the places, else 0. */
TARGET static void pick(const mg_block *at, const mg_instruction *in) {
    const mg_operand x = mg_lane_operand(at, in->x), one = {NULL, 1.0};
    const mg_operand y = in->y == MG_NOTHING ? one : mg_lane_operand(at, in->y);
    const double low = (double)in->first, high = (double)in->first + (double)in->count;
    const double *restrict const x_row = x.row, *restrict const y_row = y.row;
    double *restrict const out = mg_slot(at, in->out);
    const size_t lanes = at->lanes;
    if (x_row == NULL && y_row == NULL)
        EACH_LANE out[l] = x.number >= low && x.number < high ? y.number : 0.0;
    else if (x_row == NULL)
        EACH_LANE out[l] = x.number >= low && x.number < high ? y_row[l] : 0.0;
    else if (y_row == NULL)
        EACH_LANE out[l] = x_row[l] >= low && x_row[l] < high ? y.number : 0.0;
    else
        EACH_LANE {
            const double number = y_row[l];
            out[l] = ((x_row[l] >= low) & (x_row[l] < high)) ? number : 0.0;
        }
}

TARGET static void scatter(const mg_block *at, const mg_instruction *in) {
    uint32_t places[MG_MOST_LANES];
    const mg_product *const terms = at->schedule->terms + in->first;
    const double *const g = mg_slot(at, in->g);
    find_places(at, in, places);
    for (size_t l = 0; l < at->used; l++) {
        const uint32_t to = places[l] < in->count ? terms[places[l]].a : MG_NOTHING;
        if (to != MG_NOTHING) at->sums[to] += g[l];
    }
}

TARGET void RUN(mg_block *at, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const mg_instruction *in = &at->schedule->code[i];
        if (at->check) mg_check_lanes(at, in);
        switch ((mg_code)in->code) {
            case MG_CODE_APPLY:
                mg_apply(at, in);
                break;
            case MG_CODE_DIVIDE:
                INFIX(x / y);
                break;
            case MG_CODE_SUM:
                sum_terms(at, in);
                break;
            case MG_CODE_ADD:
                INFIX(x + y);
                break;
            case MG_CODE_MULTIPLY:
                INFIX(x * y);
                break;
            case MG_CODE_FUSED:
                fused(at, in);
                break;
            case MG_CODE_LESS:
                INFIX(x < y ? 1.0 : 0.0);
                break;
            case MG_CODE_LESS_EQUAL:
                INFIX(x <= y ? 1.0 : 0.0);
                break;
            case MG_CODE_EQUAL:
                INFIX(x == y ? 1.0 : 0.0);
                break;
            case MG_CODE_SELECT:
                select_lanes(at, in);
                break;
            case MG_CODE_TAKE:
                take(at, in);
                break;
            case MG_CODE_INDEX:
                mg_check_index(at, in);
                break;
            case MG_CODE_PICK:
                pick(at, in);
                break;
            case MG_CODE_SCATTER:
                scatter(at, in);
                break;
            case MG_CODE_LOAD:
                mg_load(at, in);
                break;
            case MG_CODE_STORE:
                mg_store(at, in);
                break;
            case MG_CODE_GUARD:
                mg_check_guard(at, in);
                break;
            case MG_CODE_SEED:
                mg_load_seeds(at, in);
                break;
            case MG_CODE_PUSH_X:
                mg_push_side(at, in, 0);
                break;
            case MG_CODE_PUSH_Y:
                mg_push_side(at, in, 1);
                break;
            case MG_CODE_REDUCE:
                reduce_rows(at, in);
                break;
            case MG_CODE_GRADIENT:
                mg_store_gradient(at, in);
                break;
            case MG_CODE_KEEP:
                keep(at, in);
                if (at->used == 0) return;
                break;
            case MG_CODE_LANES:
                mg_set_lanes(at, in);
                break;
            case MG_CODE_ONES:
                mg_run_ones(at, in + 1, in->count);
                i += in->count;
                break;
            case MG_CODE_GATHER:
                mg_gather(at, in);
                break;
            case MG_CODE_CHOOSE:
                mg_choose(at, in);
                break;
            case MG_CODE_EXACT:
                mg_apply_exact(at, in);
                break;
            case MG_CODE_EXACT_X:
                mg_push_exact(at, in, 0);
                break;
            case MG_CODE_EXACT_Y:
                mg_push_exact(at, in, 1);
                break;
        }
    }
}
