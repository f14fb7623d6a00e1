/* optimizers.c: the functions of csrc/graph/optimizers.c for a tuple of Values and arrays of
 * doubles. */
#include "python/optimizers.h"

#include "graph/optimizers.h"
#include "python/construct.h"

/* Return the doubles of an object with a writable buffer of count doubles; the caller releases
 * *view. NULL: an error is set, and there is nothing to release. */
static double *take_array(PyObject *object, Py_ssize_t count, Py_buffer *view) {
    if (PyObject_GetBuffer(object, view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND) < 0) return NULL;
    const char *format = view->format != NULL ? view->format : "B";
    if (strcmp(format, "d") == 0 && view->len == count * (Py_ssize_t)sizeof(double))
        return view->buf;
    PyErr_Format(PyExc_ValueError, "an array of %zd doubles is required", count);
    PyBuffer_Release(view);
    return NULL;
}

PyObject *value_sgd(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t arguments) {
    Py_buffer view;
    if (value_refuse("a step of an optimizer") < 0) return NULL;
    if (arguments != 5 || !PyTuple_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "a tuple, an array and three numbers are required");
        return NULL;
    }
    const mg_sgd how = {.lr = PyFloat_AsDouble(args[2]),
                        .momentum = PyFloat_AsDouble(args[3]),
                        .weight_decay = PyFloat_AsDouble(args[4])};
    if (PyErr_Occurred()) return NULL;
    PyObject *const params = args[0];
    const Py_ssize_t count = PyTuple_GET_SIZE(params);
    double *buffer = take_array(args[1], count, &view);
    if (buffer == NULL) return NULL;
    mg_node **nodes = value_take_operands(params);
    if (nodes != NULL) mg_update_sgd(nodes, (size_t)count, &how, buffer);
    PyBuffer_Release(&view);
    if (nodes == NULL) return NULL;
    PyMem_Free(nodes);
    Py_RETURN_NONE;
}

PyObject *value_adam(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *params, *first, *second;
    Py_buffer first_view, second_view;
    mg_adam how;
    if (value_refuse("a step of an optimizer") < 0) return NULL;
    if (!PyArg_ParseTuple(args, "O!OOddddddp:adam", &PyTuple_Type, &params, &first, &second,
                          &how.step, &how.lr, &how.beta1, &how.beta2, &how.eps, &how.weight_decay,
                          &how.decoupled))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(params);
    double *m = take_array(first, count, &first_view);
    if (m == NULL) return NULL;
    double *v = take_array(second, count, &second_view);
    mg_node **nodes = v != NULL ? value_take_operands(params) : NULL;
    if (nodes != NULL) mg_update_adam(nodes, (size_t)count, &how, m, v);
    PyBuffer_Release(&first_view);
    if (v != NULL) PyBuffer_Release(&second_view);
    if (nodes == NULL) return NULL;
    PyMem_Free(nodes);
    Py_RETURN_NONE;
}

PyObject *value_zero_grad(PyObject *Py_UNUSED(module), PyObject *params) {
    if (value_refuse("zero_grad()") < 0) return NULL;
    PyObject *tuple = PySequence_Tuple(params);
    if (tuple == NULL) return NULL;
    const bool good = value_are_values(tuple);
    for (Py_ssize_t i = 0; good && i < PyTuple_GET_SIZE(tuple); i++)
        value_node(PyTuple_GET_ITEM(tuple, i))->grad = 0.0;
    Py_DECREF(tuple);
    if (!good) return NULL;
    Py_RETURN_NONE;
}
