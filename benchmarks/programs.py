"""The programs that every contender runs, word for word, over its own class `Value`.

Each contender gets a copy of the module of its own (`contenders.own_copy`): the interpreter
specializes code for the types it meets, and no contender may find it specialized for another.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

MOONS_SIZES = [2, 16, 16, 1]
MOONS_POINTS = 100
MOONS_RATE = 0.05
MOONS_ALPHA = 1e-4

STEPS_COMPARED = 3

NOTEBOOK_SIZES = [3, 4, 4, 1]
NOTEBOOK_POINTS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
NOTEBOOK_TARGETS = [1.0, -1.0, -1.0, 1.0]
NOTEBOOK_RATE = 0.01


def moons_data(count: int = MOONS_POINTS) -> tuple[list[list[float]], list[float]]:
    """Return points on two interleaved half circles, and their targets, 1.0 or -1.0."""
    generator = random.Random(1337)
    points, targets = [], []
    for i in range(count):
        angle = math.pi * (i // 2) / (count // 2 - 1)
        x, y = math.cos(angle), math.sin(angle)
        centre = (1 - x, 0.5 - y) if i % 2 else (x, y)
        points.append([coordinate + generator.gauss(0, 0.1) for coordinate in centre])
        targets.append(1.0 if i % 2 else -1.0)
    return points, targets


def initial_numbers(sizes: list[int]) -> list[float]:
    """Return a network's first parameters: neuron by neuron, the weights and then the bias."""
    generator = random.Random(42)
    count = sum((nin + 1) * nout for nin, nout in zip(sizes, sizes[1:]))
    return [generator.uniform(-1, 1) for _ in range(count)]


def load_numbers(model: Any, numbers: list[float]) -> None:
    """Give a network these parameters."""
    parameters = model.parameters()
    if len(parameters) != len(numbers):
        raise ValueError(f"{len(numbers)} numbers for {len(parameters)} parameters")
    for p, number in zip(parameters, numbers):
        p.data = number


# ---- networks ----


class Lists:
    """A user's own network of ReLU neurons: lists of Values, and loops over them."""

    def __init__(self, value: Any, sizes: list[int]) -> None:
        self.layers = [
            [([value(0.0) for _ in range(nin)], value(0.0)) for _ in range(nout)]
            for nin, nout in zip(sizes, sizes[1:])
        ]

    def __call__(self, inputs: list[Any]) -> Any:
        last = len(self.layers) - 1
        for depth, layer in enumerate(self.layers):
            outputs = []
            for weights, bias in layer:
                total = bias
                for w, x in zip(weights, inputs):
                    total = total + w * x
                outputs.append(total.relu() if depth < last else total)
            inputs = outputs
        return inputs[0]

    def parameters(self) -> list[Any]:
        return [p for layer in self.layers for ws, b in layer for p in [*ws, b]]


class NotebookNeuron:
    """The lecture's neuron."""

    def __init__(self, value: Any, nin: int) -> None:
        self.w = [value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = value(random.uniform(-1, 1))

    def __call__(self, x: Any) -> Any:
        act = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
        out = act.tanh()
        return out

    def parameters(self) -> list[Any]:
        return [*self.w, self.b]


class NotebookLayer:
    """The lecture's layer."""

    def __init__(self, value: Any, nin: int, nout: int) -> None:
        self.neurons = [NotebookNeuron(value, nin) for _ in range(nout)]

    def __call__(self, x: Any) -> Any:
        outs = [n(x) for n in self.neurons]
        return outs[0] if len(outs) == 1 else outs

    def parameters(self) -> list[Any]:
        return [p for neuron in self.neurons for p in neuron.parameters()]


class NotebookMLP:
    """The lecture's network."""

    def __init__(self, value: Any, sizes: list[int]) -> None:
        self.layers = [NotebookLayer(value, *shape) for shape in zip(sizes, sizes[1:])]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Any]:
        return [p for layer in self.layers for p in layer.parameters()]


# ---- training ----


class Training:
    """A network, the loss it is trained on and the rate of its descent."""

    def __init__(self, model: Any, loss: Callable[[], Any], rate: float) -> None:
        self.model = model
        self.loss = loss
        self.rate = rate

    def update(self) -> None:
        """Descend by the gradients there are."""
        for p in self.model.parameters():
            p.data -= self.rate * p.grad

    def step(self) -> float:
        """Forward, loss, gradients to zero, backward, update; return the loss."""
        loss = self.loss()
        for p in self.model.parameters():
            p.grad = 0.0
        loss.backward()
        self.update()
        return loss.data  # type: ignore[no-any-return]

    def trace(self, steps: int) -> list[float]:
        """Return the losses of some steps and the parameters they led to: what is compared."""
        losses = [self.step() for _ in range(steps)]
        return [float(x) for x in [*losses, *(p.data for p in self.model.parameters())]]


class WithOptimizer(Training):
    """The same, the parameters updated by an optimizer."""

    def __init__(self, model: Any, loss: Callable[[], Any], optimizer: Any) -> None:
        super().__init__(model, loss, optimizer.lr)
        self.optimizer = optimizer

    def step(self) -> float:
        """Forward, loss, gradients to zero, backward, update; return the loss."""
        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.data  # type: ignore[no-any-return]


def moons_training(value: Any, model: Any) -> Training:
    """Train a 2-16-16-1 ReLU network on 100 points: the max-margin loss of micrograd's demo, L2."""
    points, targets = moons_data()
    load_numbers(model, initial_numbers(MOONS_SIZES))

    def loss() -> Any:
        inputs = [list(map(value, point)) for point in points]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(targets, scores)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = MOONS_ALPHA * sum(p * p for p in model.parameters())
        return data_loss + reg_loss

    return Training(model, loss, MOONS_RATE)


def notebook_training(model: Any) -> Training:
    """Train a 3-4-4-1 tanh network on the lecture's four examples: the squared error."""
    load_numbers(model, initial_numbers(NOTEBOOK_SIZES))

    def loss() -> Any:
        ypred = [model(x) for x in NOTEBOOK_POINTS]
        return sum((yout - ygt) ** 2 for ygt, yout in zip(NOTEBOOK_TARGETS, ypred))

    return Training(model, loss, NOTEBOOK_RATE)


def whole_moons_training(package: Any, model: Any) -> Training:
    """Train on two moons with nothing but what our package offers for it."""
    points, targets = moons_data()
    load_numbers(model, initial_numbers(MOONS_SIZES))
    params = model.parameters()

    def loss() -> Any:
        scores = [model(list(map(package.Value, point))) for point in points]
        return package.hinge(scores, targets) + MOONS_ALPHA * package.dot(params, params)

    return WithOptimizer(model, loss, package.optim.SGD(params, lr=MOONS_RATE))


def whole_notebook_training(package: Any, model: Any) -> Training:
    """Train on the lecture's four examples with nothing but what our package offers for it."""
    load_numbers(model, initial_numbers(NOTEBOOK_SIZES))

    def loss() -> Any:
        ypred = [model(x) for x in NOTEBOOK_POINTS]
        return package.mse(ypred, NOTEBOOK_TARGETS) * len(ypred)

    optimizer = package.optim.SGD(model.parameters(), lr=NOTEBOOK_RATE)
    return WithOptimizer(model, loss, optimizer)


# ---- graphs without a network: each returns its end and the leaf that was made first ----


def chain(value: Any, nodes: int) -> tuple[Any, Any]:
    """Return a chain of additions of one leaf."""
    x = value(1e-3)
    out = x
    for _ in range(nodes):
        out = out + x
    return out, x


def wide(value: Any, nodes: int) -> tuple[Any, Any]:
    """Return the sum, in a balanced tree, of nodes/2 products of one leaf."""
    x = value(1e-3)
    terms = [x * x for _ in range(nodes // 2)]
    while len(terms) > 1:
        odd = terms[len(terms) & ~1 :]
        terms = [a + b for a, b in zip(terms[::2], terms[1::2])] + odd
    return terms[0], x


def mixed(value: Any, nodes: int) -> tuple[Any, Any]:
    """Return a graph whose operands are among the last few hundred nodes.

    Three nodes a step: one of 256 running values becomes the weighted mean of itself and another.
    All of it is reached from the end, and values and gradients keep their size.
    """
    generator = random.Random(7)
    s, t = value(0.5), value(0.5)
    pool = [value(generator.uniform(-1, 1)) for _ in range(256)]
    steps = max(0, nodes - 255) // 3
    picks = bytes(generator.getrandbits(8) for _ in range(2 * min(steps, 1 << 16)))
    left = steps
    while left:
        count = min(left, len(picks) // 2)
        for j, k in zip(picks[: 2 * count : 2], picks[1 : 2 * count : 2]):
            pool[j] = pool[j] * s + pool[k] * t
        left -= count
    while len(pool) > 1:
        pool = [a + b for a, b in zip(pool[::2], pool[1::2])]
    return pool[0], s


def mixed_nodes(nodes: int) -> int:
    """Return the number of operations in `mixed`."""
    return max(0, nodes - 255) // 3 * 3 + 255


def scattered(value: Any, nodes: int) -> tuple[Any, Any]:
    """Return a graph with operands anywhere in it.

    Three nodes a step: the weighted mean of the last value and one drawn from all before.
    """
    generator = random.Random(7)
    s, t = value(0.5), value(0.5)
    out = value(1.0)
    pool = [out, value(-1.0)]
    for _ in range(nodes // 3):
        out = out * s + pool[int(generator.random() * len(pool))] * t
        pool.append(out)
    return out, s
