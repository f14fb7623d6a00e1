/* look.h: what a node was made from, whether it is packed or not. */
#ifndef MG_LOOK_H
#define MG_LOOK_H

#include "graph/dots.h"

/* See mg_node_operator, mg_node_arity, mg_node_operand, mg_node_exponent, mg_node_rule. */
int mg_operator_of(const mg_node *node);
size_t mg_arity_of(const mg_node *node);
mg_node *mg_operand_of(const mg_node *node, size_t i);

/* Unpack a node if it is packed. To its parents and its proxy the node is the same as before, so
 * the parameter is const. */
static inline void mg_ensure_unpacked(const mg_node *node) {
    if (node->op == MG_OP_packed) mg_unpack((mg_node *)(uintptr_t)node);
}

static inline double mg_exponent_of(const mg_node *node) {
    return node->op == MG_OP_exponent ? mg_links_of(node)->exponent : 0.0;
}

static inline bool mg_exponent_is_integer(const mg_node *node) {
    return node->op == MG_OP_exponent && (node->flags & MG_INTEGER) != 0;
}

static inline mg_rule mg_rule_of(const mg_node *node) {
    return node->op == MG_OP_custom ? mg_extra_of(node)->rule : MG_RULE_NONE;
}

#endif
