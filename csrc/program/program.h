/* program.h: what a compiled program is made of. Internal to the files that make and replay it.
 *
 * An entry of the trace is known at one of three levels: a constant; a scalar, which depends on
 * captured nodes alone and is evaluated once a call; a row's own value. Scalars and constants lie
 * in one array, the scalars. Rows are replayed in blocks: a row's value is a slot of the workspace,
 * a double for each lane of the block.
 *
 * A program has code for each mode: straight-line instructions, forward, then reverse. The reverse
 * part gathers: the gradient of a value is the sum over its uses, which is an instruction like any
 * other sum of products, with its terms in the order in which backward would add them. */
#ifndef MG_PROGRAM_H
#define MG_PROGRAM_H

#include "graph/memory.h"

/* References to values in instructions: a slot or, with this bit, a scalar. */
#define MG_SCALAR 0x80000000u
#define MG_NOTHING UINT32_MAX

/* Lanes are computed this many at a time: blocks and slots are multiples of it. */
#define MG_LANES 8

/* Instructions beyond the operators of the table. */
typedef enum {
    MG_CODE_APPLY,    /* out = op(x, y) */
    MG_CODE_DIVIDE,   /* out = x / y */
    MG_CODE_SUM,      /* out = the sum of terms */
    MG_CODE_LOAD,     /* out = input index */
    MG_CODE_STORE,    /* output index = x */
    MG_CODE_GUARD,    /* guard index: x and y */
    MG_CODE_SEED,     /* out = the seeds of output index */
    MG_CODE_PUSH_X,   /* out = g times the derivative of z = op(x, y) with respect to x */
    MG_CODE_PUSH_Y,   /* ... to y */
    MG_CODE_REDUCE,   /* terms: adjoint of scalar a += the sum over rows of b * g, or of g */
    MG_CODE_GRADIENT, /* gradient of input index = x */
    MG_CODE_KEEP,     /* terms: go on with the rows whose x is not zero, and with their a */
    MG_CODE_ADD,      /* short sums: out = x + y */
    MG_CODE_MULTIPLY, /* out = x * y */
    MG_CODE_FUSED     /* out = x + y * z */
} mg_code;

/* a * b, or a where b is MG_NOTHING. */
typedef struct {
    uint32_t a;
    uint32_t b;
} mg_product;

typedef struct {
    uint8_t code;
    uint8_t op;
    uint32_t out;
    uint32_t x;
    uint32_t y;
    uint32_t z;
    uint32_t g;
    uint32_t index; /* of MG_CODE_REDUCE: so many terms, one after the other, have different sums */
    uint32_t first; /* terms */
    uint32_t count;
    double number; /* an exponent; of MG_CODE_KEEP the work ahead, in multiplications a lane */
} mg_instruction;

/* Terms of one kind, one after the other; a sum's runs stand in first and count. */
typedef enum { MG_RUN_ROW, MG_RUN_SCALAR, MG_RUN_SCALAR_ROW, MG_RUN_ROW_ROW } mg_run_kind;

typedef struct {
    mg_run_kind kind;
    uint32_t first;
    uint32_t count;
} mg_run;

typedef struct {
    bool ready;
    mg_instruction *code;
    size_t count;
    size_t code_room;
    mg_product *terms;
    size_t term_count;
    size_t term_room;
    mg_run *runs;
    size_t run_count;
    size_t run_room;
    size_t slots;
    size_t forward;    /* instructions up to the last guard */
    size_t terms_each; /* multiplications of an instruction, on average and at least 1 */
} mg_schedule;

/* What becomes of an entry. */
typedef struct {
    uint32_t value;  /* the entry that computes the same value first: perhaps this one */
    uint32_t scalar; /* where it lies, if it is not a row's */
    uint8_t level;
    bool needed;
    bool reached;  /* by gradients of outputs */
    uint32_t uses; /* by other entries, as an operand or a value, by outputs and by guards */
} mg_fate;

enum { MG_LEVEL_CONSTANT, MG_LEVEL_SCALAR, MG_LEVEL_ROW };

/* Where a captured node's number and its adjoint lie. */
typedef struct {
    uint32_t captured;
    uint32_t scalar;
    uint32_t adjoint; /* MG_NOTHING: no gradient passes there */
} mg_place;

/* A term of a sum of scalars: a * b, or a where b is MG_NOTHING. */
typedef struct {
    uint32_t a;
    uint32_t b;
    uint32_t adjoint_a;
    uint32_t adjoint_b;
} mg_scalar_term;

#define MG_STEP_SUM UINT32_MAX /* the op of a step that is a sum: x terms from y on */

/* What is done once a call with captured numbers; operands as places of scalars, and of their
 * adjoints. */
typedef struct {
    uint32_t op;
    uint32_t out;
    uint32_t x;
    uint32_t y;
    uint32_t z;
    uint32_t adjoint;
    uint32_t adjoint_x; /* MG_NOTHING: no gradient passes there, as in what follows */
    uint32_t adjoint_y;
    uint32_t entry;
    bool shared;  /* the value is there already */
    bool reached; /* by gradients */
    double number;
} mg_scalar_step;

struct mg_program {
    mg_arena *memory; /* where all of it comes from */
    size_t count;
    mg_entry *entries;
    mg_fate *fates;
    size_t inputs;
    size_t captured;
    size_t output_count;
    uint32_t *outputs;
    size_t guard_count;
    mg_guard *guards;
    size_t scalar_count;
    double *constants; /* as many as scalars; 0.0 where it is none */
    bool *is_constant; /* as many */
    mg_place *places;  /* of captured nodes that are needed */
    size_t place_count;
    mg_scalar_step *steps;
    size_t step_count;
    mg_scalar_term *scalar_terms;
    size_t scalar_term_count;
    uint32_t *adjoints;   /* of each entry: the place of a scalar's adjoint, or MG_NOTHING */
    size_t adjoint_count; /* those that rows add to come first: */
    size_t sum_count;
    size_t row_count; /* entries evaluated for each row */
    mg_schedule schedules[MG_MODES];
};

static inline bool mg_is_scalar(uint32_t reference) {
    return (reference & MG_SCALAR) != 0;
}

static inline bool mg_is_table_op(uint32_t op) {
    return op < MG_OP_COUNT;
}

/* Which operands an entry has, and through which of them gradients pass. */
static inline unsigned mg_entry_operands(const mg_entry *entry, uint32_t out[3], bool *through) {
    out[0] = entry->x;
    out[1] = entry->y;
    out[2] = entry->z;
    *through = entry->op < MG_OP_COUNT || entry->op == MG_TRACE_LINK;
    if (entry->op < MG_OP_COUNT) return mg_arities[entry->op];
    switch (entry->op) {
        case MG_TRACE_DETACH:
            return 1;
        case MG_TRACE_DIVIDE:
            return 2;
        case MG_TRACE_LINK:
            return 3;
        default:
            return 0;
    }
}

/* ---- simplify.c ---- */

/* Find out what becomes of each entry; false: no memory, or given up. */
bool mg_simplify(mg_program *program);

/* ---- per_call.c ---- */

/* Give constants, scalars and their adjoints places; false: no memory. */
bool mg_place_scalars(mg_arena *memory, mg_program *program);
void mg_evaluate_scalars(const mg_program *program, mg_call *call);
/* Push adjoints, the sums over rows among them, down to the captured nodes. */
void mg_push_scalars(const mg_program *program, mg_call *call, double *adjoints);

/* ---- schedule.c ---- */

mg_status mg_make_schedule(mg_arena *memory, mg_program *program, mg_mode mode);
void mg_drop_schedule(mg_arena *memory, mg_schedule *schedule);

/* ---- slots.c ---- */

/* Give a mode's registers slots. Those with the numbers of entries are values, others gradients. */
bool mg_assign_slots(mg_arena *memory, mg_program *program, mg_mode mode, uint32_t registers);

#endif
