/* value_bulk.c: the functions of csrc/bulk.c for sequences of Values and numbers. Where one of them
 * is neither, or of a subclass, which may have operators of its own, a function returns
 * NotImplemented, and micrograd_c/functional.py evaluates the expression operator by operator. */
#include "value.h"

/* ---- sequences as terms ---- */

#define FEW 64

typedef struct {
    PyObject *sequence; /* a list or tuple, which keeps the nodes */
    mg_term *terms;
    Py_ssize_t count;
    mg_term few[FEW]; /* room for the terms of a short one */
} terms;

typedef enum { FAILED, NOT_OURS, TAKEN } taking;

/* A Value or a number. */
static taking take_term(PyObject *item, mg_term *term) {
    if (MG_LIKELY(value_is_exact(item))) {
        term->node = value_node(item);
        return TAKEN;
    }
    if (value_check(item)) return NOT_OURS;
    term->node = NULL;
    term->integer = PyLong_Check(item);
    int found = value_number(item, &term->number);
    if (found == 1 && PyLong_Check(item) && fabs(term->number) > 9007199254740992.0) found = 0;
    return found < 0 ? FAILED : found == 0 ? NOT_OURS : TAKEN;
}

static void drop_terms(terms *in) {
    if (in->terms != in->few) PyMem_Free(in->terms);
    in->terms = NULL;
    Py_CLEAR(in->sequence);
}

static bool is_plain(PyObject *item) {
    return PyFloat_Check(item) || PyLong_Check(item) || value_check(item);
}

/* Converting a number of another kind is foreign code, which may change a list: so from there on
 * the items are those of a tuple. */
static taking fill_terms(terms *in) {
    for (Py_ssize_t i = 0; i < in->count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(in->sequence, i);
        if (MG_LIKELY(value_is_exact(item))) {
            in->terms[i].node = value_node(item);
            continue;
        }
        if (PyList_CheckExact(in->sequence) && !is_plain(item)) {
            Py_SETREF(in->sequence, PyList_AsTuple(in->sequence));
            if (in->sequence == NULL) return FAILED;
            item = PySequence_Fast_GET_ITEM(in->sequence, i);
        }
        taking how = take_term(item, &in->terms[i]);
        if (how != TAKEN) return how;
    }
    return TAKEN;
}

static taking take_terms(PyObject *sequence, const char *name, terms *in) {
    in->terms = NULL;
    in->sequence = PySequence_Fast(sequence, name);
    if (in->sequence == NULL) return FAILED;
    in->count = PySequence_Fast_GET_SIZE(in->sequence);
    in->terms = in->count <= FEW ? in->few : PyMem_New(mg_term, in->count);
    if (in->terms == NULL) PyErr_NoMemory();
    taking how = in->terms != NULL ? fill_terms(in) : FAILED;
    if (how != TAKEN) drop_terms(in);
    return how;
}

static bool same_length(const terms *a, const char *name_a, const terms *b, const char *name_b) {
    if (a->count == b->count) return true;
    PyErr_Format(PyExc_ValueError, "%zd %s for %zd %s", a->count, name_a, b->count, name_b);
    return false;
}

static bool not_empty(const terms *in, const char *name) {
    if (in->count != 0) return true;
    PyErr_Format(PyExc_ValueError, "no %s", name);
    return false;
}

static PyObject *refuse(taking how) {
    return how == FAILED ? NULL : Py_NewRef(Py_NotImplemented);
}

/* ---- results ---- */

/* Operands with state are held for the new nodes. */
static void hold_terms(const terms *in) {
    for (Py_ssize_t i = 0; i < in->count; i++)
        if (in->terms[i].node != NULL && in->terms[i].node->flags & MG_KEEP)
            value_hold(in->terms[i].node);
}

/* Arithmetic errors are left to the plain expression, which knows the operands. */
static PyObject *show(mg_node *node, mg_status status) {
    if (node == NULL && mg_module.arena->orphans != NULL) value_drain_orphans();
    if (node == NULL && status != MG_NO_MEMORY) return Py_NewRef(Py_NotImplemented);
    if (node == NULL) return PyErr_NoMemory();
    if (node->refs != 0) return value_of_node(node); /* one of the operands itself */
    if (mg_module.no_grad != 0 && value_grad_is_off()) {
        node = value_as_leaf(node);
        if (node == NULL) return PyErr_NoMemory();
    }
    return value_wrap(node);
}

/* ---- functions of one sequence ---- */

typedef mg_node *(*reduction)(mg_arena *, const mg_term *, size_t, mg_status *);

static PyObject *reduce(PyObject *values, const char *name, reduction record) {
    terms in;
    mg_status status;
    taking how = take_terms(values, name, &in);
    if (how != TAKEN) return refuse(how);
    PyObject *result = NULL;
    if (record == mg_new_total || not_empty(&in, "values")) {
        result = show(record(mg_module.arena, in.terms, (size_t)in.count, &status), status);
        hold_terms(&in);
    }
    drop_terms(&in);
    return result;
}

PyObject *value_total(PyObject *Py_UNUSED(module), PyObject *values) {
    return reduce(values, "total() takes a sequence of Values and numbers", mg_new_total);
}

PyObject *value_mean(PyObject *Py_UNUSED(module), PyObject *values) {
    return reduce(values, "mean() takes a sequence of Values and numbers", mg_new_mean);
}

/* ---- functions of two sequences ---- */

typedef mg_node *(*loss)(mg_arena *, const mg_term *, const mg_term *, size_t, mg_status *);

static PyObject *compare_with_targets(PyObject *const *args, Py_ssize_t count, const char *name,
                                      loss record) {
    terms outputs, targets;
    mg_status status;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "2 sequences are required, not %zd", count);
        return NULL;
    }
    taking how = take_terms(args[0], name, &outputs);
    if (how != TAKEN) return refuse(how);
    how = take_terms(args[1], name, &targets);
    if (how != TAKEN) {
        drop_terms(&outputs);
        return refuse(how);
    }
    PyObject *result = NULL;
    if (same_length(&outputs, "predictions", &targets, "targets") &&
        not_empty(&outputs, "predictions")) {
        result = show(
            record(mg_module.arena, outputs.terms, targets.terms, (size_t)outputs.count, &status),
            status);
        hold_terms(&outputs);
        hold_terms(&targets);
    }
    drop_terms(&outputs);
    drop_terms(&targets);
    return result;
}

PyObject *value_mse(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return compare_with_targets(args, count, "mse() takes sequences of Values and numbers",
                                mg_new_mse);
}

PyObject *value_hinge(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    return compare_with_targets(args, count, "hinge() takes sequences of Values and numbers",
                                mg_new_hinge);
}

/* ---- dot and linear ---- */

static PyObject *record_dot(const terms *ws, const terms *xs, const mg_term *bias, int op) {
    mg_status status;
    if (!same_length(ws, "weights", xs, "inputs")) return NULL;
    mg_node *node =
        mg_new_dot(mg_module.arena, ws->terms, xs->terms, (size_t)ws->count, bias, op, &status);
    PyObject *result = show(node, status);
    hold_terms(ws);
    if (bias != NULL && bias->node != NULL) value_hold(bias->node);
    return result;
}

/* One row of weights, and a bias or NULL. */
static taking take_row(PyObject *weights, PyObject *given, const terms *xs, int op,
                       PyObject **result) {
    terms ws;
    mg_term bias;
    taking how = given != NULL ? take_term(given, &bias) : TAKEN;
    if (how == TAKEN) how = take_terms(weights, "weights must be a sequence", &ws);
    if (how != TAKEN) return how;
    *result = record_dot(&ws, xs, given != NULL ? &bias : NULL, op);
    drop_terms(&ws);
    if (*result != Py_NotImplemented) return *result != NULL ? TAKEN : FAILED;
    Py_CLEAR(*result);
    return NOT_OURS;
}

static PyObject *none_to_null(PyObject *object) {
    return object == Py_None ? NULL : object;
}

PyObject *value_dot(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms xs;
    PyObject *result = NULL;
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "3 arguments are required, not %zd", count);
        return NULL;
    }
    taking how = take_terms(args[1], "inputs must be a sequence", &xs);
    if (how != TAKEN) return refuse(how);
    how = take_row(args[0], none_to_null(args[2]), &xs, -1, &result);
    hold_terms(&xs);
    drop_terms(&xs);
    return how == TAKEN ? result : refuse(how);
}

static PyObject *linear_rows(PyObject *rows, PyObject *biases, const terms *xs) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(rows);
    if (biases != NULL && PySequence_Fast_GET_SIZE(biases) != count) {
        PyErr_Format(PyExc_ValueError, "%zd biases for %zd rows of weights",
                     PySequence_Fast_GET_SIZE(biases), count);
        return NULL;
    }
    PyObject *outputs = PyList_New(count);
    taking how = outputs != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < count; i++) {
        PyObject *output = NULL;
        PyObject *bias = biases != NULL ? PySequence_Fast_GET_ITEM(biases, i) : NULL;
        how = take_row(PySequence_Fast_GET_ITEM(rows, i), bias, xs, -1, &output);
        if (how == TAKEN) PyList_SET_ITEM(outputs, i, output);
    }
    if (how == TAKEN) return outputs;
    Py_XDECREF(outputs);
    return refuse(how);
}

PyObject *value_linear(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms xs;
    PyObject *result = NULL;
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "3 arguments are required, not %zd", count);
        return NULL;
    }
    taking how = take_terms(args[1], "inputs must be a sequence", &xs);
    if (how != TAKEN) return refuse(how);
    PyObject *rows = PySequence_Fast(args[0], "weights must be a sequence of rows");
    PyObject *biases = NULL;
    bool good = rows != NULL;
    if (good && args[2] != Py_None) {
        biases = PySequence_Fast(args[2], "biases must be a sequence");
        good = biases != NULL;
    }
    if (good) result = linear_rows(rows, biases, &xs);
    hold_terms(&xs);
    Py_XDECREF(rows);
    Py_XDECREF(biases);
    drop_terms(&xs);
    return result;
}

/* ---- a layer of neurons ---- */

/* The operator of an activation's name, -1 for None. */
static taking take_activation(PyObject *name, int *op) {
    static PyObject *last_name; /* its own reference: the same object is the same name */
    static int last_op;
    if (name == Py_None) {
        *op = -1;
        return TAKEN;
    }
    if (name != last_name) {
        const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
        int found = text != NULL ? mg_operator_find(text) : -1;
        if (PyErr_Occurred()) return FAILED;
        if (found < 0 || mg_operator_form(found) != MG_FORM_METHOD) return NOT_OURS;
        Py_XSETREF(last_name, Py_NewRef(name));
        last_op = found;
    }
    *op = last_op;
    return TAKEN;
}

static taking take_neuron(PyObject *neuron, const terms *xs, int tag, PyObject **output) {
    int op;
    PyObject *weights = PyObject_GetAttr(neuron, mg_module.weights_name);
    PyObject *bias = PyObject_GetAttr(neuron, mg_module.bias_name);
    PyObject *activation = PyObject_GetAttr(neuron, mg_module.activation_name);
    taking how = weights == NULL || bias == NULL || activation == NULL
                     ? FAILED
                     : take_activation(activation, &op);
    if (how == TAKEN && PyObject_Size(weights) != xs->count)
        how = PyErr_Occurred() ? FAILED : NOT_OURS; /* for Neuron to complain about */
    if (how == TAKEN) how = take_row(weights, bias, xs, op, output);
    if (how == TAKEN) value_node(*output)->tag = (uint8_t)tag;
    Py_XDECREF(weights);
    Py_XDECREF(bias);
    Py_XDECREF(activation);
    return how;
}

/* layer(neurons, xs, type, label): [neuron(xs) for neuron in neurons] for neurons of that very
 * type, whose w, b and activation are read. */
PyObject *value_layer(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms xs;
    if (count != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "layer() takes a list of neurons, inputs, a type, a label");
        return NULL;
    }
    int tag = value_label_tag(args[3]);
    if (tag < 0) return NULL;
    taking how = tag != 0 ? take_terms(args[1], "inputs must be a sequence", &xs) : NOT_OURS;
    if (how != TAKEN) return refuse(how);
    Py_ssize_t size = PyList_GET_SIZE(args[0]);
    PyObject *outputs = PyList_New(size);
    how = outputs != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < size; i++) {
        PyObject *output = NULL;
        PyObject *neuron = i < PyList_GET_SIZE(args[0]) ? PyList_GET_ITEM(args[0], i) : Py_None;
        how = (PyObject *)Py_TYPE(neuron) == args[2] ? take_neuron(neuron, &xs, tag, &output)
                                                     : NOT_OURS;
        if (how == TAKEN) PyList_SET_ITEM(outputs, i, output);
    }
    hold_terms(&xs);
    drop_terms(&xs);
    if (how == TAKEN) return outputs;
    Py_XDECREF(outputs);
    return refuse(how);
}

/* ---- softmax ---- */

static PyObject *show_all(mg_node **nodes, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (list == NULL) {
            mg_drop(mg_module.arena, nodes[i]);
            continue;
        }
        nodes[i]->refs--; /* of mg_new_softmax: it is the proxy's */
        PyObject *value = show(nodes[i], MG_OK);
        if (value != NULL)
            PyList_SET_ITEM(list, i, value);
        else
            Py_CLEAR(list);
    }
    return list;
}

PyObject *value_softmax(PyObject *Py_UNUSED(module), PyObject *logits) {
    terms in;
    PyObject *result = NULL;
    if (value_is_recording()) return Py_NewRef(Py_NotImplemented); /* the largest may be another */
    taking how = take_terms(logits, "softmax() takes a sequence of Values and numbers", &in);
    if (how != TAKEN) return refuse(how);
    mg_node **nodes = not_empty(&in, "logits") ? PyMem_New(mg_node *, in.count) : NULL;
    if (nodes != NULL) {
        mg_status status = mg_new_softmax(mg_module.arena, in.terms, (size_t)in.count, nodes);
        result = status == MG_OK ? show_all(nodes, in.count) : show(NULL, status);
        hold_terms(&in);
        PyMem_Free(nodes);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    drop_terms(&in);
    return result;
}

PyObject *value_cross_entropy(PyObject *Py_UNUSED(module), PyObject *const *args,
                              Py_ssize_t count) {
    terms in;
    mg_status status;
    PyObject *result = NULL;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "2 arguments are required, not %zd", count);
        return NULL;
    }
    Py_ssize_t target = PyNumber_AsSsize_t(args[1], PyExc_IndexError);
    if (target == -1 && PyErr_Occurred()) return NULL;
    if (value_is_recording()) return Py_NewRef(Py_NotImplemented); /* as in softmax */
    taking how = take_terms(args[0], "cross_entropy() takes a sequence of Values and numbers", &in);
    if (how != TAKEN) return refuse(how);
    Py_ssize_t place = target < 0 ? target + in.count : target;
    if (place < 0 || place >= in.count) {
        PyErr_Format(PyExc_IndexError, "target %zd of %zd logits", target, in.count);
    } else {
        mg_node *node = mg_new_cross_entropy(mg_module.arena, in.terms, (size_t)in.count,
                                             (size_t)place, &status);
        result = show(node, status);
        hold_terms(&in);
    }
    drop_terms(&in);
    return result;
}
