/* optimizers.c: the functions of csrc/graph/optimizers.c for a tuple of Values and arrays of
 * doubles. */
#include "python/optimizers.h"

#include "graph/optimizers.h"
#include "python/construct.h"

/* Return the doubles of an object with a writable buffer of count doubles; the caller releases
 * *view. NULL: an error is set, and there is nothing to release. */
static double *take_array(PyObject *object, Py_ssize_t count, Py_buffer *view) {
    if (PyObject_GetBuffer(object, view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND) < 0) return NULL;
    const char *format = view->format != NULL ? view->format : "B";
    if (strcmp(format, "d") == 0 && view->len == count * (Py_ssize_t)sizeof(double))
        return view->buf;
    PyErr_Format(PyExc_ValueError, "an array of %zd doubles is required", count);
    PyBuffer_Release(view);
    return NULL;
}

/* ---- steps ---- */

enum { MOST_MEMORIES = 3, MOST_NUMBERS = 8 };

/* What a rule is given for one group of parameters. */
typedef struct {
    mg_node **nodes; /* an allocation, or NULL */
    size_t count;
    double *memories[MOST_MEMORIES];
    double numbers[MOST_NUMBERS];
    Py_buffer views[MOST_MEMORIES]; /* of the memories */
    int views_taken;
} group;

/* An optimizer's rule, and what it is given of each parameter and of each group. */
typedef struct {
    void (*update)(const group *);
    int memories, numbers;
} rule;

/* Take the numbers and the memories of a tuple (params, *memories, *numbers). false: an error is
 * set. Foreign code may run. */
static bool take_group(const rule *rule, PyObject *given, group *to) {
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 1 + rule->memories + rule->numbers ||
        !PyTuple_Check(PyTuple_GET_ITEM(given, 0))) {
        PyErr_Format(PyExc_TypeError, "a tuple, %d arrays and %d numbers are required",
                     rule->memories, rule->numbers);
        return false;
    }
    const Py_ssize_t count = PyTuple_GET_SIZE(PyTuple_GET_ITEM(given, 0));
    for (int i = 0; i < rule->numbers; i++) {
        to->numbers[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(given, 1 + rule->memories + i));
        if (to->numbers[i] == -1.0 && PyErr_Occurred()) return false;
    }
    for (int i = 0; i < rule->memories; i++) {
        to->memories[i] = take_array(PyTuple_GET_ITEM(given, 1 + i), count, &to->views[i]);
        if (to->memories[i] == NULL) return false;
        to->views_taken++;
    }
    to->count = (size_t)count;
    return true;
}

static void drop_group(group *taken) {
    for (int i = 0; i < taken->views_taken; i++) PyBuffer_Release(&taken->views[i]);
    PyMem_Free(taken->nodes);
}

/* Everything is taken before anything is changed; the nodes last, after all foreign code. */
static PyObject *step(const rule *rule, PyObject *const *groups, Py_ssize_t count) {
    if (value_refuse("a step of an optimizer") < 0) return NULL;
    group *const taken = PyMem_Calloc((size_t)count, sizeof(group));
    if (taken == NULL) return PyErr_NoMemory();
    bool good = true;
    for (Py_ssize_t i = 0; good && i < count; i++) good = take_group(rule, groups[i], &taken[i]);
    for (Py_ssize_t i = 0; good && i < count; i++) {
        taken[i].nodes = value_take_operands(PyTuple_GET_ITEM(groups[i], 0));
        good = taken[i].nodes != NULL;
    }
    for (Py_ssize_t i = 0; good && i < count; i++) rule->update(&taken[i]);
    for (Py_ssize_t i = 0; i < count; i++) drop_group(&taken[i]);
    PyMem_Free(taken);
    if (!good) return NULL;
    Py_RETURN_NONE;
}

static void update_sgd(const group *in) {
    const double *n = in->numbers;
    const mg_sgd how = {.lr = n[0],
                        .momentum = n[1],
                        .weight_decay = n[2],
                        .dampening = n[3],
                        .nesterov = n[4] != 0.0};
    mg_update_sgd(in->nodes, in->count, &how, in->memories[0]);
}

static void update_adam(const group *in) {
    const double *n = in->numbers;
    const mg_adam how = {.step = n[0],
                         .lr = n[1],
                         .beta1 = n[2],
                         .beta2 = n[3],
                         .eps = n[4],
                         .weight_decay = n[5],
                         .decoupled = n[6] != 0.0,
                         .amsgrad = n[7] != 0.0};
    mg_update_adam(in->nodes, in->count, &how, in->memories[0], in->memories[1], in->memories[2]);
}

static void update_rmsprop(const group *in) {
    const double *n = in->numbers;
    const mg_rmsprop how = {.lr = n[0],
                            .alpha = n[1],
                            .eps = n[2],
                            .weight_decay = n[3],
                            .momentum = n[4],
                            .centered = n[5] != 0.0};
    mg_update_rmsprop(in->nodes, in->count, &how, in->memories[0], in->memories[1],
                      in->memories[2]);
}

PyObject *value_sgd(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const rule sgd = {.update = update_sgd, .memories = 1, .numbers = 5};
    return step(&sgd, groups, count);
}

PyObject *value_adam(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const rule adam = {.update = update_adam, .memories = 3, .numbers = 8};
    return step(&adam, groups, count);
}

PyObject *value_rmsprop(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const rule rmsprop = {.update = update_rmsprop, .memories = 3, .numbers = 6};
    return step(&rmsprop, groups, count);
}

/* ---- gradients ---- */

PyObject *value_clip_norm(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *params;
    double max_norm, norm_type;
    if (value_refuse("clip_grad_norm()") < 0) return NULL;
    if (!PyArg_ParseTuple(args, "O!dd:clip_norm", &PyTuple_Type, &params, &max_norm, &norm_type))
        return NULL;
    mg_node **nodes = value_take_operands(params);
    if (nodes == NULL) return NULL;
    const size_t count = (size_t)PyTuple_GET_SIZE(params);
    const double norm = mg_clip_grads_by_norm(nodes, count, max_norm, norm_type);
    PyMem_Free(nodes);
    return PyFloat_FromDouble(norm);
}

PyObject *value_clip_value(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *params;
    double bound;
    if (value_refuse("clip_grad_value()") < 0) return NULL;
    if (!PyArg_ParseTuple(args, "O!d:clip_value", &PyTuple_Type, &params, &bound)) return NULL;
    mg_node **nodes = value_take_operands(params);
    if (nodes == NULL) return NULL;
    mg_clip_grads(nodes, (size_t)PyTuple_GET_SIZE(params), bound);
    PyMem_Free(nodes);
    Py_RETURN_NONE;
}

PyObject *value_zero_grad(PyObject *Py_UNUSED(module), PyObject *params) {
    if (value_refuse("zero_grad()") < 0) return NULL;
    PyObject *tuple = PySequence_Tuple(params);
    if (tuple == NULL) return NULL;
    const bool good = value_are_values(tuple);
    for (Py_ssize_t i = 0; good && i < PyTuple_GET_SIZE(tuple); i++)
        value_node(PyTuple_GET_ITEM(tuple, i))->grad = 0.0;
    Py_DECREF(tuple);
    if (!good) return NULL;
    Py_RETURN_NONE;
}
