"""Derivatives as recorded Values: in reverse (`pull`) and forward (`push`)."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from ._compile.rules import EQUAL, LINK, NO_RULE, RULE_EQUAL, SELECT, TABLE, TAKE
from ._rules import PARTIALS, STEEP
from .engine import Value, attributes, bulk, graph, recorded


class _Node(NamedTuple):
    """A node of a graph, and how it was recorded."""

    value: Value
    name: str
    children: tuple[Value, ...]
    number: Any  # an exponent, or the kind of a custom node; a tuple: see _compile/jit_way.py
    partials: Sequence[Any]  # that a custom node was given


def _nodes(roots: Iterable[Value], inputs: Sequence[Value], cut: bool = False) -> list[_Node]:
    """Return the nodes below some Values that depend on the inputs, in order of creation.

    With `cut` an input is no node, though it may depend on another input.
    """
    anchor = bulk.rule(NO_RULE, 0.0, tuple(roots))
    depends = {id(value) for value in inputs}
    ends = depends.copy() if cut else ()
    found = []
    for value in graph(anchor)[:-1]:
        if id(value) in ends:
            continue
        name, _, children, number, partials = recorded(value)
        jitted = (attributes(value) or {}).get("_jit")
        if jitted is not None:
            children, number = jitted[0].operands(jitted[1]), jitted
        if any(id(child) in depends for child in children):
            depends.add(id(value))
            found.append(_Node(value, name, children, number, partials))
    return found


# ---- the two ways ----


def pull(
    output: Value, inputs: Sequence[Value], create_graph: bool, cut: bool = False
) -> list[Value]:
    """Return the recorded derivatives of a Value with respect to others: reverse mode.

    Nodes are taken in descending order of creation, as `backward()` takes them, and contributions
    to a derivative are added in that order: the numbers are those of `backward()`, but for the last
    bits where _rules.py has a partial derivative in another form than the operator table (atan2,
    hypot and others). With `cut` an input is taken as a leaf: its derivative is no part of that by
    another input it is made from.
    """
    nodes = _nodes([output], inputs, cut)
    depends = {id(value) for value in inputs} | {id(node.value) for node in nodes}
    choices = {id(node.value): _choices(node, depends) for node in nodes if _chooses(node)}
    masks = _Masks(nodes, inputs, choices) if choices else None
    adjoints: dict[int, Any] = {id(output): 1.0}
    for node in reversed(nodes):
        adjoint = adjoints.get(id(node.value))
        if adjoint is None:
            continue
        chosen = choices.get(id(node.value))
        for child, term, choice in _terms(node, adjoint, depends, create_graph, chosen):
            if masks is not None:
                term = masks.masked(term, node, child, choice)
            before = adjoints.get(id(child))
            adjoints[id(child)] = term if before is None else before + term
    existing = {id(value) for node in nodes for value in node.children} | {id(output)}
    return [_own(adjoints.get(id(value), 0.0), existing) for value in inputs]


def push(
    outputs: Sequence[Value], inputs: Sequence[Value], tangents: Sequence[Value]
) -> list[Value]:
    """Return the recorded derivatives of Values along tangents of the inputs: forward mode."""
    along: dict[int, Any] = {id(value): tangent for value, tangent in zip(inputs, tangents)}
    nodes = _nodes(outputs, inputs)
    for node in nodes:
        if _is_rule(node, SELECT):
            condition, a, b = node.children
            tangent: Any = _select(condition, along.get(id(a), 0.0), along.get(id(b), 0.0), 0)
        elif _is_rule(node, TAKE):
            tangent = _take_tangent(node, along)
        else:
            tangent = None
            for i, partial in _partials(node, along, False):
                before = along[id(node.children[i])]
                term = _product(before, partial)
                if node.name in STEEP:
                    term = _zero_where_zero(before, term)
                tangent = term if tangent is None else tangent + term
        if tangent is not None:
            along[id(node.value)] = tangent
    found = [along.get(id(value), 0.0) for value in outputs]
    return [d if isinstance(d, Value) else Value(d) for d in found]


def _take_tangent(node: _Node, along: dict[int, Any]) -> Value | None:
    """Return the tangent of the element that a lookup takes; None if none of them has one."""
    index, table = node.children
    if not any(id(v) in along for v in table._children):
        return None
    tangents = tuple(_as_value(along.get(id(v), 0.0)) for v in table._children)
    return bulk.rule(TAKE, math.nan, (index, bulk.rule(TABLE, math.nan, tangents)))


def _terms(
    node: _Node,
    adjoint: Any,
    depends: Container[int],
    create_graph: bool,
    choices: list[_Choice] | None,
) -> Iterator[tuple[Value, Any, _Choice | None]]:
    """Yield an operand, what the node contributes to its derivative, and how it was chosen."""
    if choices is None:
        for i, partial in _partials(node, depends, create_graph):
            yield node.children[i], _product(adjoint, partial), None
        return
    for choice in choices:
        yield choice.operand, _select(choice.condition, adjoint, 0.0, choice.swapped), choice


# ---- one node ----


def _partials(
    node: _Node, depends: Container[int], create_graph: bool
) -> Iterator[tuple[int, Any]]:
    """Yield a place among a node's children, and the derivative of the node by that child."""
    children = node.children
    if type(node.number) is tuple:  # a jitted function's result: the function itself is run
        way, leaves, place = node.number
        yield from way.partials(leaves, place, depends, create_graph)
        return
    closure = "_backward" in (attributes(node.value) or {})
    if node.name in PARTIALS and not closure:
        second = node.number if len(children) == 1 else children[1]
        for i, rule in enumerate(PARTIALS[node.name]):
            if id(children[i]) in depends:
                yield i, rule(children[0], second, node.value)
        return
    partials, places = node.partials, range(len(children))
    if closure:
        partials = _by_closure(node.value, children)
    elif node.number == LINK:
        partials, places = children[2::2], range(1, len(children), 2)
    elif node.number != NO_RULE:
        return  # of a detached number, or a condition
    for i, partial in zip(places, partials):
        if id(children[i]) in depends:
            yield i, _opaque(partial, node.value, children) if create_graph else partial


def _own(derivative: Any, existing: set[int]) -> Value:
    """Return a derivative as a Value of its own: d(x * y)/dx is y, but another node."""
    if not isinstance(derivative, Value):
        return Value(derivative)
    return derivative * 1.0 if id(derivative) in existing else derivative


def _product(adjoint: Any, partial: Any) -> Any:
    if type(adjoint) is float and adjoint == 1.0:
        return partial
    return adjoint if type(partial) is float and partial == 1.0 else adjoint * partial


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
            "a program has no second derivatives of an operator of your own, whose derivative is a "
            "number: compose it of Value's operators, or use grad() without create_graph"
        )
    value = Value(partial, children, f"d{node._op}")

    def refuse() -> NoReturn:
        raise RuntimeError(
            f"the derivative of {node._op!r}, an operator of your own, is given as a number or "
            "by a closure, and cannot be differentiated again: compose it of Value's operators"
        )

    value._backward = refuse
    return value


# ---- selections and lookups, in programs that are being recorded ----


class _Choice(NamedTuple):
    """An operand that a node chooses where the condition, a Value, is not 0; if swapped, is 0."""

    operand: Value
    condition: Value
    swapped: int


def _is_rule(node: _Node, rule: int) -> bool:
    return node.name == "custom" and node.number == rule


def _chooses(node: _Node) -> bool:
    return _is_rule(node, SELECT) or _is_rule(node, TAKE)


def _choices(node: _Node, depends: Container[int]) -> list[_Choice]:
    """Return how a node chooses each of its operands that depend on the inputs."""
    if _is_rule(node, SELECT):
        condition, *sides = node.children
        return [_Choice(v, condition, i) for i, v in enumerate(sides) if id(v) in depends]
    index, table = node.children
    found = []
    for i, v in enumerate(table._children):
        if id(v) in depends:
            place = bulk.rule(RULE_EQUAL, math.nan, (index, Value(float(i))))
            found.append(_Choice(v, place, 0))
    return found


def _as_value(number: Any) -> Value:
    return number if isinstance(number, Value) else Value(number)


def _select(condition: Value, a: Any, b: Any, swapped: int) -> Value:
    """Return a where the condition, a Value, is not 0, otherwise b; the other way if swapped."""
    choices = tuple(map(_as_value, (b, a) if swapped else (a, b)))
    return bulk.rule(SELECT, bulk.number_of(choices[0]), (condition, *choices))


def _zero_where_zero(tangent: Any, term: Value) -> Value:
    """Return a tangent times an infinite derivative, but 0 where the tangent is 0."""
    recorder = bulk.recorder()
    if recorder is None or not isinstance(tangent, Value):
        return term
    zero = recorder.compare(EQUAL, tangent, Value(0.0), False)
    return recorder.select(zero, 0.0, term)  # type: ignore[no-any-return]


class _Masks:
    """The rows in which a derivative reaches each node of a graph that has selections or lookups.

    In other rows the derivative by the node may be nan, an infinite slope times 0: what the node
    contributes to the derivatives of others is 0 there. A mask is a Value, not 0 in those rows;
    None for all rows. csrc/program/regions.h has the same rule for the replay of programs.
    """

    def __init__(
        self, nodes: list[_Node], inputs: Sequence[Value], choices: dict[int, list[_Choice]]
    ) -> None:
        self.masks: dict[int, Value | None] = {id(value): None for value in inputs}
        self.made: dict[tuple[int, int, int], Value] = {}
        for node in reversed(nodes):
            self.masks.setdefault(id(node.value), None)
            if _is_rule(node, TABLE):
                continue  # no derivative passes through a table: see its lookups
            uses: list[tuple[Value, _Choice | None]] = [(child, None) for child in node.children]
            if id(node.value) in choices:
                uses = [(choice.operand, choice) for choice in choices[id(node.value)]]
            for child, choice in uses:
                used = self._of_use(node, choice)
                known = self.masks.setdefault(id(child), used)
                if known is None or used is None:
                    self.masks[id(child)] = None
                elif known is not used:
                    self.masks[id(child)] = _select(known, known, used, 0)

    def _of_use(self, node: _Node, choice: _Choice | None) -> Value | None:
        """Return the mask of the rows in which a derivative reaches a node's child by the node."""
        mask = self.masks[id(node.value)]
        if choice is None:
            return mask
        key = id(mask), id(choice.condition), choice.swapped
        if key not in self.made:
            inside = 1.0 if mask is None else mask
            self.made[key] = _select(choice.condition, inside, 0.0, choice.swapped)
        return self.made[key]

    def masked(self, term: Any, node: _Node, child: Value, choice: _Choice | None) -> Any:
        """Return what a node contributes to a child, but 0 where no derivative reaches it."""
        used = self._of_use(node, choice)
        if used is None or used is self.masks[id(child)]:
            return term
        return _select(used, term, 0.0, 0)
