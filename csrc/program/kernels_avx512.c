/* kernels_avx512.c: the interpreter for x86-64 processors with AVX-512. */
#include "compiler.h"

#if defined(MG_HAS_KINDS)
#define TARGET __attribute__((target("avx512f")))
#define PACK_BYTES 64
#define RUN mg_run_avx512
#include "program/kernels.inc.h"
#else
typedef int mg_no_avx512; /* C demands a declaration in every file */
#endif
