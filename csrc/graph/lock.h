/* lock.h: the one kind of lock the library needs, as each system has it. Internal. With MG_KEEP_GIL
 * there is none: each caller has Python's lock, see python/keep_gil.h. */
#ifndef MG_LOCK_H
#define MG_LOCK_H

#if defined(MG_KEEP_GIL)

typedef char mg_lock;

static inline void mg_lock_init(mg_lock *lock) {
    *lock = 0;
}
static inline void mg_lock_take(mg_lock *lock) {
    (void)lock;
}
static inline void mg_lock_give(mg_lock *lock) {
    (void)lock;
}
static inline void mg_lock_destroy(mg_lock *lock) {
    (void)lock;
}

#elif defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK mg_lock;

static inline void mg_lock_init(mg_lock *lock) {
    InitializeSRWLock(lock);
}
static inline void mg_lock_take(mg_lock *lock) {
    AcquireSRWLockExclusive(lock);
}
static inline void mg_lock_give(mg_lock *lock) {
    ReleaseSRWLockExclusive(lock);
}
static inline void mg_lock_destroy(mg_lock *lock) {
    (void)lock;
}

#else

#include <pthread.h>

typedef pthread_mutex_t mg_lock;

#define MG_LOCKS_MEET_FORKS /* see memory.c */

static inline void mg_lock_init(mg_lock *lock) {
    pthread_mutex_init(lock, NULL);
}
static inline void mg_lock_take(mg_lock *lock) {
    pthread_mutex_lock(lock);
}
static inline void mg_lock_give(mg_lock *lock) {
    pthread_mutex_unlock(lock);
}
static inline void mg_lock_destroy(mg_lock *lock) {
    pthread_mutex_destroy(lock);
}

#endif

#endif
