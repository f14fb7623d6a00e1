/* kernels_plain.c: the interpreter for any processor. GCC and clang know vectors of two doubles on
 * every processor. */
#define TARGET
#if defined(__GNUC__)
#define PACK_BYTES 16
#else
#define PACK_BYTES 8
#endif
#define RUN mg_run_plain
#include "program/kernels.inc.h"
