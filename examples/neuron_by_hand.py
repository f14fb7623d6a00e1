"""A neuron, differentiated by hand: node by node first, then in an order of our own making.

    python examples/neuron_by_hand.py

The chain rule is one short step at each node: it takes the gradient it has been given and hands
every operand its share. `node._backward()` is that step. All that `backward()` adds is the order.
"""

from __future__ import annotations

import math

from micrograd_c import Value

STEPS = 8
RATE = 0.05
TARGET = -0.5


def tanh(n: Value) -> Value:
    """The neuron's squashing function, written out: a value, its operand, its chain rule."""
    t = (math.exp(2 * n.data) - 1) / (math.exp(2 * n.data) + 1)
    out = Value(t, _children=(n,), _op="tanh", label="o")

    def _backward() -> None:
        n.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


def topological_order(root: Value) -> list[Value]:
    """Every node that `root` was made from, each after all of its operands; `root` is last."""
    order: list[Value] = []
    visited: set[Value] = set()

    def visit(v: Value) -> None:
        if v not in visited:
            visited.add(v)
            for child in v._prev:
                visit(child)
            order.append(v)

    visit(root)
    return order


def show(title: str, nodes: list[Value]) -> None:
    print(title)
    for v in nodes:
        print(f"  {v.label:>11} {v._op:4}  data {v.data:+.12f}  grad {v.grad:+.12f}")


def main() -> None:
    # Two inputs, two weights, a bias. The labels are for the reader only.
    x1 = Value(2.0, label="x1")
    x2 = Value(0.0, label="x2")
    w1 = Value(-3.0, label="w1")
    w2 = Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    leaves = [x1, x2, w1, w2, b]

    # The neuron, with a name for each thing on the way.
    x1w1 = x1 * w1
    x1w1.label = "x1*w1"
    x2w2 = x2 * w2
    x2w2.label = "x2*w2"
    weighted = x1w1 + x2w2
    weighted.label = "x1*w1+x2*w2"
    n = weighted + b
    n.label = "n"
    o = tanh(n)

    # Backwards by hand, from the output to the leaves.
    o.grad = 1.0
    o._backward()
    n._backward()
    b._backward()  # a leaf has nobody to pass its gradient to: this does nothing
    weighted._backward()
    x2w2._backward()
    x1w1._backward()
    nodes = [o, n, weighted, x1w1, x2w2, *leaves]
    show("node by node", nodes)
    by_hand = [v.grad for v in nodes]

    # The same with the order found by a search.
    for v in nodes:
        v.grad = 0.0
    o.grad = 1.0
    for node in reversed(topological_order(o)):
        node._backward()
    print("in topological order: the same?", [v.grad for v in nodes] == by_hand)

    # And the same with one call.
    for v in nodes:
        v.grad = 0.0
    o.backward()
    print("with backward(): the same?", [v.grad for v in nodes] == by_hand)

    # tanh in smaller pieces: more nodes, the same derivative.
    for v in leaves:
        v.grad = 0.0
    e = (2 * (x1 * w1 + x2 * w2 + b)).exp()
    pieces = (e - 1) / (e + 1)
    pieces.label = "o"
    pieces.backward()
    show("with tanh taken apart", [pieces, *leaves])

    # A value that is used twice is given two gradients, and they add up.
    a = Value(3.0, label="a")
    twice = a + a
    twice.grad = 1.0
    twice._backward()
    print(f"a + a names {len(twice._prev)} operand; its gradient is {a.grad}")

    # What it is all for: nudge the weights so that the output comes closer to a target.
    print(f"training the neuron to say {TARGET}")
    for step in range(STEPS):
        out = (x1 * w1 + x2 * w2 + b).tanh()
        loss = (out - TARGET) ** 2
        for v in leaves:
            v.grad = 0.0
        loss.grad = 1.0
        for node in reversed(topological_order(loss)):
            node._backward()
        for v in (w1, w2, b):
            v.data -= RATE * v.grad
        print(f"step {step}  out {out.data:+.12f}  loss {loss.data}")


if __name__ == "__main__":
    main()
