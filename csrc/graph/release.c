/* release.c: the death of nodes. When a node has lost its last reference its operands lose a
 * parent, and may die in turn.
 *
 * Most calls have next to nothing to do: a temporary dies, its operands live on. Such a call
 * follows the operands, and links those that die. Where more than a few nodes die, a graph dies,
 * and following operands would jump about in memory. So after a few nodes a sweep begins, like that
 * of backward: down the pages in descending order of creation, over the nodes that carry a mark.
 * The parents of a node were created after the node, so they have died before the sweep comes to
 * the node. */
#include "graph/release.h"

#include "compiler.h"
#include "graph/dots.h"
#include "graph/memory.h"
#include "graph/pages.h"
#include "graph/prefetch.h"

#define FEW 64

/* ---- one node ---- */

/* Take one reference from a node; return whether it was the last. A held node becomes an orphan
 * when the reference of its proxy alone is left. */
static inline bool lose_reference(mg_arena *arena, mg_node *node) {
    if (--node->refs > 1) return false;
    if (node->refs == 0) return true;
    if ((node->flags & (MG_HELD | MG_ORPHAN)) == MG_HELD) {
        node->flags |= MG_ORPHAN;
        mg_extra_of(node)->next_orphan = arena->orphans;
        arena->orphans = node;
    }
    return false;
}

void mg_give_back(mg_arena *arena, mg_node *node) {
    if (lose_reference(arena, node)) mg_free_node(arena, node);
}

static MG_NEVER_INLINE void free_attachments(mg_arena *arena, mg_node *node) {
    if (node->flags & MG_CLOSURE) arena->closures--;
    if (node->flags & MG_KEEP) arena->kept--;
    if (node->flags & MG_EXTRA) mg_deallocate(arena, mg_extra_of(node));
}

/* Free what a node has besides its slot, and bury the slot. */
static inline void strip(mg_arena *arena, mg_node *node) {
    if (node->flags & (MG_EXTRA | MG_CLOSURE)) free_attachments(arena, node);
    mg_bury(node);
}

static inline void free_slot(mg_arena *arena, mg_node *node) {
    mg_page *page = mg_page_of(node);
    strip(arena, node);
    if (page->sequence == MG_LEAF_PAGE)
        mg_free_leaf(arena, node);
    else if (--page->alive == 0)
        mg_retire_page(arena, page);
}

typedef void (*on_death)(void *context, mg_node *node);

/* Take a packed node's references to its operands, those of the last term first, the start last;
 * pass on the operands that die. The slots inside are buried, and no longer count as living. */
static inline void let_terms_go(mg_arena *arena, mg_node *node, on_death pass, void *context) {
    mg_node *first = mg_packed_first(node), *start = mg_links_of(node)->left;
    const size_t count = mg_packed_terms(node);
    const mg_links *terms = mg_links_of(first);
    const bool numbers = (node->flags & MG_NUMBERS) != 0;
    for (size_t i = count; i-- > 0;) {
        mg_node *left = terms[i].left, *right = terms[i].right;
        if (lose_reference(arena, left)) pass(context, left);
        if (!numbers && lose_reference(arena, right)) pass(context, right);
    }
    if (lose_reference(arena, start)) pass(context, start);
    for (size_t i = 0; i <= count; i++) mg_bury(first + i);
    mg_page_of(node)->alive -= (uint32_t)(node - first);
}

/* Take a dead node's references to its operands; pass on the operands that die. Return the lowest
 * slot that is free by this: the first one inside a node that stays packed, otherwise the node. */
static inline mg_node *let_go(mg_arena *arena, mg_node *node, on_death pass, void *context) {
    const mg_links *links = mg_links_of(node);
    mg_node *lowest = node;
    switch (mg_arity(node)) {
        case MG_ARITY_PACKED:
            if (arena->kept == 0) {
                lowest = mg_packed_first(node);
                let_terms_go(arena, node, pass, context);
                break;
            }
            mg_unpack(node); /* proxies with state must die in the order of the plain nodes */
            /* fall through */
        case 2:
            if (lose_reference(arena, links->left)) pass(context, links->left);
            if (lose_reference(arena, links->right)) pass(context, links->right);
            break;
        case 1:
            if (lose_reference(arena, links->left)) pass(context, links->left);
            break;
        case MG_ARITY_CUSTOM:
            for (size_t i = 0; i < links->extra->count; i++)
                if (lose_reference(arena, links->extra->operands[i]))
                    pass(context, links->extra->operands[i]);
            break;
        default:
            break;
    }
    return lowest;
}

/* ---- the sweep ---- */

/* Where the sweep is. */
typedef struct {
    mg_arena *arena;
    mg_page *page;   /* the page under way */
    mg_node *low;    /* the lowest node in that page that is to be freed */
    uint64_t oldest; /* sequence of the oldest page with a node to be freed */
} cursor;

/* Mark a node that has died, so that the sweep comes to the node. A leaf in a leaf page, which is
 * not swept, is freed at once. */
static inline void doom(void *context, mg_node *node) {
    cursor *at = context;
    mg_page *page = mg_page_of(node);
    if (page == at->page) {
        node->mark = 1;
        if (node < at->low) at->low = node;
    } else if (node < page->low) {
        node->mark = 1;
        page->low = node;
        if (node > page->high) page->high = node;
        if (page->sequence < at->oldest) at->oldest = page->sequence;
    } else if (page->sequence != MG_LEAF_PAGE) {
        node->mark = 1;
        if (node > page->high) page->high = node;
    } else {
        free_slot(at->arena, node);
    }
}

/* Doom the nodes on a list linked by next; return the newest page with such a node, or NULL. */
static mg_page *doom_linked(cursor *at, mg_node *dying) {
    mg_page *newest = NULL;
    while (dying != NULL) {
        mg_node *node = dying;
        mg_page *page = mg_page_of(node);
        dying = node->next;
        if (page->sequence != MG_LEAF_PAGE && (newest == NULL || page->sequence > newest->sequence))
            newest = page;
        doom(at, node);
    }
    return newest;
}

/* Free the marked nodes of a page; return the next page to be swept, or NULL. The page counts one
 * living node more meanwhile, so that the page is not retired before the sweep has left it. */
static mg_page *sweep_page(cursor *at, mg_page *page, mg_ahead *ahead) {
    mg_node *node = page->high;
    const mg_foresight foreseen = mg_foresee(at->arena, page, ahead);
    at->page = page;
    at->low = page->low;
    page->low = MG_NONE_REACHED;
    page->high = NULL;
    uint32_t died = 0;
    page->alive++;
    for (; node >= at->low; node--) {
        mg_ask(&foreseen, node);
        if (!node->mark) continue;
        node->mark = 0;
        mg_node *lowest = let_go(at->arena, node, doom, at);
        strip(at->arena, node);
        node = lowest;
        died++;
    }
    mg_page *next = page->sequence != at->oldest ? mg_next_reached(page, ahead) : NULL;
    page->alive -= 1 + died;
    if (page->alive == 0) mg_retire_page(at->arena, page);
    return next;
}

static MG_NEVER_INLINE void sweep(mg_arena *arena, mg_node *dying) {
    cursor at = {.arena = arena, .oldest = UINT64_MAX};
    mg_page *page = doom_linked(&at, dying);
    mg_ahead ahead = {.page = page};
    while (page != NULL) page = sweep_page(&at, page, &ahead);
}

/* ---- following operands ---- */

static inline void link_dying(void *context, mg_node *node) {
    mg_node **dying = context;
    node->next = *dying;
    *dying = node;
}

void mg_free_node(mg_arena *arena, mg_node *node) {
    mg_node *dying = NULL;
    for (int left = FEW; left != 0; left--) {
        let_go(arena, node, link_dying, &dying);
        free_slot(arena, node);
        if (dying == NULL) return;
        node = dying;
        dying = node->next;
    }
    link_dying(&dying, node);
    sweep(arena, dying);
}
