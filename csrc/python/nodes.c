/* nodes.c: the class Nodes, a tuple of Values and an array of their nodes.
 *
 * What goes over thousands of Values at each step of a training spends most of the time on reaching
 * the nodes: proxies are several times as large as these, and lie anywhere in memory. The array is
 * read from the proxies once. It stays right because the tuple keeps the proxies, and a proxy its
 * node, unless the proxy is made to show another one, as by a second __init__. That is seldom, and
 * is counted (mg_module.moves): afterwards the array is read anew. */
#include "python/nodes.h"

#include <structmember.h>

static PyTypeObject *nodes_type; /* a reference, which the process keeps */

void value_read_nodes(value_nodes *self) {
    for (size_t i = 0; i < self->count; i++)
        self->nodes[i] = value_node(PyTuple_GET_ITEM(self->values, (Py_ssize_t)i));
    self->moves = mg_module.moves;
}

/* Return a Nodes for a tuple, whose reference is taken over. NULL: TypeError or MemoryError. */
static PyObject *make_nodes(PyObject *tuple) {
    value_nodes *self = NULL;
    if (value_are_values(tuple)) self = (value_nodes *)nodes_type->tp_alloc(nodes_type, 0);
    if (self == NULL) {
        Py_DECREF(tuple);
        return NULL;
    }
    self->values = tuple;
    self->count = (size_t)PyTuple_GET_SIZE(tuple);
    self->nodes = PyMem_New(mg_node *, self->count);
    if (self->nodes == NULL) {
        Py_DECREF((PyObject *)self);
        return PyErr_NoMemory();
    }
    value_read_nodes(self);
    return (PyObject *)self;
}

static PyObject *new (PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *names) {
    PyObject *values;
    if (names != NULL && PyDict_GET_SIZE(names) != 0) {
        PyErr_SetString(PyExc_TypeError, "Nodes() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O:Nodes", &values)) return NULL;
    PyObject *tuple = PySequence_Tuple(values);
    return tuple != NULL ? make_nodes(tuple) : NULL;
}

value_nodes *value_take_nodes(PyObject *values) {
    if (MG_LIKELY(Py_IS_TYPE(values, nodes_type))) return (value_nodes *)Py_NewRef(values);
    PyObject *tuple = PySequence_Tuple(values);
    return tuple != NULL ? (value_nodes *)make_nodes(tuple) : NULL;
}

/* ---- the class ---- */

static void dealloc(PyObject *object) {
    value_nodes *self = (value_nodes *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->values);
    PyMem_Free(self->nodes);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

/* There is no tp_clear, as there is none of tuples: whatever closes a cycle through the tuple can
 * be cleared, and the nodes always are those of the Values. */
static int traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((value_nodes *)object)->values);
    Py_VISIT((PyObject *)Py_TYPE(object));
    return 0;
}

static PyMemberDef members[] = {
    {"values", T_OBJECT_EX, offsetof(value_nodes, values), READONLY, PyDoc_STR("The Values.")},
    {0},
};

PyObject *value_make_nodes_type(void) {
    if (nodes_type != NULL) return Py_NewRef((PyObject *)nodes_type); /* imported once more */
    static char doc[] =
        "Nodes(values, /)\n--\n\nA tuple of Values, for functions that need their nodes often.";
    PyType_Slot slots[] = {
        {Py_tp_doc, doc},           {Py_tp_new, new},         {Py_tp_dealloc, dealloc},
        {Py_tp_traverse, traverse}, {Py_tp_members, members}, {0, NULL},
    };
    PyType_Spec spec = {
        .name = "micrograd_c._value_type.Nodes",
        .basicsize = sizeof(value_nodes),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *made = PyType_FromSpec(&spec);
    if (made != NULL) nodes_type = (PyTypeObject *)Py_NewRef(made);
    return made;
}
