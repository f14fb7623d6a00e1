/* scheduler.h: the making of a schedule, the instructions of a program for one mode.
 *
 * Every result has a register of its own here: a row's value the one with its entry's number, a
 * gradient one beyond them. slots.c lets them share slots. */
#ifndef MG_SCHEDULER_H
#define MG_SCHEDULER_H

#include "program/program.h"

typedef struct {
    uint32_t a; /* as in mg_product; references of registers */
    uint32_t b;
    uint32_t next; /* of the same target, towards the first */
} mg_contribution;

typedef struct {
    mg_arena *memory;
    mg_program *program;
    mg_schedule *out;
    mg_mode mode;
    bool failed; /* no memory */
    uint32_t registers;
    bool *absorbed;   /* by entry: part of a sum further down */
    uint32_t *terms;  /* room for a list of entries */
    bool *wanted;     /* by entry: has a gradient that is asked for */
    uint32_t *last;   /* by entry: its latest contribution, or MG_NOTHING */
    uint32_t *loaded; /* by input: its register */
    mg_contribution *contributions;
    size_t contribution_count;
    size_t contribution_room;
    mg_product *pending; /* terms of the reduction under way, all with the gradient pending_g */
    size_t pending_count;
    size_t pending_room;
    uint32_t pending_g;
    mg_product *stack; /* terms of the sum under way */
    size_t stack_count;
    size_t stack_room;
} mg_scheduler;

/* As MG_GROW, noting a failure. */
#define MG_GROW_OR_FAIL(at, array, count, room) \
    (!(at)->failed && ((at)->failed = !MG_GROW((at)->memory, array, count, room)) == false)

/* ---- emit.c ---- */

void mg_emit(mg_scheduler *at, mg_instruction instruction);
/* An instruction without operands. */
mg_instruction mg_blank(mg_code code);
/* Put the term a * b, or a where b is MG_NOTHING, on the stack. */
void mg_push_product(mg_scheduler *at, uint32_t a, uint32_t b);
/* Emit the sum of the terms on the stack, which is empty afterwards. */
void mg_emit_sum(mg_scheduler *at, uint32_t out);
/* The reference of the value that an entry has. */
uint32_t mg_value_of(const mg_scheduler *at, uint32_t i);

/* ---- forward.c, reverse.c ---- */

void mg_emit_forward(mg_scheduler *at);
void mg_emit_reverse(mg_scheduler *at);

#endif
