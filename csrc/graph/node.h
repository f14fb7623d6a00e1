/* node.h: what a node, a page and an arena are, and the short paths over them. Internal: shared by
 * the library's files and by the accelerator in python/, which calls nothing here without holding
 * the interpreter's lock; the public functions of micrograd.h lock the arena themselves.
 *
 * Pages are small, so that a node that is kept for long pins little memory besides its own. They
 * come in segments: first the halves of all its pages that hold what is most asked for of nodes,
 * each at a multiple of its size, so that a node's page is its address with the low bits cleared;
 * then, in the same order, the other halves. So a sweep over neighbouring pages walks through
 * memory as evenly as over one large page, which the processor foresees. Interior pages are filled
 * from bottom to top and never refilled: (sequence of the page, address) is the order of creation.
 * A page whose last node dies is free as a whole and gets a new, higher sequence number when it is
 * taken again. Leaves have no operands, so their order does not matter: they live in pages of their
 * own, with a free list each, and a parameter that lives for ever never pins a page of temporaries.
 */
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
       MG_HELD = 4,     /* ... and the binding holds a reference to the proxy for it */
       MG_ORPHAN = 8,   /* on the list of orphans */
       MG_CLOSURE = 16, /* the binding computes its backward */
       MG_INTEGER = 32, /* the exponent was written as an integer */
       MG_NUMBERS = 32, /* of a folded node: its terms are nodes times numbers */
       MG_CYCLIC = 128, /* its proxy's state may refer back to Values above it */
       MG_LISTED = 64   /* a leaf with a closure, on the order being made */
};

/* What few nodes have. */
typedef struct mg_extra {
    void *owner;          /* as in the node, whose field points here instead */
    void *bound;          /* what the binding keeps with the proxy of a node above cyclic ones */
    mg_node *next_orphan; /* the list of orphans */
    size_t count;         /* custom: number of operands */
    mg_rule rule;         /* custom */
    mg_node **operands;   /* custom */
    double *partials;     /* custom: given partial derivatives, or NULL */
    double room[];        /* custom: partials, then operands */
} mg_extra;

/* A node has two halves, which lie in the two halves of its page. This is the half that its parents
 * look at: recording them reads data and counts a reference, backward adds to grad and sets mark.
 * They do so in any order, so that the less memory these halves take, the better; see mg_links. */
struct mg_node {
    double data;
    union {
        double grad;
        mg_node *next; /* while the node is being freed or is on a free list */
    };
    uint32_t refs; /* parents, plus one for the owner */
    uint8_t op;
    uint8_t tag; /* a number of the binding's own, 0 at first */
    uint8_t flags;
    uint8_t mark; /* interior page: reached by the sweep under way; 0 between sweeps */
};

/* The half that is looked at in the node's turn alone. */
typedef union {
    struct {
        union {
            mg_node *left; /* first operand */
            uint32_t tag;  /* of a leaf whose own says MG_WIDE_TAG */
        };
        union {
            mg_node *right; /* second operand */
            double exponent;
            double number; /* of a term of a folded node, instead of a second operand */
        };
        union {
            void *owner;     /* the proxy of this node, not counted; NULL: none */
            mg_extra *extra; /* with MG_EXTRA */
            double product;  /* of a term of a folded node */
        };
    };
    struct {          /* of a folded node, behind its terms */
        double start; /* what the sum started from */
        double grad;  /* once swept: of every node inside */
        bool swept;   /* by a backward */
    } rest;
    char size[sizeof(mg_node)]; /* as large, so that the way from one to the other is a constant */
} mg_links;

_Static_assert(sizeof(mg_node) + sizeof(mg_links) <= 48, "a node has at most 48 bytes");
_Static_assert(sizeof(mg_node) == sizeof(mg_links), "both halves of a node have one size");

typedef struct mg_segment mg_segment;
typedef struct mg_page mg_page;

struct mg_page {
    _Alignas(64) /* so that the nodes behind it lie in as few lines of the cache as can be */
        uint64_t sequence; /* age of an interior page; all bits set in a leaf page */
    mg_node *low;          /* lowest node the sweep has reached, MG_NONE_REACHED: none */
    mg_page *older;        /* neighbours among the interior, the free or the roomy leaf pages */
    mg_page *newer;
    mg_segment *segment;
    mg_arena *arena;
    union {
        mg_node *free; /* leaf page: free slots below bump */
        mg_node *high; /* interior: highest node to be freed, NULL: none */
    };
    uint32_t alive; /* leaf page: living leaves; interior: living nodes plus slots never used */
    uint32_t bump;  /* leaf page: slots used so far */
};

#define MG_PAGE_NODES ((uint32_t)((MG_HALF_PAGE - sizeof(mg_page)) / sizeof(mg_node)))

/* From a node to its other half: that of a page's first node begins the other half of the page. */
#define MG_TO_LINKS (MG_SEGMENT_PAGES * MG_HALF_PAGE - sizeof(mg_page))

/* Above every address: `node < page->low` asks whether to lower it. In a leaf page low is NULL,
 * so the question is always answered with no. */
#define MG_NONE_REACHED ((mg_node *)UINTPTR_MAX)

#define MG_LEAF_PAGE UINT64_MAX

typedef struct mg_block mg_block;

struct mg_arena {
    mg_node *bump; /* the next free slot of the newest interior page */
    mg_node *end;  /* its end */
    mg_page *newest;
    uint64_t sequence;  /* of the newest interior page */
    mg_page *leaf_page; /* where leaves are being made */
    mg_page *roomy;     /* other leaf pages with a free slot */
    mg_page *free;      /* free pages */
    size_t pages;       /* taken */
    size_t free_pages;
    size_t leaves;
    size_t closures;  /* nodes with MG_CLOSURE */
    size_t kept;      /* nodes with MG_KEEP */
    mg_node *orphans; /* held nodes that have lost their last parent */
    mg_block *blocks; /* everything taken from the system */
    size_t bytes;
    size_t fail_after;
    bool plain;               /* see mg_arena_set_plain */
    bool gave_up;             /* interrupted() has said so, since the work under way began */
    int (*interrupted)(void); /* see mg_arena_set_poll */
    size_t recordings;        /* traces being recorded: leaves lie in order of creation */
    mg_lock lock;
    mg_arena *next; /* of all arenas, see memory.c */
};

/* The number of operands, or MG_ARITY_CUSTOM, MG_ARITY_FOLDED. */
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

/* With MG_EXTRA. */
static inline mg_extra *mg_extra_of(const mg_node *node) {
    return mg_links_of(node)->extra;
}

/* A folded node's lowest slot, where its terms lie. Its left operand is where its sum starts. */
static inline mg_node *mg_folded_first(const mg_node *node) {
    return mg_links_of(node)->right;
}

/* The slots of a term: for the number if it has one, the product and the sum. */
static inline size_t mg_folded_stride(const mg_node *node) {
    return node->flags & MG_NUMBERS ? 3 : 2;
}

static inline size_t mg_folded_terms(const mg_node *node) {
    const size_t slots = (size_t)(node - mg_folded_first(node) + 1);
    return node->flags & MG_NUMBERS ? slots / 3 : slots / 2;
}

/* Whether a node was made since then, its leaves lying in order. */
static inline bool mg_is_recent(const mg_node *node, const mg_position *start) {
    uint64_t sequence = mg_page_of(node)->sequence;
    if (sequence == MG_LEAF_PAGE) return false;
    return sequence != start->sequence ? sequence > start->sequence
                                       : (uintptr_t)node >= start->place;
}

/* ---- long work ---- */

/* To be asked at each step of it; true: give up. */
static inline bool mg_gives_up(mg_arena *arena, size_t step) {
    if ((step & 0x7fff) == 0x7fff && arena->interrupted != NULL && arena->interrupted() != 0)
        arena->gave_up = true;
    return arena->gave_up;
}

/* The work that was to ask is over. */
static inline void mg_forget_poll(mg_arena *arena) {
    arena->interrupted = NULL;
    arena->gave_up = false;
}

/* Why work has failed that takes memory. */
static inline mg_status mg_why(const mg_arena *arena) {
    return arena->gave_up ? MG_INTERRUPTED : MG_NO_MEMORY;
}

/* ---- memory.c: everything taken from the system passes here ---- */

/* size bytes, all zero, aligned for any type, or NULL. */
void *mg_allocate(mg_arena *arena, size_t size);
/* The same block with a new size, perhaps elsewhere; NULL: it is as it was. */
void *mg_reallocate(mg_arena *arena, void *memory, size_t size);
void mg_deallocate(mg_arena *arena, void *memory);

/* ---- pages.c ---- */

/* Start a new interior page; false: no memory. */
bool mg_take_interior_page(mg_arena *arena);
/* A page whose last living node died. */
void mg_retire_page(mg_arena *arena, mg_page *page);
mg_node *mg_new_leaf(mg_arena *arena, double data);
/* Give a dead leaf's slot back. */
void mg_free_leaf(mg_arena *arena, mg_node *leaf);
void mg_trim(mg_arena *arena);
void mg_get_statistics(mg_arena *arena, mg_statistics *out);
/* The node's extra, made if it has none; NULL: no memory. */
mg_extra *mg_attach_extra(mg_arena *arena, mg_node *node);
mg_status mg_keep(mg_arena *arena, mg_node *node);
bool mg_unhold(mg_node *node, size_t parents);
mg_node *mg_next_above_cyclic(mg_arena *arena, mg_node *node);
/* The opposite of mg_keep: 1 if the proxy was held; the reference is the caller's now. */
bool mg_unkeep(mg_arena *arena, mg_node *node);
mg_node *mg_next_orphan(mg_arena *arena);

/* ---- release.c ---- */

/* Free a node without references, and all that only it kept alive. */
void mg_free_node(mg_arena *arena, mg_node *node);
/* Give a reference back that was like a parent's: a held node may become an orphan. */
void mg_give_back(mg_arena *arena, mg_node *node);

/* ---- record.c ---- */

mg_node *mg_new_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                       const double *partials);

mg_node *mg_new_restored(mg_arena *arena, int op, double data, mg_node *const *operands,
                         size_t count, double exponent, bool integer, const double *partials);

/* End a public function, which has locked the arena: hand the new node to the caller, with one
 * reference, or say in *why that there is none. */
mg_node *mg_hand_over(mg_arena *arena, mg_node *node, mg_status status, mg_status *why);

/* ---- dots.c ---- */

/* Add to *sum the products of the first terms, all of them nodes or all of them nodes and numbers,
 * for as many as there are and the page under way has room; returns how many those are, 0 if it is
 * not worth while. */
size_t mg_fold(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count, mg_node **sum);
/* Make a folded node what it stands for; returns the lowest of those nodes. */
mg_node *mg_unfold(mg_node *node);

/* ---- operators.c: as the public functions, unlocked ---- */

int mg_operator_of(const mg_node *node);
size_t mg_arity_of(const mg_node *node);
mg_node *mg_operand_of(const mg_node *node, size_t i);

/* ---- expressions.c: as the public functions, unlocked, the node without a reference for the
 * caller ----
 */

mg_node *mg_new_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                    const mg_term *bias, int op, mg_status *status);
mg_node *mg_new_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
mg_node *mg_new_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
mg_status mg_new_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
mg_status mg_new_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
mg_node *mg_new_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status);
mg_node *mg_new_logistic(mg_arena *arena, const mg_term *logits, const mg_term *targets,
                         size_t count, mg_status *status);
mg_node *mg_new_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                              mg_status *status);
mg_node *mg_new_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets,
                    size_t count, mg_status *status);
mg_node *mg_new_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                      mg_status *status);

/* ---- program/trace.c: as the public functions, unlocked ---- */

void mg_start_recording(mg_arena *arena, mg_position *start);
mg_node *mg_new_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                     size_t count);
mg_trace *mg_make_trace(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                        mg_node *const *inputs, size_t count, mg_status *status, mg_node **culprit);
void mg_drop_trace(mg_arena *arena, mg_trace *trace);

/* ---- optimizers.c: as the public functions, unlocked ---- */

void mg_update_sgd(mg_node *const *nodes, size_t count, const mg_sgd *how, double *buffer);
void mg_update_adam(mg_node *const *nodes, size_t count, const mg_adam *how, double *m, double *v);
void mg_clear_grads(mg_node *const *nodes, size_t count);

/* ---- backward.c ---- */

/* The nodes a backward from root visits, in that order; NULL: no memory. */
mg_order *mg_list(mg_arena *arena, mg_node *root);
/* The same without what lies below nodes older than start. */
mg_order *mg_list_since(mg_arena *arena, mg_node *root, const mg_position *start);

mg_status mg_sweep(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit);
mg_status mg_resume(mg_order *order, mg_node **closure, mg_node **culprit);
bool mg_is_done(const mg_order *order);
mg_status mg_push_node(mg_node *node);
mg_status mg_partial(const mg_node *node, size_t i, double *partial);

/* ---- dead slots ----
 *
 * Under AddressSanitizer, whatever of a dead node nobody may touch is poisoned: all but the link of
 * the free list, the count of references and the mark. */

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

/* See to it that a node is not folded. What it is to others does not change by that. */
static inline void mg_open(const mg_node *node) {
    if (node->op == MG_OP_folded) mg_unfold((mg_node *)(uintptr_t)node);
}

/* ---- asking for memory in advance ----
 *
 * A sweep touches the operands of a node before it comes to them itself, in no order that the
 * processor could foresee. So while it walks over one page it asks, slot by slot, for the page that
 * it will come to a few pages later; and where the graphs are larger than the caches, for the
 * operands of the node that it will come to a few dozen nodes later, be it in the next page. A slot
 * may be dead or unused or its second operand a number: what is asked for in vain does no harm. */

#if defined(__GNUC__)
#define mg_prefetch(address) __builtin_prefetch((const void *)(address), 1)
#else
#define mg_prefetch(address) ((void)(address))
#endif

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
mg_page *mg_next_reached(mg_page *page, mg_ahead *ahead);

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
    mg_prefetch((uintptr_t)node + at->pages);
#if !defined(__SANITIZE_ADDRESS__)
    if (at->nodes != 0) {
        uintptr_t way = node < at->edge ? at->to_older : at->nodes;
        const mg_links *links = mg_links_of((const mg_node *)((uintptr_t)node + way));
        mg_prefetch(mg_links_of((const mg_node *)((uintptr_t)node + at->pages)));
        mg_prefetch(links->left);
        mg_prefetch(links->right);
    }
#endif
}

/* ---- the short paths ---- */

/* Fill a fresh slot. The node has no references yet. */
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

/* The next slot in creation order; NULL: no memory. */
static inline mg_node *mg_next_slot(mg_arena *arena) {
    if (arena->bump == arena->end && !mg_take_interior_page(arena)) return NULL;
    return arena->bump++;
}

/* The next two slots, in creation order; false: no memory, and nothing was taken. */
static inline bool mg_next_two_slots(mg_arena *arena, mg_node **first, mg_node **second) {
    if ((*first = mg_next_slot(arena)) == NULL) return false;
    if ((*second = mg_next_slot(arena)) != NULL) return true;
    arena->bump--; /* the page that was full before is still the newest */
    return false;
}

/* The references that a node's operands get by this are the caller's to count. */
static inline void mg_link(mg_node *node, mg_node *left, mg_node *right) {
    mg_links *links = mg_links_of(node);
    links->left = left;
    links->right = right;
}

/* z = op(x, y) was evaluated: record it. NULL: no memory. */
static inline mg_node *mg_new_binary(mg_arena *arena, int op, double z, mg_node *x, mg_node *y) {
    mg_node *node = mg_next_slot(arena);
    if (node == NULL) return NULL;
    mg_fill(node, op, z);
    mg_link(node, x, y);
    x->refs++;
    y->refs++;
    return node;
}

/* z = op(x, y) was evaluated, y a number, which becomes a leaf beside the node. */
static inline mg_node *mg_new_with_number(mg_arena *arena, int op, double z, mg_node *x, double y) {
    mg_node *leaf, *node;
    if (!mg_next_two_slots(arena, &leaf, &node)) return NULL;
    mg_fill(leaf, MG_OP_leaf, y);
    leaf->refs = 1;
    mg_fill(node, op, z);
    mg_link(node, x, leaf);
    x->refs++;
    return node;
}

/* z = op(x, y) was evaluated, x a number, which becomes a leaf. */
static inline mg_node *mg_new_reflected(mg_arena *arena, int op, double z, double x, mg_node *y) {
    mg_node *leaf, *node;
    if (!mg_next_two_slots(arena, &leaf, &node)) return NULL;
    mg_fill(leaf, MG_OP_leaf, x);
    leaf->refs = 1;
    mg_fill(node, op, z);
    mg_link(node, leaf, y);
    y->refs++;
    return node;
}

static inline mg_node *mg_new_unary(mg_arena *arena, int op, double z, mg_node *x) {
    mg_node *node = mg_next_slot(arena);
    if (node == NULL) return NULL;
    mg_fill(node, op, z);
    mg_links_of(node)->left = x;
    x->refs++;
    return node;
}

/* x to the constant power y was evaluated as z. */
static inline mg_node *mg_new_power(mg_arena *arena, double z, mg_node *x, double y, bool integer) {
    mg_node *node = mg_new_unary(arena, MG_OP_exponent, z, x);
    if (node == NULL) return NULL;
    mg_links_of(node)->exponent = y;
    if (integer) node->flags = MG_INTEGER;
    return node;
}

/* x * -1 */
static inline mg_node *mg_new_negative(mg_arena *arena, mg_node *x) {
    return mg_new_with_number(arena, MG_OP_multiply, x->data * -1.0, x, -1.0);
}

/* x + (y * -1); the middle node belongs to the last one alone. */
static inline mg_node *mg_new_difference(mg_arena *arena, mg_node *x, mg_node *y) {
    mg_node *negative = mg_new_negative(arena, y);
    if (negative == NULL) return NULL;
    mg_node *node = mg_new_binary(arena, MG_OP_add, x->data + negative->data, x, negative);
    if (node == NULL) mg_free_node(arena, negative);
    return node;
}

/* x * y**-1; NULL: *status says why, MG_OK standing for no memory. */
static inline mg_node *mg_new_quotient(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status) {
    double inverse;
    *status = mg_evaluate(MG_OP_exponent, y->data, -1.0, &inverse);
    if (*status != MG_OK) return NULL;
    mg_node *power = mg_new_power(arena, inverse, y, -1.0, true);
    if (power == NULL) return NULL;
    mg_node *node = mg_new_binary(arena, MG_OP_multiply, x->data * inverse, x, power);
    if (node == NULL) mg_free_node(arena, power);
    return node;
}

/* Give the reference of a proxy back. */
static inline void mg_drop(mg_arena *arena, mg_node *node) {
    if (--node->refs == 0) mg_free_node(arena, node);
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

static inline void *mg_owner(const mg_node *node) {
    return node->flags & MG_EXTRA ? mg_extra_of(node)->owner : mg_links_of(node)->owner;
}

static inline void mg_set_owner(mg_node *node, void *owner) {
    if (node->flags & MG_EXTRA)
        mg_extra_of(node)->owner = owner;
    else
        mg_links_of(node)->owner = owner;
}

/* See mg_node_set_closure. */
static inline void mg_close(mg_arena *arena, mg_node *node, bool closure) {
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

#endif
