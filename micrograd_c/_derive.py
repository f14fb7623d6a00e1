"""Derivatives as recorded Values: in reverse (`pull`) and forward (`push`)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NoReturn

from ._compile.recording import DETACH, DIVIDE, LINK, NO_RULE
from ._rules import PARTIALS
from .engine import Value, attributes, bulk, graph, recorded


def pull(output: Value, inputs: Sequence[Value], create_graph: bool) -> list[Value]:
    """Return the recorded derivatives of a Value with respect to others: reverse mode.

    Nodes are taken in descending order of creation, as `backward()` takes them, and contributions
    to a derivative are added in that order: the numbers are those of `backward()`.
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


def push(
    outputs: Sequence[Value], inputs: Sequence[Value], tangents: Sequence[Value]
) -> list[Value]:
    """Return the recorded derivatives of Values along tangents of the inputs: forward mode."""
    anchor = bulk.rule(NO_RULE, 0.0, tuple(outputs))
    along: dict[int, Any] = {id(value): tangent for value, tangent in zip(inputs, tangents)}
    nodes = graph(anchor)[:-1]
    for node in nodes:
        tangent = None
        for child, partial in _partials(node, recorded(node), along, False):
            term = _product(along[id(child)], partial)
            tangent = term if tangent is None else tangent + term
        if tangent is not None:
            along[id(node)] = tangent
    found = [along.get(id(value), 0.0) for value in outputs]
    return [
        derivative if isinstance(derivative, Value) else Value(derivative) for derivative in found
    ]


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
    node: Value, record: tuple[Any, ...], depends: Container[int], create_graph: bool
) -> list[tuple[Value, Any]]:
    """Return an operand and the derivative with respect to it, for each operand in `depends`."""
    name, _, children, number, partials = record
    own = attributes(node) or {}
    if "_jit" in own:
        way, leaves, place = own["_jit"]
        found: list[tuple[Value, Any]] = way.partials(leaves, place, depends, create_graph)
        return found
    closure = "_backward" in own
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
