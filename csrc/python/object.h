/* object.h: the accelerator's proxy object. Internal to csrc/python/, the only place where Python.h
 * is known.
 *
 * A Value owns one reference to its node; the node points back at it without owning it, so that
 * the same node always shows as the same object. Proxies come and go with every temporary of an
 * expression, hence the free list, and hence they are not tracked by the garbage collector until
 * they have attributes of their own. The interpreter's lock protects everything here, the arena
 * included. */
#ifndef MG_PYTHON_VALUE_H
#define MG_PYTHON_VALUE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "compiler.h"
#include "graph/backward.h"
#include "graph/keep.h"
#include "graph/look.h"
#include "graph/memory.h"
#include "graph/record.h"
#include "graph/release.h"
#include "program/trace.h"

typedef struct value_object {
    PyObject_HEAD mg_node *node;
    union {
        PyObject *label;           /* a str that is not one of mg_module.labels */
        struct value_object *next; /* on the free list */
    };
    PyObject *dict; /* NULL until an attribute is set; then the object is tracked */
    PyObject *weakrefs;
} value_object;

#define MG_LABELS 65536
#define MG_LABEL_LENGTH 64 /* of those; they are kept for ever, at most 20 MiB of them */

/* The one instance of the module: its arena, its type, and what it needs to know of Python. */
typedef struct {
    mg_arena *arena;
    PyTypeObject *type;
    value_object *free_list;
    size_t free_count;
    size_t cyclic_held;  /* nodes that are cyclic and held */
    size_t expose_above; /* so many: it is time to look for cycles through them */
    size_t recordings;   /* threads that record a program to be compiled */
    size_t no_grad;      /* threads that record nothing now, each as often as it asked */
    PyObject *module;    /* this module, as Python sees it */
    PyObject *slow_call; /* what type.__call__ does with the type */
    PyObject *methods;   /* the class ValueMethods */
    PyObject *as_real;   /* functions of micrograd_c/_value_methods.py and _construct.py */
    PyObject *real;
    PyObject *make_error;
    PyObject *construct;
    PyObject *result_by_call;
    PyObject *labels[MG_LABELS]; /* by a node's tag; the first is '' */
    PyObject *label_tags;        /* the other way round */
    int label_count;
    PyObject *empty_string;
    PyObject *data_key; /* 'data', 'grad'; and what the type has by these names at first */
    PyObject *grad_key;
    PyObject *data_descriptor;
    PyObject *grad_descriptor;
    unsigned int own_version; /* of the type, when it last was seen to have them still */
    PyObject *label_key;
    PyObject *op_key; /* '_op', '_backward', '_local_grads': keys in an instance's dict */
    PyObject *backward_key;
    PyObject *partials_key;
    PyObject *network_keys[2]; /* '__call__', 'parameters': methods of Layer and Neuron */
    PyObject *symbols[MG_OP_COUNT];
} value_module;

extern value_module mg_module;

#define MG_FREE_LIST_LENGTH 4096

/* ---- object.c ---- */

extern PyType_Slot value_object_slots[];
/* Memory for one more proxy, with a reference count of one, no dict and no weak references. */
value_object *value_allocate(void);
/* Have a proxy on the free list: -1: no memory. May run the garbage collector. */
int value_prepare(void);
/* Let go of the proxies that were held for parents that have died. */
void value_drain_orphans(void);
/* From now on the node holds the proxy while it has parents. */
int value_keep(value_object *self);
PyObject *value_get_dict(PyObject *object, void *closure);
int value_set_dict(PyObject *object, PyObject *value, void *closure);
/* An entry of the instance's dict; NULL without an error: there is none. Keys may compare in
 * foreign code. */
PyObject *value_own_entry(PyObject *object, PyObject *key);
/* Deleting what is not there is no error. */
int value_delete_own_entry(PyObject *self, PyObject *key);
int value_set_own_entry(PyObject *object, PyObject *key, PyObject *value);
/* Whether it is a Value, or all of a tuple are Values; false: with an error set. */
bool value_require(PyObject *object);
bool value_are_values(PyObject *tuple);
/* The proxy refers to objects that may refer back to it: let the garbage collector see it. */
void value_track(value_object *self);

/* Keep a node alive while foreign code runs, as a parent would. */
static inline void value_pin(mg_node *node) {
    node->refs++;
}

static inline void value_unpin(mg_node *node) {
    mg_give_back(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

/* ---- cycles.c ---- */

/* The proxy's state may refer back to Values above it; it is kept already. */
void value_set_cyclic(value_object *self);
/* Take out what a node's proxy was bound to, a reference for the caller, or NULL. */
PyObject *value_take_bound(mg_node *node);
/* Operands with state are held as they were before they were bound. */
void value_hold_operands(mg_node *node);
/* The proxy leaves this node, which it owned a reference of, for another. */
void value_leave(value_object *self, mg_node *node);
/* The callback of Python's gc module. */
PyObject *value_before_collection(PyObject *module, PyObject *args);

/* ---- attributes.c ---- */

extern PyGetSetDef value_attributes_table[];
/* The number of a label, less than most, a new one if need be; 0: it has none; -1: an error. */
int value_label_tag(PyObject *label, int most);
int value_set_label(PyObject *object, PyObject *value, void *closure);
PyObject *value_get_op(PyObject *self, void *closure);
/* The constant exponent, as the int or float it was written as, or None. */
PyObject *value_get_exponent(const mg_node *node);
/* The object that shows node: the one there is, or a new one. */
PyObject *value_of_node(mg_node *node);
/* The operands, a tuple. */
PyObject *value_get_children(PyObject *self, void *closure);

/* ---- backward.c ---- */

PyObject *value_get_backward(PyObject *self, void *closure);
int value_set_backward(PyObject *self, PyObject *value, void *closure);
PyObject *value_backward(PyObject *self, PyObject *ignored);

/* ---- construct.c ---- */

PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *names);
int value_init(PyObject *self, PyObject *args, PyObject *names);
PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);
/* The nodes of a tuple of Values; NULL: with an error set. To be freed with PyMem_Free. */
mg_node **value_take_operands(PyObject *children);
/* A node with these operands, and as many local gradients or none. NULL: with an error set. */
mg_node *value_make_node(double data, PyObject *children, PyObject *partials);
/* An object of the subclass made without calling it. The node is freed if that fails. */
PyObject *value_wrap_bare(PyTypeObject *type, mg_node *node);
/* What an operation on instances of a subclass gives: an object of that class, unless its
 * constructor takes other arguments than (data, children, op). */
PyObject *value_wrap_as(PyTypeObject *type, mg_node *node);
/* Functions of the module. */
PyObject *value_make(PyObject *module, PyObject *args);
PyObject *value_renew(PyObject *module, PyObject *args);
PyObject *value_replace(PyObject *module, PyObject *args);

/* ---- no_grad.c ---- */

/* The type GradOff, the base of no_grad; a reference for the caller. */
PyObject *value_make_grad_off_type(void);
/* Whether this thread records nothing: results are leaves. */
bool value_grad_is_off(void);
/* That this thread records nothing, to be put back later; it records from now on. Or NULL. */
typedef struct value_grad_off value_grad_off;
value_grad_off *value_take_grad_off(void);
void value_put_grad_off(value_grad_off *taken);

/* ---- copying.c: functions of the module ---- */

PyObject *value_graph(PyObject *module, PyObject *root);
PyObject *value_recorded(PyObject *module, PyObject *value);
PyObject *value_attributes(PyObject *module, PyObject *value);
PyObject *value_set_attributes(PyObject *module, PyObject *args);
PyObject *value_restore(PyObject *module, PyObject *args);

/* ---- recording.c ---- */

/* This thread's recorder, or NULL. */
PyObject *value_recorder(void);
/* For mg_arena_set_poll: whether Ctrl-C waits to be handled. */
int value_interrupted(void);
/* What the recorder's method returns for this Value. */
PyObject *value_ask(const char *method, PyObject *self);
/* -1 with an error set if this thread records a program, which cannot contain this. */
int value_refuse_recording(const char *what);
/* Functions of the module. */
PyObject *value_record(PyObject *module, PyObject *args);
PyObject *value_after_fork(PyObject *module, PyObject *ignored);
PyObject *value_rule(PyObject *module, PyObject *args);
PyObject *value_number_of(PyObject *module, PyObject *value);
PyObject *value_is_fresh(PyObject *module, PyObject *args);
PyObject *value_serial(PyObject *module, PyObject *value);
PyObject *value_trace(PyObject *module, PyObject *args);
PyObject *value_get_numbers(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_add_grads(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_get_recorder(PyObject *module, PyObject *ignored);

/* ---- expressions.c: functions of the module ---- */

PyObject *value_dot(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_linear(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_total(PyObject *module, PyObject *values);
PyObject *value_mean(PyObject *module, PyObject *values);
PyObject *value_softmax(PyObject *module, PyObject *logits);
PyObject *value_log_softmax(PyObject *module, PyObject *logits);
PyObject *value_logsumexp(PyObject *module, PyObject *logits);
PyObject *value_logistic(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_cross_entropy(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_mse(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_hinge(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* ---- network.c: functions of the module ---- */

PyObject *value_describe_network(PyObject *module, PyObject *args);
PyObject *value_layer(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_network(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *value_parameters(PyObject *module, PyObject *layers);

/* ---- optimizers.c: functions of the module ---- */

PyObject *value_sgd(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_adam(PyObject *module, PyObject *args);
PyObject *value_zero_grad(PyObject *module, PyObject *params);

/* ---- operators.c ---- */

extern PyMethodDef value_functions[]; /* maximum, minimum: of the module */
extern PyType_Slot value_operator_slots[];
/* A real number's value: 1; not a real number: 0; an error, such as an int too large: -1. */
int value_number(PyObject *object, double *number);
/* Raise what a status means; node is the one whose partials could not be computed. */
void value_raise_partial(mg_status status, const mg_node *node);

/* ---- compare.c ---- */

PyObject *value_compare(PyObject *left, PyObject *right, int how);
Py_hash_t value_hash(PyObject *self);
int value_is_true(PyObject *self);

/* ---- the short paths ---- */

static inline bool value_is_exact(PyObject *object) {
    return Py_TYPE(object) == mg_module.type;
}

static inline bool value_check(PyObject *object) {
    return value_is_exact(object) || PyType_IsSubtype(Py_TYPE(object), mg_module.type);
}

/* The version of what a class and its bases define, another one after each change; 0: unknown.
 * Before Python 3.13 a flag tells whether it is known, which is not used any more. */
static inline unsigned int value_type_version(const PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
}

/* A list or tuple whose places are empty: until all are filled the garbage collector shows it to
 * nobody. */
static inline PyObject *value_hide(PyObject *sequence) {
    if (sequence != NULL) PyObject_GC_UnTrack(sequence);
    return sequence;
}

static inline PyObject *value_unhide(PyObject *sequence) {
    if (sequence != NULL) PyObject_GC_Track(sequence);
    return sequence;
}

static inline mg_node *value_node(PyObject *object) {
    return ((value_object *)object)->node;
}

/* The proxy that shows a node; NULL: none, or one that is being deallocated. */
static inline PyObject *value_living(const mg_node *node) {
    PyObject *owner = mg_owner(node);
    return owner != NULL && Py_REFCNT(owner) != 0 ? owner : NULL;
}

/* If the node's proxy has state, the node now holds it: node has just become an operand. */
static inline void value_hold(mg_node *node) {
    if (!mg_hold(node)) return;
    Py_INCREF((PyObject *)mg_owner(node));
    if (node->flags & MG_CYCLIC) mg_module.cyclic_held++;
}

/* Free a node that nobody has a reference to; its operands may have been held for it. */
static inline void value_discard(mg_node *node) {
    mg_free_node(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

static inline bool value_is_recording(void) {
    return mg_module.recordings != 0 && value_recorder() != NULL;
}

static inline int value_refuse(const char *what) {
    return MG_LIKELY(mg_module.recordings == 0) ? 0 : value_refuse_recording(what);
}

/* What a thread that records nothing gets in place of a new node: a leaf of the same value; in a
 * program, a node that has the value alone. */
static inline mg_node *value_as_leaf(mg_node *node) {
    if (value_is_recording()) {
        mg_node *detached = mg_new_rule(mg_module.arena, MG_RULE_DETACH, node->data, &node, 1);
        if (detached == NULL) value_discard(node);
        return detached;
    }
    mg_node *leaf = mg_new_leaf(mg_module.arena, node->data);
    value_discard(node);
    return leaf;
}

/* A proxy without state for a node that has none. Takes care of the node if it fails. */
MG_INLINE PyObject *value_wrap(mg_node *node) {
    value_object *self = mg_module.free_list;
    if (MG_LIKELY(self != NULL)) {
        mg_module.free_list = self->next;
        mg_module.free_count--;
#ifdef Py_DEBUG
        _Py_NewReference((PyObject *)self);
#else
        Py_SET_REFCNT((PyObject *)self, 1);
#endif
    } else {
        self = value_allocate();
        if (self == NULL) {
            if (node->refs == 0) value_discard(node);
            return NULL;
        }
    }
    self->node = node;
    self->label = NULL;
    node->refs++;
    mg_set_owner(node, self);
    return (PyObject *)self;
}

#endif
