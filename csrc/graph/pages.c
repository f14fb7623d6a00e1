/* pages.c: pages of nodes, and leaves.
 *
 * Pages come from the system 128 at a time, in a segment of a mebibyte. A page is one of: an
 * interior page (on the list from newest to oldest), a leaf page (current, roomy, or full and then
 * on no list), or free (on the list of free pages). A segment whose pages are all free goes back to
 * the system when far more pages are free than in use. Otherwise free pages are kept, for the next
 * training step wants them again. */
#include "graph/pages.h"

#include "graph/memory.h"

/* Node counts stay below 2^31, so that 32 bits count the references of any node: each other node
 * holds at most two references, and the operand lists of custom nodes are bounded likewise. */
#define MAX_PAGES (((size_t)1 << 31) / MG_PAGE_NODES)

/* How many more free pages than pages in use are kept: 64 MiB. */
#define SPARE_PAGES ((size_t)8192)

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
        mg_page *page = mg_page_at(segment, i);
        page->segment = segment;
        page->arena = arena;
        push_page(&arena->free, page);
    }
    arena->free_pages += MG_SEGMENT_PAGES;
    segment->next = arena->segments;
    arena->segments = segment;
    return true;
}

static void drop_segment(mg_arena *arena, mg_segment *segment) {
    for (size_t i = 0; i < MG_SEGMENT_PAGES; i++) unlink_page(&arena->free, mg_page_at(segment, i));
    arena->free_pages -= MG_SEGMENT_PAGES;
    mg_segment **link = &arena->segments;
    while (*link != segment) link = &(*link)->next;
    *link = segment->next;
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
    page->sequence = 0;
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
    if (arena->bump != arena->end) { /* the other slots of the full page stay unused */
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

/* A page that still has slots never used does not come here: those slots count as living. */
void mg_retire_page(mg_arena *arena, mg_page *page) {
    if (page == arena->newest) arena->bump = arena->end = NULL;
    unlink_page(&arena->newest, page);
    give_page(arena, page);
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
        mg_node *constant = mg_take_slot(arena);
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
    leaf->mark = 0; /* backward sets the marks of leaves, and no sweep clears them */
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
