/* keep_gil.h: calls of the cffi module that keep the interpreter's lock, and leave errno alone.
 *
 * cffi gives it up before every call and takes it again afterwards, which takes longer than to
 * record a node or to release one. With MG_KEEP_GIL the macros of Python.h by which it does so keep
 * it; but for replays, which take long and know no arena. The arenas then need no lock of their
 * own, see lock.h. Nor does the library tell anything by errno, of which cffi keeps a copy for each
 * thread around every call. To be included between cffi's macros and the functions it writes.
 *
 * And what the library asks during long work, see mg_arena_set_poll: whether Ctrl-C waits. */
static int mg_interrupted(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    int interrupted = PyOS_InterruptOccurred();
    if (interrupted) PyErr_SetInterrupt(); /* which the question has taken back */
    PyGILState_Release(state);
    return interrupted;
}

#if !defined(MG_KEEP_GIL_H) && defined(MG_KEEP_GIL)
#define MG_KEEP_GIL_H

#include <string.h>

#define MG_IS_REPLAY (strstr(__func__, "_mg_replay") != NULL)

#undef Py_BEGIN_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS \
    {                          \
        PyThreadState *mg_saved = MG_IS_REPLAY ? PyEval_SaveThread() : NULL;

#undef Py_END_ALLOW_THREADS
#define Py_END_ALLOW_THREADS                              \
    if (mg_saved != NULL) PyEval_RestoreThread(mg_saved); \
    }

#undef _cffi_restore_errno
#define _cffi_restore_errno() ((void)0)

#undef _cffi_save_errno
#define _cffi_save_errno() ((void)0)

#endif
