/* backward.h: gradients, and the order in which they are pushed. */
#ifndef MG_BACKWARD_H
#define MG_BACKWARD_H

#include "graph/node.h"

/* A node and a gradient that it had. */
typedef struct {
    mg_node *node;
    double grad;
} mg_earlier;

struct mg_order {
    size_t count;
    size_t capacity;
    size_t next;         /* the place of the node to be pushed next */
    mg_node **nodes;     /* count nodes, borrowed */
    mg_earlier *earlier; /* set_aside gradients, see mg_set_aside */
    size_t set_aside;
    size_t room;
};

/* Return the nodes that a backward from root visits, in its order, to be freed with mg_drop_order.
 * NULL: no memory, or given up (mg_why). */
mg_order *mg_list(mg_arena *arena, mg_node *root);
/* Return such an order without what lies below nodes older than start, and without the leaves that
 * mg_list puts at the end. */
mg_order *mg_list_since(mg_arena *arena, mg_node *root, const mg_position *start);
void mg_drop_order(mg_arena *arena, mg_order *order);

/* See mg_backward, mg_order_next, mg_order_set_aside, mg_order_put_back, mg_push,
 * mg_node_partial. */
mg_status mg_sweep(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit);
mg_status mg_resume(mg_order *order, mg_node **closure, mg_node **culprit);
bool mg_set_aside(mg_arena *arena, mg_order *order, mg_node *const *nodes, size_t count);
void mg_put_back(mg_order *order);
mg_status mg_push_node(mg_node *node);
mg_status mg_partial(const mg_node *node, size_t i, double *partial);

/* See mg_node_has_partials, mg_order_done. */
static inline bool mg_has_partials(const mg_node *node) {
    return node->op != MG_OP_custom || mg_extra_of(node)->partials != NULL;
}

static inline bool mg_is_done(const mg_order *order) {
    return order->next == order->count;
}

#endif
