/* network.c: layers of neurons in one call. micrograd_c/nn.py says once, by describe_network(),
 * what a layer and a neuron are. Where a layer or a neuron is of another class, or its class has
 * been changed since, a function returns NotImplemented, and nn.py asks layers and neurons one by
 * one. */
#include "python/network.h"

#include "python/attributes.h"
#include "python/blocks.h"
#include "python/sequences.h"

/* ---- classes and their objects ----
 *
 * Looking up attributes is most of what a small network costs. While a class is as nn.py defines
 * it, an object's attributes are in the object's dict and nowhere else, in the order in which they
 * were set. */

typedef struct {
    PyTypeObject *type;   /* NULL: not described yet */
    PyObject *methods[2]; /* as nn.py writes them: those of mg_module.network_keys */
    PyObject *names[3];   /* the names of an object's attributes: count names */
    int count;
    unsigned int version; /* the class's version when it last was found to be as described */
} own_class;

static own_class layer_class = {.count = 1};  /* neurons */
static own_class neuron_class = {.count = 3}; /* weights, bias, activation */
static int out_tag; /* the tag of the label of a neuron's output; 0: the label has none */

/* Remember a class and the names of its objects' attributes. -1: an error is set. */
static int describe(own_class *own, PyObject *type, PyObject *const *names) {
    own->version = 0;
    for (int i = 0; i < 2; i++) {
        PyObject *method = PyObject_GetAttr(type, mg_module.network_keys[i]);
        if (method == NULL) return -1;
        Py_XSETREF(own->methods[i], method);
    }
    for (int i = 0; i < own->count; i++) Py_XSETREF(own->names[i], Py_NewRef(names[i]));
    Py_XSETREF(own->type, (PyTypeObject *)Py_NewRef(type));
    return 0;
}

PyObject *value_describe_network(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *layer, *neuron, *label, *names[4];
    if (!PyArg_ParseTuple(args, "O!(U)O!(UUU)O:describe_network", &PyType_Type, &layer, &names[0],
                          &PyType_Type, &neuron, &names[1], &names[2], &names[3], &label))
        return NULL;
    const int tag = value_label_tag(label, MG_WIDE_TAG);
    if (tag < 0 || describe(&layer_class, layer, names) < 0 ||
        describe(&neuron_class, neuron, names + 1) < 0)
        return NULL;
    out_tag = tag;
    Py_RETURN_NONE;
}

/* Whether the type is this class, and the class is as it was described. Sets no error. */
static bool is_own(own_class *own, PyTypeObject *type) {
    const unsigned int version = value_type_version(type);
    if (type != own->type) return false;
    if (MG_LIKELY(version != 0 && version == own->version)) return true;
    if (type->tp_getattro != PyObject_GenericGetAttr) return false;
    for (int i = 0; i < 2; i++) {
        PyObject *method = PyObject_GetAttr((PyObject *)type, mg_module.network_keys[i]);
        PyErr_Clear();
        Py_XDECREF(method);
        if (method != own->methods[i]) return false;
    }
    for (int i = 0; i < own->count; i++)
        if (PyObject_HasAttr((PyObject *)type, own->names[i])) return false;
    own->version = value_type_version(type);
    return true;
}

/* Write the attributes in an object's dict to `values`, an array of own->count objects, in the
 * order of own->names, borrowed. */
static value_taking look_up(const own_class *own, PyObject *dict, PyObject **values) {
    PyObject *name;
    Py_ssize_t position = 0;
    int i = 0;
    if (PyDict_GET_SIZE(dict) == own->count)
        while (i < own->count && PyDict_Next(dict, &position, &name, &values[i]) &&
               name == own->names[i])
            i++;
    if (MG_LIKELY(i == own->count)) return TAKEN;
    int replaced = PyDict_Contains(dict, mg_module.network_keys[1]); /* an object's own method */
    if (replaced != 0) return replaced < 0 ? FAILED : NOT_OURS;
    for (i = 0; i < own->count; i++) {
        values[i] = PyDict_GetItemWithError(dict, own->names[i]);
        if (values[i] == NULL) return PyErr_Occurred() ? FAILED : NOT_OURS;
    }
    return TAKEN;
}

/* Write the attributes of an object of this class to `values` (as look_up does), with a reference
 * to each for the caller. */
static value_taking take_attributes(own_class *own, PyObject *object, PyObject **values) {
    if (!is_own(own, Py_TYPE(object))) return NOT_OURS;
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    if (dict == NULL) return FAILED;
    value_taking how = look_up(own, dict, values);
    for (int i = 0; how == TAKEN && i < own->count; i++) Py_INCREF(values[i]);
    Py_DECREF(dict);
    return how;
}

/* ---- neurons ---- */

/* Write the operator of an activation's name to *op, -1 for None. */
static value_taking take_activation(PyObject *name, int *op) {
    static PyObject *last_name; /* a reference: while it is kept, the same object is that name */
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

/* Write the node of a neuron's output for count inputs to *node, with a reference for the caller.
 */
static value_taking take_neuron(PyObject *neuron, const mg_term *xs, Py_ssize_t count,
                                mg_node **node) {
    int op;
    PyObject *parts[3]; /* weights, bias, activation */
    value_taking how = take_attributes(&neuron_class, neuron, parts);
    if (how != TAKEN) return how;
    bool is_row = PyList_CheckExact(parts[0]) || PyTuple_CheckExact(parts[0]);
    if (!is_row || PySequence_Fast_GET_SIZE(parts[0]) != count)
        how = NOT_OURS; /* Neuron raises the error */
    if (how == TAKEN) how = take_activation(parts[2], &op);
    if (how == TAKEN) how = value_take_row(parts[0], parts[1], xs, count, op, node);
    for (int i = 0; i < 3; i++) Py_DECREF(parts[i]);
    return how;
}

/* The outputs of neurons: count nodes, with a reference to each. */
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

/* Write [neuron(xs) for neuron in neurons] to *out, which the caller drops if all are TAKEN.
 * neurons is a list, which foreign code may change meanwhile; the caller has a reference to each
 * node of xs. */
static value_taking take_layer(PyObject *neurons, const mg_term *xs, Py_ssize_t count,
                               outputs *out) {
    Py_ssize_t size = PyList_GET_SIZE(neurons);
    *out = (outputs){PyMem_New(mg_term, (size_t)size), 0};
    if (out->terms == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    while (out->count < size) {
        mg_node *node;
        PyObject *neuron =
            out->count < PyList_GET_SIZE(neurons) ? PyList_GET_ITEM(neurons, out->count) : Py_None;
        Py_INCREF(neuron);
        value_taking how = take_neuron(neuron, xs, count, &node);
        Py_DECREF(neuron);
        if (how != TAKEN) {
            drop_outputs(out);
            return how;
        }
        node->tag = (uint8_t)out_tag;
        out->terms[out->count++] = (mg_term){node, 0.0, 0};
    }
    value_hold_all(xs, count);
    return TAKEN;
}

/* Return the last of the outputs as a Value, which takes the reference to the node over. */
static PyObject *show_last(outputs *out) {
    PyObject *value = value_show_row(out->terms[--out->count].node);
    if (value != NULL) value_node(value)->tag = (uint8_t)out_tag; /* for a leaf made in no_grad */
    return value;
}

/* Return the outputs as a list of Values, and drop them. */
static PyObject *show_outputs(outputs *out) {
    PyObject *list = value_hide(PyList_New(out->count));
    while (list != NULL && out->count != 0) {
        PyObject *value = show_last(out);
        if (value != NULL)
            PyList_SET_ITEM(list, out->count, value);
        else
            Py_CLEAR(list);
    }
    drop_outputs(out);
    return value_unhide(list);
}

static bool takes_two(Py_ssize_t count) {
    if (count != 2) PyErr_SetString(PyExc_TypeError, "a list and inputs are required");
    return count == 2;
}

PyObject *value_layer(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms xs;
    outputs out;
    if (!takes_two(count)) return NULL;
    const bool ours = out_tag != 0 && PyList_Check(args[0]);
    value_taking how = ours ? value_take_inputs(args[1], &xs) : NOT_OURS;
    if (how != TAKEN) return value_refuse_terms(how);
    how = take_layer(args[0], xs.terms, xs.count, &out);
    value_drop_terms(&xs);
    return how == TAKEN ? show_outputs(&out) : value_refuse_terms(how);
}

/* Write a layer's list of neurons to *neurons, with a reference for the caller. */
static value_taking take_neurons(PyObject *layer, PyObject **neurons) {
    value_taking how = take_attributes(&layer_class, layer, neurons);
    if (how != TAKEN || PyList_Check(*neurons)) return how;
    Py_DECREF(*neurons);
    return NOT_OURS;
}

/* Replace the outputs of the layer before, which are dropped, by the outputs of this layer. Where
 * there is no layer before, out->terms is NULL, and the layer gets the network's inputs. */
static value_taking pass_layer(PyObject *layer, const value_terms *in, outputs *out) {
    outputs before = *out;
    const mg_term *xs = before.terms != NULL ? before.terms : in->terms;
    Py_ssize_t count = before.terms != NULL ? before.count : in->count;
    PyObject *neurons;
    *out = (outputs){NULL, 0};
    value_taking how = take_neurons(layer, &neurons);
    if (how == TAKEN) {
        how = take_layer(neurons, xs, count, out);
        Py_DECREF(neurons);
    }
    drop_outputs(&before);
    return how;
}

/* No Value shows the nodes between two layers. */
PyObject *value_network(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    value_terms in;
    outputs out = {NULL, 0};
    if (!takes_two(count)) return NULL;
    bool whole = out_tag != 0 && PyList_Check(args[0]) && PyList_GET_SIZE(args[0]) != 0 &&
                 (PyList_CheckExact(args[1]) || PyTuple_CheckExact(args[1])) &&
                 (mg_module.blocks == 0 || !value_grad_is_off());
    if (!whole) return value_refuse_terms(NOT_OURS);
    value_taking how = value_take_inputs(args[1], &in);
    if (how != TAKEN) return value_refuse_terms(how);
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(args[0], i));
        how = pass_layer(layer, &in, &out);
        Py_DECREF(layer);
    }
    value_drop_terms(&in);
    if (how != TAKEN) return value_refuse_terms(how);
    if (out.count != 1) return show_outputs(&out);
    PyObject *single = show_last(&out);
    drop_outputs(&out);
    return single;
}

/* Append the weights and the bias of a neuron to a list. */
static value_taking append_parameters(PyObject *list, PyObject *neuron) {
    Py_ssize_t end = PyList_GET_SIZE(list);
    PyObject *parts[3];
    value_taking how = take_attributes(&neuron_class, neuron, parts);
    if (how != TAKEN) return how;
    if (!PyList_CheckExact(parts[0])) how = NOT_OURS;
    if (how == TAKEN &&
        (PyList_SetSlice(list, end, end, parts[0]) < 0 || PyList_Append(list, parts[1]) < 0))
        how = FAILED;
    for (int i = 0; i < 3; i++) Py_DECREF(parts[i]);
    return how;
}

static value_taking append_layer(PyObject *list, PyObject *layer) {
    PyObject *neurons;
    value_taking how = take_neurons(layer, &neurons);
    if (how != TAKEN) return how;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(neurons); i++) {
        PyObject *neuron = Py_NewRef(PyList_GET_ITEM(neurons, i));
        how = append_parameters(list, neuron);
        Py_DECREF(neuron);
    }
    Py_DECREF(neurons);
    return how;
}

PyObject *value_parameters(PyObject *Py_UNUSED(module), PyObject *layers) {
    if (!PyList_Check(layers)) return value_refuse_terms(NOT_OURS);
    PyObject *list = PyList_New(0);
    value_taking how = list != NULL ? TAKEN : FAILED;
    for (Py_ssize_t i = 0; how == TAKEN && i < PyList_GET_SIZE(layers); i++) {
        PyObject *layer = Py_NewRef(PyList_GET_ITEM(layers, i));
        how = append_layer(list, layer);
        Py_DECREF(layer);
    }
    if (how == TAKEN) return list;
    Py_XDECREF(list);
    return value_refuse_terms(how);
}
