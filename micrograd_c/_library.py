"""The C library by way of cffi, with all of its types made.

cffi makes a type or a function when a program first asks for it. It is not safe to ask for another
one meanwhile, by another thread or by code that a garbage collection runs
(https://github.com/python-cffi/cffi/issues/271). So this module asks for all of them, once.
"""

from __future__ import annotations

from ._engine import ffi, lib

__all__ = ["POLL", "ffi", "lib"]

POLL = ffi.addressof(lib, "mg_interrupted")  # for mg_arena_set_poll

_STRUCTS = [
    *("mg_adam", "mg_built", "mg_call", "mg_column", "mg_entry", "mg_guard", "mg_instruction"),
    *("mg_listing", "mg_position", "mg_product", "mg_program_facts", "mg_progress"),
    *("mg_rmsprop", "mg_run", "mg_sgd", "mg_statistics", "mg_term", "mg_trap"),
]
_OTHERS = [
    *("char[]", "double", "double *", "double[]", "intptr_t", "size_t", "uint32_t", "uint32_t[]"),
    "unsigned char[]",
    "int(*)(void)",
    *("mg_node *", "mg_node **", "mg_node *[]", "mg_order **", "mg_status *"),
]

for _name in _STRUCTS:  # cffi makes the fields when they are looked at
    _fields = ffi.typeof(_name).fields
for _name in [*_OTHERS, *(f"{_name}{_suffix}" for _name in _STRUCTS for _suffix in (" *", "[]"))]:
    ffi.typeof(_name)
for _name in dir(lib):
    getattr(lib, _name)
