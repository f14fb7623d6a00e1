"""Boxes: what is found to be a neuron, a layer, a softmax; and that boxes make no circle."""

from __future__ import annotations

import importlib
from graphlib import TopologicalSorter
from typing import Any

import pytest


def boxes(mg: Any, root: Any) -> list[tuple[str, int, int | None]]:
    """Kind, number of nodes and outer box of each box of a graph."""
    found = importlib.import_module(f"{mg.__name__}._explain.walk").walk(root)["boxes"]
    return [(box["kind"], len(box["members"]), box["parent"]) for box in found]


def values(mg: Any, *data: float) -> list[Any]:
    return [mg.Value(x) for x in data]


def test_a_neuron_is_a_box_with_its_weights_and_numbers(mg: Any) -> None:
    assert boxes(mg, mg.Neuron(2)([1.0, 2.0])) == [("neuron", 10, None)]


def test_values_that_a_neuron_reads_stay_outside(mg: Any) -> None:
    x = values(mg, 1.0, 2.0)
    x[0].label = x[1].label = "x"
    assert boxes(mg, mg.Neuron(2)(x)) == [("neuron", 8, None)]


def test_a_neuron_without_a_function_is_a_box_by_its_label(mg: Any) -> None:
    assert boxes(mg, mg.Neuron(1, activation=None)([1.0])) == [("neuron", 5, None)]


def test_a_layer_is_a_box_of_neurons(mg: Any) -> None:
    outs = mg.Layer(2, 2)([1.0, 2.0])
    assert boxes(mg, outs[0] * outs[1]) == [
        ("layer", 20, None),
        ("neuron", 10, 0),
        ("neuron", 10, 0),
    ]


def test_weights_that_two_calls_share_are_a_box_of_their_own(mg: Any) -> None:
    neuron = mg.Neuron(2)
    loss = neuron([1.0, 2.0]) - neuron([3.0, 4.0])
    assert sorted(boxes(mg, loss)) == [
        ("neuron", 7, None),
        ("neuron", 7, None),
        ("weights", 3, None),
    ]


def test_the_lectures_own_neuron_is_a_box(mg: Any) -> None:
    x1, w1, x2, w2, b = values(mg, 2.0, -3.0, 0.0, 1.0, 6.5)
    for value, label in zip((x1, w1, x2, w2), ("x1", "w1", "x2", "w2")):
        value.label = label
    assert boxes(mg, (x1 * w1 + x2 * w2 + b).tanh()) == [("neuron", 8, None)]


def test_a_sum_of_products_without_a_function_is_called_so(mg: Any) -> None:
    w, x = values(mg, 1.0, 2.0), values(mg, 3.0, 4.0)
    x[0].label = x[1].label = "x"
    assert boxes(mg, mg.dot(w, x, mg.Value(1.0)) * 2) == [("products", 7, None)]


def test_the_first_graph_of_the_lecture_has_no_box(mg: Any) -> None:
    a, b, c, f = values(mg, 2.0, -3.0, 10.0, -2.0)
    assert boxes(mg, (a * b + c) * f) == []


def test_a_neuron_whose_product_is_used_elsewhere_is_no_box(mg: Any) -> None:
    w, x = values(mg, 1.0, 2.0), values(mg, 3.0, 4.0)
    product = w[0] * x[0]
    out = (product + w[1] * x[1]).tanh()
    assert boxes(mg, out + product) == []


def test_a_neuron_whose_weights_are_results_is_no_box(mg: Any) -> None:
    w, x = [v.exp() for v in values(mg, 1.0, 2.0)], [v.exp() for v in values(mg, 3.0, 4.0)]
    assert boxes(mg, mg.dot(w, x).tanh()) == []


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("op", ["*", "+", "exp", "**-1"])
def test_an_operator_of_ones_own_may_have_any_name(mg: Any, op: str, count: int) -> None:
    own = mg.Value(6.0, tuple(values(mg, *range(count))), op)
    sum_of_products = (own + mg.Value(1.0) * mg.Value(2.0)).tanh()
    other = mg.Value(1.0).exp()
    inverse = (mg.Value(6.0, tuple(values(mg, *range(count))), op) + other) ** -1
    softmax = inverse._children[0]._children[0] * inverse + other * inverse
    for root in (sum_of_products, softmax):
        is_real = root is softmax and (op, count) == ("exp", 1)
        assert [kind for kind, _, _ in boxes(mg, root)] == ["softmax"] * is_real
        assert "digraph" in mg.draw_dot(root, collapse=True).source


def by_hand(mg: Any, logits: list[Any]) -> list[Any]:
    """The softmax of the lecture's exercise."""
    counts = [logit.exp() for logit in logits]
    denominator = sum(counts)
    return [count / denominator for count in counts]


@pytest.mark.parametrize(("by_hand_too", "count"), [(False, 15), (True, 9)])
def test_a_softmax_is_a_box(mg: Any, by_hand_too: bool, count: int) -> None:
    logits = values(mg, 1.0, 2.0, 3.0)
    shares = by_hand(mg, logits) if by_hand_too else mg.softmax(logits)
    assert boxes(mg, -shares[1].log()) == [("softmax", count, None)]


def test_exponentials_that_are_used_elsewhere_are_no_softmax(mg: Any) -> None:
    exps = [v.exp() for v in values(mg, 1.0, 2.0)]
    assert boxes(mg, exps[0] / sum(exps) + exps[1]) == []


def contracted(found: dict[str, Any]) -> dict[str, set[str]]:
    """The graph in which each outermost box is one node: operands by result."""
    name = {i: f"n{i}" for i in range(len(found["nodes"]))}
    for b, box in enumerate(found["boxes"]):
        if box["parent"] is None:
            name.update(dict.fromkeys(box["members"], f"b{b}"))
    uses: dict[str, set[str]] = {}
    for i, node in enumerate(found["nodes"]):
        uses.setdefault(name[i], set()).update(name[o] for o in node["operands"])
    return {user: used - {user} for user, used in uses.items()}


@pytest.mark.parametrize("which", ["recurrent", "attention", "batch"])
def test_boxes_in_place_of_their_nodes_make_no_circle(mg: Any, which: str) -> None:
    if which == "recurrent":
        layer, state = mg.Layer(4, 2), [0.0, 0.0]
        for x in ([1.0, 2.0], [1.0, 2.0], [3.0, 4.0]):
            state = layer([*x, *state])
        root = mg.total(state)
    elif which == "attention":
        x = values(mg, 1.0, 2.0)
        q, k = mg.Layer(2, 2)(x), mg.Layer(2, 2)(x)
        shares = mg.softmax([mg.dot(q, k), q[0] * k[1], q[1] * k[0]])
        root = mg.dot(shares, mg.Layer(2, 3)(k))
    else:
        model = mg.MLP(2, [3, 2, 2])
        root = mg.total([mg.cross_entropy(model(x), 0) for x in ([1.0, 2.0], [1.0, 2.0])])
    found = importlib.import_module(f"{mg.__name__}._explain.walk").walk(root)
    assert found["boxes"]
    TopologicalSorter(contracted(found)).prepare()


def test_boxes_share_no_node_but_with_the_box_around_them(mg: Any) -> None:
    model = mg.MLP(2, [3, 2, 2])
    root = mg.total([p for x in ([1.0, 2.0], [3.0, 4.0]) for p in mg.softmax(model(x))])
    found = importlib.import_module(f"{mg.__name__}._explain.walk").walk(root)["boxes"]
    for outer in (None, *range(len(found))):
        inside = [m for box in found if box["parent"] == outer for m in box["members"]]
        assert len(inside) == len(set(inside))
        assert outer is None or not inside or sorted(inside) == list(found[outer]["members"])
