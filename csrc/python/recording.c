/* recording.c: what a Value does while a program is being recorded to be compiled. The recorder
 * decides, an object of micrograd_c/_compile/recording.py; each thread has its own. */
#include "python/recording.h"

#include "graph/memory.h"
#include "program/trace.h"
#include "python/blocks.h"
#include "python/construct.h"
#include "python/nodes.h"

static MG_THREAD_LOCAL value_blocks *blocks_before; /* the recording */

int value_interrupted(void) {
    if (!PyOS_InterruptOccurred()) return 0;
    PyErr_SetInterrupt(); /* PyOS_InterruptOccurred has cleared it */
    return 1;
}

/* ---- functions of the module ---- */

PyObject *value_get_recorder(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    return Py_NewRef(value_recorder() != NULL ? value_recorder() : Py_None);
}

/* A recording is one call of C from its beginning to its end: a signal's handler that raises an
 * exception does so within work(), or before the recording has begun. */
PyObject *value_record(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *object, *work;
    mg_position start;
    if (!PyArg_ParseTuple(args, "OO:record", &object, &work)) return NULL;
    if (value_recorder() != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a program is being recorded already");
        return NULL;
    }
    mg_start_recording(mg_module.arena, &start);
    blocks_before = value_take_blocks();
    value_set_recorder(object);
    mg_module.recordings++;
    PyObject *position = PyBytes_FromStringAndSize((const char *)&start, sizeof start);
    PyObject *result = position != NULL ? PyObject_CallOneArg(work, position) : NULL;
    Py_XDECREF(position);
    mg_module.arena->recordings--;
    mg_module.recordings--;
    value_put_blocks(blocks_before);
    value_set_recorder(NULL);
    return result;
}

PyObject *value_after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    mg_module.recordings = mg_module.arena->recordings = value_recorder() != NULL;
    Py_RETURN_NONE;
}

PyObject *value_rule(PyObject *Py_UNUSED(module), PyObject *args) {
    int rule;
    double data;
    PyObject *operands;
    if (!PyArg_ParseTuple(args, "idO!:rule", &rule, &data, &PyTuple_Type, &operands)) return NULL;
    mg_node **nodes = value_take_operands(operands);
    if (nodes == NULL) return NULL;
    size_t count = (size_t)PyTuple_GET_SIZE(operands);
    mg_node *node = mg_new_rule(mg_module.arena, (mg_rule)rule, data, nodes, count);
    for (size_t i = 0; node != NULL && i < count; i++) value_hold(nodes[i]);
    PyMem_Free(nodes);
    return node != NULL ? value_wrap(node) : PyErr_NoMemory();
}

PyObject *value_number_of(PyObject *Py_UNUSED(module), PyObject *value) {
    return value_require(value) ? PyFloat_FromDouble(value_node(value)->data) : NULL;
}

/* Read a position that record() has passed to work(). false: ValueError. */
static bool take_position(const Py_buffer *bytes, mg_position *start) {
    if (bytes->len == sizeof *start) {
        memcpy(start, bytes->buf, sizeof *start);
        return true;
    }
    PyErr_SetString(PyExc_ValueError, "this is no position in a recording");
    return false;
}

PyObject *value_is_fresh(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *value;
    mg_position start;
    Py_buffer position;
    if (!PyArg_ParseTuple(args, "Oy*:is_fresh", &value, &position)) return NULL;
    bool good = take_position(&position, &start) && value_require(value);
    PyBuffer_Release(&position);
    if (!good) return NULL;
    return PyBool_FromLong(mg_is_fresh(value_node(value), &start));
}

PyObject *value_serial(PyObject *Py_UNUSED(module), PyObject *value) {
    if (!value_require(value)) return NULL;
    return PyLong_FromUnsignedLongLong(mg_serial(value_node(value)));
}

/* Return what value_trace returns. The caller keeps the captured nodes alive. */
static PyObject *show_trace(const mg_trace *trace) {
    PyObject *captured = value_hide(PyList_New((Py_ssize_t)trace->captures));
    for (size_t i = 0; captured != NULL && i < trace->captures; i++) {
        PyObject *value = value_of_node(trace->captured[i]);
        if (value == NULL)
            Py_CLEAR(captured);
        else
            PyList_SET_ITEM(captured, (Py_ssize_t)i, value);
    }
    if (captured == NULL) return NULL;
    return Py_BuildValue("y#y#N", (const char *)trace->entries,
                         (Py_ssize_t)(trace->count * sizeof(mg_entry)), (const char *)trace->root,
                         (Py_ssize_t)(trace->roots * sizeof(uint32_t)), value_unhide(captured));
}

/* Return the trace below an anchor, as show_trace does. Ctrl-C interrupts the making of the trace;
 * if the signal's handler raises nothing, the trace is made once more, without interruption. The
 * caller pins the anchor and the inputs (an array of count nodes), for foreign code may run. */
static PyObject *trace_nodes(mg_node *anchor, const mg_position *start, mg_node **inputs,
                             Py_ssize_t count) {
    mg_status status;
    mg_node *culprit;
    mg_set_poll(mg_module.arena, value_interrupted);
    mg_trace *trace =
        mg_make_trace(mg_module.arena, anchor, start, inputs, (size_t)count, &status, &culprit);
    mg_set_poll(mg_module.arena, NULL);
    if (trace == NULL && status == MG_INTERRUPTED) {
        if (PyErr_CheckSignals() < 0) return NULL;
        trace =
            mg_make_trace(mg_module.arena, anchor, start, inputs, (size_t)count, &status, &culprit);
    }
    if (trace == NULL) {
        if (status == MG_OPAQUE)
            PyErr_SetString(PyExc_TypeError,
                            "a Value with a _backward of its own cannot be replayed");
        else
            PyErr_NoMemory();
        return NULL;
    }
    PyObject *result = PyErr_CheckSignals() < 0 ? NULL : show_trace(trace);
    mg_drop_trace(mg_module.arena, trace);
    return result;
}

PyObject *value_trace(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *anchor, *inputs;
    mg_position start;
    Py_buffer position;
    if (!PyArg_ParseTuple(args, "OO!y*:trace", &anchor, &PyTuple_Type, &inputs, &position))
        return NULL;
    bool good = take_position(&position, &start) && value_require(anchor);
    PyBuffer_Release(&position);
    if (!good) return NULL;
    mg_node **nodes = value_take_operands(inputs);
    if (nodes == NULL) return NULL;
    const Py_ssize_t count = PyTuple_GET_SIZE(inputs);
    mg_node *root = value_node(anchor);
    value_pin(root); /* keeps all captured nodes while they are shown, which may run foreign code */
    for (Py_ssize_t i = 0; i < count; i++) value_pin(nodes[i]);
    PyObject *result = trace_nodes(root, &start, nodes, count);
    for (Py_ssize_t i = 0; i < count; i++) value_unpin(nodes[i]);
    value_unpin(root);
    PyMem_Free(nodes);
    return result;
}

/* ---- between parameters and arrays ---- */

/* Return the doubles of an object with a buffer of count doubles; the caller releases *view. NULL:
 * an error is set, and there is nothing to release. */
static double *take_doubles(PyObject *object, size_t count, Py_buffer *view, int flags) {
    if (PyObject_GetBuffer(object, view, flags) < 0) return NULL;
    if ((size_t)view->len == count * sizeof(double)) return view->buf;
    PyErr_Format(PyExc_ValueError, "an array of %zu doubles is required", count);
    PyBuffer_Release(view);
    return NULL;
}

/* What is done with each of n Values and its number in an array of n doubles. */
typedef void (*exchange)(mg_node *node, double *number);

static void get_number(mg_node *node, double *number) {
    *number = node->data;
}

static void set_number(mg_node *node, double *number) {
    node->data = *number;
}

static void get_grad(mg_node *node, double *number) {
    *number = node->grad;
}

static void add_grad(mg_node *node, double *number) {
    node->grad += *number;
}

MG_INLINE PyObject *exchange_all(PyObject *const *args, Py_ssize_t arguments, int flags,
                                 exchange each) {
    Py_buffer view;
    if (arguments != 2) {
        PyErr_SetString(PyExc_TypeError, "Values and an array are required");
        return NULL;
    }
    value_nodes *taken = value_take_nodes(args[0]);
    if (taken == NULL) return NULL;
    double *numbers = take_doubles(args[1], taken->count, &view, flags);
    if (numbers != NULL) {
        mg_node *const *nodes = value_nodes_now(taken);
        for (size_t i = 0; i < taken->count; i++) each(nodes[i], &numbers[i]);
        PyBuffer_Release(&view);
    }
    value_drop_nodes(taken);
    return numbers != NULL ? Py_NewRef(Py_None) : NULL;
}

PyObject *value_get_numbers(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (value_refuse("get() of a vector") < 0) return NULL;
    return exchange_all(args, count, PyBUF_WRITABLE, get_number);
}

PyObject *value_set_numbers(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (value_refuse("assigning .data") < 0) return NULL;
    return exchange_all(args, count, PyBUF_SIMPLE, set_number);
}

PyObject *value_get_grads(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (value_refuse("reading .grad") < 0) return NULL;
    return exchange_all(args, count, PyBUF_WRITABLE, get_grad);
}

PyObject *value_add_grads(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return exchange_all(args, count, PyBUF_SIMPLE, add_grad);
}
