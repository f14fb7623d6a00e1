"""Derivatives as results: of one Value, of any order, and of functions at a point.

`backward()` adds to gradients, as micrograd has it. The functions here return derivatives, and
change the gradient of no Value. Second derivatives are derivatives of derivatives: `grad` with
`create_graph=True` records the first ones as ordinary Values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._compile.stand_ins import Number
from ._nesting import leaves_of, like, map_leaves
from ._value_methods import real
from .engine import Value, bulk

__all__ = ["grad", "hessian", "hvp", "jacobian"]


def grad(output: Value, inputs: Any, create_graph: bool = False) -> Any:
    """Return the derivatives of a Value with respect to others: a Value, or a nesting of Values.

    `inputs` is a Value or a nesting of Values (lists, tuples, dicts, arrays of objects, ...); the
    derivatives are nested alike. They are leaves. With `create_graph` they are recorded, by the
    same operators as anything else, so that they can be differentiated again, or drawn. The
    derivative with respect to an input on which the output does not depend is 0. The gradient
    (`grad`) of no Value changes.

    The derivative of an operator of your own, whose partial derivatives are numbers or a closure
    (`_backward`), can be recorded but not differentiated again: that raises RuntimeError, and in a
    function that is compiled TypeError. In such a function each row has its own derivatives; those
    without `create_graph` are numbers, through which no gradient passes.

    Raises TypeError if the output or an input is no Value; and the errors of `backward()`, as
    ZeroDivisionError for the derivative of a square root at 0.

    >>> x, y = Value(3.0), Value(2.0)
    >>> dx, dy = grad(x * x * y, [x, y], create_graph=True)
    >>> dx.data, dy.data
    (12.0, 9.0)
    >>> grad(dx, x).data
    4.0
    """
    values = leaves_of(inputs)
    for value in (output, *values):
        if not isinstance(value, Value):
            what = "the derivative of a Value" if value is output else "derivatives by Values"
            raise TypeError(f"grad() takes {what}, not {type(value).__name__!r}")
    recording = bulk.recorder() is not None
    if create_graph or recording:
        found = _pull(output, values, create_graph)
        if not create_graph:  # in a program that is being recorded: each row's own numbers
            found = [Value(derivative.data) for derivative in found]
    else:
        found = [Value(number) for number in bulk.gradients(output, tuple(values))]
    return like(inputs, found)


def jacobian(fn: Callable[[Any], Any], point: Any) -> Any:
    """Return the derivatives of each of a function's results at a point, as floats.

    `point` is a nesting of numbers or Values. Values are passed to `fn` as they are, numbers as
    leaves. `fn` returns a Value or a nesting of Values; in the place of each result the jacobian
    has a nesting like the point. In a function that is compiled each row has its own floats, and no
    gradient passes through them.

    Raises as `grad` does, and TypeError if `fn` returns anything else or the point has anything
    else.

    >>> jacobian(lambda p: [p[0] * p[1], p[0] + p[1]], [2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """
    at = _values_at(point)
    inputs = tuple(leaves_of(at))
    return map_leaves(lambda result: _floats(result, inputs, point), fn(at))


def hessian(fn: Callable[[Any], Any], point: Any) -> Any:
    """Return the second derivatives of a function at a point, as floats.

    `fn` and `point` are as for `jacobian`, but `fn` returns one Value. In the place of each leaf of
    the point the hessian has a nesting like the point; of a list or an array of n numbers it is
    n by n. It takes one pass over the function and its derivatives for each leaf. Raises as
    `jacobian` does, and RuntimeError for an operator of your own whose partial derivatives are
    numbers or a closure.

    >>> hessian(lambda p: p[0] ** 2 * p[1], [3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    at = _values_at(point)
    inputs = tuple(leaves_of(at))
    first = _pull(_result(fn(at)), inputs, True)
    return like(point, [_floats(derivative, inputs, point) for derivative in first])


def hvp(fn: Callable[[Any], Any], point: Any, vector: Any) -> Any:
    """Return the product of a function's hessian at a point with a vector, as floats.

    The vector, of numbers or of Values, and the product are nested as the point is. This takes one
    pass over the function and its derivatives. Raises as `hessian` does, and ValueError for a
    vector of another size.

    >>> hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    at = _values_at(point)
    inputs = tuple(leaves_of(at))
    along = [v.data if isinstance(v, Value) else v for v in leaves_of(vector)]
    along = [v if type(v) is Number else real(v, "each number of the vector") for v in along]
    if len(along) != len(inputs):
        raise ValueError(f"a vector of {len(along)} numbers for a point of {len(inputs)}")
    first = _pull(_result(fn(at)), inputs, True)
    slope = Value(0.0)
    for derivative, number in zip(first, along):
        slope += derivative * number
    return _floats(slope, inputs, point)


def _pull(output: Value, inputs: Sequence[Value], create_graph: bool) -> list[Value]:
    """Return the derivatives of a Value by the rules, which few programs need."""
    from ._derive import pull

    return pull(output, inputs, create_graph)


def _values_at(point: Any) -> Any:
    return map_leaves(lambda x: x if isinstance(x, Value) else Value(x), point)


def _result(result: Any) -> Value:
    if not isinstance(result, Value):
        raise TypeError(f"the function must return a Value, not {type(result).__name__!r}")
    return result


def _floats(result: Any, inputs: tuple[Value, ...], point: Any) -> Any:
    """Return the derivatives of a result, nested as the point: in a program each row's own."""
    if bulk.recorder() is None:
        return like(point, bulk.gradients(_result(result), inputs))
    return like(point, [d.data for d in _pull(_result(result), inputs, False)])
