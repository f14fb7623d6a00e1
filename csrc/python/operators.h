/* operators.h: the operators and methods of the class. */
#ifndef MG_PYTHON_OPERATORS_H
#define MG_PYTHON_OPERATORS_H

#include "python/proxy.h"

extern PyMethodDef value_functions[]; /* maximum, minimum: of the module */
extern PyType_Slot value_operator_slots[];

#endif
