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
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < mg_arity_of(node); i++) {
        mg_node *operand = mg_operand_of(node, i);
        PyObject *proxy = operand->flags & MG_CYCLIC ? value_living(operand) : NULL;
        if (proxy != NULL && PyList_Append(list, proxy) < 0) Py_CLEAR(list);
    }
    PyObject *tuple = list != NULL ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
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

/* Add 1 to the count of each cyclic operand of a node that is held, in `parents`, a dict from
 * proxies to counts. -1: an error is set. */
static int count_parent(PyObject *parents, const mg_node *node) {
    for (size_t i = 0; i < mg_arity_of(node); i++) {
        mg_node *operand = mg_operand_of(node, i);
        if ((operand->flags & (MG_CYCLIC | MG_HELD)) != (MG_CYCLIC | MG_HELD)) continue;
        PyObject *proxy = mg_owner(operand);
        PyObject *before = PyDict_GetItemWithError(parents, proxy);
        if (before == NULL && PyErr_Occurred()) return -1;
        PyObject *count = PyLong_FromLong(before == NULL ? 1 : PyLong_AsLong(before) + 1);
        int result = count == NULL ? -1 : PyDict_SetItem(parents, proxy, count);
        Py_XDECREF(count);
        if (result < 0) return -1;
    }
    return 0;
}

/* Bind the proxy of every node above a cyclic node, in order of creation. `proxies` is a list that
 * keeps these proxies, *bound their number, `parents` as for count_parent. */
static int bind_all(PyObject *proxies, PyObject *parents, size_t *bound) {
    mg_node *node = NULL;
    for (; (node = mg_next_above_cyclic(mg_module.arena, node)) != NULL; ++*bound) {
        PyObject *proxy = value_of_node(node);
        if (proxy == NULL) return -1;
        int result = PyList_Append(proxies, proxy);
        Py_DECREF(proxy);
        if (result < 0 || bind((value_object *)proxy, proxies) < 0 ||
            count_parent(parents, node) < 0)
            return -1;
    }
    return 0;
}

/* Where the proxies of all parents of a node refer to the node's proxy, the node need not hold it
 * any more. */
static void unhold_all(PyObject *parents) {
    PyObject *proxy, *count;
    Py_ssize_t position = 0;
    while (PyDict_Next(parents, &position, &proxy, &count)) {
        if (!mg_unhold(value_node(proxy), (size_t)PyLong_AsLong(count))) continue;
        mg_module.cyclic_held--;
        Py_DECREF(proxy);
    }
}

/* Where there is no memory for this, the cycles stay until the next collection. The work is
 * proportional to the number of nodes above cyclic ones. So that a graph can grow in linear time, a
 * collection of generation 1 does not repeat the work before half as many more nodes are cyclic and
 * held. */
static void expose_cycles(void) {
    PyObject *proxies = PyList_New(0);
    PyObject *parents = PyDict_New();
    size_t bound = 0;
    if (proxies != NULL && parents != NULL && bind_all(proxies, parents, &bound) == 0)
        unhold_all(parents);
    else
        PyErr_Clear();
    Py_XDECREF(parents);
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
