/* slots.c: from registers to slots, and where rows may be left out in reverse.
 *
 * Registers share slots: a slot is free again after the last use of its register. Where reverse may
 * be gone through for one output after the other, the values that reverse needs keep their slots.
 *
 * The gradient of a loss such as relu(1 - y * f(x)) is zero for many rows as soon as it has passed
 * the relu, and so are the gradients computed from it. Where one gradient alone is under way,
 * MG_CODE_KEEP lets the rest of the program continue with the rows for which that gradient is not
 * zero. The instruction is placed where much is left to do and few values are to be moved.
 *
 * What a row adds to sums is a product of that gradient and of values, scalars and partial
 * derivatives. The product is zero, and changes no sum, if all of these are finite. The instruction
 * tests values and scalars when it runs. Of partial derivatives the operator table says whether
 * they are finite; no row is left out before one that may be infinite. */
#include "program/slots.h"

#include <string.h>

#include "compiler.h"

enum { MOST_CUTS = 32, LEAST_SAVED = 4 };

/* What visit_operands does with each reference to a register that an instruction has, except `out`.
 */
typedef void (*visitor)(void *context, uint32_t *reference);

MG_INLINE void visit(void *context, uint32_t *reference, visitor how) {
    if (*reference != MG_NOTHING && (*reference & MG_SCALAR) == 0) how(context, reference);
}

MG_INLINE void visit_operands(mg_schedule *out, mg_instruction *in, void *context, visitor how) {
    uint32_t *const fields[] = {&in->x, &in->y, &in->z, &in->g, &in->mask};
    for (size_t k = 0; k < 5; k++) visit(context, fields[k], how);
    if (in->code == MG_CODE_REDUCE)
        for (uint32_t k = 0; k < in->count; k++) visit(context, &out->terms[in->first + k].b, how);
    if (in->code == MG_CODE_KEEP || in->code == MG_CODE_TAKE)
        for (uint32_t k = 0; k < in->count; k++) visit(context, &out->terms[in->first + k].a, how);
    if (in->code != MG_CODE_SUM) return;
    for (uint32_t r = 0; r < in->count; r++) {
        const mg_run *run = &out->runs[in->first + r];
        for (uint32_t k = 0; k < run->count; k++) {
            visit(context, &out->terms[run->first + k].a, how);
            visit(context, &out->terms[run->first + k].b, how);
        }
    }
}

/* ---- where rows may be left out ---- */

/* Which registers are live, that is used from here on, on the way back over the code. */
typedef struct {
    mg_schedule *out;
    uint32_t values; /* registers before this one are values, the others gradients */
    uint32_t registers;
    bool *live; /* for each register */
    size_t live_values;
    size_t live_gradients;
} liveness;

static void note_live(void *context, uint32_t *reference) {
    liveness *at = context;
    if (at->live[*reference]) return;
    at->live[*reference] = true;
    *(*reference < at->values ? &at->live_values : &at->live_gradients) += 1;
}

static void note_made(liveness *at, uint32_t reference) {
    if (reference == MG_NOTHING || !at->live[reference]) return;
    at->live[reference] = false;
    *(reference < at->values ? &at->live_values : &at->live_gradients) -= 1;
}

/* Return about how many multiplications an instruction does for a lane. */
static size_t work_of(const mg_schedule *out, const mg_instruction *in) {
    size_t terms = 0;
    if (in->code == MG_CODE_REDUCE) return in->count;
    if (in->code != MG_CODE_SUM) return 1;
    for (uint32_t r = 0; r < in->count; r++) terms += out->runs[in->first + r].count;
    return terms;
}

/* Write to *cut the instruction that leaves rows out before the instruction `place`. The values
 * that it moves, those that are live, are appended to the terms. false: no memory. */
static bool add_cut(mg_arena *memory, liveness *at, mg_instruction *cut, uint32_t place,
                    double work) {
    mg_schedule *out = at->out;
    *cut = (mg_instruction){.code = MG_CODE_KEEP,
                            .out = MG_NOTHING,
                            .y = MG_NOTHING,
                            .z = MG_NOTHING,
                            .g = MG_NOTHING,
                            .mask = MG_NOTHING,
                            .index = place,
                            .first = (uint32_t)out->term_count,
                            .count = (uint32_t)at->live_values,
                            .number = work};
    for (uint32_t i = 0; i < at->registers; i++) {
        if (!at->live[i]) continue;
        if (i >= at->values) {
            cut->x = i;
            continue;
        }
        if (!MG_GROW(memory, out->terms, out->term_count, out->term_room)) return false;
        out->terms[out->term_count++] = (mg_product){i, MG_NOTHING};
    }
    return true;
}

/* Insert count cuts, listed from the last one in the code to the first, into the code. false: no
 * memory. */
static bool insert_cuts(mg_arena *memory, mg_schedule *out, const mg_instruction *cuts,
                        size_t count) {
    size_t to = out->count + count, from = out->count;
    for (size_t i = from; i < to; i++)
        if (!MG_GROW(memory, out->code, i, out->code_room)) return false;
    for (size_t i = 0; i < count; i++) {
        while (from > cuts[i].index) out->code[--to] = out->code[--from];
        out->code[--to] = cuts[i];
    }
    out->count += count;
    return true;
}

/* Find cuts from the end of the code backwards, and insert them. Each cut has at least twice the
 * work ahead of the cut behind it. false: no memory, or given up. */
static bool leave_rows_out(mg_arena *memory, mg_schedule *out, uint32_t values,
                           uint32_t registers) {
    mg_instruction cuts[MOST_CUTS];
    size_t count = 0;
    double work = 0.0, enough = 0.0;
    bool good = true;
    liveness at = {.out = out, .values = values, .registers = registers};
    at.live = mg_allocate(memory, registers + 1);
    if (at.live == NULL) return false;
    for (uint32_t i = (uint32_t)out->count; good && count < MOST_CUTS && i-- > out->forward;) {
        mg_instruction *in = &out->code[i];
        const size_t each = work_of(out, in);
        if (mg_gives_up(memory, each)) good = false;
        const bool push = in->code == MG_CODE_PUSH_X || in->code == MG_CODE_PUSH_Y;
        if (in->code == MG_CODE_SEED || (push && !mg_has_finite_partials(in->op))) break;
        note_made(&at, in->out);
        visit_operands(out, in, &at, note_live);
        work += (double)each;
        if (at.live_gradients != 1 || work < enough ||
            work < (double)(LEAST_SAVED * (at.live_values + 1)))
            continue;
        good = add_cut(memory, &at, &cuts[count++], i, work);
        enough = 2.0 * work;
    }
    mg_deallocate(memory, at.live);
    return good && insert_cuts(memory, out, cuts, count);
}

/* ---- from registers to slots ---- */

typedef struct {
    uint32_t place;    /* of the instruction under way */
    uint32_t *last;    /* for each register: the place of its last use; MG_NOTHING: none is left */
    uint32_t *slot_of; /* for each register */
    uint32_t *spare;   /* spares slots that are free */
    size_t spares;
} slots;

static void note_use(void *context, uint32_t *reference) {
    slots *at = context;
    at->last[*reference] = at->place;
}

/* Replace an operand by its slot, which is free again if the instruction under way is the last use.
 */
static void take_slot(void *context, uint32_t *reference) {
    slots *at = context;
    const uint32_t operand = *reference;
    *reference = at->slot_of[operand];
    if (at->last[operand] != at->place) return;
    at->spare[at->spares++] = *reference;
    at->last[operand] = MG_NOTHING; /* an operand named twice is freed once */
}

/* Replace registers by slots in all instructions. The registers before `kept` that are used in
 * reverse keep their slots to the end. false: no memory, or given up. */
static bool assign_slots(mg_arena *memory, mg_schedule *out, size_t kept, size_t registers) {
    uint32_t *table = mg_allocate(memory, (3 * registers + 1) * sizeof(uint32_t));
    slots at = {.last = table, .slot_of = table + registers, .spare = table + 2 * registers};
    if (table == NULL) return false;
    memset(table, 0xff, registers * sizeof(uint32_t));
    for (at.place = 0; at.place < out->count && !memory->gave_up; at.place++) {
        visit_operands(out, &out->code[at.place], &at, note_use);
        mg_gives_up(memory, work_of(out, &out->code[at.place]));
    }
    for (size_t i = 0; i < kept; i++)
        if (at.last[i] != MG_NOTHING && at.last[i] >= out->forward)
            at.last[i] = (uint32_t)out->count;
    for (at.place = 0; at.place < out->count; at.place++) {
        mg_instruction *in = &out->code[at.place];
        const uint32_t result = in->out;
        if (mg_gives_up(memory, work_of(out, in))) break;
        if (result != MG_NOTHING) {
            at.slot_of[result] = at.spares != 0 ? at.spare[--at.spares] : (uint32_t)out->slots++;
            in->out = at.slot_of[result];
        }
        visit_operands(out, in, &at, take_slot);
        if (result != MG_NOTHING && at.last[result] == MG_NOTHING)
            at.spare[at.spares++] = at.slot_of[result]; /* a result without a use */
    }
    mg_deallocate(memory, table);
    return !memory->gave_up;
}

bool mg_assign_slots(mg_arena *memory, mg_program *program, mg_mode mode, uint32_t registers) {
    mg_schedule *out = &program->schedules[mode];
    const uint32_t values = (uint32_t)program->count;
    const bool again = program->output_count > 1 && (mode == MG_INPUTS || mode == MG_ALL);
    if (mode == MG_PARAMETERS && !leave_rows_out(memory, out, values, registers)) return false;
    return assign_slots(memory, out, again ? values : 0, registers);
}
