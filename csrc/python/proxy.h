/* proxy.h: the accelerator's proxy object, the state of the module, and what all files of
 * csrc/python/ use. Python.h is known in csrc/python/ alone.
 *
 * A Value owns one reference to its node. The node points back at the Value without owning a
 * reference, so the same node always shows as the same object. A proxy comes and goes with every
 * temporary of an expression. So dead proxies are kept on a free list, and the garbage collector
 * does not track a proxy before the proxy has attributes of its own. The interpreter's lock
 * protects everything here, the arena included.
 *
 * In all headers here, unless a comment says otherwise: a PyObject * that a function returns is a
 * new reference, and NULL means that an error is set; an int is 0, or -1 with an error set;
 * arguments are borrowed. A "function of the module" is what Python calls, with the signature of
 * micrograd_c/_value_type.pyi. "Foreign code" is as in docs/architecture.md, Holding a node. An
 * allocation by Python may run the garbage collector, and so may run foreign code. */
#ifndef MG_PROXY_H
#define MG_PROXY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "compiler.h"
#include "graph/keep.h"
#include "graph/release.h"

typedef struct value_object {
    PyObject_HEAD mg_node *node;
    union {
        PyObject *label;           /* a str that is not one of mg_module.labels; else NULL */
        struct value_object *next; /* the next proxy on the free list */
    };
    PyObject *dict; /* NULL until an attribute is set; then the object is tracked */
    PyObject *weakrefs;
} value_object;

/* A tagged class is a subclass of Value without slots or a finalizer of its own. Its
 * objects have no state to begin with, and a tag of their nodes says of which class they are. The
 * first such classes of a process get a tag. When a class dies its nodes come back as Values. */
#define MG_CLASSES 64
#define MG_LABELS 65536
#define MG_LABEL_LENGTH 64 /* of a label in mg_module.labels; at most 20 MiB, kept for ever */

/* The one instance of the module: its arena, its type, and what C needs to know of Python. */
typedef struct {
    mg_arena *arena;
    PyTypeObject *type;
    value_object *free_list;
    size_t free_count;
    size_t cyclic_held;  /* number of nodes that are cyclic and held */
    size_t expose_above; /* with more of them a collection of generation 1 exposes cycles, too */
    size_t recordings;   /* number of threads that record a program to be compiled */
    size_t blocks;       /* number of no_grad and detect_anomaly blocks that threads are in */
    uint64_t moves;      /* number of times that a proxy was given another node: see nodes.c */
    PyObject *module;    /* this module, as Python sees it */
    PyObject *slow_call; /* what type.__call__ does with the type */
    PyObject *methods;   /* the class ValueMethods */
    PyObject *as_real;   /* functions of micrograd_c/_value_methods.py and _construct.py */
    PyObject *real;
    PyObject *make_error;
    PyObject *add, *multiply, *negative, *subtract, *divide, *number_power;
    PyObject *construct;
    PyObject *result_by_call;
    PyObject *makes_results;
    PyObject *labels[MG_LABELS]; /* by a node's tag; the first is '', and so is a class's */
    PyObject *label_tags;        /* a dict: the tag of each of these labels */
    int label_count;
    PyTypeObject *classes[MG_WIDE_TAG + 1]; /* by a narrow tag: Value, or a tagged class */
    PyTypeObject *tagged; /* the tagged class that was used last; NULL: none yet */
    uint8_t tagged_tag;   /* its tag */
    int class_count;      /* of tagged classes */
    PyObject *empty_string;
    PyObject *data_key; /* 'data', 'grad'; and the type's descriptors for them at first */
    PyObject *grad_key;
    PyObject *data_descriptor;
    PyObject *grad_descriptor;
    unsigned int own_version; /* the type's version when it last was seen to have both still */
    PyObject *label_key;
    PyObject *op_key; /* '_op', '_backward', '_local_grads': keys in an instance's dict */
    PyObject *backward_key;
    PyObject *partials_key;
    PyObject *network_keys[2]; /* '__call__', 'parameters': methods of Layer and Neuron */
    PyObject *symbols[MG_OP_COUNT];
} value_module;

extern value_module mg_module;

#define MG_FREE_LIST_LENGTH 4096

/* Return memory for a proxy: its reference count is one, it has no dict and no weak references, its
 * node and label are not set. NULL: MemoryError. May run the garbage collector. */
value_object *value_allocate(void);
/* Make sure that a proxy is on the free list, so that the next value_wrap neither fails nor runs
 * the garbage collector. -1: MemoryError. May run the garbage collector itself. */
int value_prepare(void);
/* Let go of the proxies whose nodes have become orphans. Runs foreign code, where a proxy dies of
 * it; never fails. Does nothing within a value_drain_orphans of the same thread. */
void value_drain_orphans(void);
/* Say that the proxy has state: from now on its node holds it while the node has parents. -1:
 * MemoryError. Runs no foreign code. */
int value_keep(value_object *self);
/* Return the instance's dict, made if there is none; it does not say that the state is cyclic,
 * which is up to the caller. May run foreign code. */
PyObject *value_get_dict(PyObject *object, void *closure);
/* Say that the instance has a dict, which was just made. -1: MemoryError, and the dict is gone. */
int value_keep_dict(value_object *self);
/* Return an entry of the instance's dict. NULL without an error: there is none. Foreign code may
 * run in all three functions, for keys of the dict may compare in foreign code, and an old entry
 * may die. To delete an entry that is not there is no error. */
PyObject *value_own_entry(PyObject *object, PyObject *key);
int value_delete_own_entry(PyObject *self, PyObject *key);
int value_set_own_entry(PyObject *object, PyObject *key, PyObject *value);
/* Whether the object is a Value, or all items of the tuple are. false: TypeError is set. */
bool value_require(PyObject *object);
bool value_are_values(PyObject *tuple);
/* Let the garbage collector see the proxy, for the proxy refers to objects that may refer back to
 * it. */
void value_track(value_object *self);
/* Say that the proxy's state may refer back to Values above it. The proxy is kept already
 * (value_keep). Runs no foreign code. */
void value_set_cyclic(value_object *self);
/* Take out of a node the tuple that its proxy was bound to. The caller gets the reference. NULL:
 * the proxy was not bound; no error is set. */
PyObject *value_take_bound(mg_node *node);
/* Hold the proxies with state of a node's operands, as before the node's proxy was bound. */
void value_hold_operands(mg_node *node);
/* Return the tag of a class of Values: 0 for Value and for a class without a tag. */
uint8_t value_class_tag(PyTypeObject *type);
/* Return the proxy of a node, a new one if there is none. The caller keeps the node alive: foreign
 * code may run. NULL: MemoryError. */
PyObject *value_of_node(mg_node *node);
/* Write a real number's value to *number. 1: done; 0: the object is no real number (a Value is
 * none); -1: an error is set, OverflowError for an int too large. Foreign code may run, unless the
 * object is an int, a float or a Value. */
int value_number(PyObject *object, double *number);

/* Return this thread's recorder, borrowed. NULL: this thread records no program; no error is set.
 */
PyObject *value_recorder(void);
/* Let this thread have this recorder; NULL: none. */
void value_set_recorder(PyObject *recorder);
/* Return what recorder.method(self) returns. This thread has a recorder. The recorder's method runs
 * in Python, and may run foreign code. */
PyObject *value_ask(const char *method, PyObject *self);
/* -1 with an error set if this thread records a program whose recorder refuses `what`; else 0. */
int value_refuse_recording(const char *what);

/* Keep a node alive while foreign code runs, as a parent would. */
static inline void value_pin(mg_node *node) {
    node->refs++;
}

/* Undo value_pin. May free the node, and may run foreign code. */
static inline void value_unpin(mg_node *node) {
    mg_give_back(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

/* ---- the short paths ---- */

/* Whether the object's class is Value itself. */
static inline bool value_is_exact(PyObject *object) {
    return Py_TYPE(object) == mg_module.type;
}

/* Whether the object's class is Value or a subclass. */
static inline bool value_check(PyObject *object) {
    return value_is_exact(object) || PyType_IsSubtype(Py_TYPE(object), mg_module.type);
}

/* The version of a class: a number that changes whenever the class or one of its bases does. 0: the
 * version is unknown. Before Python 3.13 a flag tells whether the version is known; since then the
 * flag is not used. */
static inline unsigned int value_type_version(const PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
}

/* Hide a list or tuple whose places are empty, or NULL, and return it: until value_unhide the
 * garbage collector shows it to nobody. */
static inline PyObject *value_hide(PyObject *sequence) {
    if (sequence != NULL) PyObject_GC_UnTrack(sequence);
    return sequence;
}

/* Undo value_hide, when all places are filled. The sequence may be NULL. */
static inline PyObject *value_unhide(PyObject *sequence) {
    if (sequence != NULL) PyObject_GC_Track(sequence);
    return sequence;
}

static inline mg_node *value_node(PyObject *object) {
    return ((value_object *)object)->node;
}

/* Whether a proxy that is lost would come back from its node as an object of the same class. */
static inline bool value_has_class_of_tag(PyObject *object) {
    return mg_module.classes[value_node(object)->tag] == Py_TYPE(object);
}

/* The proxy that shows a node, borrowed. NULL: there is none, or it is being deallocated; no error
 * is set. */
static inline PyObject *value_living(const mg_node *node) {
    PyObject *owner = mg_owner(node);
    return owner != NULL && Py_REFCNT(owner) != 0 ? owner : NULL;
}

/* Let a node that has just become an operand hold its proxy, if the proxy has state. */
static inline void value_hold(mg_node *node) {
    if (!mg_hold(node)) return;
    Py_INCREF((PyObject *)mg_owner(node));
    if (node->flags & MG_CYCLIC) mg_module.cyclic_held++;
}

/* Free a node that nobody has a reference to. Its operands may have been held for it, so foreign
 * code may run. */
static inline void value_discard(mg_node *node) {
    mg_free_node(mg_module.arena, node);
    if (mg_module.arena->orphans != NULL) value_drain_orphans();
}

/* Whether this thread records a program. */
static inline bool value_is_recording(void) {
    return mg_module.recordings != 0 && value_recorder() != NULL;
}

/* value_refuse_recording, without a call where no thread records. */
static inline int value_refuse(const char *what) {
    return MG_LIKELY(mg_module.recordings == 0) ? 0 : value_refuse_recording(what);
}

/* Return a new proxy, without state, for a node without a proxy. NULL: MemoryError, and the node is
 * freed if it has no reference. Runs the garbage collector only where the free list is empty. */
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

/* value_wrap for a new node and an object of a tagged class. */
MG_INLINE PyObject *value_wrap_tagged(mg_node *node, PyTypeObject *type, uint8_t tag) {
    PyObject *self = value_wrap(node);
    if (self == NULL) return NULL;
    Py_INCREF((PyObject *)type);
    Py_SET_TYPE(self, type);
    Py_DECREF((PyObject *)mg_module.type);
    PyObject_GC_Track(self); /* the class may refer to the object, and has to die with it */
    node->tag = tag;
    return self;
}

#endif
