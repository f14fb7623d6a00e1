/* calls.c: the calls of a jitted function, which is replayed as a program: the numbers that go in,
 * and the Value that comes out. micrograd_c/_compile/jit.py calls the replay in between. */
#include "python/calls.h"

#include <math.h>

#include "graph/record.h"
#include "python/blocks.h"
#include "python/nodes.h"

PyObject *value_common_type(PyObject *Py_UNUSED(module), PyObject *sequence) {
    if (!PyTuple_Check(sequence) && !PyList_Check(sequence)) {
        PyErr_SetString(PyExc_TypeError, "a list or tuple is required");
        return NULL;
    }
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    PyObject **items = PySequence_Fast_ITEMS(sequence);
    Py_ssize_t same = 0;
    while (same < count && Py_TYPE(items[same]) == Py_TYPE(items[0])) same++;
    if (count == 0 || same < count) Py_RETURN_NONE;
    return Py_NewRef((PyObject *)Py_TYPE(items[0]));
}

/* The arguments that the functions below begin with. */
typedef struct {
    value_nodes *captured; /* a reference */
    PyObject *const *leaves;
    Py_ssize_t count; /* of leaves */
    Py_buffer view;   /* of the array, to be released */
} call_numbers;

static void drop(call_numbers *in) {
    PyBuffer_Release(&in->view);
    value_drop_nodes(in->captured);
}

/* Take captured, leaves and an array of at least `least` more doubles than these are. The caller
 * keeps the arguments, and drops what was taken. false: an error is set, and there is nothing to
 * drop. */
static bool take(call_numbers *in, PyObject *const *args, Py_ssize_t least, int flags) {
    if (!PyTuple_Check(args[1]) && !PyList_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "a list or tuple of leaves is required");
        return false;
    }
    in->captured = value_take_nodes(args[0]);
    if (in->captured == NULL) return false;
    if (PyObject_GetBuffer(args[2], &in->view, flags) < 0) {
        value_drop_nodes(in->captured);
        return false;
    }
    in->leaves = PySequence_Fast_ITEMS(args[1]);
    in->count = PySequence_Fast_GET_SIZE(args[1]);
    const Py_ssize_t needed = (Py_ssize_t)in->captured->count + in->count + least;
    if (in->view.len >= needed * (Py_ssize_t)sizeof(double)) return true;
    PyErr_Format(PyExc_ValueError, "an array of %zd doubles is required", needed);
    drop(in);
    return false;
}

PyObject *value_take_numbers(PyObject *Py_UNUSED(module), PyObject *const *args,
                             Py_ssize_t arguments) {
    call_numbers in;
    if (arguments != 3) {
        PyErr_BadArgument();
        return NULL;
    }
    if (value_is_recording() || value_is_watched()) return PyLong_FromLong(2);
    if (!take(&in, args, 0, PyBUF_WRITABLE)) return NULL;
    double *number = in.view.buf;
    int taken = 1;
    for (Py_ssize_t i = 0; taken == 1 && i < in.count; i++, number++) {
        /* a list may change while foreign code runs */
        if (i >= PySequence_Fast_GET_SIZE(args[1])) break;
        PyObject *leaf = PySequence_Fast_GET_ITEM(args[1], i);
        if (value_check(leaf))
            *number = value_node(leaf)->data;
        else
            taken = value_number(leaf, number);
    }
    if (taken == 0) PyErr_SetString(PyExc_TypeError, "a leaf is neither a Value nor a number");
    mg_node *const *nodes = value_nodes_now(in.captured);
    for (size_t i = 0; taken == 1 && i < in.captured->count; i++) *number++ = nodes[i]->data;
    drop(&in);
    if (taken != 1) return NULL;
    return PyLong_FromLong(mg_module.blocks != 0 && value_grad_is_off());
}

/* Write the operands of a result and their partials to arrays that have room for all; return how
 * many there are, -1 if a partial is not finite. */
static Py_ssize_t choose_operands(const call_numbers *in, const char *reached, mg_node **operands,
                                  double *partials) {
    const double *slopes = (const double *)in->view.buf + 1;
    mg_node *const *captured = value_nodes_now(in->captured);
    Py_ssize_t chosen = 0;
    for (size_t i = 0; i < in->captured->count; i++) {
        const size_t place = (size_t)in->count + i;
        if (!reached[place]) continue;
        operands[chosen] = captured[i];
        partials[chosen] = slopes[place];
        if (!isfinite(partials[chosen++])) return -1;
    }
    for (Py_ssize_t i = 0; i < in->count; i++) {
        if (!reached[i] || !value_check(in->leaves[i])) continue;
        operands[chosen] = value_node(in->leaves[i]);
        partials[chosen] = slopes[i];
        if (!isfinite(partials[chosen++])) return -1;
    }
    return chosen;
}

/* Return a node for a result, a leaf if there are no operands. NULL: MemoryError, or no error is
 * set: a number is not finite. */
static mg_node *make_node(const call_numbers *in, const char *reached) {
    enum { FEW = 16 };
    mg_node *few_operands[FEW], *node = NULL;
    double few_partials[FEW], data = *(const double *)in->view.buf;
    const size_t most = in->captured->count + (size_t)in->count;
    mg_node **operands = most <= FEW ? few_operands : PyMem_New(mg_node *, most);
    double *partials = most <= FEW ? few_partials : PyMem_New(double, most);
    Py_ssize_t count = -1;
    if (operands == NULL || partials == NULL)
        PyErr_NoMemory();
    else if (isfinite(data))
        count = choose_operands(in, reached, operands, partials);
    if (count == 0)
        node = mg_new_leaf(mg_module.arena, data);
    else if (count > 0)
        node = mg_new_custom(mg_module.arena, data, operands, (size_t)count, partials);
    if (count >= 0 && node == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; node != NULL && i < count; i++) value_hold(operands[i]);
    if (operands != few_operands) PyMem_Free(operands);
    if (partials != few_partials) PyMem_Free(partials);
    return node;
}

PyObject *value_give_result(PyObject *Py_UNUSED(module), PyObject *const *args,
                            Py_ssize_t arguments) {
    call_numbers in;
    if (arguments != 5 || !PyBytes_Check(args[3]) || !PyDict_Check(args[4])) {
        PyErr_BadArgument();
        return NULL;
    }
    if (!take(&in, args, 1, PyBUF_SIMPLE)) return NULL;
    const bool fits = PyBytes_GET_SIZE(args[3]) == (Py_ssize_t)in.captured->count + in.count;
    mg_node *node = fits ? make_node(&in, PyBytes_AS_STRING(args[3])) : NULL;
    drop(&in);
    if (!fits) PyErr_BadArgument();
    if (node == NULL) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *result = value_wrap(node);
    if (result == NULL) return NULL;
    value_object *self = (value_object *)result;
    self->dict = Py_NewRef(args[4]);
    if (value_keep_dict(self) < 0) {
        Py_DECREF(result);
        return PyErr_NoMemory();
    }
    value_set_cyclic(self);
    return result;
}
