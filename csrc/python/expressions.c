/* expressions.c: the functions of csrc/graph/expressions.c for sequences of Values and numbers.
 * Where an item is neither a Value nor a number, or is an instance of a subclass, which may have
 * operators of its own, a function returns NotImplemented, and micrograd_c/functional.py evaluates
 * the expression operator by operator. */
#include "python/expressions.h"

#include "graph/expressions.h"
#include "python/sequences.h"

/* ---- what is asked of arguments ---- */

static bool same_length(const value_terms *a, const char *name_a, const value_terms *b,
                        const char *name_b) {
    if (a->count == b->count) return true;
    PyErr_Format(PyExc_ValueError, "%zd %s for %zd %s", a->count, name_a, b->count, name_b);
    return false;
}

static bool not_empty(const value_terms *in, const char *name) {
    if (in->count != 0) return true;
    PyErr_Format(PyExc_ValueError, "no %s", name);
    return false;
}

/* ---- functions of one sequence ---- */

typedef mg_node *(*reduction)(mg_arena *, const mg_term *, size_t, mg_status *);

/* Return what `record` makes of a sequence of Values and numbers. ValueError: the sequence is
 * empty, unless it is a total's; `name` is what the error calls the items. */
static PyObject *reduce(PyObject *values, const char *name, reduction record) {
    value_terms in;
    mg_status status;
    value_taking how = value_take_terms(values, &in);
    if (how != TAKEN) return value_refuse_terms(how);
    PyObject *result = NULL;
    if (record == mg_new_total || not_empty(&in, name)) {
        mg_node *node = record(mg_module.arena, in.terms, (size_t)in.count, &status);
        value_hold_terms(&in);
        result = value_show(node, status);
    }
    value_drop_terms(&in);
    return result;
}

PyObject *value_total(PyObject *Py_UNUSED(module), PyObject *values) {
    return reduce(values, "values", mg_new_total);
}

PyObject *value_mean(PyObject *Py_UNUSED(module), PyObject *values) {
    return reduce(values, "values", mg_new_mean);
}

PyObject *value_logsumexp(PyObject *Py_UNUSED(module), PyObject *logits) {
    if (value_is_recording()) return Py_NewRef(Py_NotImplemented); /* as in softmax */
    return reduce(logits, "logits", mg_new_logsumexp);
}

/* ---- functions of two sequences ---- */

typedef mg_node *(*loss)(mg_arena *, const mg_term *, const mg_term *, size_t, mg_status *);

/* Return what `record` makes of two sequences of n items. ValueError: their lengths differ, or n is
 * 0. */
static PyObject *compare_with_targets(PyObject *const *args, Py_ssize_t count, loss record) {
    value_terms outputs, targets;
    mg_status status;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "2 sequences are required, not %zd", count);
        return NULL;
    }
    value_taking how = value_take_terms(args[0], &outputs);
    if (how != TAKEN) return value_refuse_terms(how);
    how = value_take_terms(args[1], &targets);
    if (how != TAKEN) {
        value_drop_terms(&outputs);
        return value_refuse_terms(how);
    }
    PyObject *result = NULL;
    if (same_length(&outputs, "predictions", &targets, "targets") &&
        not_empty(&outputs, "predictions")) {
        mg_node *node =
            record(mg_module.arena, outputs.terms, targets.terms, (size_t)outputs.count, &status);
        value_hold_terms(&outputs);
        value_hold_terms(&targets);
        result = value_show(node, status);
    }
    value_drop_terms(&outputs);
    value_drop_terms(&targets);
    return result;
}

PyObject *value_mse(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return compare_with_targets(args, count, mg_new_mse);
}

PyObject *value_hinge(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return compare_with_targets(args, count, mg_new_hinge);
}

PyObject *value_logistic(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return compare_with_targets(args, count, mg_new_logistic);
}

/* ---- dot and linear ---- */

static PyObject *none_to_null(PyObject *object) {
    return object == Py_None ? NULL : object;
}

PyObject *value_dot(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms xs;
    mg_node *node;
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "3 arguments are required, not %zd", count);
        return NULL;
    }
    value_taking how = value_take_terms(args[1], &xs);
    if (how != TAKEN) return value_refuse_terms(how);
    how = value_take_row(args[0], none_to_null(args[2]), xs.terms, xs.count, -1, &node);
    if (how == TAKEN) value_hold_terms(&xs);
    value_drop_terms(&xs);
    return how == TAKEN ? value_show_row(node) : value_refuse_terms(how);
}

/* Return the outputs of linear, a list of n Values, or NotImplemented. rows is a tuple of n rows of
 * weights, biases a tuple of n biases or NULL; ValueError if their lengths differ. */
static PyObject *linear_rows(PyObject *rows, PyObject *biases, const value_terms *xs) {
    Py_ssize_t count = PyTuple_GET_SIZE(rows);
    if (biases != NULL && PyTuple_GET_SIZE(biases) != count) {
        PyErr_Format(PyExc_ValueError, "%zd biases for %zd rows of weights",
                     PyTuple_GET_SIZE(biases), count);
        return NULL;
    }
    PyObject *outputs = value_hide(PyList_New(count));
    value_taking how = outputs != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < count; i++) {
        mg_node *node;
        PyObject *bias = biases != NULL ? PyTuple_GET_ITEM(biases, i) : NULL;
        how = value_take_row(PyTuple_GET_ITEM(rows, i), bias, xs->terms, xs->count, -1, &node);
        PyObject *output = how == TAKEN ? value_show_row(node) : NULL;
        if (how == TAKEN && output == NULL) how = FAILED;
        if (output != NULL) PyList_SET_ITEM(outputs, i, output);
    }
    if (how == TAKEN) return value_unhide(outputs);
    Py_XDECREF(outputs);
    return value_refuse_terms(how);
}

PyObject *value_linear(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms xs;
    PyObject *result = NULL;
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "3 arguments are required, not %zd", count);
        return NULL;
    }
    value_taking how = value_take_inputs(args[1], &xs);
    if (how != TAKEN) return value_refuse_terms(how);
    bool has_biases = args[2] != Py_None;
    PyObject *rows = PySequence_Tuple(args[0]);
    PyObject *biases = rows != NULL && has_biases ? PySequence_Tuple(args[2]) : NULL;
    if (rows != NULL && (biases != NULL || !has_biases)) result = linear_rows(rows, biases, &xs);
    value_hold_terms(&xs);
    Py_XDECREF(rows);
    Py_XDECREF(biases);
    value_drop_terms(&xs);
    return result;
}

/* ---- softmax ---- */

/* Return an array of nodes as a list of Values, and give the caller's reference to each node back,
 * also where a failure returns NULL. */
static PyObject *show_all(mg_node **nodes, Py_ssize_t count) {
    PyObject *list = value_hide(PyList_New(count));
    for (Py_ssize_t i = 0; i < count; i++) {
        if (list == NULL) {
            mg_drop(mg_module.arena, nodes[i]);
            continue;
        }
        nodes[i]->refs--; /* value_show counts the proxy's reference */
        PyObject *value = value_show(nodes[i], MG_OK);
        if (value != NULL)
            PyList_SET_ITEM(list, i, value);
        else
            Py_CLEAR(list);
    }
    return value_unhide(list);
}

typedef mg_status (*sharing)(mg_arena *, const mg_term *, size_t, mg_node **);

/* Return what `record` makes of n logits, a list of n Values. ValueError: n is 0. While a program
 * is recorded return NotImplemented: in another row another logit may be the largest. */
static PyObject *share(PyObject *logits, sharing record) {
    value_terms in;
    PyObject *result = NULL;
    if (value_is_recording()) return Py_NewRef(Py_NotImplemented);
    value_taking how = value_take_terms(logits, &in);
    if (how != TAKEN) return value_refuse_terms(how);
    mg_node **nodes = not_empty(&in, "logits") ? PyMem_New(mg_node *, in.count) : NULL;
    if (nodes != NULL) {
        mg_status status = record(mg_module.arena, in.terms, (size_t)in.count, nodes);
        value_hold_terms(&in);
        result = status == MG_OK ? show_all(nodes, in.count) : value_show(NULL, status);
        PyMem_Free(nodes);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    value_drop_terms(&in);
    return result;
}

PyObject *value_softmax(PyObject *Py_UNUSED(module), PyObject *logits) {
    return share(logits, mg_new_softmax);
}

PyObject *value_log_softmax(PyObject *Py_UNUSED(module), PyObject *logits) {
    return share(logits, mg_new_log_softmax);
}

PyObject *value_cross_entropy(PyObject *Py_UNUSED(module), PyObject *const *args,
                              Py_ssize_t count) {
    value_terms in;
    mg_status status;
    PyObject *result = NULL;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "2 arguments are required, not %zd", count);
        return NULL;
    }
    Py_ssize_t target = PyNumber_AsSsize_t(args[1], PyExc_IndexError);
    if (target == -1 && PyErr_Occurred()) return NULL;
    if (value_is_recording()) return Py_NewRef(Py_NotImplemented); /* as in softmax */
    value_taking how = value_take_terms(args[0], &in);
    if (how != TAKEN) return value_refuse_terms(how);
    Py_ssize_t place = target < 0 ? target + in.count : target;
    if (place < 0 || place >= in.count) {
        PyErr_Format(PyExc_IndexError, "target %zd of %zd logits", target, in.count);
    } else {
        mg_node *node = mg_new_cross_entropy(mg_module.arena, in.terms, (size_t)in.count,
                                             (size_t)place, &status);
        value_hold_terms(&in);
        result = value_show(node, status);
    }
    value_drop_terms(&in);
    return result;
}
