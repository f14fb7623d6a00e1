"""Random programs over everything a Value can do, compared step by step with pure Python.

    python tests/fuzz.py --seconds 60 --seed 1 --backend native

A program is a list of steps over a growing list of Values. It is played twice, on the engine and on
`Model`, the pure-Python reference with the engine's order of backward and the rest of its surface;
after each step both must have given the same, and now and then the whole graphs must look the same,
to the last bit. When a program is over and its Values are gone, so are their nodes.

Programs run in a process of their own, so that a crash or a hang is a finding like any other. A
finding is printed with the seed and with the program, shrunk by dropping steps for as long as it
still fails; `--replay` runs such a program again. All is determined by the seed but the moments at
which threads alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import faulthandler
import gc
import multiprocessing
import os
import pickle
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, NamedTuple

HERE = Path(__file__).resolve()

if __name__ == "__main__":  # the backend is chosen before the package is imported
    for _place, _word in enumerate(sys.argv):
        if _word == "--backend":
            os.environ["MICROGRAD_C_BACKEND"] = sys.argv[_place + 1]
    sys.path.append(str(HERE.parent.parent))

from reference import CreationOrdered, _clock  # noqa: E402

from micrograd_c import dot, engine  # noqa: E402
from micrograd_c._command import reference as _reference  # noqa: E402

Step = tuple[Any, ...]
Program = list[Step]

LONGEST = 30  # Values that a program holds at a time
SILENCE = 60.0  # seconds without a program finished that count as a hang

# ---- the model ----


def rebind(function: Any, new: dict[int, Any]) -> Any:
    """Return the function with other Models in its closure: new has them by the old ones' ids."""
    if not isinstance(function, FunctionType) or not function.__closure__:
        return function
    cells = tuple(CellType(_exchange(cell.cell_contents, new)) for cell in function.__closure__)
    code, names = function.__code__, function.__globals__
    return FunctionType(code, names, function.__name__, function.__defaults__, cells)


def _exchange(content: Any, new: dict[int, Any]) -> Any:
    if isinstance(content, tuple):
        return tuple(_exchange(part, new) for part in content)
    return new.get(id(content), content) if isinstance(content, Model) else rebind(content, new)


def _real(number: Any) -> float:
    if not isinstance(number, (float, int, Fraction)):
        raise TypeError
    return float(number)


def _rule_of_partials(out: Any, children: tuple[Any, ...], partials: tuple[float, ...]) -> Any:
    def rule() -> None:
        for child, partial in zip(children, partials):
            child.grad += partial * out.grad

    return rule


_SPELLINGS = {
    "data": "data",
    "children": "children",
    "_children": "children",
    "_prev": "children",
    "op": "op",
    "_op": "op",
    "label": "label",
    "local_grads": "partials",
    "_local_grads": "partials",
}


def _arguments(given: tuple[Any, ...], names: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments by the names in `_SPELLINGS`' second column."""
    if len(given) > 4:
        raise TypeError
    found = dict(zip(("data", "children", "op", "label"), given))
    for name, value in names.items():
        place = _SPELLINGS.get(name)
        if place is None or place in found:
            raise TypeError
        found[place] = value
    if "data" not in found:
        raise TypeError
    if not isinstance(found.get("op", ""), str):
        if "partials" in found:
            raise TypeError
        found["partials"] = found.pop("op")
    return found


class Model(CreationOrdered):
    """The reference with the rest of the engine's surface, and with the engine's few own ways.

    They are: constants are plain Values, not of a subclass; a Value that
    is constructed again shows a new node, and the old one stays in the graphs that use it; leaves
    with a closure have their turn in backward last.
    """

    __slots__ = ()

    _FIELDS = frozenset(
        ("data", "grad", "label", "_children", "_created", "_inner", "_rule", "_symbol", "_own")
    )
    off = False  # within no_grad
    pickling = False
    operating = False  # an operator, not a program, is calling the constructor
    orders: list[list[Any]] = []  # noqa: RUF012  (of the backwards under way)
    living: weakref.WeakSet[Any] = weakref.WeakSet()  # noqa: RUF012

    def __init__(self, *given: Any, **names: Any) -> None:
        found = _arguments(given, names)
        data = _real(found["data"])
        children = _sequence(found.get("children", ()))
        partials = _sequence(found.get("partials", ()))
        if partials and len(partials) != len(children):
            raise ValueError
        if not all(isinstance(child, Model) for child in children):
            raise TypeError
        rates = tuple(_real(partial) for partial in partials)
        if "_own" in self.__dict__:
            ghost = self._leave()
            children = tuple(ghost if child is self else child for child in children)
        else:
            self.__dict__["_own"] = {}
        symbol = found.get("op", "")
        if Model.off:
            children = ()
        self.__dict__.update(
            data=data,
            grad=0.0,
            label=found.get("label", ""),
            _children=children,
            _created=next(_clock),
            _inner=bool(children),
            _rule=_rule_of_partials(self, children, rates),
            _symbol=symbol if self.operating and children else "",
        )
        if symbol != "" and not self.operating:
            self._own["_op"] = symbol
        if partials:
            self._own["_local_grads"] = partials
        Model.living.add(self)

    def _leave(self) -> Any:
        """Put a plain Model in this one's place wherever its node is used."""
        ghost = self._plain()
        for parent in list(Model.living):
            if any(child is self for child in parent._children):
                parent._put(self, ghost)
        for order in Model.orders:
            order[:] = [ghost if node is self else node for node in order]
        for name in ("_op", "_local_grads", "_backward"):
            self._own.pop(name, None)
        return ghost

    def _plain(self) -> Any:
        """Return a Model of the same node without the state of this one."""
        twin = object.__new__(Model)
        twin.__dict__.update(self.__dict__, label="", _own={})
        twin.__dict__["_rule"] = rebind(self._rule, {id(self): twin})
        Model.living.add(twin)
        return twin

    def _put(self, old: Any, new: Any) -> None:
        children = tuple(new if child is old else child for child in self._children)
        self.__dict__.update(_children=children, _rule=rebind(self._rule, {id(old): new}))

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("data", "grad"):
            self.__dict__[name] = _real(value)
        elif name == "label":
            self.__dict__[name] = value
        elif name in ("_op", "_backward") or name in _slots(type(self)):
            object.__setattr__(self, name, value)
        else:
            self._own[name] = value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("_own", {})
        if name in own:
            return own[name]
        raise AttributeError(name)

    def __delattr__(self, name: str) -> None:
        if name in _slots(type(self)):
            object.__delattr__(self, name)
        elif name in self._own and not name.startswith("_"):
            del self._own[name]
        else:
            raise AttributeError(name)

    @property
    def _op(self) -> Any:
        return self._own.get("_op", self._symbol)

    @_op.setter
    def _op(self, text: Any) -> None:
        self._own["_op"] = text

    @property
    def _backward(self) -> Any:
        closure = self._own.get("_backward", _own_rule)
        return self._rule if closure is _own_rule else closure

    @_backward.setter
    def _backward(self, closure: Any) -> None:
        if not callable(closure):
            raise TypeError
        if closure is self._rule:
            self._own["_backward"] = _own_rule
        elif getattr(closure, "__module__", "") == _reference.__name__:
            self._own.pop("_backward", None)
            self.__dict__["_rule"] = closure if self._children else self._rule
        else:
            self._own["_backward"] = closure

    @property
    def _local_grads(self) -> Any:
        if "_local_grads" in self._own:
            return self._own["_local_grads"]
        if self._symbol == "":
            return ()
        before = [child.grad for child in self._children], self.grad
        try:
            self.__dict__["grad"] = 1.0
            for child in self._children:
                child.grad = 0.0
            self._rule()
            return tuple(child.grad for child in self._children)
        finally:
            self.__dict__["grad"] = before[1]
            for child, grad in zip(self._children, before[0]):
                child.grad = grad

    # ---- backward ----

    def _listed(self) -> list[Any]:
        """The nodes in the order of their turns, leaves without a closure left out."""
        reached: dict[Any, None] = {self: None}
        stack: list[Any] = [self]
        while stack:
            for child in stack.pop()._children:
                if child not in reached:
                    reached[child] = None
                    stack.append(child)
        inner = [node for node in reached if node._inner or node is self]
        inner.sort(key=lambda node: node._created, reverse=True)
        leaves = [
            child
            for node in inner
            for child in node._children
            if not child._inner and "_backward" in child._own
        ]
        return [*inner, *dict.fromkeys(leaves)]

    def backward(self) -> None:
        order = self._listed()
        self.grad = 1.0
        Model.orders.append(order)
        try:
            for place in range(len(order)):
                order[place]._backward()
        finally:
            Model.orders[:] = [other for other in Model.orders if other is not order]

    # ---- operators: constants are plain ----

    def _operate(self, name: str, *operands: Any) -> Any:
        """Apply the reference's operator; numbers become plain leaves beside the node."""
        before, Model.operating = Model.operating, True
        try:
            return getattr(CreationOrdered, name)(self, *operands)
        finally:
            Model.operating = before

    def __add__(self, other: Any) -> Any:
        return self._operate("__add__", _constant(other))

    def __mul__(self, other: Any) -> Any:
        return self._operate("__mul__", _constant(other))

    def __pow__(self, other: Any) -> Any:
        return self._operate("__pow__", other)

    def _unary(self, data: float, op: str, partial: Callable[[Any], float]) -> Any:
        return self._operate("_unary", data, op, partial)

    def __rpow__(self, other: Any) -> Any:
        return _with_plain(self._operate("_exponent_of", other), 0)

    # ---- copying ----

    def _twin(self, children: tuple[Any, ...]) -> Any:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _children=children, _own={}, label="")
        twin.__dict__.update(_created=next(_clock), _inner=bool(children))
        new = {id(old): child for old, child in zip(self._children, children)}
        twin.__dict__["_rule"] = rebind(self._rule, {**new, id(self): twin})
        Model.living.add(twin)
        return twin

    def _state(self) -> Any:
        slots = {name: getattr(self, name) for name in _slots(type(self)) if hasattr(self, name)}
        return self.label, dict(self._own), slots

    def _set_state(self, state: Any) -> None:
        self.__dict__.update(label=state[0], _own=state[1])
        for name, value in state[2].items():
            setattr(self, name, value)

    def __copy__(self) -> Any:
        twin = self._twin(self._children)
        twin._set_state(self._state())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        for nodes in reversed(self._listed()), [self]:
            waiting: list[Model] = []
            for node in nodes:
                node._copy_into(memo, waiting)
            for node in waiting:  # a pickle has the states behind all nodes
                node._copy_state(memo)
        return memo[id(self)]

    def _copy_into(self, memo: dict[int, Any], waiting: list[Model]) -> Any:
        if id(self) not in memo and Model.pickling:
            waiting.append(self)
        children = tuple(
            child._copy_into(memo, waiting) for child in self._children if id(self) not in memo
        )
        if id(self) not in memo:  # nor has a child's state led here meanwhile
            memo[id(self)] = self._twin(children)
            memo.setdefault(id(memo), []).append(self)
            if not Model.pickling:
                self._copy_state(memo)
        return memo[id(self)]

    def _copy_state(self, memo: dict[int, Any]) -> None:
        twin = memo[id(self)]
        twin._set_state(copy.deepcopy(self._state(), memo))
        if twin._own.get("_backward") is _own_rule and not Model.pickling:
            del twin._own["_backward"]  # native again


def _own_rule() -> None:
    """Stand for a Model's own rule, assigned to it as a closure."""


def _nothing() -> None:
    pass


def _sequence(given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        raise TypeError
    return tuple(given)


def _constant(other: Any) -> Any:
    """Return a number as the plain leaf it becomes, and anything else as it is."""
    if isinstance(other, Model) or not isinstance(other, (float, int, Fraction)):
        return other
    leaf = Model(other)
    leaf.__dict__["_inner"] = True
    return leaf


def _with_plain(result: Any, place: int) -> Any:
    """Make a constant among the result's children a plain leaf beside it."""
    if isinstance(result, Model) and result._children:
        constant = result._children[place]
        plain = constant._plain()
        plain.__dict__["_inner"] = True
        result._put(constant, plain)
    return result


def _choose(name: str) -> Callable[[Any, Any], Any]:
    function = getattr(_reference, name)

    def choose(a: Any, b: Any) -> Any:
        if not isinstance(a, Model) and not isinstance(b, Model):
            a = Model(a)
        before, Model.operating = Model.operating, True
        try:
            result = function(a, b)
        finally:
            Model.operating = before
        for place, operand in enumerate((a, b)):
            if not isinstance(operand, Model):
                _with_plain(result, place)
        return result

    return choose


def _sum_of_products(ws: Any, xs: Any, bias: Any) -> Any:
    return sum((w * x for w, x in zip(ws, xs)), 0 if bias is None else bias)


@contextlib.contextmanager
def _model_off() -> Iterator[None]:
    before, Model.off = Model.off, True
    try:
        yield
    finally:
        Model.off = before


def _model_pickle(values: list[Any], protocol: int) -> list[Any]:
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
    with _set(Model, "pickling", True):
        return copy.deepcopy(values)


# ---- subclasses and closures ----


class Push:
    """A `_backward` that can be pickled and copied."""

    def __init__(self, out: Any, factor: float) -> None:
        self.out = out
        self.factor = factor

    def __call__(self) -> None:
        for child in self.out._children:
            child.grad += self.factor * self.out.grad


def _slots(cls: type) -> tuple[str, ...]:
    return ("moment", "other") if cls.__name__.endswith("Slotted") else ()


def _subclasses(base: Any, prefix: str) -> list[Any]:
    """Return the kinds of subclass of a Value class."""

    def own(self: Any, data: Any, children: Any = (), op: str = "") -> None:
        base.__init__(self, data, children, op)
        self.made = "own"
        self._backward = _nothing

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
    dot: Callable[[Any, Any, Any], Any]
    off: Callable[[], Any]
    pickled: Callable[[list[Any], int], list[Any]]
    own: Callable[[Any], Any]  # a Value's own attributes


ENGINE = Library(
    [engine.Value, *_subclasses(engine.Value, "Engine")],
    engine.maximum,
    engine.minimum,
    dot,
    engine.no_grad,
    lambda values, protocol: pickle.loads(pickle.dumps(values, protocol)),
    lambda value: {k: v for k, v in (engine.attributes(value) or {}).items() if k != "label"},
)
MODEL = Library(
    [Model, *_subclasses(Model, "Model")],
    _choose("maximum"),
    _choose("minimum"),
    _sum_of_products,
    _model_off,
    _model_pickle,
    lambda value: value._own,
)

# ---- playing ----

UNARY: dict[str, Callable[[Any], Any]] = {
    "-": lambda v: -v,
    "+": lambda v: +v,
    "abs": abs,
    **{
        name: lambda v, name=name: getattr(v, name)()  # type: ignore[misc]
        for name in ("tanh", "exp", "log", "relu", "sigmoid", "sin", "cos", "sqrt")
    },
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "+": lambda lib, x, y: x + y,
    "-": lambda lib, x, y: x - y,
    "*": lambda lib, x, y: x * y,
    "/": lambda lib, x, y: x / y,
    "**": lambda lib, x, y: x**y,
    "maximum": lambda lib, x, y: lib.maximum(x, y),
    "minimum": lambda lib, x, y: lib.minimum(x, y),
}
COMPARE: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x < y,
    lambda x, y: x >= y,
    lambda x, y: x == y,
    lambda x, y: x != y,
    lambda x, y: y in x._prev,
    lambda x, y: len(x._prev | y._prev),
    lambda x, y: [c in y._prev for c in x._children],
    lambda x, y: sorted([x, y], key=lambda v: v.data)[0] is x,
    lambda x, y: {x: 1, y: 2}[x],
]


class ClosureError(Exception):
    """Raised by a closure."""


class Player:
    """Plays steps on one library."""

    def __init__(self, lib: Library) -> None:
        self.lib = lib
        self.values = [lib.classes[0](0.5)]
        self.watched: list[Any] = []
        self.depth = 0
        self.ruled = False  # a native rule has been assigned as a closure
        self.room = 1500  # nodes that chains and copies may still make
        self.exits = contextlib.ExitStack()
        self.offs: list[Any] = []

    def at(self, position: int) -> Any:
        return self.values[-1 - position % len(self.values)]

    def add(self, value: Any) -> Any:
        self.values.append(value)
        if len(self.values) > LONGEST:
            del self.values[0]
        return value.data.hex(), value.grad.hex()

    def play(self, step: Step) -> Any:
        """Return what a program sees of a step."""
        try:
            return getattr(self, "do_" + step[0])(*step[1:])
        except MemoryError:
            raise
        except Exception as error:
            return _kind_of(error)

    def finish(self, seed: int) -> None:
        """Let go of everything, in some order."""
        while self.offs:
            self.offs.pop().__exit__(None, None, None)
        choose = random.Random(seed)
        self.watched.clear()
        while self.values:
            del self.values[choose.randrange(len(self.values))]

    # ---- construction ----

    def do_leaf(self, which: int, spelling: int, x: Any) -> Any:
        cls = self.lib.classes[which]
        if spelling == 0 or which == 3:
            return self.add(cls(x))
        given: list[dict[str, Any]] = [{}, {"data": x}, {"label": "leaf"}, {"_children": ()}]
        names = given[spelling % 4]
        return self.add(cls(**names) if "data" in names else cls(x, **names))

    def do_custom(
        self, which: int, spelling: int, x: Any, places: Sequence[int], partials: Any
    ) -> Any:
        cls, children = self.lib.classes[which], [self.at(place) for place in places]
        if which == 3:
            return self.add(cls(x, children, "own"))
        calls: list[Callable[[], Any]] = [
            lambda: cls(x, tuple(children), "mine"),
            lambda: cls(x, children=children, op="mine"),
            lambda: cls(x, _children=tuple(children), _op="mine", label="named"),
            lambda: cls(x, _prev=children, _op="mine"),
            lambda: cls(x, tuple(children), tuple(partials)),
            lambda: cls(x, iter(children), local_grads=list(partials)),
            lambda: cls(x, children, _local_grads=tuple(partials), op="mine"),
            lambda: cls(x, children, "mine", "named", _local_grads=tuple(partials)),
            lambda: cls(x, children, (*partials, 1.0)),
            lambda: cls(x, [*children, 2.0]),
            lambda: cls(x, children, "mine", colour="red"),
            lambda: cls(x, children, _children=children),
            lambda: cls(x, children, "mine", "named", "more"),
            lambda: cls(x, children, ["a"] * len(children)),
        ]
        return self.add(calls[spelling % len(calls)]())

    def do_init(self, i: int, x: Any, places: Sequence[int], label: bool) -> Any:
        value = self.at(i)
        children = tuple(self.at(place) for place in places)
        if type(value) is self.lib.classes[3]:
            return value.__init__(x, children, "again")
        if label:
            return value.__init__(x, children, "again", "fresh")
        return value.__init__(x, children)

    # ---- operators ----

    def do_unary(self, name: str, i: int) -> Any:
        return self.add(UNARY[name](self.at(i)))

    def do_binary(self, name: str, i: int, j: int) -> Any:
        return self.add(BINARY[name](self.lib, self.at(i), self.at(j)))

    def do_right(self, name: str, i: int, x: Any) -> Any:
        return self.add(BINARY[name](self.lib, self.at(i), x))

    def do_left(self, name: str, x: Any, i: int) -> Any:
        return self.add(BINARY[name](self.lib, x, self.at(i)))

    def do_wrong(self, name: str, i: int, left: bool) -> Any:
        x = self.at(i)
        return self.add(BINARY[name](self.lib, "x", x) if left else BINARY[name](self.lib, x, None))

    def do_sum(self, i: int, j: int) -> Any:
        return self.add(sum([self.at(i), self.at(j), self.at(i)]) * 0.5)

    def do_chain(self, i: int, length: int) -> Any:
        value = self.at(i)
        self.room -= length
        if self.room < 0:
            return None
        for k in range(length):
            value = value * 0.5 + k
        return self.add(value)

    def do_dot(self, ws: Sequence[int], xs: Sequence[Any], bias: Any) -> Any:
        values = [self.at(i) for i in ws]
        others = [self.at(x) if isinstance(x, int) else x for x in xs]
        return self.add(self.lib.dot(values, others, bias if bias is None else self.at(bias)))

    def do_compare(self, how: int, i: int, j: int) -> Any:
        return COMPARE[how % len(COMPARE)](self.at(i), self.at(j))

    # ---- state ----

    def do_data(self, i: int, x: Any) -> None:
        self.at(i).data = x

    def do_grad(self, i: int, x: Any) -> None:
        self.at(i).grad = x

    def do_label(self, i: int, kind: int, j: int) -> None:
        self.at(i).label = ["", "name", ("tuple", 1), self.lib.classes[0](j)][kind % 4]

    def do_op(self, i: int, text: str) -> None:
        self.at(i)._op = text

    def do_attribute(self, i: int, name: str, kind: int, j: int) -> None:
        other = self.at(j)
        things = [1, "text", [1, 2], other, [other, other], (self.at(i),), Push(other, 1.0)]
        setattr(self.at(i), name, things[kind % len(things)])

    def do_delete(self, i: int, name: str) -> None:
        delattr(self.at(i), name)

    def do_close(self, i: int, kind: int, j: int, factor: float) -> None:
        self.at(i)._backward = self.closure(self.at(i), kind, self.at(j), factor)

    def closure(self, out: Any, kind: int, other: Any, factor: float) -> Any:
        """Return something to be assigned to `out._backward`."""
        children = out._children

        def push() -> None:
            for child in children:
                child.grad += factor * out.grad

        def stop() -> None:
            raise ClosureError

        def record() -> None:
            self.add(other * factor + out)

        def differentiate() -> None:
            if self.depth < 2:
                self.depth += 1
                try:
                    (other * factor).backward()
                    other.backward()
                finally:
                    self.depth -= 1

        def construct() -> None:
            other.__init__(factor)

        def forget() -> None:
            if len(self.values) > 1:
                del self.values[0]
            gc.collect()

        def mark() -> None:
            other.label = "marked"
            out.seen = other
            push()

        def reassign() -> None:
            other._backward = push

        self.ruled |= kind == 2
        kinds = [push, Push(out, factor), out._backward, stop, record, differentiate, construct]
        kinds += [forget, mark, reassign, _nothing, 5]
        return kinds[kind % len(kinds)]

    # ---- gradients ----

    def do_backward(self, i: int) -> None:
        self.at(i).backward()

    def do_push(self, i: int) -> None:
        self.at(i)._backward()

    def do_partials(self, i: int) -> Any:
        value = self.at(i)
        children = value._children
        if len(set(children)) < len(children):
            return None
        return [
            float(partial) + 0.0 if partial == partial else "nan" for partial in value._local_grads
        ]

    # ---- looking ----

    def do_walk(self, i: int, j: int) -> Any:
        children = self.at(i)._children
        return self.add(children[j % len(children)]) if children else None

    def do_watch(self, i: int, j: int) -> Any:
        other = weakref.ref(self.at(j))
        found: list[float] = []

        def died(reference: Any) -> None:
            value = other()  # the callback of a dying Value looks around in its graph
            if value is not None:
                found.extend(child.data for child in value._children)

        reference = weakref.ref(self.at(i), died)
        self.watched.append(reference)
        return reference() is self.at(i)

    def do_look(self) -> Any:
        return self.picture()

    def picture(self) -> list[Any]:
        """Everything that can be seen of the graphs under the Values."""
        number: dict[Any, int] = {}
        stack: list[Any] = list(self.values)
        while stack:
            value = stack.pop()
            if value not in number:
                number[value] = len(number)
                stack.extend(value._prev)
                self.inside([value.label, *self.lib.own(value).values()], stack)
                self.inside([getattr(value, name, None) for name in _slots(type(value))], stack)
        held = set(self.values)
        return [self.appearance(value, number, value in held) for value in number]

    def inside(self, thing: Any, found: list[Any]) -> None:
        """Append the Values within a thing that has been assigned somewhere."""
        if isinstance(thing, self.lib.classes[0]):
            found.append(thing)
        elif isinstance(thing, (list, tuple)):
            for part in thing:
                self.inside(part, found)
        elif isinstance(thing, Push):
            found.append(thing.out)

    def appearance(self, value: Any, number: dict[Any, int], held: bool) -> Any:
        def shown(thing: Any) -> Any:
            if isinstance(thing, self.lib.classes[0]):
                return "Value", number[thing]
            if isinstance(thing, (list, tuple)):
                return [shown(part) for part in thing]
            if isinstance(thing, Push):
                return "Push", number[thing.out], thing.factor
            return thing if isinstance(thing, (int, str)) else type(thing).__name__

        own = {
            name: shown(thing)
            for name, thing in self.lib.own(value).items()
            if name not in ("_op", "_backward", "_local_grads")
        }
        slots = [shown(getattr(value, name, None)) for name in _slots(type(value))]
        kind = self.lib.classes.index(type(value)) if held else None
        children = [number[child] for child in value._children]
        numbers = value.data.hex(), value.grad.hex()
        return kind, value._op, shown(value.label), numbers, children, own, slots

    # ---- copies ----

    def do_copy(self, i: int) -> Any:
        if self.ruled:  # a copy would share the original's rule
            return None
        return self.add(copy.copy(self.at(i)))

    def has_room(self) -> bool:
        """Whether the graphs may double once more."""
        self.room //= 2
        return self.room > 20

    def do_deepcopy(self, i: int, j: int) -> Any:
        if not self.has_room():
            return None
        return [self.add(twin) for twin in copy.deepcopy([self.at(i), self.at(j)])]

    def do_pickle(self, i: int, j: int, protocol: int) -> Any:
        if not self.has_room():
            return None
        twins = self.lib.pickled([self.at(i), self.at(j)], protocol)
        return [self.add(twin) for twin in twins]

    # ---- around the program ----

    def do_drop(self, i: int) -> None:
        if len(self.values) > 1:
            del self.values[-1 - i % len(self.values)]

    def do_off(self) -> None:
        off = self.lib.off()
        off.__enter__()
        self.offs.append(off)

    def do_on(self) -> None:
        if self.offs:
            self.offs.pop().__exit__(None, None, None)

    def do_collect(self, generation: int) -> None:
        if self.lib is ENGINE:
            gc.collect(generation)

    def do_threshold(self, threshold: int) -> None:
        if self.lib is ENGINE:
            gc.set_threshold(threshold, 5, 5)

    def do_trim(self) -> None:
        if self.lib is ENGINE:
            engine.trim()

    def do_threads(self, seed: int, count: int) -> Any:
        """Play as many programs, each in a thread of its own, or one after the other."""
        programs = [generate(random.Random(f"{seed} {k}"), 25, within=True) for k in range(count)]
        if self.lib is MODEL:
            with _set(Model, "off", False):
                return [_play_alone(self.lib, program) for program in programs]
        results: list[Any] = [None] * count

        def run(k: int) -> None:
            results[k] = _play_alone(self.lib, programs[k])

        threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        return results


def _kind_of(error: Exception) -> str:
    """Return what two libraries must agree on of an exception."""
    return type(error).__name__


@contextlib.contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _play_alone(lib: Library, program: Program) -> list[Any]:
    player = Player(lib)
    try:
        seen = [player.play(step) for step in program]
        return [*seen, player.picture()]
    finally:
        player.finish(len(program))


# ---- comparing ----

# Steps of which an engine that runs out of memory has done nothing.
ALL_OR_NOTHING = {
    *("leaf", "custom", "unary", "binary", "right", "left", "walk", "label", "attribute", "op"),
    *("copy", "deepcopy", "pickle", "partials", "look"),
}


def difference(program: Program) -> str | None:
    """Play a program on the engine and on the model; return how they differ, or None."""
    threshold = gc.get_threshold()
    _settle()
    before = engine.statistics()[:2]
    ours, model = Player(ENGINE), Player(MODEL)
    try:
        found = _play_both(ours, model, program)
    finally:
        engine.fail_after(0)
        gc.set_threshold(*threshold)
        ours.finish(len(program))
        model.finish(len(program))
    del ours, model
    _settle()
    after = engine.statistics()[:2]
    if found is None and after != before:
        return f"living (nodes, leaves): {tuple(before)} before, {tuple(after)} after"
    return found


def _settle() -> None:
    for _ in range(4):
        gc.collect()


def _play_both(ours: Player, model: Player, program: Program) -> str | None:
    for place, step in enumerate(program):
        if step[0] == "fail":
            engine.fail_after(step[1])
            step = step[2]
        try:
            seen = ours.play(step)
        except MemoryError:
            if program[place][0] != "fail":
                return f"step {place}, {step}: MemoryError"
            ours.room = model.room
            continue
        finally:
            engine.fail_after(0)
        where = _compare(seen, model.play(step))
        if where is not None:
            return f"step {place}, {step}: {where}"
    where = _compare(ours.picture(), model.picture())
    return None if where is None else f"at the end: {where}"


def _compare(seen: Any, expected: Any, path: str = "result") -> str | None:
    """Return where two results first differ, and how; None if they do not."""
    if seen == expected:
        return None
    if isinstance(seen, (list, tuple)) and type(seen) is type(expected):
        if len(seen) != len(expected):
            return f"{path}: length {len(seen)}, of the model {len(expected)}"
        for place, (ours, theirs) in enumerate(zip(seen, expected)):
            where = _compare(ours, theirs, f"{path}[{place}]")
            if where is not None:
                return where
    return f"{path}:\n  engine {seen}\n  model  {expected}"


# ---- programs ----


def generate(choose: random.Random, length: int, within: bool = False) -> Program:
    """Return a random program; within a thread, one that leaves the rest of the process alone."""
    makers = _makers(choose)
    if within:
        for name in ("threads", "fail", "threshold"):
            del makers[name]
    # A few kinds of step prevail in each program, so that they meet.
    weights = {name: weight * choose.choice((0, 1, 1, 4)) for name, (weight, _) in makers.items()}
    weights["leaf"], weights["binary"] = weights["leaf"] + 2, weights["binary"] + 2
    names = choose.choices(list(weights), list(weights.values()), k=length)
    return [(name, *makers[name][1]()) for name in names]


def _makers(choose: random.Random) -> dict[str, tuple[int, Callable[[], tuple[Any, ...]]]]:
    """Return for each kind of step its weight and a maker of its arguments."""
    special = [0.0, -0.0, 1.0, -1.0, 2.0, 1e308, 5e-324, float("inf"), -float("inf"), float("nan")]

    def number() -> Any:
        kind = choose.randrange(12)
        if kind == 0:
            return choose.choice(special)
        return (
            choose.randint(-3, 4)
            if kind == 1
            else round(choose.gauss(0, 1.5), choose.choice((1, 9)))
        )

    def where() -> int:
        return int(choose.expovariate(0.3))

    def places() -> list[int]:
        return [where() for _ in range(choose.choice((0, 1, 1, 2, 2, 3, 9)))]

    def custom() -> tuple[Any, ...]:
        spots = places()
        spelling = choose.choice((*range(8), *range(14)))
        partials = [round(choose.gauss(0, 1), 3) for _ in spots]
        return choose.choice((0, 0, 0, 1, 2, 3, 4)), spelling, number(), spots, partials

    def failing() -> tuple[Any, ...]:
        name = choose.choice(sorted(ALL_OR_NOTHING))
        return choose.randint(1, 6), (name, *makers[name][1]())

    def dot_product() -> tuple[Any, ...]:
        ws = [where() for _ in range(choose.choice((1, 2, 3, 4, 9)))]
        numbers = choose.choice((0.0, 0.0, 1.0, 0.3))
        xs = [float(number()) if choose.random() < numbers else where() for _ in ws]
        return ws, xs, choose.choice((None, where()))

    binary, unary, names = sorted(BINARY), sorted(UNARY), ("colour", "above", "moment", "other")
    makers: dict[str, tuple[int, Callable[[], tuple[Any, ...]]]] = {
        "leaf": (6, lambda: (choose.choice((0, 0, 0, 1, 2, 3, 4)), choose.randrange(4), number())),
        "custom": (5, custom),
        "init": (1, lambda: (where(), number(), places(), choose.random() < 0.3)),
        "unary": (8, lambda: (choose.choice(unary), where())),
        "binary": (12, lambda: (choose.choice(binary), where(), where())),
        "right": (6, lambda: (choose.choice(binary), where(), number())),
        "left": (6, lambda: (choose.choice(binary), number(), where())),
        "wrong": (1, lambda: (choose.choice(binary), where(), choose.random() < 0.5)),
        "sum": (1, lambda: (where(), where())),
        "dot": (6, dot_product),
        "chain": (1, lambda: (where(), choose.choice((10, 10, 100, 100, 500)))),
        "compare": (2, lambda: (choose.randrange(20), where(), where())),
        "data": (3, lambda: (where(), choose.choice((number(), number(), "x")))),
        "grad": (2, lambda: (where(), choose.choice((number(), number(), None)))),
        "label": (4, lambda: (where(), choose.choice((0, 1, 1, 1, 2, 3)), where())),
        "op": (1, lambda: (where(), choose.choice(("", "*", "given")))),
        "attribute": (4, lambda: (where(), choose.choice(names), choose.randrange(7), where())),
        "delete": (1, lambda: (where(), choose.choice((*names, "data", "nothing")))),
        "close": (5, lambda: (where(), choose.randrange(12), where(), number())),
        "backward": (6, lambda: (where(),)),
        "push": (2, lambda: (where(),)),
        "partials": (1, lambda: (where(),)),
        "walk": (3, lambda: (where(), choose.randrange(4))),
        "watch": (2, lambda: (where(), where())),
        "look": (1, lambda: ()),
        "copy": (1, lambda: (where(),)),
        "deepcopy": (1, lambda: (where(), where())),
        "pickle": (1, lambda: (where(), where(), choose.randint(0, pickle.HIGHEST_PROTOCOL))),
        "drop": (5, lambda: (where(),)),
        "off": (1, lambda: ()),
        "on": (2, lambda: ()),
        "collect": (1, lambda: (choose.randrange(3),)),
        "threshold": (1, lambda: (choose.choice((2, 30, 700)),)),
        "trim": (1, lambda: ()),
        "threads": (1, lambda: (choose.randrange(10**6), choose.randint(2, 3))),
        "fail": (3, failing),
    }
    return makers


def program_of(seed: int, index: int) -> Program:
    choose = random.Random(f"{seed} {index}")
    return generate(choose, choose.choice((10, 30, 60, 120)))


# ---- shrinking ----


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Return a program that still fails and does so no longer without any one of its steps."""
    size = max(1, len(program) // 2)
    while True:
        start, shorter = 0, False
        while start < len(program):
            candidate = program[:start] + program[start + size :]
            if fails(candidate):
                program, shorter = candidate, True
            else:
                start += size
        if size == 1 and not shorter:
            return program
        size = max(1, size // 2)


# ---- processes ----


_planted: list[str] = []  # passed on to every process


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(HERE), "--backend", engine.BACKEND, *_planted, *arguments]


def _replay_fails(program: Program) -> bool:
    """Whether a program, played in a child of this process, makes it fail in whatever way."""
    child = multiprocessing.get_context("fork").Process(target=_replay, args=(program,))
    child.start()
    child.join(SILENCE)
    child.kill()  # it hangs, or has ended
    child.join()
    return child.exitcode != 0


def _replay(program: Program) -> None:
    faulthandler.disable()  # what a child dies of is told in the end
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.exit(difference(program) is not None)


def _work(seed: int, first: int, seconds: float, programs: int) -> int:
    """Play programs until the time is over; say which is under way."""
    end = time.monotonic() + seconds
    index = first
    while time.monotonic() < end and index < programs:
        print("program", index, flush=True)
        found = difference(program_of(seed, index))
        if found is not None:
            print("found", found, flush=True)
            return 1
        index += 1
    print("done", index - first, flush=True)
    return 0


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _watch(seed: int, seconds: float, programs: int) -> tuple[int, str | None, int]:
    """Run a process that plays; return the last program, what is wrong with it, and how many."""
    command = _command("--work", "--seed", str(seed), "--seconds", str(seconds))
    with subprocess.Popen(
        [*command, "--programs", str(programs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        index, text = -1, ""
        while True:
            try:
                line = lines.get(timeout=SILENCE)
            except queue.Empty:
                process.send_signal(signal.SIGABRT)  # faulthandler says where
                trace = "".join(iter(lines.get, None))
                return index, f"it hangs\n{trace}", index
            if line is None:
                break
            if line.startswith("program "):
                index, text = int(line.split()[1]), ""
            else:
                text += line
    if process.returncode == 0:
        return index, None, index + 1
    return index, text or f"the process died with status {process.returncode}", index


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--programs", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--backend", choices=["native", "cffi"], default=engine.BACKEND)
    parser.add_argument("--replay", metavar="PROGRAM", help="a program as printed; - reads it")
    parser.add_argument("--plant", default="", help="statements that break Value")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    faulthandler.enable()
    gc.freeze()  # what has been imported; a program is settled by many collections
    exec(options.plant, {"Value": engine.Value})
    _planted[:] = ["--plant", options.plant] if options.plant else []
    seed = random.randrange(10**9) if options.seed is None else options.seed
    if options.replay is not None:
        text = sys.stdin.read() if options.replay == "-" else options.replay
        found = difference(_program(text))
        print(found or "no difference")
        return int(found is not None)
    if options.work:
        return _work(seed, 0, options.seconds, options.programs)
    index, found, count = _watch(seed, options.seconds, options.programs)
    if found is None:
        print(f"{count} programs on {engine.BACKEND}, seed {seed}: no difference")
        return 0
    print(f"seed {seed}, program {index} on {engine.BACKEND}: {found.strip()}", flush=True)
    program = program_of(seed, index)
    if not _replay_fails(program):
        print("not by itself: it takes the programs before it; program:", program)
        return 1
    program = shrink(program, _replay_fails)
    print(f"shrunk to {len(program)} steps:\n{program!r}")
    done = subprocess.run(
        _command("--replay", "-"), input=repr(program), text=True, capture_output=True
    )
    print(done.stdout.strip() or f"status {done.returncode}\n{done.stderr.strip()}")
    return 1


def _program(text: str) -> Program:
    """Read a program as Python prints it; inf and nan are names there."""
    names = {"inf": float("inf"), "nan": float("nan")}
    return eval(text, {"__builtins__": {}}, names)


if __name__ == "__main__":
    sys.exit(main())
