/* object.h: how a proxy lives and dies: the slots of the class for that. */
#ifndef MG_PYTHON_OBJECT_H
#define MG_PYTHON_OBJECT_H

#include "python/proxy.h"

extern PyType_Slot value_object_slots[];
/* Setter of __dict__, which accepts a dict alone: TypeError. May run foreign code. */
int value_set_dict(PyObject *object, PyObject *value, void *closure);

#endif
