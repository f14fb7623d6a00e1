/* keep.h: what a binding has beside a node: the proxy that shows the node, a tag, and state to be
 * kept. micrograd.h says what a binding does with them. */
#ifndef MG_KEEP_H
#define MG_KEEP_H

#include "graph/node.h"

/* The proxy of a node, without a reference to the proxy; NULL: none. */
static inline void *mg_owner(const mg_node *node) {
    return node->flags & MG_EXTRA ? mg_extra_of(node)->owner : mg_links_of(node)->owner;
}

static inline void mg_set_owner(mg_node *node, void *owner) {
    if (node->flags & MG_EXTRA)
        mg_extra_of(node)->owner = owner;
    else
        mg_links_of(node)->owner = owner;
}

/* See mg_node_tag, mg_node_set_tag. */
static inline uint32_t mg_tag_of(const mg_node *node) {
    return node->tag == MG_WIDE_TAG ? mg_links_of(node)->tag : node->tag;
}

static inline bool mg_set_tag(mg_node *node, uint32_t tag) {
    const bool wide = tag >= MG_WIDE_TAG;
    if (wide && node->op != MG_OP_leaf) return false;
    if (wide) mg_links_of(node)->tag = tag;
    node->tag = (uint8_t)(wide ? MG_WIDE_TAG : tag);
    return true;
}

/* See mg_node_set_closure. */
static inline void mg_set_closure(mg_arena *arena, mg_node *node, bool closure) {
    bool before = (node->flags & MG_CLOSURE) != 0;
    if (closure && !before) arena->closures++;
    if (!closure && before) arena->closures--;
    node->flags = (uint8_t)(closure ? node->flags | MG_CLOSURE : node->flags & ~MG_CLOSURE);
}

/* See mg_node_hold. */
static inline bool mg_hold(mg_node *node) {
    if ((node->flags & (MG_KEEP | MG_HELD)) != MG_KEEP || node->refs < 2) return false;
    node->flags |= MG_HELD;
    return true;
}

/* See mg_node_keep, mg_node_unkeep, mg_node_unhold. */
mg_status mg_keep(mg_arena *arena, mg_node *node);
bool mg_unkeep(mg_arena *arena, mg_node *node);
bool mg_unhold(mg_node *node, size_t parents);
/* See mg_arena_next_above_cyclic; here the caller gets no reference. */
mg_node *mg_next_above_cyclic(mg_arena *arena, mg_node *node);
/* See mg_arena_next_orphan. */
mg_node *mg_next_orphan(mg_arena *arena);

#endif
