/* errors.c: the errors of operators that cannot be evaluated, or differentiated. */
#include "python/errors.h"

#include "python/blocks.h"

MG_COLD void value_raise_error(mg_status status, int op, double x, double y, bool derivative) {
    if (status == MG_NO_MEMORY || status == MG_OK) {
        PyErr_NoMemory();
        return;
    }
    PyObject *error = PyObject_CallFunction(mg_module.make_error, "zsddi", mg_error_text(status),
                                            mg_operator_name(op), x, y, (int)derivative);
    if (error != NULL && value_is_recording())
        Py_SETREF(error, PyObject_CallMethod(value_recorder(), "note", "O", error));
    if (error != NULL && !derivative && value_is_watched()) error = value_locate(error);
    if (error == NULL) return;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

void value_raise_partial(mg_status status, const mg_node *node) {
    double y = 0.0;
    if (status == MG_NO_MEMORY) {
        PyErr_NoMemory();
        return;
    }
    if (node->op == MG_OP_exponent)
        y = mg_links_of(node)->exponent;
    else if (mg_arity(node) == 2)
        y = mg_links_of(node)->right->data;
    value_raise_error(status, node->op, mg_links_of(node)->left->data, y, true);
}
