"""Value(...) in all its spellings, and results that are of a subclass, for both backends.

A backend has short ways of its own for the calls that programs make in their loops. All other calls
come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._value_methods import ValueMethods, makes_results, real

if TYPE_CHECKING:
    from typing import Protocol

    class Backend(Protocol):
        """What the functions here need of a backend. A new node is whatever `make` returns."""

        def recorder(self) -> Any:
            """Return the recorder, which this thread's Values ask; None: no program is recorded."""

        def make(self, data: float, children: tuple[Any, ...], partials: tuple[float, ...]) -> Any:
            """Return a new node with n children, and n partials or none; in no_grad a leaf.

            Without children the node is a leaf, too.
            """

        def renew(
            self, value: Any, made: Any, label: Any, op: str, partials: tuple[Any, ...]
        ) -> None:
            """Let a Value show `made`: a new node, or the node of a Value that nobody else has.

            The Value gets this label, operator's name and local gradients, and loses its
            `_backward`.
            """

        def number_of(self, value: Any) -> float:
            """Return the data of a Value, also while a program is recorded."""

        def replace(self, result: Any, recorded: Any) -> None:
            """Let `result` show the node of `recorded`, a Value that nobody else has.

            `result` keeps its data and its label.
            """


class _NotGiven(tuple):  # type: ignore[type-arg]
    """The empty tuple as a parameter's default: not the same as an empty tuple that was given."""


NOT_GIVEN = _NotGiven()
_PARAMETERS = "data", "children", "op", "label", "partials"
_SPELLINGS = {
    **{name: name for name in _PARAMETERS[:4]},
    "_children": "children",
    "_prev": "children",
    "_op": "op",
    "local_grads": "partials",
    "_local_grads": "partials",
}


def _take_names(given: dict[str, Any], names: dict[str, Any]) -> None:
    """Add keyword arguments, in any spelling of their names, to the arguments given.

    Raises TypeError for a name that is no parameter's, and for an argument given twice.
    """
    for name, value in names.items():
        if not isinstance(name, str):
            raise TypeError("keywords must be strings")
        known = _SPELLINGS.get(name)
        if known is None:
            raise TypeError(f"Value() got an unexpected keyword argument '{name}'")
        if given[known] is not NOT_GIVEN:
            raise TypeError(f"Value() got multiple values for argument '{name}'")
        given[known] = value


def _as_tuple(given: Any, message: str) -> tuple[Any, ...]:
    if isinstance(given, str) or not hasattr(type(given), "__iter__"):
        raise TypeError(f"{message}, not {type(given).__name__!r}")
    return tuple(given)


def construct(
    backend: Backend,
    self: Any,
    names: dict[str, Any] | None,
    data: Any = NOT_GIVEN,
    children: Any = NOT_GIVEN,
    op: Any = NOT_GIVEN,
    label: Any = NOT_GIVEN,
    *more: Any,
) -> None:
    """Let self show the new node that Value(data, children, op, label, **names) is to make.

    Raises TypeError for arguments of other types or names, ValueError for local gradients that are
    not as many as the children, OverflowError for an int that a float cannot hold.
    """
    partials: Any = NOT_GIVEN
    if more:
        count = 4 + len(more)
        raise TypeError(f"Value() takes from 1 to 4 positional arguments but {count} were given")
    if names:
        given = dict(zip(_PARAMETERS, (data, children, op, label, partials)))
        _take_names(given, names)
        data, children, op, label, partials = given.values()
    if op is NOT_GIVEN:
        op = ""
    elif not isinstance(op, str):  # the third argument as microgpt has it: local gradients
        if partials is not NOT_GIVEN:
            raise TypeError("Value() got multiple values for argument 'local_grads'")
        op, partials = "", op
    if data is NOT_GIVEN:
        raise TypeError("Value() missing 1 required positional argument: 'data'")
    made, partials = _make(backend, data, children, partials)
    backend.renew(self, made, "" if label is NOT_GIVEN else label, op, partials)


def _make(backend: Backend, data: Any, children: Any, partials: Any) -> Any:
    """Return a new node, and the local gradients that its Value shows, as they were given."""
    recorder = backend.recorder()
    if recorder is None:
        data = real(data, "Value() data")
    if type(children) is not tuple and children is not NOT_GIVEN:
        children = _as_tuple(children, "Value() children must be an iterable of Values")
    if type(partials) is not tuple and partials is not NOT_GIVEN:
        partials = _as_tuple(partials, "Value() local gradients must be a sequence")
    if partials and len(partials) != len(children):
        raise ValueError(
            f"Value() got {len(partials)} local gradients for {len(children)} children"
        )
    for child in children:
        if not isinstance(child, ValueMethods):
            kind = type(child).__name__
            raise TypeError(f"each of Value()'s children must be a Value, not {kind!r}")
    if recorder is not None:
        made = recorder.construct(data, children, partials)
        if made is not None:
            return made, ()
        data = real(data, "Value() data")
    if partials:
        numbers = [real(partial, "each of Value()'s local gradients") for partial in partials]
        return backend.make(data, children, tuple(numbers)), partials
    return backend.make(data, children, ()), ()


def result_by_call(backend: Backend, cls: Any, recorded: Any) -> Any:
    """Return what the constructor of a subclass makes; that Value then shows the recorded node.

    Where the constructor takes other arguments than (data, children, op), return the recorded Value
    itself.
    """
    if not makes_results(cls):
        return recorded
    number, recorder = backend.number_of(recorded), backend.recorder()
    data = number if recorder is None else recorder.read(recorded)
    result = cls(data, recorded._children, recorded._op)
    if isinstance(result, ValueMethods):
        if recorder is not None and backend.number_of(result) != number and number == number:
            recorder.refuse("a constructor that changes its data")
        backend.replace(result, recorded)
    return result
