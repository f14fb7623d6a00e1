/* reverse.c: the instructions that compute gradients.
 *
 * Each entry contributes a term to the gradient of each of its operands. The terms of a gradient
 * are listed until all uses of the value have been met; then they are one sum. Where the only term
 * is another gradient as it stands, the sum needs no instruction: the register of that gradient is
 * used. */
#include "program/scheduler.h"

/* ---- which gradients are asked for ---- */

/* Mark the entries whose gradients the mode asks for, and the entries that such gradients pass
 * through. */
static void find_wanted(mg_scheduler *at) {
    const mg_program *program = at->program;
    const uint32_t source = at->mode == MG_PARAMETERS ? MG_TRACE_CAPTURED : MG_TRACE_INPUT;
    uint32_t operands[3];
    bool through;
    for (uint32_t i = 0; i < program->count && !mg_gives_up(at->memory, 1); i++) {
        const mg_entry *entry = &program->entries[i];
        unsigned arity = mg_entry_operands(entry, operands, &through);
        at->wanted[i] =
            at->mode == MG_ALL ? program->fates[i].level != MG_LEVEL_CONSTANT : entry->op == source;
        if (entry->op == MG_TRACE_LINK) arity = 2;
        for (unsigned k = 0; through && k < arity; k++) at->wanted[i] |= at->wanted[operands[k]];
        at->wanted[i] &= program->fates[i].needed;
    }
    for (uint32_t i = 0; i < program->count; i++) at->wanted[i] &= program->fates[i].reached;
}

/* ---- reverse ---- */

/* Return the largest n up to MG_LANES for which any n terms, one after the other, add to different
 * adjoints. */
static uint32_t count_different(const mg_product *terms, size_t count) {
    uint32_t least = MG_LANES;
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 1; k < least && k <= i; k++)
            if (terms[i].a == terms[i - k].a) least = k;
    return least;
}

/* Emit the reduction under way, if there is one. */
static void flush(mg_scheduler *at) {
    mg_schedule *out = at->out;
    if (at->pending_count == 0) return;
    mg_instruction reduce = mg_blank(MG_CODE_REDUCE);
    reduce.g = at->pending_g;
    reduce.first = (uint32_t)out->term_count;
    reduce.count = (uint32_t)at->pending_count;
    reduce.index = count_different(at->pending, at->pending_count);
    for (size_t i = 0; i < at->pending_count; i++) {
        if (!MG_GROW_OR_FAIL(at, out->terms, out->term_count, out->term_room)) return;
        out->terms[out->term_count++] = at->pending[i];
    }
    mg_gives_up(at->memory, at->pending_count);
    at->pending_count = 0;
    mg_emit(at, reduce);
}

/* Add the sum over rows of a * g, or of g where a is MG_NOTHING, to a scalar's adjoint. */
static void reduce(mg_scheduler *at, uint32_t adjoint, uint32_t a, uint32_t g) {
    if (a != MG_NOTHING && mg_is_scalar(a)) {
        uint32_t product = at->registers++;
        mg_push_product(at, a, g);
        mg_emit_sum(at, product);
        a = MG_NOTHING;
        g = product;
    }
    if (at->pending_count != 0 && at->pending_g != g) flush(at);
    at->pending_g = g;
    if (MG_GROW_OR_FAIL(at, at->pending, at->pending_count, at->pending_room))
        at->pending[at->pending_count++] = (mg_product){adjoint, a};
}

/* Add a * g, or g where a is MG_NOTHING, to the gradient of entry i. */
static void contribute(mg_scheduler *at, uint32_t i, uint32_t a, uint32_t g) {
    if (!at->wanted[i]) return;
    if (at->program->fates[i].level != MG_LEVEL_ROW) {
        reduce(at, at->program->adjoints[i], a, g);
        return;
    }
    if (!MG_GROW_OR_FAIL(at, at->contributions, at->contribution_count, at->contribution_room))
        return;
    mg_contribution *next = &at->contributions[at->contribution_count];
    *next = a == MG_NOTHING ? (mg_contribution){g, MG_NOTHING, at->last[i]}
                            : (mg_contribution){a, g, at->last[i]};
    at->last[i] = (uint32_t)at->contribution_count++;
}

/* Return the register of the gradient of entry i, to which all uses have contributed. MG_NOTHING:
 * no use has. */
static uint32_t gather(mg_scheduler *at, uint32_t i) {
    if (at->last[i] == MG_NOTHING) return MG_NOTHING;
    const mg_contribution *only = &at->contributions[at->last[i]];
    if (only->next == MG_NOTHING && only->b == MG_NOTHING) return only->a;
    for (uint32_t k = at->last[i]; k != MG_NOTHING; k = at->contributions[k].next)
        mg_push_product(at, at->contributions[k].a, at->contributions[k].b);
    for (size_t low = 0, high = at->stack_count; low + 1 < high; low++, high--) {
        mg_product term = at->stack[low];
        at->stack[low] = at->stack[high - 1];
        at->stack[high - 1] = term;
    }
    uint32_t sum = at->registers++;
    mg_emit_sum(at, sum);
    return sum;
}

/* Let another operand stand in for one that the derivative is not computed from: so the slot of the
 * latter is free earlier. */
static void stand_in(mg_instruction *push) {
    const int from = mg_computed_from(push->op, push->code == MG_CODE_PUSH_X ? 0 : 1);
    const bool row_x = !mg_is_scalar(push->x), row_y = !mg_is_scalar(push->y);
    if ((from & MG_FROM_Z) == 0) {
        if ((from & MG_FROM_X) != 0 && row_x)
            push->z = push->x;
        else if ((from & MG_FROM_Y) != 0 && row_y)
            push->z = push->y;
    }
    if ((from & MG_FROM_X) == 0 && row_x) push->x = push->z;
    if ((from & MG_FROM_Y) == 0 && row_y) push->y = push->z;
}

static void push_derivative(mg_scheduler *at, uint32_t i, int side, uint32_t g) {
    const mg_entry *entry = &at->program->entries[i];
    const uint32_t operand = side == 0 ? entry->x : entry->y;
    if (!at->wanted[operand]) return;
    mg_instruction push = mg_blank(side == 0 ? MG_CODE_PUSH_X : MG_CODE_PUSH_Y);
    push.op = (uint8_t)entry->op;
    push.number = entry->number;
    push.out = at->registers++;
    push.x = mg_value_of(at, entry->x);
    if (mg_arities[entry->op] == 2) push.y = mg_value_of(at, entry->y);
    push.z = mg_value_of(at, i);
    push.g = g;
    if (at->mode != MG_ALL) stand_in(&push); /* in MG_ALL errors name the operands */
    mg_emit(at, push);
    contribute(at, operand, MG_NOTHING, push.out);
}

/* Emit the gradient of entry i, and contribute to the gradients of its operands. */
static void emit_operands(mg_scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    const uint32_t g = gather(at, i);
    if (g == MG_NOTHING) return;
    switch (entry->op) {
        case MG_TRACE_INPUT: {
            mg_instruction gradient = mg_blank(MG_CODE_GRADIENT);
            gradient.index = entry->x;
            gradient.x = g;
            mg_emit(at, gradient);
            return;
        }
        case MG_OP_add:
            contribute(at, entry->x, MG_NOTHING, g);
            contribute(at, entry->y, MG_NOTHING, g);
            return;
        case MG_OP_multiply:
            contribute(at, entry->x, mg_value_of(at, entry->y), g);
            contribute(at, entry->y, mg_value_of(at, entry->x), g);
            return;
        case MG_TRACE_LINK:
            contribute(at, entry->x, MG_NOTHING, g);
            contribute(at, entry->y, mg_value_of(at, entry->z), g);
            return;
        default:
            if (!mg_is_table_op(entry->op)) return;
            push_derivative(at, i, 0, g);
            if (mg_arities[entry->op] == 2) push_derivative(at, i, 1, g);
    }
}

void mg_emit_reverse(mg_scheduler *at) {
    const mg_program *program = at->program;
    find_wanted(at);
    for (uint32_t i = (uint32_t)program->output_count; i-- > 0;) {
        if (!at->wanted[program->outputs[i]]) continue;
        mg_instruction seed = mg_blank(MG_CODE_SEED);
        seed.index = i;
        seed.out = at->registers++;
        mg_emit(at, seed);
        contribute(at, program->outputs[i], MG_NOTHING, seed.out);
    }
    for (uint32_t i = (uint32_t)program->count; i-- > 0 && !mg_gives_up(at->memory, 1);)
        if (at->wanted[i] && program->fates[i].level == MG_LEVEL_ROW) emit_operands(at, i);
    flush(at);
}
