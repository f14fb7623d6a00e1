/* record.c: nodes with a list of operands, and nodes as they once were. */
#include "graph/record.h"

#include <string.h>

#include "graph/memory.h"

mg_node *mg_new_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                       const double *partials) {
    size_t each = sizeof(mg_node *) + (partials != NULL ? sizeof(double) : 0);
    if (count > (SIZE_MAX / 2 - sizeof(mg_extra)) / each || count > UINT32_MAX / 4) return NULL;
    mg_extra *extra = mg_allocate(arena, sizeof *extra + count * each);
    if (extra == NULL) return NULL;
    mg_node *node = mg_take_slot(arena);
    if (node == NULL) {
        mg_deallocate(arena, extra);
        return NULL;
    }
    mg_fill(node, MG_OP_custom, data);
    node->flags = MG_EXTRA;
    mg_links_of(node)->extra = extra;
    extra->owner = NULL;
    extra->bound = NULL;
    extra->bound_by = 0;
    extra->next_orphan = NULL;
    extra->count = count;
    extra->rule = MG_RULE_NONE;
    extra->partials = partials != NULL ? extra->room : NULL;
    extra->operands = (mg_node **)(partials != NULL ? extra->room + count : extra->room);
    if (partials != NULL) memcpy(extra->partials, partials, count * sizeof(double));
    for (size_t i = 0; i < count; i++) {
        extra->operands[i] = operands[i];
        operands[i]->refs++;
    }
    return node;
}

mg_node *mg_new_restored(mg_arena *arena, int op, double data, mg_node *const *operands,
                         size_t count, double exponent, bool integer, const double *partials) {
    if (op == MG_OP_leaf) return mg_new_leaf(arena, data);
    if (op == MG_OP_custom) return mg_new_custom(arena, data, operands, count, partials);
    if (op == MG_OP_exponent) return mg_new_power(arena, data, operands[0], exponent, integer);
    if (count == 1) return mg_new_unary(arena, op, data, operands[0]);
    return mg_new_binary(arena, op, data, operands[0], operands[1]);
}
