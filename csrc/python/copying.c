/* copying.c: nodes taken apart and put together again, for copy and pickle. */
#include "python/copying.h"

#include "graph/backward.h"
#include "graph/look.h"
#include "graph/record.h"
#include "python/attributes.h"
#include "python/construct.h"

/* Return the partial derivatives that a custom node was given, a tuple; it is empty for other nodes
 * and if none were given. */
static PyObject *given_partials(const mg_node *node) {
    bool given = node->op == MG_OP_custom && mg_extra_of(node)->partials != NULL;
    Py_ssize_t count = given ? (Py_ssize_t)mg_extra_of(node)->count : 0;
    PyObject *partials = PyTuple_New(count);
    for (Py_ssize_t i = 0; partials != NULL && i < count; i++) {
        PyObject *partial = PyFloat_FromDouble(mg_extra_of(node)->partials[i]);
        if (partial == NULL)
            Py_CLEAR(partials);
        else
            PyTuple_SET_ITEM(partials, i, partial);
    }
    return partials;
}

PyObject *value_recorded(PyObject *Py_UNUSED(module), PyObject *value) {
    if (!value_require(value)) return NULL;
    mg_node *node = value_node(value);
    value_pin(node);
    PyObject *record = Py_BuildValue("sdNNN", mg_operator_name(mg_operator_of(node)), node->data,
                                     value_get_children(value, NULL), value_get_number(node),
                                     given_partials(node));
    value_unpin(node);
    return record;
}

PyObject *value_attributes(PyObject *Py_UNUSED(module), PyObject *value) {
    if (!value_require(value)) return NULL;
    PyObject *dict = ((value_object *)value)->dict;
    return Py_NewRef(dict != NULL ? dict : Py_None);
}

PyObject *value_set_attributes(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *value, *own;
    if (!PyArg_ParseTuple(args, "OO!:set_attributes", &value, &PyDict_Type, &own)) return NULL;
    if (!value_require(value)) return NULL;
    PyObject *dict = value_get_dict(value, NULL);
    if (dict == NULL) return NULL;
    int result = PyDict_Update(dict, own);
    Py_DECREF(dict);
    if (result < 0) return NULL;
    value_set_cyclic((value_object *)value);
    PyObject *closure = value_own_entry(value, mg_module.backward_key);
    if (closure == NULL && PyErr_Occurred()) return NULL;
    if (closure != NULL) mg_set_closure(mg_module.arena, value_node(value), true);
    Py_XDECREF(closure);
    Py_RETURN_NONE;
}

PyObject *value_graph(PyObject *Py_UNUSED(module), PyObject *root) {
    if (!value_require(root)) return NULL;
    mg_node *node = value_node(root);
    mg_order *order = mg_list(mg_module.arena, node);
    if (order == NULL) return PyErr_NoMemory();
    value_pin(node);
    size_t count = order->count;
    PyObject *list = value_hide(PyList_New((Py_ssize_t)count));
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *value = value_of_node(order->nodes[count - 1 - i]);
        if (value == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, value);
    }
    mg_drop_order(mg_module.arena, order);
    value_unpin(node);
    return value_unhide(list);
}

/* Return the operator of this name. -1: ValueError, for no operator of this name takes `count`
 * children, or partials are given (their number is `given`) for an operator that is not custom, or
 * not one for each child. */
static int take_operator(const char *name, Py_ssize_t count, Py_ssize_t given) {
    int op = mg_operator_find(name);
    if (op < 0 || (op != MG_OP_custom && (size_t)count != mg_operator_arity(op)) ||
        (given != 0 && (op != MG_OP_custom || given != count))) {
        PyErr_Format(PyExc_ValueError, "no operator %s of %zd children", name, count);
        return -1;
    }
    return op;
}

PyObject *value_restore(PyObject *Py_UNUSED(module), PyObject *args) {
    PyTypeObject *type;
    const char *name;
    double data;
    PyObject *children, *exponent, *partials;
    if (!PyArg_ParseTuple(args, "O!sdO!OO!:restore", &PyType_Type, &type, &name, &data,
                          &PyTuple_Type, &children, &exponent, &PyTuple_Type, &partials))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(children);
    int op = take_operator(name, count, PyTuple_GET_SIZE(partials));
    double power = op == MG_OP_exponent ? PyFloat_AsDouble(exponent) : 0.0;
    if (op < 0 || (power == -1.0 && PyErr_Occurred())) return NULL;
    if (!PyType_IsSubtype(type, mg_module.type)) {
        PyErr_Format(PyExc_TypeError, "%s is not a subclass of Value", type->tp_name);
        return NULL;
    }
    mg_node *node;
    if (op == MG_OP_custom) {
        node = value_make_node(data, children, partials);
    } else {
        mg_node **operands = value_take_operands(children);
        if (operands == NULL) return NULL;
        node = mg_new_restored(mg_module.arena, op, data, operands, (size_t)count, power,
                               PyLong_Check(exponent), NULL);
        for (Py_ssize_t i = 0; node != NULL && i < count; i++) value_hold(operands[i]);
        PyMem_Free(operands);
        if (node == NULL) PyErr_NoMemory();
    }
    if (node == NULL) return NULL;
    return type == mg_module.type ? value_wrap(node) : value_wrap_bare(type, node);
}
