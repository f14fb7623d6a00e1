"""Many nodes in one call: sums, products, losses.

Each function records exactly the nodes that the plain Python expression in its docstring records:
the same graph, the same bits, the same picture. What is saved is the crossing into C for every
operator. Elements are Values or real numbers; of numbers alone the result is a leaf. Values of a
subclass, which may have operators of its own, are recorded by that very expression. A real number
of another type than float and int, of numpy's for example, counts as the float it is.

All of them raise ValueError where lengths differ, TypeError for elements of other types, and what
the expression itself raises: OverflowError, ValueError of a logarithm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import index
from typing import Any

from ._recording import Number, largest
from ._value_methods import as_real
from .engine import Value, bulk

__all__ = ["cross_entropy", "dot", "hinge", "linear", "mean", "mse", "softmax", "total"]

Element = Value | float


def dot(ws: Collection[Element], xs: Collection[Element], bias: Element | None = None) -> Value:
    """Return ``sum((w * x for w, x in zip(ws, xs)), bias)``, where bias is 0 if None.

    >>> dot([Value(2.0), Value(3.0)], [10.0, 100.0], Value(1.0)).data
    321.0
    """
    ws, xs = _listed(ws), _listed(xs)
    result: Any = bulk.dot(ws, xs, bias)
    if result is NotImplemented:
        _same_length(ws, "weights", xs, "inputs")
        ws, xs = plain_numbers(ws, "dot()"), plain_numbers(xs, "dot()")
        bias = None if bias is None else plain_numbers([bias], "dot()")[0]
        result = bulk.dot(ws, xs, bias)
    if result is NotImplemented:
        return _as_value(sum((w * x for w, x in zip(ws, xs)), 0 if bias is None else bias))
    return result  # type: ignore[no-any-return]


def linear(
    weights: Collection[Collection[Element]],
    xs: Collection[Element],
    biases: Collection[Element] | None = None,
) -> list[Value]:
    """Return ``[dot(ws, xs, bias) for ws, bias in zip(weights, biases)]``: a matrix by a vector.

    weights are n rows of m elements, xs m elements, biases n or none; the result has n Values.

    >>> [v.data for v in linear([[Value(1.0), 2.0], [3.0, Value(4.0)]], [1.0, 10.0])]
    [21.0, 43.0]
    """
    weights, xs = _listed(weights), _listed(xs)
    biases = None if biases is None else _listed(biases)
    result: Any = bulk.linear(weights, xs, biases)
    if result is NotImplemented:
        starts = [None] * len(weights) if biases is None else biases
        _same_length(starts, "biases", weights, "rows of weights")
        xs = plain_numbers(xs, "linear()")
        return [dot(ws, xs, start) for ws, start in zip(weights, starts)]
    return result  # type: ignore[no-any-return]


def total(values: Iterable[Element]) -> Value:
    """Return ``sum(values)``; like sum, of any iterable.

    >>> total([Value(1.0), Value(2.0), 3]).data
    6.0
    """
    values = _listed(values)
    result: Any = bulk.total(values)
    if result is NotImplemented:
        values = plain_numbers(values, "total()")
        result = bulk.total(values)
    return _as_value(sum(values)) if result is NotImplemented else result


def mean(values: Collection[Element]) -> Value:
    """Return ``sum(values) / len(values)``. Raises ValueError if there are none.

    >>> mean([Value(1.0), Value(2.0)]).data
    1.5
    """
    values = _listed(values)
    result: Any = bulk.mean(values)
    if result is NotImplemented:
        values = plain_numbers(values, "mean()")
        result = bulk.mean(values)
    if result is NotImplemented:
        return _as_value(sum(values) / len(values))
    return result  # type: ignore[no-any-return]


def softmax(logits: Collection[Element]) -> list[Value]:
    """Return the shares exp(v) / sum(exp(v)), computed without overflow.

    The expression is ``top = max(v.data for v in logits); exps = [(v - top).exp() for v in
    logits]; total = sum(exps); [e / total for e in exps]``: top is a number, of which the result
    does not depend. Raises ValueError if there are no logits.

    >>> [p.data for p in softmax([Value(1.0), Value(1.0)])]
    [0.5, 0.5]
    """
    logits = _listed(logits)
    result: Any = bulk.softmax(logits)
    if result is NotImplemented:
        logits = plain_numbers(logits, "softmax()")
        result = bulk.softmax(logits)
    if result is NotImplemented:
        exps = _exponentials(logits)
        together = sum(exps)
        return [e / together for e in exps]
    return result  # type: ignore[no-any-return]


def cross_entropy(logits: Collection[Element], target: int) -> Value:
    """Return ``-softmax(logits)[target].log()``, without the other shares.

    Raises IndexError if there is no such target, ValueError if its share is 0 (log 0).

    >>> round(cross_entropy([Value(1.0), Value(1.0)], 0).data, 6)
    0.693147
    """
    logits = _listed(logits)
    result: Any = bulk.cross_entropy(logits, index(target))
    if result is NotImplemented:
        logits = plain_numbers(logits, "cross_entropy()")
        result = bulk.cross_entropy(logits, index(target))
    if result is NotImplemented:
        exps = _exponentials(logits)
        share: Any = exps[target] / sum(exps)
        return -share.log()  # type: ignore[no-any-return]
    return result  # type: ignore[no-any-return]


def mse(predictions: Collection[Element], targets: Collection[Element]) -> Value:
    """Return ``sum((p - t)**2 for p, t in zip(predictions, targets)) / len(targets)``.

    The mean squared error. Raises ValueError if there are none.

    >>> mse([Value(1.0), Value(2.0)], [0.0, 4.0]).data
    2.5
    """
    predictions, targets = _listed(predictions), _listed(targets)
    result: Any = bulk.mse(predictions, targets)
    if result is NotImplemented:
        _same_length(predictions, "predictions", targets, "targets")
        predictions = plain_numbers(predictions, "mse()")
        targets = plain_numbers(targets, "mse()")
        result = bulk.mse(predictions, targets)
    if result is NotImplemented:
        squares = ((p - t) ** 2 for p, t in zip(predictions, targets))
        return _as_value(sum(squares) / len(targets))
    return result  # type: ignore[no-any-return]


def hinge(scores: Collection[Element], targets: Collection[Element]) -> Value:
    """Return ``sum((1 + -t * s).relu() for s, t in zip(scores, targets)) / len(targets)``.

    The mean max-margin loss, for targets -1 and +1. Raises ValueError if there are none.

    >>> hinge([Value(0.5), Value(3.0)], [1, -1]).data
    2.25
    """
    scores, targets = _listed(scores), _listed(targets)
    result: Any = bulk.hinge(scores, targets)
    if result is NotImplemented:
        _same_length(scores, "predictions", targets, "targets")
        scores, targets = plain_numbers(scores, "hinge()"), plain_numbers(targets, "hinge()")
        result = bulk.hinge(scores, targets)
    if result is NotImplemented:
        margins = (_as_value(1 + -t * s).relu() for s, t in zip(scores, targets))
        return _as_value(sum(margins) / len(targets))
    return result  # type: ignore[no-any-return]


def _listed(values: Iterable[Any]) -> Sequence[Any]:
    """Return what can be read twice, as a generator cannot, and without anybody's own iterator."""
    return values if type(values) in (list, tuple) else list(values)  # type: ignore[return-value]


def plain_numbers(values: Iterable[Any], who: str) -> list[Any]:
    """Return Values, floats and ints, which a function in C takes; other real numbers as floats.

    Values of another engine stay, for the expression to use their operators. Raises TypeError for
    anything else.
    """
    return [v if isinstance(v, (Value, float, int)) else _as_scalar(v, who) for v in values]


def _as_scalar(value: Any, who: str) -> Any:
    number = as_real(value)
    if number is not NotImplemented:
        return number
    if as_real(getattr(value, "data", None)) is NotImplemented:  # as that of an array is
        raise TypeError(f"{who} takes Values and real numbers, not {type(value).__name__!r}")
    return value


def _same_length(a: Sequence[Any], name_a: str, b: Sequence[Any], name_b: str) -> None:
    """Raise ValueError, as the bulk functions do, for what they have left to the expression."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {name_a} for {len(b)} {name_b}")


def _exponentials(logits: Collection[Element]) -> list[Value]:
    if not logits:
        raise ValueError("no logits")
    top = largest([v.data if isinstance(v, Value) else v for v in logits])
    return [_as_value(v - top).exp() for v in logits]


def _as_value(result: Any) -> Value:
    """Return what an expression makes of numbers alone as a leaf."""
    is_number = isinstance(result, (int, float, complex, Number))
    return Value(result) if is_number else result
