/* attributes.h: what a Value shows of its node, and labels. */
#ifndef MG_PYTHON_ATTRIBUTES_H
#define MG_PYTHON_ATTRIBUTES_H

#include "python/proxy.h"

extern PyGetSetDef value_attributes_table[];
/* Return the tag of a label, a number below `most`; a short label that has none gets the next one.
 * 0: the label is '', or has no such tag and gets none. -1: an error is set. */
int value_label_tag(PyObject *label, int most);
/* Setter of label. value NULL: AttributeError, for a label cannot be deleted. May run foreign
 * code. */
int value_set_label(PyObject *object, PyObject *value, void *closure);
/* Getter of _op: a str, or whatever was assigned to _op. */
PyObject *value_get_op(PyObject *self, void *closure);
/* Return the number that a node has: a constant exponent, as the int or float that it was written
 * as; the mg_rule of a custom node; None for other nodes. */
PyObject *value_get_number(const mg_node *node);
/* Getter of _children: the operands in order, repeats included, a tuple. May run foreign code. */
PyObject *value_get_children(PyObject *self, void *closure);

#endif
