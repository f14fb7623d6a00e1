/* proxy.c: the proxy object as the other files of csrc/python/ use it: its memory, its state, the
 * proxy of a node; and what a thread records. It calls none of the other files. */
#include "python/proxy.h"

#include "graph/look.h"

value_module mg_module;

/* ---- memory ---- */

value_object *value_allocate(void) {
    value_object *self = PyObject_GC_New(value_object, mg_module.type);
    if (self == NULL) return NULL;
    self->dict = NULL;
    self->weakrefs = NULL;
    return self;
}

int value_prepare(void) {
    if (mg_module.free_list != NULL) return 0;
    value_object *fresh = value_allocate();
    if (fresh == NULL) return -1;
    fresh->next = mg_module.free_list;
    mg_module.free_list = fresh;
    mg_module.free_count++;
    return 0;
}

PyObject *value_of_node(mg_node *node) {
    if (value_living(node) == NULL && value_prepare() < 0) return NULL;
    PyObject *proxy = value_living(node); /* again, for a collection may have run */
    if (proxy != NULL) return Py_NewRef(proxy);
    PyTypeObject *type = mg_module.classes[node->tag];
    return type == mg_module.type ? value_wrap(node) : value_wrap_tagged(node, type, node->tag);
}

static bool can_have_tag(const PyTypeObject *type) {
    const PyTypeObject *base = mg_module.type;
    return type->tp_basicsize == base->tp_basicsize && type->tp_itemsize == base->tp_itemsize &&
           type->tp_dictoffset == base->tp_dictoffset &&
           type->tp_weaklistoffset == base->tp_weaklistoffset && type->tp_finalize == NULL;
}

/* Called when a tagged class dies; self is the tag. */
static PyObject *forget_class(PyObject *self, PyObject *Py_UNUSED(reference)) {
    const long tag = PyLong_AsLong(self);
    if (mg_module.tagged == mg_module.classes[tag]) mg_module.tagged = NULL;
    mg_module.classes[tag] = mg_module.type;
    Py_RETURN_NONE;
}

static PyMethodDef forget_method = {"forget_class", forget_class, METH_O, NULL};

/* Have forget_class called when the class dies. false: no memory, and no error is set. */
static bool watch_class(PyTypeObject *type, int tag) {
    PyObject *number = PyLong_FromLong(tag);
    PyObject *callback = number != NULL ? PyCFunction_New(&forget_method, number) : NULL;
    PyObject *reference = callback != NULL ? PyWeakref_NewRef((PyObject *)type, callback) : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(number);
    if (reference == NULL) PyErr_Clear();
    return reference != NULL; /* which lives as long as the process */
}

uint8_t value_class_tag(PyTypeObject *type) {
    int tag = 0;
    if (type == mg_module.type || !can_have_tag(type)) return 0;
    for (int i = 1; i < MG_WIDE_TAG && tag == 0; i++)
        if (mg_module.classes[i] == type) tag = i;
    if (tag == 0) {
        if (mg_module.class_count == MG_CLASSES || mg_module.label_count >= MG_WIDE_TAG) return 0;
        tag = mg_module.label_count;
        if (!watch_class(type, tag)) return 0;
        mg_module.classes[tag] = type;
        mg_module.class_count++;
        mg_module.labels[mg_module.label_count++] = mg_module.empty_string;
        type->tp_dealloc = mg_module.type->tp_dealloc; /* there are no slots to clear before */
    }
    mg_module.tagged = type;
    return mg_module.tagged_tag = (uint8_t)tag;
}

/* ---- state ---- */

/* Letting go of a proxy runs foreign code, and that code may make more orphans. These are left to
 * the loop up the stack, so there is no recursion. Each thread has a loop of its own: a thread
 * neither waits for the foreign code of another thread nor relies on that thread, which a forked
 * child does not have. */
MG_COLD void value_drain_orphans(void) {
    static MG_THREAD_LOCAL bool draining;
    mg_node *node;
    if (draining) return;
    draining = true;
    while ((node = mg_next_orphan(mg_module.arena)) != NULL) {
        if (node->flags & MG_CYCLIC) mg_module.cyclic_held--;
        Py_DECREF((PyObject *)mg_owner(node));
    }
    draining = false;
}

int value_keep(value_object *self) {
    if (mg_keep(mg_module.arena, self->node) != MG_OK) {
        PyErr_NoMemory();
        return -1;
    }
    value_hold(self->node);
    return 0;
}

void value_track(value_object *self) {
    if (!PyObject_GC_IsTracked((PyObject *)self)) PyObject_GC_Track(self);
}

void value_set_cyclic(value_object *self) {
    mg_node *node = self->node;
    if (node->flags & MG_CYCLIC) return;
    node->flags |= MG_CYCLIC;
    if (node->flags & MG_HELD) mg_module.cyclic_held++;
    value_track(self);
}

PyObject *value_take_bound(mg_node *node) {
    if ((node->flags & MG_EXTRA) == 0) return NULL;
    PyObject *bound = mg_extra_of(node)->bound;
    mg_extra_of(node)->bound = NULL;
    return bound;
}

void value_hold_operands(mg_node *node) {
    for (size_t i = 0; i < mg_arity_of(node); i++) value_hold(mg_operand_of(node, i));
}

/* ---- the instance's dict ---- */

/* Say that the instance has a dict, which was just made. -1: MemoryError, and the dict is gone. */
int value_keep_dict(value_object *self) {
    if (value_keep(self) < 0) {
        Py_CLEAR(self->dict);
        return -1;
    }
    value_track(self);
    return 0;
}

PyObject *value_get_dict(PyObject *object, void *Py_UNUSED(closure)) {
    value_object *self = (value_object *)object;
    if (self->dict == NULL) {
        if ((self->dict = PyDict_New()) == NULL || value_keep_dict(self) < 0) return NULL;
    }
    return Py_NewRef(self->dict);
}

PyObject *value_own_entry(PyObject *object, PyObject *key) {
    PyObject *dict = Py_XNewRef(((value_object *)object)->dict);
    PyObject *entry = dict == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(dict, key));
    Py_XDECREF(dict);
    return entry;
}

int value_delete_own_entry(PyObject *self, PyObject *key) {
    PyObject *dict = Py_XNewRef(((value_object *)self)->dict);
    int result = dict == NULL ? 0 : PyDict_Contains(dict, key);
    if (result > 0) result = PyDict_DelItem(dict, key);
    Py_XDECREF(dict);
    return result;
}

int value_set_own_entry(PyObject *object, PyObject *key, PyObject *value) {
    PyObject *dict = value_get_dict(object, NULL);
    if (dict == NULL) return -1;
    int result = PyDict_SetItem(dict, key, value);
    Py_DECREF(dict);
    return result;
}

/* ---- arguments ---- */

int value_number(PyObject *object, double *number) {
    if (PyLong_Check(object)) {
        *number = PyLong_AsDouble(object);
        return *number == -1.0 && PyErr_Occurred() ? -1 : 1;
    }
    if (PyFloat_Check(object)) {
        *number = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    if (value_check(object)) return 0;
    PyObject *real = PyObject_CallOneArg(mg_module.as_real, object);
    if (real == NULL) return -1;
    int found = PyFloat_Check(real);
    if (found) *number = PyFloat_AS_DOUBLE(real);
    Py_DECREF(real);
    return found;
}

bool value_require(PyObject *object) {
    if (value_check(object)) return true;
    PyErr_Format(PyExc_TypeError, "a Value is required, not '%.200s'", Py_TYPE(object)->tp_name);
    return false;
}

bool value_are_values(PyObject *tuple) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        if (!value_is_exact(item) && !value_require(item)) return false;
    }
    return true;
}

/* ---- what this thread records ---- */

static MG_THREAD_LOCAL PyObject *recorder; /* a reference; NULL: nothing is recorded */

PyObject *value_recorder(void) {
    return recorder;
}

void value_set_recorder(PyObject *object) {
    Py_XSETREF(recorder, Py_XNewRef(object));
}

PyObject *value_ask(const char *method, PyObject *self) {
    return PyObject_CallMethod(recorder, method, "O", self);
}

int value_refuse_recording(const char *what) {
    if (!value_is_recording()) return 0;
    PyObject *result = PyObject_CallMethod(recorder, "refuse", "s", what);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}
