"""The two problems that `python -m micrograd_c` trains on, and the same step in pure Python.

The functions that build a loss use operators alone, so they run on the engine's Values and on the
Values of the pure-Python reference: both do the same work, and both are timed.
"""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, cast

from ..engine import Value
from ..nn import MLP, Neuron
from . import reference

Points = list[list[float]]
Loss = Callable[[list[Any], list[float], list[Any]], Any]


class Step(NamedTuple):
    """One step of training: loss and accuracy (0 to 1) before the update, and its seconds."""

    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Problem:
    """n points with n targets, 1 or -1, and a loss(scores, targets, parameters)."""

    points: Points
    targets: list[float]
    loss: Loss

    def scores(self, model: MLP) -> list[Any]:
        """Return n Values: the model's output for each point."""
        return [model(point) for point in self.points]

    def accuracy(self, scores: list[Any]) -> float:
        """Return the share of scores, 0 to 1, that have their target's sign."""
        pairs = zip(scores, self.targets)
        return sum(bool(score.data > 0) == (y > 0) for score, y in pairs) / len(scores)

    def gradients(self, model: MLP) -> tuple[float, float]:
        """Set the gradients of the model's parameters; return the loss and the accuracy."""
        scores = self.scores(model)
        loss = self.loss(scores, self.targets, model.parameters())
        model.zero_grad()
        loss.backward()
        return loss.data, self.accuracy(scores)

    def step(self, model: MLP, rate: float) -> Step:
        """Take one step of gradient descent on all points."""
        start = perf_counter()
        loss, accuracy = self.gradients(model)
        for p in model.parameters():
            p.data -= rate * p.grad
        return Step(loss, accuracy, perf_counter() - start)


class CompiledMoons:
    """Training on two moons by a program compiled from the loss of one point."""

    def __init__(self, model: MLP, problem: Problem) -> None:
        from .._compile.compiling import compile
        from .._compile.needed import numpy

        np = numpy()
        self.params = model.parameters()
        self.points, self.targets = np.array(problem.points), np.array(problem.targets)

        def loss(x: Any, y: Any) -> Any:
            return max_margin([model(x)], [y], self.params)

        self.program = compile(loss, self.points[0], self.targets[0])
        self.scores = compile(model, self.points[0])

    def accuracy(self) -> float:
        """Return the share of scores, 0 to 1, that have their target's sign."""
        scores = self.scores(self.points)
        return float(((scores > 0) == (self.targets > 0)).mean())

    def step(self, rate: float) -> Step:
        """Take one step of gradient descent on all points."""
        accuracy = self.accuracy()
        start = perf_counter()
        for p in self.params:
            p.grad = 0.0
        loss = self.program.backward(self.points, self.targets)
        for p in self.params:
            p.data -= rate * p.grad
        return Step(loss, accuracy, perf_counter() - start)


def squared_error(scores: list[Any], targets: list[float], parameters: list[Any]) -> Any:
    """Return the sum of (score - target)^2, the lecture's loss."""
    return sum((score - y) ** 2 for score, y in zip(scores, targets))


def max_margin(scores: list[Any], targets: list[float], parameters: list[Any]) -> Any:
    """Return the mean of max(0, 1 - target*score) plus 1e-4 times the parameters' squares."""
    losses = [(1 + -y * score).relu() for score, y in zip(scores, targets)]
    return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in parameters)


def four_examples() -> Problem:
    """Return the lecture's data set: four points in three dimensions."""
    points = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    return Problem(points, [1.0, -1.0, -1.0, 1.0], squared_error)


def two_moons(count: int, seed: int, noise: float = 0.1) -> Problem:
    """Return `count` points on two interleaved half circles of radius 1, in turn.

    The upper half circle is centred on (0, 0) and has target -1. The lower half circle is centred
    on (1, 0.5) and has target 1. Normal noise of standard deviation `noise` is added to each
    coordinate.
    """
    generator = random.Random(seed)
    points, targets = [], []
    for i in range(count):
        angle = math.pi * (i // 2) / max(1, (count - 1) // 2)
        x, y = math.cos(angle), math.sin(angle)
        lower = i % 2 == 1
        centre = (1 - x, 0.5 - y) if lower else (x, y)
        points.append([coordinate + generator.gauss(0, noise) for coordinate in centre])
        targets.append(1.0 if lower else -1.0)
    return Problem(points, targets, max_margin)


def lecture_neuron() -> Value:
    """Return the lecture's neuron, tanh(x1*w1 + x2*w2 + b), with its gradients."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1 = x1 * w1
    x1w1.label = "x1*w1"
    x2w2 = x2 * w2
    x2w2.label = "x2*w2"
    x1w1x2w2 = x1w1 + x2w2
    x1w1x2w2.label = "x1*w1 + x2*w2"
    n = x1w1x2w2 + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    o.backward()
    return o


def on_reference(model: MLP) -> MLP:
    """Return a copy of a network whose parameters are Values of the pure-Python reference."""
    twin = copy(model)
    twin.layers = [copy(layer) for layer in model.layers]
    for layer in twin.layers:
        layer.neurons = [neuron_on_reference(neuron) for neuron in layer.neurons]
    return twin


def neuron_on_reference(neuron: Neuron) -> Neuron:
    """Return a copy of a neuron whose parameters are Values of the pure-Python reference."""
    twin: Any = copy(neuron)
    twin.w = [reference.Value(w.data, label=w.label) for w in neuron.w]
    twin.b = reference.Value(neuron.b.data, label=neuron.b.label)
    return cast(Neuron, twin)


def largest_difference(problem: Problem, model: MLP, twin: MLP) -> float:
    """Return the largest relative difference in the loss and gradients of two networks."""
    with collector(on=False):
        pairs = [(problem.gradients(model)[0], problem.gradients(twin)[0])]
    pairs += [(p.grad, q.grad) for p, q in zip(model.parameters(), twin.parameters())]
    return max(difference(p, q) for p, q in pairs)


def difference(p: float, q: float) -> float:
    """Return |p - q| / max(1, |p|, |q|): 0 if both are nan, infinity if one is."""
    if p == q or (math.isnan(p) and math.isnan(q)):
        return 0.0
    apart = abs(p - q) / max(1.0, abs(p), abs(q))
    return math.inf if math.isnan(apart) else apart


@contextmanager
def collector(*, on: bool) -> Iterator[None]:
    """Collect garbage, then have Python's cyclic garbage collector on or off inside."""
    was_on = gc.isenabled()
    gc.collect()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if was_on else gc.disable)()


def median(numbers: Iterable[float]) -> float:
    """Return the number in the middle, the higher one of two (statistics takes long to import)."""
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2]


def step_times(problem: Problem, model: MLP, *, gc_on: bool, count: int = 3) -> list[float]:
    """Return the seconds of `count` steps, or of fewer once they have taken a second."""
    times: list[float] = []
    while len(times) < count and sum(times) < 1.0:
        with collector(on=gc_on):
            times.append(problem.step(model, rate=0.0).seconds)
    return times
