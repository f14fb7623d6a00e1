/* blocks.h: the with-blocks that threads are in: no_grad and detect_anomaly. Foreign code may run
 * in value_make_block_type, value_as_leaf and the functions that call a hook. */
#ifndef MG_PYTHON_BLOCKS_H
#define MG_PYTHON_BLOCKS_H

#include "graph/pages.h"
#include "program/trace.h"
#include "python/proxy.h"

typedef enum { VALUE_NO_GRAD, VALUE_WATCH, VALUE_BLOCK_KINDS } value_block_kind;

/* Return the type GradOff, the base of no_grad, or Watch, the base of detect_anomaly. */
PyObject *value_make_block_type(value_block_kind kind);
/* Whether this thread records nothing, so that its results are leaves. */
bool value_grad_is_off(void);
/* Whether this thread is in detect_anomaly, and records no program. */
bool value_is_watched(void);
/* The blocks that one thread is in. */
typedef struct value_blocks value_blocks;
/* Let this thread be in no block from now on, and return those that it was in, which the caller
 * hands to value_put_blocks. NULL: this thread is in none. */
value_blocks *value_take_blocks(void);
/* Put back what value_take_blocks returned, NULL included, in place of the blocks that this thread
 * has entered since. */
void value_put_blocks(value_blocks *taken);

/* Functions of the module. is_anyone_watched(): whether any thread is in detect_anomaly, but for
 * threads that record a program. watch_by(look, follow, locate): what micrograd_c/_anomaly.py does
 * in detect_anomaly. */
PyObject *value_is_anyone_watched(PyObject *module, PyObject *ignored);
PyObject *value_watch_by(PyObject *module, PyObject *args);
/* Return what a thread within blocks gets in place of a new node without references, which has its
 * operands' proxies held: the node itself, looked at in detect_anomaly, or a leaf in no_grad. NULL:
 * an error is set, and the node is freed. */
mg_node *value_pass_blocks(mg_node *node);
/* In detect_anomaly, look at a Value that was just made. -1: an error is set. */
int value_look(PyObject *value);
/* In detect_anomaly, push the gradients of a list of Values, the last one's first. -1: an error is
 * set. */
int value_follow(PyObject *nodes);
/* Return an error with the line of the user's code; the argument's reference is taken over. */
PyObject *value_locate(PyObject *error);

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
