/* backward.h: backward(), and the `_backward` of a Value. */
#ifndef MG_PYTHON_BACKWARD_H
#define MG_PYTHON_BACKWARD_H

#include "python/proxy.h"

/* Getter of _backward: the closure that was assigned, or a function that runs the native rule. */
PyObject *value_get_backward(PyObject *self, void *closure);
/* Setter of _backward. value NULL: back to the native rule. TypeError: value cannot be called. May
 * run foreign code, and is refused while a program is recorded. */
int value_set_backward(PyObject *self, PyObject *value, void *closure);
/* The method backward(). Returns None. Runs foreign code: closures, and handlers of signals. After
 * an error gradients of some nodes may have been pushed (mg_backward says of which). */
PyObject *value_backward(PyObject *self, PyObject *ignored);
/* gradients(output, inputs): the derivatives of a Value with respect to each of a tuple of Values,
 * a list of floats. No gradient of a Value changes. Runs foreign code and fails as backward() does.
 */
PyObject *value_gradients(PyObject *module, PyObject *args);

#endif
