/* keep_gil.h: calls of the cffi module that keep the interpreter's lock, and leave errno alone.
 *
 * cffi gives the interpreter's lock up before every call of C and takes it again afterwards, which
 * takes longer than to record a node or to release one. cffi does so by macros of Python.h. With
 * MG_KEEP_GIL these macros keep the lock, except in replays, which take long and know no arena. The
 * arenas then need no lock of their own, see lock.h. Around every call cffi also keeps a copy of
 * errno for each thread; the library tells nothing by errno, so that is left out, too. This file is
 * included after cffi's macros and before the functions that cffi writes. */

/* A function for mg_arena_set_poll: 1 if Ctrl-C waits to be handled, else 0. Takes the
 * interpreter's lock. */
static int mg_interrupted(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    int interrupted = PyOS_InterruptOccurred();
    if (interrupted) PyErr_SetInterrupt(); /* PyOS_InterruptOccurred has cleared it */
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
