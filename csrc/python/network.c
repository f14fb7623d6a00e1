/* network.c: layers of neurons in one call, for the classes of micrograd_c/nn.py. Where a
 * layer or a neuron is of another class, or its class has been changed, a function returns
 * NotImplemented, and nn.py asks them one by one. */
#include "python/sequences.h"

/* ---- classes and their objects ----
 *
 * Looking up attributes is most of what a small network costs. While a class is as nn.py defines it
 * an object's attributes are in its dict and nowhere else, in the order in which it was given them.
 */

typedef struct {
    PyObject **method; /* the name of one that does what is done here */
    PyObject **names;  /* of the attributes of its objects */
    int count;
    PyTypeObject *type; /* the class, when it last was found to be as defined */
    unsigned int version;
} own_class;

static own_class called_layer = {&mg_module.call_key, mg_module.layer_names, 1, NULL, 0};
static own_class called_neuron = {&mg_module.call_key, mg_module.neuron_names, 3, NULL, 0};
static own_class asked_layer = {&mg_module.parameters_key, mg_module.layer_names, 1, NULL, 0};
static own_class asked_neuron = {&mg_module.parameters_key, mg_module.neuron_names, 3, NULL, 0};

/* Whether the type is given[0], its method given[1], and the rest of it as supposed here. */
static bool is_own(own_class *own, PyTypeObject *type, PyObject *const *given) {
    const unsigned int version = value_type_version(type);
    if (MG_LIKELY(version != 0 && type == own->type && version == own->version)) return true;
    if ((PyObject *)type != given[0] || type->tp_getattro != PyObject_GenericGetAttr) return false;
    PyObject *method = PyObject_GetAttr(given[0], *own->method);
    PyErr_Clear();
    Py_XDECREF(method);
    if (method != given[1]) return false;
    for (int i = 0; i < own->count; i++)
        if (PyObject_HasAttr(given[0], own->names[i])) return false;
    own->type = type;
    own->version = value_type_version(type);
    return true;
}

/* The attributes in the order of their names, borrowed. */
static value_taking look_up(const own_class *own, PyObject *dict, PyObject **values) {
    PyObject *name;
    Py_ssize_t position = 0;
    int i = 0;
    if (PyDict_GET_SIZE(dict) == own->count)
        while (i < own->count && PyDict_Next(dict, &position, &name, &values[i]) &&
               name == own->names[i])
            i++;
    if (MG_LIKELY(i == own->count)) return TAKEN;
    int replaced = PyDict_Contains(dict, *own->method); /* in this object alone */
    if (replaced != 0) return replaced < 0 ? FAILED : NOT_OURS;
    for (i = 0; i < own->count; i++) {
        values[i] = PyDict_GetItemWithError(dict, own->names[i]);
        if (values[i] == NULL) return PyErr_Occurred() ? FAILED : NOT_OURS;
    }
    return TAKEN;
}

/* The attributes of an object of this class, with a reference each. */
static value_taking take_attributes(own_class *own, PyObject *const *given, PyObject *object,
                                    PyObject **values) {
    if (!is_own(own, Py_TYPE(object), given)) return NOT_OURS;
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    if (dict == NULL) return FAILED;
    value_taking how = look_up(own, dict, values);
    for (int i = 0; how == TAKEN && i < own->count; i++) Py_INCREF(values[i]);
    Py_DECREF(dict);
    return how;
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
static value_taking take_neuron(PyObject *neuron, PyObject *const *given, const mg_term *xs,
                                Py_ssize_t count, mg_node **node) {
    int op;
    PyObject *parts[3]; /* weights, bias, activation */
    value_taking how = take_attributes(&called_neuron, given, neuron, parts);
    if (how != TAKEN) return how;
    bool is_row = PyList_CheckExact(parts[0]) || PyTuple_CheckExact(parts[0]);
    if (!is_row || PySequence_Fast_GET_SIZE(parts[0]) != count)
        how = NOT_OURS; /* for Neuron to complain about */
    if (how == TAKEN) how = take_activation(parts[2], &op);
    if (how == TAKEN) how = value_take_row(parts[0], parts[1], xs, count, op, node);
    for (int i = 0; i < 3; i++) Py_DECREF(parts[i]);
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

/* [neuron(xs) for neuron in neurons] for neurons of the given class. */
static value_taking take_layer(PyObject *neurons, PyObject *const *given, const mg_term *xs,
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
        value_taking how = take_neuron(neuron, given, xs, count, &node);
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
    PyObject *list = value_hide(PyList_New(out->count));
    while (list != NULL && out->count != 0) {
        PyObject *value = show_last(out, tag);
        if (value != NULL)
            PyList_SET_ITEM(list, out->count, value);
        else
            Py_CLEAR(list);
    }
    drop_outputs(out);
    return value_unhide(list);
}

/* layer(neurons, xs, Neuron, its __call__, label): [neuron(xs) for neuron in neurons] */
PyObject *value_layer(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms xs;
    outputs out;
    if (count != 5 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "layer() takes a list of neurons, inputs, a class and its call, a label");
        return NULL;
    }
    int tag = value_label_tag(args[4], MG_WIDE_TAG);
    if (tag < 0) return NULL;
    value_taking how = tag != 0 ? value_take_inputs(args[1], &xs) : NOT_OURS;
    if (how != TAKEN) return value_refuse_terms(how);
    how = take_layer(args[0], args + 2, xs.terms, xs.count, tag, &out);
    value_drop_terms(&xs);
    return how == TAKEN ? show_outputs(&out, tag) : value_refuse_terms(how);
}

/* The list of neurons of a layer, with a reference. */
static value_taking take_neurons(own_class *own, PyObject *const *given, PyObject *layer,
                                 PyObject **neurons) {
    value_taking how = take_attributes(own, given, layer, neurons);
    if (how != TAKEN || PyList_Check(*neurons)) return how;
    Py_DECREF(*neurons);
    return NOT_OURS;
}

/* What one layer makes of the outputs of the one before, which are let go of. */
static value_taking pass_layer(PyObject *layer, PyObject *const *given, int tag,
                               const value_terms *in, outputs *out) {
    outputs before = *out;
    const mg_term *xs = before.terms != NULL ? before.terms : in->terms;
    Py_ssize_t count = before.terms != NULL ? before.count : in->count;
    PyObject *neurons;
    *out = (outputs){NULL, 0};
    value_taking how = take_neurons(&called_layer, given, layer, &neurons);
    if (how == TAKEN) {
        how = take_layer(neurons, given + 2, xs, count, tag, out);
        Py_DECREF(neurons);
    }
    drop_outputs(&before);
    return how;
}

/* network(layers, xs, Layer, its __call__, Neuron, its __call__, label): one layer after the other;
 * what is between them is nobody's Value. Of a single output, the Value itself. */
PyObject *value_network(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms in;
    outputs out = {NULL, 0};
    if (count != 7 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "network() takes a list of layers, inputs, two classes and their calls, "
                        "a label");
        return NULL;
    }
    int tag = value_label_tag(args[6], MG_WIDE_TAG);
    if (tag < 0) return NULL;
    bool whole = tag != 0 && PyList_GET_SIZE(args[0]) != 0 &&
                 (PyList_CheckExact(args[1]) || PyTuple_CheckExact(args[1])) &&
                 (mg_module.no_grad == 0 || !value_grad_is_off());
    if (!whole) return value_refuse_terms(NOT_OURS);
    value_taking how = value_take_inputs(args[1], &in);
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
static value_taking append_parameters(PyObject *list, PyObject *neuron, PyObject *const *given) {
    Py_ssize_t end = PyList_GET_SIZE(list);
    PyObject *parts[3];
    value_taking how = take_attributes(&asked_neuron, given, neuron, parts);
    if (how != TAKEN) return how;
    if (!PyList_CheckExact(parts[0])) how = NOT_OURS;
    if (how == TAKEN &&
        (PyList_SetSlice(list, end, end, parts[0]) < 0 || PyList_Append(list, parts[1]) < 0))
        how = FAILED;
    for (int i = 0; i < 3; i++) Py_DECREF(parts[i]);
    return how;
}

static value_taking append_layer(PyObject *list, PyObject *layer, PyObject *const *given) {
    PyObject *neurons;
    value_taking how = take_neurons(&asked_layer, given, layer, &neurons);
    if (how != TAKEN) return how;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(neurons); i++) {
        PyObject *neuron = Py_NewRef(PyList_GET_ITEM(neurons, i));
        how = append_parameters(list, neuron, given + 2);
        Py_DECREF(neuron);
    }
    Py_DECREF(neurons);
    return how;
}

/* parameters(layers, Layer, its parameters, Neuron, its parameters): of all neurons, in order */
PyObject *value_parameters(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (count != 5 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "parameters() takes a list of layers, two classes and their methods");
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
