/* construct.c: Value(...), and results that are of a subclass. The calls that programs make in
 * their loops have short ways here; all other calls go to micrograd_c/_construct.py. */
#include "python/construct.h"

#include "graph/pages.h"
#include "graph/record.h"
#include "python/attributes.h"
#include "python/backward.h"
#include "python/blocks.h"
#include "python/cycles.h"

/* ---- nodes ---- */

mg_node **value_take_operands(PyObject *children) {
    Py_ssize_t count = PyTuple_GET_SIZE(children);
    if (!value_are_values(children)) return NULL;
    mg_node **operands = PyMem_New(mg_node *, (size_t)count);
    if (operands == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; operands != NULL && i < count; i++)
        operands[i] = value_node(PyTuple_GET_ITEM(children, i));
    return operands;
}

/* Return the numbers of a tuple of n objects, an array of n, which the caller frees with
 * PyMem_Free. NULL: an error is set. Foreign code may run. */
static double *take_partials(PyObject *partials) {
    Py_ssize_t count = PyTuple_GET_SIZE(partials);
    double *numbers = PyMem_New(double, (size_t)count);
    if (numbers == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; numbers != NULL && i < count; i++) {
        numbers[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(partials, i));
        if (numbers[i] != -1.0 || !PyErr_Occurred()) continue;
        PyMem_Free(numbers);
        return NULL;
    }
    return numbers;
}

/* Return a leaf without references. NULL: MemoryError. */
static mg_node *make_leaf(double data) {
    mg_node *leaf = mg_new_leaf(mg_module.arena, data);
    if (leaf == NULL) PyErr_NoMemory();
    return leaf;
}

mg_node *value_make_node(double data, PyObject *children, PyObject *partials) {
    const Py_ssize_t count = children != NULL ? PyTuple_GET_SIZE(children) : 0;
    if (count == 0) return make_leaf(data);
    double *numbers = NULL;
    if (partials != NULL && PyTuple_GET_SIZE(partials) != 0) {
        numbers = take_partials(partials);
        if (numbers == NULL) return NULL;
    }
    mg_node *node = NULL;
    mg_node **operands = value_take_operands(children);
    if (operands != NULL) {
        node = mg_new_custom(mg_module.arena, data, operands, (size_t)count, numbers);
        if (node == NULL) PyErr_NoMemory();
        for (Py_ssize_t i = 0; node != NULL && i < count; i++) value_hold(operands[i]);
    }
    PyMem_Free(operands);
    PyMem_Free(numbers);
    return node;
}

/* Have a proxy point to another node. The caller has a reference to the old one to give back. */
static void move(value_object *self, mg_node *node) {
    self->node = node;
    node->refs++;
    mg_set_owner(node, self);
    mg_module.moves++;
}

/* Let self show another node from now on; the old node stays with the graphs that use it. -1:
 * MemoryError, and the new node is freed if it has no reference. */
static int adopt(value_object *self, mg_node *node) {
    const uint32_t tag = mg_tag_of(self->node);
    if (!mg_set_tag(node, tag)) Py_XSETREF(self->label, Py_NewRef(mg_module.labels[tag]));
    bool tracked = value_is_exact((PyObject *)self) && PyObject_GC_IsTracked((PyObject *)self);
    bool state = tracked || (self->node->flags & MG_KEEP) != 0 || self->label != NULL ||
                 self->dict != NULL || !value_has_class_of_tag((PyObject *)self);
    if (state && mg_keep(mg_module.arena, node) != MG_OK) {
        if (node->refs == 0) value_discard(node);
        PyErr_NoMemory();
        return -1;
    }
    mg_node *old = self->node;
    move(self, node);
    if (old->flags & MG_CYCLIC) value_set_cyclic(self);
    value_leave(self, old);
    return 0;
}

/* Let self show the node of `made`, a Value that nobody else has; `made` gets a leaf in its place.
 * -1: MemoryError. */
static int take_over(value_object *self, value_object *made) {
    mg_node *node = made->node, *leaf = make_leaf(0.0);
    if (leaf == NULL) return -1;
    value_pin(node);
    move(made, leaf);
    PyObject_GC_UnTrack(made); /* tracked if a collection has exposed its node: see cycles.c */
    value_leave(made, node);
    const int result = adopt(self, node);
    value_unpin(node);
    return result;
}

/* ---- what stands beside the node ---- */

/* Remove from self what an earlier __init__ left behind. -1: an error is set. */
static int forget_given(PyObject *self) {
    Py_CLEAR(((value_object *)self)->label);
    if (value_is_exact(self) || !value_has_class_of_tag(self)) value_node(self)->tag = 0;
    if (value_delete_own_entry(self, mg_module.label_key) < 0) return -1;
    if (value_delete_own_entry(self, mg_module.op_key) < 0) return -1;
    if (value_delete_own_entry(self, mg_module.partials_key) < 0) return -1;
    return value_delete_own_entry(self, mg_module.backward_key);
}

/* Set a label, an operator's name and local gradients; each may be NULL: not given. -1: an error is
 * set. */
static int set_given(PyObject *self, PyObject *label, PyObject *op, PyObject *partials) {
    if (label != NULL && value_set_label(self, label, NULL) < 0) return -1;
    if (op != NULL && op != mg_module.empty_string &&
        value_set_own_entry(self, mg_module.op_key, op) < 0)
        return -1;
    if (partials == NULL || PyTuple_GET_SIZE(partials) == 0) return 0;
    return value_set_own_entry(self, mg_module.partials_key, partials);
}

/* ---- functions of the module, which micrograd_c/_construct.py describes ---- */

PyObject *value_make(PyObject *Py_UNUSED(module), PyObject *args) {
    double data;
    PyObject *children, *partials;
    if (!PyArg_ParseTuple(args, "dO!O!:make", &data, &PyTuple_Type, &children, &PyTuple_Type,
                          &partials))
        return NULL;
    const Py_ssize_t given = PyTuple_GET_SIZE(partials);
    if (given != 0 && given != PyTuple_GET_SIZE(children)) {
        PyErr_BadArgument();
        return NULL;
    }
    mg_node *node = value_make_node(data, value_grad_is_off() ? NULL : children, partials);
    return node != NULL ? value_wrap(node) : NULL;
}

PyObject *value_renew(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *self, *made, *label, *op, *partials;
    if (!PyArg_ParseTuple(args, "O!O!OUO!:renew", mg_module.type, &self, mg_module.type, &made,
                          &label, &op, &PyTuple_Type, &partials))
        return NULL;
    if (take_over((value_object *)self, (value_object *)made) < 0 || forget_given(self) < 0 ||
        set_given(self, label, op, partials) < 0)
        return NULL;
    const bool looked_at = value_node(self)->op == MG_OP_custom && value_is_watched();
    if (looked_at && value_look(self) < 0) return NULL;
    Py_RETURN_NONE;
}

PyObject *value_replace(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *result, *recorded;
    if (!PyArg_ParseTuple(args, "O!O!:replace", mg_module.type, &result, mg_module.type, &recorded))
        return NULL;
    value_node(recorded)->data = value_node(result)->data;
    if (take_over((value_object *)result, (value_object *)recorded) < 0 ||
        value_delete_own_entry(result, mg_module.backward_key) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- instances of subclasses ---- */

PyObject *value_wrap_bare(PyTypeObject *type, mg_node *node) {
    value_object *self = NULL;
    const uint8_t tag = value_class_tag(type);
    if (tag != 0) return value_wrap_tagged(node, type, tag);
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

static bool has_own_constructor(PyTypeObject *type) {
    return type->tp_init != value_init || type->tp_new != value_new;
}

/* Whether the class's constructor takes (data, children, op). -1: an error is set. */
static int makes_results(PyTypeObject *type) {
    static PyTypeObject *known; /* the class that was asked about last; not a reference */
    static unsigned int known_version;
    static int known_answer;
    const unsigned int version = value_type_version(type);
    if (version != 0 && type == known && version == known_version) return known_answer;
    PyObject *answer = PyObject_CallOneArg(mg_module.makes_results, (PyObject *)type);
    if (answer == NULL) return -1;
    known = type;
    known_version = version;
    known_answer = answer == Py_True;
    Py_DECREF(answer);
    return known_answer;
}

/* The result that this thread's innermost construct_result is making. It shows its node already,
 * and Value's __init__ is expected to be called with these arguments. */
typedef struct {
    PyObject *self;
    mg_node *node;
    PyObject *children;
    PyObject *op;
} construction;

static MG_THREAD_LOCAL construction awaited;

/* Call __init__ of a result, which shows its node already, with (data, children, op). -1: an error
 * is set. */
static int initialize(PyObject *self, PyObject *children, PyObject *op) {
    int result = -1;
    PyObject *data = PyFloat_FromDouble(value_node(self)->data);
    PyObject *args = data != NULL ? PyTuple_Pack(3, data, children, op) : NULL;
    if (args != NULL) {
        const construction outer = awaited;
        awaited.self = self;
        awaited.node = value_node(self);
        awaited.children = children;
        awaited.op = op;
        result = Py_TYPE(self)->tp_init(self, args, NULL);
        awaited = outer;
    }
    Py_XDECREF(args);
    Py_XDECREF(data);
    return result;
}

/* Let self, whose constructor has given it another node, show this one with its data. */
static int restore_node(PyObject *self, mg_node *node) {
    PyObject *made = value_of_node(node);
    if (made == NULL) return -1;
    node->data = value_node(self)->data;
    int result = take_over((value_object *)self, (value_object *)made);
    Py_DECREF(made);
    return result;
}

/* What result_by_call of _construct.py does where the class has no __new__ of its own. */
static PyObject *construct_result(PyTypeObject *type, mg_node *node) {
    PyObject *self = value_wrap_bare(type, node);
    if (self == NULL) return NULL;
    value_pin(node);
    PyObject *children = value_get_children(self, NULL);
    PyObject *op = children != NULL ? value_get_op(self, NULL) : NULL;
    int result = op != NULL ? initialize(self, children, op) : -1;
    if (result == 0 && value_node(self) != node) result = restore_node(self, node);
    if (result == 0) result = value_set_backward(self, NULL, NULL);
    Py_XDECREF(op);
    Py_XDECREF(children);
    if (result < 0) Py_CLEAR(self);
    value_unpin(node);
    return self;
}

PyObject *value_wrap_as(PyTypeObject *type, mg_node *node) {
    if (!has_own_constructor(type)) return value_wrap_bare(type, node);
    if (type->tp_new == value_new && Py_TYPE((PyObject *)type)->tp_call == PyType_Type.tp_call &&
        !value_is_recording()) {
        const int takes = makes_results(type);
        if (takes > 0) return construct_result(type, node);
        if (takes == 0) return value_wrap(node);
        value_discard(node);
        return NULL;
    }
    PyObject *shown = value_wrap(node);
    if (shown == NULL) return NULL;
    PyObject *result = PyObject_CallFunctionObjArgs(mg_module.result_by_call, mg_module.module,
                                                    (PyObject *)type, shown, NULL);
    Py_DECREF(shown);
    return result;
}

/* ---- short ways ---- */

/* A plain call, Value(data, children, op or partials, label): data is a number, children a tuple of
 * Values, op a str, partials a tuple of floats and ints. What is not given is NULL. */
typedef struct {
    double data;
    PyObject *children;
    PyObject *op;
    PyObject *partials;
    PyObject *label;
} plain_call;

static bool are_values(PyObject *children) {
    if (!PyTuple_CheckExact(children)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(children); i++)
        if (!value_check(PyTuple_GET_ITEM(children, i))) return false;
    return true;
}

static bool are_partials(PyObject *partials, PyObject *children) {
    if (!PyTuple_CheckExact(partials)) return false;
    const Py_ssize_t count = PyTuple_GET_SIZE(partials);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(partials, i);
        if (!PyFloat_CheckExact(item) && !PyLong_CheckExact(item)) return false;
    }
    return count == 0 || count == PyTuple_GET_SIZE(children);
}

/* Take the arguments of a plain call. 1: they are taken; 0: this is no plain call; -1: an error is
 * set. */
static int take_call(plain_call *in, PyObject *const *args, Py_ssize_t count, PyObject *label) {
    *in = (plain_call){.label = label};
    if (count == 0 || count > (label != NULL ? 3 : 4) || value_is_recording()) return 0;
    if (value_is_watched()) return 0;
    if (count > 1) {
        in->children = args[1];
        if (!are_values(in->children)) return 0;
    }
    if (count > 2) {
        PyObject **place = PyUnicode_Check(args[2]) ? &in->op : &in->partials;
        *place = args[2];
        if (in->partials != NULL && !are_partials(in->partials, in->children)) return 0;
    }
    if (count > 3) in->label = args[3];
    return value_number(args[0], &in->data);
}

static mg_node *node_of_call(const plain_call *in) {
    if (in->children == NULL) return make_leaf(in->data);
    return value_make_node(in->data, value_grad_is_off() ? NULL : in->children, in->partials);
}

/* ---- __new__, __init__ and the call ---- */

/* The new object's node is a leaf. */
PyObject *value_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names)) {
    mg_node *leaf = make_leaf(0.0);
    if (leaf == NULL) return NULL;
    return type == mg_module.type ? value_wrap(leaf) : value_wrap_bare(type, leaf);
}

static bool is_empty(PyObject *children) {
    return children == NULL || PyTuple_GET_SIZE(children) == 0;
}

/* Whether a node is a leaf, such as value_new makes, and nothing but its proxy refers to it. */
static bool is_free_leaf(const mg_node *node) {
    return node->op == MG_OP_leaf && node->refs == 1 && (node->flags & MG_CLOSURE) == 0;
}

/* Call construct(module, self, names or None, *args) of _construct.py. -1: an error is set. */
static int construct(PyObject *self, PyObject *args, PyObject *names) {
    PyObject *head = Py_BuildValue("OOO", mg_module.module, self, names != NULL ? names : Py_None);
    PyObject *all = head != NULL ? PySequence_Concat(head, args) : NULL;
    PyObject *result = all != NULL ? PyObject_CallObject(mg_module.construct, all) : NULL;
    Py_XDECREF(head);
    Py_XDECREF(all);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int value_init(PyObject *self, PyObject *args, PyObject *names) {
    plain_call in;
    PyObject *label = NULL;
    const Py_ssize_t named = names != NULL ? PyDict_GET_SIZE(names) : 0;
    if (named == 1) label = PyDict_GetItemWithError(names, mg_module.label_key);
    if (named != 0 && label == NULL) return PyErr_Occurred() ? -1 : construct(self, args, names);
    const int plain = take_call(&in, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args), label);
    if (plain == 0) return construct(self, args, names);
    if (plain < 0) return -1;
    mg_node *node = value_node(self);
    if (self == awaited.self && node == awaited.node && in.children == awaited.children &&
        in.op == awaited.op) {
        node->data = in.data;
        in.op = NULL; /* the node's own */
    } else if (is_empty(in.children) && is_free_leaf(node)) {
        node->data = in.data;
        node->grad = 0.0;
    } else {
        node = node_of_call(&in);
        if (node == NULL || adopt((value_object *)self, node) < 0) return -1;
    }
    if (forget_given(self) < 0) return -1;
    return set_given(self, in.label, in.op, in.partials);
}

PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names) {
    plain_call in;
    const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    const Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    const bool labelled = named == 1 && PyTuple_GET_ITEM(names, 0) == mg_module.label_key;
    int plain = 0;
    if (!has_own_constructor((PyTypeObject *)type) && (named == 0 || labelled))
        plain = take_call(&in, args, count, labelled ? args[count] : NULL);
    if (plain == 0) return PyObject_Vectorcall(mg_module.slow_call, args, nargsf, names);
    mg_node *node = plain > 0 ? node_of_call(&in) : NULL;
    PyObject *self = node != NULL ? value_wrap(node) : NULL;
    if (self != NULL && set_given(self, in.label, in.op, in.partials) < 0) Py_CLEAR(self);
    return self;
}
