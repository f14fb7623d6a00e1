"""A check of gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .engine import Value

__all__ = ["gradcheck"]


def gradcheck(
    fn: Callable[..., Value], *inputs: Value | float, eps: float = 1e-6, tol: float = 1e-4
) -> bool:
    """Compare the gradients of `fn(*inputs)` by `backward()` with central differences.

    `fn` takes n Values and returns a Value. `inputs` are n Values or numbers: the derivatives are
    taken at their data. Neither data nor gradients of the inputs are changed. The difference
    quotient for an input x is (f(x + h) - f(x - h)) / 2h with h = eps * max(1, |x|), whose error is
    of order h^2 and of order 1e-16/h (Nocedal and Wright, Numerical Optimization, 8.1).

    Returns True. Raises AssertionError, with the input and both derivatives, if these differ by
    more than `tol`, relative to the largest of 1 and the two absolute values; ValueError if `eps`
    or `tol` is not positive; TypeError if `fn` returns anything but a Value.

    >>> gradcheck(lambda x, y: x * y + x.sin(), 2.0, -3.0)
    True
    """
    if not (eps > 0 and tol > 0):
        raise ValueError(f"eps and tol must be positive, not {eps} and {tol}")
    at = [x.data if isinstance(x, Value) else Value(x).data for x in inputs]
    leaves = [Value(x) for x in at]
    _call(fn, leaves).backward()
    for i, leaf in enumerate(leaves):
        h = eps * max(1.0, abs(at[i]))
        above, below = (
            _call(fn, [Value(x + step * (k == i)) for k, x in enumerate(at)]).data
            for step in (h, -h)
        )
        numeric = (above - below) / (2 * h)
        difference = abs(leaf.grad - numeric) / max(1.0, abs(leaf.grad), abs(numeric))
        if not difference <= tol:
            raise AssertionError(
                f"input {i} at {at[i]!r}: backward gives {leaf.grad!r}, central differences "
                f"{numeric!r}, relative difference {difference:.3g} > {tol:.3g}"
            )
    return True


def _call(fn: Callable[..., Any], leaves: list[Value]) -> Value:
    out = fn(*leaves)
    if not isinstance(out, Value):
        raise TypeError(f"the function must return a Value, not {type(out).__name__!r}")
    return out
