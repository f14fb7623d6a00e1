"""The engine: which Value is in use, and the state of its arena.

The accelerated Value is used where it was built, the portable one elsewhere. The environment
variable ``MICROGRAD_C_BACKEND`` ('native' or 'cffi') forces one; `BACKEND` tells which is in use.
Only two modules know the compiled parts: this one, and _library.py, for on either backend programs
are replayed by the cffi module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ContextDecorator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from . import _value_type as _backend
    from ._value_type import (
        Value,
        atan2,
        attributes,
        fail_after,
        graph,
        hypot,
        maximum,
        minimum,
        polygamma,
        recorded,
        restore,
        set_attributes,
        trim,
    )
else:
    from . import _stamp

    def _missing(message):
        """Return an ImportError with the package's name: `python -m` reports it in one line."""
        return ImportError(message, name=__package__)

    def _choose():
        """Return the module of the backend asked for, or of the best one that was built.

        Raises ImportError if there is none, or the compiled parts are stale.
        """
        wanted = os.environ.get("MICROGRAD_C_BACKEND", "")
        if wanted not in ("", "native", "cffi"):
            raise _missing(f"MICROGRAD_C_BACKEND must be 'native' or 'cffi', not {wanted!r}")
        if _stamp.is_stale():
            raise _missing(
                f"the compiled part of micrograd_c was built from other sources than "
                f"{_stamp.ROOT}: rebuild it with 'pip install -e .'"
            )
        if wanted != "cffi":
            try:
                return import_module("._value_type", __package__)
            except ImportError as error:
                if wanted == "native":
                    raise _missing(
                        "MICROGRAD_C_BACKEND asks for the native backend, "
                        f"which cannot be imported here ({error})"
                    ) from error
        try:
            return import_module("._cffi", __package__)
        except ImportError as error:
            raise _missing(
                f"the compiled part of micrograd_c cannot be imported ({error}); "
                "'pip install .' in its source folder builds it"
            ) from error

    _backend = _choose()
    Value = _backend.Value
    maximum = _backend.maximum
    minimum = _backend.minimum
    atan2 = _backend.atan2
    hypot = _backend.hypot
    polygamma = _backend.polygamma
    trim = _backend.trim
    fail_after = _backend.fail_after
    graph = _backend.graph
    attributes = _backend.attributes
    set_attributes = _backend.set_attributes
    recorded = _backend.recorded
    restore = _backend.restore

__all__ = [
    "BACKEND",
    "Block",
    "Statistics",
    "Value",
    "atan2",
    "attributes",
    "bulk",
    "fail_after",
    "graph",
    "hypot",
    "maximum",
    "minimum",
    "no_grad",
    "polygamma",
    "recorded",
    "restore",
    "set_attributes",
    "statistics",
    "trim",
]

bulk = _backend  # dot, linear, total, ...: see functional.py; record, ...: _compile/

BACKEND: str = "native" if _backend.__name__.endswith("_value_type") else "cffi"

Value.__module__ = __name__
Value.__doc__ = """A float that remembers what it was computed from.

`Value(2.0)` is a leaf. Operators, methods and functions make further Values and record their
operands; `backward()` of a result adds its derivative by each of these to that one's `grad`.

>>> a, b = Value(2.0, label='a'), Value(-3.0, label='b')
>>> c = a * b + b**2
>>> c.backward()
>>> c.data, a.grad, b.grad
(3.0, -3.0, -4.0)

Operators are ``+ - * / **`` and ``abs``, with Values and real numbers on both sides, and
comparisons, which compare the data; ``==`` is identity. Values may have further attributes, and
the class further methods; it may be subclassed.

Attributes:
    data: the number, a float; may be assigned.
    grad: the derivative accumulated so far, a float, 0.0 at first; may be assigned.
    label: a name of your own, which `draw_dot` shows.
    _prev: the Values it was computed from.
    _op: the operator that made it, a string.

An operator made by hand is ``Value(data, children, op)`` with a `_backward` closure that adds
to its children's gradients, or ``Value(data, children, local_grads=...)`` with its partial
derivatives. The arguments may also be spelled `_children`, `_prev`, `_op` and `_local_grads`.

Raises TypeError if data is no real number, OverflowError if it is too large for a float.
"""


# Not with annotations: they are text here, and NamedTuple would compile them, which is a tenth of
# the time that importing the package takes.
class Statistics(
    NamedTuple(
        "Statistics",
        [("nodes", int), ("leaves", int), ("pages", int), ("free_pages", int), ("bytes", int)],
    )
):
    """What the arena has now.

    Attributes:
        nodes: living results of operations, and the constants in them (the 3 of ``a * 3``).
        leaves: living leaves, as ``Value(2.0)`` makes them.
        pages: pages of 8 KiB in use.
        free_pages: pages kept for reuse.
        bytes: memory taken from the system.
    """

    __slots__ = ()


def statistics() -> Statistics:
    """Return the numbers of nodes and pages, and the memory, that the arena has now."""
    return Statistics(*_backend.statistics())


_Function = TypeVar("_Function", bound=Callable[..., Any])


class Block(ContextDecorator):
    """What `no_grad` and `detect_anomaly` have in common as decorators."""

    def _recreate_cm(self) -> Self:
        """Return a new object for each call of a decorated function to enter and to leave."""
        return type(self)()

    def __call__(self, function: _Function) -> _Function:
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        run_later = isgeneratorfunction, iscoroutinefunction, isasyncgenfunction
        if any(runs_later(function) for runs_later in run_later):
            name = type(self).__name__
            raise TypeError(
                f"{name} cannot decorate a generator function or an async one, whose body runs "
                f"after the call: write 'with {name}():' inside"
            )
        return super().__call__(function)


class no_grad(_backend.GradOff, Block):  # noqa: N801  (as PyTorch spells it)
    """A context manager and a decorator: inside, this thread records nothing.

    Operations give plain leaves; other threads go on recording. While a generator or a coroutine is
    suspended inside, its thread records nothing either.

    Raises TypeError when it decorates a generator function or an async function, whose body runs
    after the call.

    >>> a = Value(2.0)
    >>> with no_grad():
    ...     b = a * 3
    >>> b
    Value(data=6.0, label=, grad=0.0)
    >>> len(b._prev)
    0
    """


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_backend.after_fork)
