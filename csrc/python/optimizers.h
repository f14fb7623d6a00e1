/* optimizers.h: functions of the module, which return None, or a float. */
#ifndef MG_PYTHON_OPTIMIZERS_H
#define MG_PYTHON_OPTIMIZERS_H

#include "python/proxy.h"

/* sgd(group, ...): one step (mg_update_sgd) of each group of parameters, a tuple (params, buffer,
 * *numbers): n Values (a Nodes, as in nodes.h, or another iterable), an array of n doubles, the
 * fields of mg_sgd in their order. After an error no group has made a step. */
PyObject *value_sgd(PyObject *module, PyObject *const *groups, Py_ssize_t count);
/* adam(group, ...): the same for (params, m, v, largest, *numbers) and mg_update_adam. */
PyObject *value_adam(PyObject *module, PyObject *const *groups, Py_ssize_t count);
/* rmsprop(group, ...): for (params, square, mean, buffer, *numbers) and mg_update_rmsprop. */
PyObject *value_rmsprop(PyObject *module, PyObject *const *groups, Py_ssize_t count);
/* clip_norm(params, max_norm, norm_type): return the norm (mg_clip_grads_by_norm). */
PyObject *value_clip_norm(PyObject *module, PyObject *args);
/* clip_value(params, bound): see mg_clip_grads. */
PyObject *value_clip_value(PyObject *module, PyObject *args);
/* Set the gradients of Values to 0. */
PyObject *value_zero_grad(PyObject *module, PyObject *params);

#endif
