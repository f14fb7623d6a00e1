/* build.c: the making of a program from a trace. The trace may come from a pickle, so it is
 * checked as a whole. */
#include <string.h>

#include "program/per_call.h"
#include "program/program.h"
#include "program/regions.h"
#include "program/schedule.h"
#include "program/simplify.h"

void mg_drop_program(mg_program *program) {
    if (program == NULL) return;
    mg_arena *memory = program->memory;
    for (int mode = 0; mode < MG_MODES; mode++) mg_drop_schedule(memory, &program->schedules[mode]);
    mg_deallocate(memory, program->entries);
    mg_deallocate(memory, program->fates);
    mg_deallocate(memory, program->outputs);
    mg_deallocate(memory, program->guards);
    mg_deallocate(memory, program->constants);
    mg_deallocate(memory, program->is_constant);
    mg_deallocate(memory, program->steps);
    mg_deallocate(memory, program->scalar_terms);
    mg_deallocate(memory, program->adjoints);
    mg_deallocate(memory, program->regions);
    mg_deallocate(memory, program->conditions);
    mg_deallocate(memory, program);
}

static void *duplicate(mg_arena *memory, const void *from, size_t count, size_t size) {
    if (count > SIZE_MAX / 2 / size) return NULL;
    void *copy = mg_allocate(memory, (count + 1) * size);
    if (copy != NULL && count != 0) memcpy(copy, from, count * size);
    return copy;
}

static mg_program *new_program(mg_arena *memory, const mg_entry *entries, size_t count,
                               const uint32_t *outputs, size_t output_count, const mg_guard *guards,
                               size_t guard_count) {
    mg_program *program = mg_allocate(memory, sizeof *program);
    if (program == NULL) return NULL;
    program->memory = memory;
    program->count = count;
    program->output_count = output_count;
    program->guard_count = guard_count;
    program->entries = duplicate(memory, entries, count, sizeof(mg_entry));
    program->outputs = duplicate(memory, outputs, output_count, sizeof(uint32_t));
    program->guards = duplicate(memory, guards, guard_count, sizeof(mg_guard));
    program->fates = mg_allocate(memory, (count + 1) * sizeof(mg_fate));
    program->adjoints = mg_allocate(memory, (count + 1) * sizeof(uint32_t));
    if (program->entries == NULL || program->outputs == NULL || program->guards == NULL ||
        program->fates == NULL || program->adjoints == NULL) {
        mg_drop_program(program);
        return NULL;
    }
    for (uint32_t i = 0; i < guard_count; i++) program->guards[i].number = i + 1;
    for (uint32_t i = 0; i < count; i++) {
        program->fates[i] = (mg_fate){.value = i, .level = MG_LEVEL_ROW};
        program->item_count += entries[i].op == MG_TRACE_ITEM;
    }
    return program;
}

/* Whether an entry's operator is one of a trace, and what the entry refers to is there: an input, a
 * captured node, or entries that stand before this one. Items are operands of items and takes
 * alone, for they have no number. */
static bool is_entry(const mg_entry *entries, size_t place, size_t inputs, size_t captured) {
    const mg_entry *entry = &entries[place];
    uint32_t operands[3];
    switch (entry->op) {
        case MG_OP_leaf:
        case MG_OP_custom:
            return false;
        case MG_TRACE_INPUT:
            return entry->x < inputs;
        case MG_TRACE_CAPTURED:
            return entry->x < captured;
        default:
            if (entry->op >= MG_OP_COUNT &&
                (entry->op < MG_TRACE_INPUT || entry->op >= MG_TRACE_END))
                return false;
    }
    unsigned arity = mg_entry_operands(entry, operands);
    const bool tabular = entry->op == MG_TRACE_ITEM || entry->op == MG_TRACE_TAKE;
    for (unsigned k = 0; k < arity; k++) {
        if (operands[k] >= place) return false;
        if ((entries[operands[k]].op == MG_TRACE_ITEM) != (tabular && k == 1)) return false;
    }
    if (entry->op != MG_TRACE_ITEM) return true;
    return entry->z == (arity == 2 ? entries[entry->y].z + 1 : 1);
}

/* Whether there is an entry at this place, and it has a number. */
static bool is_value(const mg_entry *entries, size_t count, uint32_t place) {
    return place < count && entries[place].op != MG_TRACE_ITEM;
}

static bool is_trace(const mg_entry *entries, size_t count, size_t inputs, size_t captured,
                     const uint32_t *outputs, size_t output_count, const mg_guard *guards,
                     size_t guard_count) {
    for (size_t i = 0; i < count; i++)
        if (!is_entry(entries, i, inputs, captured)) return false;
    for (size_t i = 0; i < output_count; i++)
        if (!is_value(entries, count, outputs[i])) return false;
    for (size_t i = 0; i < guard_count; i++)
        if (guards[i].relation > MG_EQUAL || !is_value(entries, count, guards[i].left) ||
            !is_value(entries, count, guards[i].right))
            return false;
    return true;
}

mg_program *mg_make_program(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                            size_t captured, const uint32_t *outputs, size_t output_count,
                            const mg_guard *guards, size_t guard_count) {
    mg_program *program =
        new_program(memory, entries, count, outputs, output_count, guards, guard_count);
    if (program == NULL) return NULL;
    program->inputs = inputs;
    program->captured = captured;
    if (!mg_gives_up(memory, MG_POLL_AFTER) && mg_simplify(program) &&
        mg_find_regions(memory, program) && mg_place_scalars(memory, program))
        return program;
    mg_drop_program(program);
    return NULL;
}

mg_program *mg_program_new(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                           size_t captured, const uint32_t *outputs, size_t output_count,
                           const mg_guard *guards, size_t guard_count, mg_status *status) {
    *status = MG_UNSOUND;
    if (!is_trace(entries, count, inputs, captured, outputs, output_count, guards, guard_count))
        return NULL;
    *status = MG_NO_MEMORY;
    if (count >= MG_SCALAR / 4) return NULL;
    mg_lock_take(&memory->lock);
    memory->gave_up = false;
    mg_program *program = mg_make_program(memory, entries, count, inputs, captured, outputs,
                                          output_count, guards, guard_count);
    *status = program != NULL ? MG_OK : mg_why(memory);
    mg_lock_give(&memory->lock);
    return program;
}

void mg_program_free(mg_program *program) {
    mg_arena *memory = program->memory;
    mg_lock_take(&memory->lock);
    mg_drop_program(program);
    mg_lock_give(&memory->lock);
}

mg_program *mg_with_all_inputs(mg_arena *memory, const mg_program *of) {
    mg_entry *entries = mg_allocate(memory, (of->count + 1) * sizeof *entries);
    if (entries == NULL) return NULL;
    for (size_t i = 0; i < of->count; i++) {
        entries[i] = of->entries[i];
        if (entries[i].op != MG_TRACE_CAPTURED) continue;
        entries[i].op = MG_TRACE_INPUT;
        entries[i].x += (uint32_t)of->inputs;
    }
    mg_program *program =
        mg_make_program(memory, entries, of->count, of->inputs + of->captured, 0, of->outputs,
                        of->output_count, of->guards, of->guard_count);
    mg_deallocate(memory, entries);
    return program;
}

mg_status mg_program_prepare(mg_program *program, mg_mode mode) {
    mg_status status = MG_OK;
    mg_lock_take(&program->memory->lock);
    program->memory->gave_up = false;
    if (!program->schedules[mode].ready) status = mg_make_schedule(program->memory, program, mode);
    mg_lock_give(&program->memory->lock);
    return status;
}

size_t mg_program_work(const mg_program *program, mg_mode mode) {
    return program->schedules[mode].count + program->schedules[mode].term_count;
}

/* Return the number of captured nodes that are needed. */
static size_t count_captured(const mg_program *program) {
    size_t count = 0;
    for (size_t i = 0; i < program->count; i++)
        count += program->entries[i].op == MG_TRACE_CAPTURED && program->fates[i].needed;
    return count;
}

void mg_program_describe(const mg_program *program, mg_program_facts *out) {
    *out = (mg_program_facts){
        .inputs = program->inputs,
        .captured = program->captured,
        .outputs = program->output_count,
        .guards = program->guard_count,
        .scalars = count_captured(program) + program->step_count,
        .instructions = program->row_count,
    };
}

void mg_program_reaches(const mg_program *program, unsigned char *reached) {
    memset(reached, 0, program->inputs + program->captured);
    for (size_t i = 0; i < program->count; i++) {
        const mg_entry *entry = &program->entries[i];
        if (!program->fates[i].reached) continue;
        if (entry->op == MG_TRACE_INPUT) reached[entry->x] = 1;
        if (entry->op == MG_TRACE_CAPTURED) reached[program->inputs + entry->x] = 1;
    }
}

size_t mg_program_scalars(const mg_program *program) {
    return program->scalar_count + 1;
}

size_t mg_program_sums(const mg_program *program) {
    return program->adjoint_count + 1; /* the last one is the total */
}
