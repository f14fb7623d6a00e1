/* program.c: from a trace to a program: what need not be computed for every row.
 *
 * Entries that no output and no guard depends on are dropped. What depends on constants alone is
 * computed now, with the engine's own functions; what depends on captured nodes, once a call.
 * Entries that compute the same value (the same operator of the same values) share the first one's
 * value, which changes no bit. Their gradients stay apart: one sum in place of two, pushed through
 * the derivative at once, would be rounded otherwise. */
#include "program.h"

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
    return true;
}

/* ---- what is needed ---- */

static void need(mg_program *program, uint32_t i) {
    program->fates[i].needed = true;
    program->fates[program->fates[i].value].uses++;
}

/* Mark what outputs and guards depend on, and count the uses of values. */
static void find_needed(mg_program *program) {
    for (size_t i = 0; i < program->count; i++) {
        program->fates[i].needed = false;
        program->fates[i].uses = 0;
    }
    for (size_t i = 0; i < program->output_count; i++) need(program, program->outputs[i]);
    for (size_t i = 0; i < program->guard_count; i++) {
        need(program, program->guards[i].left);
        need(program, program->guards[i].right);
    }
    for (uint32_t i = (uint32_t)program->count; i-- > 0;) {
        const mg_fate *fate = &program->fates[i];
        uint32_t operands[3];
        bool through;
        if (!fate->needed) continue;
        program->fates[fate->value].needed = true; /* it stands before this one */
        unsigned arity = mg_entry_operands(&program->entries[i], operands, &through);
        for (unsigned k = 0; k < arity; k++) {
            program->fates[operands[k]].needed = true;
            if (fate->value == i) program->fates[program->fates[operands[k]].value].uses++;
        }
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

/* ---- scalars ---- */

static bool is_scalar_level(const mg_program *program, size_t i) {
    return program->fates[i].needed && program->fates[i].level == MG_LEVEL_SCALAR;
}

/* Give the scalars that rows use, whose adjoints are sums over rows, the first places. */
static void place_adjoints(mg_program *program) {
    uint32_t *adjoints = program->adjoints;
    uint32_t operands[3], next = 0;
    bool through;
    memset(adjoints, 0xff, program->count * sizeof(uint32_t));
    for (size_t i = 0; i < program->output_count; i++) {
        const uint32_t output = program->outputs[i];
        if (is_scalar_level(program, output) && adjoints[output] == MG_NOTHING)
            adjoints[output] = next++;
    }
    for (size_t i = 0; i < program->count; i++) {
        const mg_fate *fate = &program->fates[i];
        unsigned arity = mg_entry_operands(&program->entries[i], operands, &through);
        if (!fate->needed || fate->level != MG_LEVEL_ROW || !fate->reached || !through) continue;
        if (program->entries[i].op == MG_TRACE_LINK) arity = 2;
        for (unsigned k = 0; k < arity; k++)
            if (is_scalar_level(program, operands[k]) && adjoints[operands[k]] == MG_NOTHING)
                adjoints[operands[k]] = next++;
    }
    program->sum_count = next;
    for (size_t i = 0; i < program->count; i++)
        if (is_scalar_level(program, i) && adjoints[i] == MG_NOTHING) adjoints[i] = next++;
    program->adjoint_count = next;
}

static mg_scalar_step step_of(const mg_program *program, uint32_t i) {
    const mg_entry *entry = &program->entries[i];
    const mg_fate *fate = &program->fates[i];
    uint32_t operands[3];
    bool through;
    unsigned arity = mg_entry_operands(entry, operands, &through);
    mg_scalar_step step = {.op = entry->op,
                           .out = fate->scalar,
                           .x = entry->x,
                           .adjoint = program->adjoints[i],
                           .adjoint_x = MG_NOTHING,
                           .adjoint_y = MG_NOTHING,
                           .entry = i,
                           .shared = fate->value != i,
                           .reached = fate->reached,
                           .number = entry->number};
    if (arity > 0) step.x = program->fates[entry->x].scalar;
    if (arity > 1) step.y = program->fates[entry->y].scalar;
    if (arity > 2) step.z = program->fates[entry->z].scalar;
    if (through) step.adjoint_x = program->adjoints[entry->x];
    if (through && arity > 1) step.adjoint_y = program->adjoints[entry->y];
    return step;
}

/* How often each entry is used, by whatever: those used once may be part of a sum. */
static void count_all_uses(const mg_program *program, uint32_t *uses) {
    uint32_t operands[3];
    bool through;
    memset(uses, 0, program->count * sizeof(uint32_t));
    for (size_t i = 0; i < program->output_count; i++) uses[program->outputs[i]]++;
    for (size_t i = 0; i < program->guard_count; i++) {
        uses[program->guards[i].left]++;
        uses[program->guards[i].right]++;
    }
    for (size_t i = 0; i < program->count; i++) {
        if (!program->fates[i].needed) continue;
        unsigned arity = mg_entry_operands(&program->entries[i], operands, &through);
        for (unsigned k = 0; k < arity; k++) uses[operands[k]]++;
    }
}

/* Whether a sum may take entry i over. */
static bool is_private(const mg_program *program, const uint32_t *uses, uint32_t i) {
    const mg_fate *fate = &program->fates[i];
    const uint32_t op = program->entries[i].op;
    return is_scalar_level(program, i) && fate->value == i && fate->uses == 1 && uses[i] == 1 &&
           (op == MG_OP_add || op == MG_OP_multiply);
}

/* The private sum that an addition goes on from, or MG_NOTHING. */
static uint32_t sum_before(const mg_program *program, const uint32_t *uses, const mg_entry *entry) {
    if (is_private(program, uses, entry->x) && program->entries[entry->x].op == MG_OP_add)
        return entry->x;
    if (is_private(program, uses, entry->y) && program->entries[entry->y].op == MG_OP_add)
        return entry->y;
    return MG_NOTHING;
}

/* Mark what sums take over with MG_NOTHING for uses. */
static void absorb(const mg_program *program, uint32_t *uses) {
    for (uint32_t i = (uint32_t)program->count; i-- > 0;) {
        const mg_entry *entry = &program->entries[i];
        const uint32_t operands[] = {entry->x, entry->y};
        if (!is_scalar_level(program, i) || program->fates[i].value != i || entry->op != MG_OP_add)
            continue;
        const uint32_t before = sum_before(program, uses, entry);
        for (int k = 0; k < 2; k++)
            if (operands[k] == before || (is_private(program, uses, operands[k]) &&
                                          program->entries[operands[k]].op == MG_OP_multiply))
                uses[operands[k]] = MG_NOTHING;
    }
}

static void add_term(mg_program *program, const uint32_t *uses, uint32_t i) {
    mg_scalar_term *term = &program->scalar_terms[program->scalar_term_count++];
    const mg_entry *entry = &program->entries[i];
    const bool product = uses[i] == MG_NOTHING;
    const uint32_t a = product ? entry->x : i;
    term->a = program->fates[a].scalar;
    term->adjoint_a = program->adjoints[a];
    term->b = product ? program->fates[entry->y].scalar : MG_NOTHING;
    term->adjoint_b = product ? program->adjoints[entry->y] : MG_NOTHING;
}

/* The terms of the sum that ends in entry i, the last one first, and turned round. */
static void add_terms(mg_program *program, const uint32_t *uses, uint32_t i, mg_scalar_step *step) {
    const size_t first = program->scalar_term_count;
    for (;;) {
        const mg_entry *entry = &program->entries[i];
        const uint32_t operands[] = {entry->y, entry->x};
        uint32_t before = MG_NOTHING;
        for (int k = 0; k < 2; k++)
            if (uses[operands[k]] == MG_NOTHING && program->entries[operands[k]].op == MG_OP_add)
                before = operands[k];
        for (int k = 0; k < 2; k++)
            if (operands[k] != before) add_term(program, uses, operands[k]);
        if (before == MG_NOTHING) break;
        i = before;
    }
    step->op = MG_STEP_SUM;
    step->x = (uint32_t)(program->scalar_term_count - first);
    step->y = (uint32_t)first;
    mg_scalar_term *terms = program->scalar_terms + first;
    for (size_t low = 0, high = step->x; low + 1 < high; low++, high--) {
        mg_scalar_term term = terms[low];
        terms[low] = terms[high - 1];
        terms[high - 1] = term;
    }
}

static void place_steps(mg_program *program, const uint32_t *uses) {
    for (uint32_t i = 0; i < program->count; i++) {
        mg_fate *fate = &program->fates[i];
        const mg_entry *entry = &program->entries[i];
        if (!fate->needed) continue;
        if (fate->level == MG_LEVEL_ROW) {
            if (fate->value == i && entry->op != MG_TRACE_INPUT) program->row_count++;
            continue;
        }
        if (fate->value != i) {
            fate->scalar = program->fates[fate->value].scalar;
        } else {
            fate->scalar = (uint32_t)program->scalar_count++;
            program->constants[fate->scalar] = entry->op == MG_TRACE_CONSTANT ? entry->number : 0.0;
        }
        if (fate->level != MG_LEVEL_SCALAR || uses[i] == MG_NOTHING) continue;
        mg_scalar_step *step = &program->steps[program->step_count++];
        *step = step_of(program, i);
        if (entry->op == MG_OP_add && fate->value == i) add_terms(program, uses, i, step);
    }
}

static bool place_scalars(mg_arena *memory, mg_program *program) {
    const size_t most = program->count + 1;
    uint32_t *uses = mg_allocate(memory, most * sizeof(uint32_t));
    size_t scalars = 0, steps = 0;
    if (uses == NULL) return false;
    for (size_t i = 0; i < program->count; i++) {
        const mg_fate *fate = &program->fates[i];
        if (!fate->needed || fate->level == MG_LEVEL_ROW) continue;
        if (fate->level == MG_LEVEL_SCALAR) steps++;
        if (fate->value == i) scalars++;
    }
    count_all_uses(program, uses);
    absorb(program, uses);
    place_adjoints(program);
    program->constants = mg_allocate(memory, (scalars + 1) * sizeof(double));
    program->steps = mg_allocate(memory, (steps + 1) * sizeof(mg_scalar_step));
    program->scalar_terms = mg_allocate(memory, (2 * steps + 1) * sizeof(mg_scalar_term));
    bool good =
        program->constants != NULL && program->steps != NULL && program->scalar_terms != NULL;
    if (good) place_steps(program, uses);
    mg_deallocate(memory, uses);
    return good;
}

/* ---- a program ---- */

static void drop_program(mg_arena *memory, mg_program *program) {
    if (program == NULL) return;
    for (int mode = 0; mode < MG_MODES; mode++) mg_drop_schedule(memory, &program->schedules[mode]);
    mg_deallocate(memory, program->entries);
    mg_deallocate(memory, program->fates);
    mg_deallocate(memory, program->outputs);
    mg_deallocate(memory, program->guards);
    mg_deallocate(memory, program->constants);
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
    memset(program, 0, sizeof *program);
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
        drop_program(memory, program);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        program->fates[i] = (mg_fate){.value = i, .level = MG_LEVEL_ROW};
    return program;
}

mg_program *mg_program_new(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                           size_t captured, const uint32_t *outputs, size_t output_count,
                           const mg_guard *guards, size_t guard_count) {
    if (count >= MG_SCALAR / 4) return NULL;
    mg_lock_take(&memory->lock);
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
            good = place_scalars(memory, program);
        }
        if (!good) {
            drop_program(memory, program);
            program = NULL;
        }
    }
    mg_lock_give(&memory->lock);
    return program;
}

void mg_program_free(mg_arena *memory, mg_program *program) {
    mg_lock_take(&memory->lock);
    drop_program(memory, program);
    mg_lock_give(&memory->lock);
}

mg_status mg_program_prepare(mg_arena *memory, mg_program *program, mg_mode mode) {
    mg_status status = MG_OK;
    mg_lock_take(&memory->lock);
    if (!program->schedules[mode].ready) status = mg_make_schedule(memory, program, mode);
    mg_lock_give(&memory->lock);
    return status;
}

void mg_program_describe(const mg_program *program, mg_program_facts *out) {
    *out = (mg_program_facts){
        .inputs = program->inputs,
        .captured = program->captured,
        .outputs = program->output_count,
        .guards = program->guard_count,
        .scalars = program->step_count,
        .instructions = program->row_count,
    };
}

size_t mg_program_scalars(const mg_program *program) {
    return program->scalar_count + 1;
}

size_t mg_program_sums(const mg_program *program) {
    return program->adjoint_count + 1; /* the last one is the total */
}
