/* cut.c: the part of a trace that some of its outputs depend on. */
#include <string.h>

#include "program/program.h"

static void mark_operands(const mg_entry *entry, uint32_t *places) {
    uint32_t operands[3];
    const unsigned arity = mg_entry_operands(entry, operands);
    for (unsigned k = 0; k < arity; k++) places[operands[k]] = 0;
}

/* Return the entry with its operands at their new places. */
static mg_entry moved(mg_entry entry, const uint32_t *places) {
    uint32_t operands[3];
    const unsigned arity = mg_entry_operands(&entry, operands);
    if (arity > 0) entry.x = places[entry.x];
    if (arity > 1) entry.y = places[entry.y];
    if (arity > 2) entry.z = places[entry.z];
    return entry;
}

size_t mg_trace_cut(const mg_entry *entries, size_t count, uint32_t *outputs, size_t output_count,
                    mg_guard *guards, size_t guard_count, uint32_t *places, mg_entry *cut) {
    size_t kept = 0;
    memset(places, 0xff, count * sizeof *places); /* MG_NOTHING: no output depends on the entry */
    for (size_t i = 0; i < output_count; i++) places[outputs[i]] = 0;
    for (size_t i = 0; i < guard_count; i++) places[guards[i].left] = places[guards[i].right] = 0;
    for (size_t i = count; i-- > 0;)
        if (places[i] != MG_NOTHING) mark_operands(&entries[i], places);
    for (size_t i = 0; i < count; i++) {
        if (places[i] == MG_NOTHING) continue;
        if (cut != NULL) cut[kept] = moved(entries[i], places);
        places[i] = (uint32_t)kept++;
    }
    if (cut == NULL) return kept;
    for (size_t i = 0; i < output_count; i++) outputs[i] = places[outputs[i]];
    for (size_t i = 0; i < guard_count; i++) {
        guards[i].left = places[guards[i].left];
        guards[i].right = places[guards[i].right];
    }
    return kept;
}
