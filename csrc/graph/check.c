/* check.c: whether an arena is as it should be between two calls. Each invariant of
 * docs/architecture.md is a line here. */
#include "graph/check.h"

#include "graph/dots.h"
#include "graph/pages.h"

/* What is counted on the way through all pages. */
typedef struct {
    const mg_arena *arena;
    const char *fault; /* the first fault found, or NULL */
    size_t interior;
    size_t leaf_pages;
    size_t roomy;
    size_t free;
    size_t leaves;
    size_t closures;
    size_t kept;
    size_t orphans;
} counts;

static void expect(counts *at, bool good, const char *fault) {
    if (!good && at->fault == NULL) at->fault = fault;
}

/* ---- nodes ---- */

typedef void (*on_operand)(counts *at, const mg_node *node, mg_node *operand);

static void each_packed_operand(counts *at, const mg_node *node, on_operand visit) {
    const mg_links *terms = mg_links_of(mg_packed_first(node));
    visit(at, node, mg_links_of(node)->left);
    for (size_t i = 0; i < mg_packed_terms(node); i++) {
        visit(at, node, terms[i].left);
        if (!(node->flags & MG_NUMBERS)) visit(at, node, terms[i].right);
    }
}

static void each_operand(counts *at, const mg_node *node, on_operand visit) {
    const mg_links *links = mg_links_of(node);
    const unsigned char arity = mg_arity(node);
    if (arity == MG_ARITY_PACKED) {
        each_packed_operand(at, node, visit);
    } else if (arity == MG_ARITY_CUSTOM) {
        for (size_t i = 0; i < links->extra->count; i++) visit(at, node, links->extra->operands[i]);
    } else {
        if (arity > 0) visit(at, node, links->left);
        if (arity > 1) visit(at, node, links->right);
    }
}

/* The order of creation is a topological order. */
static bool is_before(const mg_node *operand, const mg_node *node) {
    const uint64_t mine = mg_page_of(node)->sequence, its = mg_page_of(operand)->sequence;
    return its == MG_LEAF_PAGE || its < mine || (its == mine && operand < node);
}

static void check_operand(counts *at, const mg_node *node, mg_node *operand) {
    expect(at, operand->refs != 0, "an operand is dead");
    expect(at, mg_page_of(operand)->arena == at->arena, "an operand is of another arena");
    expect(at, is_before(operand, node), "an operand was created after its parent");
}

static void check_node(counts *at, const mg_node *node) {
    expect(at, node->op <= MG_OP_packed, "there is no such operator");
    expect(at, node->mark == 0 || mg_page_of(node)->sequence == MG_LEAF_PAGE,
           "a mark between two sweeps");
    expect(at, !(node->flags & MG_LISTED), "listed by a walk that is over");
    expect(at, !(node->flags & MG_KEEP) || node->flags & MG_EXTRA, "kept without an extra");
    expect(at, !(node->flags & MG_HELD) || node->flags & MG_KEEP, "held, but not kept");
    expect(at, !(node->flags & MG_ORPHAN) || node->flags & MG_HELD, "an orphan that was not held");
    at->closures += (node->flags & MG_CLOSURE) != 0;
    at->kept += (node->flags & MG_KEEP) != 0;
    at->orphans += (node->flags & MG_ORPHAN) != 0;
    each_operand(at, node, check_operand);
}

/* ---- pages ---- */

/* alive = living nodes + nodes inside packed ones + slots never used */
static void check_interior(counts *at, mg_page *page) {
    const bool filling = page == at->arena->newest && at->arena->bump != NULL;
    const mg_node *end = filling ? at->arena->bump : mg_page_nodes(page) + MG_PAGE_NODES;
    size_t alive = filling ? (size_t)(at->arena->end - end) : 0;
    for (mg_node *node = mg_page_nodes(page); node < end; node++) {
        if (node->refs == 0) continue;
        check_node(at, node);
        alive += node->op == MG_OP_packed ? (size_t)(node - mg_packed_first(node) + 1) : 1;
    }
    expect(at, page->alive == alive, "an interior page has another number of living nodes");
    expect(at, page->low == MG_NONE_REACHED && page->high == NULL, "a page is being swept");
    expect(at, page->older == NULL || page->older->sequence < page->sequence, "pages out of order");
    at->interior++;
}

/* Whether a page is a leaf page that is to be filled after the one that is being filled. */
static bool is_roomy(const mg_arena *arena, const mg_page *page) {
    return page->sequence == MG_LEAF_PAGE && page != arena->leaf_page &&
           (page->free != NULL || page->bump < MG_PAGE_NODES);
}

/* alive = slots used so far - free slots = living leaves */
static void check_leaf_page(counts *at, mg_page *page) {
    size_t free = 0, alive = 0;
    for (const mg_node *leaf = page->free; leaf != NULL && free <= page->bump; leaf = leaf->next)
        free++;
    for (mg_node *leaf = mg_page_nodes(page); leaf < mg_page_nodes(page) + page->bump; leaf++) {
        if (leaf->refs == 0) continue;
        alive++;
        check_node(at, leaf);
        expect(at, leaf->op == MG_OP_leaf, "an operation in a leaf page");
    }
    expect(at, page->low == NULL, "a leaf page is being swept");
    expect(at, page->alive == alive, "a leaf page has another number of living leaves");
    expect(at, page->bump - free == alive, "a leaf page's free slots are not all listed");
    at->leaves += alive;
    at->roomy += is_roomy(at->arena, page);
    at->leaf_pages++;
}

static void check_segment(counts *at, const mg_segment *segment) {
    uint32_t used = 0;
    for (size_t i = 0; i < MG_SEGMENT_PAGES; i++) {
        mg_page *page = mg_page_at(segment, i);
        used += page->sequence != 0;
        if (page->sequence == 0)
            at->free++;
        else if (page->sequence == MG_LEAF_PAGE)
            check_leaf_page(at, page);
        else
            check_interior(at, page);
    }
    expect(at, segment->used == used, "a segment has another number of pages in use");
}

static void check_list(counts *at, const mg_page *page, size_t expected, const char *fault) {
    size_t listed = 0;
    for (const mg_page *newer = NULL; page != NULL && listed <= expected; listed++) {
        expect(at, page->newer == newer, "a list of pages is torn");
        newer = page;
        page = page->older;
    }
    expect(at, listed == expected, fault);
}

static void check_lists(counts *at) {
    size_t orphans = 0;
    check_list(at, at->arena->newest, at->interior, "not all interior pages are listed");
    check_list(at, at->arena->free, at->free, "not all free pages are listed");
    check_list(at, at->arena->roomy, at->roomy, "not all leaf pages with room are listed");
    for (const mg_page *page = at->arena->roomy; at->fault == NULL && page != NULL;
         page = page->older)
        expect(at, is_roomy(at->arena, page), "a page without room for leaves is listed");
    for (const mg_node *node = at->arena->orphans; node != NULL && orphans <= at->orphans;
         node = mg_extra_of(node)->next_orphan)
        orphans++;
    expect(at, orphans == at->orphans, "not all orphans are listed");
}

/* ---- references ----
 *
 * refs = parents + others'. From the oldest node to the newest, each node takes one reference from
 * each of its operands. When a node's turn comes its parents, which are newer, have taken nothing
 * yet. After the last turn the references left are others'; a node that ran out of references
 * before has too many parents. The way back gives the references again. */

static void take_reference(counts *at, const mg_node *node, mg_node *operand) {
    (void)node;
    expect(at, operand->refs != 0, "a node has more parents than references");
    operand->refs--;
}

static void give_reference(counts *at, const mg_node *node, mg_node *operand) {
    (void)at, (void)node;
    operand->refs++;
}

static void check_references(counts *at) {
    mg_page *page = at->arena->newest;
    while (page != NULL && page->older != NULL) page = page->older;
    for (; page != NULL; page = page->newer) {
        const bool filling = page == at->arena->newest && at->arena->bump != NULL;
        const mg_node *end = filling ? at->arena->bump : mg_page_nodes(page) + MG_PAGE_NODES;
        for (mg_node *node = mg_page_nodes(page); node < end; node++)
            if (node->refs != 0) each_operand(at, node, take_reference);
    }
    for (page = at->arena->newest; page != NULL; page = page->older) {
        const bool filling = page == at->arena->newest && at->arena->bump != NULL;
        const mg_node *end = filling ? at->arena->bump : mg_page_nodes(page) + MG_PAGE_NODES;
        for (const mg_node *node = end; node-- > mg_page_nodes(page);)
            if (node->refs != 0) each_operand(at, node, give_reference);
    }
}

const char *mg_find_fault(mg_arena *arena) {
    counts at = {.arena = arena};
    for (const mg_segment *segment = arena->segments; segment != NULL; segment = segment->next)
        check_segment(&at, segment);
    check_lists(&at);
    expect(&at, at.interior + at.leaf_pages == arena->pages, "another number of pages in use");
    expect(&at, at.free == arena->free_pages, "another number of free pages");
    expect(&at, at.leaves == arena->leaves, "another number of leaves");
    expect(&at, at.closures == arena->closures, "another number of closures");
    expect(&at, at.kept == arena->kept, "another number of kept nodes");
    if (at.fault == NULL) check_references(&at);
    return at.fault;
}
