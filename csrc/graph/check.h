/* check.h: whether an arena is as it should be. */
#ifndef MG_CHECK_H
#define MG_CHECK_H

#include "graph/node.h"

/* See mg_check. */
const char *mg_find_fault(mg_arena *arena);

#endif
