/* cycles.c: letting Python's garbage collector see cycles that run through the arena.
 *
 * A node holds the proxy of an operand that has state. If that state leads back to the node (a
 * `_backward` closure over the result, an attribute that is a Value computed from this one), that
 * is a cycle of which the collector sees only a part. So before a collection, if there are held
 * proxies whose state could do so, every node above them gets a proxy, tracked like any Python
 * object and referring to the proxies of its operands: then the collector sees what it would see
 * of the pure-Python class. Programs without such state pay nothing for this. */
#include "python/object.h"

void value_set_cyclic(value_object *self) {
    mg_node *node = self->node;
    if (node->flags & MG_CYCLIC) return;
    node->flags |= MG_CYCLIC;
    if (node->flags & MG_HELD) mg_module.cyclic_held++;
    value_track(self);
}

PyObject *value_take_bound(mg_node *node) {
    if ((node->flags & MG_EXTRA) == 0) return NULL;
    PyObject *bound = mg_extra_of(node)->bound;
    mg_extra_of(node)->bound = NULL;
    return bound;
}

void value_hold_operands(mg_node *node) {
    for (size_t i = 0; i < mg_arity_of(node); i++) value_hold(mg_operand_of(node, i));
}

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

/* The proxies of the node's cyclic operands, repeats included. */
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

/* Let the node's proxy refer to those of its cyclic operands, and be cyclic itself. What it
 * referred to before must not go away in the middle of this. */
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

/* Count a parent of each cyclic operand that is held. */
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

/* Bind every node above a cyclic one, in order of creation, and count them. */
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

/* All parents refer to these proxies now: their nodes need not hold them. */
static void unhold_all(PyObject *parents) {
    PyObject *proxy, *count;
    Py_ssize_t position = 0;
    while (PyDict_Next(parents, &position, &proxy, &count)) {
        if (!mg_unhold(value_node(proxy), (size_t)PyLong_AsLong(count))) continue;
        mg_module.cyclic_held--;
        Py_DECREF(proxy);
    }
}

/* Without the memory for it the cycles stay until the next collection. It is as much work as there
 * are such nodes; so that a graph can grow in linear time, it is not done again in a collection of
 * young objects before half as many are held. */
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
