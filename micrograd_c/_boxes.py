"""Boxes: which nodes of a graph are one neuron, one layer, one softmax.

Pictures show a box in place of its nodes. What is boxed is found by structure and labels alone, so
a neuron written by hand is a box, too:

    products    a sum of two or more products with leaves, and a bias or none:  b + w0*x0 + w1*x1
    neuron      such a sum and a function of it; or any that nn.Neuron has labelled 'out'
    layer       two or more neurons that read the same inputs, each with weights of its own
    weights     the leaves of a neuron, or of a layer's neurons, that several calls share
    softmax     exponentials, their sum, and each times the sum to the power -1

A node inside of a box is used inside of it alone, but for the outputs, and each output depends on
each input. Hence boxes in place of their nodes never make a circle: a way from box to box and back
would be one from node to node. A neuron whose weights are results themselves, or one of whose sums
or products is used elsewhere, stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .nn import OUT

OPERANDS = {"+": 2, "*": 2, "exp": 1, "**-1": 1}  # of operators that are looked for


class Node(NamedTuple):
    """What is looked at of a Value: `operands` are the places of others, all before this one."""

    op: str
    label: str
    operands: tuple[int, ...]
    data: float


class Box(NamedTuple):
    """Nodes that are shown as one: their places, and the place of the box that this one lies in."""

    kind: str
    label: str
    members: tuple[int, ...]
    parent: int | None

    def title(self) -> str:
        """Return what the box is called: "neuron out", "layer of 4 neurons"."""
        if self.label.isdigit() and self.kind in ("layer", "weights"):
            return f"{self.kind} of {self.label} neurons"
        return self.kind if self.label in ("", self.kind) else f"{self.kind} {self.label}"


class _Neuron(NamedTuple):
    kind: str
    out: int
    inner: list[int]  # sums, products, the function
    weights: tuple[int, ...]  # and the bias, the last one, if there is one
    inputs: tuple[int, ...]


class _Graph:
    """Nodes, by whom each is used, and in which box each is so far."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        # A name alone says little: an operator of somebody's own may be called '*', too.
        self.nodes = [
            node
            if len(node.operands) == OPERANDS.get(node.op, len(node.operands))
            else node._replace(op="")
            for node in nodes
        ]
        self.users: list[list[int]] = [[] for _ in nodes]
        for place, node in enumerate(nodes):
            for operand in dict.fromkeys(node.operands):
                self.users[operand].append(place)
        self.boxed: set[int] = set()

    def is_leaf(self, place: int) -> bool:
        return not self.nodes[place].operands

    def addends(self, top: int) -> tuple[list[int], list[int]]:
        """Return the addends of the sum that ends at a node, and the sums on the way."""
        right_ones: list[int] = []
        sums: list[int] = []
        while self._is_sum(top) and (not sums or len(self.users[top]) == 1):
            sums.append(top)
            top, right = self.nodes[top].operands
            right_ones.append(right)
        return [top, *reversed(right_ones)] if sums else [], sums

    def _is_sum(self, place: int) -> bool:
        return self.nodes[place].op == "+"

    def box(self, kind: str, label: str, members: Sequence[int], parent: int | None) -> Box:
        self.boxed.update(members)
        return Box(kind, label, tuple(sorted(set(members))), parent)


def find_boxes(nodes: Sequence[Node]) -> list[Box]:
    """Return the boxes of a graph, each after the one that it lies in. Two share no other node."""
    graph = _Graph(nodes)
    boxes = [
        graph.box("softmax", "softmax", members, None)
        for top in range(len(nodes))
        if (members := _softmax(graph, top))
    ]
    calls: list[_Neuron] = []
    for place in reversed(range(len(nodes))):  # the function above a sum comes before the sum
        neuron = _neuron(graph, place)
        if neuron is not None:
            graph.boxed.update(neuron.inner)
            calls.append(neuron)
    shared: set[tuple[int, ...]] = set()
    for layer in _layers(graph, calls[::-1]):
        boxes += _boxes_of(graph, layer, len(boxes), shared)
    return boxes


# ---- neurons and layers ----


def _neuron(graph: _Graph, out: int) -> _Neuron | None:
    """Return the neuron whose output a node is, if it is one."""
    if out in graph.boxed:
        return None
    node = graph.nodes[out]
    top, inner = out, []
    has_function = len(node.operands) == 1 and not node.op.startswith("**")
    if has_function:
        (top,), inner = node.operands, [out]
        if len(graph.users[top]) != 1 or graph.nodes[top].label == OUT:
            return None
    addends, sums = graph.addends(top)
    products = [a for a in addends if graph.nodes[a].op == "*"]
    others = [a for a in addends if graph.nodes[a].op != "*"]
    pairs = [_weight_and_input(graph, product) for product in products]
    inner += [*sums, *products]
    enough = len(products) > 1 or (products and node.label == OUT)
    if not enough or len(others) > 1 or not all(graph.is_leaf(a) for a in others):
        return None
    if None in pairs or not graph.boxed.isdisjoint(inner):
        return None
    weights, inputs = zip(*(pair for pair in pairs if pair))
    kind = "neuron" if has_function or node.label == OUT else "products"
    return _Neuron(kind, out, inner, (*weights, *others), inputs)


def _weight_and_input(graph: _Graph, product: int) -> tuple[int, int] | None:
    """Return the operands of w * x or x * w; None where neither is a leaf, or others use it."""
    first, second = graph.nodes[product].operands
    by_name = graph.nodes[second].label[:1] == "w" != graph.nodes[first].label[:1]
    if not graph.is_leaf(first) or (by_name and graph.is_leaf(second)):
        first, second = second, first
    is_own = len(graph.users[product]) == 1 and graph.is_leaf(first)
    return (first, second) if is_own else None


def _layers(graph: _Graph, calls: list[_Neuron]) -> list[list[_Neuron]]:
    """Return the neurons by what they read; those of one list have weights of their own each."""
    layers: list[list[_Neuron]] = []
    latest: dict[object, list[_Neuron]] = {}
    for neuron in calls:
        key = _read(graph, neuron)
        layer = latest.get(key, [])
        if not layer or any(not {*neuron.weights}.isdisjoint(other.weights) for other in layer):
            layer = latest[key] = []
            layers.append(layer)
        layer.append(neuron)
    return layers


def _read(graph: _Graph, neuron: _Neuron) -> tuple[object, ...]:
    """Return what tells neurons of one layer: kind, function and inputs; numbers by their data."""
    nodes, kind = graph.nodes, (neuron.kind, graph.nodes[neuron.out].op)
    own = [_is_number(graph, neuron, x) for x in neuron.inputs]
    inputs = (("number", nodes[x].data) if o else x for x, o in zip(neuron.inputs, own))
    return (kind, *inputs)


def _is_number(graph: _Graph, neuron: _Neuron, x: int) -> bool:
    """Whether an input is a number that was written in, read by this neuron alone."""
    return graph.is_leaf(x) and not graph.nodes[x].label and len(graph.users[x]) == 1


def _boxes_of(
    graph: _Graph, layer: list[_Neuron], count: int, shared: set[tuple[int, ...]]
) -> list[Box]:
    """Return the boxes of a layer of neurons; `count` boxes come before these.

    `shared` has the weights that have a box of their own, and gets those of these neurons.
    """
    members, weights = [], []
    for neuron in layer:
        own = [w for w in neuron.weights if len(graph.users[w]) == 1]
        numbers = [x for x in neuron.inputs if _is_number(graph, neuron, x)]
        members.append([*neuron.inner, *own, *numbers])
        theirs = tuple(w for w in neuron.weights if w not in own and w not in graph.boxed)
        if len(theirs) > 1 and theirs not in shared:
            shared.add(theirs)
            weights.append(list(theirs))
    labels = [graph.nodes[neuron.out].label for neuron in layer]
    boxes = _nested(graph, layer[0].kind, "layer", members, labels, count)
    names = ["weights"] * len(weights)
    return boxes + _nested(graph, "weights", "weights", weights, names, count + len(boxes))


def _nested(
    graph: _Graph, kind: str, above: str, parts: list[list[int]], labels: list[str], count: int
) -> list[Box]:
    """Return a box for each part, in one of the kind `above` if there are several."""
    parent = None if len(parts) == 1 else count
    boxes = [graph.box(kind, label, part, parent) for part, label in zip(parts, labels)]
    if len(parts) > 1:
        everything = [place for part in parts for place in part]
        boxes.insert(0, graph.box(above, f"{len(parts)}", everything, None))
    return boxes


# ---- softmax ----


def _softmax(graph: _Graph, top: int) -> list[int]:
    """Return the nodes of the softmax whose sum of exponentials ends at a node; [] if none does."""
    nodes, users = graph.nodes, graph.users
    addends, sums = graph.addends(top)
    exps = [a for a in addends if nodes[a].op == "exp"]
    zeros = [a for a in addends if nodes[a].op != "exp"]
    if len(exps) < 2 or len(zeros) > 1 or any(_is_used(graph, zero) for zero in zeros):
        return []
    inverses = users[top]
    if not inverses or any(nodes[inverse].op != "**-1" for inverse in inverses):
        return []
    shares = [share for inverse in inverses for share in users[inverse]]
    inside = {*sums, *shares}
    is_share = all(nodes[s].op == "*" and not {*nodes[s].operands}.isdisjoint(exps) for s in shares)
    if not shares or not is_share or not all(inside.issuperset(users[e]) for e in exps):
        return []
    members = [*exps, *zeros, *sums, *inverses, *shares]
    for exp in exps:
        shifted = nodes[exp].operands[0]
        operands = nodes[shifted].operands
        if (
            nodes[shifted].op == "+"
            and len(users[shifted]) == 1
            and not _is_used(graph, operands[1])
        ):
            members += [shifted, operands[1]]
    return members


def _is_used(graph: _Graph, place: int) -> bool:
    """Whether a node is more than a number that one operation has of its own."""
    node = graph.nodes[place]
    return bool(node.operands or node.label) or len(graph.users[place]) != 1
