"""Where nan and inf come from: detect_anomaly.

Within the block the Values of this thread take their slow ways, and call the functions below:
`_look` for each result, `_follow` for a backward, `_locate` for an error that the engine raises
anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from ._value_methods import call_text, is_own, user_frame, user_line
from .engine import Block, Value, bulk

# At which line a node was recorded, by the node's serial number, which no later node has: for the
# latest results of all threads, half a million to twice as many.
_MOST = 1 << 19
_lines: dict[int, tuple[str, int]] = {}
_earlier_lines: dict[int, tuple[str, int]] = {}

_backward_of: Any = Value.__dict__["_backward"].__get__  # a closure, or the engine's own


class detect_anomaly(bulk.Watch, Block):  # noqa: N801  (as PyTorch spells it)
    """A context manager and a decorator: inside, nan and inf born of finite numbers are errors.

    An operation of this thread raises FloatingPointError where its operands are finite and its
    result is not; `backward` and `grad` do where a node's operands and gradient are finite and a
    gradient that the node gives an operand is not. The error names the operator, labels, operands
    and the line of your code that recorded the operation. Errors that are raised anyway, such as
    the OverflowError of exp, name the line, too. No gradient is asked of numbers, as of the 3 in
    ``x * 3``. Everything is computed operator by operator, and takes many times as long.

    What is recorded for `compile` is not looked at: see `check` of a Program.

    Raises TypeError when it decorates a generator function or an async function, whose body runs
    after the call.

    >>> x = Value(1e200, label='x')
    >>> with detect_anomaly():
    ...     y = x * x  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FloatingPointError: inf of finite numbers: x=1e+200 * x=1e+200 (...)
    """

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if bulk.recorder() is None and not bulk.is_anyone_watched():
            _lines.clear()
            _earlier_lines.clear()


def _where(node: Value) -> str:
    serial = bulk.serial(node)
    line = _lines.get(serial) or _earlier_lines.get(serial)
    return "recorded outside of detect_anomaly" if line is None else f"recorded at {_text(line)}"


def _text(line: tuple[str, int]) -> str:
    return f"{line[0]}:{line[1]}"


def _operand(child: Value) -> str:
    number = bulk.number_of(child)
    return f"{number}" if child.label == "" else f"{child.label}={number}"


def _describe(node: Value) -> str:
    """Return a node's label and what it computes."""
    name, _, children, exponent, _ = bulk.recorded(node)
    operands = [_operand(child) for child in children]
    if name == "exponent":
        operands.append(f"{exponent}")
    text = call_text(node._op or "Value" if name == "custom" else name, *operands)
    return text if node.label == "" else f"{node.label} = {text}"


def _are_finite(children: Sequence[Value]) -> bool:
    return all(isfinite(bulk.number_of(child)) for child in children)


def _look(value: Value, number: float, serial: int, middle: int) -> None:
    """Remember the line of a result, and raise FloatingPointError if it is an anomaly.

    The result has this number and this serial number; `middle` is the serial number of a node that
    the operation has recorded besides, 0 if none.
    """
    global _lines, _earlier_lines
    frame = user_frame()
    line = frame.f_code.co_filename, frame.f_lineno
    if len(_lines) >= _MOST:
        _earlier_lines, _lines = _lines, {}
    _lines[serial] = line
    if middle:
        _lines[middle] = line
    if not isfinite(number) and _are_finite(value._children):
        raise _error(
            FloatingPointError, f"{number} of finite numbers: {_describe(value)}", _text(line)
        )


def _locate(error: Exception) -> Exception:
    return _error(type(error), str(error), user_line())


def _error(kind: type[Exception], text: str, where: str) -> Exception:
    error = kind(f"{text} ({where})")
    error._names_line = True  # type: ignore[attr-defined]
    return error


def line_of(error: Exception) -> str:
    """Return the line of your code that an error comes from; '' if the error names it."""
    line, entry = "", error.__traceback__
    while entry is not None and not hasattr(error, "_names_line"):
        if not is_own(entry.tb_frame):
            line = f"{entry.tb_frame.f_code.co_filename}:{entry.tb_lineno}"
        entry = entry.tb_next
    return line


def _is_number(child: Value) -> bool:
    """Whether an operand is a number of the operation itself, the 3 of x * 3."""
    return not child._children and bulk.serial(child) != 0


def _follow(nodes: list[Value]) -> None:
    """Push the gradients of a graph's nodes, listed from the oldest on, and look at each."""
    for node in reversed(nodes):
        children, gradient = node._children, node.grad
        before = [child.grad for child in children]
        own = "_backward" in (bulk.attributes(node) or {})
        try:
            _backward_of(node)()
        except (ArithmeticError, ValueError) as error:
            if own:
                raise
            raise _error(type(error), str(error), _where(node)) from None
        if not isfinite(gradient) or not _are_finite(children):
            continue
        for child, earlier in zip(children, before):
            if isfinite(earlier) and not isfinite(child.grad) and not _is_number(child):
                text = (
                    f"a gradient of {child.grad} of finite numbers: the backward of "
                    f"{_describe(node)}, whose gradient is {gradient}"
                )
                raise _error(FloatingPointError, text, _where(node))


bulk.watch_by(_look, _follow, _locate)
