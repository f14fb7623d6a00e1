/* no_grad.c: threads that record nothing, and the type GradOff, the base of micrograd_c.no_grad, by
 * which they do so. To enter and to leave is one call of C each, so that no exception can come in
 * the middle. A GradOff that dies leaves whatever it has entered and not left. */
#include "python/no_grad.h"

/* A thread that records nothing now. It is in a list of all such threads, as another thread may
 * have to leave what this thread has entered: a generator is closed by the thread in which it dies.
 */
struct value_grad_off {
    uint64_t thread; /* the thread's id, which no later thread has */
    size_t times;    /* number of GradOffs entered and not left */
    value_grad_off *next;
};

static value_grad_off *threads_off;

static uint64_t this_thread(void) {
    return PyThreadState_GetID(PyThreadState_Get());
}

/* Return the place in the list that refers to this thread's element, or the end of the list, where
 * the place is NULL. */
static value_grad_off **place_of(uint64_t thread) {
    value_grad_off **place = &threads_off;
    while (*place != NULL && (*place)->thread != thread) place = &(*place)->next;
    return place;
}

bool value_grad_is_off(void) {
    return *place_of(this_thread()) != NULL;
}

value_grad_off *value_take_grad_off(void) {
    value_grad_off **place = place_of(this_thread()), *taken = *place;
    if (taken == NULL) return NULL;
    *place = taken->next;
    mg_module.no_grad -= taken->times;
    return taken;
}

void value_put_grad_off(value_grad_off *taken) {
    PyMem_Free(value_take_grad_off());
    if (taken == NULL) return;
    taken->next = threads_off;
    threads_off = taken;
    mg_module.no_grad += taken->times;
}

/* ---- GradOff ---- */

/* A GradOff entered by a thread and not left yet. */
typedef struct stay {
    uint64_t thread;
    struct stay *outer; /* the stay that began before this one, of any thread */
} stay;

typedef struct {
    PyObject_HEAD stay *inside; /* the stays in this GradOff, the latest first */
} grad_off_object;

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    stay *latest = PyMem_Malloc(sizeof *latest);
    value_grad_off **place = place_of(this_thread());
    if (latest != NULL && *place == NULL) *place = PyMem_Calloc(1, sizeof **place);
    if (latest == NULL || *place == NULL) {
        PyMem_Free(latest);
        return PyErr_NoMemory();
    }
    (*place)->thread = this_thread();
    (*place)->times++;
    mg_module.no_grad++;
    *latest = (stay){(*place)->thread, ((grad_off_object *)self)->inside};
    ((grad_off_object *)self)->inside = latest;
    Py_RETURN_NONE;
}

/* End a stay: the latest one of this thread. If this thread has none, a generator in which another
 * thread has entered the GradOff is being closed: end the latest stay of all. */
static void leave(grad_off_object *self) {
    stay **link = &self->inside;
    while (*link != NULL && (*link)->thread != this_thread()) link = &(*link)->outer;
    if (*link == NULL) link = &self->inside;
    stay *ended = *link;
    if (ended == NULL) return;
    *link = ended->outer;
    value_grad_off **place = place_of(ended->thread), *off = *place;
    PyMem_Free(ended);
    if (off == NULL) return; /* a program is being recorded: see value_take_grad_off */
    mg_module.no_grad--;
    if (--off->times != 0) return;
    *place = off->next;
    PyMem_Free(off);
}

static PyObject *leave_method(PyObject *self, PyObject *Py_UNUSED(error)) {
    leave((grad_off_object *)self);
    Py_RETURN_NONE;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    while (((grad_off_object *)self)->inside != NULL) leave((grad_off_object *)self);
    type->tp_free(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"__enter__", enter, METH_NOARGS, PyDoc_STR("Record nothing in this thread from now on.")},
    {"__exit__", leave_method, METH_VARARGS, PyDoc_STR("Record again.")},
    {0},
};

PyObject *value_make_grad_off_type(void) {
    PyType_Slot slots[] = {
        {Py_tp_methods, methods},
        {Py_tp_dealloc, dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "micrograd_c._value_type.GradOff",
        .basicsize = sizeof(grad_off_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    return PyType_FromSpec(&spec);
}
