/* fold.c: dot products folded up. A dot product of two vectors of nodes is recorded as the products
 * and partial sums that the plain expression makes, two slots a term; but of these only the last
 * sum is written out as a node. The others have their slots, and of what they hold the little that
 * cannot be found again: per term two operands and their product, packed at the beginning of the
 * second row (see mg_links). Backward and release take such a dot product as one, which spares them
 * most of the memory and of the work.
 *
 * Whoever looks at its operands unfolds it: then it is the nodes that it stands for, with the data
 * that they got and the gradients that they would have by now, at the very addresses, in the order
 * of creation, that they were recorded for. That takes no memory, so it cannot fail.
 *
 * The slots inside a folded node carry no mark and no references. */
#include "node.h"

size_t mg_fold(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count, mg_node **sum) {
    mg_node *first = arena->bump, *start = *sum;
    const size_t room = first != NULL ? (size_t)(arena->end - first) / 2 : 0;
    if (count > room) count = room;
    if (count < 2 || ws[0].node == NULL || xs[0].node == NULL || ws[1].node == NULL ||
        xs[1].node == NULL)
        return 0;
    mg_links *terms = mg_links_of(first);
    double total = start->data;
    size_t n = 0;
    for (; n < count; n++) {
        mg_node *w = ws[n].node, *x = xs[n].node;
        if (w == NULL || x == NULL) break;
        const double product = w->data * x->data;
        total += product;
        mg_revive(first + n);
        terms[n].left = w;
        terms[n].right = x;
        terms[n].product = product;
        w->refs++;
        x->refs++;
    }
    mg_revive(first + n);
    terms[n].rest.start = start->data;
    terms[n].rest.swept = false;
    mg_node *node = first + 2 * n - 1;
    mg_fill(node, MG_OP_folded, total);
    mg_link(node, start, first);
    start->refs++;
    arena->bump = node + 1;
    *sum = node;
    return n;
}

/* The data of the sums inside, which have their own row, go first; then the nodes from the last to
 * the first, whose links lie above those terms that are still packed. */
mg_node *mg_unfold(mg_node *node) {
    mg_node *const first = mg_folded_first(node), *const start = mg_links_of(node)->left;
    const size_t count = mg_folded_terms(node);
    const mg_links *terms = mg_links_of(first), rest = terms[count];
    const double grad = rest.rest.swept ? rest.rest.grad : 0.0;
    double total = rest.rest.start;
    for (size_t i = 0; i + 1 < count; i++) {
        mg_node *sum = first + 2 * i + 1;
        mg_revive(sum);
        sum->data = total += terms[i].product;
    }
    node->op = MG_OP_add;
    for (size_t i = count; i-- > 0;) {
        const mg_links term = terms[i];
        mg_node *product = first + 2 * i, *sum = product + 1;
        mg_fill(product, MG_OP_multiply, term.product);
        product->grad = grad;
        product->refs = 1;
        mg_link(product, term.left, term.right);
        if (sum != node) {
            mg_fill(sum, MG_OP_add, sum->data);
            sum->grad = grad;
            sum->refs = 1;
        }
        mg_link(sum, i != 0 ? sum - 2 : start, product);
    }
    return first;
}
