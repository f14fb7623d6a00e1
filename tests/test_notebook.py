"""The notebook's small programs and the numbers it prints."""

from __future__ import annotations

from typing import Any

import pytest


def labelled(lib: Any, **numbers: float) -> list[Any]:
    return [lib.Value(x, label=label) for label, x in numbers.items()]


def first_graph(lib: Any, a: float, b: float, c: float, f: float) -> dict[str, Any]:
    """Return L = (a * b + c) * f, and every node on the way, by its label."""
    leaves = labelled(lib, a=a, b=b, c=c, f=f)
    e = leaves[0] * leaves[1]
    e.label = "e"
    d = e + leaves[2]
    d.label = "d"
    loss = d * leaves[3]
    loss.label = "L"
    return {v.label: v for v in (*leaves, d, e, loss)}


def test_first_graph_prints_minus_eight(lib: Any) -> None:
    graph = first_graph(lib, a=2, b=-3, c=10, f=-2)
    assert repr(graph["L"]) == "Value(data=-8.0, label=L, grad=0.0)"


def test_first_graph_has_these_gradients(lib: Any) -> None:
    graph = first_graph(lib, a=2, b=-3, c=10, f=-2)
    graph["L"].backward()
    gradients = {label: v.grad for label, v in graph.items()}
    assert gradients == {"a": 6, "b": -4, "c": -2, "d": -2, "e": -2, "f": 4, "L": 1}


def test_step_along_the_gradient_raises_the_first_graph(lib: Any) -> None:
    graph = first_graph(lib, a=2, b=-3, c=10, f=-2)
    graph["L"].backward()
    for label in "abcf":
        graph[label].data += 0.01 * graph[label].grad
    stepped = first_graph(lib, **{label: graph[label].data for label in "abcf"})
    assert stepped["L"].data == pytest.approx(-7.286496, rel=1e-14)


def test_value_added_to_itself_has_gradient_two(lib: Any) -> None:
    a = lib.Value(3.0)
    b = a + a
    b.backward()
    assert (b.data, a.grad) == (6.0, 2.0)


def test_reused_variables_add_their_gradients(lib: Any) -> None:
    a, b = lib.Value(-2.0), lib.Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    f.backward()
    assert (f.data, a.grad, b.grad) == (-6.0, -3.0, -8.0)


def neuron(lib: Any, bias: float) -> tuple[list[Any], Any]:
    x1, x2, w1, w2, b = labelled(lib, x1=2.0, x2=0.0, w1=-3.0, w2=1.0, b=bias)
    return [x1, w1, x2, w2], x1 * w1 + x2 * w2 + b


BIAS = 6.8813735870195432


def test_neuron_through_tanh(lib: Any) -> None:
    inputs, n = neuron(lib, BIAS)
    o = n.tanh()
    o.backward()
    assert repr(o) == "Value(data=0.7071067811865476, label=, grad=1.0)"
    assert [v.grad for v in inputs] == pytest.approx([-1.5, 1.0, 0.5, 0.0], rel=1e-14)


def test_neuron_through_exp(lib: Any) -> None:
    inputs, n = neuron(lib, BIAS)
    e = (2 * n).exp()
    o = (e - 1) / (e + 1)
    o.backward()
    assert repr(o) == "Value(data=0.7071067811865477, label=, grad=1.0)"
    assert [v.grad for v in inputs] == pytest.approx([-1.5, 1.0, 0.5, 0.0], rel=1e-14)


def test_neuron_agrees_with_pytorch(lib: Any) -> None:
    # PyTorch's own output for the neuron whose bias has passed through a 32-bit float.
    inputs, n = neuron(lib, 6.881373405456543)
    o = n.tanh()
    o.backward()
    assert o.data == pytest.approx(0.7071066904050358, rel=1e-15)
    expected = [-1.5000003851533106, 1.0000002567688737, 0.5000001283844369, 0.0]
    assert [v.grad for v in inputs] == pytest.approx(expected, rel=1e-14)


def test_neuron_differentiated_by_hand_node_by_node(lib: Any) -> None:
    x1, x2, w1, w2, b = labelled(lib, x1=2.0, x2=0.0, w1=-3.0, w2=1.0, b=BIAS)
    x1w1 = x1 * w1
    x2w2 = x2 * w2
    total = x1w1 + x2w2
    n = total + b
    o = n.tanh()
    o.grad = 1.0
    for node in (o, n, b, total, x2w2, x1w1):
        node._backward()
    gradients = [v.grad for v in (n, total, x1w1, x1, w1, x2, w2)]
    assert gradients == pytest.approx([0.5, 0.5, 0.5, -1.5, 1.0, 0.5, 0.0], rel=1e-14)


def test_programs_own_topological_order_gives_backwards_gradients(lib: Any) -> None:
    def graph() -> tuple[list[Any], Any]:
        inputs, n = neuron(lib, BIAS)
        return inputs, n.tanh() * n + n

    def backward(root: Any) -> None:
        order: list[Any] = []
        visited = set()

        def build(v: Any) -> None:
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                order.append(v)

        build(root)
        root.grad = 1.0
        for node in reversed(order):
            node._backward()

    inputs, root = graph()
    backward(root)
    expected_inputs, expected_root = graph()
    expected_root.backward()
    assert [v.grad for v in inputs] == [v.grad for v in expected_inputs]
