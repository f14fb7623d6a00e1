/* compiler.h: what is asked of GCC and clang beyond C11, and what other compilers get instead. */
#ifndef MG_COMPILER_H
#define MG_COMPILER_H

#if defined(__GNUC__)
#define MG_INLINE static inline __attribute__((always_inline))
#define MG_COLD __attribute__((noinline, cold))
#if defined(__clang__)
#define MG_NEVER_INLINE __attribute__((noinline))
#else
#define MG_NEVER_INLINE __attribute__((noinline, noclone))
#endif
#define MG_LIKELY(x) __builtin_expect(!!(x), 1)
#define MG_PREFETCH(address) __builtin_prefetch((const void *)(address), 1)
#define MG_FORMAT(string, arguments) __attribute__((format(printf, string, arguments)))
#else
#define MG_INLINE static inline
#define MG_COLD
#define MG_NEVER_INLINE
#define MG_LIKELY(x) (x)
#define MG_PREFETCH(address) ((void)(address))
#define MG_FORMAT(string, arguments)
#endif

#if defined(_MSC_VER)
#define MG_THREAD_LOCAL __declspec(thread)
#else
#define MG_THREAD_LOCAL _Thread_local
#endif

/* Functions can be compiled for x86-64 processors of several kinds, and chosen when they run. */
#if defined(__GNUC__) && defined(__x86_64__)
#define MG_HAS_KINDS
#endif

#endif
