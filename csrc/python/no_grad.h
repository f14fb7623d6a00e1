/* no_grad.h: threads that record nothing. Foreign code may run in value_make_grad_off_type and
 * value_as_leaf alone. */
#ifndef MG_PYTHON_NO_GRAD_H
#define MG_PYTHON_NO_GRAD_H

#include "graph/pages.h"
#include "program/trace.h"
#include "python/proxy.h"

/* Return the type GradOff, the base of no_grad. */
PyObject *value_make_grad_off_type(void);
/* Whether this thread records nothing, so that its results are leaves. */
bool value_grad_is_off(void);
/* What one thread in no_grad has asked for. */
typedef struct value_grad_off value_grad_off;
/* Let this thread record from now on, and return what it has asked for, which the caller hands to
 * value_put_grad_off. NULL: this thread records already. */
value_grad_off *value_take_grad_off(void);
/* Put back what value_take_grad_off returned, NULL included, in place of what this thread has asked
 * for since. */
void value_put_grad_off(value_grad_off *taken);

/* Return what a thread that records nothing gets in place of a new node without references: a leaf
 * of the same data; while a program is recorded, a node of MG_RULE_DETACH, whose operand is the new
 * node. The new node belongs to this function, and is freed where no node refers to it. NULL: no
 * memory, and no error is set. */
static inline mg_node *value_as_leaf(mg_node *node) {
    if (value_is_recording()) {
        mg_node *detached = mg_new_rule(mg_module.arena, MG_RULE_DETACH, node->data, &node, 1);
        if (detached == NULL) value_discard(node);
        return detached;
    }
    mg_node *leaf = mg_new_leaf(mg_module.arena, node->data);
    value_discard(node);
    return leaf;
}

#endif
