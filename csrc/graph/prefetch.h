/* prefetch.h: asking for memory in advance.
 *
 * A sweep touches the operands of a node before it comes to the operands themselves, in no order
 * that the processor could foresee. So at each slot of a page the sweep asks for the same slot of a
 * page a few pages ahead. Where the graphs are larger than the caches the sweep also asks for the
 * operands of the node a few dozen nodes ahead, which may lie in the next page. A slot ahead may be
 * dead or unused, or its second operand a number: what is asked for in vain does no harm. */
#ifndef MG_PREFETCH_H
#define MG_PREFETCH_H

#include "compiler.h"
#include "graph/node.h"

#define MG_PAGES_AHEAD 32
#define MG_NODES_AHEAD 64
#define MG_MANY_PAGES 1024 /* 8 MiB: larger than the caches */

/* The page that a sweep asks for. At first that is the sweep's own page. Then it moves by two pages
 * for each page of the sweep, until it is MG_PAGES_AHEAD pages ahead. */
typedef struct {
    const mg_page *page;
    int lead; /* how many pages it is ahead */
} mg_ahead;

/* The distances, in bytes modulo the address space, from a slot to what is asked for. */
typedef struct {
    uintptr_t pages;     /* to the same slot of the page ahead */
    uintptr_t nodes;     /* to the node whose operands are asked for; 0: no operands are */
    uintptr_t to_older;  /* to that node where it lies in the next page: for slots below edge */
    const mg_node *edge; /* MG_NODES_AHEAD slots above the bottom of the page */
} mg_foresight;

/* Return the next older page that the sweep has reached; there is one. */
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

/* Return what the sweep asks for while it walks over this page. */
static inline mg_foresight mg_foresee(const mg_arena *arena, mg_page *page, const mg_ahead *ahead) {
    const uintptr_t distance = MG_NODES_AHEAD * sizeof(mg_node);
    mg_foresight at = {.edge = mg_page_nodes(page) + MG_NODES_AHEAD};
    if (arena->pages > MG_MANY_PAGES) {
        at.nodes = (uintptr_t)0 - distance;
        if (page->older != NULL)
            at.to_older = (uintptr_t)page->older - (uintptr_t)page +
                          MG_PAGE_NODES * sizeof(mg_node) - distance;
    }
    at.pages = (uintptr_t)ahead->page - (uintptr_t)page;
    return at;
}

/* Ask for what lies ahead of this slot. */
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
