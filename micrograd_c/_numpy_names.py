"""numpy's names for functions of Values.

For an object numpy calls the method that has the function's name: `np.arcsin(v)` calls `v.arcsin()`
and `np.hypot(v, w)` calls `v.hypot(w)`, for each element where an array holds Values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._value_methods import ValueMethods
from .engine import atan2, hypot


def _alias(ours: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return getattr(self, ours)()

    method.__doc__ = f"Return self.{ours}()."
    return method


def _arctan2(self: Any, other: Any) -> Any:
    """Return atan2(self, other)."""
    return atan2(self, other)


def _hypot(self: Any, other: Any) -> Any:
    """Return hypot(self, other)."""
    return hypot(self, other)


def _conjugate(self: Any) -> Any:
    """Return the Value itself, a real number: np.var and np.std ask for it."""
    return self


_ALIASES = {
    **{f"arc{name}": _alias(f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "arctan2": _arctan2,
    "hypot": _hypot,
    "conjugate": _conjugate,
}
for _name, _method in _ALIASES.items():
    _method.__name__, _method.__qualname__ = _name, f"ValueMethods.{_name}"
    setattr(ValueMethods, _name, _method)
