/* recording.h: recording for a program to be compiled, and the trace. */
#ifndef MG_PYTHON_RECORDING_H
#define MG_PYTHON_RECORDING_H

#include "python/proxy.h"

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
/* Copy the data or the gradients of n Values, a Nodes or another iterable, to an array of n
 * doubles; set the data to such an array; add the array to the gradients. All return None.
 * ValueError: the array has another length. */
PyObject *value_get_numbers(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_set_numbers(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_get_grads(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
PyObject *value_add_grads(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
/* This thread's recorder, or None. */
PyObject *value_get_recorder(PyObject *module, PyObject *ignored);

#endif
