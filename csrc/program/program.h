/* program.h: what a compiled program is made of. Internal to the files that make and replay
 * programs.
 *
 * An entry of the trace has one of three levels: a constant; a scalar, which depends on captured
 * nodes alone and is evaluated once a call; or a row's own value. The numbers of scalars and of
 * constants lie in one array, the scalars, in which those of captured nodes come first; so do their
 * adjoints among those of scalars. Rows are replayed in blocks: a row's value lies in a
 * slot of the workspace, which has a double for each lane of the block.
 *
 * A program has code for each mode: straight-line instructions, forward, then reverse. The reverse
 * part gathers: the gradient of a value is the sum over the uses of the value. That sum is an
 * instruction like any other sum of products; its terms stand in the order in which backward would
 * add them. */
#ifndef MG_PROGRAM_H
#define MG_PROGRAM_H

#include <string.h>

#include "graph/memory.h"

/* Lanes are computed this many at a time: blocks and slots are multiples of it. */
#define MG_LANES 8

typedef struct {
    bool ready;
    mg_instruction *code; /* count instructions */
    size_t count;
    size_t code_room;
    mg_product *terms;
    size_t term_count;
    size_t term_room;
    mg_run *runs;
    size_t run_count;
    size_t run_room;
    size_t slots;
    size_t decided;    /* number of instructions up to the last guard */
    size_t forward;    /* number of instructions that compute values */
    size_t terms_each; /* multiplications of an instruction, on average and at least 1 */
} mg_schedule;

/* What becomes of an entry. */
typedef struct {
    uint32_t value;  /* the first entry that computes the same value: perhaps this entry itself */
    uint32_t scalar; /* the place of the entry's number among the scalars, unless it is a row's */
    uint32_t region; /* the rows in which gradients reach the entry: see regions.h */
    uint8_t level;   /* MG_LEVEL_... */
    bool needed;     /* an output or a guard depends on the entry */
    bool reached;    /* the gradient of an output reaches the entry */
    uint8_t uses;    /* uses by entries, as an operand or a value, outputs and guards: 0, 1, or 2
                      * for more */
} mg_fate;

enum { MG_LEVEL_CONSTANT, MG_LEVEL_SCALAR, MG_LEVEL_ROW };

/* A term of a sum of scalars: a * b, or a where b is MG_NOTHING. Places of scalars and adjoints. */
typedef struct {
    uint32_t a;
    uint32_t b;
    uint32_t adjoint_a;
    uint32_t adjoint_b;
} mg_scalar_term;

/* The op of a step that is a sum: of the scalar terms y, y + 1, ..., of which there are x. */
#define MG_STEP_SUM UINT32_MAX

/* A step: an operation on scalars, done once a call. Of MG_TRACE_TAKE the elements are the scalar
 * terms y, y + 1, ..., of which there are z. */
typedef struct {
    uint32_t op;  /* of the table, of the trace, or MG_STEP_SUM */
    uint32_t out; /* places of scalars */
    uint32_t x;
    uint32_t y;
    uint32_t z;
    uint32_t adjoint;   /* places of the adjoints of out, x, y and z */
    uint32_t adjoint_x; /* MG_NOTHING: no gradient passes to x */
    uint32_t adjoint_y; /* MG_NOTHING: no gradient passes to y */
    uint32_t adjoint_z; /* MG_NOTHING: no gradient passes to z */
    uint32_t entry;     /* the entry that the step evaluates */
    bool shared;    /* an earlier step has computed the value; adjoints are pushed all the same */
    bool reached;   /* gradients reach the entry */
    bool sometimes; /* gradients reach the entry by way of a side of a select alone */
    double number;  /* an exponent */
} mg_scalar_step;

/* A set of rows: see regions.h. */
typedef struct {
    uint32_t outer;  /* a region that has all rows of this one */
    uint32_t first;  /* the condition or the index, an entry; of a union: a region */
    uint32_t second; /* of a union: the other region; MG_NOTHING: this is no union */
    uint32_t next;   /* another region with the same condition or index, or MG_NOTHING */
    bool holds;      /* the rows of outer where the condition holds; false: where it does not */
    uint32_t low; /* of places: the rows of outer where the index is one of the `places` places */
    uint32_t places; /* from `low` on of a table of so many elements. 0: this is none of places */
    uint32_t elements;
} mg_region;

struct mg_program {
    mg_arena *memory; /* the program and all its arrays take their memory from this arena */
    size_t count;
    mg_entry *entries; /* count */
    mg_fate *fates;    /* count */
    size_t inputs;
    size_t captured;
    size_t output_count;
    uint32_t *outputs; /* output_count places of entries */
    size_t guard_count;
    mg_guard *guards; /* guard_count */
    size_t scalar_count;
    double *constants;     /* scalar_count numbers; 0.0 where the scalar is no constant */
    bool *is_constant;     /* scalar_count */
    mg_scalar_step *steps; /* step_count, in order */
    size_t step_count;
    mg_scalar_term *scalar_terms; /* scalar_term_count */
    size_t scalar_term_count;
    uint32_t *adjoints;   /* for each entry: the place of its adjoint if it is a scalar's, or
                           * MG_NOTHING */
    size_t adjoint_count; /* number of adjoints of scalars */
    size_t row_count;     /* number of entries evaluated for each row */
    size_t item_count;    /* number of items of tables */
    mg_region *regions;   /* region_count; none where gradients reach all entries in all rows */
    size_t region_count;
    size_t region_room;
    uint32_t *conditions; /* for each entry: the last region of which it is the condition or the
                           * index, or MG_NOTHING; NULL where there are no regions */
    mg_schedule schedules[MG_MODES];
};

/* ---- build.c ---- */

/* Return the program of a sound trace, to be dropped with mg_drop_program; NULL: no memory, or
 * given up. See mg_program_new, which locks the memory. */
mg_program *mg_make_program(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                            size_t captured, const uint32_t *outputs, size_t output_count,
                            const mg_guard *guards, size_t guard_count);
/* Return the program with captured nodes as further inputs; NULL: no memory, or given up. */
mg_program *mg_with_all_inputs(mg_arena *memory, const mg_program *program);
/* The program may be NULL. */
void mg_drop_program(mg_program *program);

/* ---- what the numbers above mean ---- */

static inline bool mg_is_scalar(uint32_t reference) {
    return (reference & MG_SCALAR) != 0;
}

static inline bool mg_is_table_op(uint32_t op) {
    return op < MG_OP_COUNT;
}

static inline bool mg_is_comparison(uint32_t op) {
    return op >= MG_TRACE_LESS && op <= MG_TRACE_EQUAL;
}

/* Whether x is in a relation, a mg_relation, to y. */
static inline bool mg_compare(uint32_t relation, double x, double y) {
    return relation == MG_LESS ? x < y : relation == MG_LESS_EQUAL ? x <= y : x == y;
}

/* Whether an entry has a number that is computed from other entries. */
static inline bool mg_is_computed(const mg_entry *entry) {
    return entry->op != MG_TRACE_INPUT && entry->op != MG_TRACE_CAPTURED &&
           entry->op != MG_TRACE_CONSTANT;
}

/* Return which of count elements an index names; count: none. */
static inline uint32_t mg_place_among(double index, uint32_t count) {
    const double inside = index >= 0.0 && index < (double)count ? index : (double)count;
    const uint32_t place = (uint32_t)(int32_t)inside;
    return (double)place == inside ? place : count;
}

/* Whether all numbers are finite. */
static inline bool mg_are_finite(const double *numbers, size_t count) {
    uint64_t bits = 0, some;
    for (size_t i = 0; i < count; i++) {
        const double zero =
            numbers[i] * 0.0; /* nan where the number is not finite, otherwise 0 or -0 */
        memcpy(&some, &zero, sizeof some);
        bits |= some << 1;
    }
    return bits == 0;
}

/* Write the operands of an entry to out and return how many there are. */
static inline unsigned mg_entry_operands(const mg_entry *entry, uint32_t out[3]) {
    out[0] = entry->x;
    out[1] = entry->y;
    out[2] = entry->z;
    if (entry->op < MG_OP_COUNT) return mg_arities[entry->op];
    switch (entry->op) {
        case MG_TRACE_DETACH:
            return 1;
        case MG_TRACE_ITEM:
            return entry->z > 1 ? 2 : 1;
        case MG_TRACE_TAKE:
        case MG_TRACE_DIVIDE:
        case MG_TRACE_LESS:
        case MG_TRACE_LESS_EQUAL:
        case MG_TRACE_EQUAL:
            return 2;
        case MG_TRACE_LINK:
        case MG_TRACE_SELECT:
            return 3;
        default:
            return 0;
    }
}

/* Write the operands to which gradients pass through an entry to out and return how many there are.
 * Through a MG_TRACE_TAKE they pass to the last item of the table, and from items to elements. */
static inline unsigned mg_entry_targets(const mg_entry *entry, uint32_t out[2]) {
    out[0] = entry->x;
    out[1] = entry->y;
    if (entry->op < MG_OP_COUNT) return mg_arities[entry->op];
    if (entry->op == MG_TRACE_LINK) return 2;
    if (entry->op == MG_TRACE_ITEM) return entry->z > 1 ? 2 : 1;
    if (entry->op == MG_TRACE_TAKE) {
        out[0] = entry->y;
        return 1;
    }
    if (entry->op != MG_TRACE_SELECT) return 0;
    out[0] = entry->y;
    out[1] = entry->z;
    return 2;
}

#endif
