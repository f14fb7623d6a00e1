"""AdamW by hand: three spiral arms, told apart by a small network.

    python examples/adamw.py [--steps 100] [--points 120] [--seed 42] [--draw graph.dot]

The optimiser keeps two running averages for each parameter, and keeps them where they belong: on
the parameter, as attributes of our own. `--draw` writes the graph of one small neuron in the DOT
language, coloured by an attribute of the same kind (`dot -Tsvg graph.dot > graph.svg` shows it).
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

from micrograd_c import Value


class MLP:
    """One hidden layer of tanh neurons, and a linear layer of logits."""

    def __init__(self, nin, nhidden, nout):
        self.hidden = [self.neuron(nin) for _ in range(nhidden)]
        self.output = [self.neuron(nhidden) for _ in range(nout)]

    @staticmethod
    def neuron(nin):
        w = [Value(random.gauss(0, 1) * nin**-0.5) for _ in range(nin)]
        return w, Value(0.0)

    def __call__(self, x):
        hidden = [sum((wi * xi for wi, xi in zip(w, x)), b).tanh() for w, b in self.hidden]
        return [sum((wi * hi for wi, hi in zip(w, hidden)), b) for w, b in self.output]

    def parameters(self):
        return [p for w, b in self.hidden + self.output for p in [*w, b]]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(self, parameters, lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=1e-4):
        self.parameters = parameters
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self.t = 0
        for p in parameters:
            p.m = 0.0  # running average of the gradient
            p.v = 0.0  # running average of its square

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for p in self.parameters:
            p.m = b1 * p.m + (1 - b1) * p.grad
            p.v = b2 * p.v + (1 - b2) * p.grad**2
            m_hat = p.m / (1 - b1**self.t)
            v_hat = p.v / (1 - b2**self.t)
            p.data -= self.lr * (m_hat / (math.sqrt(v_hat) + self.eps) + self.weight_decay * p.data)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = 0.0


def make_spirals(n):
    """Points on three arms that wind around the origin, with the numbers of their arms."""
    points = []
    for i in range(n):
        arm, t = i % 3, i / n
        angle = 2 * math.pi * arm / 3 + 3.5 * t + random.gauss(0, 0.1)
        radius = 0.2 + 1.3 * t
        points.append(([radius * math.cos(angle), radius * math.sin(angle)], arm))
    random.shuffle(points)
    return points


def cross_entropy(logits, target):
    """-log(softmax(logits)[target]), safe from overflow: the largest logit becomes 0."""
    largest = max(logit.data for logit in logits)
    shifted = [logit - largest for logit in logits]
    return sum(s.exp() for s in shifted).log() - shifted[target]


def mean(values):
    """The average as an operator of our own: one node, with as many operands as there are."""
    out = Value(sum(v.data for v in values) / len(values), _prev=tuple(values), _op="mean")

    def _backward():
        for v in values:
            v.grad += out.grad / len(values)

    out._backward = _backward
    return out


def loss_of(model, points):
    return mean([cross_entropy(model(x), target) for x, target in points])


def accuracy_of(model, points):
    right = 0
    for x, target in points:
        logits = model(x)
        right += logits.index(max(logits, key=lambda logit: logit.data)) == target
    return right / len(points)


def draw(path):
    """Write the graph of a neuron and its loss, after `backward()`."""
    x = [Value(1.0), Value(-2.0)]
    w, b = [Value(0.5), Value(0.25)], Value(-0.1)
    loss = (1 - (w[0] * x[0] + w[1] * x[1] + b).tanh()) ** 2
    loss.backward()
    for n in x:
        n._vis_color = "lightblue"
    for n in [*w, b]:
        n._vis_color = "lightgreen"
    loss._vis_color = "lightpink"

    nodes = [loss]
    lines = ["digraph {", "  rankdir=LR; node [shape=box, style=filled]"]
    for n in nodes:  # grows as it is read
        color = getattr(n, "_vis_color", "white")
        label = f"{n._op or 'value'}\\ndata {n.data:.4f}\\ngrad {n.grad:.4f}"
        lines.append(f'  n{nodes.index(n)} [label="{label}", fillcolor={color}]')
        for child in n._prev:
            if child not in nodes:
                nodes.append(child)
            lines.append(f"  n{nodes.index(child)} -> n{nodes.index(n)}")
    path.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
    print(f"{len(nodes)} nodes drawn")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--draw", type=Path, metavar="FILE")
    options = parser.parse_args()

    random.seed(options.seed)
    points = make_spirals(options.points)
    split = len(points) * 4 // 5
    train, validation = points[:split], points[split:]
    model = MLP(2, 10, 3)
    optimizer = AdamW(model.parameters())
    print(f"{len(model.parameters())} parameters, {len(train)} points to learn from")

    for step in range(options.steps):
        loss = loss_of(model, train)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step}  loss {loss.data}  validation {loss_of(model, validation).data}")
    print(f"step {options.steps}  loss {loss_of(model, train).data}")
    print(f"accuracy {accuracy_of(model, train):.0%}, unseen {accuracy_of(model, validation):.0%}")
    if options.draw:
        draw(options.draw)


if __name__ == "__main__":
    main()
