/* cycles.c: cycles that run through the arena are shown to Python's garbage collector.
 *
 * A node that has parents holds its proxy if the proxy has state. If the state leads back up to a
 * parent (a `_backward` closure over the result, an attribute that is a Value computed from this
 * one), there is a cycle, and the collector sees only a part of the cycle. So before a collection,
 * if there are held proxies whose state could lead back, every node above them gets a proxy, which
 * is tracked like any Python object and refers to the proxies of the node's operands. Then the
 * collector sees what it would see of the pure-Python class. Programs without such state pay
 * nothing for this. */
#include "python/cycles.h"

#include "graph/look.h"

void value_leave(value_object *self, mg_node *node) {
    PyObject *bound = value_take_bound(node);
    if (bound != NULL) value_hold_operands(node);
    bool cyclic = (node->flags & MG_CYCLIC) != 0;
    bool held = mg_unkeep(mg_module.arena, node);
    if (held && cyclic) mg_module.cyclic_held--;
    mg_set_closure(mg_module.arena, node, false);
    mg_set_owner(node, NULL);
    node->tag = 0;
    mg_drop(mg_module.arena, node);
    Py_XDECREF(bound);
    if (held) Py_DECREF((PyObject *)self);
    value_drain_orphans();
}

/* Return the proxies of a node's cyclic operands, repeats included, a tuple. NULL: MemoryError. */
static PyObject *cyclic_operands(const mg_node *node) {
    const Py_ssize_t arity = (Py_ssize_t)mg_arity_of(node);
    PyObject *tuple = PyTuple_New(arity);
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; tuple != NULL && i < arity; i++) {
        mg_node *operand = mg_operand_of(node, (size_t)i);
        PyObject *proxy = operand->flags & MG_CYCLIC ? value_living(operand) : NULL;
        if (proxy != NULL) PyTuple_SET_ITEM(tuple, count++, Py_NewRef(proxy));
    }
    if (tuple != NULL && count != arity) _PyTuple_Resize(&tuple, count);
    return tuple;
}

/* Bind a proxy: let it refer to the proxies of its node's cyclic operands, and be cyclic itself.
 * The tuple that it was bound to before is appended to the list `keepsakes`, for no proxy may die
 * in the middle of this. -1: no memory. */
static int bind(value_object *self, PyObject *keepsakes) {
    mg_node *node = self->node;
    PyObject *operands = cyclic_operands(node);
    if (operands == NULL) return -1;
    if (mg_keep(mg_module.arena, node) != MG_OK) {
        Py_DECREF(operands);
        return -1;
    }
    PyObject *before = value_take_bound(node);
    mg_extra_of(node)->bound = operands;
    value_set_cyclic(self);
    int result = before != NULL ? PyList_Append(keepsakes, before) : 0;
    Py_XDECREF(before);
    return result;
}

/* Count a node, whose proxy has just been bound, among the bound parents of each held operand. */
static void count_as_parent(const mg_node *node) {
    const size_t arity = mg_arity_of(node);
    for (size_t i = 0; i < arity; i++) {
        const mg_node *operand = mg_operand_of(node, i);
        if ((operand->flags & (MG_CYCLIC | MG_HELD)) == (MG_CYCLIC | MG_HELD))
            mg_extra_of(operand)->bound_by++;
    }
}

/* Bind the proxy of every node above a cyclic node, in order of creation. The list `proxies` keeps
 * these proxies, `keepsakes` is as for bind. -1: no memory. */
static int bind_all(PyObject *proxies, PyObject *keepsakes) {
    mg_node *node = NULL;
    while ((node = mg_next_above_cyclic(mg_module.arena, node)) != NULL) {
        PyObject *proxy = value_of_node(node);
        if (proxy == NULL) return -1;
        int result = PyList_Append(proxies, proxy);
        Py_DECREF(proxy);
        if (result < 0 || bind((value_object *)proxy, keepsakes) < 0) return -1;
        count_as_parent(node);
    }
    return 0;
}

/* Take back the counts of an operand's bound parents. Where these are all its parents, their
 * proxies refer to the operand's proxy, and the operand need not hold it any more. */
static void unhold_operands(const mg_node *node) {
    const size_t arity = mg_arity_of(node);
    for (size_t i = 0; i < arity; i++) {
        mg_node *operand = mg_operand_of(node, i);
        const uint32_t parents = operand->flags & MG_EXTRA ? mg_extra_of(operand)->bound_by : 0;
        if (parents == 0) continue;
        mg_extra_of(operand)->bound_by = 0;
        if (!mg_unhold(operand, parents)) continue;
        mg_module.cyclic_held--;
        Py_DECREF((PyObject *)mg_owner(operand));
    }
}

/* Where there is no memory for this, some cycles stay until the next collection. The work is
 * proportional to the number of nodes above cyclic ones. So that a graph can grow in linear time, a
 * collection of generation 1 does not repeat the work before half as many more nodes are cyclic and
 * held. */
static void expose_cycles(void) {
    PyObject *proxies = PyList_New(0);
    PyObject *keepsakes = PyList_New(0);
    size_t bound = 0;
    if (proxies == NULL || keepsakes == NULL || bind_all(proxies, keepsakes) < 0) PyErr_Clear();
    if (proxies != NULL) bound = (size_t)PyList_GET_SIZE(proxies);
    for (size_t i = 0; i < bound; i++)
        unhold_operands(value_node(PyList_GET_ITEM(proxies, (Py_ssize_t)i)));
    Py_XDECREF(keepsakes);
    Py_XDECREF(proxies);
    mg_module.expose_above = mg_module.cyclic_held + bound / 2;
}

PyObject *value_before_collection(PyObject *Py_UNUSED(module), PyObject *args) {
    const char *phase;
    PyObject *info;
    if (!PyArg_ParseTuple(args, "sO:before_collection", &phase, &info)) return NULL;
    if (mg_module.cyclic_held != 0 && strcmp(phase, "start") == 0) {
        PyObject *generation = PyMapping_GetItemString(info, "generation");
        if (generation == NULL) return NULL;
        long oldest = PyLong_AsLong(generation);
        Py_DECREF(generation);
        if (oldest > 1 || (oldest == 1 && mg_module.cyclic_held > mg_module.expose_above))
            expose_cycles();
    }
    Py_RETURN_NONE;
}
