/* cycles.h: cycles that run through the arena, and how a proxy leaves its node. */
#ifndef MG_PYTHON_CYCLES_H
#define MG_PYTHON_CYCLES_H

#include "python/proxy.h"

/* Separate a proxy from this node: give the proxy's reference to the node back, and let the node
 * hold the proxy no more. The node has no tag and no closure afterwards. self->node is another node
 * already, and the caller has a reference to self. Foreign code may run at the end. */
void value_leave(value_object *self, mg_node *node);
/* Function of the module, the callback for Python's gc.callbacks: before a collection, expose the
 * cycles through the arena. Returns None. */
PyObject *value_before_collection(PyObject *module, PyObject *args);

#endif
