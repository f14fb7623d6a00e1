/* module.c: micrograd_c._value_type, the accelerator as a Python module. A process has one such
 * module, which belongs to the interpreter that first imports it. So there is one arena and one
 * type, as if they were static. */
#include "graph/check.h"
#include "graph/pages.h"
#include "python/attributes.h"
#include "python/backward.h"
#include "python/blocks.h"
#include "python/calls.h"
#include "python/construct.h"
#include "python/copying.h"
#include "python/cycles.h"
#include "python/expressions.h"
#include "python/network.h"
#include "python/nodes.h"
#include "python/object.h"
#include "python/operators.h"
#include "python/optimizers.h"
#include "python/proxy.h"
#include "python/recording.h"

/* ---- functions ---- */

static PyObject *statistics(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    mg_statistics now;
    mg_get_statistics(mg_module.arena, &now);
    return Py_BuildValue("nnnnn", (Py_ssize_t)now.nodes, (Py_ssize_t)now.leaves,
                         (Py_ssize_t)now.pages, (Py_ssize_t)now.free_pages, (Py_ssize_t)now.bytes);
}

static PyObject *trim(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    mg_trim(mg_module.arena);
    Py_RETURN_NONE;
}

static PyObject *check(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    return Py_BuildValue("z", mg_find_fault(mg_module.arena));
}

static PyObject *fail_after(PyObject *Py_UNUSED(module), PyObject *count) {
    size_t n = PyLong_AsSize_t(count);
    if (n == (size_t)-1 && PyErr_Occurred()) return NULL;
    mg_module.arena->fail_after = n;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"before_collection", value_before_collection, METH_VARARGS,
     PyDoc_STR("before_collection(phase, info, /)\n--\n\nFor gc.callbacks.")},
    {"is_anyone_watched", value_is_anyone_watched, METH_NOARGS,
     PyDoc_STR("is_anyone_watched()\n--\n\nWhether any thread is in detect_anomaly.")},
    {"watch_by", value_watch_by, METH_VARARGS,
     PyDoc_STR("watch_by(look, follow, locate, /)\n--\n\nWhat is done in detect_anomaly.")},
    {"after_fork", value_after_fork, METH_NOARGS,
     PyDoc_STR("after_fork()\n--\n\nIn a child: forget the threads that it does not have.")},
    {"graph", value_graph, METH_O,
     PyDoc_STR("graph(root, /)\n--\n\nThe interior nodes below a root and it, as created.")},
    {"gradients", value_gradients, METH_VARARGS,
     PyDoc_STR("gradients(output, inputs, /)\n--\n\nDerivatives; no gradient changes.")},
    {"recorded", value_recorded, METH_O,
     PyDoc_STR("recorded(value, /)\n--\n\n"
               "Operator, data, children, exponent (or None) and given partials of a node.")},
    {"attributes", value_attributes, METH_O,
     PyDoc_STR("attributes(value, /)\n--\n\nThe dict of a Value's own attributes, or None.")},
    {"set_attributes", value_set_attributes, METH_VARARGS,
     PyDoc_STR("set_attributes(value, own, /)\n--\n\nAdd to a Value's own attributes.")},
    {"restore", value_restore, METH_VARARGS,
     PyDoc_STR("restore(cls, name, data, children, exponent, partials, /)\n--\n\n"
               "A node as it once was, not computed anew.")},
    {"record", value_record, METH_VARARGS,
     PyDoc_STR("record(recorder, work, /)\n--\n\n"
               "Have this thread's Values ask a recorder while work(position) runs, and return\n"
               "what that returns; position is where the trace starts.")},
    {"make", value_make, METH_VARARGS, NULL}, /* see micrograd_c/_construct.py */
    {"renew", value_renew, METH_VARARGS, NULL},
    {"replace", value_replace, METH_VARARGS, NULL},
    {"recorder", value_get_recorder, METH_NOARGS,
     PyDoc_STR("recorder()\n--\n\nWhat this thread's Values ask, or None.")},
    {"rule", value_rule, METH_VARARGS,
     PyDoc_STR("rule(rule, data, operands, /)\n--\n\nA node that a trace knows how to compute.")},
    {"number_of", value_number_of, METH_O,
     PyDoc_STR("number_of(value, /)\n--\n\nThe data of a Value, also while recording.")},
    {"is_fresh", value_is_fresh, METH_VARARGS,
     PyDoc_STR("is_fresh(value, position, /)\n--\n\n"
               "Whether a Value was made since then and is nobody's operand.")},
    {"serial", value_serial, METH_O,
     PyDoc_STR("serial(value, /)\n--\n\n"
               "A number that no other Value's node ever has, higher than those of older nodes.")},
    {"trace", value_trace, METH_VARARGS,
     PyDoc_STR("trace(anchor, inputs, position, /)\n--\n\n"
               "Entries and roots of a trace, as bytes, and the list of captured Values.")},
    {"get_numbers", (PyCFunction)(void (*)(void))value_get_numbers, METH_FASTCALL,
     PyDoc_STR("get_numbers(values, array, /)\n--\n\nCopy the data of Values.")},
    {"set_numbers", (PyCFunction)(void (*)(void))value_set_numbers, METH_FASTCALL,
     PyDoc_STR("set_numbers(values, array, /)\n--\n\nSet the data of Values.")},
    {"get_grads", (PyCFunction)(void (*)(void))value_get_grads, METH_FASTCALL,
     PyDoc_STR("get_grads(values, array, /)\n--\n\nCopy the gradients of Values.")},
    {"add_grads", (PyCFunction)(void (*)(void))value_add_grads, METH_FASTCALL,
     PyDoc_STR("add_grads(values, array, /)\n--\n\nAdd to the gradients of Values.")},
    {"common_type", value_common_type, METH_O,
     PyDoc_STR("common_type(sequence, /)\n--\n\nThe type of all items, or None.")},
    {"take_numbers", (PyCFunction)(void (*)(void))value_take_numbers, METH_FASTCALL,
     PyDoc_STR("take_numbers(captured, leaves, array, /)\n--\n\n"
               "Write the numbers of a jitted call; 0, 1 in no_grad, 2 if it is none.")},
    {"give_result", (PyCFunction)(void (*)(void))value_give_result, METH_FASTCALL,
     PyDoc_STR("give_result(captured, leaves, array, reached, own, /)\n--\n\n"
               "The result of a jitted call; None if its numbers are not finite.")},
    {"statistics", statistics, METH_NOARGS,
     PyDoc_STR("statistics()\n--\n\nNodes, leaves, pages, free pages and bytes of the arena.")},
    {"trim", trim, METH_NOARGS,
     PyDoc_STR("trim()\n--\n\nGive the arena's unused memory back to the system.")},
    {"check", check, METH_NOARGS,
     PyDoc_STR("check()\n--\n\nWhat is wrong with the arena, or None. For tests.")},
    {"fail_after", fail_after, METH_O,
     PyDoc_STR("fail_after(n, /)\n--\n\nLet the arena's n-th allocation from now fail; 0: none.")},
    /* documented in micrograd_c/functional.py, nn.py and optim.py */
    {"dot", (PyCFunction)(void (*)(void))value_dot, METH_FASTCALL, NULL},
    {"linear", (PyCFunction)(void (*)(void))value_linear, METH_FASTCALL, NULL},
    {"describe_network", value_describe_network, METH_VARARGS, NULL},
    {"layer", (PyCFunction)(void (*)(void))value_layer, METH_FASTCALL, NULL},
    {"network", (PyCFunction)(void (*)(void))value_network, METH_FASTCALL, NULL},
    {"parameters", value_parameters, METH_O, NULL},
    {"sgd", (PyCFunction)(void (*)(void))value_sgd, METH_FASTCALL, NULL},
    {"adam", (PyCFunction)(void (*)(void))value_adam, METH_FASTCALL, NULL},
    {"rmsprop", (PyCFunction)(void (*)(void))value_rmsprop, METH_FASTCALL, NULL},
    {"clip_norm", value_clip_norm, METH_VARARGS, NULL},
    {"clip_value", value_clip_value, METH_VARARGS, NULL},
    {"zero_grad", value_zero_grad, METH_O, NULL},
    {"total", value_total, METH_O, NULL},
    {"mean", value_mean, METH_O, NULL},
    {"softmax", value_softmax, METH_O, NULL},
    {"log_softmax", value_log_softmax, METH_O, NULL},
    {"logsumexp", value_logsumexp, METH_O, NULL},
    {"logistic", (PyCFunction)(void (*)(void))value_logistic, METH_FASTCALL, NULL},
    {"cross_entropy", (PyCFunction)(void (*)(void))value_cross_entropy, METH_FASTCALL, NULL},
    {"mse", (PyCFunction)(void (*)(void))value_mse, METH_FASTCALL, NULL},
    {"hinge", (PyCFunction)(void (*)(void))value_hinge, METH_FASTCALL, NULL},
    {NULL},
};

/* ---- the type ---- */

#define MAX_SLOTS 64

/* Return the class Value, a new reference. Its base is the Python class with the methods that both
 * backends share. */
static PyTypeObject *make_type(void) {
    PyType_Slot slots[MAX_SLOTS] = {
        {Py_tp_new, value_new}, {Py_tp_init, value_init}, {Py_tp_getset, value_attributes_table}};
    PyType_Spec spec = {
        .name = "micrograd_c.engine.Value",
        .basicsize = sizeof(value_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    size_t count = 3;
    for (PyType_Slot *slot = value_object_slots; slot->slot != 0; slot++) slots[count++] = *slot;
    for (PyType_Slot *slot = value_operator_slots; slot->slot != 0; slot++) slots[count++] = *slot;
    slots[count] = (PyType_Slot){0, NULL};
    PyObject *bases = PyTuple_Pack(1, mg_module.methods);
    PyObject *type = bases != NULL ? PyType_FromSpecWithBases(&spec, bases) : NULL;
    Py_XDECREF(bases);
    if (type == NULL) return NULL;
    ((PyTypeObject *)type)->tp_name = "Value"; /* as error messages show it */
    ((PyTypeObject *)type)->tp_vectorcall = value_vectorcall;
    return (PyTypeObject *)type;
}

static bool intern_names(void) {
    struct {
        PyObject **place;
        const char *text;
    } names[] = {
        {&mg_module.empty_string, ""},
        {&mg_module.data_key, "data"},
        {&mg_module.grad_key, "grad"},
        {&mg_module.label_key, "label"},
        {&mg_module.op_key, "_op"},
        {&mg_module.backward_key, "_backward"},
        {&mg_module.partials_key, "_local_grads"},
        {&mg_module.network_keys[0], "__call__"},
        {&mg_module.network_keys[1], "parameters"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL) return false;
    for (int op = 0; op < MG_OP_COUNT; op++) {
        mg_module.symbols[op] = PyUnicode_InternFromString(mg_operator_symbol(op));
        if (mg_module.symbols[op] == NULL) return false;
    }
    mg_module.labels[0] = mg_module.empty_string;
    mg_module.label_tags = Py_BuildValue("{Oi}", mg_module.empty_string, 0);
    mg_module.label_count = 1;
    return mg_module.label_tags != NULL;
}

static bool import_methods(void) {
    PyObject *methods = PyImport_ImportModule("micrograd_c._value_methods");
    PyObject *construct = PyImport_ImportModule("micrograd_c._construct");
    if (methods == NULL || construct == NULL) return false;
    return (mg_module.methods = PyObject_GetAttrString(methods, "ValueMethods")) != NULL &&
           (mg_module.as_real = PyObject_GetAttrString(methods, "as_real")) != NULL &&
           (mg_module.real = PyObject_GetAttrString(methods, "real")) != NULL &&
           (mg_module.make_error = PyObject_GetAttrString(methods, "arithmetic_error")) != NULL &&
           (mg_module.add = PyObject_GetAttrString(methods, "add")) != NULL &&
           (mg_module.multiply = PyObject_GetAttrString(methods, "multiply")) != NULL &&
           (mg_module.makes_results = PyObject_GetAttrString(methods, "makes_results")) != NULL &&
           (mg_module.negative = PyObject_GetAttrString(methods, "negative")) != NULL &&
           (mg_module.subtract = PyObject_GetAttrString(methods, "subtract")) != NULL &&
           (mg_module.divide = PyObject_GetAttrString(methods, "divide")) != NULL &&
           (mg_module.number_power = PyObject_GetAttrString(methods, "number_power")) != NULL &&
           (mg_module.construct = PyObject_GetAttrString(construct, "construct")) != NULL &&
           (mg_module.result_by_call = PyObject_GetAttrString(construct, "result_by_call")) != NULL;
}

/* Have gc call before_collection at each garbage collection. false: an error is set. */
static bool join_collections(PyObject *module) {
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *callbacks = gc != NULL ? PyObject_GetAttrString(gc, "callbacks") : NULL;
    PyObject *own = PyObject_GetAttrString(module, "before_collection");
    bool good = callbacks != NULL && own != NULL && PyList_Append(callbacks, own) == 0;
    Py_XDECREF(gc);
    Py_XDECREF(callbacks);
    Py_XDECREF(own);
    return good;
}

#define MODULE_NAME "micrograd_c._value_type"

/* Make what the first import makes, once: the arena, the type, the names. The interpreter's dict
 * has the type afterwards, which tells this interpreter from others. false: an error is set. */
static bool make_all(PyObject *module, PyObject *interpreter) {
    if (mg_module.arena == NULL) mg_module.arena = mg_arena_new();
    if (mg_module.arena == NULL) {
        PyErr_NoMemory();
        return false;
    }
    PyTypeObject *type = intern_names() && import_methods() ? make_type() : NULL;
    if (type == NULL) return false;
    mg_module.data_descriptor = Py_XNewRef(PyDict_GetItem(type->tp_dict, mg_module.data_key));
    mg_module.grad_descriptor = Py_XNewRef(PyDict_GetItem(type->tp_dict, mg_module.grad_key));
    mg_module.slow_call = PyObject_GetAttrString((PyObject *)type, "__call__");
    if (mg_module.slow_call == NULL || !join_collections(module) ||
        PyDict_SetItemString(interpreter, MODULE_NAME, (PyObject *)type) < 0)
        return false;
    mg_module.type = type;
    for (int tag = 0; tag <= MG_WIDE_TAG; tag++) mg_module.classes[tag] = type;
    mg_module.module = Py_NewRef(module);
    return true;
}

/* Give the module an attribute, whose reference is taken over; NULL: making it has failed. -1: an
 * error is set. */
static int add(PyObject *module, const char *name, PyObject *made) {
    const int added = made != NULL ? PyModule_AddObjectRef(module, name, made) : -1;
    Py_XDECREF(made);
    return added;
}

/* Return the numbers of the enums of micrograd.h that Python needs, a dict by name. */
static PyObject *make_enums(void) {
#define NUMBER(name) #name, (int)(name)
    return Py_BuildValue("{sisisisisisisisisisisisisi}", NUMBER(MG_RULE_NONE),
                         NUMBER(MG_RULE_DETACH), NUMBER(MG_RULE_DIVIDE), NUMBER(MG_RULE_LINK),
                         NUMBER(MG_RULE_LESS), NUMBER(MG_RULE_LESS_EQUAL), NUMBER(MG_RULE_EQUAL),
                         NUMBER(MG_RULE_SELECT), NUMBER(MG_RULE_TABLE), NUMBER(MG_RULE_TAKE),
                         NUMBER(MG_LESS), NUMBER(MG_LESS_EQUAL), NUMBER(MG_EQUAL));
#undef NUMBER
}

static int execute(PyObject *module) {
    PyObject *interpreter = PyInterpreterState_GetDict(PyInterpreterState_Get());
    if (interpreter == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (mg_module.type == NULL && !make_all(module, interpreter)) return -1;
    if (PyDict_GetItemString(interpreter, MODULE_NAME) != (PyObject *)mg_module.type) {
        PyErr_SetString(PyExc_ImportError,
                        MODULE_NAME " belongs to another interpreter of this process");
        return -1;
    }
    if (PyModule_AddFunctions(module, value_functions) < 0 ||
        add(module, "GradOff", value_make_block_type(VALUE_NO_GRAD)) < 0 ||
        add(module, "Watch", value_make_block_type(VALUE_WATCH)) < 0 ||
        add(module, "Nodes", value_make_nodes_type()) < 0 || add(module, "enums", make_enums()) < 0)
        return -1;
    return add(module, "Value", Py_NewRef((PyObject *)mg_module.type));
}

/* `execute` runs in every interpreter that imports the module, and refuses all but the first. */
static PyModuleDef_Slot phases[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = MODULE_NAME,
    .m_doc = PyDoc_STR("The accelerated Value: CPython's operators over the arena."),
    .m_methods = functions,
    .m_slots = phases,
};

PyMODINIT_FUNC PyInit__value_type(void) {
    return PyModuleDef_Init(&definition);
}
