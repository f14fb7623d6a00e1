"""Pictures of an expression graph: `trace` walks it, `draw_dot` draws it with graphviz.

Both read nothing but `_prev`, `_op`, `data`, `grad` and `label`, so any scalar Value that has
those can be drawn. Nodes are visited breadth first from the root and numbered as they are met:
the same expression gives the same source, in every run.
"""

from __future__ import annotations

import re
from collections.abc import KeysView
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


def draw_dot(root: Any, format: str = "svg", rankdir: str = "LR") -> graphviz.Digraph:
    """Return the graph of `root`: a record for each Value, a node for each operation.

    `format` is one of graphviz's output formats ('svg', 'png', 'pdf', ...), `rankdir` the
    direction from operands to results: 'LR', 'TB', 'RL' or 'BT'. A notebook shows the result
    as a picture, `.render(path)` writes it and `.source` is its text; only the first two need
    the `dot` program, and raise graphviz.ExecutableNotFound without it.
    Of a label or an operation's name of more than 1,000 characters the beginning is shown and
    `...`; control characters and lone surrogates are shown as U+FFFD.
    Raises ValueError for an unknown format or direction, TypeError if `root` is not a Value.

    >>> from micrograd_c import Value
    >>> 'label="{ a | data 2.0000 | grad 0.0000 }"' in draw_dot(-Value(2.0, label='a')).source
    True
    """
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir must be 'LR', 'TB', 'RL' or 'BT', not {rankdir!r}")
    import graphviz

    nodes, edges = trace(root)
    name = {node: f"n{number}" for number, node in enumerate(nodes)}
    dot = graphviz.Digraph(format=format, graph_attr={"rankdir": rankdir})
    for node in nodes:
        record = f"{{ {field(node.label)} | data {node.data:.4f} | grad {node.grad:.4f} }}"
        dot.node(name[node], label=record, shape="record")
        if node._op:
            operation = name[node] + suffix(node._op)
            dot.node(operation, label=graphviz.nohtml(shown(node._op).translate(TEXT)))
            dot.edge(operation, name[node])
    for operand, node in edges:
        dot.edge(name[operand], name[node] + suffix(node._op))
    return dot


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
