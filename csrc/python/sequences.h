/* sequences.h: sequences of Values and numbers as the terms of csrc/graph/expressions.c, and its
 * nodes as Values. */
#ifndef MG_PYTHON_VALUE_TERMS_H
#define MG_PYTHON_VALUE_TERMS_H

#include "graph/expressions.h"
#include "python/object.h"

#define VALUE_FEW_TERMS 64

typedef struct {
    PyObject *sequence; /* keeps the nodes */
    mg_term *terms;
    Py_ssize_t count;
    bool pinned;                  /* each node has a reference of ours */
    mg_term few[VALUE_FEW_TERMS]; /* room for the terms of a short one */
} value_terms;

/* FAILED: with an error set; NOT_OURS: for the plain expression to evaluate. */
typedef enum { FAILED, NOT_OURS, TAKEN } value_taking;

/* A Value, a float or an int. Numbers of other kinds are converted by foreign code, which could
 * change the sequences that keep the nodes: they are left to the plain expression. */
value_taking value_take_term(PyObject *item, mg_term *term);
/* The items of a list or tuple, to be used before objects are made: that may run the garbage
 * collector, and it foreign code, which may give a Value another node. To be dropped after use. */
value_taking value_take_terms(PyObject *sequence, value_terms *in);
/* The same for longer: the items of a copy, their nodes pinned. */
value_taking value_take_inputs(PyObject *sequence, value_terms *in);
void value_drop_terms(value_terms *in);
/* What a function returns that has not taken its arguments: NULL or NotImplemented. */
PyObject *value_refuse_terms(value_taking how);
/* Operands with state are held for the new nodes. */
void value_hold_all(const mg_term *operands, Py_ssize_t count);
void value_hold_terms(const value_terms *in);
/* A node without a reference for the caller as a Value; NULL: what its status means. */
PyObject *value_show(mg_node *node, mg_status status);
/* Record a row of weights, and a bias or NULL: a node, with a reference for the caller. */
value_taking value_take_row(PyObject *weights, PyObject *given, const mg_term *xs, Py_ssize_t count,
                            int op, mg_node **node);
/* The same node as a Value, which takes the reference over. */
PyObject *value_show_row(mg_node *node);

#endif
