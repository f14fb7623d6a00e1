/* node.h: what a node, a page and an arena are. What is done with them stands in the headers beside
 * this one, one for each file. No function there takes the arena's lock: for the public functions
 * of micrograd.h api.c does, and the accelerator in python/ has the interpreter's lock.
 *
 * A page is small, so that a node that is kept for long pins little memory besides its own.
 *
 * A page has two halves, and so has each of its nodes (mg_node, mg_links). A segment holds the
 * pages: first the halves with every mg_node, then, in the same order, the halves with every
 * mg_links. A first half begins at a multiple of its size, so a node's page is the node's address
 * with the low bits cleared. And a sweep over neighbouring pages walks through memory as evenly as
 * over one large page, which the processor foresees.
 *
 * Interior pages are filled from bottom to top and never refilled: (sequence of the page, address)
 * is the order of creation. A page whose last node dies is free as a whole, and gets a new, higher
 * sequence number when the page is taken again.
 *
 * Leaves have no operands, so their order does not matter. They live in leaf pages, each with a
 * free list, so a parameter that lives for ever never pins a page of temporaries. */
#ifndef MG_NODE_H
#define MG_NODE_H

#include <stdbool.h>

#include "graph/lock.h"
#include "graph/operators.h"
#include "micrograd.h"

#define MG_HALF_PAGE ((size_t)4096)
#define MG_PAGE_SIZE (2 * MG_HALF_PAGE)
#define MG_SEGMENT_PAGES 128

enum {                  /* flags of a node */
       MG_EXTRA = 1,    /* has an extra */
       MG_KEEP = 2,     /* its proxy has state to be kept while the node has parents */
       MG_HELD = 4,     /* the binding holds a reference to the proxy for this node */
       MG_ORPHAN = 8,   /* on the list of orphans */
       MG_CLOSURE = 16, /* the binding computes the node's backward */
       MG_INTEGER = 32, /* the exponent was written as an integer */
       MG_NUMBERS = 32, /* of a packed node: its terms are nodes times numbers */
       MG_CYCLIC = 128, /* its proxy's state may refer back to Values above it */
       MG_LISTED = 64   /* seen already: a leaf with a closure by the order being made, a parameter
                           by the clipping of gradients under way */
};

/* An extra: the fields that few nodes need, in an allocation of their own. */
typedef struct mg_extra {
    void *owner;          /* the proxy, as in mg_links, where the extra takes its place */
    void *bound;          /* what the binding keeps with the proxy of a node above cyclic nodes */
    mg_node *next_orphan; /* the next node on the list of orphans */
    size_t count;         /* custom: number of operands */
    mg_rule rule;         /* custom: what the node computes in a trace */
    uint32_t bound_by;    /* while cycles are exposed: parents bound so far; else 0 */
    mg_node **operands;   /* custom: count nodes */
    double *partials;     /* custom: count partial derivatives; NULL: none were given */
    double room[];        /* custom: where the partials lie, then the operands */
} mg_extra;

/* The half of a node that its parents look at. Recording a parent reads data and counts a
 * reference; the backward of a parent adds to grad and sets mark. The parents do so in any order,
 * so the less memory these halves take, the better. The other half is mg_links. */
struct mg_node {
    double data;
    union {
        double grad;
        mg_node *next; /* while the node is being freed or is on a free list */
    };
    uint32_t refs; /* parents, plus one for the owner */
    uint8_t op;
    uint8_t tag; /* a number of the binding's own, 0 at first; MG_WIDE_TAG: see mg_links */
    uint8_t flags;
    uint8_t mark; /* interior page: reached by the sweep under way; 0 between sweeps */
};

/* The half of a node that is looked at in the node's own turn alone. Three layouts: an ordinary
 * node; one term of a packed node; and, behind the last term, the rest of a packed node. */
typedef union {
    struct {
        union {
            mg_node *left; /* first operand */
            uint32_t tag;  /* of a leaf whose mg_node has the tag MG_WIDE_TAG */
        };
        union {
            mg_node *right; /* second operand */
            double exponent;
            double number; /* a term: the second factor, where that is a number */
        };
        union {
            void *owner;     /* the proxy, without a reference to it; NULL: none */
            mg_extra *extra; /* of a node with MG_EXTRA */
            double product;  /* a term: the product of its factors */
        };
    };
    struct {          /* the rest of a packed node */
        double start; /* the number that the sum starts from */
        double grad;  /* the gradient of every node inside, once swept */
        bool swept;   /* a backward has passed the node */
    } rest;
    char size[sizeof(mg_node)]; /* equal halves: MG_TO_LINKS leads from each to the other */
} mg_links;

_Static_assert(sizeof(mg_node) + sizeof(mg_links) <= 48, "a node has at most 48 bytes");
_Static_assert(sizeof(mg_node) == sizeof(mg_links), "both halves of a node have one size");

typedef struct mg_segment mg_segment;
typedef struct mg_page mg_page;

struct mg_segment {
    uint32_t used; /* number of pages that are not free */
    mg_page *first;
    mg_segment *next;
};

struct mg_page {
    _Alignas(64)           /* so that the nodes behind lie in as few lines of the cache as can be */
        uint64_t sequence; /* age of an interior page; MG_LEAF_PAGE; 0: the page is free */
    mg_node *low;          /* lowest node the sweep has reached, MG_NONE_REACHED: none */
    mg_page *older;        /* neighbours on the list of interior, free or roomy leaf pages */
    mg_page *newer;
    mg_segment *segment;
    mg_arena *arena;
    union {
        mg_node *free; /* leaf page: list of free slots below bump */
        mg_node *high; /* interior: highest node to be freed, NULL: none */
    };
    uint32_t alive; /* leaf page: living leaves; interior: living nodes plus slots never used */
    uint32_t bump;  /* leaf page: number of slots used so far */
};

#define MG_PAGE_NODES ((uint32_t)((MG_HALF_PAGE - sizeof(mg_page)) / sizeof(mg_node)))

/* The distance from an mg_node to its mg_links, in bytes. The second half of a page begins with the
 * mg_links of the first node. */
#define MG_TO_LINKS (MG_SEGMENT_PAGES * MG_HALF_PAGE - sizeof(mg_page))

/* Above every address: `node < page->low` asks whether low is to be lowered. In a leaf page low is
 * NULL, so the answer is always no. */
#define MG_NONE_REACHED ((mg_node *)UINTPTR_MAX)

#define MG_LEAF_PAGE UINT64_MAX

typedef struct mg_allocation mg_allocation;

struct mg_arena {
    mg_node *bump; /* the next free slot of the newest interior page */
    mg_node *end;  /* the end of that page */
    mg_page *newest;
    uint64_t sequence;  /* of the newest interior page */
    mg_page *leaf_page; /* where leaves are being made */
    mg_page *roomy;     /* other leaf pages with a free slot */
    mg_page *free;      /* free pages */
    mg_segment *segments;
    size_t pages; /* interior and leaf pages */
    size_t free_pages;
    size_t leaves;
    size_t closures;       /* nodes with MG_CLOSURE */
    size_t kept;           /* nodes with MG_KEEP */
    mg_node *orphans;      /* held nodes that have lost their last parent */
    mg_allocation *blocks; /* everything taken from the system */
    size_t bytes;
    size_t fail_after;
    bool plain;               /* see mg_arena_set_plain */
    bool gave_up;             /* interrupted() has said to, since the work under way began */
    int (*interrupted)(void); /* see mg_arena_set_poll */
    size_t unpolled;          /* steps of long work since it was called last */
    size_t recordings;        /* recordings under way: leaves are made in order of creation */
    mg_lock lock;
    mg_arena *next; /* on the list of all arenas, see memory.c */
};

/* The number of operands, or MG_ARITY_CUSTOM, MG_ARITY_PACKED. */
static inline unsigned char mg_arity(const mg_node *node) {
    return mg_arities[node->op];
}

static inline mg_page *mg_page_of(const mg_node *node) {
    return (mg_page *)((uintptr_t)node & ~(uintptr_t)(MG_HALF_PAGE - 1));
}

static inline mg_node *mg_page_nodes(mg_page *page) {
    return (mg_node *)(page + 1);
}

static inline mg_links *mg_links_of(const mg_node *node) {
    return (mg_links *)((uintptr_t)node + MG_TO_LINKS);
}

/* The extra of a node with MG_EXTRA. */
static inline mg_extra *mg_extra_of(const mg_node *node) {
    return mg_links_of(node)->extra;
}

/* Whether a node was made since the start of a recording, in which leaves too are made in order of
 * creation. */
static inline bool mg_is_recent(const mg_node *node, const mg_position *start) {
    uint64_t sequence = mg_page_of(node)->sequence;
    if (sequence == MG_LEAF_PAGE) return false;
    return sequence != start->sequence ? sequence > start->sequence
                                       : (uintptr_t)node >= start->place;
}

/* See mg_node_is_fresh. */
static inline bool mg_is_fresh(const mg_node *node, const mg_position *start) {
    return node->refs == 1 && mg_is_recent(node, start);
}

/* See mg_node_serial. */
static inline uint64_t mg_serial(const mg_node *node) {
    mg_page *page = mg_page_of(node);
    if (page->sequence == MG_LEAF_PAGE) return 0;
    return page->sequence * MG_PAGE_NODES + (uint64_t)(node - mg_page_nodes(page));
}

#endif
