/* prefetch.h: asking for memory in advance.
 *
 * A sweep touches the operands of a node before it comes to them itself, in no order that the
 * processor could foresee. So while it walks over one page it asks, slot by slot, for the page that
 * it will come to a few pages later; and where the graphs are larger than the caches, for the
 * operands of the node that it will come to a few dozen nodes later, be it in the next page. A slot
 * may be dead or unused or its second operand a number: what is asked for in vain does no harm. */
#ifndef MG_PREFETCH_H
#define MG_PREFETCH_H

#include "compiler.h"
#include "graph/node.h"

#define MG_PAGES_AHEAD 32
#define MG_NODES_AHEAD 64
#define MG_MANY_PAGES 1024 /* 8 MiB */

/* The page that a sweep asks for. At first it is the sweep's own, and then two pages for each of
 * the sweep's, until it is far enough ahead. */
typedef struct {
    const mg_page *page;
    int lead;
} mg_ahead;

/* Distances are in bytes, modulo the address space. */
typedef struct {
    uintptr_t pages;    /* from a slot to that in the page a few pages ahead */
    uintptr_t nodes;    /* from a slot to the one whose operands are asked for, 0: to none */
    uintptr_t to_older; /* the same below the edge, where the page has no more slots ahead */
    const mg_node *edge;
} mg_foresight;

/* The next older page that the sweep has reached: there is one. */
static inline mg_page *mg_next_reached(mg_page *page, mg_ahead *ahead) {
    do {
        page = page->older;
        if (ahead->page->older != NULL) ahead->page = ahead->page->older;
        if (ahead->lead < MG_PAGES_AHEAD && ahead->page->older != NULL) {
            ahead->page = ahead->page->older;
            ahead->lead++;
        }
        MG_PREFETCH(ahead->page->older); /* for the next step */
    } while (page->low == MG_NONE_REACHED);
    return page;
}

/* What a sweep asks for while it walks over this page. */
static inline mg_foresight mg_foresee(const mg_arena *arena, mg_page *page, const mg_ahead *ahead) {
    const uintptr_t far = MG_NODES_AHEAD * sizeof(mg_node);
    mg_foresight at = {.edge = mg_page_nodes(page) + MG_NODES_AHEAD};
    if (arena->pages > MG_MANY_PAGES) {
        at.nodes = (uintptr_t)0 - far;
        if (page->older != NULL)
            at.to_older =
                (uintptr_t)page->older - (uintptr_t)page + MG_PAGE_NODES * sizeof(mg_node) - far;
    }
    at.pages = (uintptr_t)ahead->page - (uintptr_t)page;
    return at;
}

static inline void mg_ask(const mg_foresight *at, const mg_node *node) {
    MG_PREFETCH((uintptr_t)node + at->pages);
#if !defined(__SANITIZE_ADDRESS__)
    if (at->nodes != 0) {
        uintptr_t way = node < at->edge ? at->to_older : at->nodes;
        const mg_links *links = mg_links_of((const mg_node *)((uintptr_t)node + way));
        MG_PREFETCH(mg_links_of((const mg_node *)((uintptr_t)node + at->pages)));
        MG_PREFETCH(links->left);
        MG_PREFETCH(links->right);
    }
#endif
}

#endif
