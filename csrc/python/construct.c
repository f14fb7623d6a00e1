/* construct.c: Value(...) in all its spellings, and results that are of a subclass. */
#include "python/object.h"

/* ---- construction ---- */

typedef struct {
    PyObject *data;
    PyObject *children; /* NULL: not given, as all that follow */
    PyObject *op;
    PyObject *label;
    PyObject *partials;
    PyObject *recorded; /* a Value that has the node to show, with a reference; or NULL */
} arguments;

static bool is_name(PyObject *name, const char *text) {
    return PyUnicode_CompareWithASCIIString(name, text) == 0;
}

/* The parameter of this name; NULL: there is none. */
static PyObject **parameter(arguments *in, PyObject *name) {
    if (is_name(name, "data")) return &in->data;
    if (is_name(name, "label")) return &in->label;
    if (is_name(name, "children") || is_name(name, "_children") || is_name(name, "_prev"))
        return &in->children;
    if (is_name(name, "op") || is_name(name, "_op")) return &in->op;
    if (is_name(name, "local_grads") || is_name(name, "_local_grads")) return &in->partials;
    PyErr_Format(PyExc_TypeError, "Value() got an unexpected keyword argument '%U'", name);
    return NULL;
}

static int take_keyword(arguments *in, PyObject *name, PyObject *value) {
    if (!PyUnicode_Check(name)) { /* of f(**{1: 2}), where CPython itself does not look */
        PyErr_SetString(PyExc_TypeError, "keywords must be strings");
        return -1;
    }
    PyObject **place = parameter(in, name);
    if (place == NULL) return -1;
    if (*place != NULL) {
        PyErr_Format(PyExc_TypeError, "Value() got multiple values for argument '%U'", name);
        return -1;
    }
    *place = value;
    return 0;
}

static int take_positional(arguments *in, PyObject *const *args, Py_ssize_t count) {
    if (count > 4) {
        PyErr_Format(PyExc_TypeError,
                     "Value() takes from 1 to 4 positional arguments but %zd were given", count);
        return -1;
    }
    if (count > 0) in->data = args[0];
    if (count > 1) in->children = args[1];
    if (count > 2) in->op = args[2];
    if (count > 3) in->label = args[3];
    return 0;
}

/* The nodes of a tuple of Values; NULL: with an error set. To be freed with PyMem_Free. */
mg_node **value_take_operands(PyObject *children) {
    Py_ssize_t count = PyTuple_GET_SIZE(children);
    mg_node **operands = PyMem_New(mg_node *, count);
    if (operands == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; operands != NULL && i < count; i++) {
        PyObject *child = PyTuple_GET_ITEM(children, i);
        if (!value_check(child)) {
            PyErr_Format(PyExc_TypeError,
                         "each of Value()'s children must be a Value, not '%.200s'",
                         Py_TYPE(child)->tp_name);
            PyMem_Free(operands);
            return NULL;
        }
        operands[i] = value_node(child);
    }
    return operands;
}

/* The numbers of a tuple; NULL: with an error set. To be freed with PyMem_Free. */
static double *take_partials(PyObject *partials, Py_ssize_t count) {
    double *numbers = PyMem_New(double, count + 1);
    if (numbers == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; numbers != NULL && i < count; i++) {
        PyObject *partial = PyTuple_GET_ITEM(partials, i);
        if (value_take_number(partial, "each of Value()'s local gradients", &numbers[i]) == 0)
            continue;
        PyMem_Free(numbers);
        return NULL;
    }
    return numbers;
}

/* A node with the given operands, none of them meaning a leaf. NULL: with an error set. */
mg_node *value_make_node(double data, PyObject *children, PyObject *partials, bool record) {
    mg_node *node = NULL;
    Py_ssize_t count = children != NULL ? PyTuple_GET_SIZE(children) : 0;
    Py_ssize_t given = partials != NULL ? PyTuple_GET_SIZE(partials) : 0;
    if (given != 0 && given != count) {
        PyErr_Format(PyExc_ValueError, "Value() got %zd local gradients for %zd children", given,
                     count);
        return NULL;
    }
    if (count == 0) {
        node = mg_new_leaf(mg_module.arena, data);
        if (node == NULL) PyErr_NoMemory();
        return node;
    }
    double *numbers = take_partials(partials, given);
    mg_node **operands = numbers != NULL ? value_take_operands(children) : NULL;
    if (operands != NULL) {
        if (!record)
            node = mg_new_leaf(mg_module.arena, data);
        else
            node = mg_new_custom(mg_module.arena, data, operands, (size_t)count,
                                 given != 0 ? numbers : NULL);
        for (Py_ssize_t i = 0; node != NULL && i < count; i++) value_hold(operands[i]);
        if (node == NULL) PyErr_NoMemory();
    }
    PyMem_Free(operands);
    PyMem_Free(numbers);
    return node;
}

/* An iterable as a tuple, NULL if it was not given. 1: good. */
static int take_sequence(PyObject *given, const char *message, PyObject **sequence) {
    *sequence = NULL;
    if (given == NULL) return 1;
    if (PyUnicode_Check(given) || Py_TYPE(given)->tp_iter == NULL) {
        PyErr_Format(PyExc_TypeError, message, Py_TYPE(given)->tp_name);
        return 0;
    }
    *sequence = PySequence_Tuple(given);
    return *sequence != NULL;
}

/* The node of a Value that nobody else has a reference to. */
static mg_node *take_recorded(PyObject *value) {
    mg_node *node = value_node(value);
    value_pin(node);
    Py_DECREF(value);
    node->refs--;
    return node;
}

static mg_node *node_from(const arguments *in, double data, PyObject **partials) {
    PyObject *children;
    mg_node *node = NULL;
    if (in->recorded != NULL) {
        *partials = NULL;
        return take_recorded(in->recorded);
    }
    if (take_sequence(in->children, "Value() children must be an iterable of Values, not '%.200s'",
                      &children) &&
        take_sequence(in->partials, "Value() local gradients must be a sequence, not '%.200s'",
                      partials))
        node = value_make_node(data, children, *partials, !value_grad_is_off());
    Py_XDECREF(children);
    return node;
}

/* What was given beyond the node itself is state of the proxy. */
static int set_given(PyObject *self, const arguments *in, PyObject *partials) {
    if (in->label != NULL && value_set_label(self, in->label, NULL) < 0) return -1;
    if (in->op != NULL && in->op != mg_module.empty_string && value_set_op(self, in->op) < 0)
        return -1;
    if (partials == NULL || PyTuple_GET_SIZE(partials) == 0) return 0;
    return value_set_own_entry(self, mg_module.partials_key, partials);
}

/* The operator's name, if it is not a str, is local gradients (microgpt's third argument). */
static int check_arguments(arguments *in, double *data) {
    if (in->op != NULL && !PyUnicode_Check(in->op)) {
        if (in->partials != NULL) {
            PyErr_SetString(PyExc_TypeError,
                            "Value() got multiple values for argument 'local_grads'");
            return -1;
        }
        in->partials = in->op;
        in->op = NULL;
    }
    if (in->data == NULL) {
        PyErr_SetString(PyExc_TypeError, "Value() missing 1 required positional argument: 'data'");
        return -1;
    }
    if (value_is_recording()) {
        PyObject *none = Py_None;
        in->recorded = PyObject_CallMethod(value_recorder(), "construct", "OOO", in->data,
                                           in->children != NULL ? in->children : none,
                                           in->partials != NULL ? in->partials : none);
        if (in->recorded == NULL) return -1;
        if (in->recorded != Py_None) return 0;
        Py_CLEAR(in->recorded);
    }
    return value_take_number(in->data, "Value() data", data);
}

/* Let self show another node from now on; the old one stays with the graphs that use it. If that
 * fails, a node without references is freed. */
static int adopt(value_object *self, mg_node *node) {
    const uint32_t tag = mg_tag_of(self->node);
    if (!mg_set_tag(node, tag)) Py_XSETREF(self->label, Py_NewRef(mg_module.labels[tag]));
    bool state = PyObject_GC_IsTracked((PyObject *)self) || self->label != NULL ||
                 self->dict != NULL || !value_is_exact((PyObject *)self);
    if (state && mg_keep(mg_module.arena, node) != MG_OK) {
        if (node->refs == 0) value_discard(node);
        PyErr_NoMemory();
        return -1;
    }
    mg_node *old = self->node;
    self->node = node;
    node->refs++;
    mg_set_owner(node, self);
    if (old->flags & MG_CYCLIC) value_set_cyclic(self);
    value_leave(self, old);
    return 0;
}

/* What an earlier __init__ left behind. */
static int forget_given(PyObject *self) {
    Py_CLEAR(((value_object *)self)->label);
    value_node(self)->tag = 0;
    if (value_delete_own_entry(self, mg_module.label_key) < 0) return -1;
    if (value_delete_own_entry(self, mg_module.op_key) < 0) return -1;
    if (value_delete_own_entry(self, mg_module.partials_key) < 0) return -1;
    return value_delete_own_entry(self, mg_module.backward_key);
}

static bool has_own_constructor(PyTypeObject *type);

/* ---- instances of subclasses ---- */

/* An object of the subclass made without calling it. The node is freed if that fails. */
PyObject *value_wrap_bare(PyTypeObject *type, mg_node *node) {
    value_object *self = NULL;
    if (mg_keep(mg_module.arena, node) != MG_OK)
        PyErr_NoMemory();
    else
        self = (value_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        value_discard(node);
        return NULL;
    }
    self->node = node;
    node->refs++;
    mg_set_owner(node, self);
    return (PyObject *)self;
}

/* An object made by the subclass's own constructor, which then shows the recorded node. */
static PyObject *wrap_by_call(PyTypeObject *type, mg_node *node) {
    PyObject *result = NULL;
    PyObject *shown = value_wrap(node);
    if (shown == NULL) return NULL;
    PyObject *children = value_get_children(shown, NULL);
    PyObject *op = value_get_op(shown, NULL);
    if (children != NULL && op != NULL) {
        PyObject *data =
            value_is_recording() ? value_ask("read", shown) : PyFloat_FromDouble(node->data);
        if (data != NULL)
            result = PyObject_CallFunction((PyObject *)type, "NOO", data, children, op);
    }
    Py_XDECREF(children);
    Py_XDECREF(op);
    value_pin(node);
    Py_DECREF(shown);
    if (result != NULL && value_check(result) && value_is_recording() &&
        value_node(result)->data != node->data && !isnan(node->data) &&
        value_refuse("a constructor that changes its data") < 0)
        Py_CLEAR(result);
    if (result != NULL && value_check(result)) {
        node->data = value_node(result)->data;
        if (adopt((value_object *)result, node) < 0 ||
            value_delete_own_entry(result, mg_module.backward_key) < 0)
            Py_CLEAR(result);
    }
    value_unpin(node);
    return result;
}

/* What an operation on an instance of a subclass gives: one of that class, unless its constructor
 * takes other arguments than (data, children, op). */
PyObject *value_wrap_as(PyTypeObject *type, mg_node *node) {
    if (!has_own_constructor(type)) return value_wrap_bare(type, node);
    node->refs++; /* asking runs foreign code */
    PyObject *answer = PyObject_CallOneArg(mg_module.makes_results, (PyObject *)type);
    const int makes_results = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    node->refs--;
    if (makes_results > 0) return wrap_by_call(type, node);
    if (makes_results == 0) return value_wrap(node);
    value_discard(node);
    return NULL;
}

/* ---- __new__, __init__ and the call ---- */

/* A new object of the type, its node a leaf. */
PyObject *value_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names)) {
    mg_node *leaf = mg_new_leaf(mg_module.arena, 0.0);
    if (leaf == NULL) return PyErr_NoMemory();
    return type == mg_module.type ? value_wrap(leaf) : value_wrap_bare(type, leaf);
}

int value_init(PyObject *self, PyObject *args, PyObject *names) {
    arguments in = {0};
    double data = 0.0;
    PyObject *name, *value, *partials = NULL;
    Py_ssize_t position = 0;
    if (take_positional(&in, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args)) < 0) return -1;
    while (names != NULL && PyDict_Next(names, &position, &name, &value))
        if (take_keyword(&in, name, value) < 0) return -1;
    if (check_arguments(&in, &data) < 0) return -1;
    mg_node *node = node_from(&in, data, &partials);
    int result = node == NULL || adopt((value_object *)self, node) < 0 ? -1 : 0;
    if (result == 0) result = forget_given(self);
    if (result == 0) result = set_given(self, &in, partials);
    Py_XDECREF(partials);
    return result;
}

/* The type has been changed: go the way type.__call__ goes. */
static PyObject *call_slowly(PyObject *type, PyObject *const *args, Py_ssize_t count,
                             PyObject *names) {
    PyObject *result = NULL;
    PyObject *positional = PyTuple_New(count);
    PyObject *keywords = names != NULL ? PyDict_New() : NULL;
    bool good = positional != NULL && (names == NULL || keywords != NULL);
    for (Py_ssize_t i = 0; good && i < count; i++)
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; good && names != NULL && i < PyTuple_GET_SIZE(names); i++)
        good = PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), args[count + i]) == 0;
    if (good) result = PyType_Type.tp_call(type, positional, keywords);
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

static bool has_own_constructor(PyTypeObject *type) {
    return type->tp_init != value_init || type->tp_new != value_new;
}

PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    arguments in = {0};
    double data = 0.0;
    mg_node *node;
    PyObject *partials = NULL;
    if (has_own_constructor((PyTypeObject *)type)) return call_slowly(type, args, count, names);
    if (take_positional(&in, args, count) < 0) return NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++)
        if (take_keyword(&in, PyTuple_GET_ITEM(names, i), args[count + i]) < 0) return NULL;
    if (check_arguments(&in, &data) < 0) return NULL;
    if (in.children == NULL && in.partials == NULL && in.recorded == NULL) {
        node = mg_new_leaf(mg_module.arena, data);
        if (node == NULL) return PyErr_NoMemory();
    } else {
        node = node_from(&in, data, &partials);
    }
    PyObject *self = node != NULL ? value_wrap(node) : NULL;
    if (self != NULL && set_given(self, &in, partials) < 0) Py_CLEAR(self);
    Py_XDECREF(partials);
    return self;
}
