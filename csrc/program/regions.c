/* regions.c: the rows in which gradients reach an entry. regions.h says why. */
#include "program/regions.h"

#include <string.h>

enum { MOST_STEPS = 64 }; /* longer ways are not gone: a union that could be spared does no harm */

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

static bool are_equal(const mg_region *a, const mg_region *b) {
    return a->outer == b->outer && a->holds == b->holds && a->low == b->low &&
           a->places == b->places && a->elements == b->elements;
}

/* Return a region like this one of the same condition or index: one that there is, or a new one.
 * MG_NOTHING: no memory. */
static uint32_t find_region(mg_program *program, mg_region region) {
    uint32_t *const first = &program->conditions[region.first];
    for (uint32_t i = *first; i != MG_NOTHING; i = program->regions[i].next)
        if (are_equal(&program->regions[i], &region)) return i;
    region.second = MG_NOTHING;
    region.next = *first;
    const uint32_t made = add_region(program, region);
    if (made != MG_NOTHING) *first = made;
    return made;
}

uint32_t mg_region_of_side(mg_program *program, uint32_t select, unsigned side) {
    return find_region(program,
                       (mg_region){.outer = program->fates[select].region,
                                   .first = program->fates[program->entries[select].x].value,
                                   .holds = side == 0});
}

uint32_t mg_region_of_element(mg_program *program, uint32_t take, uint32_t place) {
    const mg_entry *entry = &program->entries[take];
    const uint32_t outer = program->fates[take].region, elements = program->entries[entry->y].z;
    if (program->region_count == 0 || elements == 1) return outer;
    return find_region(program, (mg_region){.outer = outer,
                                            .first = program->fates[entry->x].value,
                                            .low = place,
                                            .places = 1,
                                            .elements = elements});
}

/* Whether two regions are places of the same table, by the same index. */
static bool are_alike(const mg_region *a, const mg_region *b) {
    return a->places != 0 && b->places != 0 && a->outer == b->outer && a->first == b->first &&
           a->elements == b->elements;
}

/* Whether region a is region b, or has all its places. */
static bool covers(const mg_program *program, uint32_t a, uint32_t b) {
    const mg_region *one = &program->regions[a], *other = &program->regions[b];
    return a == b || (are_alike(one, other) && one->low <= other->low &&
                      one->low + one->places >= other->low + other->places);
}

bool mg_region_contains(const mg_program *program, uint32_t region, uint32_t other) {
    if (region == MG_ALL_ROWS) return true;
    for (int steps = 0; steps < MOST_STEPS; steps++) {
        uint32_t part = region;
        for (int parts = 0; parts < MOST_STEPS && part != other && is_union(program, part);
             parts++) {
            if (covers(program, program->regions[part].second, other)) return true;
            part = program->regions[part].first;
        }
        if (covers(program, part, other)) return true;
        if (other == MG_ALL_ROWS) return false;
        other = program->regions[other].outer;
    }
    return false;
}

/* Return the union of two regions; MG_NOTHING: no memory. */
static uint32_t unite(mg_program *program, uint32_t a, uint32_t b) {
    if (a == b || mg_region_contains(program, a, b)) return a;
    if (mg_region_contains(program, b, a)) return b;
    const mg_region *one = &program->regions[a], *other = &program->regions[b];
    if (!is_union(program, a) && !is_union(program, b) && one->outer == other->outer &&
        one->first == other->first && one->places == 0 && other->places == 0)
        return one->outer; /* both sides of one condition */
    if (are_alike(one, other)) {
        const uint32_t low = one->low < other->low ? one->low : other->low;
        const uint32_t one_end = one->low + one->places, other_end = other->low + other->places;
        mg_region both = *one;
        both.low = low;
        both.places = (one_end > other_end ? one_end : other_end) - low;
        if (both.places <= one->places + other->places) /* there is no gap between the two */
            return both.places == both.elements ? one->outer : find_region(program, both);
    }
    return add_region(program, (mg_region){.outer = MG_ALL_ROWS, .first = a, .second = b});
}

/* Note that a gradient comes to entry i in the rows of a region. */
static bool note_region(mg_program *program, uint32_t i, uint32_t region) {
    mg_fate *fate = &program->fates[i];
    if (fate->region == MG_ALL_ROWS) return true;
    if (region != MG_NOTHING)
        fate->region = fate->region == MG_NOTHING ? region : unite(program, fate->region, region);
    return region != MG_NOTHING && fate->region != MG_NOTHING;
}

static bool note_elements(mg_program *program, uint32_t take) {
    const mg_entry *item = &program->entries[program->entries[take].y];
    for (uint32_t place = item->z; place-- > 0; item = &program->entries[item->y]) {
        if (mg_gives_up(program->memory, 1)) return false;
        if (mg_is_computed(&program->entries[item->x]) &&
            !note_region(program, item->x, mg_region_of_element(program, take, place)))
            return false;
    }
    return true;
}

/* Go from the last entry to the first, so that all uses of an entry come before the entry. */
static bool walk(mg_program *program) {
    for (uint32_t i = 0; i < program->count; i++)
        program->fates[i].region =
            program->entries[i].op == MG_TRACE_INPUT ? MG_ALL_ROWS : MG_NOTHING;
    for (size_t i = 0; i < program->output_count; i++)
        program->fates[program->outputs[i]].region = MG_ALL_ROWS;
    for (uint32_t i = (uint32_t)program->count; i-- > 0;) {
        const mg_entry *entry = &program->entries[i];
        uint32_t targets[2];
        if (mg_gives_up(program->memory, 1)) return false;
        if (!program->fates[i].reached || entry->op == MG_TRACE_ITEM) continue;
        if (entry->op == MG_TRACE_TAKE && !note_elements(program, i)) return false;
        const unsigned count = entry->op == MG_TRACE_TAKE ? 0 : mg_entry_targets(entry, targets);
        for (unsigned k = 0; k < count; k++) {
            const uint32_t region = entry->op == MG_TRACE_SELECT ? mg_region_of_side(program, i, k)
                                                                 : program->fates[i].region;
            if (!note_region(program, targets[k], region)) return false;
        }
    }
    return true;
}

/* Whether gradients reach a select, or an element of a table that is computed. */
static bool has_choice(const mg_program *program) {
    for (size_t i = 0; i < program->count; i++) {
        const mg_entry *entry = &program->entries[i];
        if (!program->fates[i].reached) continue;
        if (entry->op == MG_TRACE_SELECT) return true;
        if (entry->op == MG_TRACE_ITEM && mg_is_computed(&program->entries[entry->x])) return true;
    }
    return false;
}

bool mg_find_regions(mg_arena *memory, mg_program *program) {
    if (!has_choice(program)) return true;
    program->conditions = mg_allocate(memory, program->count * sizeof(uint32_t));
    if (program->conditions == NULL) return false;
    memset(program->conditions, 0xff, program->count * sizeof(uint32_t));
    const uint32_t all = add_region(
        program,
        (mg_region){
            .outer = MG_ALL_ROWS, .first = MG_NOTHING, .second = MG_NOTHING, .next = MG_NOTHING});
    return all == MG_ALL_ROWS && walk(program);
}
