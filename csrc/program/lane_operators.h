/* lane_operators.h: a block of rows under way, and the operators' loops over its lanes. Internal to
 * replay.c, inlined into the interpreters that kernels.inc.h makes of it. All loops come from the
 * operator table; some operators have a faster one besides. */
#ifndef MG_APPLY_H
#define MG_APPLY_H

#include "program/lanes.h"
#include "program/program.h"

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#endif

/* ---- where things lie ---- */

/* A block of rows under way. */
typedef struct block {
    const mg_program *program;
    const mg_schedule *schedule;
    const mg_call *call;
    mg_mode mode;
    double *slots;
    const double *scalars;
    double *sums;
    const double *ones;
    const uint32_t *rows; /* the rows of the lanes */
    size_t pass;          /* of a jacobian: the output whose gradients are under way */
    size_t used;          /* lanes that are rows */
    size_t lanes;         /* computed: a multiple of MG_LANES */
    size_t stride;        /* from one slot to the next: the lanes there were at first */
    unsigned char *failed;
    double total;
    signed char finite; /* whether all scalars are; -1: nobody has looked yet */
    bool check;
    mg_trap *trap;
    void (*run)(struct block *at, size_t from, size_t to); /* the processor's */
    void (*add_lanes)(const double *sums, size_t count, double *out);
} block;

ALWAYS_INLINE bool is_scalar(uint32_t reference) {
    return (reference & MG_SCALAR) != 0;
}

ALWAYS_INLINE double scalar(const block *at, uint32_t reference) {
    return at->scalars[reference & ~MG_SCALAR];
}

ALWAYS_INLINE double *slot(const block *at, uint32_t reference) {
    return at->slots + (size_t)reference * at->stride;
}

/* All bits for each of MG_LANES lanes, then none: from MG_LANES - n on, for n of them. */
static const uint64_t row_masks[2 * MG_LANES] = {~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
                                                 ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
                                                 ~(uint64_t)0, ~(uint64_t)0};

/* ---- the operators, lane by lane ---- */

#define EACH_LANE for (size_t l = 0; l < lanes; l++)

/* Loops over one operator: out = (value), its operands rows or scalars. */
#define APPLY(value)                              \
    if (is_scalar(in->x) && is_scalar(in->y)) {   \
        const double x = xs, y = ys, z = (value); \
        (void)x, (void)y;                         \
        EACH_LANE out[l] = z;                     \
    } else if (is_scalar(in->x)) {                \
        const double x = xs;                      \
        EACH_LANE {                               \
            const double y = yr[l];               \
            (void)x, (void)y;                     \
            out[l] = (value);                     \
        }                                         \
    } else if (is_scalar(in->y)) {                \
        const double y = ys;                      \
        EACH_LANE {                               \
            const double x = xr[l];               \
            (void)x, (void)y;                     \
            out[l] = (value);                     \
        }                                         \
    } else {                                      \
        EACH_LANE {                               \
            const double x = xr[l], y = yr[l];    \
            (void)x, (void)y;                     \
            out[l] = (value);                     \
        }                                         \
    }

/* The same for a derivative times the gradient. */
#define PUSH(derivative)                                  \
    if (is_scalar(in->x)) {                               \
        const double x = xs;                              \
        EACH_LANE {                                       \
            const double y = yr[l], z = zr[l];            \
            (void)x, (void)y, (void)z;                    \
            out[l] = (derivative)*gr[l];                  \
        }                                                 \
    } else if (is_scalar(in->y)) {                        \
        const double y = ys;                              \
        EACH_LANE {                                       \
            const double x = xr[l], z = zr[l];            \
            (void)x, (void)y, (void)z;                    \
            out[l] = (derivative)*gr[l];                  \
        }                                                 \
    } else {                                              \
        EACH_LANE {                                       \
            const double x = xr[l], y = yr[l], z = zr[l]; \
            (void)x, (void)y, (void)z;                    \
            out[l] = (derivative)*gr[l];                  \
        }                                                 \
    }

/* Where operands of an instruction are; a missing second one counts as a scalar. */
#define OPERANDS                                                                 \
    double *restrict const out = slot(at, in->out);                              \
    const double *restrict const xr = is_scalar(in->x) ? NULL : slot(at, in->x); \
    const double *restrict const yr = is_scalar(in->y) ? NULL : slot(at, in->y); \
    const double xs = is_scalar(in->x) ? scalar(at, in->x) : 0.0;                \
    const double ys = in->y == MG_NOTHING ? in->number                           \
                      : is_scalar(in->y)  ? scalar(at, in->y)                    \
                                          : 0.0;                                  \
    const size_t lanes = at->lanes;                                              \
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
                EACH_LANE {
                    const double z =
                        1.0 / xr[l]; /* x * x overflows where x^-2 does not underflow */
                    out[l] = -(z * z) * gr[l];
                }
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
#define X(name, symbol, form, finite, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                         \
        APPLY(value)                                                           \
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
#define X(name, symbol, form, finite, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                         \
        PUSH(dzdx)                                                             \
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
#define X(name, symbol, form, finite, value, error, dzdx, dzdy, partial_error) \
    case MG_OP_##name:                                                         \
        PUSH(dzdy)                                                             \
        break;
        MG_OPERATORS(X)
#undef X
        default:
            break;
    }
}

#endif
