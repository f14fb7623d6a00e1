/* construct.h: Value(...), and objects of subclasses. */
#ifndef MG_PYTHON_CONSTRUCT_H
#define MG_PYTHON_CONSTRUCT_H

#include "python/proxy.h"

/* The class's tp_new, tp_init and tp_vectorcall: Value(...). All may run foreign code. */
PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *names);
int value_init(PyObject *self, PyObject *args, PyObject *names);
PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);
/* Return the nodes of a tuple of n Values: an array of n, borrowed from the Values. The caller
 * frees the array with PyMem_Free. NULL: TypeError or MemoryError. Unless it fails it runs no
 * foreign code. */
mg_node **value_take_operands(PyObject *children);
/* Return a custom node with these operands, a tuple of n Values, and these partials, a tuple of n
 * numbers; partials may be NULL or empty: none are given. Where children is NULL or empty, return a
 * leaf. The node has no reference yet. NULL: an error is set. Foreign code may run where a partial
 * is converted, before the nodes are taken from the Values. */
mg_node *value_make_node(double data, PyObject *children, PyObject *partials);
/* Return an object of a subclass that shows a node without a proxy. The class is not called. A
 * failure frees the node, which has no reference yet. May run foreign code. */
PyObject *value_wrap_bare(PyTypeObject *type, mg_node *node);
/* Return what an operation on instances of a subclass gives: an object of that subclass, or a plain
 * Value where the subclass's constructor takes other arguments than (data, children, op). A failure
 * frees the node, which has no reference yet. Runs the constructor, foreign code. */
PyObject *value_wrap_as(PyTypeObject *type, mg_node *node);
/* Functions of the module; micrograd_c/_construct.py says what they do (class Backend). */
PyObject *value_make(PyObject *module, PyObject *args);
PyObject *value_renew(PyObject *module, PyObject *args);
PyObject *value_replace(PyObject *module, PyObject *args);

#endif
