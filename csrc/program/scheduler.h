/* scheduler.h: the making of a schedule, the instructions of a program for one mode.
 *
 * Every result has a register of its own here: the value of entry i has register i, and gradients
 * have the registers beyond those of all entries. slots.c lets registers share slots. */
#ifndef MG_SCHEDULER_H
#define MG_SCHEDULER_H

#include "program/schedule.h"

/* A term of the gradient of an entry. */
typedef struct {
    uint32_t a; /* a * b, or a where b is MG_NOTHING: registers or scalars */
    uint32_t b;
    uint32_t next;   /* the contribution to the same entry before this one, or MG_NOTHING */
    uint32_t region; /* the rows in which the term is right */
} mg_contribution;

/* The rows of a region, for a row: where a number is not 0, or where it is. */
typedef struct {
    uint32_t number; /* a register or a scalar, 1 or 0 */
    bool negated;
    bool needed;
} mg_mask;

/* A number that is 0 outside of a region. */
typedef struct {
    uint32_t of; /* the register of the number itself; MG_NOTHING: none */
    uint32_t region;
    uint32_t result; /* a register */
} mg_masked;

typedef struct {
    mg_arena *memory;
    mg_program *program;
    mg_schedule *out;
    mg_mode mode;
    mg_span asked;      /* MG_INPUTS: the inputs whose gradients are asked for */
    bool failed;        /* no memory, or given up */
    uint32_t registers; /* number of registers so far */
    bool *absorbed;     /* for each entry: a later sum has taken it over */
    bool *decisive;     /* for each entry: a guard depends on its value */
    uint32_t *terms;    /* room for a list of entries */
    bool *wanted;       /* for each entry: a gradient that is asked for passes through it */
    uint32_t *last;     /* for each entry: its latest contribution, or MG_NOTHING */
    uint32_t *loaded;   /* for each input: its register */
    uint32_t *listed;   /* for each item: the first term of a list of the table that it ends, or
                         * MG_NOTHING; for an index: the size of the last table it was checked for */
    mg_mask *masks;     /* for each region */
    mg_masked *masked;  /* for each entry: its value, as masked last */
    mg_masked masked_g; /* the gradient that was masked last */
    mg_contribution *contributions;
    size_t contribution_count;
    size_t contribution_room;
    mg_product *pending; /* pending_count terms of the reduction under way, each times pending_g */
    size_t pending_count;
    size_t pending_room;
    uint32_t pending_g;
    mg_product *stack; /* stack_count terms of the sum under way */
    size_t stack_count;
    size_t stack_room;
} mg_scheduler;

/* MG_GROW, but false after any failure, and a failure is noted in `failed`. */
#define MG_GROW_OR_FAIL(at, array, count, room) \
    (!(at)->failed && ((at)->failed = !MG_GROW((at)->memory, array, count, room)) == false)

/* ---- emit.c ---- */

/* Append an instruction to the schedule. */
void mg_emit(mg_scheduler *at, mg_instruction instruction);
/* Return an instruction without operands and without a result. */
mg_instruction mg_blank(mg_code code);
/* Put the term a * b, or a where b is MG_NOTHING, on the stack. */
void mg_push_product(mg_scheduler *at, uint32_t a, uint32_t b);
/* Emit an instruction whose result, register out, is the sum of the terms on the stack; empty the
 * stack. */
void mg_emit_sum(mg_scheduler *at, uint32_t out);
/* Append the elements of the table that an item ends to the terms, each as the term a that term_of
 * makes of the element's entry; return the first of them. */
uint32_t mg_push_table(mg_scheduler *at, uint32_t item,
                       uint32_t (*term_of)(const mg_scheduler *, uint32_t));
/* Return the reference of the value of entry i: a register or a scalar. */
uint32_t mg_value_of(const mg_scheduler *at, uint32_t i);

/* ---- forward.c, reverse.c ---- */

void mg_emit_forward(mg_scheduler *at);
void mg_emit_reverse(mg_scheduler *at);

#endif
