/* errors.h: the errors of operators that cannot be evaluated, or differentiated. */
#ifndef MG_PYTHON_ERRORS_H
#define MG_PYTHON_ERRORS_H

#include "python/proxy.h"

/* Set the error that the status of op(x, y) means, or of its derivative; MG_OK and MG_NO_MEMORY:
 * MemoryError. */
void value_raise_error(mg_status status, int op, double x, double y, bool derivative);
/* Set the error of a status other than MG_OK. node is the node whose partials could not
 * be computed; with MG_NO_MEMORY it is not looked at. */
void value_raise_partial(mg_status status, const mg_node *node);

#endif
