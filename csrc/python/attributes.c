/* attributes.c: what a Value shows of its node: numbers, names, operands. */
#include "python/attributes.h"

#include "graph/backward.h"
#include "graph/look.h"
#include "python/backward.h"
#include "python/errors.h"
#include "python/object.h"

/* ---- numbers and names ---- */

static int refuse_delete(PyObject *value, const char *name) {
    if (value != NULL) return 0;
    PyErr_Format(PyExc_AttributeError, "cannot delete %s of a Value", name);
    return -1;
}

/* Write the real number for the attribute of this name to *number. -1: TypeError, OverflowError, or
 * an error of foreign code that converts the number. */
static int take_number(PyObject *value, const char *name, double *number) {
    if (PyFloat_Check(value) || PyLong_Check(value))
        return value_number(value, number) == 1 ? 0 : -1;
    PyObject *real = PyObject_CallFunction(mg_module.real, "Os", value, name);
    if (real == NULL) return -1;
    *number = PyFloat_AsDouble(real);
    Py_DECREF(real);
    return 0;
}

static PyObject *get_data(PyObject *self, void *Py_UNUSED(closure)) {
    if (!MG_LIKELY(mg_module.recordings == 0) && value_is_recording())
        return value_ask("read", self);
    return PyFloat_FromDouble(value_node(self)->data);
}

static int set_data(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    double number;
    if (refuse_delete(value, "data") < 0) return -1;
    if (value_is_recording()) {
        PyObject *result = PyObject_CallMethod(value_recorder(), "assign", "OO", self, value);
        Py_XDECREF(result);
        return result == NULL ? -1 : 0;
    }
    if (take_number(value, "data", &number) < 0) return -1;
    value_node(self)->data = number;
    return 0;
}

static PyObject *get_grad(PyObject *self, void *Py_UNUSED(closure)) {
    if (value_refuse("reading .grad") < 0) return NULL;
    return PyFloat_FromDouble(value_node(self)->grad);
}

static int set_grad(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    double number;
    if (value_refuse("assigning .grad") < 0) return -1;
    if (refuse_delete(value, "grad") < 0 || take_number(value, "grad", &number) < 0) return -1;
    value_node(self)->grad = number;
    return 0;
}

/* The first short labels of a process have a tag each, for results as many as a narrow tag holds. A
 * label with a tag is no state of the proxy. Other labels, and those of objects of subclasses,
 * stand in the proxy, and a label that is no str stands in the proxy's dict. */
static PyObject *get_label(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *label = ((value_object *)self)->label;
    PyObject *tagged = mg_module.labels[mg_tag_of(value_node(self))];
    if (label == NULL && tagged == mg_module.empty_string) {
        label = value_own_entry(self, mg_module.label_key);
        if (label != NULL || PyErr_Occurred()) return label;
    }
    return Py_NewRef(label != NULL ? label : tagged);
}

int value_label_tag(PyObject *label, int most) {
    if (!PyUnicode_CheckExact(label) || PyUnicode_GET_LENGTH(label) > MG_LABEL_LENGTH) return 0;
    PyObject *known = PyDict_GetItemWithError(mg_module.label_tags, label);
    int tag = known != NULL ? (int)PyLong_AsLong(known) : 0;
    if (known != NULL) return tag < most ? tag : 0;
    if (PyErr_Occurred()) return -1;
    if (mg_module.label_count >= most) return 0;
    PyObject *number = PyLong_FromLong(mg_module.label_count);
    if (number == NULL || PyDict_SetItem(mg_module.label_tags, label, number) < 0) {
        Py_XDECREF(number);
        return -1;
    }
    Py_DECREF(number);
    mg_module.labels[mg_module.label_count] = Py_NewRef(label);
    return mg_module.label_count++;
}

static int most_labels(const mg_node *node) {
    return node->op == MG_OP_leaf ? MG_LABELS : MG_WIDE_TAG;
}

int value_set_label(PyObject *object, PyObject *value, void *Py_UNUSED(closure)) {
    value_object *self = (value_object *)object;
    if (refuse_delete(value, "label") < 0) return -1;
    const bool none = value == mg_module.labels[0], text = PyUnicode_CheckExact(value);
    const bool exact = value_is_exact(object);
    const bool tagged = !exact && value_has_class_of_tag(object);
    const int tag = none || !exact ? 0 : value_label_tag(value, most_labels(self->node));
    const bool in_proxy = text && tag == 0 && !none;
    if (tag < 0 || (in_proxy && value_keep(self) < 0)) return -1;
    if (!text && value_set_own_entry(object, mg_module.label_key, value) < 0) return -1;
    if (text && value_delete_own_entry(object, mg_module.label_key) < 0) return -1;
    if (!tagged) mg_set_tag(self->node, (uint32_t)tag);
    Py_XSETREF(self->label, in_proxy ? Py_NewRef(value) : NULL);
    return 0;
}

PyObject *value_get_number(const mg_node *node) {
    if (node->op == MG_OP_custom) return PyLong_FromLong(mg_extra_of(node)->rule);
    if (node->op != MG_OP_exponent) return Py_NewRef(Py_None);
    return node->flags & MG_INTEGER ? PyLong_FromDouble(mg_links_of(node)->exponent)
                                    : PyFloat_FromDouble(mg_links_of(node)->exponent);
}

PyObject *value_get_op(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *text = value_own_entry(self, mg_module.op_key);
    if (text != NULL || PyErr_Occurred()) return text;
    const mg_node *node = value_node(self);
    if (node->op != MG_OP_exponent) return Py_NewRef(mg_module.symbols[mg_operator_of(node)]);
    PyObject *exponent = value_get_number(node);
    if (exponent == NULL) return NULL;
    text = PyUnicode_FromFormat("**%R", exponent);
    Py_DECREF(exponent);
    return text;
}

static int set_op(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (refuse_delete(value, "_op") < 0) return -1;
    return value_set_own_entry(self, mg_module.op_key, value);
}

/* ---- operands ---- */

static PyObject *children_of(const mg_node *node) {
    Py_ssize_t arity = (Py_ssize_t)mg_arity_of(node);
    PyObject *children = PyTuple_New(arity);
    if (children == NULL || arity == 0) return children;
    value_hide(children);
    for (Py_ssize_t i = 0; i < arity; i++) {
        PyObject *child = value_of_node(mg_operand_of(node, (size_t)i));
        if (child == NULL) {
            Py_DECREF(children);
            return NULL;
        }
        PyTuple_SET_ITEM(children, i, child);
    }
    return value_unhide(children);
}

PyObject *value_get_children(PyObject *self, void *Py_UNUSED(closure)) {
    mg_node *node = value_node(self);
    value_pin(node);
    PyObject *children = children_of(node);
    value_unpin(node);
    return children;
}

/* Return the distinct operands in order, as a set: the keys of a dict. */
static PyObject *get_prev(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *children = value_get_children(self, NULL);
    if (children == NULL) return NULL;
    PyObject *distinct = PyObject_CallMethod((PyObject *)&PyDict_Type, "fromkeys", "(O)", children);
    Py_DECREF(children);
    if (distinct == NULL) return NULL;
    PyObject *keys = PyObject_CallMethod(distinct, "keys", NULL);
    Py_DECREF(distinct);
    return keys;
}

static PyObject *partials_of(const mg_node *node) {
    bool none = node->op == MG_OP_custom && mg_extra_of(node)->partials == NULL;
    size_t arity = none ? 0 : mg_arity_of(node);
    PyObject *partials = PyTuple_New((Py_ssize_t)arity);
    if (partials == NULL) return NULL;
    for (size_t i = 0; i < arity; i++) {
        double number;
        mg_status status = mg_partial(node, i, &number);
        if (status != MG_OK) value_raise_partial(status, node);
        PyObject *partial = status == MG_OK ? PyFloat_FromDouble(number) : NULL;
        if (partial == NULL) {
            Py_DECREF(partials);
            return NULL;
        }
        PyTuple_SET_ITEM(partials, (Py_ssize_t)i, partial);
    }
    return partials;
}

static PyObject *get_partials(PyObject *self, void *Py_UNUSED(closure)) {
    if (value_refuse("reading ._local_grads") < 0) return NULL;
    PyObject *given = value_own_entry(self, mg_module.partials_key);
    if (given != NULL || PyErr_Occurred()) return given;
    mg_node *node = value_node(self);
    value_pin(node);
    PyObject *partials = partials_of(node);
    value_unpin(node);
    return partials;
}

/* ---- the table ---- */

/* Getter of __dict__. Code that has the dict can put anything into it, so the state counts as
 * cyclic from now on. */
static PyObject *show_dict(PyObject *self, void *closure) {
    PyObject *dict = value_get_dict(self, closure);
    if (dict != NULL) value_set_cyclic((value_object *)self);
    return dict;
}

PyGetSetDef value_attributes_table[] = {
    {"data", get_data, set_data, PyDoc_STR("The node's value, a float."), NULL},
    {"grad", get_grad, set_grad, PyDoc_STR("The derivative accumulated so far, a float."), NULL},
    {"label", get_label, value_set_label, PyDoc_STR("A name of your own for this node."), NULL},
    {"_op", value_get_op, set_op, PyDoc_STR("The operator that made this node; '' for a leaf."),
     NULL},
    {"_prev", get_prev, NULL, PyDoc_STR("The distinct operands, an ordered set."), NULL},
    {"_children", value_get_children, NULL, PyDoc_STR("The operands in order, repeats included."),
     NULL},
    {"_local_grads", get_partials, NULL,
     PyDoc_STR("The partial derivatives with respect to _children."), NULL},
    {"_backward", value_get_backward, value_set_backward,
     PyDoc_STR("Push this node's gradient into its operands; may be a closure of your own."), NULL},
    {"__dict__", show_dict, value_set_dict, NULL, NULL},
    {NULL},
};
