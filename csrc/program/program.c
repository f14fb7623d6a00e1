/* program.c: from a trace to a program: what need not be computed for every row.
 *
 * Entries that no output and no guard depends on are dropped. What depends on constants alone is
 * computed now, with the engine's own functions; what depends on captured nodes, once a call.
 * Entries that compute the same value (the same operator of the same values) share the first one's
 * value, which changes no bit. Their gradients stay apart: one sum in place of two, pushed through
 * the derivative at once, would be rounded otherwise. */
#include "program/program.h"

#include <string.h>

/* ---- values ---- */

typedef struct {
    uint32_t *table; /* entries by what they compute; MG_NOTHING: free */
    size_t size;     /* a power of two */
} sharing;

static uint64_t bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* What an entry computes, in terms of values. */
static mg_entry canonical(const mg_program *program, uint32_t i) {
    mg_entry entry = program->entries[i];
    uint32_t operands[3];
    bool through;
    unsigned arity = mg_entry_operands(&entry, operands, &through);
    if (arity > 0) entry.x = program->fates[entry.x].value;
    if (arity > 1) entry.y = program->fates[entry.y].value;
    if (arity > 2) entry.z = program->fates[entry.z].value;
    return entry;
}

static bool same(const mg_entry *a, const mg_entry *b) {
    return a->op == b->op && a->x == b->x && a->y == b->y && a->z == b->z &&
           bits_of(a->number) == bits_of(b->number);
}

static uint64_t hash_of(const mg_entry *entry) {
    uint64_t hash = bits_of(entry->number);
    const uint32_t fields[] = {entry->op, entry->x, entry->y, entry->z};
    for (size_t i = 0; i < 4; i++) hash = (hash ^ fields[i]) * 0x9E3779B97F4A7C15u ^ (hash >> 29);
    return hash ^ (hash >> 32);
}

/* The first entry that computes what entry i does. */
static uint32_t share(const mg_program *program, sharing *known, uint32_t i) {
    const mg_entry entry = canonical(program, i);
    size_t place = (size_t)hash_of(&entry) & (known->size - 1);
    for (; known->table[place] != MG_NOTHING; place = (place + 1) & (known->size - 1)) {
        const mg_entry other = canonical(program, known->table[place]);
        if (same(&entry, &other)) return known->table[place];
    }
    return known->table[place] = i;
}

/* An operator whose operands are constants is one. */
static void fold(mg_program *program, uint32_t i) {
    mg_entry *entry = &program->entries[i];
    uint32_t operands[3];
    bool through;
    unsigned arity = mg_entry_operands(entry, operands, &through);
    double number = 0.0;
    if (arity == 0 || entry->op == MG_TRACE_LINK || entry->op == MG_TRACE_DETACH) return;
    for (unsigned k = 0; k < arity; k++)
        if (program->fates[operands[k]].level != MG_LEVEL_CONSTANT) return;
    const double x = program->entries[program->fates[entry->x].value].number;
    const double y =
        arity == 2 ? program->entries[program->fates[entry->y].value].number : entry->number;
    if (entry->op == MG_TRACE_DIVIDE)
        number = x / y;
    else
        mg_evaluate((int)entry->op, x, y, &number);
    *entry = (mg_entry){.op = MG_TRACE_CONSTANT, .number = number};
}

static uint8_t level_of(const mg_program *program, const mg_entry *entry) {
    uint32_t operands[3];
    bool through;
    unsigned arity = mg_entry_operands(entry, operands, &through);
    uint8_t level = MG_LEVEL_CONSTANT;
    if (entry->op == MG_TRACE_INPUT) return MG_LEVEL_ROW;
    if (entry->op == MG_TRACE_CAPTURED) return MG_LEVEL_SCALAR;
    for (unsigned k = 0; k < arity; k++)
        if (program->fates[operands[k]].level > level) level = program->fates[operands[k]].level;
    return level;
}

static bool find_values(mg_arena *memory, mg_program *program) {
    sharing known = {.size = 64};
    while (known.size < 2 * program->count) known.size *= 2;
    known.table = mg_allocate(memory, known.size * sizeof(uint32_t));
    if (known.table == NULL) return false;
    memset(known.table, 0xff, known.size * sizeof(uint32_t));
    for (uint32_t i = 0; i < program->count; i++) {
        mg_fate *fate = &program->fates[i];
        if (mg_gives_up(memory, i)) break;
        if (!fate->needed) continue;
        fold(program, i);
        const mg_entry *entry = &program->entries[i];
        fate->level = level_of(program, entry);
        if (entry->op != MG_TRACE_LINK && entry->op != MG_TRACE_DETACH)
            fate->value = share(program, &known, i);
        else if (fate->level == program->fates[entry->x].level)
            fate->value = program->fates[entry->x].value;
    }
    mg_deallocate(memory, known.table);
    return !memory->gave_up;
}

/* ---- what is needed ---- */

static void use(mg_program *program, uint32_t i) {
    program->fates[i].needed = true;
    program->fates[i].uses++;
}

/* Mark what outputs and guards depend on, and count by what each entry is used. */
static void find_needed(mg_program *program) {
    for (size_t i = 0; i < program->count; i++) {
        program->fates[i].needed = false;
        program->fates[i].uses = 0;
    }
    for (size_t i = 0; i < program->output_count; i++) use(program, program->outputs[i]);
    for (size_t i = 0; i < program->guard_count; i++) {
        use(program, program->guards[i].left);
        use(program, program->guards[i].right);
    }
    for (uint32_t i = (uint32_t)program->count; i-- > 0;) {
        const mg_fate *fate = &program->fates[i];
        uint32_t operands[3];
        bool through;
        if (!fate->needed) continue;
        if (fate->value != i) use(program, fate->value); /* it stands before this one */
        unsigned arity = mg_entry_operands(&program->entries[i], operands, &through);
        for (unsigned k = 0; k < arity; k++) use(program, operands[k]);
    }
}

/* Mark what the outputs' gradients are pushed to. */
static void find_reached(mg_program *program) {
    for (size_t i = 0; i < program->output_count; i++)
        program->fates[program->outputs[i]].reached = true;
    for (size_t i = program->count; i-- > 0;) {
        uint32_t operands[3];
        bool through;
        if (!program->fates[i].reached) continue;
        unsigned arity = mg_entry_operands(&program->entries[i], operands, &through);
        if (program->entries[i].op == MG_TRACE_LINK) arity = 2;
        for (unsigned k = 0; through && k < arity; k++) program->fates[operands[k]].reached = true;
    }
}

/* ---- guards ---- */

/* A guard between constants holds as it was recorded; of equal ones, one after the other, the
 * first is enough. */
static void drop_guards(mg_program *program) {
    size_t kept = 0;
    for (size_t i = 0; i < program->guard_count; i++) {
        mg_guard guard = program->guards[i];
        const mg_fate *left = &program->fates[guard.left], *right = &program->fates[guard.right];
        if (left->level == MG_LEVEL_CONSTANT && right->level == MG_LEVEL_CONSTANT) continue;
        guard.left = left->value;
        guard.right = right->value;
        bool known = false;
        for (size_t k = kept; !known && k > 0 && k + 16 > kept; k--) {
            const mg_guard *other = &program->guards[k - 1];
            known = other->relation == guard.relation && other->left == guard.left &&
                    other->right == guard.right && other->outcome == guard.outcome;
        }
        if (!known) program->guards[kept++] = guard;
    }
    program->guard_count = kept;
}

/* ---- a program ---- */

static void drop_program(mg_program *program) {
    if (program == NULL) return;
    mg_arena *memory = program->memory;
    for (int mode = 0; mode < MG_MODES; mode++) mg_drop_schedule(memory, &program->schedules[mode]);
    mg_deallocate(memory, program->entries);
    mg_deallocate(memory, program->fates);
    mg_deallocate(memory, program->outputs);
    mg_deallocate(memory, program->guards);
    mg_deallocate(memory, program->constants);
    mg_deallocate(memory, program->is_constant);
    mg_deallocate(memory, program->places);
    mg_deallocate(memory, program->steps);
    mg_deallocate(memory, program->scalar_terms);
    mg_deallocate(memory, program->adjoints);
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
        drop_program(program);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        program->fates[i] = (mg_fate){.value = i, .level = MG_LEVEL_ROW};
    return program;
}

/* Whether an entry's operator is one, and what it names stands before it. */
static bool is_entry(const mg_entry *entry, size_t place, size_t inputs, size_t captured) {
    uint32_t operands[3];
    bool through;
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
                (entry->op < MG_TRACE_INPUT || entry->op > MG_TRACE_LINK))
                return false;
    }
    unsigned arity = mg_entry_operands(entry, operands, &through);
    for (unsigned k = 0; k < arity; k++)
        if (operands[k] >= place) return false;
    return true;
}

static bool is_trace(const mg_entry *entries, size_t count, size_t inputs, size_t captured,
                     const uint32_t *outputs, size_t output_count, const mg_guard *guards,
                     size_t guard_count) {
    for (size_t i = 0; i < count; i++)
        if (!is_entry(&entries[i], i, inputs, captured)) return false;
    for (size_t i = 0; i < output_count; i++)
        if (outputs[i] >= count) return false;
    for (size_t i = 0; i < guard_count; i++)
        if (guards[i].relation > MG_EQUAL || guards[i].left >= count || guards[i].right >= count)
            return false;
    return true;
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
    mg_program *program =
        new_program(memory, entries, count, outputs, output_count, guards, guard_count);
    if (program != NULL) {
        program->inputs = inputs;
        program->captured = captured;
        find_needed(program);
        bool good = find_values(memory, program);
        if (good) {
            drop_guards(program);
            find_needed(program);
            find_reached(program);
            good = mg_place_scalars(memory, program);
        }
        if (!good) {
            drop_program(program);
            program = NULL;
        }
    }
    *status = program != NULL ? MG_OK : mg_why(memory);
    mg_lock_give(&memory->lock);
    return program;
}

void mg_program_free(mg_program *program) {
    mg_arena *memory = program->memory;
    mg_lock_take(&memory->lock);
    drop_program(program);
    mg_lock_give(&memory->lock);
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

void mg_program_describe(const mg_program *program, mg_program_facts *out) {
    *out = (mg_program_facts){
        .inputs = program->inputs,
        .captured = program->captured,
        .outputs = program->output_count,
        .guards = program->guard_count,
        .scalars = program->place_count + program->step_count,
        .instructions = program->row_count,
    };
}

size_t mg_program_scalars(const mg_program *program) {
    return program->scalar_count + 1;
}

size_t mg_program_sums(const mg_program *program) {
    return program->adjoint_count + 1; /* the last one is the total */
}
