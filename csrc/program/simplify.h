/* simplify.h: what of a trace need not be computed for every row. */
#ifndef MG_SIMPLIFY_H
#define MG_SIMPLIFY_H

#include "program/program.h"

/* Fill in the fates of the entries; false: no memory, or given up. */
bool mg_simplify(mg_program *program);

#endif
