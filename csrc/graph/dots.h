/* dots.h: packed dot products: see dots.c. */
#ifndef MG_DOTS_H
#define MG_DOTS_H

#include "graph/node.h"

/* Add to *sum the products of the first terms, all of them nodes or all of them nodes and numbers,
 * for as many as there are and the page under way has room; returns how many those are, 0 if it is
 * not worth while. */
size_t mg_pack(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count, mg_node **sum);
/* Make a packed node the nodes that it stands for; returns the lowest of those. */
mg_node *mg_unpack(mg_node *node);

/* A packed node's lowest slot, where its terms lie. Its left operand is where its sum starts. */
static inline mg_node *mg_packed_first(const mg_node *node) {
    return mg_links_of(node)->right;
}

/* The slots of a term: for the number if it has one, the product and the sum. */
static inline size_t mg_packed_stride(const mg_node *node) {
    return node->flags & MG_NUMBERS ? 3 : 2;
}

static inline size_t mg_packed_terms(const mg_node *node) {
    const size_t slots = (size_t)(node - mg_packed_first(node) + 1);
    return node->flags & MG_NUMBERS ? slots / 3 : slots / 2;
}

#endif
