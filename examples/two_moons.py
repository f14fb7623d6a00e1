"""Two moons: a small network learns to tell two interleaved half circles apart.

    python examples/two_moons.py [--steps 60] [--points 100] [--map 15] [--seed 1337]

A multi-layer perceptron over single numbers, the max-margin loss of a support vector machine, a
penalty on large weights, gradient descent with a falling learning rate, and a map of what it
learned, drawn in letters.
"""

from __future__ import annotations

import argparse
import math
import random

from micrograd_c import Value


class Module:
    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0

    def parameters(self):
        return []


class Neuron(Module):
    def __init__(self, nin, nonlin=True):
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x):
        activation = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
        return activation.relu() if self.nonlin else activation

    def parameters(self):
        return [*self.w, self.b]


class Layer(Module):
    def __init__(self, nin, nout, **options):
        self.neurons = [Neuron(nin, **options) for _ in range(nout)]

    def __call__(self, x):
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self):
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP(Module):
    def __init__(self, nin, nouts):
        sizes = [nin, *nouts]
        last = len(nouts) - 1
        self.layers = [Layer(sizes[i], sizes[i + 1], nonlin=i != last) for i in range(len(nouts))]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


def make_moons(n, noise=0.1):
    """Two half circles that reach into one another, with their labels, -1 and 1."""
    rows, labels = [], []
    for i in range(n):
        angle = math.pi * (i // 2) / max(1, (n - 1) // 2)
        if i % 2 == 0:
            x, y = math.cos(angle), math.sin(angle)
        else:
            x, y = 1 - math.cos(angle), 0.5 - math.sin(angle)
        rows.append([x + random.gauss(0, noise), y + random.gauss(0, noise)])
        labels.append(1 if i % 2 else -1)
    return rows, labels


def evaluate(model, rows, labels):
    """The loss over all points, a Value, and the share of points on the right side."""
    inputs = [list(map(Value, row)) for row in rows]
    scores = list(map(model, inputs))

    # Max-margin: a point costs nothing once it is on its side by a margin of 1.
    losses = [(1 + -label * score).relu() for label, score in zip(labels, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    penalty = 1e-4 * sum(p * p for p in model.parameters())

    right = [(label > 0) == (score.data > 0) for label, score in zip(labels, scores)]
    return data_loss + penalty, sum(right) / len(right)


def draw(model, rows, height):
    """Print the plane: `#` where the model says 1, `.` where it says -1."""
    xs, ys = zip(*rows)
    width = 3 * height
    for j in range(height):
        y = max(ys) - (j + 0.5) / height * (max(ys) - min(ys))
        line = [min(xs) + (i + 0.5) / width * (max(xs) - min(xs)) for i in range(width)]
        print("".join("#" if model([Value(x), Value(y)]).data > 0 else "." for x in line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--map", type=int, default=15, help="lines of the map")
    parser.add_argument("--seed", type=int, default=1337)
    options = parser.parse_args()

    random.seed(options.seed)
    rows, labels = make_moons(options.points)
    model = MLP(2, [16, 16, 1])
    print(f"{len(model.parameters())} parameters, {len(rows)} points")

    for step in range(options.steps):
        loss, accuracy = evaluate(model, rows, labels)
        model.zero_grad()
        loss.backward()
        rate = 1.0 - 0.9 * step / options.steps
        for p in model.parameters():
            p.data -= rate * p.grad
        print(f"step {step}  loss {loss.data}  accuracy {accuracy:.0%}")

    draw(model, rows, options.map)


if __name__ == "__main__":
    main()
