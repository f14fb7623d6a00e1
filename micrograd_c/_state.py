"""What a Module holds, by name, for `state_dict` and `load_state_dict`.

Names are paths of attributes, as PyTorch has them. Where PyTorch has a tensor there are lists of
Values here, so that n Values in a list are one entry of shape (n,): a neuron has `w`, a list of
numbers, and `b`, a number.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from ._nesting import is_dataclass
from ._value_methods import loaded, number
from .engine import Value, bulk

Shape = tuple[int, ...]


class Entry(NamedTuple):
    """The Values that have one name, as many as the shape says, in C order."""

    name: str
    shape: Shape
    values: list[Value]


class IncompatibleKeys(NamedTuple):
    """The names that a state lacks, and those that only the state has."""

    missing_keys: list[str]
    unexpected_keys: list[str]


# ---- finding ----


class _Search:
    """A walk over attributes. `module_class` is Module: nn.py, which defines it, imports this.

    A Module that several paths lead to has the shortest one as its name, so that Modules may refer
    to each other.
    """

    def __init__(self, root: Any, module_class: type) -> None:
        self.module_class = module_class
        self.modules: list[Any] = []
        self._names: dict[int, str] = {}  # of Modules, by id
        met: set[int] = set()
        waiting = deque([(root, "")])
        while waiting:
            item, name = waiting.popleft()
            if id(item) in met or isinstance(item, Value):
                continue
            met.add(id(item))
            if isinstance(item, module_class):
                self.modules.append(item)
                self._names[id(item)] = name
            waiting += [(part, own) for own, part in self.parts(item, name)]

    def find(self, item: Any, name: str, above: frozenset[int] = frozenset()) -> list[Entry]:
        """Return the entries of what has this name; `above` has the ids of what it lies in."""
        if isinstance(item, Value):
            return [] if item._prev else [Entry(name, (), [item])]
        if id(item) in above or self._names.get(id(item), name) != name:
            return []  # the Values are found by another way that leads here
        pairs = self.parts(item, name)
        above |= {id(item)}
        parts = [self.find(part, own, above) for own, part in pairs]
        names = [own for own, _ in pairs]
        if is_sequence(item) and _are_alike(parts, names):
            shape = (len(parts), *parts[0][0].shape)
            return [Entry(name, shape, [v for [entry] in parts for v in entry.values])]
        return [entry for part in parts for entry in part]

    def parts(self, item: Any, name: str) -> list[tuple[str, Any]]:
        """Return what a Module or a container has, each part with its name."""
        if isinstance(item, self.module_class) or is_dataclass(type(item)):
            keys, items = list(vars(item)), list(vars(item).values())
        elif is_sequence(item):
            items = list(item)
            keys = [str(i) for i in range(len(items))]
        elif isinstance(item, dict):
            keys, items = [str(key) for key in item], list(item.values())
        else:
            return []
        prefix = name + "." if name else ""
        return [(f"{prefix}{key}", part) for key, part in zip(keys, items)]


def is_sequence(item: Any) -> bool:
    """Whether what an item has goes by numbers: a list, a tuple, an array of objects."""
    if isinstance(item, loaded("numpy", "ndarray")):
        return bool(item.dtype == object and item.ndim > 0)
    return isinstance(item, (list, tuple))


def _are_alike(parts: list[list[Entry]], names: list[str]) -> bool:
    """Return whether the items of a list, whose entries these are, make one entry of a shape."""
    shapes = {
        part[0].shape if len(part) == 1 and part[0].name == name else None
        for part, name in zip(parts, names)
    }
    return len(shapes) == 1 and None not in shapes


def entries(module: Any, module_class: type) -> list[Entry]:
    """Return what a Module holds. Raises ValueError as Module.state_dict says."""
    try:
        search = _Search(module, module_class)
        found = search.find(module, "")
    except RecursionError:
        raise ValueError("lists, dicts or arrays are nested too deeply in this Module") from None
    names = set()
    for entry in found:
        if entry.name in names:
            raise ValueError(f"two attributes or keys have the name {entry.name!r}: rename one")
        names.add(entry.name)
    held = {id(value) for entry in found for value in entry.values}
    for owner in search.modules:
        for p in owner.parameters():
            if id(p) not in held:
                raise ValueError(
                    f"a parameter of {type(owner).__name__} would be missing in the state: {p!r}. "
                    "It must be no result of an operation, and be in an attribute of a Module, "
                    "or there in a list, tuple, dict, dataclass or array"
                )
    return found


def values_below(item: Any, module_class: type) -> list[Value]:
    """Return the Values in a Module, a container or an array; a Value may be there twice."""
    return [value for entry in _Search(item, module_class).find(item, "") for value in entry.values]


# ---- saving and loading ----


def numbers_of(found: list[Entry]) -> dict[str, Any]:
    """Return the data of each entry by name: a float, a list of floats, a list of such lists."""
    flat = _flat(found)
    data = array("d", bytes(8 * len(flat)))
    bulk.get_numbers(flat, data)
    rest = iter(data.tolist())
    return {entry.name: _shaped(rest, entry.shape) for entry in found}


def set_numbers(found: list[Entry], state: Any, strict: bool, owner: str) -> IncompatibleKeys:
    """Set the data of each entry. Raises as Module.load_state_dict says."""
    if not isinstance(state, Mapping):
        raise TypeError(f"a state is a dict, as of state_dict(), not {type(state).__name__!r}")
    known = {entry.name for entry in found}
    keys = IncompatibleKeys(
        [entry.name for entry in found if entry.name not in state],
        [name for name in state if name not in known],
    )
    taken = [entry for entry in found if entry.name in state]
    given = [_opened(state[entry.name], entry.name) for entry in taken]
    wrong = [
        f"{entry.name!r} has {_words(shape)}, not {_words(entry.shape)}"
        for entry, (shape, _) in zip(taken, given)
        if shape != entry.shape
    ]
    if strict and keys.missing_keys:
        wrong.append("missing: " + ", ".join(map(repr, keys.missing_keys)))
    if strict and keys.unexpected_keys:
        wrong.append("unexpected: " + ", ".join(map(repr, keys.unexpected_keys)))
    if wrong:
        raise RuntimeError("\n    ".join([f"this is no state of this {owner}:", *wrong]))
    bulk.set_numbers(_flat(taken), array("d", [x for _, numbers in given for x in numbers]))
    return keys


def _flat(found: list[Entry]) -> tuple[Value, ...]:
    return tuple(value for entry in found for value in entry.values)


def _words(shape: Shape | None) -> str:
    return "lists of several lengths" if shape is None else f"the shape {shape}"


def _shaped(rest: Any, shape: Shape) -> Any:
    """Return the next numbers of an iterator as nested lists of this shape."""
    if not shape:
        return next(rest)
    return [_shaped(rest, shape[1:]) for _ in range(shape[0])]


def _opened(given: Any, name: str) -> tuple[Shape | None, list[float]]:
    """Return shape and numbers of nested lists, or of an array; None for lists of several lengths.

    Raises TypeError for what is no number.
    """
    if hasattr(type(given), "tolist"):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        return (), [number(given, f"each number of {name!r}")]
    parts = [_opened(item, name) for item in given]
    shapes = {shape for shape, _ in parts}
    inner = shapes.pop() if shapes else ()
    shape = None if shapes or inner is None else (len(parts), *inner)
    return shape, [x for _, numbers in parts for x in numbers]
