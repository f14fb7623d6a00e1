/* compare.c: Values compared by their data, with each other and with numbers. Equality stays
 * identity, and a Value is true; in a program arguments compare as numbers. */
#include "python/compare.h"

/* == and != while a program is recorded: the recorder compares an argument with a number by value,
 * and refuses to compare a computed Value with a number. It returns NotImplemented where == and !=
 * are identity, as for two Values. */
MG_COLD static PyObject *equal_in_program(PyObject *left, PyObject *right, int how) {
    const char *const method = how == Py_EQ ? "equals" : "differs";
    return PyObject_CallMethod(value_recorder(), method, "OO", left, right);
}

PyObject *value_compare(PyObject *left, PyObject *right, int how) {
    if (how == Py_EQ || how == Py_NE) {
        if (value_is_recording()) return equal_in_program(left, right, how);
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (value_is_recording()) {
        PyObject *stand_in = value_ask("read", left);
        PyObject *result = stand_in != NULL ? PyObject_RichCompare(stand_in, right, how) : NULL;
        Py_XDECREF(stand_in);
        return result;
    }
    if (value_check(right))
        Py_RETURN_RICHCOMPARE(value_node(left)->data, value_node(right)->data, how);
    double number;
    if (!PyLong_Check(right)) { /* an int, however large, can be compared with a float */
        int found = value_number(right, &number);
        if (found < 0 && !PyErr_ExceptionMatches(PyExc_OverflowError)) return NULL;
        if (found < 0) PyErr_Clear();
        if (found == 0) Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *data = PyFloat_FromDouble(value_node(left)->data);
    if (data == NULL) return NULL;
    PyObject *result = PyObject_RichCompare(data, right, how);
    Py_DECREF(data);
    return result;
}

/* The class needs a tp_hash, for it has a tp_richcompare: otherwise Values would have no hash. */
Py_hash_t value_hash(PyObject *self) {
    if (value_is_recording()) {
        PyObject *result = value_ask("check_hash", self);
        if (result == NULL) return -1;
        Py_DECREF(result);
    }
    return PyBaseObject_Type.tp_hash(self);
}

/* A Value is true. While a program is recorded an argument that is 0 is false. An instance of a
 * subclass that has a length is true unless the length is 0. */
int value_is_true(PyObject *self) {
    if (value_is_recording()) {
        PyObject *result = value_ask("truth", self);
        int answer = result != NULL ? PyObject_IsTrue(result) : -1;
        Py_XDECREF(result);
        return answer;
    }
    if (value_is_exact(self)) return 1;
    const PyTypeObject *type = Py_TYPE(self);
    if (type->tp_as_sequence == NULL || type->tp_as_sequence->sq_length == NULL) return 1;
    const Py_ssize_t length = PyObject_Size(self);
    return length < 0 ? -1 : length != 0;
}
