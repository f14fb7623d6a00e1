/* regions.c: the rows in which gradients reach an entry. regions.h says why. */
#include "program/regions.h"

#include <string.h>

enum { FAR = 64 }; /* longer ways are not gone: a union that could be spared does no harm */

static bool is_union(const mg_program *program, uint32_t region) {
    return program->regions[region].second != MG_NOTHING;
}

/* Append a region and return it; MG_NOTHING: no memory. */
static uint32_t add_region(mg_program *program, mg_region region) {
    if (!MG_GROW(program->memory, program->regions, program->region_count, program->region_room))
        return MG_NOTHING;
    program->regions[program->region_count] = region;
    return (uint32_t)program->region_count++;
}

uint32_t mg_region_of_side(mg_program *program, uint32_t select, unsigned side) {
    const uint32_t outer = program->fates[select].region;
    const uint32_t condition = program->fates[program->entries[select].x].value;
    const bool holds = side == 0;
    uint32_t *const first = &program->conditions[condition];
    for (uint32_t i = *first; i != MG_NOTHING; i = program->regions[i].next)
        if (program->regions[i].outer == outer && program->regions[i].holds == holds) return i;
    const uint32_t made = add_region(program, (mg_region){.outer = outer,
                                                          .first = condition,
                                                          .second = MG_NOTHING,
                                                          .next = *first,
                                                          .holds = holds});
    if (made != MG_NOTHING) *first = made;
    return made;
}

/* Whether all rows of a region are known to be rows of another one. */
static bool contains(const mg_program *program, uint32_t region, uint32_t other) {
    for (int steps = 0; steps < FAR; steps++) {
        uint32_t part = region;
        for (int parts = 0; parts < FAR && part != other && is_union(program, part); parts++) {
            if (program->regions[part].second == other) return true;
            part = program->regions[part].first;
        }
        if (part == other) return true;
        if (other == MG_ALL_ROWS) return false;
        other = program->regions[other].outer;
    }
    return false;
}

/* Return the union of two regions; MG_NOTHING: no memory. */
static uint32_t unite(mg_program *program, uint32_t a, uint32_t b) {
    if (a == b || contains(program, a, b)) return a;
    if (contains(program, b, a)) return b;
    const mg_region *one = &program->regions[a], *other = &program->regions[b];
    if (!is_union(program, a) && !is_union(program, b) && one->outer == other->outer &&
        one->first == other->first)
        return one->outer; /* both sides of one condition */
    return add_region(program, (mg_region){.outer = MG_ALL_ROWS, .first = a, .second = b});
}

/* Note that a gradient comes to entry i in the rows of a region. */
static bool note_region(mg_program *program, uint32_t i, uint32_t region) {
    mg_fate *fate = &program->fates[i];
    if (region != MG_NOTHING)
        fate->region = fate->region == MG_NOTHING ? region : unite(program, fate->region, region);
    return region != MG_NOTHING && fate->region != MG_NOTHING;
}

/* Go from the last entry to the first, so that all uses of an entry come before the entry. */
static bool walk(mg_program *program) {
    for (uint32_t i = 0; i < program->count; i++) program->fates[i].region = MG_NOTHING;
    for (size_t i = 0; i < program->output_count; i++)
        program->fates[program->outputs[i]].region = MG_ALL_ROWS;
    for (uint32_t i = (uint32_t)program->count; i-- > 0;) {
        const mg_entry *entry = &program->entries[i];
        uint32_t targets[2];
        if (mg_gives_up(program->memory, 1)) return false;
        if (!program->fates[i].reached) continue;
        const unsigned count = mg_entry_targets(entry, targets);
        for (unsigned k = 0; k < count; k++) {
            const uint32_t region = entry->op == MG_TRACE_SELECT ? mg_region_of_side(program, i, k)
                                                                 : program->fates[i].region;
            if (!note_region(program, targets[k], region)) return false;
        }
        if (entry->op == MG_TRACE_INPUT) program->fates[i].region = MG_ALL_ROWS;
    }
    return true;
}

static bool has_select(const mg_program *program) {
    for (size_t i = 0; i < program->count; i++)
        if (program->entries[i].op == MG_TRACE_SELECT && program->fates[i].reached) return true;
    return false;
}

bool mg_find_regions(mg_arena *memory, mg_program *program) {
    if (!has_select(program)) return true;
    program->conditions = mg_allocate(memory, program->count * sizeof(uint32_t));
    if (program->conditions == NULL) return false;
    memset(program->conditions, 0xff, program->count * sizeof(uint32_t));
    const uint32_t all = add_region(
        program,
        (mg_region){
            .outer = MG_ALL_ROWS, .first = MG_NOTHING, .second = MG_NOTHING, .next = MG_NOTHING});
    return all == MG_ALL_ROWS && walk(program);
}
