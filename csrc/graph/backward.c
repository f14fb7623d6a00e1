/* backward.c: gradients, from a root down to everything it was made from.
 *
 * The order of creation is a topological order, so the sweep needs no search. The sweep walks the
 * pages from the root's page downwards, and the nodes of each page from top to bottom, and handles
 * each node that carries a mark. Handling a node marks its operands. Each page remembers the lowest
 * marked node, and the cursor remembers the oldest page with a mark, so pages and parts of pages
 * that belong to other graphs are passed over. A mark in an interior page is cleared when the sweep
 * meets it, so between sweeps there are none.
 *
 * The order in which contributions are added, and with it every last bit of every gradient, depends
 * on the order of creation alone. */
#include "graph/backward.h"

#include "compiler.h"
#include "graph/look.h"
#include "graph/memory.h"
#include "graph/prefetch.h"

/* ---- one node ---- */

/* Where the sweep is. */
typedef struct {
    mg_page *page;            /* the page under way */
    mg_node *low;             /* the lowest node reached in that page */
    uint64_t oldest;          /* sequence of the oldest page reached */
    mg_order *order;          /* listing: the list of the nodes visited so far */
    const mg_position *start; /* listing: the operands of older nodes are not visited; or NULL */
    mg_arena *arena;
} mg_cursor;

/* Mark a node, which the sweep will come to if it lies in an interior page. */
MG_INLINE void reach(mg_cursor *at, mg_node *node) {
    node->mark = 1;
    mg_page *page = mg_page_of(node);
    if (page == at->page) {
        if (node < at->low) at->low = node;
    } else if (node < page->low) {
        page->low = node;
        if (page->sequence < at->oldest) at->oldest = page->sequence;
    }
}

/* The data of the second operand, or the exponent; 0 if there is neither. */
MG_INLINE double second_operand(mg_form form, const mg_links *links) {
    if (form == MG_FORM_EXPONENT) return links->exponent;
    return MG_ARITY(form) == 2 ? links->right->data : 0.0;
}

/* Push the gradient g of a term's product into its two factors, both nodes. */
MG_INLINE void push_product(const mg_links *term, double g, mg_cursor *at) {
    mg_node *left = term->left, *right = term->right;
    const double x = left->data, y = right->data;
    left->grad += y * g;
    reach(at, left);
    right->grad += x * g;
    reach(at, right);
}

/* Push the gradient g of a term's product into a node and a number, which has a leaf of its own. */
MG_INLINE void push_multiple(const mg_links *term, mg_node *leaf, double g, mg_cursor *at) {
    mg_node *left = term->left;
    const double x = left->data;
    left->grad += term->number * g;
    reach(at, left);
    leaf->grad = 0.0 + x * g;
}

/* Push the gradient of a packed node into its operands, in the order of the nodes that it stands
 * for: from the last term to the first, each sum and then its product. The gradient of each of
 * these nodes is 0 plus that of the sum above. Return the lowest slot. */
MG_INLINE mg_node *push_packed(mg_node *node, mg_cursor *at) {
    mg_node *first = mg_packed_first(node), *start = mg_links_of(node)->left;
    mg_links *terms = mg_links_of(first);
    const size_t count = mg_packed_terms(node);
    const double g = 0.0 + node->grad;
    terms[count].rest.grad = g;
    terms[count].rest.swept = true;
    if (node->flags & MG_NUMBERS) {
        for (size_t i = count; i-- > 1;) push_multiple(&terms[i], first + 3 * i, g, at);
        start->grad += g;
        reach(at, start);
        push_multiple(&terms[0], first, g, at);
    } else {
        for (size_t i = count; i-- > 1;) push_product(&terms[i], g, at);
        start->grad += g;
        reach(at, start);
        push_product(&terms[0], g, at);
    }
    return first;
}

/* Push the gradient of a node of this operator of the table into the operands, and reach these if
 * there is a sweep. */
MG_INLINE mg_status push_operator(int op, mg_form form, const mg_node *node, mg_cursor *at) {
    const mg_links *links = mg_links_of(node);
    mg_node *left = links->left, *right = links->right;
    const double g = node->grad, x = left->data, y = second_operand(form, links);
    double dx, dy;
    const mg_status status = mg_differentiate(op, x, y, node->data, &dx, &dy);
    if (status != MG_OK) return status;
    left->grad += dx * g;
    if (at != NULL) reach(at, left);
    if (MG_ARITY(form) == 1) return MG_OK;
    right->grad += dy * g;
    if (at != NULL) reach(at, right);
    return MG_OK;
}

MG_INLINE void push_custom(const mg_extra *extra, double g, mg_cursor *at) {
    for (size_t i = 0; i < extra->count; i++) {
        mg_node *operand = extra->operands[i];
        if (extra->partials != NULL) operand->grad += extra->partials[i] * g;
        if (at != NULL) reach(at, operand);
    }
}

/* Push the gradient of a node into its operands, and reach these if there is a sweep. Without a
 * sweep `at` is NULL, `next` too. A sweep goes on below *next, which is lowered to the first slot
 * of a packed node. */
MG_INLINE mg_status push(mg_node *node, mg_cursor *at, mg_node **next) {
    const mg_links *links = mg_links_of(node);
    switch (node->op) {
#define X(name, symbol, form, ...) \
    case MG_OP_##name:             \
        return push_operator(MG_OP_##name, form, node, at);
        MG_OPERATORS(X)
#undef X
        case MG_OP_custom:
            push_custom(links->extra, node->grad, at);
            return MG_OK;
        case MG_OP_packed: /* in a sweep alone: mg_push_node unpacks */
            if (at == NULL) return MG_OK;
            if (!mg_links_of(links->right)[mg_packed_terms(node)].rest.swept) {
                *next = push_packed(node, at);
                return MG_OK;
            }
            mg_push_node(node); /* which unpacks it */
            reach(at, links->left);
            reach(at, links->right);
            return MG_OK;
        default:
            return MG_OK;
    }
}

mg_status mg_push_node(mg_node *node) {
    mg_ensure_unpacked(node);
    return push(node, NULL, NULL);
}

mg_status mg_partial(const mg_node *node, size_t i, double *partial) {
    double dx, dy;
    mg_ensure_unpacked(node);
    const mg_links *links = mg_links_of(node);
    *partial = 0.0;
    if (node->op == MG_OP_custom && links->extra->partials != NULL)
        *partial = links->extra->partials[i];
    if (node->op == MG_OP_custom || node->op == MG_OP_leaf) return MG_OK;
    const double y = second_operand(mg_operator_form(node->op), links);
    mg_status status = mg_differentiate(node->op, links->left->data, y, node->data, &dx, &dy);
    *partial = i == 0 ? dx : dy;
    return status;
}

/* ---- every node below a root ---- */

/* What a walk does with each node. *next is the node; the visit may lower *next, and the walk goes
 * on below it. */
typedef mg_status (*mg_visit)(mg_node *node, mg_cursor *at, mg_node **next);

/* Visit, in descending order of creation, the root and every node that a visit reaches. Return the
 * first error, with the node in *culprit, or MG_INTERRUPTED if the walk gave up between two pages;
 * from then on the walk only clears marks. */
MG_INLINE mg_status walk(mg_node *root, mg_cursor *at, mg_visit visit, mg_node **culprit) {
    mg_status status = MG_OK;
    mg_node *node = root;
    mg_ahead ahead = {.page = mg_page_of(root)};
    root->mark = 1;
    at->page = mg_page_of(root);
    at->low = root;
    at->oldest = at->page->sequence;
    for (;;) {
        const mg_foresight foreseen = mg_foresee(at->arena, at->page, &ahead);
        for (; node >= at->low; node--) {
            mg_ask(&foreseen, node);
            if (!node->mark) continue;
            node->mark = 0;
            if (status != MG_OK) continue;
            mg_node *next = node;
            status = visit(node, at, &next);
            if (status != MG_OK) *culprit = node;
            node = next;
        }
        if (at->page->sequence == at->oldest) return status;
        at->page = mg_next_reached(at->page, &ahead);
        at->low = at->page->low;
        at->page->low = MG_NONE_REACHED;
        node = mg_page_nodes(at->page) + MG_PAGE_NODES - 1;
        if (status == MG_OK && mg_gives_up(at->arena, MG_PAGE_NODES)) status = MG_INTERRUPTED;
    }
}

MG_INLINE mg_status visit_push(mg_node *node, mg_cursor *at, mg_node **next) {
    return push(node, at, next);
}

enum { AT_A_TIME = 1 << 19 }; /* nodes pushed between two looks for a signal */

/* ---- with closures: first a list, then the pushing ----
 *
 * A closure is foreign code: it may record, release, even call backward itself. No mark may be set
 * while a closure runs, so the walk only lists the nodes. All of them live as long as the root. */

static mg_status list_node(mg_cursor *at, mg_node *node) {
    mg_order *order = at->order;
    if (mg_gives_up(at->arena, 1)) return MG_INTERRUPTED;
    if (!MG_GROW(at->arena, order->nodes, order->count, order->capacity)) return MG_NO_MEMORY;
    order->nodes[order->count++] = node;
    return MG_OK;
}

static mg_status visit_list(mg_node *node, mg_cursor *at, mg_node **next) {
    bool opaque = at->start != NULL && !mg_is_recent(node, at->start);
    size_t arity = opaque ? 0 : mg_arity_of(node);
    (void)next;
    for (size_t i = 0; i < arity; i++) reach(at, mg_operand_of(node, i));
    return list_node(at, node);
}

/* List the leaves in leaf pages that have a closure, each once, behind the other nodes: the walk
 * does not come to leaf pages. */
static mg_status list_leaves(mg_cursor *at) {
    size_t interior = at->order->count;
    mg_status status = MG_OK;
    for (size_t i = 0; i < interior && status == MG_OK; i++) {
        mg_node *node = at->order->nodes[i];
        size_t arity = mg_arity_of(node);
        for (size_t k = 0; k < arity && status == MG_OK; k++) {
            mg_node *leaf = mg_operand_of(node, k);
            if (leaf->op != MG_OP_leaf || (leaf->flags & (MG_CLOSURE | MG_LISTED)) != MG_CLOSURE)
                continue;
            if (mg_page_of(leaf)->sequence != MG_LEAF_PAGE) continue;
            status = list_node(at, leaf);
            if (status == MG_OK) leaf->flags |= MG_LISTED;
        }
    }
    for (size_t i = interior; i < at->order->count; i++)
        at->order->nodes[i]->flags &= (uint8_t)~MG_LISTED;
    return status;
}

void mg_drop_order(mg_arena *arena, mg_order *order) {
    if (order != NULL) {
        mg_deallocate(arena, order->nodes);
        mg_deallocate(arena, order->earlier);
    }
    mg_deallocate(arena, order);
}

static mg_order *list(mg_arena *arena, mg_node *root, const mg_position *start) {
    mg_node *culprit;
    mg_cursor at = {.arena = arena, .start = start};
    at.order = mg_allocate(arena, sizeof *at.order);
    if (at.order == NULL) return NULL;
    mg_status status = walk(root, &at, visit_list, &culprit);
    if (status == MG_OK && start == NULL) status = list_leaves(&at);
    if (status == MG_OK) return at.order;
    mg_drop_order(arena, at.order);
    return NULL;
}

mg_order *mg_list(mg_arena *arena, mg_node *root) {
    return list(arena, root, NULL);
}

mg_order *mg_list_since(mg_arena *arena, mg_node *root, const mg_position *start) {
    return list(arena, root, start);
}

mg_status mg_resume(mg_order *order, mg_node **closure, mg_node **culprit) {
    const size_t left = order->count - order->next;
    const size_t stop = order->next + (left < AT_A_TIME ? left : AT_A_TIME);
    *closure = NULL;
    while (order->next < stop) {
        mg_node *node = order->nodes[order->next++];
        if (node->flags & MG_CLOSURE) {
            *closure = node;
            return MG_OK;
        }
        mg_status status = mg_push_node(node);
        if (status != MG_OK) {
            *culprit = node;
            return status;
        }
    }
    return MG_OK;
}

/* ---- gradients that leave no trace ---- */

static bool set_aside(mg_arena *arena, mg_order *order, mg_node *node) {
    if (!MG_GROW(arena, order->earlier, order->set_aside, order->room)) return false;
    order->earlier[order->set_aside++] = (mg_earlier){node, node->grad};
    node->grad = 0.0;
    return true;
}

bool mg_set_aside(mg_arena *arena, mg_order *order, mg_node *const *nodes, size_t count) {
    bool done = true;
    for (size_t i = 0; i < count && done; i++) done = set_aside(arena, order, nodes[i]);
    for (size_t i = 0; i < order->count && done; i++) {
        const mg_node *node = order->nodes[i];
        const size_t arity = mg_arity_of(node);
        done = set_aside(arena, order, order->nodes[i]);
        for (size_t k = 0; k < arity && done; k++)
            done = set_aside(arena, order, mg_operand_of(node, k));
    }
    if (!done) mg_put_back(order);
    return done;
}

void mg_put_back(mg_order *order) {
    while (order->set_aside > 0) { /* the first of a node's entries, put back last, has its grad */
        const mg_earlier *earlier = &order->earlier[--order->set_aside];
        earlier->node->grad = earlier->grad;
    }
}

mg_status mg_sweep(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit) {
    *order = NULL;
    *culprit = NULL;
    if (arena->closures != 0) {
        *order = mg_list(arena, root);
        if (*order == NULL) return mg_why(arena);
        root->grad = 1.0;
        return MG_OK;
    }
    root->grad = 1.0;
    if (mg_arity(root) == 0) return MG_OK;
    mg_cursor at = {.arena = arena};
    return walk(root, &at, visit_push, culprit);
}
