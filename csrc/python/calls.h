/* calls.h: functions of the module for a jitted call: its numbers on the way in, and its result. */
#ifndef MG_PYTHON_CALLS_H
#define MG_PYTHON_CALLS_H

#include "python/proxy.h"

/* common_type(sequence): the type of all items of a list or tuple; None if they are of several
 * types, or there are none. */
PyObject *value_common_type(PyObject *module, PyObject *sequence);
/* take_numbers(captured, leaves, array): write the numbers of the leaves (a tuple or list of Values
 * and real numbers) to an array of doubles, then the data of captured, a Nodes. Returns 0, 1
 * in no_grad, and 2, with nothing written, if this thread records a program. Foreign code may run
 * where a leaf is neither a Value nor a float or int. */
PyObject *value_take_numbers(PyObject *module, PyObject *const *args, Py_ssize_t arguments);
/* give_result(captured, leaves, array, reached, own): a Value whose node is custom. The array has
 * its data, then a derivative for each leaf and for each of captured, as take_numbers has them. The
 * operands are those of captured, and then those leaves, that are Values and reached: bytes with a
 * 1 for each of the leaves and of captured that is. Without operands it is a leaf. `own` becomes
 * the Value's dict. None: the data or the derivative of an operand is not finite. */
PyObject *value_give_result(PyObject *module, PyObject *const *args, Py_ssize_t arguments);

#endif
