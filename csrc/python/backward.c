/* backward.c: backward(), and the `_backward` of a Value: the native rule or a closure. */
#include "python/backward.h"

#include <signal.h>

#include "graph/backward.h"
#include "graph/memory.h"
#include "python/blocks.h"
#include "python/construct.h"
#include "python/copying.h"
#include "python/errors.h"
#include "python/recording.h"

static PyObject *push(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    if (value_refuse("calling _backward()") < 0) return NULL;
    mg_status status = mg_push_node(value_node(self));
    if (status != MG_OK) {
        value_raise_partial(status, value_node(self));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef push_method = {"_backward", push, METH_NOARGS,
                                  PyDoc_STR("Push this node's gradient into its operands, once.")};

PyObject *value_get_backward(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *own = value_own_entry(self, mg_module.backward_key);
    if (own != NULL || PyErr_Occurred()) return own;
    return PyCFunction_New(&push_method, self);
}

int value_set_backward(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (value_refuse("a _backward of a Value's own") < 0) return -1;
    if (value == NULL) { /* back to the native rule */
        mg_set_closure(mg_module.arena, value_node(self), false);
        return value_delete_own_entry(self, mg_module.backward_key);
    }
    if (!PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "_backward must be callable, not '%.200s'",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (value_set_own_entry(self, mg_module.backward_key, value) < 0) return -1;
    mg_set_closure(mg_module.arena, value_node(self), true);
    value_set_cyclic((value_object *)self);
    return 0;
}

/* Call the `_backward` of a node's proxy. -1: an error is set. */
static int call_closure(mg_node *node) {
    PyObject *self = value_of_node(node);
    PyObject *closure = self == NULL ? NULL : value_get_backward(self, NULL);
    PyObject *result = closure == NULL ? NULL : PyObject_CallNoArgs(closure);
    Py_XDECREF(closure);
    Py_XDECREF(self);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Push the gradients of the graph below a node in detect_anomaly. */
static int follow_watched(mg_node *root) {
    PyObject *value = value_of_node(root);
    PyObject *nodes = value != NULL ? value_graph(NULL, value) : NULL;
    const int result = nodes != NULL ? value_follow(nodes) : -1;
    Py_XDECREF(nodes);
    Py_XDECREF(value);
    return result;
}

/* Push the gradients of an order in which there may be closures: mg_resume pushes native nodes, and
 * Python calls the closures in between. In detect_anomaly Python does it all, node by node. */
static int follow_order(mg_order *order) {
    mg_node *closure, *culprit;
    if (value_is_watched()) return follow_watched(order->nodes[0]);
    for (;;) {
        mg_status status = mg_resume(order, &closure, &culprit);
        if (status != MG_OK) {
            value_raise_partial(status, culprit);
            return -1;
        }
        if (closure != NULL && call_closure(closure) < 0) return -1;
        if (closure == NULL && mg_is_done(order)) return 0;
        if (closure == NULL && PyErr_CheckSignals() < 0) return -1;
    }
}

enum { LARGE = 4096 }; /* pages in use; with more, a backward may take noticeable time */

/* Whether Ctrl-C raises KeyboardInterrupt, so that the work it interrupts need not be finished. A
 * program's own handler may only take note of Ctrl-C, and the work has to go on. */
static bool interrupt_raises(void) {
    PyObject *module = PyImport_ImportModule("_signal");
    PyObject *handler =
        module != NULL ? PyObject_CallMethod(module, "getsignal", "i", SIGINT) : NULL;
    PyObject *raising =
        handler != NULL ? PyObject_GetAttrString(module, "default_int_handler") : NULL;
    const bool raises = raising != NULL && handler == raising;
    Py_XDECREF(raising);
    Py_XDECREF(handler);
    Py_XDECREF(module);
    PyErr_Clear();
    return raises;
}

/* mg_sweep in detect_anomaly: nothing is pushed yet. */
static mg_status list_watched(mg_node *root, mg_order **order) {
    *order = mg_list(mg_module.arena, root);
    if (*order == NULL) return mg_why(mg_module.arena);
    root->grad = 1.0;
    return MG_OK;
}

PyObject *value_backward(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    mg_order *order;
    mg_node *culprit;
    if (value_refuse("calling backward()") < 0) return NULL;
    const bool large = mg_module.arena->pages > LARGE;
    if (large && interrupt_raises()) mg_set_poll(mg_module.arena, value_interrupted);
    mg_node *const root = value_node(self); /* only now: foreign code may have run before */
    mg_status status = value_is_watched() ? list_watched(root, &order)
                                          : mg_sweep(mg_module.arena, root, &order, &culprit);
    mg_set_poll(mg_module.arena, NULL);
    if (status == MG_INTERRUPTED) {
        if (PyErr_CheckSignals() == 0) PyErr_SetNone(PyExc_KeyboardInterrupt);
        return NULL;
    }
    if (status != MG_OK) {
        value_raise_partial(status, culprit);
        return NULL;
    }
    if (order == NULL) Py_RETURN_NONE;
    value_pin(root); /* a closure could give self another node */
    int result = follow_order(order);
    mg_drop_order(mg_module.arena, order);
    value_unpin(root);
    if (result < 0) return NULL;
    Py_RETURN_NONE;
}

/* Return the gradients of count nodes, a list, by a backward along an order. */
static PyObject *read_gradients(mg_order *order, mg_node *const *inputs, Py_ssize_t count) {
    if (!mg_set_aside(mg_module.arena, order, inputs, (size_t)count)) return PyErr_NoMemory();
    order->nodes[0]->grad = 1.0;
    PyObject *list = follow_order(order) < 0 ? NULL : PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *gradient = PyFloat_FromDouble(inputs[i]->grad);
        if (gradient == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, gradient);
    }
    mg_put_back(order);
    return list;
}

PyObject *value_gradients(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *output, *inputs;
    if (!PyArg_ParseTuple(args, "OO!:gradients", &output, &PyTuple_Type, &inputs)) return NULL;
    if (!value_require(output)) return NULL;
    mg_node **nodes = value_take_operands(inputs);
    if (nodes == NULL) return NULL;
    const Py_ssize_t count = PyTuple_GET_SIZE(inputs);
    mg_node *const root = value_node(output);
    value_pin(root);
    for (Py_ssize_t i = 0; i < count; i++) value_pin(nodes[i]);
    mg_order *order = mg_list(mg_module.arena, root);
    PyObject *list = order != NULL ? read_gradients(order, nodes, count) : PyErr_NoMemory();
    mg_drop_order(mg_module.arena, order);
    for (Py_ssize_t i = 0; i < count; i++) value_unpin(nodes[i]);
    value_unpin(root);
    PyMem_Free(nodes);
    return list;
}
