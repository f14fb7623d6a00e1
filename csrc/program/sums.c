/* sums.c: which entries are one sum. sums.h says why. */
#include "program/sums.h"

/* Whether an addition may absorb entry i: an operation op of this level that nothing else uses. */
static bool is_private(const mg_program *program, uint8_t level, uint32_t op, uint32_t i) {
    const mg_fate *fate = &program->fates[i];
    return program->entries[i].op == op && fate->level == level && fate->value == i &&
           fate->uses == 1;
}

/* Absorb what an addition may absorb of its operands. Where both are sums the addition continues
 * the later one, and the earlier one is a term. */
static void absorb_operands(const mg_program *program, uint8_t level, const mg_entry *entry,
                            bool *absorbed) {
    const uint32_t later = entry->x > entry->y ? entry->x : entry->y;
    const uint32_t earlier = entry->x > entry->y ? entry->y : entry->x;
    if (is_private(program, level, MG_OP_add, later))
        absorbed[later] = true;
    else if (is_private(program, level, MG_OP_add, earlier))
        absorbed[earlier] = true;
    if (is_private(program, level, MG_OP_multiply, later)) absorbed[later] = true;
    if (is_private(program, level, MG_OP_multiply, earlier)) absorbed[earlier] = true;
}

void mg_find_sums(const mg_program *program, uint8_t level, bool *absorbed) {
    for (uint32_t i = 0; i < program->count; i++) {
        const mg_fate *fate = &program->fates[i];
        if (mg_gives_up(program->memory, 1)) return;
        if (program->entries[i].op == MG_OP_add && fate->needed && fate->level == level &&
            fate->value == i)
            absorb_operands(program, level, &program->entries[i], absorbed);
    }
}

/* Return the absorbed sum that an addition continues, or MG_NOTHING. */
static uint32_t sum_before(const mg_program *program, const bool *absorbed, const mg_entry *entry) {
    if (absorbed[entry->x] && program->entries[entry->x].op == MG_OP_add) return entry->x;
    if (absorbed[entry->y] && program->entries[entry->y].op == MG_OP_add) return entry->y;
    return MG_NOTHING;
}

size_t mg_list_terms(const mg_program *program, const bool *absorbed, uint32_t i, uint32_t *terms) {
    size_t count = 2, place;
    uint32_t before, last = i;
    while ((before = sum_before(program, absorbed, &program->entries[last])) != MG_NOTHING) {
        last = before;
        count++;
    }
    for (place = count; place > 2; i = before) { /* from the last term to the third */
        const mg_entry *entry = &program->entries[i];
        before = sum_before(program, absorbed, entry);
        terms[--place] = before == entry->x ? entry->y : entry->x;
    }
    terms[0] = program->entries[i].x;
    terms[1] = program->entries[i].y;
    return count;
}
