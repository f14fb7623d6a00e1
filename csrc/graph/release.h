/* release.h: references given back, and the nodes that die of that. */
#ifndef MG_RELEASE_H
#define MG_RELEASE_H

#include "graph/node.h"

/* Free a node without references, and all that only this node kept alive. */
void mg_free_node(mg_arena *arena, mg_node *node);
/* Give a reference back as a parent does: a held node that is left with one reference, that of its
 * proxy, becomes an orphan. */
void mg_give_back(mg_arena *arena, mg_node *node);

/* Give the reference of a proxy back. The node itself does not become an orphan; operands of a node
 * that dies of this may. */
static inline void mg_drop(mg_arena *arena, mg_node *node) {
    if (--node->refs == 0) mg_free_node(arena, node);
}

#endif
