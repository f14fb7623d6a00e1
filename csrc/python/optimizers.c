/* optimizers.c: the functions of csrc/graph/optimizers.c for Values and arrays of doubles. */
#include "python/optimizers.h"

#include "graph/optimizers.h"
#include "python/nodes.h"

/* Return the doubles of an object with a writable buffer of count doubles; the caller releases
 * *view. NULL: an error is set, and there is nothing to release. */
static double *take_array(PyObject *object, size_t count, Py_buffer *view) {
    if (PyObject_GetBuffer(object, view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND) < 0) return NULL;
    const char *format = view->format != NULL ? view->format : "B";
    if (strcmp(format, "d") == 0 && (size_t)view->len == count * sizeof(double)) return view->buf;
    PyErr_Format(PyExc_ValueError, "an array of %zu doubles is required", count);
    PyBuffer_Release(view);
    return NULL;
}

/* ---- steps ---- */

enum { MOST_MEMORIES = 3, MOST_NUMBERS = 8 };

/* What a rule is given for one group of parameters. */
typedef struct {
    value_nodes *params; /* a reference, or NULL */
    double *memories[MOST_MEMORIES];
    double numbers[MOST_NUMBERS];
    Py_buffer views[MOST_MEMORIES]; /* of the memories */
    int views_taken;
} group;

/* An optimizer's rule, and what it is given of each parameter and of each group. */
typedef struct {
    void (*update)(const group *);
    int memories, numbers;
} update_rule;

/* Take the parts of a tuple (params, *memories, *numbers). false: an error is set. Foreign code may
 * run. */
static bool take_group(const update_rule *rule, PyObject *given, group *to) {
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 1 + rule->memories + rule->numbers) {
        PyErr_Format(PyExc_TypeError, "parameters, %d arrays and %d numbers are required",
                     rule->memories, rule->numbers);
        return false;
    }
    to->params = value_take_nodes(PyTuple_GET_ITEM(given, 0));
    if (to->params == NULL) return false;
    for (int i = 0; i < rule->numbers; i++) {
        to->numbers[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(given, 1 + rule->memories + i));
        if (to->numbers[i] == -1.0 && PyErr_Occurred()) return false;
    }
    for (int i = 0; i < rule->memories; i++) {
        to->memories[i] =
            take_array(PyTuple_GET_ITEM(given, 1 + i), to->params->count, &to->views[i]);
        if (to->memories[i] == NULL) return false;
        to->views_taken++;
    }
    return true;
}

static void drop_group(group *taken) {
    for (int i = 0; i < taken->views_taken; i++) PyBuffer_Release(&taken->views[i]);
    value_drop_nodes(taken->params);
}

/* Everything is taken before anything is changed. No foreign code runs between the updates. */
static PyObject *step(const update_rule *rule, PyObject *const *groups, Py_ssize_t count) {
    if (value_refuse("a step of an optimizer") < 0) return NULL;
    group *const taken = PyMem_Calloc((size_t)count, sizeof(group));
    if (taken == NULL) return PyErr_NoMemory();
    bool good = true;
    for (Py_ssize_t i = 0; good && i < count; i++) good = take_group(rule, groups[i], &taken[i]);
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
    mg_update_sgd(value_nodes_now(in->params), in->params->count, &how, in->memories[0]);
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
    mg_update_adam(value_nodes_now(in->params), in->params->count, &how, in->memories[0],
                   in->memories[1], in->memories[2]);
}

static void update_rmsprop(const group *in) {
    const double *n = in->numbers;
    const mg_rmsprop how = {.lr = n[0],
                            .alpha = n[1],
                            .eps = n[2],
                            .weight_decay = n[3],
                            .momentum = n[4],
                            .centered = n[5] != 0.0};
    mg_update_rmsprop(value_nodes_now(in->params), in->params->count, &how, in->memories[0],
                      in->memories[1], in->memories[2]);
}

PyObject *value_sgd(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const update_rule sgd = {.update = update_sgd, .memories = 1, .numbers = 5};
    return step(&sgd, groups, count);
}

PyObject *value_adam(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const update_rule adam = {.update = update_adam, .memories = 3, .numbers = 8};
    return step(&adam, groups, count);
}

PyObject *value_rmsprop(PyObject *Py_UNUSED(module), PyObject *const *groups, Py_ssize_t count) {
    static const update_rule rmsprop = {.update = update_rmsprop, .memories = 3, .numbers = 6};
    return step(&rmsprop, groups, count);
}

/* ---- gradients ---- */

PyObject *value_clip_norm(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *given;
    double max_norm, norm_type;
    if (value_refuse("clip_grad_norm()") < 0) return NULL;
    if (!PyArg_ParseTuple(args, "Odd:clip_norm", &given, &max_norm, &norm_type)) return NULL;
    value_nodes *params = value_take_nodes(given);
    if (params == NULL) return NULL;
    const double norm =
        mg_clip_grads_by_norm(value_nodes_now(params), params->count, max_norm, norm_type);
    value_drop_nodes(params);
    return PyFloat_FromDouble(norm);
}

PyObject *value_clip_value(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *given;
    double bound;
    if (value_refuse("clip_grad_value()") < 0) return NULL;
    if (!PyArg_ParseTuple(args, "Od:clip_value", &given, &bound)) return NULL;
    value_nodes *params = value_take_nodes(given);
    if (params == NULL) return NULL;
    mg_clip_grads(value_nodes_now(params), params->count, bound);
    value_drop_nodes(params);
    Py_RETURN_NONE;
}

PyObject *value_zero_grad(PyObject *Py_UNUSED(module), PyObject *given) {
    if (value_refuse("zero_grad()") < 0) return NULL;
    value_nodes *params = value_take_nodes(given);
    if (params == NULL) return NULL;
    mg_clear_grads(value_nodes_now(params), params->count);
    value_drop_nodes(params);
    Py_RETURN_NONE;
}
