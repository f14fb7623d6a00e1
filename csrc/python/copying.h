/* copying.h: functions of the module, by which micrograd_c/_copying.py copies and pickles. */
#ifndef MG_PYTHON_COPYING_H
#define MG_PYTHON_COPYING_H

#include "python/proxy.h"

/* graph(root): root and every node below root in order of creation, a list of Values. Of the leaves
 * in leaf pages only those with a closure are listed, first. */
PyObject *value_graph(PyObject *module, PyObject *root);
/* What restore() needs: operator's name, data, children, the exponent (of a custom node its
 * mg_rule, of others None), and the partials that a custom node was given, in a tuple. */
PyObject *value_recorded(PyObject *module, PyObject *value);
/* The dict of a Value's own attributes, not a copy; None: it has none. */
PyObject *value_attributes(PyObject *module, PyObject *value);
/* Add the entries of a dict to a Value's own attributes. Returns None. */
PyObject *value_set_attributes(PyObject *module, PyObject *args);
/* A Value with a new node of this operator and these operands, whose data is given, not computed.
 * ValueError: there is no operator of this name with so many children. */
PyObject *value_restore(PyObject *module, PyObject *args);

#endif
