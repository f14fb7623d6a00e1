"""The walk through a computation: what a page shows, as the engine has it.

Nothing is computed here. Data are those of the nodes; gradients are read before and after each
node's own `_backward()`, which the engine runs, in the order in which `backward()` does: from the
newest node to the oldest. Partial derivatives are the engine's `_local_grads`.

The data of a page, a dict for JSON:

    nodes       in an order in which operands come before results:
                name, label, op, operands (places), data, formula ("{0} * {1}"),
                constant (whether it is a number that an operation has of its own, the 3 of 3 * x)
    backward    for each node with operands or a `_backward` of the user's own, from the root on:
                node (a place), grad, and for each operand, but constants, and for each other node
                whose gradient has changed, a term:
                operand, before, after, change, partials, rule ("d(a * b)/da = b")
    boxes       _boxes.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from .. import _boxes
from ..engine import Value, bulk, graph
from .notation import filled, formula, partial_text, rule_text

LARGEST = 2000  # nodes that a page can show
LONGEST = 200  # characters of a label that a page shows

_backward_of: Any = Value.__dict__["_backward"].__get__  # a closure, or the engine's own


def walk(root: Any) -> dict[str, Any]:
    """Return what a page shows of the computation of `root`. Gradients are as they were before.

    Raises TypeError if `root` is no Value, ValueError for more than 2,000 nodes, and whatever a
    node's `_backward` raises.
    """
    if not isinstance(root, Value):
        raise TypeError(f"explain() takes a Value, the result of a computation, not {_kind(root)}")
    values = _listed(root)
    if len(values) > LARGEST:
        raise ValueError(
            f"the graph has {len(values):,} nodes, and a page can show {LARGEST:,}: explain a part "
            "of it, such as the loss of one example, or the network's output for it"
        )
    places = {value: place for place, value in enumerate(values)}
    nodes = _described(values, places)
    found = [
        _boxes.Node(n["op"], n["label"], tuple(n["operands"]), v.data)
        for n, v in zip(nodes, values)
    ]
    return {
        "nodes": nodes,
        "backward": _backward(values, places, nodes),
        "boxes": [box._asdict() for box in _boxes.find_boxes(found)],
    }


def _kind(root: Any) -> str:
    return f"the class {root.__name__}" if isinstance(root, type) else f"{type(root).__name__!r}"


def _listed(root: Value) -> list[Value]:
    """Return all nodes of a graph in the order of their creation, leaves before their first use."""
    found: dict[Value, None] = {}
    for node in graph(root):
        found.update(dict.fromkeys(node._children))
        found[node] = None
    return list(found)


def _described(values: Sequence[Value], places: dict[Value, int]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    labels = {str(value.label) for value in values}
    unused = filter(lambda other: other not in labels, map("v{}".format, count(1)))
    for value in values:
        name, data, children, exponent, _ = bulk.recorded(value)
        label = str(value.label)
        label = label if label.strip() else ""
        label = label if len(label) <= LONGEST else label[: LONGEST - 3] + "..."
        constant = not children and not label and bulk.serial(value) != 0
        op = str(value._op)
        nodes.append(
            {
                "name": label or (f"{data:.6g}" if constant else next(unused)),
                "label": label,
                "op": op,
                "operands": [places[child] for child in children],
                "data": _number(data),
                "formula": formula(name, len(children), exponent, op) if children else "",
                "constant": constant,
            }
        )
    return nodes


def _backward(
    values: Sequence[Value], places: dict[Value, int], nodes: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Run `_backward()` node by node, from zero gradients and 1 at the root; return what it did."""
    steps = []
    with _gradients_set_aside(values):
        values[-1].grad = 1.0
        for value in reversed(values):
            operands = dict.fromkeys(value._children)
            own = _has_own_backward(value)
            if not (operands or own):
                continue
            # A function of the user's own may reach any node, itself and no operand, say.
            seen = [(v, v.grad) for v in (values if own else operands)]
            grad = value.grad
            _backward_of(value)()
            terms = [
                {
                    "operand": places[operand],
                    "before": _number(earlier),
                    "after": _number(operand.grad),
                    "change": _number(operand.grad - earlier),
                    **_rule(value, operand, places, nodes),
                }
                for operand, earlier in seen
                if not nodes[places[operand]]["constant"]
                and (operand in operands or str(operand.grad) != str(earlier))
            ]
            steps.append({"node": places[value], "grad": _number(grad), "terms": terms})
    return steps


@contextmanager
def _gradients_set_aside(values: Sequence[Value]) -> Iterator[None]:
    """Let all gradients be zero inside, and what they were afterwards."""
    before = [value.grad for value in values]
    try:
        for value in values:
            value.grad = 0.0
        yield
    finally:
        for value, grad in zip(values, before):
            value.grad = grad


def _has_own_backward(value: Value) -> bool:
    return "_backward" in (bulk.attributes(value) or {})


def _rule(
    value: Value, operand: Value, places: dict[Value, int], nodes: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the partial derivatives of a node by an operand, as numbers and as a rule.

    A node with a `_backward` of the user's own has none: only what it has changed is known.
    """
    children = value._children
    sides = [side for side, child in enumerate(children) if child is operand]
    own = _has_own_backward(value)
    partials = [] if own else [value._local_grads[side] for side in sides if value._local_grads]
    name, _, _, exponent, _ = bulk.recorded(value)
    if own or (name == "custom" and not partials):
        return {"partials": [], "rule": ""}
    node, names = nodes[places[value]], [nodes[places[child]]["name"] for child in children]
    written = filled(node["formula"], names)
    if name == "custom":
        texts = [f"{float(partial):.4g}" for partial in partials]
    else:
        texts = [partial_text(name, side, names, exponent) for side in sides]
    rule = rule_text(written, nodes[places[operand]]["name"], texts)
    return {"partials": [_number(float(partial)) for partial in partials], "rule": rule}


def _number(number: float) -> float | str:
    """Return a number for JSON, which has no infinity and no nan."""
    return number if number - number == 0.0 else str(number)
