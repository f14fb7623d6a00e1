/* check.h: see mg_check. */
#ifndef MG_CHECK_H
#define MG_CHECK_H

#include "graph/node.h"

const char *mg_find_fault(mg_arena *arena);

#endif
