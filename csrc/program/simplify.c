/* simplify.c: what of a trace need not be computed for every row.
 *
 * Entries that no output and no guard depends on are dropped. An entry that depends on constants
 * alone is computed now, with the engine's own functions; an entry that depends on captured nodes
 * and constants alone is computed once a call. Entries that compute the same value (the same
 * operator of the same values) share the value of the first of them, which changes no bit. Their
 * gradients stay apart: one sum in place of two, pushed through the derivative at once, would be
 * rounded otherwise. */
#include "program/simplify.h"

#include <string.h>

/* ---- values ---- */

typedef struct {
    uint32_t *table; /* hash table of entries, by what they compute; MG_NOTHING: free */
    size_t size;     /* a power of two, at least twice the number of entries */
} sharing;

static uint64_t bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Return what an entry computes, with the first entry of the same value in place of each operand.
 */
static mg_entry canonical(const mg_program *program, uint32_t i) {
    mg_entry entry = program->entries[i];
    uint32_t operands[3];
    unsigned arity = mg_entry_operands(&entry, operands);
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

static uint32_t later(uint32_t x, uint32_t y) {
    return x > y ? x : y;
}

/* Return the first entry that computes what entry i computes, perhaps i itself. The first place to
 * look at is one of two that are the latest operand's: operands are mostly recent entries, and so
 * most entries find a place that the processor has in its caches. The hash says the next places, by
 * strides: beside each other, the places of operands may all be taken. */
static uint32_t share(const mg_program *program, sharing *known, uint32_t i) {
    const mg_entry entry = canonical(program, i);
    const uint64_t hash = hash_of(&entry);
    const size_t last = known->size - 1, stride = (size_t)(hash >> 32) | 1;
    size_t place = (2 * (size_t)later(later(entry.x, entry.y), entry.z) + (hash >> 63)) & last;
    for (size_t next = (size_t)hash; known->table[place] != MG_NOTHING; next += stride) {
        const mg_entry other = canonical(program, known->table[place]);
        if (same(&entry, &other)) return known->table[place];
        place = next & last;
    }
    return known->table[place] = i;
}

static double constant_of(const mg_program *program, uint32_t i) {
    return program->entries[program->fates[i].value].number;
}

/* Make a select whose condition is a constant the operand that it selects: a link to it, with a
 * second operand that is a constant and gets no gradient. */
static void decide(const mg_program *program, mg_entry *entry) {
    if (program->fates[entry->x].level != MG_LEVEL_CONSTANT) return;
    const uint32_t chosen = constant_of(program, entry->x) != 0.0 ? entry->y : entry->z;
    *entry = (mg_entry){.op = MG_TRACE_LINK, .x = chosen, .y = entry->x, .z = entry->x};
}

/* Make a take whose index is a constant the element that it takes: a link, as of a select. */
static void look_up(const mg_program *program, mg_entry *entry) {
    if (program->fates[entry->x].level != MG_LEVEL_CONSTANT) return;
    const mg_entry *item = &program->entries[entry->y];
    const uint32_t place = mg_place_among(constant_of(program, entry->x), item->z);
    if (place >= item->z) return; /* no recording has that: the call raises */
    while (item->z != place + 1) item = &program->entries[item->y];
    *entry = (mg_entry){.op = MG_TRACE_LINK, .x = item->x, .y = entry->x, .z = entry->x};
}

/* Make an operator whose operands are constants a constant. */
static void fold(mg_program *program, uint32_t i) {
    mg_entry *entry = &program->entries[i];
    uint32_t operands[3];
    if (entry->op == MG_TRACE_SELECT) decide(program, entry);
    if (entry->op == MG_TRACE_TAKE) look_up(program, entry);
    if (entry->op == MG_TRACE_ITEM || entry->op == MG_TRACE_TAKE) return;
    unsigned arity = mg_entry_operands(entry, operands);
    double number = 0.0;
    if (arity == 0 || arity == 3 || entry->op == MG_TRACE_DETACH) return;
    for (unsigned k = 0; k < arity; k++)
        if (program->fates[operands[k]].level != MG_LEVEL_CONSTANT) return;
    const double x = constant_of(program, entry->x);
    const double y = arity == 2 ? constant_of(program, entry->y) : entry->number;
    if (entry->op == MG_TRACE_DIVIDE)
        number = x / y;
    else if (mg_is_comparison(entry->op))
        number = mg_compare(entry->op - MG_TRACE_LESS, x, y);
    else
        mg_evaluate((int)entry->op, x, y, &number);
    *entry = (mg_entry){.op = MG_TRACE_CONSTANT, .number = number};
}

static uint8_t level_of(const mg_program *program, const mg_entry *entry) {
    uint32_t operands[3];
    unsigned arity = mg_entry_operands(entry, operands);
    uint8_t level = MG_LEVEL_CONSTANT;
    if (entry->op == MG_TRACE_INPUT) return MG_LEVEL_ROW;
    if (entry->op == MG_TRACE_CAPTURED) return MG_LEVEL_SCALAR;
    if (entry->op == MG_TRACE_TAKE) level = MG_LEVEL_SCALAR; /* of constants: its index is wrong */
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
        if (mg_gives_up(memory, 1)) break;
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
    mg_fate *fate = &program->fates[i];
    fate->needed = true;
    if (fate->uses < 2) fate->uses++;
}

/* Mark the entries that outputs and guards depend on, and count the uses of each entry. */
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
        if (mg_gives_up(program->memory, 1)) return;
        if (!fate->needed) continue;
        if (fate->value != i) use(program, fate->value); /* which stands before entry i */
        unsigned arity = mg_entry_operands(&program->entries[i], operands);
        for (unsigned k = 0; k < arity; k++) use(program, operands[k]);
    }
}

/* Mark the entries that gradients of the outputs are pushed to. */
static void find_reached(mg_program *program) {
    for (size_t i = 0; i < program->output_count; i++)
        program->fates[program->outputs[i]].reached = true;
    for (size_t i = program->count; i-- > 0;) {
        uint32_t targets[2];
        if (mg_gives_up(program->memory, 1)) return;
        if (!program->fates[i].reached) continue;
        unsigned count = mg_entry_targets(&program->entries[i], targets);
        for (unsigned k = 0; k < count; k++) program->fates[targets[k]].reached = true;
    }
}

/* ---- guards ---- */

/* Drop guards that need no test: a guard between constants, which holds as it was recorded, and a
 * guard equal to one of the last few before it. */
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

bool mg_simplify(mg_program *program) {
    find_needed(program);
    if (!find_values(program->memory, program)) return false;
    drop_guards(program);
    find_needed(program);
    find_reached(program);
    return !program->memory->gave_up;
}
