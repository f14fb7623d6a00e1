/* release.h: references given back, and what dies of that. */
#ifndef MG_RELEASE_H
#define MG_RELEASE_H

#include "graph/node.h"

/* Free a node without references, and all that only it kept alive. */
void mg_free_node(mg_arena *arena, mg_node *node);
/* Give a reference back that was like a parent's: a held node may become an orphan. */
void mg_give_back(mg_arena *arena, mg_node *node);

/* Give the reference of a proxy back. */
static inline void mg_drop(mg_arena *arena, mg_node *node) {
    if (--node->refs == 0) mg_free_node(arena, node);
}

#endif
