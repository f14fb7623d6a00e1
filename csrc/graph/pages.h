/* pages.h: slots for nodes, and the pages they lie in: interior pages in order of creation, leaf
 * pages in any order. */
#ifndef MG_PAGES_H
#define MG_PAGES_H

#include "graph/node.h"

/* ---- dead slots ----
 *
 * Under AddressSanitizer a dead node is poisoned, except what may still be read: the link of the
 * free list, the count of references and the mark. */

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
static inline void mg_bury(mg_node *node) {
    ASAN_POISON_MEMORY_REGION(&node->data, sizeof node->data);
    ASAN_POISON_MEMORY_REGION(mg_links_of(node), sizeof(mg_links));
}
static inline void mg_revive(mg_node *node) {
    ASAN_UNPOISON_MEMORY_REGION(&node->data, sizeof node->data);
    ASAN_UNPOISON_MEMORY_REGION(mg_links_of(node), sizeof(mg_links));
}
#else
static inline void mg_bury(mg_node *node) {
    (void)node;
}
static inline void mg_revive(mg_node *node) {
    (void)node;
}
#endif

/* ---- interior pages ---- */

static inline mg_page *mg_page_at(const mg_segment *segment, size_t i) {
    return (mg_page *)((char *)segment->first + i * MG_HALF_PAGE);
}

/* Start a new interior page; false: no memory. */
bool mg_take_interior_page(mg_arena *arena);
/* Give back an interior page whose last living node has died. */
void mg_retire_page(mg_arena *arena, mg_page *page);

/* Return the next slot in order of creation; NULL: no memory. */
static inline mg_node *mg_take_slot(mg_arena *arena) {
    if (arena->bump == arena->end && !mg_take_interior_page(arena)) return NULL;
    return arena->bump++;
}

/* Write the next count slots, in order of creation, to slots. count is so small that the slots lie
 * in two pages at most. false: no memory, and no slot was taken. */
static inline bool mg_take_slots(mg_arena *arena, mg_node **slots, int count) {
    for (int i = 0; i < count; i++) {
        slots[i] = mg_take_slot(arena);
        if (slots[i] != NULL) continue;
        arena->bump -= i; /* all i slots lie at the end of the newest page: no other was taken */
        return false;
    }
    return true;
}

/* Make a slot a node without operands and without references. */
static inline void mg_fill(mg_node *node, int op, double data) {
    mg_revive(node);
    node->data = data;
    node->grad = 0.0;
    mg_links_of(node)->owner = NULL;
    node->refs = 0;
    node->op = (uint8_t)op;
    node->tag = 0;
    node->flags = 0;
    node->mark = 0;
}

/* ---- leaves ---- */

/* Return a leaf without references; NULL: no memory. */
mg_node *mg_new_leaf(mg_arena *arena, double data);
/* Give the slot of a dead leaf in a leaf page back. */
void mg_free_leaf(mg_arena *arena, mg_node *leaf);

/* ---- all pages ---- */

/* See mg_arena_trim, mg_arena_statistics. */
void mg_trim(mg_arena *arena);
void mg_get_statistics(mg_arena *arena, mg_statistics *out);

#endif
