"""What the engine is compared with: the reference with the rest of the engine's surface."""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import CellType, FunctionType
from typing import Any

from reference import CreationOrdered, _clock

from micrograd_c._command import reference as _reference


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
        elif name in ("_op", "_backward") or name in slots_of(type(self)):
            object.__setattr__(self, name, value)
        else:
            self._own[name] = value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("_own", {})
        if name in own:
            return own[name]
        raise AttributeError(name)

    def __delattr__(self, name: str) -> None:
        if name in slots_of(type(self)):
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
        slots = {name: getattr(self, name) for name in slots_of(type(self)) if hasattr(self, name)}
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


def choice(name: str) -> Callable[[Any, Any], Any]:
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


def slots_of(cls: type) -> tuple[str, ...]:
    return ("moment", "other") if cls.__name__.endswith("Slotted") else ()


@contextlib.contextmanager
def setting(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have an attribute set within the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
