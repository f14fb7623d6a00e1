"""Many nodes in one call: sums, products, losses.

Each function records exactly the nodes that the plain Python expression in its docstring records:
the same graph, the same bits, the same picture. It saves the call into C for every operator.
Elements are Values or real numbers; if all are numbers, the result is a leaf. Where an element is
an instance of a subclass, which may have operators of its own, the expression itself is evaluated.
A real number that is neither a float nor an int, such as numpy's, counts as a float.

All functions raise ValueError where lengths differ, TypeError for elements of other types, and what
the expression itself raises, such as OverflowError, or the ValueError of a logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import index
from typing import Any

from ._compile.conditions import Condition
from ._compile.stand_ins import Number, largest
from ._compile.tables import as_table, element, own_index, place_of, record
from ._value_methods import as_real, truth
from .engine import Value, bulk, maximum

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dot",
    "hinge",
    "linear",
    "log_softmax",
    "logsumexp",
    "mean",
    "mse",
    "normal_cdf",
    "softmax",
    "take",
    "total",
    "where",
]

Element = Value | float

# What a network returns: of one output the Value itself. A checker cannot know how many there are,
# so the losses take either, and raise TypeError for the wrong one.
Output = Value | list[Value]


def dot(ws: Collection[Element], xs: Collection[Element], bias: Element | None = None) -> Value:
    """Return ``sum((w * x for w, x in zip(ws, xs)), bias)``, where bias is 0 if None.

    ws and xs have n elements each.

    >>> dot([Value(2.0), Value(3.0)], [10.0, 100.0], Value(1.0)).data
    321.0
    """
    ws, xs = listed(ws, "weights"), listed(xs, "inputs")
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
    weights, xs = listed(weights, "weights"), listed(xs, "inputs")
    biases = None if biases is None else listed(biases, "biases")
    result: Any = bulk.linear(weights, xs, biases)
    if result is NotImplemented:
        starts = [None] * len(weights) if biases is None else biases
        _same_length(starts, "biases", weights, "rows of weights")
        weights = [listed(ws, "a row of weights") for ws in weights]
        xs = plain_numbers(xs, "linear()")
        result = bulk.linear(weights, xs, biases)
    if result is NotImplemented:
        return [dot(ws, xs, start) for ws, start in zip(weights, starts)]
    return result  # type: ignore[no-any-return]


def total(values: Iterable[Element]) -> Value:
    """Return ``sum(values)``, where values are any iterable; 0 if there are none.

    >>> total([Value(1.0), Value(2.0), 3]).data
    6.0
    """
    result, values = _recorded(bulk.total, "total()", values, "values")
    return _as_value(sum(values)) if result is NotImplemented else result


def mean(values: Collection[Element]) -> Value:
    """Return ``sum(values) / len(values)``. Raises ValueError if there are no values.

    >>> mean([Value(1.0), Value(2.0)]).data
    1.5
    """
    result, values = _recorded(bulk.mean, "mean()", values, "values")
    if result is NotImplemented:
        return _as_value(sum(values) / len(values))
    return result  # type: ignore[no-any-return]


def softmax(logits: Collection[Element] | Output) -> list[Value]:
    """Return the n shares exp(v) / sum(exp(v)) of n logits, computed without overflow.

    The nodes are those of ``top = max(v.data for v in logits); exps = [(v - top).exp() for v in
    logits]; total = sum(exps); [e / total for e in exps]``. top is a number, and the shares are the
    same for any other. Raises ValueError if there are no logits.

    >>> [p.data for p in softmax([Value(1.0), Value(1.0)])]
    [0.5, 0.5]
    """
    result, logits = _recorded(bulk.softmax, "softmax()", logits, "logits")
    if result is NotImplemented:
        _, exps, _ = _exponentials(logits)
        together = sum(exps)
        return [e / together for e in exps]
    return result  # type: ignore[no-any-return]


def log_softmax(logits: Collection[Element] | Output) -> list[Value]:
    """Return the logarithms of the n shares of `softmax`, finite for all finite logits.

    The nodes are those of ``[v - top + -total.log() for v in logits]``, with top and total as in
    `softmax`, where ``-total.log()`` is one node for all. Raises ValueError if there are no logits.

    >>> [round(p.data, 6) for p in log_softmax([Value(1.0), Value(1.0)])]
    [-0.693147, -0.693147]
    >>> [p.data for p in log_softmax([Value(0.0), Value(800.0)])]
    [-800.0, 0.0]
    """
    result, logits = _recorded(bulk.log_softmax, "log_softmax()", logits, "logits")
    if result is NotImplemented:
        shifted, exps, _ = _exponentials(logits)
        offset = -_as_value(sum(exps)).log()
        return [v + offset for v in shifted]
    return result  # type: ignore[no-any-return]


def logsumexp(logits: Collection[Element] | Output) -> Value:
    """Return ``log(sum(exp(v) for v in logits))``: finite for all finite logits.

    The nodes are those of ``total.log() + top``, with top and total as in `softmax`. Its derivative
    with respect to a logit is the logit's share. Raises ValueError if there are no logits.

    >>> logsumexp([Value(0.0), Value(800.0)]).data
    800.0
    """
    result, logits = _recorded(bulk.logsumexp, "logsumexp()", logits, "logits")
    if result is NotImplemented:
        _, exps, top = _exponentials(logits)
        result = _as_value(sum(exps)).log() + top
    return result  # type: ignore[no-any-return]


def cross_entropy(logits: Collection[Element] | Output, target: Element) -> Value:
    """Return ``-log(softmax(logits)[target])``: finite for all finite logits.

    The nodes are those of ``total.log() - (logits[target] - top)``, with top and total as in
    `softmax`. The target is an int, counted from the end if it is negative. In a function that is
    compiled it may be an argument; a Value or a float is a target as it is an index of `take`.

    Raises IndexError if there is no such target, TypeError if it is no int, and as `take` does.

    >>> round(cross_entropy([Value(1.0), Value(1.0)], 0).data, 6)
    0.693147
    >>> cross_entropy([Value(0.0), Value(800.0)], 0).data
    800.0
    """
    if isinstance(target, (Value, float)):  # a stand-in is a float
        logits = plain_numbers(listed(logits, "logits"), "cross_entropy()")
        number = own_index(target, "cross_entropy()'s target")
        if type(number) is Number:
            shifted, exps, _ = _exponentials(logits)
            loss: Value = _as_value(sum(exps)).log() - record(shifted, number)
            return loss
        target = place_of(number, len(logits))
    try:
        place = index(target)
    except TypeError:
        kind = type(target).__name__
        raise TypeError(
            f"cross_entropy()'s target is an int, one example's class, not {kind!r}"
        ) from None
    result, logits = _recorded(
        lambda v: bulk.cross_entropy(v, place), "cross_entropy()", logits, "logits"
    )
    if result is NotImplemented:
        shifted, exps, _ = _exponentials(logits)
        return _as_value(sum(exps)).log() - shifted[place]
    return result  # type: ignore[no-any-return]


def mse(predictions: Collection[Element | Output], targets: Collection[Element]) -> Value:
    """Return ``sum((p - t)**2 for p, t in zip(predictions, targets)) / len(targets)``.

    The mean squared error of n predictions and n targets. Raises ValueError if n is 0.

    >>> mse([Value(1.0), Value(2.0)], [0.0, 4.0]).data
    2.5
    """
    predictions, targets = listed(predictions, "predictions"), listed(targets, "targets")
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


def hinge(scores: Collection[Element | Output], targets: Collection[Element]) -> Value:
    """Return ``sum((1 + -t * s).relu() for s, t in zip(scores, targets)) / len(targets)``.

    The mean max-margin loss of n scores and n targets, each -1 or +1. Raises ValueError if n is 0.

    >>> hinge([Value(0.5), Value(3.0)], [1, -1]).data
    2.25
    """
    scores, targets = listed(scores, "scores"), listed(targets, "targets")
    result: Any = bulk.hinge(scores, targets)
    if result is NotImplemented:
        _same_length(scores, "predictions", targets, "targets")
        scores, targets = plain_numbers(scores, "hinge()"), plain_numbers(targets, "hinge()")
        result = bulk.hinge(scores, targets)
    if result is NotImplemented:
        margins = (_as_value(1 + -t * s).relu() for s, t in zip(scores, targets))
        return _as_value(sum(margins) / len(targets))
    return result  # type: ignore[no-any-return]


def binary_cross_entropy_with_logits(
    logits: Collection[Element | Output], targets: Collection[Element]
) -> Value:
    """Return the mean of ``-t * log(p) - (1 - t) * log(1 - p)`` with ``p = z.sigmoid()``.

    There are n logits z and n targets t, from 0 to 1. Each term is finite for all finite logits.
    The nodes are those of ``maximum(z, 0) + -t * z + (1 + (-abs(z)).exp()).log()`` for each pair,
    where the logarithm is recorded first; the terms are summed and divided by n, as PyTorch does
    (torch.nn.functional.binary_cross_entropy_with_logits). Raises ValueError if n is 0.

    >>> round(binary_cross_entropy_with_logits([Value(0.0)], [1]).data, 6)
    0.693147
    >>> binary_cross_entropy_with_logits([Value(-800.0), Value(800.0)], [1, 1]).data
    400.0
    """
    logits, targets = listed(logits, "logits"), listed(targets, "targets")
    result: Any = bulk.logistic(logits, targets)
    if result is NotImplemented:
        who = "binary_cross_entropy_with_logits()"
        _same_length(logits, "predictions", targets, "targets")
        logits, targets = plain_numbers(logits, who), plain_numbers(targets, who)
        result = bulk.logistic(logits, targets)
    if result is NotImplemented:
        losses = [_logistic_loss(_as_value(z), t) for z, t in zip(logits, targets)]
        return _as_value(sum(losses) / len(losses))
    return result  # type: ignore[no-any-return]


def where(condition: bool, a: Element, b: Element) -> Value:
    """Return a if the condition is true, otherwise b; a number becomes a leaf.

    The result is the Value itself, so gradients pass to the selected side alone. In a function that
    is compiled, where the condition is a comparison, each row selects its own side: the program
    computes both for every row, and no other recording is needed. Such conditions are combined by
    &, | and ^. Unlike an ``if``, both sides are evaluated, and may raise errors.

    Raises TypeError if the condition is no bool, or a side is neither a Value nor a real number.

    >>> where(1.0 < 2.0, Value(3.0), 0.0).data
    3.0
    >>> x = Value(-2.0)
    >>> where(x < 0, -x, x).data
    2.0
    """
    for side in (a, b):
        if not isinstance(side, (Value, float, int)) and as_real(side) is NotImplemented:
            raise TypeError(f"where() takes Values and real numbers, not {type(side).__name__!r}")
    comparison: Any = condition
    if type(comparison) is Condition and not comparison.recorder.over:
        return comparison.recorder.select(comparison, a, b)
    chosen = a if truth(condition, "where()") else b
    return chosen if isinstance(chosen, Value) else Value(chosen)


def take(table: Sequence[Any], index: Value | float) -> Any:
    """Return the element of a table at a place, which may be an argument of a compiled function.

    A table is a list or tuple (or an array of objects) of Values and numbers: the result is the
    element itself, so gradients pass to that one alone; a number becomes a leaf. Of a table of rows
    the result is a row, a list of Values. In a function that is compiled, where the index is an
    argument, or computed from one, each row takes its own element, without another recording.

    Places count from 0. Unlike a list, take() does not count from the end: in data, -1 is an error
    more often than the last element. The index may be a float or a Value whose number is integral.

    Raises IndexError for an index out of range, ValueError for a number that is no integer; a
    program always raises them, naming the row. TypeError for an index that is no real number and
    for elements that are neither Values nor real numbers. While a program is recorded, ValueError
    for rows of different lengths.

    >>> xs = [Value(1.0), Value(2.0), Value(3.0)]
    >>> take(xs, 2) is xs[2]
    True
    >>> [v.data for v in take([[1.0, 2.0], [3.0, 4.0]], Value(1.0))]
    [3.0, 4.0]
    """
    found, place = as_table(table, "take()"), own_index(index, "take()'s index")
    if type(place) is Number:
        return record(found, place)
    return element(found[place_of(place, len(found))])


def _logistic_loss(z: Value, t: Any) -> Any:
    rest = (1 + (-abs(z)).exp()).log()
    return maximum(z, 0) + -t * z + rest


def normal_cdf(x: Element) -> Value:
    """Return ``(x * -sqrt(1/2)).erfc() * 0.5``: how likely a standard normal number is below x.

    Its derivative is the density, ``e**(-x**2 / 2) / sqrt(2 * pi)``.

    >>> normal_cdf(Value(0.0)).data
    0.5
    """
    return (_as_value(x) * -math.sqrt(0.5)).erfc() * 0.5


def _recorded(
    record: Callable[[Any], Any], who: str, values: Any, name: str
) -> tuple[Any, Sequence[Any]]:
    """Return what `record` makes of the values, and the values as the expression takes them.

    `who` and `name` are of the function and its argument, for errors. The first that is
    returned is NotImplemented where the expression is to be evaluated.
    """
    values = listed(values, name)
    result = record(values)
    if result is NotImplemented:
        values = plain_numbers(values, who)
        result = record(values)
    return result, values


def listed(values: Any, name: str) -> Sequence[Any]:
    """Return the values as a list or tuple: unlike a generator it can be read twice.

    No iterator of a subclass of list or tuple runs when it is read. Raises TypeError, which names
    the values, if they are not iterable, as an array without axes.
    """
    kind = type(values)
    if kind in (list, tuple):
        return values  # type: ignore[no-any-return]
    iterable = hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")
    if not iterable or getattr(values, "shape", None) == ():
        raise TypeError(f"{name} must be a list of Values and real numbers, not {kind.__name__!r}")
    return list(values)


def plain_numbers(values: Iterable[Any], who: str, hint: str = "") -> list[Any]:
    """Return values that a function in C takes: Values, floats and ints, other numbers as floats.

    Values of another engine stay as they are: the expression uses their operators. Raises TypeError
    for anything else; the message names the function, `who`, and ends with `hint`.
    """
    return [v if isinstance(v, (Value, float, int)) else _as_scalar(v, who, hint) for v in values]


def _as_scalar(value: Any, who: str, hint: str) -> Any:
    number = as_real(value)
    if number is not NotImplemented:
        return number
    if as_real(getattr(value, "data", None)) is NotImplemented:  # an array's data is no number
        kind = type(value).__name__
        raise TypeError(f"{who} takes Values and real numbers, not {kind!r}{hint}")
    return value


def _same_length(a: Sequence[Any], name_a: str, b: Sequence[Any], name_b: str) -> None:
    """Raise ValueError, as the functions in C do, if the lengths differ."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {name_a} for {len(b)} {name_b}")


def _exponentials(logits: Collection[Element]) -> tuple[list[Value], list[Value], Any]:
    """Return the n logits less top, the n exponentials of these, and top, the largest data."""
    if not logits:
        raise ValueError("no logits")
    top = largest([v.data if isinstance(v, Value) else v for v in logits])
    shifted, exps = [], []
    for v in logits:
        shifted.append(_as_value(v - top))
        exps.append(shifted[-1].exp())
    return shifted, exps, top


def _as_value(result: Any) -> Value:
    """Return an expression's result as a Value: a leaf if the result is a number."""
    is_number = isinstance(result, (int, float, complex, Number))
    return Value(result) if is_number else result
