/* sequences.c: sequences of Values and numbers to terms, nodes to Values. */
#include "python/sequences.h"

#include "python/blocks.h"

/* ---- sequences as terms ---- */

value_taking value_take_term(PyObject *item, mg_term *term) {
    if (MG_LIKELY(value_is_exact(item))) {
        term->node = value_node(item);
        return TAKEN;
    }
    if (value_check(item)) return NOT_OURS;
    term->node = NULL;
    if (MG_LIKELY(PyFloat_CheckExact(item))) {
        term->number = PyFloat_AS_DOUBLE(item);
        term->integer = 0;
        return TAKEN;
    }
    if (!PyLong_Check(item) && !PyFloat_Check(item)) return NOT_OURS;
    term->integer = PyLong_Check(item);
    if (value_number(item, &term->number) < 0) { /* an int too large for a double */
        PyErr_Clear();
        return NOT_OURS;
    }
    return term->integer && fabs(term->number) >= MG_LARGEST_INTEGER ? NOT_OURS : TAKEN;
}

void value_unpin_terms(value_terms *in) {
    for (Py_ssize_t i = 0; i < in->count; i++)
        if (in->terms[i].node != NULL) mg_give_back(mg_module.arena, in->terms[i].node);
    in->pinned = false;
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

static value_taking fill_terms(value_terms *in) {
    PyObject **items = PySequence_Fast_ITEMS(in->sequence);
    for (Py_ssize_t i = 0; i < in->count; i++) {
        value_taking how = value_take_term(items[i], &in->terms[i]);
        if (how != TAKEN) return how;
    }
    return TAKEN;
}

value_taking value_take_terms(PyObject *sequence, value_terms *in) {
    if (!PyList_CheckExact(sequence) && !PyTuple_CheckExact(sequence)) return NOT_OURS;
    if (mg_module.blocks != 0 && value_is_watched()) return NOT_OURS;
    in->sequence = Py_NewRef(sequence);
    in->count = PySequence_Fast_GET_SIZE(sequence);
    in->pinned = false;
    in->terms = in->count <= VALUE_FEW_TERMS ? in->few : PyMem_New(mg_term, in->count);
    if (in->terms == NULL) PyErr_NoMemory();
    value_taking how = in->terms != NULL ? fill_terms(in) : FAILED;
    if (how != TAKEN) value_drop_terms(in);
    return how;
}

value_taking value_take_inputs(PyObject *sequence, value_terms *in) {
    PyObject *copy = PyList_CheckExact(sequence) ? PyList_AsTuple(sequence) : Py_NewRef(sequence);
    if (copy == NULL) return FAILED;
    value_taking how = value_take_terms(copy, in);
    Py_DECREF(copy);
    for (Py_ssize_t i = 0; how == TAKEN && i < in->count; i++)
        if (in->terms[i].node != NULL) value_pin(in->terms[i].node);
    in->pinned = how == TAKEN;
    return how;
}

PyObject *value_refuse_terms(value_taking how) {
    return how == FAILED ? NULL : Py_NewRef(Py_NotImplemented);
}

/* ---- results ---- */

void value_hold_all(const mg_term *operands, Py_ssize_t count) {
    if (mg_module.arena->kept == 0) return;
    for (Py_ssize_t i = 0; i < count; i++) {
        mg_node *node = operands[i].node;
        if (node != NULL && node->flags & MG_KEEP) value_hold(node);
    }
}

void value_hold_terms(const value_terms *in) {
    value_hold_all(in->terms, in->count);
}

/* Arithmetic errors are left to the plain expression, which knows the operands and so can name
 * them. */
PyObject *value_show(mg_node *node, mg_status status) {
    if (node == NULL && mg_module.arena->orphans != NULL) value_drain_orphans();
    if (node == NULL && status != MG_NO_MEMORY) return Py_NewRef(Py_NotImplemented);
    if (node == NULL) return PyErr_NoMemory();
    if (node->refs != 0) return value_of_node(node); /* the result is one of the operands */
    if (mg_module.blocks != 0 && value_grad_is_off()) {
        node = value_as_leaf(node);
        if (node == NULL) return PyErr_NoMemory();
    }
    return value_wrap(node);
}

/* ---- a row of weights ---- */

value_taking value_take_row(PyObject *weights, PyObject *given, const mg_term *xs, Py_ssize_t count,
                            int op, mg_node **node) {
    value_terms ws;
    mg_term bias;
    mg_status status;
    value_taking how = given != NULL ? value_take_term(given, &bias) : TAKEN;
    if (how == TAKEN) how = value_take_terms(weights, &ws);
    if (how != TAKEN) return how;
    if (ws.count != count) {
        PyErr_Format(PyExc_ValueError, "%zd weights for %zd inputs", ws.count, count);
        value_drop_terms(&ws);
        return FAILED;
    }
    *node = mg_new_dot(mg_module.arena, ws.terms, xs, (size_t)count, given != NULL ? &bias : NULL,
                       op, &status);
    value_hold_terms(&ws);
    if (given != NULL && bias.node != NULL) value_hold(bias.node);
    if (*node != NULL)
        (*node)->refs++;
    else if (mg_module.arena->orphans != NULL)
        value_drain_orphans();
    value_drop_terms(&ws);
    if (*node != NULL) return TAKEN;
    if (status == MG_NO_MEMORY) PyErr_NoMemory();
    return status == MG_NO_MEMORY ? FAILED : NOT_OURS;
}

PyObject *value_show_row(mg_node *node) {
    node->refs--;
    return value_show(node, MG_OK);
}
