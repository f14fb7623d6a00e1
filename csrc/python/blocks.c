/* blocks.c: the with-blocks that threads are in, no_grad and detect_anomaly, and the types GradOff
 * and Watch, their bases, by which threads enter and leave. To enter and to leave is one call of C
 * each, so that no exception can come in the middle. A GradOff or a Watch that dies leaves whatever
 * it has entered and not left. */
#include "python/blocks.h"

#include "graph/look.h"

/* A thread within blocks. It is in a list of all such threads, as another thread may have to leave
 * what this thread has entered: a generator is closed by the thread in which it dies. */
struct value_blocks {
    uint64_t thread;                 /* the thread's id, which no later thread has */
    size_t times[VALUE_BLOCK_KINDS]; /* number of blocks of each kind entered and not left */
    value_blocks *next;
};

static value_blocks *threads_within;

static uint64_t this_thread(void) {
    return PyThreadState_GetID(PyThreadState_Get());
}

/* Return the place in the list that refers to this thread's element, or the end of the list, where
 * the place is NULL. */
static value_blocks **place_of(uint64_t thread) {
    value_blocks **place = &threads_within;
    while (*place != NULL && (*place)->thread != thread) place = &(*place)->next;
    return place;
}

static bool is_within(value_block_kind kind) {
    const value_blocks *within = *place_of(this_thread());
    return within != NULL && within->times[kind] != 0;
}

bool value_grad_is_off(void) {
    return is_within(VALUE_NO_GRAD);
}

bool value_is_watched(void) {
    return mg_module.blocks != 0 && is_within(VALUE_WATCH) && !value_is_recording();
}

static size_t count_blocks(const value_blocks *within) {
    size_t count = 0;
    for (int kind = 0; kind < VALUE_BLOCK_KINDS; kind++) count += within->times[kind];
    return count;
}

value_blocks *value_take_blocks(void) {
    value_blocks **place = place_of(this_thread()), *taken = *place;
    if (taken == NULL) return NULL;
    *place = taken->next;
    mg_module.blocks -= count_blocks(taken);
    return taken;
}

void value_put_blocks(value_blocks *taken) {
    PyMem_Free(value_take_blocks());
    if (taken == NULL) return;
    taken->next = threads_within;
    threads_within = taken;
    mg_module.blocks += count_blocks(taken);
}

PyObject *value_is_anyone_watched(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored)) {
    bool any = false;
    for (const value_blocks *within = threads_within; within != NULL; within = within->next)
        any |= within->times[VALUE_WATCH] != 0;
    return PyBool_FromLong(any);
}

/* ---- what _anomaly.py does in detect_anomaly ---- */

static PyObject *look, *follow, *locate; /* its functions */

PyObject *value_watch_by(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *given[3];
    if (!PyArg_ParseTuple(args, "OOO:watch_by", &given[0], &given[1], &given[2])) return NULL;
    Py_XSETREF(look, Py_NewRef(given[0]));
    Py_XSETREF(follow, Py_NewRef(given[1]));
    Py_XSETREF(locate, Py_NewRef(given[2]));
    Py_RETURN_NONE;
}

/* Return the serial number of a node in the middle of an operation composed of two, such as the
 * power in a quotient: no proxy shows that node, while the operands of the operation have theirs.
 * 0: there is none. */
static uint64_t middle_of(const mg_node *node) {
    const size_t arity = mg_arity_of(node);
    for (size_t i = 0; i < arity; i++) {
        const mg_node *operand = mg_operand_of(node, i);
        if (operand->op != MG_OP_leaf && value_living(operand) == NULL) return mg_serial(operand);
    }
    return 0;
}

int value_look(PyObject *value) {
    const mg_node *node = value_node(value);
    PyObject *result =
        PyObject_CallFunction(look, "OdKK", value, node->data, mg_serial(node), middle_of(node));
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Look at a node without references, by way of a proxy that is gone afterwards. */
static int look_at_node(mg_node *node) {
    value_pin(node);
    PyObject *value = value_of_node(node);
    const int result = value == NULL ? -1 : value_look(value);
    Py_XDECREF(value);
    if (result < 0)
        value_unpin(node);
    else
        node->refs--;
    return result;
}

mg_node *value_pass_blocks(mg_node *node) {
    if (value_is_watched() && look_at_node(node) < 0) return NULL;
    if (!value_grad_is_off()) return node;
    node = value_as_leaf(node);
    if (node == NULL) PyErr_NoMemory();
    return node;
}

int value_follow(PyObject *nodes) {
    PyObject *result = PyObject_CallOneArg(follow, nodes);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *value_locate(PyObject *error) {
    PyObject *located = PyObject_CallOneArg(locate, error);
    Py_DECREF(error);
    return located;
}

/* ---- GradOff and Watch ---- */

/* A GradOff or a Watch entered by a thread and not left yet. */
typedef struct stay {
    uint64_t thread;
    value_block_kind kind;
    struct stay *outer; /* the stay that began before this one, of any thread */
} stay;

typedef struct {
    PyObject_HEAD stay *inside; /* the stays in this object, the latest first */
} block_object;

static PyObject *enter(PyObject *self, value_block_kind kind) {
    stay *latest = PyMem_Malloc(sizeof *latest);
    value_blocks **place = place_of(this_thread());
    if (latest != NULL && *place == NULL) *place = PyMem_Calloc(1, sizeof **place);
    if (latest == NULL || *place == NULL) {
        PyMem_Free(latest);
        return PyErr_NoMemory();
    }
    (*place)->thread = this_thread();
    (*place)->times[kind]++;
    mg_module.blocks++;
    *latest = (stay){(*place)->thread, kind, ((block_object *)self)->inside};
    ((block_object *)self)->inside = latest;
    Py_RETURN_NONE;
}

static PyObject *enter_no_grad(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    return enter(self, VALUE_NO_GRAD);
}

static PyObject *enter_watch(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    return enter(self, VALUE_WATCH);
}

/* End a stay: the latest one of this thread. If this thread has none, a generator in which another
 * thread has entered the block is being closed: end the latest stay of all. */
static void leave(block_object *self) {
    stay **link = &self->inside;
    while (*link != NULL && (*link)->thread != this_thread()) link = &(*link)->outer;
    if (*link == NULL) link = &self->inside;
    stay *ended = *link;
    if (ended == NULL) return;
    *link = ended->outer;
    value_blocks **place = place_of(ended->thread), *within = *place;
    const value_block_kind kind = ended->kind;
    PyMem_Free(ended);
    /* Unless a program is being recorded: see value_take_blocks. */
    if (within == NULL || within->times[kind] == 0) return;
    mg_module.blocks--;
    within->times[kind]--;
    if (count_blocks(within) != 0) return;
    *place = within->next;
    PyMem_Free(within);
}

static PyObject *leave_method(PyObject *self, PyObject *Py_UNUSED(error)) {
    leave((block_object *)self);
    Py_RETURN_NONE;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    while (((block_object *)self)->inside != NULL) leave((block_object *)self);
    type->tp_free(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef grad_off_methods[] = {
    {"__enter__", enter_no_grad, METH_NOARGS,
     PyDoc_STR("Record nothing in this thread from now on.")},
    {"__exit__", leave_method, METH_VARARGS, PyDoc_STR("Record again.")},
    {0},
};

static PyMethodDef watch_methods[] = {
    {"__enter__", enter_watch, METH_NOARGS,
     PyDoc_STR("Look at each result in this thread from now on.")},
    {"__exit__", leave_method, METH_VARARGS, PyDoc_STR("Look no more.")},
    {0},
};

PyObject *value_make_block_type(value_block_kind kind) {
    const bool off = kind == VALUE_NO_GRAD;
    PyType_Slot slots[] = {
        {Py_tp_methods, off ? grad_off_methods : watch_methods},
        {Py_tp_dealloc, dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = off ? "micrograd_c._value_type.GradOff" : "micrograd_c._value_type.Watch",
        .basicsize = sizeof(block_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    return PyType_FromSpec(&spec);
}
