/* keep.c: state that a binding keeps beside a node, and the cycles that such state may close.
 * micrograd.h says what a binding does with them. */
#include "graph/keep.h"

#include "graph/look.h"
#include "graph/memory.h"

/* Return the node's extra, made if there was none; NULL: no memory. */
static mg_extra *attach_extra(mg_arena *arena, mg_node *node) {
    if (node->flags & MG_EXTRA) return mg_extra_of(node);
    mg_extra *extra = mg_allocate(arena, sizeof *extra);
    if (extra == NULL) return NULL;
    extra->owner = mg_links_of(node)->owner;
    extra->bound = NULL;
    extra->bound_by = 0;
    extra->next_orphan = NULL;
    extra->count = 0;
    extra->operands = NULL;
    extra->partials = NULL;
    mg_links_of(node)->extra = extra;
    node->flags |= MG_EXTRA;
    return extra;
}

mg_status mg_keep(mg_arena *arena, mg_node *node) {
    if (attach_extra(arena, node) == NULL) return MG_NO_MEMORY;
    if (!(node->flags & MG_KEEP)) arena->kept++;
    node->flags |= MG_KEEP;
    return MG_OK;
}

bool mg_unkeep(mg_arena *arena, mg_node *node) {
    bool held = (node->flags & MG_HELD) != 0;
    if (node->flags & MG_KEEP) arena->kept--;
    if (node->flags & MG_ORPHAN) {
        mg_node **link = &arena->orphans;
        while (*link != node) link = &mg_extra_of(*link)->next_orphan;
        *link = mg_extra_of(node)->next_orphan;
    }
    node->flags &= (uint8_t) ~(MG_KEEP | MG_HELD | MG_ORPHAN | MG_CYCLIC);
    return held;
}

bool mg_unhold(mg_node *node, size_t parents) {
    if ((node->flags & (MG_HELD | MG_ORPHAN)) != MG_HELD || node->refs != parents + 1) return false;
    node->flags &= (uint8_t)~MG_HELD;
    return true;
}

static bool is_above_cyclic(const mg_node *node) {
    size_t arity = node->refs != 0 ? mg_arity_of(node) : 0;
    for (size_t i = 0; i < arity; i++)
        if (mg_operand_of(node, i)->flags & MG_CYCLIC) return true;
    return false;
}

mg_node *mg_next_above_cyclic(mg_arena *arena, mg_node *node) {
    mg_page *page = arena->newest;
    if (node != NULL)
        page = mg_page_of(node++);
    else
        while (page != NULL && page->older != NULL) page = page->older;
    for (; page != NULL; page = page->newer, node = NULL) {
        bool filling = page == arena->newest && arena->bump != NULL;
        mg_node *end = filling ? arena->bump : mg_page_nodes(page) + MG_PAGE_NODES;
        for (node = node != NULL ? node : mg_page_nodes(page); node < end; node++) {
            if (node->refs != 0 && node->op == MG_OP_packed) node = mg_unpack(node);
            if (is_above_cyclic(node)) return node;
        }
    }
    return NULL;
}

mg_node *mg_next_orphan(mg_arena *arena) {
    while (arena->orphans != NULL) {
        mg_node *node = arena->orphans;
        arena->orphans = mg_extra_of(node)->next_orphan;
        node->flags &= (uint8_t)~MG_ORPHAN;
        if (node->refs > 1) continue; /* the node has got a parent again: it stays held */
        node->flags &= (uint8_t)~MG_HELD;
        return node;
    }
    return NULL;
}
