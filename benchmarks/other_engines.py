"""Two more engines with a scalar type, where they are installed: XAD and PyTorch.

Their scalars are not micrograd's Values, so they run the same networks written in their own terms.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from . import gpt, programs


class Scalars:
    """The two trainings over any scalar; a subclass says how to get gradients."""

    def __init__(self, *, notebook: bool) -> None:
        self.notebook = notebook
        self.sizes = programs.NOTEBOOK_SIZES if notebook else programs.MOONS_SIZES
        self.rate = programs.NOTEBOOK_RATE if notebook else programs.MOONS_RATE
        self.points, self.targets = (
            (programs.NOTEBOOK_POINTS, programs.NOTEBOOK_TARGETS)
            if notebook
            else programs.moons_data()
        )
        self.numbers = programs.initial_numbers(self.sizes)

    def relu(self, x: Any) -> Any:
        raise NotImplementedError

    def tanh(self, x: Any) -> Any:
        raise NotImplementedError

    def step(self) -> float:
        raise NotImplementedError

    def trace(self, steps: int) -> list[float]:
        """Return the losses of some steps and the parameters they led to."""
        losses = [self.step() for _ in range(steps)]
        return [*losses, *self.parameters()]

    def parameters(self) -> list[float]:
        """Return the parameters as they are now."""
        return self.numbers

    def score(self, parameters: list[Any], inputs: list[Any]) -> Any:
        """Run the network, neuron by neuron."""
        at, last = 0, len(self.sizes) - 2
        for depth, (nin, nout) in enumerate(zip(self.sizes, self.sizes[1:])):
            outputs = []
            for _ in range(nout):
                total = parameters[at + nin]
                for k in range(nin):
                    total = total + parameters[at + k] * inputs[k]
                at += nin + 1
                if self.notebook:
                    total = self.tanh(total)
                elif depth < last:
                    total = self.relu(total)
                outputs.append(total)
            inputs = outputs
        return inputs[0]

    def loss(self, parameters: list[Any]) -> Any:
        """Return the loss of the two moons or of the notebook's examples."""
        scores = [self.score(parameters, point) for point in self.points]
        pairs = list(zip(self.targets, scores))
        if self.notebook:
            return sum(((score - y) ** 2 for y, score in pairs), 0.0)
        losses = [self.relu(1.0 + -y * score) for y, score in pairs]
        squares = sum((p * p for p in parameters), 0.0)
        return sum(losses, 0.0) * (1.0 / len(losses)) + programs.MOONS_ALPHA * squares


class Xad(Scalars):
    """XAD: a C++ tape behind a Python scalar."""

    def __init__(self, *, notebook: bool) -> None:
        super().__init__(notebook=notebook)
        self.adj, self.math = import_module("xad.adj_1st"), import_module("xad.math")

    def relu(self, x: Any) -> Any:
        return self.math.max(x, 0.0)

    def tanh(self, x: Any) -> Any:
        return self.math.tanh(x)

    def step(self) -> float:
        """Record, roll the tape back, update."""
        with self.adj.Tape() as tape:
            parameters = [self.adj.Real(number) for number in self.numbers]
            for p in parameters:
                tape.registerInput(p)
            tape.newRecording()
            loss = self.loss(parameters)
            tape.registerOutput(loss)
            loss.setDerivative(1.0)
            tape.computeAdjoints()
            gradients = [p.getDerivative() for p in parameters]
            value = float(loss.getValue())
        self.numbers = [p - self.rate * g for p, g in zip(self.numbers, gradients)]
        return value


class Torch(Scalars):
    """PyTorch with a tensor of one element for each number."""

    def __init__(self, *, notebook: bool) -> None:
        super().__init__(notebook=notebook)
        self.torch = torch = import_module("torch")
        self.tensors = [
            torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in self.numbers
        ]

    def parameters(self) -> list[float]:
        return [p.item() for p in self.tensors]

    def relu(self, x: Any) -> Any:
        return x.relu()

    def tanh(self, x: Any) -> Any:
        return x.tanh()

    def step(self) -> float:
        """Forward, gradients to zero, backward, update."""
        loss = self.loss(self.tensors)
        for p in self.tensors:
            p.grad = None
        loss.backward()
        with self.torch.no_grad():
            for p in self.tensors:
                p -= self.rate * p.grad
        return float(loss.item())


class Number:
    """A parameter outside any tape."""

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.0


def name_xads_functions() -> Any:
    """Give XAD's scalar the names that programs use of a Value; return its module."""
    adj, math = import_module("xad.adj_1st"), import_module("xad.math")
    adj.Real.data = property(adj.Real.getValue)
    adj.Real.exp, adj.Real.log = lambda x: math.exp(x), lambda x: math.log(x)
    adj.Real.relu = lambda x: math.max(x, 0.0)
    return adj


def xad_gradients(fn: Callable[..., Any], numbers: list[float], argument: Any) -> list[float]:
    """Return the derivatives of fn(inputs, argument) with respect to the inputs."""
    adj = name_xads_functions()
    with adj.Tape() as tape:
        inputs = [adj.Real(number) for number in numbers]
        for x in inputs:
            tape.registerInput(x)
        tape.newRecording()
        result = fn(inputs, argument)
        tape.registerOutput(result)
        result.setDerivative(1.0)
        tape.computeAdjoints()
        return [x.getDerivative() for x in inputs]


class XadGpt(gpt.Training):
    """The program of gpt.py over XAD's scalar, which is given the names it uses of a Value."""

    def __init__(self) -> None:
        super().__init__(Number)
        self.adj = name_xads_functions()

    def loss(self) -> Any:
        """Record, roll the tape back at once, and give the parameters their gradients."""
        with self.adj.Tape() as tape:
            numbers = [self.adj.Real(p.data) for p in self.params]
            for number in numbers:
                tape.registerInput(number)
            tape.newRecording()
            one_by_one = iter(numbers)
            weights = {
                name: [[next(one_by_one) for _ in row] for row in rows]
                for name, rows in self.weights.items()
            }
            loss = gpt.loss_of(weights, gpt.NAMES[self.steps % len(gpt.NAMES)])
            tape.registerOutput(loss)
            loss.setDerivative(1.0)
            tape.computeAdjoints()
            for p, number in zip(self.params, numbers):
                p.grad = number.getDerivative()
            return SimpleNamespace(data=float(loss.getValue()), backward=lambda: None)


TRAININGS: dict[str, Callable[..., Scalars]] = {"xad": Xad, "torch": Torch}
