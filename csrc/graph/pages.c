/* pages.c: pages, leaves, and the state beside a node.
 *
 * Pages come from the system 128 at a time, a segment of a mebibyte. A page is one of: an interior
 * page (on the list from newest to oldest), a leaf page (current, roomy, or full and then on no
 * list), or free. A segment whose pages are all free goes back to the system when far more pages
 * are free than in use; short of that pages are kept, for the next training step wants them again.
 */
#include "graph/node.h"

/* Node counts stay below 2^31, so that 32 bits count the references of any node: each of the
 * other nodes holds at most two, custom nodes' operand lists are bounded likewise. */
#define MAX_PAGES (((size_t)1 << 31) / MG_PAGE_NODES)

/* Free pages beyond those in use that are kept: 64 MiB. */
#define SPARE_PAGES ((size_t)8192)

struct mg_segment {
    uint32_t used; /* pages not free */
    mg_page *first;
};

/* ---- lists of pages ---- */

static void push_page(mg_page **list, mg_page *page) {
    page->newer = NULL;
    page->older = *list;
    if (*list != NULL) (*list)->newer = page;
    *list = page;
}

static void unlink_page(mg_page **list, mg_page *page) {
    if (page->older != NULL) page->older->newer = page->newer;
    if (page->newer != NULL)
        page->newer->older = page->older;
    else
        *list = page->older;
}

static mg_page *page_at(mg_page *first, size_t i) {
    return (mg_page *)((char *)first + i * MG_HALF_PAGE);
}

/* ---- segments ---- */

static bool add_segment(mg_arena *arena) {
    if (arena->pages + arena->free_pages >= MAX_PAGES) return false;
    size_t size = sizeof(mg_segment) + MG_SEGMENT_PAGES * MG_PAGE_SIZE + MG_HALF_PAGE;
    mg_segment *segment = mg_allocate(arena, size);
    if (segment == NULL) return false;
    segment->used = 0;
    segment->first =
        (mg_page *)(((uintptr_t)(segment + 1) + MG_HALF_PAGE - 1) & ~(uintptr_t)(MG_HALF_PAGE - 1));
    for (size_t i = MG_SEGMENT_PAGES; i-- > 0;) {
        mg_page *page = page_at(segment->first, i);
        page->segment = segment;
        page->arena = arena;
        push_page(&arena->free, page);
    }
    arena->free_pages += MG_SEGMENT_PAGES;
    return true;
}

static void drop_segment(mg_arena *arena, mg_segment *segment) {
    for (size_t i = 0; i < MG_SEGMENT_PAGES; i++)
        unlink_page(&arena->free, page_at(segment->first, i));
    arena->free_pages -= MG_SEGMENT_PAGES;
    mg_deallocate(arena, segment);
}

static mg_page *take_page(mg_arena *arena) {
    if (arena->free == NULL && !add_segment(arena)) return NULL;
    mg_page *page = arena->free;
    unlink_page(&arena->free, page);
    arena->free_pages--;
    arena->pages++;
    page->segment->used++;
    return page;
}

static void give_page(mg_arena *arena, mg_page *page) {
    push_page(&arena->free, page);
    arena->free_pages++;
    arena->pages--;
    if (--page->segment->used == 0 && arena->free_pages > arena->pages + SPARE_PAGES)
        drop_segment(arena, page->segment);
}

void mg_trim(mg_arena *arena) {
    mg_page *page = arena->free;
    while (page != NULL) {
        if (page->segment->used != 0) {
            page = page->older;
            continue;
        }
        drop_segment(arena, page->segment);
        page = arena->free;
    }
}

/* ---- interior pages ---- */

bool mg_take_interior_page(mg_arena *arena) {
    mg_page *page = take_page(arena), *full = arena->newest;
    if (page == NULL) return false;
    if (arena->bump != arena->end) { /* the rest of it stays unused */
        full->alive -= (uint32_t)(arena->end - arena->bump);
        arena->bump = arena->end;
        if (full->alive == 0) mg_retire_page(arena, full);
    }
    page->sequence = ++arena->sequence;
    page->low = MG_NONE_REACHED;
    page->high = NULL;
    page->alive = MG_PAGE_NODES;
    push_page(&arena->newest, page);
    arena->bump = mg_page_nodes(page);
    arena->end = arena->bump + MG_PAGE_NODES;
    return true;
}

/* A page that still has slots never used counts them as living, so it does not come here. */
void mg_retire_page(mg_arena *arena, mg_page *page) {
    if (page == arena->newest) arena->bump = arena->end = NULL;
    unlink_page(&arena->newest, page);
    give_page(arena, page);
}

mg_page *mg_next_reached(mg_page *page, mg_ahead *ahead) {
    do {
        page = page->older;
        if (ahead->page->older != NULL) ahead->page = ahead->page->older;
        if (ahead->lead < MG_PAGES_AHEAD && ahead->page->older != NULL) {
            ahead->page = ahead->page->older;
            ahead->lead++;
        }
        mg_prefetch(ahead->page->older); /* for the next step */
    } while (page->low == MG_NONE_REACHED);
    return page;
}

/* ---- leaf pages ---- */

static bool is_full(const mg_page *page) {
    return page->free == NULL && page->bump == MG_PAGE_NODES;
}

static mg_page *next_leaf_page(mg_arena *arena) {
    mg_page *page = arena->roomy;
    if (page != NULL) {
        unlink_page(&arena->roomy, page);
    } else {
        page = take_page(arena);
        if (page == NULL) return NULL;
        page->sequence = MG_LEAF_PAGE;
        page->low = NULL;
        page->free = NULL;
        page->alive = 0;
        page->bump = 0;
    }
    return arena->leaf_page = page;
}

mg_node *mg_new_leaf(mg_arena *arena, double data) {
    if (arena->recordings != 0) {
        mg_node *constant = mg_next_slot(arena);
        if (constant != NULL) mg_fill(constant, MG_OP_leaf, data);
        return constant;
    }
    mg_page *page = arena->leaf_page;
    if (page == NULL || is_full(page)) {
        page = next_leaf_page(arena);
        if (page == NULL) return NULL;
    }
    mg_node *leaf = page->free;
    if (leaf != NULL)
        page->free = leaf->next;
    else
        leaf = mg_page_nodes(page) + page->bump++;
    page->alive++;
    arena->leaves++;
    mg_fill(leaf, MG_OP_leaf, data);
    return leaf;
}

void mg_free_leaf(mg_arena *arena, mg_node *leaf) {
    mg_page *page = mg_page_of(leaf);
    bool was_full = is_full(page);
    leaf->next = page->free;
    leaf->mark = 0; /* where backward has set it, and nothing has cleared it */
    page->free = leaf;
    page->alive--;
    arena->leaves--;
    if (page == arena->leaf_page) return;
    if (was_full) push_page(&arena->roomy, page);
    if (page->alive == 0) {
        unlink_page(&arena->roomy, page);
        give_page(arena, page);
    }
}

/* ---- state beside a node ---- */

mg_extra *mg_attach_extra(mg_arena *arena, mg_node *node) {
    if (node->flags & MG_EXTRA) return mg_extra_of(node);
    mg_extra *extra = mg_allocate(arena, sizeof *extra);
    if (extra == NULL) return NULL;
    extra->owner = mg_links_of(node)->owner;
    extra->bound = NULL;
    extra->next_orphan = NULL;
    extra->count = 0;
    extra->operands = NULL;
    extra->partials = NULL;
    mg_links_of(node)->extra = extra;
    node->flags |= MG_EXTRA;
    return extra;
}

mg_status mg_keep(mg_arena *arena, mg_node *node) {
    if (mg_attach_extra(arena, node) == NULL) return MG_NO_MEMORY;
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
            if (node->refs != 0 && node->op == MG_OP_folded) node = mg_unfold(node);
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
        if (node->refs > 1) continue; /* it has found a parent meanwhile */
        node->flags &= (uint8_t)~MG_HELD;
        return node;
    }
    return NULL;
}

void mg_get_statistics(mg_arena *arena, mg_statistics *out) {
    size_t nodes = 0;
    for (mg_page *page = arena->newest; page != NULL; page = page->older) nodes += page->alive;
    if (arena->bump != NULL) nodes -= (size_t)(arena->end - arena->bump);
    out->nodes = nodes;
    out->leaves = arena->leaves;
    out->pages = arena->pages;
    out->free_pages = arena->free_pages;
    out->bytes = arena->bytes;
}

/* ---- the public functions ---- */

void mg_arena_statistics(mg_arena *arena, mg_statistics *out) {
    mg_lock_take(&arena->lock);
    mg_get_statistics(arena, out);
    mg_lock_give(&arena->lock);
}

void mg_arena_trim(mg_arena *arena) {
    mg_lock_take(&arena->lock);
    mg_trim(arena);
    mg_lock_give(&arena->lock);
}

void mg_arena_set_plain(mg_arena *arena, int plain) {
    mg_lock_take(&arena->lock);
    arena->plain = plain != 0;
    mg_lock_give(&arena->lock);
}

void mg_arena_set_poll(mg_arena *arena, int (*interrupted)(void)) {
    mg_lock_take(&arena->lock);
    arena->interrupted = interrupted;
    arena->gave_up = false;
    mg_lock_give(&arena->lock);
}

void mg_retain(mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    node->refs++;
    mg_lock_give(&arena->lock);
}

int mg_release(mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    mg_give_back(arena, node);
    int orphans = arena->orphans != NULL;
    mg_lock_give(&arena->lock);
    return orphans;
}

mg_status mg_node_keep(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    mg_status status = mg_keep(arena, node);
    mg_lock_give(&arena->lock);
    return status;
}

int mg_node_hold(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    bool held = mg_hold(node);
    mg_lock_give(&arena->lock);
    return held;
}

int mg_node_unkeep(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    bool held = mg_unkeep(arena, node);
    mg_lock_give(&arena->lock);
    return held;
}

void mg_node_set_cyclic(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    node->flags |= MG_CYCLIC;
    mg_lock_give(&arena->lock);
}

int mg_node_is_cyclic(const mg_node *node) {
    return (node->flags & MG_CYCLIC) != 0;
}

int mg_node_unhold(mg_arena *arena, mg_node *node, size_t parents) {
    mg_lock_take(&arena->lock);
    bool held = mg_unhold(node, parents);
    mg_lock_give(&arena->lock);
    return held;
}

mg_node *mg_arena_next_above_cyclic(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    mg_node *next = mg_next_above_cyclic(arena, node);
    if (next != NULL) next->refs++;
    mg_lock_give(&arena->lock);
    return next;
}

mg_node *mg_arena_next_orphan(mg_arena *arena) {
    mg_lock_take(&arena->lock);
    mg_node *node = mg_next_orphan(arena);
    mg_lock_give(&arena->lock);
    return node;
}
