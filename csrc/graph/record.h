/* record.h: from operands to a node. The caller has evaluated and checked the value, so only memory
 * can be missing here: then the result is NULL, and nothing was recorded. The node that is returned
 * has no reference; it holds one reference to each of its operands. */
#ifndef MG_RECORD_H
#define MG_RECORD_H

#include "graph/pages.h"

/* ---- slots into nodes ---- */

static inline void mg_fill_binary(mg_node *node, int op, double z, mg_node *x, mg_node *y) {
    mg_fill(node, op, z);
    mg_links_of(node)->left = x;
    mg_links_of(node)->right = y;
    x->refs++;
    y->refs++;
}

static inline void mg_fill_power(mg_node *node, double z, mg_node *x, double y, bool integer) {
    mg_fill(node, MG_OP_exponent, z);
    mg_links_of(node)->left = x;
    mg_links_of(node)->exponent = y;
    if (integer) node->flags = MG_INTEGER;
    x->refs++;
}

/* ---- nodes ---- */

/* z = op(x, y) */
static inline mg_node *mg_new_binary(mg_arena *arena, int op, double z, mg_node *x, mg_node *y) {
    mg_node *node = mg_take_slot(arena);
    if (node != NULL) mg_fill_binary(node, op, z, x, y);
    return node;
}

/* z = op(x, y), where y is a number, which becomes a leaf in the slot before the node. */
static inline mg_node *mg_new_with_number(mg_arena *arena, int op, double z, mg_node *x, double y) {
    mg_node *slots[2];
    if (!mg_take_slots(arena, slots, 2)) return NULL;
    mg_fill(slots[0], MG_OP_leaf, y);
    mg_fill_binary(slots[1], op, z, x, slots[0]);
    return slots[1];
}

/* z = op(x, y), where x is a number, which becomes a leaf in the slot before the node. */
static inline mg_node *mg_new_reflected(mg_arena *arena, int op, double z, double x, mg_node *y) {
    mg_node *slots[2];
    if (!mg_take_slots(arena, slots, 2)) return NULL;
    mg_fill(slots[0], MG_OP_leaf, x);
    mg_fill_binary(slots[1], op, z, slots[0], y);
    return slots[1];
}

/* z = op(x) */
static inline mg_node *mg_new_unary(mg_arena *arena, int op, double z, mg_node *x) {
    mg_node *node = mg_take_slot(arena);
    if (node == NULL) return NULL;
    mg_fill(node, op, z);
    mg_links_of(node)->left = x;
    x->refs++;
    return node;
}

/* z = x to the constant power y */
static inline mg_node *mg_new_power(mg_arena *arena, double z, mg_node *x, double y, bool integer) {
    mg_node *node = mg_take_slot(arena);
    if (node != NULL) mg_fill_power(node, z, x, y, integer);
    return node;
}

/* x * -1 */
static inline mg_node *mg_new_negative(mg_arena *arena, mg_node *x) {
    return mg_new_with_number(arena, MG_OP_multiply, x->data * -1.0, x, -1.0);
}

/* x + (y * -1) */
static inline mg_node *mg_new_difference(mg_arena *arena, mg_node *x, mg_node *y) {
    mg_node *slots[3];
    if (!mg_take_slots(arena, slots, 3)) return NULL;
    mg_fill(slots[0], MG_OP_leaf, -1.0);
    mg_fill_binary(slots[1], MG_OP_multiply, y->data * -1.0, y, slots[0]);
    mg_fill_binary(slots[2], MG_OP_add, x->data + slots[1]->data, x, slots[1]);
    return slots[2];
}

/* x * y**-1, where y**-1 = inverse */
static inline mg_node *mg_new_quotient(mg_arena *arena, mg_node *x, mg_node *y, double inverse) {
    mg_node *slots[2];
    if (!mg_take_slots(arena, slots, 2)) return NULL;
    mg_fill_power(slots[0], inverse, y, -1.0, true);
    mg_fill_binary(slots[1], MG_OP_multiply, x->data * inverse, x, slots[0]);
    return slots[1];
}

/* See mg_record_custom. */
mg_node *mg_new_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                       const double *partials);
/* See mg_restore. */
mg_node *mg_new_restored(mg_arena *arena, int op, double data, mg_node *const *operands,
                         size_t count, double exponent, bool integer, const double *partials);

#endif
