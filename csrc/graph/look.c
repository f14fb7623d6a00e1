/* look.c: what a node was made from, whether it is packed or not. */
#include "graph/look.h"

int mg_operator_of(const mg_node *node) {
    return node->op == MG_OP_packed ? MG_OP_add : node->op;
}

size_t mg_arity_of(const mg_node *node) {
    return node->op == MG_OP_custom ? mg_extra_of(node)->count : mg_arities[mg_operator_of(node)];
}

mg_node *mg_operand_of(const mg_node *node, size_t i) {
    if (i >= mg_arity_of(node)) return NULL;
    if (node->op == MG_OP_custom) return mg_extra_of(node)->operands[i];
    mg_ensure_unpacked(node);
    return i == 0 ? mg_links_of(node)->left : mg_links_of(node)->right;
}
