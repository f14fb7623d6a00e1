/* dots.h: packed dot products. dots.c says what they are. */
#ifndef MG_DOTS_H
#define MG_DOTS_H

#include "graph/node.h"

/* Pack first terms of a dot product: record *sum + ws[0] * xs[0] + ws[1] * xs[1] + ... as a packed
 * node, and write that node to *sum. ws and xs have count terms. All packed ws are nodes, and all
 * packed xs are nodes or all are numbers; the terms are as many as are so and find room in the page
 * under way. Returns how many terms were packed; 0, and *sum is as it was, where fewer than two
 * could be or there is no memory. */
size_t mg_pack(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count, mg_node **sum);
/* Replace a packed node by the nodes that it stands for; return the lowest of these. */
mg_node *mg_unpack(mg_node *node);

/* A packed node's lowest slot, whose mg_links is the first term. The left operand of the packed
 * node is the node that the sum starts from. */
static inline mg_node *mg_packed_first(const mg_node *node) {
    return mg_links_of(node)->right;
}

/* The number of slots of a term: one for the number, if the terms have numbers, one for the product
 * and one for the sum. */
static inline size_t mg_packed_stride(const mg_node *node) {
    return node->flags & MG_NUMBERS ? 3 : 2;
}

static inline size_t mg_packed_terms(const mg_node *node) {
    const size_t slots = (size_t)(node - mg_packed_first(node) + 1);
    return node->flags & MG_NUMBERS ? slots / 3 : slots / 2;
}

#endif
