/* block.h: a block of rows under way, and what is done with a block on any processor. Internal to
 * replay.c and the interpreters that kernels.inc.h makes. */
#ifndef MG_BLOCK_H
#define MG_BLOCK_H

#include "compiler.h"
#include "program/program.h"

#define MG_MOST_LANES 128

/* Where a block is. replay.c says what the stages are. */
typedef enum { MG_STAGE_NONE, MG_STAGE_FORWARD, MG_STAGE_AGAIN, MG_STAGE_REST } mg_stage;

typedef struct mg_block {
    const mg_program *program;
    const mg_schedule *schedule;
    const mg_call *call;
    mg_mode mode;
    double *slots;         /* stride doubles for each slot */
    const double *scalars; /* the call's */
    double *sums;          /* the chunk's, of each adjoint, in the call */
    const double *ones;    /* 1.0 for each lane */
    uint32_t *rows;        /* the row of each lane */
    size_t first;          /* the place of the block's first row in the call's list */
    size_t count;          /* number of rows that the block had at first */
    mg_stage stage;
    size_t next;        /* the instruction that comes next */
    bool failures;      /* a guard has failed for some row, of this block or one before */
    size_t used;        /* number of lanes that are rows */
    size_t lanes;       /* number of lanes that are computed: a multiple of MG_LANES */
    size_t stride;      /* from one slot to the next: the number of lanes at first */
    uint32_t *failed;   /* for each lane: the number of the first guard that its row fails, or 0 */
    double total;       /* the sum of seeds times outputs over the chunk so far */
    signed char finite; /* whether all scalars are finite; -1: not tested yet */
    bool check;         /* fill the trap */
    mg_trap *trap;
} mg_block;

/* ---- where things lie ---- */

MG_INLINE double mg_scalar(const mg_block *at, uint32_t reference) {
    return at->scalars[reference & ~MG_SCALAR];
}

MG_INLINE double *mg_slot(const mg_block *at, uint32_t reference) {
    return at->slots + (size_t)reference * at->stride;
}

/* An operand over lanes: lane l's number is at[l * step]. */
typedef struct {
    const double *at;
    size_t step;
} mg_lanes_of;

/* Return the operand of an instruction; its exponent where the reference is MG_NOTHING. */
static inline mg_lanes_of mg_operand_lanes(const mg_block *at, uint32_t reference,
                                           const double *exponent) {
    if (reference == MG_NOTHING) return (mg_lanes_of){exponent, 0};
    if (mg_is_scalar(reference)) return (mg_lanes_of){at->scalars + (reference & ~MG_SCALAR), 0};
    return (mg_lanes_of){mg_slot(at, reference), 1};
}

/* ---- the interpreters, one for each kind of processor ---- */

/* Evaluates the instructions from, from + 1, ..., to - 1 of the schedule. */
typedef void mg_interpreter(mg_block *at, size_t from, size_t to);

mg_interpreter mg_run_plain;
#if defined(MG_HAS_KINDS)
mg_interpreter mg_run_avx2;
mg_interpreter mg_run_avx512;
#endif

/* Return the interpreter for this processor; kind: see mg_call. In replay.c. */
mg_interpreter *mg_choose_interpreter(int kind);

/* ---- between rows and lanes ---- */

/* Whether the mode asks for sums over rows. */
static inline bool mg_adds_up(mg_mode mode) {
    return mode == MG_PARAMETERS || mode == MG_ALL;
}

MG_INLINE void mg_load_column(const mg_block *at, const mg_column *column, double *restrict out) {
    for (size_t l = 0; l < at->used; l++)
        out[l] = column->data[(ptrdiff_t)at->rows[l] * column->stride];
}

/* The lanes beyond the rows repeat the last row. */
MG_INLINE void mg_load(const mg_block *at, const mg_instruction *in) {
    double *out = mg_slot(at, in->out);
    mg_load_column(at, &at->call->inputs[in->index], out);
    for (size_t l = at->used; l < at->lanes; l++) out[l] = out[at->used - 1];
}

MG_INLINE void mg_load_seeds(const mg_block *at, const mg_instruction *in) {
    double *out = mg_slot(at, in->out);
    const mg_call *call = at->call;
    const mg_column *column = &call->seeds[in->index];
    if (column->data != NULL)
        mg_load_column(at, column, out);
    else
        for (size_t l = 0; l < at->used; l++) out[l] = call->seed;
    for (size_t l = 0; l < at->used; l++) out[l] *= call->scale;
    for (size_t l = at->used; l < at->lanes; l++) out[l] = 0.0;
}

MG_INLINE void mg_store_column(const mg_block *at, const mg_column *column, uint32_t reference) {
    if (column->data == NULL) return;
    const double *from = mg_is_scalar(reference) ? NULL : mg_slot(at, reference);
    for (size_t l = 0; l < at->used; l++)
        column->data[(ptrdiff_t)at->rows[l] * column->stride] =
            from != NULL ? from[l] : mg_scalar(at, reference);
}

MG_INLINE void mg_store(mg_block *at, const mg_instruction *in) {
    const mg_call *call = at->call;
    mg_store_column(at, &call->outputs[in->index], in->x);
    if (!mg_adds_up(at->mode)) return;
    const mg_column *seeds = &call->seeds[in->index];
    for (size_t l = 0; l < at->used; l++) {
        const double seed =
            seeds->data != NULL ? seeds->data[(ptrdiff_t)at->rows[l] * seeds->stride] : call->seed;
        at->total += seed * (mg_is_scalar(in->x) ? mg_scalar(at, in->x) : mg_slot(at, in->x)[l]);
    }
}

MG_INLINE void mg_store_gradient(const mg_block *at, const mg_instruction *in) {
    if (at->call->scale == 1.0) mg_store_column(at, &at->call->gradients[in->index], in->x);
}

/* ---- block.c ---- */

/* Whether the comparison of x with y comes out as the guard says. */
bool mg_holds(const mg_guard *guard, double x, double y);
/* Mark the lanes in which a guard fails. */
void mg_check_guard(const mg_block *at, const mg_instruction *in);

/* Return the number of lanes to continue with if `zeros` of them add nothing: all lanes, if leaving
 * some out costs more than it saves, otherwise a smaller multiple of MG_LANES. */
size_t mg_lanes_to_keep(const mg_block *at, const mg_instruction *in, size_t zeros);
/* Return the number of rows for which x is zero. */
size_t mg_count_zeros(const mg_block *at, const double *x);
/* Continue with `kept` lanes, a result of mg_lanes_to_keep that is less than all: those in which x
 * is not zero, and as many others as fill them up. `zeros` is the number of rows for which x is
 * zero. */
void mg_keep_lanes(mg_block *at, const mg_instruction *in, const double *x, size_t zeros,
                   size_t kept);

/* Fill the trap if a row, earlier than the trap says, has no place among an instruction's elements.
 */
void mg_check_index(const mg_block *at, const mg_instruction *in);
/* Fill the trap if the function, run row by row, would raise at this instruction for an earlier row
 * than the trap says. */
void mg_check_lanes(const mg_block *at, const mg_instruction *in);

/* ---- pack_run.c: instructions of packs ---- */

void mg_set_lanes(mg_block *at, const mg_instruction *in);
/* Evaluate instructions for one lane. The terms of a sum are in one run. */
void mg_run_ones(const mg_block *at, const mg_instruction *in, size_t count);
void mg_gather(const mg_block *at, const mg_instruction *in);
void mg_choose(const mg_block *at, const mg_instruction *in);
/* out = op(x, y), and out = g dz/dx (side 0) or g dz/dy (side 1), where the mask is not 0. An error
 * is noted in the trap. */
void mg_apply_exact(const mg_block *at, const mg_instruction *in);
void mg_push_exact(const mg_block *at, const mg_instruction *in, int side);

/* ---- called.c ---- */

/* out = op(x, y) for an operator that MG_IS_CALLED, by the expressions of the table. If `left`, in
 * lanes where out is nan alone: a faster loop has been over all lanes, and has left these. */
void mg_apply_called(const mg_block *at, const mg_instruction *in, bool left);
/* out = g dz/dx (side 0) or g dz/dy (side 1), where z = op(x, y) */
void mg_push_called(const mg_block *at, const mg_instruction *in, int side, bool left);

#endif
