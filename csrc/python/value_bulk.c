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
static void hold(const mg_term *operands, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        mg_node *node = operands[i].node;
        if (node != NULL && node->flags & MG_KEEP) value_hold(node);
    }
}

static void hold_terms(const terms *in) {
    hold(in->terms, in->count);
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

/* Record a row of weights, and a bias or NULL: a node, with a reference for the caller. */
static taking take_row(PyObject *weights, PyObject *given, const mg_term *xs, Py_ssize_t count,
                       int op, mg_node **node) {
    terms ws;
    mg_term bias;
    mg_status status;
    taking how = given != NULL ? take_term(given, &bias) : TAKEN;
    if (how == TAKEN) how = take_terms(weights, "weights must be a sequence", &ws);
    if (how != TAKEN) return how;
    if (ws.count != count) {
        PyErr_Format(PyExc_ValueError, "%zd weights for %zd inputs", ws.count, count);
        drop_terms(&ws);
        return FAILED;
    }
    *node = mg_new_dot(mg_module.arena, ws.terms, xs, (size_t)count, given != NULL ? &bias : NULL,
                       op, &status);
    hold_terms(&ws);
    if (given != NULL && bias.node != NULL) value_hold(bias.node);
    if (*node != NULL)
        (*node)->refs++;
    else if (mg_module.arena->orphans != NULL)
        value_drain_orphans();
    drop_terms(&ws);
    if (*node != NULL) return TAKEN;
    if (status == MG_NO_MEMORY) PyErr_NoMemory();
    return status == MG_NO_MEMORY ? FAILED : NOT_OURS;
}

/* The same node as a Value, which takes the reference over. */
static PyObject *show_row(mg_node *node) {
    node->refs--;
    return show(node, MG_OK);
}

static PyObject *none_to_null(PyObject *object) {
    return object == Py_None ? NULL : object;
}

PyObject *value_dot(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms xs;
    mg_node *node;
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "3 arguments are required, not %zd", count);
        return NULL;
    }
    taking how = take_terms(args[1], "inputs must be a sequence", &xs);
    if (how != TAKEN) return refuse(how);
    how = take_row(args[0], none_to_null(args[2]), xs.terms, xs.count, -1, &node);
    PyObject *result = how == TAKEN ? show_row(node) : refuse(how);
    hold_terms(&xs);
    drop_terms(&xs);
    return result;
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
        mg_node *node;
        PyObject *bias = biases != NULL ? PySequence_Fast_GET_ITEM(biases, i) : NULL;
        how = take_row(PySequence_Fast_GET_ITEM(rows, i), bias, xs->terms, xs->count, -1, &node);
        PyObject *output = how == TAKEN ? show_row(node) : NULL;
        if (how == TAKEN && output == NULL) how = FAILED;
        if (output != NULL) PyList_SET_ITEM(outputs, i, output);
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

/* The node of one neuron's output, with a reference for the caller. */
static taking take_neuron(PyObject *neuron, const mg_term *xs, Py_ssize_t count, mg_node **node) {
    int op;
    PyObject *weights = PyObject_GetAttr(neuron, mg_module.weights_name);
    PyObject *bias = PyObject_GetAttr(neuron, mg_module.bias_name);
    PyObject *activation = PyObject_GetAttr(neuron, mg_module.activation_name);
    taking how = weights == NULL || bias == NULL || activation == NULL
                     ? FAILED
                     : take_activation(activation, &op);
    if (how == TAKEN && PyObject_Size(weights) != count)
        how = PyErr_Occurred() ? FAILED : NOT_OURS; /* for Neuron to complain about */
    if (how == TAKEN) how = take_row(weights, bias, xs, count, op, node);
    Py_XDECREF(weights);
    Py_XDECREF(bias);
    Py_XDECREF(activation);
    return how;
}

/* The outputs of neurons, as nodes with a reference each. */
typedef struct {
    mg_term *terms;
    Py_ssize_t count;
} outputs;

static void drop_outputs(outputs *out) {
    for (Py_ssize_t i = 0; i < out->count; i++) mg_give_back(mg_module.arena, out->terms[i].node);
    PyMem_Free(out->terms);
    *out = (outputs){NULL, 0};
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

/* [neuron(xs) for neuron in neurons] for neurons of that very type, whose w, b and activation are
 * read. */
static taking take_layer(PyObject *neurons, PyObject *type, const mg_term *xs, Py_ssize_t count,
                         int tag, outputs *out) {
    Py_ssize_t size = PyList_GET_SIZE(neurons);
    *out = (outputs){PyMem_New(mg_term, size), 0};
    if (out->terms == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    while (out->count < size) {
        mg_node *node;
        PyObject *neuron =
            out->count < PyList_GET_SIZE(neurons) ? PyList_GET_ITEM(neurons, out->count) : Py_None;
        Py_INCREF(neuron);
        taking how =
            (PyObject *)Py_TYPE(neuron) == type ? take_neuron(neuron, xs, count, &node) : NOT_OURS;
        Py_DECREF(neuron);
        if (how != TAKEN) {
            drop_outputs(out);
            return how;
        }
        node->tag = (uint8_t)tag;
        out->terms[out->count++] = (mg_term){node, 0.0, 0};
    }
    hold(xs, count);
    return TAKEN;
}

/* The outputs as a list of Values, which take the references over. */
static PyObject *show_outputs(outputs *out, int tag) {
    PyObject *list = PyList_New(out->count);
    while (list != NULL && out->count != 0) {
        PyObject *value = show_row(out->terms[--out->count].node);
        if (value != NULL) {
            value_node(value)->tag = (uint8_t)tag; /* of a leaf, where nothing is recorded */
            PyList_SET_ITEM(list, out->count, value);
        } else {
            Py_CLEAR(list);
        }
    }
    drop_outputs(out);
    return list;
}

/* layer(neurons, xs, type, label): [neuron(xs) for neuron in neurons] */
PyObject *value_layer(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms xs;
    outputs out;
    if (count != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "layer() takes a list of neurons, inputs, a type, a label");
        return NULL;
    }
    int tag = value_label_tag(args[3]);
    if (tag < 0) return NULL;
    taking how = tag != 0 ? take_terms(args[1], "inputs must be a sequence", &xs) : NOT_OURS;
    if (how != TAKEN) return refuse(how);
    how = take_layer(args[0], args[2], xs.terms, xs.count, tag, &out);
    drop_terms(&xs);
    return how == TAKEN ? show_outputs(&out, tag) : refuse(how);
}

/* What one layer makes of the outputs of the one before, which are let go of. */
static taking pass_layer(PyObject *layer, PyObject *const *types, int tag, const terms *in,
                         outputs *out) {
    outputs before = *out;
    const mg_term *xs = before.terms != NULL ? before.terms : in->terms;
    Py_ssize_t count = before.terms != NULL ? before.count : in->count;
    *out = (outputs){NULL, 0};
    PyObject *neurons = NULL;
    taking how = (PyObject *)Py_TYPE(layer) == types[0] ? TAKEN : NOT_OURS;
    if (how == TAKEN) neurons = PyObject_GetAttr(layer, mg_module.neurons_name);
    if (how == TAKEN && neurons == NULL) how = FAILED;
    if (how == TAKEN && !PyList_Check(neurons)) how = NOT_OURS;
    if (how == TAKEN) how = take_layer(neurons, types[1], xs, count, tag, out);
    Py_XDECREF(neurons);
    drop_outputs(&before);
    return how;
}

/* network(layers, xs, layer's type, neuron's type, label): one layer after the other; what is
 * between them is nobody's Value. Of a single output, the Value itself. */
PyObject *value_network(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    terms in;
    outputs out = {NULL, 0};
    if (count != 5 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "network() takes a list of layers, inputs, two types, a label");
        return NULL;
    }
    int tag = value_label_tag(args[4]);
    if (tag < 0) return NULL;
    bool whole = tag != 0 && PyList_GET_SIZE(args[0]) != 0 &&
                 (PyList_CheckExact(args[1]) || PyTuple_CheckExact(args[1])) &&
                 (mg_module.no_grad == 0 || !value_grad_is_off());
    if (!whole) return refuse(NOT_OURS);
    taking how = take_terms(args[1], "inputs must be a sequence", &in);
    if (how != TAKEN) return refuse(how);
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(args[0], i));
        how = pass_layer(layer, args + 2, tag, &in, &out);
        Py_DECREF(layer);
    }
    drop_terms(&in);
    if (how != TAKEN) return refuse(how);
    PyObject *list = show_outputs(&out, tag);
    if (list == NULL || PyList_GET_SIZE(list) != 1) return list;
    PyObject *single = Py_NewRef(PyList_GET_ITEM(list, 0));
    Py_DECREF(list);
    return single;
}

/* Append the weights and the bias of a neuron. */
static taking append_parameters(PyObject *list, PyObject *neuron) {
    Py_ssize_t end = PyList_GET_SIZE(list);
    PyObject *weights = PyObject_GetAttr(neuron, mg_module.weights_name);
    PyObject *bias = weights != NULL ? PyObject_GetAttr(neuron, mg_module.bias_name) : NULL;
    taking how = bias == NULL ? FAILED : PyList_CheckExact(weights) ? TAKEN : NOT_OURS;
    if (how == TAKEN &&
        (PyList_SetSlice(list, end, end, weights) < 0 || PyList_Append(list, bias) < 0))
        how = FAILED;
    Py_XDECREF(weights);
    Py_XDECREF(bias);
    return how;
}

static taking append_layer(PyObject *list, PyObject *layer, PyObject *const *types) {
    if ((PyObject *)Py_TYPE(layer) != types[0]) return NOT_OURS;
    PyObject *neurons = PyObject_GetAttr(layer, mg_module.neurons_name);
    if (neurons == NULL) return FAILED;
    taking how = PyList_Check(neurons) ? TAKEN : NOT_OURS;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(neurons); i++) {
        PyObject *neuron = Py_NewRef(PyList_GET_ITEM(neurons, i));
        how = (PyObject *)Py_TYPE(neuron) == types[1] ? append_parameters(list, neuron) : NOT_OURS;
        Py_DECREF(neuron);
    }
    Py_DECREF(neurons);
    return how;
}

/* parameters(layers, layer's type, neuron's type): those of all neurons, in order */
PyObject *value_parameters(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (count != 3 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "parameters() takes a list of layers and two types");
        return NULL;
    }
    PyObject *list = PyList_New(0);
    taking how = list != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(args[0], i));
        how = append_layer(list, layer, args + 1);
        Py_DECREF(layer);
    }
    if (how == TAKEN) return list;
    Py_XDECREF(list);
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
