/* operators.c: the operator table as data, and what can be asked of one node. */
#include <string.h>

#include "graph/node.h"

typedef struct {
    const char *name;
    const char *symbol;
    mg_form form;
} operator_row;

static const operator_row rows[MG_OP_COUNT] = {{"leaf", "", MG_FORM_NONE},
                                               {"custom", "", MG_FORM_NONE},
#define X(name, symbol, form, finite, value, error, dzdx, dzdy, partial_error) \
    {#name, symbol, form},
                                               MG_OPERATORS(X)
#undef X
};

static bool is_operator(int op) {
    return op >= 0 && op < MG_OP_COUNT;
}

int mg_operator_count(void) {
    return MG_OP_COUNT;
}

const char *mg_operator_name(int op) {
    return is_operator(op) ? rows[op].name : NULL;
}

const char *mg_operator_symbol(int op) {
    return is_operator(op) ? rows[op].symbol : NULL;
}

mg_form mg_operator_form(int op) {
    return is_operator(op) ? rows[op].form : MG_FORM_NONE;
}

size_t mg_operator_arity(int op) {
    return is_operator(op) && op != MG_OP_custom ? mg_arities[op] : 0;
}

int mg_operator_find(const char *name) {
    for (int op = 0; op < MG_OP_COUNT; op++)
        if (strcmp(rows[op].name, name) == 0) return op;
    return -1;
}

/* ---- nodes ---- */

double mg_node_data(const mg_node *node) {
    return node->data;
}

double mg_node_grad(const mg_node *node) {
    return node->grad;
}

void mg_node_set_data(mg_node *node, double data) {
    node->data = data;
}

void mg_node_set_grad(mg_node *node, double grad) {
    node->grad = grad;
}

size_t mg_node_references(const mg_node *node) {
    return node->refs;
}

int mg_node_tag(const mg_node *node) {
    return (int)mg_tag_of(node);
}

int mg_node_set_tag(mg_node *node, int tag) {
    return mg_set_tag(node, (uint32_t)tag);
}

int mg_operator_of(const mg_node *node) {
    return node->op == MG_OP_folded ? MG_OP_add : node->op;
}

size_t mg_arity_of(const mg_node *node) {
    return node->op == MG_OP_custom ? mg_extra_of(node)->count : mg_arities[mg_operator_of(node)];
}

mg_node *mg_operand_of(const mg_node *node, size_t i) {
    if (i >= mg_arity_of(node)) return NULL;
    if (node->op == MG_OP_custom) return mg_extra_of(node)->operands[i];
    mg_open(node);
    return i == 0 ? mg_links_of(node)->left : mg_links_of(node)->right;
}

/* A folded node may be unfolded by another thread, so none is looked at without the lock. */

int mg_node_operator(const mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    int op = mg_operator_of(node);
    mg_lock_give(&arena->lock);
    return op;
}

size_t mg_node_arity(const mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    size_t arity = mg_arity_of(node);
    mg_lock_give(&arena->lock);
    return arity;
}

mg_node *mg_node_operand(const mg_node *node, size_t i) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    mg_node *operand = mg_operand_of(node, i);
    mg_lock_give(&arena->lock);
    return operand;
}

double mg_node_exponent(const mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    double exponent = node->op == MG_OP_exponent ? mg_links_of(node)->exponent : 0.0;
    mg_lock_give(&arena->lock);
    return exponent;
}

int mg_node_exponent_is_integer(const mg_node *node) {
    mg_arena *arena = mg_page_of(node)->arena;
    mg_lock_take(&arena->lock);
    int integer = node->op == MG_OP_exponent && (node->flags & MG_INTEGER) != 0;
    mg_lock_give(&arena->lock);
    return integer;
}
