"""What a program is played on: the engine and the model, under the same names."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from values import Push

from fuzz.model import Model, choice, setting
from micrograd_c import dot, engine


def nothing() -> None:
    pass


def _subclasses(base: Any, prefix: str) -> list[Any]:
    """Return the kinds of subclass of a Value class."""

    def own(self: Any, data: Any, children: Any = (), op: str = "") -> None:
        base.__init__(self, data, children, op)
        self.made = "own"
        self._backward = nothing

    def finish(self: Any) -> None:
        base(self.data, (self, self), "last").label = "gone"

    parts: dict[str, dict[str, Any]] = {
        "Plain": {},
        "Slotted": {"__slots__": ("moment", "other")},
        "Own": {"__init__": own},
        "Final": {"__del__": finish} if base is engine.Value else {},
    }
    made = [type(prefix + name, (base,), {**body}) for name, body in parts.items()]
    for cls in made:
        cls.__module__ = __name__
        globals()[cls.__name__] = cls
    return made


class Library(NamedTuple):
    """What differs between the engine and the model."""

    classes: list[Any]
    maximum: Callable[[Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    atan2: Callable[[Any, Any], Any]
    hypot: Callable[[Any, Any], Any]
    dot: Callable[[Any, Any, Any], Any]
    off: Callable[[], Any]
    pickled: Callable[[list[Any], int], list[Any]]
    own: Callable[[Any], Any]  # a Value's own attributes


def _sum_of_products(ws: Any, xs: Any, bias: Any) -> Any:
    return sum((w * x for w, x in zip(ws, xs)), 0 if bias is None else bias)


def pickle_model(values: list[Any], protocol: int) -> list[Any]:
    """Do what a round trip through pickle does."""
    seen: dict[int, Any] = {}  # alive, so that no id comes twice
    stack: list[Any] = [values]
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FunctionType) and "<locals>" in thing.__qualname__:
            raise pickle.PicklingError
        if isinstance(thing, Model):
            stack.extend(thing._children)
            stack.extend(thing._state())
        elif isinstance(thing, (list, tuple)):
            stack.extend(thing)
        elif isinstance(thing, dict):
            stack.extend(thing.values())
        elif isinstance(thing, Push):
            stack.append(thing.out)
    with setting(Model, "pickling", True):
        return copy.deepcopy(values)


ENGINE = Library(
    [engine.Value, *_subclasses(engine.Value, "Engine")],
    engine.maximum,
    engine.minimum,
    engine.atan2,
    engine.hypot,
    dot,
    engine.no_grad,
    lambda values, protocol: pickle.loads(pickle.dumps(values, protocol)),
    lambda value: {k: v for k, v in (engine.attributes(value) or {}).items() if k != "label"},
)
MODEL = Library(
    [Model, *_subclasses(Model, "Model")],
    choice("maximum"),
    choice("minimum"),
    choice("atan2"),
    choice("hypot"),
    _sum_of_products,
    lambda: setting(Model, "off", True),
    pickle_model,
    lambda value: value._own,
)
