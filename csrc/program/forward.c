/* forward.c: the instructions that compute the values of a row. First come the values that guards
 * compare, so that the other ones are not computed for rows that fail a guard.
 *
 * A sum of products (see sums.h) is one instruction: while it runs, the sums of its lanes stay in
 * the processor's registers, and scalars are broadcast. */
#include "program/scheduler.h"
#include "program/sums.h"

/* A product with the scalar, if there is one, on the left. */
static mg_product product_of(const mg_scheduler *at, const mg_entry *entry) {
    uint32_t a = mg_value_of(at, entry->x), b = mg_value_of(at, entry->y);
    return mg_is_scalar(b) ? (mg_product){b, a} : (mg_product){a, b};
}

static bool computes_row(const mg_scheduler *at, uint32_t i) {
    const mg_fate *fate = &at->program->fates[i];
    return fate->needed && fate->level == MG_LEVEL_ROW && fate->value == i &&
           at->program->entries[i].op != MG_TRACE_INPUT &&
           at->program->entries[i].op != MG_TRACE_ITEM;
}

static void push_operand(mg_scheduler *at, uint32_t i) {
    if (at->absorbed[i]) {
        mg_product product = product_of(at, &at->program->entries[i]);
        mg_push_product(at, product.a, product.b);
    } else {
        mg_push_product(at, mg_value_of(at, i), MG_NOTHING);
    }
}

static void push_terms(mg_scheduler *at, uint32_t i) {
    const size_t count = mg_list_terms(at->program, at->absorbed, i, at->terms);
    for (size_t k = 0; k < count; k++) push_operand(at, at->terms[k]);
}

/* Takes of one table share the list of its elements, if these are scalars: registers are to be
 * replaced by slots, for each instruction by itself. */
static void emit_take(mg_scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    const mg_fate *fate = &at->program->fates[entry->y];
    mg_instruction take = mg_blank(MG_CODE_TAKE);
    take.out = i;
    take.x = mg_value_of(at, entry->x);
    take.count = at->program->entries[entry->y].z;
    if (fate->level == MG_LEVEL_ROW) {
        take.first = mg_push_table(at, entry->y, mg_value_of);
    } else {
        if (at->listed[fate->value] == MG_NOTHING)
            at->listed[fate->value] = mg_push_table(at, entry->y, mg_value_of);
        take.first = at->listed[fate->value];
    }
    mg_emit(at, take);
}

static void emit_entry(mg_scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    mg_instruction apply = mg_blank(MG_CODE_APPLY);
    switch (entry->op) {
        case MG_OP_add:
            push_terms(at, i);
            mg_emit_sum(at, i);
            return;
        case MG_OP_multiply: {
            mg_product product = product_of(at, entry);
            mg_push_product(at, product.a, product.b);
            mg_emit_sum(at, i);
            return;
        }
        case MG_TRACE_LINK:
            mg_push_product(at, mg_value_of(at, entry->x), MG_NOTHING);
            mg_emit_sum(at, i);
            return;
        case MG_TRACE_DIVIDE:
            apply.code = MG_CODE_DIVIDE;
            apply.y = mg_value_of(at, entry->y);
            break;
        case MG_TRACE_LESS:
        case MG_TRACE_LESS_EQUAL:
        case MG_TRACE_EQUAL:
            apply.code = (uint8_t)(MG_CODE_LESS + (entry->op - MG_TRACE_LESS));
            apply.y = mg_value_of(at, entry->y);
            break;
        case MG_TRACE_TAKE:
            emit_take(at, i);
            return;
        case MG_TRACE_SELECT:
            apply.code = MG_CODE_SELECT;
            apply.y = mg_value_of(at, entry->y);
            apply.z = mg_value_of(at, entry->z);
            break;
        default:
            apply.op = (uint8_t)entry->op;
            apply.number = entry->number;
            if (mg_arities[entry->op] == 2) apply.y = mg_value_of(at, entry->y);
    }
    apply.out = i;
    apply.x = mg_value_of(at, entry->x);
    mg_emit(at, apply);
}

static void emit_loads(mg_scheduler *at) {
    for (uint32_t i = 0; i < at->program->count; i++) {
        const mg_entry *entry = &at->program->entries[i];
        if (entry->op != MG_TRACE_INPUT || !at->program->fates[i].needed) continue;
        mg_instruction load = mg_blank(MG_CODE_LOAD);
        load.index = entry->x;
        load.out = i;
        at->loaded[entry->x] = i;
        mg_emit(at, load);
    }
}

/* Check the indices of takes. That comes after the guards: a row that fails one has another trace.
 */
static void emit_checks(mg_scheduler *at) {
    for (uint32_t i = 0; at->listed != NULL && i < at->program->count; i++) {
        const mg_entry *entry = &at->program->entries[i];
        if (entry->op != MG_TRACE_TAKE || !computes_row(at, i)) continue;
        const uint32_t index = at->program->fates[entry->x].value;
        mg_instruction check = mg_blank(MG_CODE_INDEX);
        check.x = mg_value_of(at, entry->x);
        check.count = at->program->entries[entry->y].z;
        if (at->listed[index] != check.count) mg_emit(at, check);
        at->listed[index] = check.count;
    }
}

/* Mark the entries whose values guards depend on. */
static void find_decisive(mg_scheduler *at) {
    const mg_program *program = at->program;
    for (size_t i = 0; i < program->guard_count; i++) {
        at->decisive[program->fates[program->guards[i].left].value] = true;
        at->decisive[program->fates[program->guards[i].right].value] = true;
    }
    for (size_t i = program->count; i-- > 0 && !mg_gives_up(at->memory, 1);) {
        uint32_t operands[3];
        if (!at->decisive[i]) continue;
        const unsigned arity = mg_entry_operands(&program->entries[i], operands);
        for (unsigned k = 0; k < arity; k++) at->decisive[program->fates[operands[k]].value] = true;
    }
}

static void emit_entries(mg_scheduler *at, bool decisive) {
    for (uint32_t i = 0; i < at->program->count && !mg_gives_up(at->memory, 1); i++)
        if (computes_row(at, i) && !at->absorbed[i] && at->decisive[i] == decisive)
            emit_entry(at, i);
}

static void emit_guards(mg_scheduler *at) {
    const mg_program *program = at->program;
    for (uint32_t i = 0; i < program->guard_count; i++) {
        mg_instruction guard = mg_blank(MG_CODE_GUARD);
        guard.index = i;
        guard.x = mg_value_of(at, program->guards[i].left);
        guard.y = mg_value_of(at, program->guards[i].right);
        if (!mg_is_scalar(guard.x) || !mg_is_scalar(guard.y)) mg_emit(at, guard);
    }
}

void mg_emit_forward(mg_scheduler *at) {
    const mg_program *program = at->program;
    emit_loads(at);
    mg_find_sums(program, MG_LEVEL_ROW, at->absorbed);
    if (program->guard_count != 0) {
        find_decisive(at);
        emit_entries(at, true);
        emit_guards(at);
    }
    at->out->decided = at->out->count;
    emit_entries(at, false);
    at->out->forward = at->out->count;
    emit_checks(at);
    for (uint32_t i = 0; i < program->output_count; i++) {
        mg_instruction store = mg_blank(MG_CODE_STORE);
        store.index = i;
        store.x = mg_value_of(at, program->outputs[i]);
        mg_emit(at, store);
    }
}
