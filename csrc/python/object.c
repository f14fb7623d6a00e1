/* object.c: how a proxy is made, gets state and dies; its attributes. */

#include "python/object.h"

#include <structmember.h>

/* ---- memory ---- */

MG_COLD static void give_memory_back(value_object *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_Del(self);
    Py_DECREF((PyObject *)type);
}

/* Put a dead proxy of the exact type, untracked and without state, on the free list. The proxy
 * keeps its reference to the type. */
MG_INLINE void recycle(value_object *self) {
    if (MG_LIKELY(mg_module.free_count != MG_FREE_LIST_LENGTH)) {
        self->next = mg_module.free_list;
        mg_module.free_list = self;
        mg_module.free_count++;
    } else {
        give_memory_back(self);
    }
}

/* Give up the proxy's reference to its node. Nodes that die of this may have held other proxies,
 * whose death may free more nodes: one loop, at the outermost call, lets go of all these proxies.
 */
MG_INLINE void drop_node(value_object *self) {
    mg_node *node = self->node;
    mg_set_owner(node, NULL);
    mg_drop(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

/* Deallocate a proxy that may have state. The finalizer runs first. Then the node loses its proxy,
 * before other foreign code runs (callbacks of weak references, say): such code gets another proxy
 * if it asks for the node's. */
MG_COLD static void dealloc_with_state(value_object *self) {
    bool has_finalizer = Py_TYPE((PyObject *)self)->tp_finalize != NULL;
    if (has_finalizer && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) return;
    PyTypeObject *type =
        Py_TYPE((PyObject *)self); /* only now: the finalizer may change type and node */
    mg_node *node = self->node;
    PyObject *bound = NULL;
    PyObject_GC_UnTrack(self);
    if (mg_owner(node) == self) {
        bound = value_take_bound(node);
        if (bound != NULL && node->refs > 1) value_hold_operands(node); /* the node lives on */
        mg_unkeep(mg_module.arena, node);
        mg_set_owner(node, NULL);
    }
    if (self->weakrefs != NULL) PyObject_ClearWeakRefs((PyObject *)self);
    Py_CLEAR(self->label);
    Py_CLEAR(self->dict);
    mg_drop(mg_module.arena, node);
    Py_XDECREF(bound);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
    if (type == mg_module.type && !has_finalizer && type->tp_finalize == NULL) {
        recycle(self);
    } else if (type == mg_module.type) { /* the collector remembers that a finalizer has run */
        give_memory_back(self);
    } else {
        type->tp_free(self);
        Py_DECREF((PyObject *)type);
    }
}

static void dealloc(PyObject *object) {
    value_object *self = (value_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (MG_LIKELY(type == mg_module.type && (self->node->flags & MG_KEEP) == 0 &&
                  self->weakrefs == NULL && type->tp_finalize == NULL)) {
        drop_node(self);
        recycle(self);
        return;
    }
    if ((self->node->flags & MG_KEEP) == 0 && self->weakrefs == NULL && type->tp_finalize == NULL &&
        value_has_class_of_tag(object)) {
        PyObject_GC_UnTrack(self);
        drop_node(self);
        Py_SET_TYPE(object, (PyTypeObject *)Py_NewRef((PyObject *)mg_module.type));
        recycle(self);
        Py_DECREF((PyObject *)type);
        return;
    }
    dealloc_with_state(self);
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    value_object *self = (value_object *)object;
    Py_VISIT(self->dict);
    if (self->node != NULL && self->node->flags & MG_EXTRA)
        Py_VISIT((PyObject *)mg_extra_of(self->node)->bound);
    Py_VISIT((PyObject *)Py_TYPE(object));
    return 0;
}

/* The dict itself stays: a proxy with a dict is one with state, even if the dict is empty. */
static int clear(PyObject *object) {
    value_object *self = (value_object *)object;
    if (self->dict != NULL) PyDict_Clear(self->dict);
    if (self->node != NULL) Py_XDECREF(value_take_bound(self->node));
    return 0;
}

/* ---- state ---- */

/* Note the type's version if data and grad are still its own descriptors: a program can change the
 * type. */
static void note_version(PyTypeObject *type) {
    const unsigned int version = value_type_version(type);
    if (version != mg_module.own_version &&
        PyDict_GetItem(type->tp_dict, mg_module.data_key) == mg_module.data_descriptor &&
        PyDict_GetItem(type->tp_dict, mg_module.grad_key) == mg_module.grad_descriptor)
        mg_module.own_version = version;
}

/* Set an attribute the long way. */
MG_NEVER_INLINE static int set_any(PyObject *object, PyObject *name, PyObject *value) {
    value_object *self = (value_object *)object;
    const PyTypeObject *type = Py_TYPE(object);
    bool had_dict = self->dict != NULL;
    note_version(mg_module.type);
    int result = PyObject_GenericSetAttr(object, name, value);
    if (!had_dict && self->dict != NULL && value_keep_dict(self) < 0) return -1;
    if (Py_TYPE(object) != type && value_keep(self) < 0) return -1; /* __class__ was set */
    if (value != NULL && PyObject_IS_GC(value) && self->node->flags & MG_KEEP)
        value_set_cyclic(self);
    return result;
}

/* Return the double that an assignment to data or grad writes to. NULL: the assignment has to go
 * the long way. */
static inline double *number_to_set(PyObject *object, PyObject *name) {
    const unsigned int version = value_type_version(mg_module.type);
    if (!value_is_exact(object) || version == 0 || version != mg_module.own_version) return NULL;
    if (mg_module.recordings != 0) return NULL;
    if (name == mg_module.data_key) return &value_node(object)->data;
    return name == mg_module.grad_key ? &value_node(object)->grad : NULL;
}

MG_NEVER_INLINE static int set_integer(double *place, PyObject *value) {
    double number;
    if (value_number(value, &number) < 0) return -1;
    *place = number;
    return 0;
}

/* Other functions are called at the end alone, so the short way saves no registers. */
static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    const bool is_float = value != NULL && PyFloat_CheckExact(value);
    const bool is_integer = value != NULL && PyLong_CheckExact(value);
    double *place = is_float || is_integer ? number_to_set(object, name) : NULL;
    if (place == NULL) return set_any(object, name, value);
    if (is_integer) return set_integer(place, value);
    *place = PyFloat_AS_DOUBLE(value);
    return 0;
}

int value_set_dict(PyObject *object, PyObject *value, void *closure) {
    value_object *self = (value_object *)object;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "__dict__ must be set to a dictionary");
        return -1;
    }
    PyObject *old = value_get_dict(object, closure);
    if (old == NULL) return -1;
    Py_SETREF(self->dict, Py_NewRef(value));
    Py_DECREF(old);
    return 0;
}

/* ---- the type ---- */

static PyMemberDef offsets[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(value_object, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(value_object, weakrefs), READONLY, NULL},
    {NULL},
};

PyType_Slot value_object_slots[] = {
    /* the parameters alone: micrograd_c/engine.py gives the class its docstring */
    {Py_tp_doc, (void *)PyDoc_STR("Value(data, children=(), op='', label='', **names)\n--\n\n")},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_setattro, set_attribute},
    {Py_tp_members, offsets},
    {0, NULL},
};
