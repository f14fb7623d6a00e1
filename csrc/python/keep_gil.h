/* keep_gil.h: calls of the cffi module that keep the interpreter's lock.
 *
 * cffi gives it up before every call and takes it again afterwards, which takes longer than to
 * record a node or to release one. With MG_KEEP_GIL the macros of Python.h by which it does so keep
 * it; but for replays, which take long and know no arena. The arenas then need no lock of their
 * own, see lock.h. To be included between Python.h and what cffi writes. */
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

#endif
