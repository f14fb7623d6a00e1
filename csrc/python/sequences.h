/* sequences.h: sequences of Values and numbers as the terms of csrc/graph/expressions.c, and the
 * nodes that it returns as Values. */
#ifndef MG_PYTHON_VALUE_TERMS_H
#define MG_PYTHON_VALUE_TERMS_H

#include "graph/expressions.h"
#include "python/proxy.h"

#define VALUE_FEW_TERMS 64

typedef struct {
    PyObject *sequence; /* a reference: it keeps the Values, and these their nodes */
    mg_term *terms;     /* count terms: in few, or an allocation */
    Py_ssize_t count;
    bool pinned;                  /* the terms have a reference to each node */
    mg_term few[VALUE_FEW_TERMS]; /* room for the terms of a short sequence */
} value_terms;

/* FAILED: an error is set. NOT_OURS: the plain expression is to be evaluated, operator by operator;
 * no error is set. After either, there is nothing to be dropped. */
typedef enum { FAILED, NOT_OURS, TAKEN } value_taking;

/* Write a Value, a float or an int to *term; the node is borrowed from the Value. Runs no foreign
 * code: numbers of other kinds are NOT_OURS, for foreign code converts them, and could change the
 * sequences that keep the nodes. Never FAILED. */
value_taking value_take_term(PyObject *item, mg_term *term);
/* Take the items of a list or tuple; another sequence is NOT_OURS, and in detect_anomaly all are.
 * The nodes are to be used before Python makes objects: that may run the garbage collector, thus
 * foreign code, which may give a Value another node. Runs no foreign code. The caller drops the
 * terms (value_drop_terms). */
value_taking value_take_terms(PyObject *sequence, value_terms *in);
/* Take the items of a copy of a list, or of a tuple, and pin their nodes: these terms can be used
 * while foreign code runs. */
value_taking value_take_inputs(PyObject *sequence, value_terms *in);
/* Give the references back that pinned terms have. May run foreign code. */
void value_unpin_terms(value_terms *in);
/* Give back what was taken. May run foreign code. */
static inline void value_drop_terms(value_terms *in) {
    if (in->pinned) value_unpin_terms(in);
    if (in->terms != in->few) PyMem_Free(in->terms);
    Py_DECREF(in->sequence);
}
/* Return what a function returns that has not taken its arguments: NULL for FAILED (the error is
 * set already), NotImplemented for NOT_OURS. */
PyObject *value_refuse_terms(value_taking how);
/* Let the nodes of `count` terms, which new nodes have as operands, hold their proxies with
 * state. */
void value_hold_all(const mg_term *operands, Py_ssize_t count);
void value_hold_terms(const value_terms *in);
/* Return a node that the caller has no reference to as a Value: in no_grad, a leaf in its place. If
 * node is NULL, return what its status means: NULL with MemoryError set, or NotImplemented. */
PyObject *value_show(mg_node *node, mg_status status);
/* Record op(sum of weights[i] * xs[i], plus a bias `given`, or NULL) over count xs, op -1: the sum
 * itself; and write the node, with a reference for the caller, to *node. ValueError: there are not
 * count weights. Arithmetic errors are NOT_OURS. Foreign code may run at the end. */
value_taking value_take_row(PyObject *weights, PyObject *given, const mg_term *xs, Py_ssize_t count,
                            int op, mg_node **node);
/* Return the node of value_take_row as a Value, which takes the caller's reference over. */
PyObject *value_show_row(mg_node *node);

#endif
