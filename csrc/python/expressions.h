/* expressions.h: functions of the module; micrograd_c/functional.py says what these functions
 * return, and their errors. NotImplemented: the expression is to be evaluated operator by operator,
 * and nothing was recorded. */
#ifndef MG_PYTHON_EXPRESSIONS_H
#define MG_PYTHON_EXPRESSIONS_H

#include "python/proxy.h"

PyObject *value_dot(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_linear(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_total(PyObject *module, PyObject *values);
PyObject *value_mean(PyObject *module, PyObject *values);
PyObject *value_softmax(PyObject *module, PyObject *logits);
PyObject *value_log_softmax(PyObject *module, PyObject *logits);
PyObject *value_logsumexp(PyObject *module, PyObject *logits);
PyObject *value_logistic(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_cross_entropy(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_mse(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_hinge(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
