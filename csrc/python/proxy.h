/* proxy.h: the accelerator's proxy object, and what each file of csrc/python/ offers to the
 * others. Python.h is known in csrc/python/ alone.
 *
 * A Value owns one reference to its node. The node points back at the Value without owning a
 * reference, so the same node always shows as the same object. A proxy comes and goes with every
 * temporary of an expression. So dead proxies are kept on a free list, and the garbage collector
 * does not track a proxy before the proxy has attributes of its own. The interpreter's lock
 * protects everything here, the arena included.
 *
 * Unless a comment says otherwise: a PyObject * that a function returns is a new reference, and
 * NULL means that an error is set; an int is 0, or -1 with an error set; arguments are borrowed. A
 * "function of the module" is what Python calls, with the signature of micrograd_c/_value_type.pyi.
 * "Foreign code" is as in docs/architecture.md, Holding a node. An allocation by Python may run the
 * garbage collector, and so may run foreign code. */
#ifndef MG_PROXY_H
#define MG_PROXY_H

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
        PyObject *label;           /* a str that is not one of mg_module.labels; else NULL */
        struct value_object *next; /* the next proxy on the free list */
    };
    PyObject *dict; /* NULL until an attribute is set; then the object is tracked */
    PyObject *weakrefs;
} value_object;

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
    size_t no_grad;      /* number of no_grad blocks that threads are in */
    PyObject *module;    /* this module, as Python sees it */
    PyObject *slow_call; /* what type.__call__ does with the type */
    PyObject *methods;   /* the class ValueMethods */
    PyObject *as_real;   /* functions of micrograd_c/_value_methods.py and _construct.py */
    PyObject *real;
    PyObject *make_error;
    PyObject *construct;
    PyObject *result_by_call;
    PyObject *labels[MG_LABELS]; /* by a node's tag; the first is '' */
    PyObject *label_tags;        /* a dict: the tag of each of these labels */
    int label_count;
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

/* ---- proxy.c: what all other files use ---- */

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

/* ---- errors.c ---- */

/* Set the error that the status of op(x, y) means, or of its derivative; MG_OK and MG_NO_MEMORY:
 * MemoryError. */
void value_raise_error(mg_status status, int op, double x, double y, bool derivative);
/* Set the error of a status other than MG_OK. node is the node whose partials could not
 * be computed; with MG_NO_MEMORY it is not looked at. */
void value_raise_partial(mg_status status, const mg_node *node);

/* ---- object.c ---- */

extern PyType_Slot value_object_slots[];
/* Setter of __dict__, which accepts a dict alone: TypeError. May run foreign code. */
int value_set_dict(PyObject *object, PyObject *value, void *closure);

/* ---- cycles.c ---- */

/* Separate a proxy from this node: give the proxy's reference to the node back, and let the node
 * hold the proxy no more. The node has no tag and no closure afterwards. self->node is another node
 * already, and the caller has a reference to self. Foreign code may run at the end. */
void value_leave(value_object *self, mg_node *node);
/* Function of the module, the callback for Python's gc.callbacks: before a collection, expose the
 * cycles through the arena. Returns None. */
PyObject *value_before_collection(PyObject *module, PyObject *args);

/* ---- attributes.c ---- */

extern PyGetSetDef value_attributes_table[];
/* Return the tag of a label, a number below `most`; a short label that has none gets the next one.
 * 0: the label is '', or has no such tag and gets none. -1: an error is set. */
int value_label_tag(PyObject *label, int most);
/* Setter of label. value NULL: AttributeError, for a label cannot be deleted. May run foreign
 * code. */
int value_set_label(PyObject *object, PyObject *value, void *closure);
/* Getter of _op: a str, or whatever was assigned to _op. */
PyObject *value_get_op(PyObject *self, void *closure);
/* Return the constant exponent as the int or float that it was written as; None: the node is no
 * power with a constant exponent. */
PyObject *value_get_exponent(const mg_node *node);
/* Getter of _children: the operands in order, repeats included, a tuple. May run foreign code. */
PyObject *value_get_children(PyObject *self, void *closure);

/* ---- backward.c ---- */

/* Getter of _backward: the closure that was assigned, or a function that runs the native rule. */
PyObject *value_get_backward(PyObject *self, void *closure);
/* Setter of _backward. value NULL: back to the native rule. TypeError: value cannot be called. May
 * run foreign code, and is refused while a program is recorded. */
int value_set_backward(PyObject *self, PyObject *value, void *closure);
/* The method backward(). Returns None. Runs foreign code: closures, and handlers of signals. After
 * an error gradients of some nodes may have been pushed (mg_backward says of which). */
PyObject *value_backward(PyObject *self, PyObject *ignored);

/* ---- construct.c ---- */

/* The class's tp_new, tp_init and tp_vectorcall: Value(...). All may run foreign code. */
PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *names);
int value_init(PyObject *self, PyObject *args, PyObject *names);
PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);
/* Return the nodes of a tuple of n Values: an array of n, borrowed from the Values. The caller
 * frees the array with PyMem_Free. NULL: TypeError or MemoryError. Unless it fails it runs no
 * foreign code. */
mg_node **value_take_operands(PyObject *children);
/* Return a custom node with these operands, a tuple of n Values, and these partials, a tuple of n
 * numbers; partials may be NULL or empty: none are given. Where children is NULL or empty, return a
 * leaf. The node has no reference yet. NULL: an error is set. Foreign code may run where a partial
 * is converted, before the nodes are taken from the Values. */
mg_node *value_make_node(double data, PyObject *children, PyObject *partials);
/* Return an object of a subclass that shows a node without a proxy. The class is not called. A
 * failure frees the node, which has no reference yet. May run foreign code. */
PyObject *value_wrap_bare(PyTypeObject *type, mg_node *node);
/* Return what an operation on instances of a subclass gives: an object of that subclass, or a plain
 * Value where the subclass's constructor takes other arguments than (data, children, op). A failure
 * frees the node, which has no reference yet. Runs the constructor, foreign code. */
PyObject *value_wrap_as(PyTypeObject *type, mg_node *node);
/* Functions of the module; micrograd_c/_construct.py says what they do (class Backend). */
PyObject *value_make(PyObject *module, PyObject *args);
PyObject *value_renew(PyObject *module, PyObject *args);
PyObject *value_replace(PyObject *module, PyObject *args);

/* ---- no_grad.c: only the first of these functions may run foreign code ---- */

/* Return the type GradOff, the base of no_grad. */
PyObject *value_make_grad_off_type(void);
/* Whether this thread records nothing, so that its results are leaves. */
bool value_grad_is_off(void);
/* What one thread in no_grad has asked for. */
typedef struct value_grad_off value_grad_off;
/* Let this thread record from now on, and return what it has asked for, which the caller hands to
 * value_put_grad_off. NULL: this thread records already. */
value_grad_off *value_take_grad_off(void);
/* Put back what value_take_grad_off returned, NULL included, in place of what this thread has asked
 * for since. */
void value_put_grad_off(value_grad_off *taken);

/* ---- copying.c: functions of the module ---- */

/* graph(root): root and every node below root in order of creation, a list of Values. Of the leaves
 * in leaf pages only those with a closure are listed, first. */
PyObject *value_graph(PyObject *module, PyObject *root);
/* What restore() needs: operator's name, data, children, exponent or None, and the partials that a
 * custom node was given, in a tuple. */
PyObject *value_recorded(PyObject *module, PyObject *value);
/* The dict of a Value's own attributes, not a copy; None: it has none. */
PyObject *value_attributes(PyObject *module, PyObject *value);
/* Add the entries of a dict to a Value's own attributes. Returns None. */
PyObject *value_set_attributes(PyObject *module, PyObject *args);
/* A Value with a new node of this operator and these operands, whose data is given, not computed.
 * ValueError: there is no operator of this name with so many children. */
PyObject *value_restore(PyObject *module, PyObject *args);

/* ---- recording.c ---- */

/* A function for mg_arena_set_poll: 1 if Ctrl-C waits to be handled, else 0. */
int value_interrupted(void);
/* Functions of the module. record(), is_fresh() and trace() have a position in the recording: the
 * bytes of an mg_position. */
PyObject *value_record(PyObject *module, PyObject *args);
/* In the child of a fork: forget the recordings of the threads that the child does not have. */
PyObject *value_after_fork(PyObject *module, PyObject *ignored);
/* A new node for something that a trace can compute (mg_rule) and that is no operator of Value. */
PyObject *value_rule(PyObject *module, PyObject *args);
/* A Value's data, also while a program is recorded. */
PyObject *value_number_of(PyObject *module, PyObject *value);
/* mg_node_is_fresh and mg_node_serial of a Value's node. */
PyObject *value_is_fresh(PyObject *module, PyObject *args);
PyObject *value_serial(PyObject *module, PyObject *value);
/* The trace below an anchor: entries (an array of mg_entry) and the places of the roots (an array
 * of uint32_t) as bytes, and the list of captured Values. TypeError: a node has a closure. */
PyObject *value_trace(PyObject *module, PyObject *args);
/* Copy the data of a tuple of n Values to an array of n doubles; add an array of n doubles to the
 * gradients of n Values. Both return None. ValueError: the array has another length. */
PyObject *value_get_numbers(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_add_grads(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
/* This thread's recorder, or None. */
PyObject *value_get_recorder(PyObject *module, PyObject *ignored);

/* ---- expressions.c: functions of the module ----
 *
 * micrograd_c/functional.py says what these functions return, and their errors. NotImplemented: the
 * expression is to be evaluated operator by operator, and nothing was recorded. */

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

/* ---- network.c: functions of the module ----
 *
 * layer(), network() and parameters() return NotImplemented where micrograd_c/nn.py is to ask the
 * objects one by one. */

/* describe_network(Layer, ('neurons',), Neuron, ('w', 'b', 'activation'), label): the two classes,
 * the attributes of their objects in the order in which they are set, the label of an output.
 * Returns None. */
PyObject *value_describe_network(PyObject *module, PyObject *args);
/* layer(neurons, xs): [neuron(xs) for neuron in neurons] */
PyObject *value_layer(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* network(layers, xs): each layer of the outputs of the layer before. Returns a list of Values, or
 * the Value itself if there is one. */
PyObject *value_network(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* parameters(layers): the weights and the bias of each neuron, in order, a list. */
PyObject *value_parameters(PyObject *module, PyObject *layers);

/* ---- optimizers.c: functions of the module, which return None ---- */

/* sgd(params, buffer, lr, momentum, weight_decay): one step (mg_update_sgd). params is a tuple of n
 * Values, buffer an array of n doubles. */
PyObject *value_sgd(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
/* adam(params, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled): one step
 * (mg_update_adam). m and v are arrays of n doubles. */
PyObject *value_adam(PyObject *module, PyObject *args);
/* Set the gradients of an iterable of Values to 0. */
PyObject *value_zero_grad(PyObject *module, PyObject *params);

/* ---- operators.c ---- */

extern PyMethodDef value_functions[]; /* maximum, atan2, ...: of the module */
extern PyType_Slot value_operator_slots[];
/* ---- compare.c: the class's tp_richcompare, tp_hash and nb_bool ---- */

/* left is a Value. Returns NotImplemented where right is no number, and for == and !=, which are
 * identity unless a program is recorded. May run foreign code. */
PyObject *value_compare(PyObject *left, PyObject *right, int how);
/* -1: an error is set; a program may refuse the hash of a Value. */
Py_hash_t value_hash(PyObject *self);
/* 1: true; 0: false; -1: an error is set. May run foreign code. */
int value_is_true(PyObject *self);

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

/* Return what a thread that records nothing gets in place of a new node without references: a leaf
 * of the same data; while a program is recorded, a node of MG_RULE_DETACH, whose operand is the new
 * node. The new node belongs to this function, and is freed where no node refers to it. NULL: no
 * memory, and no error is set. Foreign code may run. */
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

#endif
