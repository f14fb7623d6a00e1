/* dots.c: dot products packed.
 *
 * The plain expression of a dot product, of nodes with nodes or with numbers, makes leaves (for the
 * numbers), products and partial sums. Here each of these has its slot too, but the last sum alone
 * is written out as a node, the packed node. Of the nodes inside, which are not written out, only
 * what cannot be found again is kept: for each term two operands and their product. The terms lie
 * one behind the other in the mg_links of the first slots.
 *
 * Backward handles a packed node as one, and so does release as long as no proxy has state, for the
 * order in which proxies with state die could be seen. That spares both most of the memory and of
 * the work. A packed node lies within one page: where the page under way has no room for two terms,
 * the next page begins.
 *
 * To look at a packed node's operands is to unpack the node: the slots become the nodes that they
 * stand for, at the addresses they were recorded for and so in the order of creation, with their
 * data and with the gradients that they would have by now. That takes no memory and cannot fail.
 *
 * The slots inside a packed node carry no mark and no references. */
#include "graph/dots.h"

#include "graph/pages.h"

size_t mg_pack(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count, mg_node **sum) {
    mg_node *start = *sum;
    const bool numbers = xs[0].node == NULL;
    const size_t stride = numbers ? 3 : 2;
    if (count < 2 || ws[0].node == NULL || ws[1].node == NULL || (xs[1].node == NULL) != numbers)
        return 0;
    if ((size_t)(arena->end - arena->bump) < 2 * stride && !mg_take_interior_page(arena)) return 0;
    mg_node *first = arena->bump;
    const size_t room = (size_t)(arena->end - first) / stride;
    if (count > room) count = room;
    mg_links *terms = mg_links_of(first);
    double total = start->data;
    size_t n = 0;
    for (; n < count; n++) {
        mg_node *w = ws[n].node, *x = xs[n].node;
        if (w == NULL || (x == NULL) != numbers) break;
        mg_revive(first + n);
        terms[n].left = w;
        w->refs++;
        if (numbers) {
            terms[n].number = xs[n].number;
            terms[n].product = w->data * xs[n].number;
        } else {
            terms[n].right = x;
            terms[n].product = w->data * x->data;
            x->refs++;
        }
        total += terms[n].product;
    }
    mg_revive(first + n);
    mg_links *behind = mg_links_of(first + n);
    behind->rest.start = start->data;
    behind->rest.swept = false;
    mg_node *node = first + stride * n - 1;
    mg_fill(node, MG_OP_packed, total);
    if (numbers) node->flags = MG_NUMBERS;
    mg_links_of(node)->left = start;
    mg_links_of(node)->right = first;
    start->refs++;
    arena->bump = node + 1;
    *sum = node;
    return n;
}

/* Write out a node inside, which has one parent. */
static void write_out(mg_node *node, int op, double data, double grad) {
    mg_fill(node, op, data);
    node->grad = grad;
    node->refs = 1;
}

/* Set the operands of a node inside; the references to these are counted already. */
static void set_operands(mg_node *node, mg_node *left, mg_node *right) {
    mg_links_of(node)->left = left;
    mg_links_of(node)->right = right;
}

/* The order matters, for the terms lie in memory that is written to. First the sums inside get
 * their data, which lie in the other half of the page. Then the nodes are written out from the last
 * to the first: the mg_links of each lie above the terms that are still to be read. */
mg_node *mg_unpack(mg_node *node) {
    mg_node *const first = mg_packed_first(node), *const start = mg_links_of(node)->left;
    const size_t stride = mg_packed_stride(node), count = mg_packed_terms(node);
    const mg_links *terms = mg_links_of(first), rest = terms[count];
    const double grad = rest.rest.swept ? rest.rest.grad : 0.0;
    double total = rest.rest.start;
    for (size_t i = 0; i + 1 < count; i++) {
        mg_node *sum = first + stride * (i + 1) - 1;
        mg_revive(sum);
        sum->data = total += terms[i].product;
    }
    for (size_t i = count; i-- > 0;) {
        const mg_links term = terms[i];
        mg_node *sum = first + stride * (i + 1) - 1, *product = sum - 1, *right = term.right;
        if (node->flags & MG_NUMBERS) {
            right = product - 1;
            write_out(right, MG_OP_leaf, term.number, rest.rest.swept ? right->grad : 0.0);
        }
        write_out(product, MG_OP_multiply, term.product, grad);
        set_operands(product, term.left, right);
        if (sum != node) write_out(sum, MG_OP_add, sum->data, grad);
        set_operands(sum, i != 0 ? sum - stride : start, product);
    }
    node->op = MG_OP_add;
    node->flags &= (uint8_t)~MG_NUMBERS;
    return first;
}
