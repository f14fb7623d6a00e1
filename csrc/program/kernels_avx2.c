/* kernels_avx2.c: the interpreter for x86-64 processors with AVX2. */
#include "compiler.h"

#if defined(MG_HAS_KINDS)
#define TARGET __attribute__((target("avx2")))
#define PACK_BYTES 32
#define RUN mg_run_avx2
#include "program/kernels.inc.h"
#else
typedef int mg_no_avx2; /* C demands a declaration in every file */
#endif
