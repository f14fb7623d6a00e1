/* value_object.c: the life of a proxy (made, given state, let go of) and its attributes. */

#include "value.h"

/* ---- memory ---- */

value_object *value_allocate(void) {
    return PyObject_GC_New(value_object, mg_module.type);
}

/* A dead proxy of the exact type, untracked and empty. Its reference to the type stays with it. */
static void recycle(value_object *self) {
    if (mg_module.free_count == MG_FREE_LIST_LENGTH) {
        PyTypeObject *type = Py_TYPE((PyObject *)self);
        PyObject_GC_Del(self);
        Py_DECREF((PyObject *)type);
        return;
    }
    self->next = mg_module.free_list;
    mg_module.free_list = self;
    mg_module.free_count++;
}

void value_drain_orphans(void) {
    mg_node *node;
    if (mg_module.draining) return;
    mg_module.draining = true;
    while ((node = mg_next_orphan(mg_module.arena)) != NULL) Py_DECREF((PyObject *)mg_owner(node));
    mg_module.draining = false;
}

/* Give up the proxy's reference to its node. What dies with it may have held other proxies, whose
 * death may free more: one loop, at the outermost call, lets go of them all. */
static inline void drop_node(value_object *self) {
    mg_node *node = self->node;
    mg_set_owner(node, NULL);
    mg_drop(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

static void dealloc_with_state(value_object *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (type->tp_finalize != NULL && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) PyObject_ClearWeakRefs((PyObject *)self);
    Py_CLEAR(self->label);
    Py_CLEAR(self->dict);
    drop_node(self);
    if (type == mg_module.type) {
        recycle(self);
        return;
    }
    type->tp_free(self);
    Py_DECREF((PyObject *)type);
}

static void dealloc(PyObject *object) {
    value_object *self = (value_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (MG_LIKELY(type == mg_module.type && self->label == NULL && self->dict == NULL &&
                  self->weakrefs == NULL && type->tp_finalize == NULL)) {
        drop_node(self);
        recycle(self);
        return;
    }
    dealloc_with_state(self);
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((value_object *)object)->label);
    Py_VISIT(((value_object *)object)->dict);
    Py_VISIT((PyObject *)Py_TYPE(object));
    return 0;
}

/* Fields that are set stay set: they say that the object is not an empty one. */
static int clear(PyObject *object) {
    value_object *self = (value_object *)object;
    if (self->label != NULL) Py_SETREF(self->label, Py_NewRef(mg_module.empty_string));
    if (self->dict != NULL) PyDict_Clear(self->dict);
    return 0;
}

/* ---- state ---- */

/* From now on the node holds the proxy while it has parents. */
static int keep(value_object *self) {
    if (mg_keep(mg_module.arena, self->node) != MG_OK) {
        PyErr_NoMemory();
        return -1;
    }
    value_hold(self->node);
    return 0;
}

/* The proxy refers to objects that may refer back to it: let the garbage collector see it. */
static void track(value_object *self) {
    if (!PyObject_GC_IsTracked((PyObject *)self)) PyObject_GC_Track(self);
}

/* The instance has a dict since now. */
static int keep_dict(value_object *self) {
    if (keep(self) < 0) {
        Py_CLEAR(self->dict);
        return -1;
    }
    track(self);
    return 0;
}

static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    value_object *self = (value_object *)object;
    bool had_dict = self->dict != NULL;
    int result = PyObject_GenericSetAttr(object, name, value);
    return had_dict || self->dict == NULL || keep_dict(self) == 0 ? result : -1;
}

static PyObject *get_dict(PyObject *object, void *Py_UNUSED(closure)) {
    value_object *self = (value_object *)object;
    if (self->dict == NULL) {
        if ((self->dict = PyDict_New()) == NULL || keep_dict(self) < 0) return NULL;
    }
    return Py_NewRef(self->dict);
}

static int set_dict(PyObject *object, PyObject *value, void *closure) {
    value_object *self = (value_object *)object;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "__dict__ must be set to a dictionary");
        return -1;
    }
    PyObject *old = get_dict(object, closure);
    if (old == NULL) return -1;
    Py_SETREF(self->dict, Py_NewRef(value));
    Py_DECREF(old);
    return 0;
}

/* An entry of the instance's dict, borrowed; NULL without an error: there is none. */
static PyObject *own_entry(PyObject *object, PyObject *key) {
    PyObject *dict = ((value_object *)object)->dict;
    return dict == NULL ? NULL : PyDict_GetItemWithError(dict, key);
}

static int set_own_entry(PyObject *object, PyObject *key, PyObject *value) {
    PyObject *dict = get_dict(object, NULL);
    if (dict == NULL) return -1;
    int result = PyDict_SetItem(dict, key, value);
    Py_DECREF(dict);
    return result;
}

/* ---- numbers and names ---- */

static int refuse_delete(PyObject *value, const char *name) {
    if (value != NULL) return 0;
    PyErr_Format(PyExc_AttributeError, "cannot delete %s of a Value", name);
    return -1;
}

/* A real number for this attribute or parameter. */
static int take_number(PyObject *value, const char *name, double *number) {
    int found = value_number(value, number);
    if (found == 0)
        PyErr_Format(PyExc_TypeError, "%s must be a real number, not '%.200s'", name,
                     Py_TYPE(value)->tp_name);
    return found == 1 ? 0 : -1;
}

static PyObject *get_data(PyObject *self, void *Py_UNUSED(closure)) {
    return PyFloat_FromDouble(value_node(self)->data);
}

static int set_data(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    double number;
    if (refuse_delete(value, "data") < 0 || take_number(value, "data", &number) < 0) return -1;
    value_node(self)->data = number;
    return 0;
}

static PyObject *get_grad(PyObject *self, void *Py_UNUSED(closure)) {
    return PyFloat_FromDouble(value_node(self)->grad);
}

static int set_grad(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    double number;
    if (refuse_delete(value, "grad") < 0 || take_number(value, "grad", &number) < 0) return -1;
    value_node(self)->grad = number;
    return 0;
}

static PyObject *get_label(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *label = ((value_object *)self)->label;
    return Py_NewRef(label != NULL ? label : mg_module.empty_string);
}

static int set_label(PyObject *object, PyObject *value, void *Py_UNUSED(closure)) {
    value_object *self = (value_object *)object;
    if (refuse_delete(value, "label") < 0) return -1;
    if (value == mg_module.empty_string && self->label == NULL) return 0;
    if (keep(self) < 0) return -1;
    Py_XSETREF(self->label, Py_NewRef(value));
    if (!PyUnicode_CheckExact(value)) track(self);
    return 0;
}

int value_set_op(PyObject *self, PyObject *text) {
    return set_own_entry(self, mg_module.op_key, text);
}

static PyObject *get_op(PyObject *self, void *Py_UNUSED(closure)) {
    const mg_node *node = value_node(self);
    PyObject *text = own_entry(self, mg_module.op_key);
    if (text != NULL || PyErr_Occurred()) return Py_XNewRef(text);
    if (node->op != MG_OP_exponent) return Py_NewRef(mg_module.symbols[node->op]);
    PyObject *exponent = node->flags & MG_INTEGER ? PyLong_FromDouble(node->exponent)
                                                  : PyFloat_FromDouble(node->exponent);
    if (exponent == NULL) return NULL;
    text = PyUnicode_FromFormat("**%R", exponent);
    Py_DECREF(exponent);
    return text;
}

static int set_op(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    return refuse_delete(value, "_op") < 0 ? -1 : value_set_op(self, value);
}

/* ---- operands ---- */

PyObject *value_of_node(mg_node *node) {
    PyObject *owner = mg_owner(node);
    return owner != NULL ? Py_NewRef(owner) : value_wrap(node);
}

/* All of them in order, with repeats. */
static PyObject *get_children(PyObject *self, void *Py_UNUSED(closure)) {
    const mg_node *node = value_node(self);
    Py_ssize_t arity = (Py_ssize_t)mg_node_arity(node);
    PyObject *children = PyTuple_New(arity);
    if (children == NULL) return NULL;
    for (Py_ssize_t i = 0; i < arity; i++) {
        PyObject *child = value_of_node(mg_node_operand(node, (size_t)i));
        if (child == NULL) {
            Py_DECREF(children);
            return NULL;
        }
        PyTuple_SET_ITEM(children, i, child);
    }
    return children;
}

/* The distinct operands, in order, as a set: the keys of a dict. */
static PyObject *get_prev(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *children = get_children(self, NULL);
    if (children == NULL) return NULL;
    PyObject *distinct = PyObject_CallMethod((PyObject *)&PyDict_Type, "fromkeys", "(O)", children);
    Py_DECREF(children);
    if (distinct == NULL) return NULL;
    PyObject *keys = PyObject_CallMethod(distinct, "keys", NULL);
    Py_DECREF(distinct);
    return keys;
}

static PyObject *get_partials(PyObject *self, void *Py_UNUSED(closure)) {
    const mg_node *node = value_node(self);
    PyObject *given = own_entry(self, mg_module.partials_key);
    if (given != NULL || PyErr_Occurred()) return Py_XNewRef(given);
    size_t arity =
        node->arity == MG_ARITY_CUSTOM && node->extra->partials == NULL ? 0 : mg_node_arity(node);
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

/* ---- backward ---- */

static PyObject *push(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    mg_status status = mg_push_node(value_node(self));
    if (status != MG_OK) {
        value_raise_partial(status, value_node(self));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef push_method = {"_backward", push, METH_NOARGS,
                                  PyDoc_STR("Push this node's gradient into its operands, once.")};

static PyObject *get_backward(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *own = own_entry(self, mg_module.backward_key);
    if (own != NULL || PyErr_Occurred()) return Py_XNewRef(own);
    return PyCFunction_New(&push_method, self);
}

static int set_backward(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (refuse_delete(value, "_backward") < 0) return -1;
    if (!PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "_backward must be callable, not '%.200s'",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (set_own_entry(self, mg_module.backward_key, value) < 0) return -1;
    mg_close(mg_module.arena, value_node(self), true);
    return 0;
}

static int call_closure(mg_node *node) {
    PyObject *self = Py_NewRef((PyObject *)mg_owner(node));
    PyObject *closure = get_backward(self, NULL);
    PyObject *result = closure == NULL ? NULL : PyObject_CallNoArgs(closure);
    Py_XDECREF(closure);
    Py_DECREF(self);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* With closures in the graph: native nodes by the engine, closures in between by Python. */
static int follow_order(mg_order *order) {
    mg_node *closure, *culprit;
    for (;;) {
        mg_status status = mg_resume(order, &closure, &culprit);
        if (status != MG_OK) {
            value_raise_partial(status, culprit);
            return -1;
        }
        if (closure == NULL) return 0;
        if (call_closure(closure) < 0) return -1;
    }
}

PyObject *value_backward(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    mg_order *order;
    mg_node *culprit, *root = value_node(self);
    mg_status status = mg_sweep(mg_module.arena, root, &order, &culprit);
    if (status != MG_OK) {
        value_raise_partial(status, culprit);
        return NULL;
    }
    if (order == NULL) Py_RETURN_NONE;
    root->refs++; /* a closure could give self another node */
    int result = follow_order(order);
    mg_deallocate(mg_module.arena, order);
    mg_drop(mg_module.arena, root);
    value_drain_orphans();
    if (result < 0) return NULL;
    Py_RETURN_NONE;
}

/* ---- construction ---- */

typedef struct {
    PyObject *data;
    PyObject *children; /* NULL: not given, as all that follow */
    PyObject *op;
    PyObject *label;
    PyObject *partials;
} arguments;

/* The parameter of this name; NULL: there is none. */
static PyObject **parameter(arguments *in, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL) return NULL;
    if (strcmp(text, "data") == 0) return &in->data;
    if (strcmp(text, "label") == 0) return &in->label;
    if (strcmp(text, "children") == 0 || strcmp(text, "_children") == 0 ||
        strcmp(text, "_prev") == 0)
        return &in->children;
    if (strcmp(text, "op") == 0 || strcmp(text, "_op") == 0) return &in->op;
    if (strcmp(text, "local_grads") == 0 || strcmp(text, "_local_grads") == 0) return &in->partials;
    PyErr_Format(PyExc_TypeError, "Value() got an unexpected keyword argument '%U'", name);
    return NULL;
}

static int take_keyword(arguments *in, PyObject *name, PyObject *value) {
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

/* A node with the given operands, none of them meaning a leaf. NULL: with an error set. */
static mg_node *make_node(double data, PyObject *children, PyObject *partials) {
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
    mg_node **operands = PyMem_New(mg_node *, count);
    double *numbers = given != 0 ? PyMem_New(double, given) : NULL;
    bool good = operands != NULL && (given == 0 || numbers != NULL);
    if (!good) PyErr_NoMemory();
    for (Py_ssize_t i = 0; good && i < given; i++) {
        PyObject *partial = PyTuple_GET_ITEM(partials, i);
        good = take_number(partial, "each of Value()'s local gradients", &numbers[i]) == 0;
    }
    for (Py_ssize_t i = 0; good && i < count; i++) {
        PyObject *child = PyTuple_GET_ITEM(children, i);
        good = value_check(child);
        if (good)
            operands[i] = value_node(child);
        else
            PyErr_Format(PyExc_TypeError,
                         "each of Value()'s children must be a Value, not '%.200s'",
                         Py_TYPE(child)->tp_name);
    }
    if (good) {
        node = mg_new_custom(mg_module.arena, data, operands, (size_t)count, numbers);
        if (node == NULL) PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; node != NULL && i < count; i++) value_hold(operands[i]);
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

static mg_node *node_from(const arguments *in, double data, PyObject **partials) {
    PyObject *children;
    mg_node *node = NULL;
    if (take_sequence(in->children, "Value() children must be an iterable of Values, not '%.200s'",
                      &children) &&
        take_sequence(in->partials, "Value() local gradients must be a sequence, not '%.200s'",
                      partials))
        node = make_node(data, children, *partials);
    Py_XDECREF(children);
    return node;
}

/* What was given beyond the node itself is state of the proxy. */
static int set_given(PyObject *self, const arguments *in, PyObject *partials) {
    if (in->label != NULL && set_label(self, in->label, NULL) < 0) return -1;
    if (in->op != NULL && in->op != mg_module.empty_string && value_set_op(self, in->op) < 0)
        return -1;
    if (partials == NULL || PyTuple_GET_SIZE(partials) == 0) return 0;
    return set_own_entry(self, mg_module.partials_key, partials);
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
    return take_number(in->data, "Value() data", data);
}

/* Let self show another node from now on; the old one stays with the graphs that use it. If that
 * fails, a node without references is freed. */
static int adopt(value_object *self, mg_node *node) {
    bool state = self->label != NULL || self->dict != NULL || !value_is_exact((PyObject *)self);
    if (state && mg_keep(mg_module.arena, node) != MG_OK) {
        if (node->refs == 0) mg_free_node(mg_module.arena, node);
        PyErr_NoMemory();
        return -1;
    }
    mg_node *old = self->node;
    self->node = node;
    node->refs++;
    mg_set_owner(node, self);
    bool held = mg_unkeep(mg_module.arena, old);
    mg_set_owner(old, NULL);
    mg_drop(mg_module.arena, old);
    if (held) Py_DECREF((PyObject *)self);
    value_drain_orphans();
    return 0;
}

static int delete_own_entry(PyObject *self, PyObject *key) {
    PyObject *entry = own_entry(self, key);
    if (entry == NULL) return PyErr_Occurred() ? -1 : 0;
    return PyDict_DelItem(((value_object *)self)->dict, key);
}

/* What an earlier __init__ left behind. */
static int forget_given(PyObject *self) {
    Py_CLEAR(((value_object *)self)->label);
    if (delete_own_entry(self, mg_module.op_key) < 0) return -1;
    if (delete_own_entry(self, mg_module.partials_key) < 0) return -1;
    return delete_own_entry(self, mg_module.backward_key);
}

static bool has_own_constructor(PyTypeObject *type);

/* ---- instances of subclasses ---- */

/* An object of the subclass made without calling it. The node is freed if that fails. */
static PyObject *wrap_bare(PyTypeObject *type, mg_node *node) {
    value_object *self = NULL;
    if (mg_keep(mg_module.arena, node) != MG_OK)
        PyErr_NoMemory();
    else
        self = (value_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        mg_free_node(mg_module.arena, node);
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
    PyObject *children = get_children(shown, NULL);
    PyObject *op = get_op(shown, NULL);
    if (children != NULL && op != NULL)
        result = PyObject_CallFunction((PyObject *)type, "dOO", node->data, children, op);
    Py_XDECREF(children);
    Py_XDECREF(op);
    node->refs++;
    Py_DECREF(shown);
    if (result != NULL && value_check(result)) {
        node->data = value_node(result)->data;
        if (adopt((value_object *)result, node) < 0 ||
            delete_own_entry(result, mg_module.backward_key) < 0)
            Py_CLEAR(result);
    }
    mg_drop(mg_module.arena, node);
    value_drain_orphans();
    return result;
}

PyObject *value_wrap_as(PyTypeObject *type, mg_node *node) {
    return has_own_constructor(type) ? wrap_by_call(type, node) : wrap_bare(type, node);
}

/* ---- __new__, __init__ and the call ---- */

/* A new object of the type, its node a leaf. */
static PyObject *new_value(PyTypeObject *type, PyObject *Py_UNUSED(args),
                           PyObject *Py_UNUSED(names)) {
    mg_node *leaf = mg_new_leaf(mg_module.arena, 0.0);
    if (leaf == NULL) return PyErr_NoMemory();
    return type == mg_module.type ? value_wrap(leaf) : wrap_bare(type, leaf);
}

static int init_value(PyObject *self, PyObject *args, PyObject *names) {
    arguments in = {0};
    double data;
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
    return type->tp_init != init_value || type->tp_new != new_value;
}

PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    arguments in = {0};
    double data;
    mg_node *node;
    PyObject *partials = NULL;
    if (has_own_constructor((PyTypeObject *)type)) return call_slowly(type, args, count, names);
    if (take_positional(&in, args, count) < 0) return NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++)
        if (take_keyword(&in, PyTuple_GET_ITEM(names, i), args[count + i]) < 0) return NULL;
    if (check_arguments(&in, &data) < 0) return NULL;
    if (in.children == NULL && in.partials == NULL) {
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

/* ---- the type ---- */

static PyGetSetDef attributes[] = {
    {"data", get_data, set_data, PyDoc_STR("The node's value, a float."), NULL},
    {"grad", get_grad, set_grad, PyDoc_STR("The derivative accumulated so far, a float."), NULL},
    {"label", get_label, set_label, PyDoc_STR("A name of your own for this node."), NULL},
    {"_op", get_op, set_op, PyDoc_STR("The operator that made this node; '' for a leaf."), NULL},
    {"_prev", get_prev, NULL, PyDoc_STR("The distinct operands, an ordered set."), NULL},
    {"_children", get_children, NULL, PyDoc_STR("The operands in order, repeats included."), NULL},
    {"_local_grads", get_partials, NULL,
     PyDoc_STR("The partial derivatives with respect to _children."), NULL},
    {"_backward", get_backward, set_backward,
     PyDoc_STR("Call it to push this node's gradient into its operands; assign a closure to\n"
               "compute that yourself."),
     NULL},
    {"__dict__", get_dict, set_dict, NULL, NULL},
    {NULL},
};

static PyMemberDef offsets[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(value_object, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(value_object, weakrefs), READONLY, NULL},
    {NULL},
};

PyType_Slot value_object_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Value(data, children=(), op='', label='')\n--\n\n"
                                  "A float that remembers what it was computed from.")},
    {Py_tp_new, new_value},
    {Py_tp_init, init_value},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_setattro, set_attribute},
    {Py_tp_getset, attributes},
    {Py_tp_members, offsets},
    {0, NULL},
};
