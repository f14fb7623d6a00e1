"""Pictures of an expression graph: `trace` walks it, `draw_dot` draws it with graphviz.

They read nothing but `_prev`, `_op`, `data`, `grad` and `label`, so any scalar Value that has
those can be drawn. Nodes are visited breadth first from the root and numbered as they are met:
the same expression gives the same source, in every run.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, KeysView, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import graphviz

__all__ = ["draw_dot", "trace"]

ATTRIBUTES = ("data", "grad", "label", "_op", "_prev")

# UNSHOWN: characters that no SVG can hold or no terminal shows. INSTEAD stands in their place.
# LONGEST: how many characters of a text are shown. DOT takes strings of up to 16384 bytes, and a
# character becomes at most six bytes.
UNSHOWN = "[\0-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
INSTEAD = "\ufffd"
LONGEST = 1000

MANY = 500  # nodes; for more the dot program takes minutes

# TEXT: characters that DOT would read as an escape, an entity or a line's end in any label. FIELD:
# besides these, characters that DOT would read as the borders of a field in a record's label.
TEXT = str.maketrans({"\\": r"\\", "\n": r"\n", "&": "&amp;"})
FIELD = {**TEXT, **str.maketrans({mark: f"\\{mark}" for mark in "{}|<>"})}


def trace(root: Any) -> tuple[KeysView[Any], KeysView[tuple[Any, Any]]]:
    """Return the nodes that `root` was made from and the edges (operand, result) between them.

    Both are ordered, set-like views: `root` is the first node, then its operands, then theirs.
    Raises TypeError if `root` is not a Value.

    >>> from micrograd_c import Value
    >>> a, b = Value(2.0), Value(3.0)
    >>> product = a * b
    >>> nodes, edges = trace(product)
    >>> list(nodes) == [product, a, b]
    True
    >>> (a, product) in edges
    True
    """
    if isinstance(root, type) or not all(hasattr(root, name) for name in ATTRIBUTES):
        raise TypeError(f"the root of a graph is a Value, not {type(root).__name__}")
    nodes: dict[Any, None] = {root: None}
    edges: dict[tuple[Any, Any], None] = {}
    found = [root]
    for node in found:  # grows as it is read
        for operand in node._prev:
            edges[operand, node] = None
            if operand not in nodes:
                nodes[operand] = None
                found.append(operand)
    return nodes.keys(), edges.keys()


def draw_dot(
    root: Any, format: str = "svg", rankdir: str = "LR", collapse: bool = False
) -> graphviz.Digraph:
    """Return the graph of `root`: a record for each Value, a node for each operation.

    `format` is one of graphviz's output formats ('svg', 'png', 'pdf', ...), `rankdir` the
    direction from operands to results: 'LR', 'TB', 'RL' or 'BT'. With `collapse` each layer,
    neuron or softmax is one box. A notebook shows the result as a picture, `.render(path)` writes
    it and `.source` is its text; only the first two need the `dot` program: without it a notebook
    shows how to install it, and `.render` raises graphviz.ExecutableNotFound, which says so, too.
    Of a label or an operation's name of more than 1,000 characters the beginning is shown and
    `...`; control characters and lone surrogates are shown as U+FFFD.
    Raises ValueError for an unknown format or direction, TypeError if `root` is not a Value. Warns
    where there are more than 500 nodes, for which dot takes minutes.

    >>> from micrograd_c import Value
    >>> 'label="{ a | data 2.0000 | grad 0.0000 }"' in draw_dot(-Value(2.0, label='a')).source
    True
    """
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir must be 'LR', 'TB', 'RL' or 'BT', not {rankdir!r}")
    from ._dot import Picture, nohtml

    nodes, edges = trace(root)
    boxes = _outermost_boxes(nodes) if collapse else []
    name = {node: f"n{number}" for number, node in enumerate(nodes)}
    name.update((node, f"b{i}") for i, (_, members) in enumerate(boxes) for node in members)
    single = [node for node in nodes if name[node][0] == "n"]
    _warn_of_many(len(single) + len(boxes), collapse)
    dot = Picture(format=format, graph_attr={"rankdir": rankdir})
    for i, (title, members) in enumerate(boxes):
        dot.node(f"b{i}", label=_box_record(title, members, edges), shape="Mrecord")
    for node in single:
        dot.node(name[node], label=f"{{ {field(node.label)} | {_numbers(node)} }}", shape="record")
        if node._op:
            operation = name[node] + suffix(node._op)
            dot.node(operation, label=nohtml(shown(node._op).translate(TEXT)))
            dot.edge(operation, name[node])
    for tail, head in _arrows(edges, name):
        dot.edge(tail, head)
    return dot


def _arrows(
    edges: Collection[tuple[Any, Any]], name: dict[Any, str]
) -> dict[tuple[str, str], None]:
    """Return the arrows of the picture by the names of what they connect, each once, in order."""
    arrows: dict[tuple[str, str], None] = {}
    for operand, node in edges:
        is_boxed = name[node][0] == "b"
        if not (is_boxed and name[operand] == name[node]):
            arrows[name[operand], name[node] + ("" if is_boxed else suffix(node._op))] = None
    return arrows


def _outermost_boxes(nodes: Collection[Any]) -> list[tuple[str, list[Any]]]:
    """Return the boxes of a graph, those of layers rather than of their neurons: title, nodes."""
    from . import _boxes

    operands = {node: tuple(getattr(node, "_children", node._prev)) for node in nodes}
    order = list(TopologicalSorter(operands).static_order())
    places = {node: place for place, node in enumerate(order)}
    seen = [
        _boxes.Node(n._op, str(n.label), tuple(places[o] for o in operands[n]), n.data)
        for n in order
    ]
    return [
        (box.title(), [order[place] for place in box.members])
        for box in _boxes.find_boxes(seen)
        if box.parent is None
    ]


def _box_record(title: str, members: Sequence[Any], edges: Collection[tuple[Any, Any]]) -> str:
    """Return a box as DOT shows it: its title, and the numbers of its output if there is one."""
    inside = {*members}
    used_inside = {operand for operand, node in edges if node in inside}
    outputs = [node for node in members if node not in used_inside]
    rest = _numbers(outputs[0]) if len(outputs) == 1 else f"{len(members)} nodes"
    return f"{{ {field(title)} | {rest} }}"


def _numbers(node: Any) -> str:
    return f"data {node.data:.4f} | grad {node.grad:.4f}"


def _warn_of_many(count: int, collapse: bool) -> None:
    if count <= MANY:
        return
    advice = "" if collapse else "draw_dot(root, collapse=True) draws layers and neurons as boxes, "
    warnings.warn(
        f"the picture has {count:,} nodes, and with more than {MANY} the dot program takes "
        f"minutes: {advice}explain(root) makes a page of up to 2,000 nodes without dot",
        UserWarning,
        stacklevel=3,
    )


def shown(text: str) -> str:
    """Return what is shown of a text: the beginning if it is long, without control characters."""
    beginning = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return re.sub(UNSHOWN, INSTEAD, beginning)


def field(label: object) -> str:
    """Return `label` as a field of a DOT record that shows it as written."""
    text = shown(str(label)).translate(FIELD)
    # DOT drops a space at either end, after another space, and after a beginning that is not ASCII.
    return re.sub(r"(?<![!-~]) | $", "&#32;", text)


def suffix(op: str) -> str:
    """Return an operation's name as the end of a node's name in DOT.

    Characters that DOT or SVG would read as syntax are replaced by `_`, and so is a digit at the
    beginning: `n1` with the operation `0` is not `n10`.
    """
    return re.sub(r"^\d|[^\w*+.-]", "_", shown(op))
