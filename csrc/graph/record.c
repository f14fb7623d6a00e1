/* record.c: from operands to a node. The value is computed and checked first; memory is taken
 * last; so a failed call has recorded nothing. */
#include <string.h>

#include "graph/node.h"

mg_node *mg_new_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                       const double *partials) {
    size_t each = sizeof(mg_node *) + (partials != NULL ? sizeof(double) : 0);
    if (count > (SIZE_MAX / 2 - sizeof(mg_extra)) / each || count > UINT32_MAX / 4) return NULL;
    mg_extra *extra = mg_allocate(arena, sizeof *extra + count * each);
    if (extra == NULL) return NULL;
    mg_node *node = mg_next_slot(arena);
    if (node == NULL) {
        mg_deallocate(arena, extra);
        return NULL;
    }
    mg_fill(node, MG_OP_custom, data);
    node->flags = MG_EXTRA;
    mg_links_of(node)->extra = extra;
    extra->owner = NULL;
    extra->bound = NULL;
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

/* ---- the public functions ---- */

mg_node *mg_hand_over(mg_arena *arena, mg_node *node, mg_status status, mg_status *why) {
    if (node != NULL) node->refs++;
    mg_lock_give(&arena->lock);
    if (why != NULL) *why = node != NULL || status != MG_OK ? status : MG_NO_MEMORY;
    return node;
}

mg_node *mg_leaf(mg_arena *arena, double data) {
    mg_lock_take(&arena->lock);
    return mg_hand_over(arena, mg_new_leaf(arena, data), MG_OK, NULL);
}

int mg_renew_leaf(mg_node *node, double data) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    bool renewed = node->op == MG_OP_leaf && node->refs == 1 && node->flags == 0 && node->tag == 0;
    if (renewed) {
        node->data = data;
        node->grad = 0.0;
    }
    mg_lock_give(&arena->lock);
    return renewed;
}

mg_node *mg_record(mg_arena *arena, int op, mg_node *x, mg_node *y, mg_status *status) {
    double z;
    mg_node *node = NULL;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x->data, y != NULL ? y->data : 0.0, &z);
    if (wrong == MG_OK)
        node = y != NULL ? mg_new_binary(arena, op, z, x, y) : mg_new_unary(arena, op, z, x);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_record_plain(int op, mg_node *x, mg_node *y) {
    double z;
    mg_node *node = NULL;
    mg_arena *arena = mg_page_of(x)->arena;
    mg_lock_take(&arena->lock);
    int flags = y != NULL ? x->flags | y->flags : x->flags;
    if (arena->plain && (flags & MG_KEEP) == 0 &&
        mg_evaluate(op, x->data, y != NULL ? y->data : 0.0, &z) == MG_OK)
        node = y != NULL ? mg_new_binary(arena, op, z, x, y) : mg_new_unary(arena, op, z, x);
    return mg_hand_over(arena, node, MG_OK, NULL);
}

mg_node *mg_record_plain_number(int op, mg_node *x, double y) {
    double z;
    mg_node *node = NULL;
    mg_arena *arena = mg_page_of(x)->arena;
    mg_lock_take(&arena->lock);
    if (arena->plain && (x->flags & MG_KEEP) == 0 && mg_evaluate(op, x->data, y, &z) == MG_OK)
        node = mg_new_with_number(arena, op, z, x, y);
    return mg_hand_over(arena, node, MG_OK, NULL);
}

mg_node *mg_record_number(mg_arena *arena, int op, mg_node *x, double y, mg_status *status) {
    double z;
    mg_node *node = NULL;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x->data, y, &z);
    if (wrong == MG_OK) node = mg_new_with_number(arena, op, z, x, y);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_record_reflected(mg_arena *arena, int op, double x, mg_node *y, mg_status *status) {
    double z;
    mg_node *node = NULL;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x, y->data, &z);
    if (wrong == MG_OK) node = mg_new_reflected(arena, op, z, x, y);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_record_power(mg_arena *arena, mg_node *x, double exponent, int integer,
                         mg_status *status) {
    double z;
    mg_node *node = NULL;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(MG_OP_exponent, x->data, exponent, &z);
    if (wrong == MG_OK) node = mg_new_power(arena, z, x, exponent, integer != 0);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_record_negative(mg_arena *arena, mg_node *x, mg_status *status) {
    return mg_record_number(arena, MG_OP_multiply, x, -1.0, status);
}

mg_node *mg_record_difference(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status) {
    mg_lock_take(&arena->lock);
    return mg_hand_over(arena, mg_new_difference(arena, x, y), MG_OK, status);
}

mg_node *mg_record_quotient(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_quotient(arena, x, y, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_record_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                          const double *partials, mg_status *status) {
    mg_lock_take(&arena->lock);
    return mg_hand_over(arena, mg_new_custom(arena, data, operands, count, partials), MG_OK,
                        status);
}

mg_node *mg_restore(mg_arena *arena, int op, double data, mg_node *const *operands, size_t count,
                    double exponent, int integer, const double *partials, mg_status *status) {
    mg_lock_take(&arena->lock);
    mg_node *node =
        mg_new_restored(arena, op, data, operands, count, exponent, integer != 0, partials);
    return mg_hand_over(arena, node, MG_OK, status);
}
