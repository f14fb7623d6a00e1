/* value_network.c: layers of neurons in one call, for the classes of micrograd_c/nn.py. Where a
 * layer or a neuron is of another class a function returns NotImplemented, and nn.py asks them one
 * by one.
 */
#include "value_terms.h"

/* ---- attributes ----
 *
 * Reading attributes is most of what a small network costs. While its class has none of these names
 * an object's are in its dict, and nowhere else. */

/* A class that was found to be such; the version tells whether it has been changed since then. */
typedef struct {
    PyTypeObject *type;
    unsigned int version;
} plain_class;

static bool is_plain(plain_class *seen, PyTypeObject *type, PyObject *const *names, int count) {
    bool valid = (type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG) != 0;
    if (MG_LIKELY(valid && type == seen->type && type->tp_version_tag == seen->version))
        return true;
    if (type->tp_getattro != PyObject_GenericGetAttr) return false;
    for (int i = 0; i < count; i++)
        if (PyObject_HasAttr((PyObject *)type, names[i])) return false;
    *seen = (plain_class){type, type->tp_version_tag};
    return true;
}

/* The object's dict, or NULL, without an error, if its attributes are to be asked for. */
static PyObject *attributes_of(PyObject *object, plain_class *seen, PyObject *const *names,
                               int count) {
    if (!is_plain(seen, Py_TYPE(object), names, count)) return NULL;
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    if (dict == NULL) PyErr_Clear();
    return dict;
}

static PyObject *read_attribute(PyObject *object, PyObject *dict, PyObject *name) {
    PyObject *value = dict != NULL ? PyDict_GetItemWithError(dict, name) : NULL;
    if (MG_LIKELY(value != NULL)) return Py_NewRef(value);
    return PyErr_Occurred() ? NULL : PyObject_GetAttr(object, name);
}

/* The weights and the bias of a neuron, and its activation if that is asked for; false: an error */
static bool read_neuron(PyObject *neuron, PyObject **weights, PyObject **bias,
                        PyObject **activation) {
    static plain_class seen;
    PyObject *dict = attributes_of(neuron, &seen, mg_module.neuron_names, 3);
    *weights = read_attribute(neuron, dict, mg_module.neuron_names[0]);
    *bias = *weights != NULL ? read_attribute(neuron, dict, mg_module.neuron_names[1]) : NULL;
    if (*bias != NULL && activation != NULL)
        *activation = read_attribute(neuron, dict, mg_module.neuron_names[2]);
    Py_XDECREF(dict);
    if (*bias != NULL && (activation == NULL || *activation != NULL)) return true;
    Py_CLEAR(*weights);
    Py_CLEAR(*bias);
    return false;
}

/* ---- neurons ---- */

/* The operator of an activation's name, -1 for None. */
static value_taking take_activation(PyObject *name, int *op) {
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
static value_taking take_neuron(PyObject *neuron, const mg_term *xs, Py_ssize_t count,
                                mg_node **node) {
    int op;
    PyObject *weights, *bias, *activation;
    if (!read_neuron(neuron, &weights, &bias, &activation)) return FAILED;
    value_taking how = take_activation(activation, &op);
    if (how == TAKEN && PyObject_Size(weights) != count)
        how = PyErr_Occurred() ? FAILED : NOT_OURS; /* for Neuron to complain about */
    if (how == TAKEN) how = value_take_row(weights, bias, xs, count, op, node);
    Py_DECREF(weights);
    Py_DECREF(bias);
    Py_DECREF(activation);
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
static value_taking take_layer(PyObject *neurons, PyObject *type, const mg_term *xs,
                               Py_ssize_t count, int tag, outputs *out) {
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
        value_taking how =
            (PyObject *)Py_TYPE(neuron) == type ? take_neuron(neuron, xs, count, &node) : NOT_OURS;
        Py_DECREF(neuron);
        if (how != TAKEN) {
            drop_outputs(out);
            return how;
        }
        node->tag = (uint8_t)tag;
        out->terms[out->count++] = (mg_term){node, 0.0, 0};
    }
    value_hold_all(xs, count);
    return TAKEN;
}

/* The last of the outputs as a Value, which takes the reference over. */
static PyObject *show_last(outputs *out, int tag) {
    PyObject *value = value_show_row(out->terms[--out->count].node);
    if (value != NULL) value_node(value)->tag = (uint8_t)tag; /* also of a leaf in no_grad */
    return value;
}

/* The outputs as a list of Values. */
static PyObject *show_outputs(outputs *out, int tag) {
    PyObject *list = PyList_New(out->count);
    while (list != NULL && out->count != 0) {
        PyObject *value = show_last(out, tag);
        if (value != NULL)
            PyList_SET_ITEM(list, out->count, value);
        else
            Py_CLEAR(list);
    }
    drop_outputs(out);
    return list;
}

/* layer(neurons, xs, type, label): [neuron(xs) for neuron in neurons] */
PyObject *value_layer(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms xs;
    outputs out;
    if (count != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "layer() takes a list of neurons, inputs, a type, a label");
        return NULL;
    }
    int tag = value_label_tag(args[3]);
    if (tag < 0) return NULL;
    value_taking how =
        tag != 0 ? value_take_terms(args[1], "inputs must be a sequence", &xs) : NOT_OURS;
    if (how != TAKEN) return value_refuse_terms(how);
    how = take_layer(args[0], args[2], xs.terms, xs.count, tag, &out);
    value_drop_terms(&xs);
    return how == TAKEN ? show_outputs(&out, tag) : value_refuse_terms(how);
}

/* What one layer makes of the outputs of the one before, which are let go of. */
static value_taking pass_layer(PyObject *layer, PyObject *const *types, int tag,
                               const value_terms *in, outputs *out) {
    outputs before = *out;
    const mg_term *xs = before.terms != NULL ? before.terms : in->terms;
    Py_ssize_t count = before.terms != NULL ? before.count : in->count;
    *out = (outputs){NULL, 0};
    PyObject *neurons = NULL;
    value_taking how = (PyObject *)Py_TYPE(layer) == types[0] ? TAKEN : NOT_OURS;
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
    value_terms in;
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
    if (!whole) return value_refuse_terms(NOT_OURS);
    value_taking how = value_take_terms(args[1], "inputs must be a sequence", &in);
    if (how != TAKEN) return value_refuse_terms(how);
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(args[0], i));
        how = pass_layer(layer, args + 2, tag, &in, &out);
        Py_DECREF(layer);
    }
    value_drop_terms(&in);
    if (how != TAKEN) return value_refuse_terms(how);
    if (out.count != 1) return show_outputs(&out, tag);
    PyObject *single = show_last(&out, tag);
    drop_outputs(&out);
    return single;
}

/* Append the weights and the bias of a neuron. */
static value_taking append_parameters(PyObject *list, PyObject *neuron) {
    Py_ssize_t end = PyList_GET_SIZE(list);
    PyObject *weights, *bias;
    if (!read_neuron(neuron, &weights, &bias, NULL)) return FAILED;
    value_taking how = PyList_CheckExact(weights) ? TAKEN : NOT_OURS;
    if (how == TAKEN &&
        (PyList_SetSlice(list, end, end, weights) < 0 || PyList_Append(list, bias) < 0))
        how = FAILED;
    Py_DECREF(weights);
    Py_DECREF(bias);
    return how;
}

static value_taking append_layer(PyObject *list, PyObject *layer, PyObject *const *types) {
    if ((PyObject *)Py_TYPE(layer) != types[0]) return NOT_OURS;
    PyObject *neurons = PyObject_GetAttr(layer, mg_module.neurons_name);
    if (neurons == NULL) return FAILED;
    value_taking how = PyList_Check(neurons) ? TAKEN : NOT_OURS;
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
    value_taking how = list != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(args[0], i));
        how = append_layer(list, layer, args + 1);
        Py_DECREF(layer);
    }
    if (how == TAKEN) return list;
    Py_XDECREF(list);
    return value_refuse_terms(how);
}
