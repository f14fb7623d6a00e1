"""What several files of tests make Values of, and do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NOT_NUMBERS = ["a", "1.0", b"1", None, 1j, [], (1.0,), {}, {1.0}, object(), int, range(3)]


def kind(x: Any) -> str:
    return type(x).__name__


def first(v: Any) -> Any:
    return next(iter(v._prev))


def halved(lib: Any, x: Any) -> Any:
    """An operator added outside the class, as the exercise adds them."""
    out = lib.Value(0.5 * x.data, (x,), "half")

    def _backward() -> None:
        x.grad += 0.5 * out.grad

    out._backward = _backward
    return out


class Push:
    """A `_backward` that can be pickled and copied."""

    def __init__(self, out: Any, factor: float) -> None:
        self.out = out
        self.factor = factor

    def __call__(self) -> None:
        for child in self.out._children:
            child.grad += self.factor * self.out.grad


OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "w + w": lambda lib, w, x: w + w,
    "w + x": lambda lib, w, x: w + x,
    "x + w": lambda lib, w, x: x + w,
    "w + 1": lambda lib, w, x: w + 1,
    "1 + w": lambda lib, w, x: 1 + w,
    "w - w": lambda lib, w, x: w - w,
    "w - x": lambda lib, w, x: w - x,
    "x - w": lambda lib, w, x: x - w,
    "w - 1": lambda lib, w, x: w - 1,
    "1 - w": lambda lib, w, x: 1 - w,
    "w * w": lambda lib, w, x: w * w,
    "w * x": lambda lib, w, x: w * x,
    "x * w": lambda lib, w, x: x * w,
    "w * 2": lambda lib, w, x: w * 2,
    "2 * w": lambda lib, w, x: 2 * w,
    "w / w": lambda lib, w, x: w / w,
    "w / x": lambda lib, w, x: w / x,
    "x / w": lambda lib, w, x: x / w,
    "w / 2": lambda lib, w, x: w / 2,
    "2 / w": lambda lib, w, x: 2 / w,
    "w ** w": lambda lib, w, x: w**w,
    "w ** x": lambda lib, w, x: w**x,
    "x ** w": lambda lib, w, x: x**w,
    "w ** 2": lambda lib, w, x: w**2,
    "2 ** w": lambda lib, w, x: 2**w,
    "-w": lambda lib, w, x: -w,
    "+w": lambda lib, w, x: +w,
    "abs": lambda lib, w, x: abs(w),
    "sum": lambda lib, w, x: sum([w, w, x]),
    "tanh": lambda lib, w, x: w.tanh(),
    "exp": lambda lib, w, x: w.exp(),
    "log": lambda lib, w, x: w.log(),
    "relu": lambda lib, w, x: w.relu(),
    "sigmoid": lambda lib, w, x: w.sigmoid(),
    "sin": lambda lib, w, x: w.sin(),
    "cos": lambda lib, w, x: w.cos(),
    "sqrt": lambda lib, w, x: w.sqrt(),
    "log1p": lambda lib, w, x: w.log1p(),
    "expm1": lambda lib, w, x: w.expm1(),
    "tan": lambda lib, w, x: w.tan(),
    "asin": lambda lib, w, x: (w * 0.25).asin(),
    "acos": lambda lib, w, x: (w * 0.25).acos(),
    "atan": lambda lib, w, x: w.atan(),
    "sinh": lambda lib, w, x: w.sinh(),
    "cosh": lambda lib, w, x: w.cosh(),
    "asinh": lambda lib, w, x: w.asinh(),
    "acosh": lambda lib, w, x: w.acosh(),
    "atanh": lambda lib, w, x: (w * 0.25).atanh(),
    "erf": lambda lib, w, x: w.erf(),
    "erfc": lambda lib, w, x: w.erfc(),
    "log2": lambda lib, w, x: w.log2(),
    "log10": lambda lib, w, x: w.log10(),
    "softplus": lambda lib, w, x: w.softplus(),
    "gelu": lambda lib, w, x: w.gelu(),
    "silu": lambda lib, w, x: w.silu(),
    "lgamma": lambda lib, w, x: w.lgamma(),
    "digamma": lambda lib, w, x: w.digamma(),
    "maximum(w, x)": lambda lib, w, x: lib.maximum(w, x),
    "maximum(x, w)": lambda lib, w, x: lib.maximum(x, w),
    "maximum(w, 1)": lambda lib, w, x: lib.maximum(w, 1),
    "minimum(1, w)": lambda lib, w, x: lib.minimum(1, w),
    "atan2(w, x)": lambda lib, w, x: lib.atan2(w, x),
    "atan2(1, w)": lambda lib, w, x: lib.atan2(1, w),
    "hypot(w, x)": lambda lib, w, x: lib.hypot(w, x),
    "hypot(w, 1)": lambda lib, w, x: lib.hypot(w, 1),
}


def plain(base: Any) -> Any:
    return type("Weight", (base,), {})


def own(base: Any) -> Any:
    def __init__(self: Any, data: Any, children: Any = (), op: str = "") -> None:  # noqa: N807
        base.__init__(self, data, children, op)
        self.made = True

    return type("Weight", (base,), {"__init__": __init__})
