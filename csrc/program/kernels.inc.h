/* kernels.inc.h: the interpreter of instructions over a block's lanes, for one kind of processor.
 * Included by replay.c for each, with NAME(x)     the name x for this kind, TARGET      the
 * attribute that lets the compiler use its instructions, PACK_BYTES  the size of its vectors, 8: it
 * has none. No version fuses multiplications with additions, and none changes their order: results
 * are the same to the last bit. */

/* ---- sums of products ---- */

#define PACK ((size_t)(PACK_BYTES / sizeof(double)))

#if PACK_BYTES == 64
#define SPREAD(number) \
    ((NAME(pack)){number, number, number, number, number, number, number, number})
#elif PACK_BYTES == 32
#define SPREAD(number) ((NAME(pack)){number, number, number, number})
#elif PACK_BYTES == 16
#define SPREAD(number) ((NAME(pack)){number, number})
#else
#define SPREAD(number) (number)
#endif

#if PACK_BYTES == 8
typedef double NAME(pack);
#else
typedef double NAME(pack) __attribute__((vector_size(PACK_BYTES), may_alias));
#endif

#define AT(reference) ((const NAME(pack) *)(slot(at, reference) + l))

/* `width` packs of lanes from l on: the sum stays in registers. */
#define SUM_TILE(width)                                                          \
    do {                                                                         \
        NAME(pack) sum[width];                                                   \
        for (int k = 0; k < (width); k++) sum[k] = SPREAD(-0.0);                 \
        for (uint32_t r = 0; r < in->count; r++) {                               \
            const mg_run *run = &at->schedule->runs[in->first + r];              \
            const mg_product *term = &at->schedule->terms[run->first];           \
            const mg_product *const end = term + run->count;                     \
            switch (run->kind) {                                                 \
                case MG_RUN_SCALAR_ROW:                                          \
                    for (; term < end; term++) {                                 \
                        const double number = scalar(at, term->a);               \
                        const NAME(pack) a = SPREAD(number), *b = AT(term->b);   \
                        for (int k = 0; k < (width); k++) sum[k] += a * b[k];    \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_ROW_ROW:                                             \
                    for (; term < end; term++) {                                 \
                        const NAME(pack) *a = AT(term->a), *b = AT(term->b);     \
                        for (int k = 0; k < (width); k++) sum[k] += a[k] * b[k]; \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_ROW:                                                 \
                    for (; term < end; term++) {                                 \
                        const NAME(pack) *a = AT(term->a);                       \
                        for (int k = 0; k < (width); k++) sum[k] += a[k];        \
                    }                                                            \
                    break;                                                       \
                case MG_RUN_SCALAR:                                              \
                    for (; term < end; term++) {                                 \
                        const double number = scalar(at, term->a);               \
                        const NAME(pack) a = SPREAD(number);                     \
                        for (int k = 0; k < (width); k++) sum[k] += a;           \
                    }                                                            \
                    break;                                                       \
            }                                                                    \
        }                                                                        \
        NAME(pack) *out = (NAME(pack) *)(slot(at, in->out) + l);                 \
        for (int k = 0; k < (width); k++) out[k] = sum[k];                       \
    } while (0)

/* All lanes in tiles of that many packs, of which there are as many at least: the last tile ends
 * where they end and may compute some of them a second time. */
#define TILES(tile, width)                                           \
    do {                                                             \
        const size_t last = at->lanes - (width)*PACK;                \
        for (size_t l = 0; l < last; l += (width)*PACK) tile(width); \
        const size_t l = last;                                       \
        tile(width);                                                 \
    } while (0)

#define WIDTH ((int)(MG_LANES / PACK))
#define TOGETHER (8 / WIDTH)

/* In as few tiles of at most eight packs as there can be, or nearly. */
TARGET static inline void NAME(sum_terms)(const block *at, const mg_instruction *in) {
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

#if PACK_BYTES == 8
#define MASK(product, mask) mg_lane_double(mg_lane_bits(product) & *(mask))
#else
typedef long long NAME(bits) __attribute__((vector_size(PACK_BYTES), may_alias, aligned(8)));
#define MASK(product, mask) ((NAME(pack))((NAME(bits))(product) & *(const NAME(bits) *)(mask)))
#endif

/* Add b * g to the sums of `count` products with one g, a row in the lane of its place modulo
 * MG_LANES. Of the last lanes those that are no rows add 0. */
TARGET ALWAYS_INLINE void NAME(reduce_terms)(const block *at, const mg_product *terms,
                                             const int count, const double *g) {
    const size_t rest = at->used % MG_LANES, whole = at->used - rest;
    const double *b[TOGETHER];
    NAME(pack) sum[TOGETHER][WIDTH];
    for (int t = 0; t < count; t++) {
        const NAME(pack) *from = (const NAME(pack) *)(at->sums + (size_t)terms[t].a * MG_LANES);
        b[t] = terms[t].b == MG_NOTHING ? at->ones : slot(at, terms[t].b);
        for (int k = 0; k < WIDTH; k++) sum[t][k] = from[k];
    }
    for (size_t l = 0; l < whole; l += MG_LANES)
        for (int k = 0; k < WIDTH; k++) {
            const NAME(pack) gradient = ((const NAME(pack) *)(g + l))[k];
            for (int t = 0; t < count; t++)
                sum[t][k] += ((const NAME(pack) *)(b[t] + l))[k] * gradient;
        }
    for (int k = 0; rest != 0 && k < WIDTH; k++) {
        const NAME(pack) gradient = ((const NAME(pack) *)(g + whole))[k];
        const uint64_t *mask = row_masks + MG_LANES - rest + (size_t)k * PACK;
        for (int t = 0; t < count; t++)
            sum[t][k] += MASK(((const NAME(pack) *)(b[t] + whole))[k] * gradient, mask);
    }
    for (int t = 0; t < count; t++) {
        NAME(pack) *to = (NAME(pack) *)(at->sums + (size_t)terms[t].a * MG_LANES);
        for (int k = 0; k < WIDTH; k++) to[k] = sum[t][k];
    }
}

/* As many products at once as fill eight registers with their sums, which are different ones. */
TARGET static inline void NAME(reduce)(const block *at, const mg_instruction *in) {
    const mg_product *term = at->schedule->terms + in->first;
    const mg_product *const end = term + in->count;
    const double *g = slot(at, in->g);
#define REDUCE(count) \
    for (; end - term >= (count); term += (count)) NAME(reduce_terms)(at, term, count, g)
    if (in->index >= TOGETHER) {
        REDUCE(TOGETHER);
        REDUCE((TOGETHER + 1) / 2);
        REDUCE((TOGETHER + 3) / 4);
    }
    REDUCE(1);
#undef REDUCE
}

/* The sum of the lanes of each of `count` sums. */
TARGET static void NAME(add_lanes)(const double *sums, size_t count, double *out) {
    double pairs[4 * BATCH], fours[2 * BATCH];
    for (; count >= BATCH; count -= BATCH) {
        for (int i = 0; i < 4 * BATCH; i++) pairs[i] = sums[2 * i] + sums[2 * i + 1];
        for (int i = 0; i < 2 * BATCH; i++) fours[i] = pairs[2 * i] + pairs[2 * i + 1];
        for (int i = 0; i < BATCH; i++) out[i] = fours[2 * i] + fours[2 * i + 1];
        sums += MG_LANES * BATCH;
        out += BATCH;
    }
    for (; count > 0; count--, sums += MG_LANES)
        *out++ = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                 ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* ---- rows that are left out ---- */

/* Whether all scalars are finite. */
TARGET static bool NAME(are_finite)(const double *scalars, size_t count) {
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) bits |= mg_lane_bits(scalars[i] * 0.0) << 1;
    return bits == 0; /* 0 * x is 0 or -0, or nan */
}

/* `width` packs of lanes from l on: x where it is not zero, nan where a value is not finite. */
#define TEST_TILE(width)                                                           \
    do {                                                                           \
        NAME(pack) sum[width];                                                     \
        const double none = 0.0;                                                   \
        const NAME(pack) zero = SPREAD(none), *x = AT(in->x);                      \
        for (int k = 0; k < (width); k++) sum[k] = x[k];                           \
        for (const mg_product *term = terms; term < end; term++) {                 \
            const NAME(pack) *a = AT(term->a);                                     \
            for (int k = 0; k < (width); k++) sum[k] += a[k] * zero;               \
        }                                                                          \
        for (int k = 0; k < (width); k++) ((NAME(pack) *)(tests + l))[k] = sum[k]; \
    } while (0)

/* Leave out the rows whose gradient x is zero and whose values are finite, if that pays. */
TARGET static void NAME(keep)(block *at, const mg_instruction *in) {
    _Alignas(64) double tests[MOST_LANES];
    const mg_product *const terms = at->schedule->terms + in->first, *const end = terms + in->count;
    if (lanes_to_keep(at, in, count_zeros(at, slot(at, in->x))) == at->lanes) return;
    if (at->finite < 0) at->finite = NAME(are_finite)(at->scalars, at->program->scalar_count);
    if (!at->finite) return;
    if (at->lanes >= 4 * PACK)
        TILES(TEST_TILE, 4);
    else
        TILES(TEST_TILE, 1);
    const size_t zeros = count_zeros(at, tests), kept = lanes_to_keep(at, in, zeros);
    if (kept != at->lanes) keep_lanes(at, in, tests, zeros, kept);
}

TARGET static void NAME(run)(block *at, size_t from, size_t to) {
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
                NAME(sum_terms)(at, in);
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
                NAME(reduce)(at, in);
                break;
            case MG_CODE_GRADIENT:
                store_column(at, &at->call->gradients[at->pass * at->program->inputs + in->index],
                             in->x);
                break;
            case MG_CODE_KEEP:
                NAME(keep)(at, in);
                if (at->used == 0) return;
                break;
        }
    }
}

#undef PACK
#undef SPREAD
#undef AT
#undef SUM_TILE
#undef TEST_TILE
#undef TILES
#undef MASK
#undef WIDTH
#undef TOGETHER
#undef NAME
#undef TARGET
#undef PACK_BYTES
