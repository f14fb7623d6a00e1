/* nodes.h: Values whose nodes are needed again and again, such as all parameters of a model. */
#ifndef MG_PYTHON_NODES_H
#define MG_PYTHON_NODES_H

#include "python/proxy.h"

/* An object of the module's class Nodes. It is made once and never changed, but for the nodes. */
typedef struct {
    PyObject_HEAD PyObject *values; /* a tuple of Values, which keep their nodes */
    mg_node **nodes;                /* the node of each, as of `moves` */
    size_t count;
    uint64_t moves; /* mg_module.moves when the nodes were read */
} value_nodes;

/* Return a Nodes as it is, and a new Nodes for any other iterable of Values. NULL: TypeError or
 * MemoryError. Foreign code may run, also when the Nodes is dropped. */
value_nodes *value_take_nodes(PyObject *values);
/* Read the nodes from the Values. */
void value_read_nodes(value_nodes *self);
/* Make the class, for the module. */
PyObject *value_make_nodes_type(void);

/* Return the nodes that the Values show now, an array of self->count, to be used before foreign
 * code runs, as a node taken from a Value is. */
static inline mg_node *const *value_nodes_now(value_nodes *self) {
    if (self->moves != mg_module.moves) value_read_nodes(self);
    return self->nodes;
}

static inline void value_drop_nodes(value_nodes *self) {
    Py_XDECREF((PyObject *)self);
}

#endif
