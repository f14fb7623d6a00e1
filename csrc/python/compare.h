/* compare.h: the class's tp_richcompare, tp_hash and nb_bool. */
#ifndef MG_PYTHON_COMPARE_H
#define MG_PYTHON_COMPARE_H

#include "python/proxy.h"

/* left is a Value. Returns NotImplemented where right is no number, and for == and !=, which are
 * identity unless a program is recorded. May run foreign code. */
PyObject *value_compare(PyObject *left, PyObject *right, int how);
/* -1: an error is set; a program may refuse the hash of a Value. */
Py_hash_t value_hash(PyObject *self);
/* 1: true; 0: false; -1: an error is set. May run foreign code. */
int value_is_true(PyObject *self);

#endif
