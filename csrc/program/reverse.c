/* reverse.c: the instructions that compute gradients.
 *
 * Each entry contributes a term to the gradient of each of its operands. The terms of a gradient
 * are listed until all uses of the value have been met; then they are one sum. Where the only term
 * is another gradient as it stands, the sum needs no instruction: the register of that gradient is
 * used. */
#include <string.h>

#include "program/regions.h"
#include "program/scheduler.h"

/* ---- which gradients are asked for ---- */

/* Whether the mode asks for the gradient of entry i, if it has one. */
static bool is_asked(const mg_scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    if (at->mode == MG_ALL) return at->program->fates[i].level != MG_LEVEL_CONSTANT;
    if (at->mode == MG_PARAMETERS) return entry->op == MG_TRACE_CAPTURED;
    return entry->op == MG_TRACE_INPUT && entry->x >= at->asked.first && entry->x < at->asked.end;
}

/* Mark the entries whose gradients the mode asks for, and the entries that such gradients pass
 * through. */
static void find_wanted(mg_scheduler *at) {
    const mg_program *program = at->program;
    uint32_t targets[2];
    for (uint32_t i = 0; i < program->count && !mg_gives_up(at->memory, 1); i++) {
        const mg_entry *entry = &program->entries[i];
        const unsigned count = mg_entry_targets(entry, targets);
        at->wanted[i] = is_asked(at, i);
        for (unsigned k = 0; k < count; k++) at->wanted[i] |= at->wanted[targets[k]];
        at->wanted[i] &= program->fates[i].needed;
    }
    for (uint32_t i = 0; i < program->count; i++) at->wanted[i] &= program->fates[i].reached;
}

/* ---- regions: see regions.h ---- */

/* Mark the regions that contributions come from, and those that they are made of. */
static void find_needed_regions(mg_scheduler *at) {
    mg_program *program = at->program;
    for (uint32_t i = 0; i < program->count && !mg_gives_up(at->memory, 1); i++) {
        if (!at->wanted[i] || program->fates[i].level != MG_LEVEL_ROW ||
            program->entries[i].op == MG_TRACE_ITEM)
            continue;
        at->masks[program->fates[i].region].needed = true;
        const mg_entry *entry = &program->entries[i];
        if (entry->op != MG_TRACE_SELECT) continue;
        if (at->wanted[entry->y]) at->masks[mg_region_of_side(program, i, 0)].needed = true;
        if (at->wanted[entry->z]) at->masks[mg_region_of_side(program, i, 1)].needed = true;
    }
    for (size_t i = program->region_count; i-- > 1;) {
        const mg_region *region = &program->regions[i];
        if (!at->masks[i].needed) continue;
        at->masks[region->second != MG_NOTHING ? region->first : region->outer].needed = true;
        if (region->second != MG_NOTHING) at->masks[region->second].needed = true;
    }
}

/* Emit out = x != 0 ? y : z and return out. MG_NOTHING: y is 0, z is number. */
static uint32_t emit_select(mg_scheduler *at, uint32_t x, uint32_t y, uint32_t z, double number) {
    mg_instruction select = mg_blank(MG_CODE_SELECT);
    select.out = at->registers++;
    select.x = x;
    select.y = y;
    select.z = z;
    select.number = number;
    mg_emit(at, select);
    return select.out;
}

/* Emit out = y where x is one of `count` places from first on, else 0, and return out. MG_NOTHING:
 * y is 1. */
static uint32_t emit_pick(mg_scheduler *at, uint32_t x, uint32_t first, uint32_t count,
                          uint32_t y) {
    mg_instruction pick = mg_blank(MG_CODE_PICK);
    pick.out = at->registers++;
    pick.x = x;
    pick.first = first;
    pick.count = count;
    pick.y = y;
    mg_emit(at, pick);
    return pick.out;
}

/* Return a register or a scalar that is not 0 in the rows of a region alone. */
static uint32_t mask_of(mg_scheduler *at, uint32_t region) {
    mg_mask *mask = &at->masks[region];
    if (mask->negated) mask->number = emit_select(at, mask->number, MG_NOTHING, MG_NOTHING, 1.0);
    mask->negated = false;
    return mask->number;
}

/* Emit the masks of the regions that are needed. Those of a region's parts come before it. */
static void emit_masks(mg_scheduler *at) {
    const mg_program *program = at->program;
    find_needed_regions(at);
    for (uint32_t i = 1; i < program->region_count; i++) {
        const mg_region *region = &program->regions[i];
        mg_mask *mask = &at->masks[i];
        if (!mask->needed) continue;
        if (region->second != MG_NOTHING) {
            const uint32_t first = mask_of(at, region->first);
            mask->number = emit_select(at, first, first, mask_of(at, region->second), 0.0);
            continue;
        }
        const uint32_t condition = mg_value_of(at, region->first);
        if (region->places != 0) {
            const uint32_t outer =
                region->outer == MG_ALL_ROWS ? MG_NOTHING : mask_of(at, region->outer);
            mask->number = emit_pick(at, condition, region->low, region->places, outer);
        } else if (region->outer == MG_ALL_ROWS) {
            mask->number = condition;
            mask->negated = !region->holds;
        } else {
            const uint32_t outer = mask_of(at, region->outer);
            mask->number = region->holds ? emit_select(at, condition, outer, MG_NOTHING, 0.0)
                                         : emit_select(at, condition, MG_NOTHING, outer, 0.0);
        }
    }
    for (size_t i = 0; i < program->count; i++) at->masked[i].of = MG_NOTHING;
    at->masked_g.of = MG_NOTHING;
}

/* Return the register of a number that is 0 outside of a region, otherwise `of`. */
static uint32_t mask_number(mg_scheduler *at, uint32_t region, uint32_t of) {
    const mg_mask mask = at->masks[region];
    if (mask.negated) return emit_select(at, mask.number, MG_NOTHING, of, 0.0);
    return emit_select(at, mask.number, of, MG_NOTHING, 0.0);
}

/* Do what mask_number does, unless it was the last that was done. */
static uint32_t mask_once(mg_scheduler *at, mg_masked *last, uint32_t region, uint32_t of) {
    if (last->of != of || last->region != region)
        *last = (mg_masked){of, region, mask_number(at, region, of)};
    return last->result;
}

/* ---- reverse ---- */

/* Emit the reduction under way, if there is one. */
static void flush(mg_scheduler *at) {
    mg_schedule *out = at->out;
    if (at->pending_count == 0) return;
    mg_instruction reduce = mg_blank(MG_CODE_REDUCE);
    reduce.g = at->pending_g;
    reduce.first = (uint32_t)out->term_count;
    reduce.count = (uint32_t)at->pending_count;
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

/* Add the sum over the rows of a region. Both factors are masked, for many terms share them. */
static void reduce_region(mg_scheduler *at, uint32_t region, uint32_t adjoint, uint32_t a,
                          uint32_t g) {
    if (region == MG_ALL_ROWS) {
        reduce(at, adjoint, a, g);
    } else if (a != MG_NOTHING && mg_is_scalar(a)) {
        const uint32_t product = at->registers++;
        mg_push_product(at, a, g);
        mg_emit_sum(at, product);
        reduce(at, adjoint, MG_NOTHING, mask_number(at, region, product));
    } else {
        if (a != MG_NOTHING) a = mask_once(at, &at->masked[a], region, a);
        reduce(at, adjoint, a, mask_once(at, &at->masked_g, region, g));
    }
}

/* Add a * g, or g where a is MG_NOTHING, to the gradient of entry i in the rows of a region. */
static void contribute(mg_scheduler *at, uint32_t region, uint32_t i, uint32_t a, uint32_t g) {
    if (!at->wanted[i]) return;
    if (at->program->fates[i].level != MG_LEVEL_ROW) {
        reduce_region(at, region, at->program->adjoints[i], a, g);
        return;
    }
    if (!MG_GROW_OR_FAIL(at, at->contributions, at->contribution_count, at->contribution_room))
        return;
    mg_contribution *next = &at->contributions[at->contribution_count];
    *next = a == MG_NOTHING ? (mg_contribution){g, MG_NOTHING, at->last[i], region}
                            : (mg_contribution){a, g, at->last[i], region};
    at->last[i] = (uint32_t)at->contribution_count++;
}

/* Return the register of the sum of contributions k, its next, ... up to `end`. */
static uint32_t add_up(mg_scheduler *at, uint32_t k, uint32_t end) {
    const mg_contribution *only = &at->contributions[k];
    if (only->next == end && only->b == MG_NOTHING) return only->a;
    for (; k != end; k = at->contributions[k].next)
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

/* Mask the contributions to entry i that come from another region than its own; those that stand
 * side by side are added up first. */
static void mask_contributions(mg_scheduler *at, uint32_t i) {
    const uint32_t here = at->program->fates[i].region;
    for (uint32_t k = at->last[i]; k != MG_NOTHING; k = at->contributions[k].next) {
        mg_contribution *one = &at->contributions[k];
        const uint32_t region = one->region;
        uint32_t end = one->next;
        if (region == here) continue;
        while (end != MG_NOTHING && at->contributions[end].region == region)
            end = at->contributions[end].next;
        one->a = mask_number(at, region, add_up(at, k, end));
        one->b = MG_NOTHING;
        one->next = end;
    }
}

/* Return the register of the gradient of entry i, to which all uses have contributed. MG_NOTHING:
 * no use has. */
static uint32_t gather(mg_scheduler *at, uint32_t i) {
    if (at->last[i] == MG_NOTHING) return MG_NOTHING;
    if (at->program->region_count != 0) mask_contributions(at, i);
    return add_up(at, at->last[i], MG_NOTHING);
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
    const uint32_t region = at->program->fates[i].region;
    if (at->mode != MG_ALL)
        stand_in(&push); /* in MG_ALL errors name the operands */
    else if (region != MG_ALL_ROWS)
        push.mask = mask_of(at, region);
    mg_emit(at, push);
    contribute(at, region, operand, MG_NOTHING, push.out);
}

/* ---- tables ---- */

/* Return the adjoint of an element that is a scalar with a gradient; otherwise MG_NOTHING. */
static uint32_t adjoint_of(const mg_scheduler *at, uint32_t i) {
    const bool scalar = at->program->fates[i].level != MG_LEVEL_ROW;
    return scalar && at->wanted[i] ? at->program->adjoints[i] : MG_NOTHING;
}

/* Add g to the adjoints of the elements that a take takes, as far as these are scalars. */
static void scatter(mg_scheduler *at, const mg_entry *entry, uint32_t region, uint32_t g) {
    mg_instruction to = mg_blank(MG_CODE_SCATTER);
    const uint32_t count = at->program->entries[entry->y].z;
    bool any = false;
    if (at->listed[entry->y] == MG_NOTHING)
        at->listed[entry->y] = mg_push_table(at, entry->y, adjoint_of);
    to.first = at->listed[entry->y];
    to.count = count;
    for (uint32_t k = 0; !at->failed && !any && k < count; k++)
        any = at->out->terms[to.first + k].a != MG_NOTHING;
    if (!any) return;
    flush(at); /* reductions and scatters to one adjoint come in order */
    to.x = mg_value_of(at, entry->x);
    to.g = region != MG_ALL_ROWS ? mask_once(at, &at->masked_g, region, g) : g;
    mg_emit(at, to);
}

/* Contribute g to the gradients of the elements of a take's table, each in the rows that take it;
 * in other rows of the take's region what is contributed is 0. */
static void push_elements(mg_scheduler *at, uint32_t i, uint32_t g) {
    const mg_program *program = at->program;
    const mg_entry *entry = &program->entries[i], *item = &program->entries[entry->y];
    const uint32_t region = program->fates[i].region, index = mg_value_of(at, entry->x);
    scatter(at, entry, region, g);
    if (program->fates[entry->y].level != MG_LEVEL_ROW) return;
    for (uint32_t place = item->z; place-- > 0; item = &program->entries[item->y]) {
        const mg_fate *fate = &program->fates[item->x];
        if (fate->level != MG_LEVEL_ROW || !at->wanted[item->x]) continue;
        const uint32_t picked = emit_pick(at, index, place, 1, g);
        const bool inside = mg_region_contains(program, region, fate->region);
        contribute(at, inside ? fate->region : region, item->x, MG_NOTHING, picked);
    }
}

/* Emit the gradient of entry i, and contribute to the gradients of its operands. */
static void emit_operands(mg_scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    const uint32_t region = at->program->fates[i].region, g = gather(at, i);
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
            contribute(at, region, entry->x, MG_NOTHING, g);
            contribute(at, region, entry->y, MG_NOTHING, g);
            return;
        case MG_OP_multiply:
            contribute(at, region, entry->x, mg_value_of(at, entry->y), g);
            contribute(at, region, entry->y, mg_value_of(at, entry->x), g);
            return;
        case MG_TRACE_LINK:
            contribute(at, region, entry->x, MG_NOTHING, g);
            contribute(at, region, entry->y, mg_value_of(at, entry->z), g);
            return;
        case MG_TRACE_SELECT:
            contribute(at, mg_region_of_side(at->program, i, 0), entry->y, MG_NOTHING, g);
            contribute(at, mg_region_of_side(at->program, i, 1), entry->z, MG_NOTHING, g);
            return;
        case MG_TRACE_TAKE:
            push_elements(at, i, g);
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
    if (at->listed != NULL) memset(at->listed, 0xff, program->count * sizeof(uint32_t));
    if (program->region_count != 0) emit_masks(at);
    for (uint32_t i = (uint32_t)program->output_count; i-- > 0;) {
        if (!at->wanted[program->outputs[i]]) continue;
        mg_instruction seed = mg_blank(MG_CODE_SEED);
        seed.index = i;
        seed.out = at->registers++;
        mg_emit(at, seed);
        contribute(at, MG_ALL_ROWS, program->outputs[i], MG_NOTHING, seed.out);
    }
    for (uint32_t i = (uint32_t)program->count; i-- > 0 && !mg_gives_up(at->memory, 1);)
        if (at->wanted[i] && program->fates[i].level == MG_LEVEL_ROW) emit_operands(at, i);
    flush(at);
}
