"""Derivatives as results: of one Value, of any order, and of functions at a point.

`backward()` adds to gradients, as micrograd has it. The functions here return derivatives, and
change the gradient of no Value. Second derivatives are derivatives of derivatives: `grad` with
`create_graph=True` records the first ones as ordinary Values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ._compile.recording import DETACH, DIVIDE, LINK
from ._nesting import leaves_of, like, map_leaves
from ._rules import PARTIALS
from ._value_methods import real
from .engine import Value, attributes, bulk, graph, recorded

__all__ = ["grad", "hessian", "hvp", "jacobian"]


def grad(output: Value, inputs: Any, create_graph: bool = False) -> Any:
    """Return the derivatives of a Value with respect to others: a Value, or a nesting of Values.

    `inputs` is a Value or a nesting of Values (lists, tuples, dicts, arrays of objects, ...); the
    derivatives are nested alike. They are leaves. With `create_graph` they are recorded, by the same
    operators as anything else, so that they can be differentiated again, or drawn. The derivative
    with respect to an input on which the output does not depend is 0. The gradient (`grad`) of no
    Value changes.

    The derivative of an operator of your own, whose partial derivatives are numbers or a closure
    (`_backward`), can be recorded but not differentiated again: that raises RuntimeError.

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
    leaves. `fn` returns a Value or a nesting of Values; in the place of each result the jacobian has
    a nesting like the point. Raises as `grad` does.

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
    n by n. It takes one pass over the function and its derivatives for each leaf.

    >>> hessian(lambda p: p[0] ** 2 * p[1], [3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    at = _values_at(point)
    inputs = tuple(leaves_of(at))
    first = _pull(_result(fn(at)), inputs, True)
    return like(point, [_floats(derivative, inputs, point) for derivative in first])


def hvp(fn: Callable[[Any], Any], point: Any, vector: Any) -> Any:
    """Return the product of a function's hessian at a point with a vector, as floats.

    The vector and the product are nested as the point is. This takes one pass over the function and
    its derivatives. Raises as `hessian` does, and ValueError for a vector of another size.

    >>> hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    at = _values_at(point)
    inputs = tuple(leaves_of(at))
    along = [real(number, "each number of the vector") for number in leaves_of(vector)]
    if len(along) != len(inputs):
        raise ValueError(f"a vector of {len(along)} numbers for a point of {len(inputs)}")
    first = _pull(_result(fn(at)), inputs, True)
    slope = Value(0.0)
    for derivative, number in zip(first, along):
        slope += derivative * number
    return _floats(slope, inputs, point)


def _values_at(point: Any) -> Any:
    return map_leaves(lambda x: x if isinstance(x, Value) else Value(x), point)


def _result(result: Any) -> Value:
    if not isinstance(result, Value):
        raise TypeError(f"the function must return a Value, not {type(result).__name__!r}")
    return result


def _floats(result: Any, inputs: tuple[Value, ...], point: Any) -> Any:
    """Return the derivatives of a result, nested as the point."""
    return like(point, bulk.gradients(_result(result), inputs))


# ---- recording derivatives ----


def _pull(output: Value, inputs: Sequence[Value], create_graph: bool) -> list[Value]:
    """Return the recorded derivatives of a Value with respect to others: reverse mode.

    Nodes are taken in descending order of creation, as `backward()` takes them, and contributions to
    a derivative are added in that order: the numbers are those of `backward()`.
    """
    nodes = graph(output)
    records = [recorded(node) for node in nodes]
    depends = {id(value) for value in inputs}
    for node, record in zip(nodes, records):
        if any(id(child) in depends for child in record[2]):
            depends.add(id(node))
    adjoints: dict[int, Any] = {id(output): 1.0}
    for node, record in zip(reversed(nodes), reversed(records)):
        adjoint = adjoints.get(id(node))
        if adjoint is None or id(node) not in depends:
            continue
        for child, partial in _partials(node, record, depends, create_graph):
            term = _product(adjoint, partial)
            before = adjoints.get(id(child))
            adjoints[id(child)] = term if before is None else before + term
    existing = {id(value) for record in records for value in record[2]} | {id(output)}
    return [_own(adjoints.get(id(value), 0.0), existing) for value in inputs]


def _own(derivative: Any, existing: set[int]) -> Value:
    """Return a derivative as a Value of its own: d(x * y)/dx is y, but another node."""
    if not isinstance(derivative, Value):
        return Value(derivative)
    return derivative * 1.0 if id(derivative) in existing else derivative


def _product(adjoint: Any, partial: Any) -> Any:
    if type(adjoint) is float and adjoint == 1.0:
        return partial
    return adjoint if type(partial) is float and partial == 1.0 else adjoint * partial


def _partials(
    node: Value, record: tuple[Any, ...], depends: set[int], create_graph: bool
) -> list[tuple[Value, Any]]:
    """Return an operand and the derivative with respect to it, for each operand in `depends`."""
    name, _, children, number, partials = record
    closure = "_backward" in (attributes(node) or {})
    if name in PARTIALS and not closure:
        y = number if len(children) == 1 else children[1]
        return [
            (child, rule(children[0], y, node))
            for child, rule in zip(children, PARTIALS[name])
            if id(child) in depends
        ]
    if number in (DETACH, DIVIDE) and not closure:
        return []
    if number == LINK:
        children, partials = children[1::2], children[2::2]
    elif closure:
        partials = _by_closure(node, children)
    if create_graph:
        partials = [_opaque(partial, node, children) for partial in partials]
    return [pair for pair in zip(children, partials) if id(pair[0]) in depends]


def _by_closure(node: Value, children: tuple[Value, ...]) -> list[float]:
    """Return what a node's `_backward` adds to its operands' gradients where the node's is 1.

    Of an operand that is there several times the first place has all.
    """
    values = {id(value): value for value in (node, *children)}.values()
    before = [value.grad for value in values]
    try:
        for value in values:
            value.grad = 1.0 if value is node else 0.0
        node._backward()
        partials = []
        for child in children:
            partials.append(child.grad)
            child.grad = 0.0
        return partials
    finally:
        for value, number in zip(values, before):
            value.grad = number


def _opaque(partial: Any, node: Value, children: tuple[Value, ...]) -> Value:
    """Return a Value of this number that depends on an operator's operands one knows not how."""
    if bulk.recorder() is not None:
        raise TypeError(
            "in a program, the derivative of an operator of your own cannot be differentiated "
            f"again: use grad() without create_graph for {node._op!r}"
        )
    value = Value(partial, children, f"d{node._op}")

    def refuse() -> NoReturn:
        raise RuntimeError(
            f"the derivative of {node._op!r}, an operator of your own, is given as a number or "
            "by a closure, and cannot be differentiated again: compose it of Value's operators"
        )

    value._backward = refuse
    return value
