/* optimizers.h: functions of the module, which return None. */
#ifndef MG_PYTHON_OPTIMIZERS_H
#define MG_PYTHON_OPTIMIZERS_H

#include "python/proxy.h"

/* sgd(params, buffer, lr, momentum, weight_decay): one step (mg_update_sgd). params is a tuple of n
 * Values, buffer an array of n doubles. */
PyObject *value_sgd(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
/* adam(params, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled): one step
 * (mg_update_adam). m and v are arrays of n doubles. */
PyObject *value_adam(PyObject *module, PyObject *args);
/* Set the gradients of an iterable of Values to 0. */
PyObject *value_zero_grad(PyObject *module, PyObject *params);

#endif
