"""Compiled programs and what they are compared with: C and numpy by hand, the function row by row.

compiled_by_hand.c is built by the system's compiler, ``cc -O3 -march=native``.
"""

from __future__ import annotations

import ctypes
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import micrograd_c as mg

from . import by_hand, programs

SOURCE = Path(__file__).with_name("compiled_by_hand.c")
REACH = 200  # how far back the operands of a random program are, in values
_DOUBLES = ctypes.POINTER(ctypes.c_double)


@cache
def library() -> Any:
    """Compile compiled_by_hand.c and load it."""
    return by_hand.build(SOURCE)


def as_arrays(sizes: list[int], first: list[float]) -> tuple[list[Any], list[Any]]:
    """Return a network's parameters as a matrix (nin, nout) and a vector for each layer."""
    numbers = iter(first)
    shapes = [(nout, nin + 1) for nin, nout in zip(sizes, sizes[1:])]
    blocks = [np.array([[next(numbers) for _ in range(n)] for _ in range(m)]) for m, n in shapes]
    weights = [np.ascontiguousarray(block[:, :-1].T) for block in blocks]
    return weights, [block[:, -1].copy() for block in blocks]


def moons() -> tuple[Any, Any]:
    points, targets = programs.moons_data()
    return np.array(points), np.array(targets)


class Training:
    """Two moons: `run(steps)` returns the losses of some steps from the same first parameters."""

    def __init__(self, activation: str) -> None:
        self.activation = activation
        self.x, self.y = moons()
        self.first = programs.initial_numbers(programs.MOONS_SIZES)


class CompiledTraining(Training):
    """The loss of one point, compiled; SGD with the decay that the penalty's gradient is."""

    def __init__(self, activation: str) -> None:
        super().__init__(activation)
        self.model = mg.MLP(2, [16, 16, 1], activation=[activation, activation, None])
        self.params = self.model.parameters()
        self.optimizer = mg.optim.SGD(self.params, lr=programs.MOONS_RATE)

        def loss(x: Any, y: Any) -> Any:
            squares = mg.total([p * p for p in self.params])
            return (1 + -y * self.model(x)).relu() + programs.MOONS_ALPHA * squares

        self.program = mg.compile(loss, self.x[0], self.y[0])

    def run(self, steps: int) -> list[float]:
        for p, number in zip(self.params, self.first):
            p.data = number
        losses = []
        for _ in range(steps):
            self.optimizer.zero_grad()
            losses.append(self.program.backward(self.x, self.y))
            self.optimizer.step()
        return losses


class CTraining(Training):
    """Row by row in C, without the rows and units that add nothing."""

    def run(self, steps: int) -> list[float]:
        numbers, losses = np.array(self.first), np.zeros(steps)
        pointers = [a.ctypes.data_as(_DOUBLES) for a in (numbers, self.x, self.y)]
        descent = ctypes.c_double(programs.MOONS_RATE), ctypes.c_double(programs.MOONS_ALPHA)
        train = getattr(library(), f"moons_{self.activation}")
        train(
            *pointers,
            ctypes.c_size_t(len(self.y)),
            *descent,
            losses.ctypes.data_as(_DOUBLES),
            ctypes.c_size_t(steps),
        )
        return losses.tolist()  # type: ignore[no-any-return]


class NumpyTraining(Training):
    """All points at once in numpy."""

    def run(self, steps: int) -> list[float]:
        weights, biases = as_arrays(programs.MOONS_SIZES, self.first)
        return [self._step(weights, biases) for _ in range(steps)]

    def _step(self, weights: list[Any], biases: list[Any]) -> float:
        x, y, alpha = self.x, self.y, programs.MOONS_ALPHA
        (w1, w2, w3), (b1, b2, b3) = weights, biases
        relu = self.activation == "relu"
        activate = (lambda s: np.maximum(s, 0.0)) if relu else np.tanh
        slope = (lambda h: h > 0.0) if relu else (lambda h: 1.0 - h * h)
        h1 = activate(x @ w1 + b1)
        h2 = activate(h1 @ w2 + b2)
        margin = 1.0 - y * (h2 @ w3 + b3)[:, 0]
        squares = sum((p * p).sum() for p in (*weights, *biases))
        loss = np.maximum(margin, 0.0).mean() + alpha * squares
        d3 = np.where(margin > 0.0, -y / len(y), 0.0)[:, None]
        d2 = (d3 @ w3.T) * slope(h2)
        d1 = (d2 @ w2.T) * slope(h1)
        gradients = x.T @ d1, h1.T @ d2, h2.T @ d3, d1.sum(0), d2.sum(0), d3.sum(0)
        for p, dp in zip((*weights, *biases), gradients):
            p -= programs.MOONS_RATE * (dp + 2.0 * alpha * p)
        return float(loss)


class TorchTraining(Training):
    """PyTorch's own modules and optimizer, all points at once."""

    def run(self, steps: int) -> list[float]:
        from importlib import import_module

        torch = import_module("torch")
        sizes, numbers = programs.MOONS_SIZES, iter(self.first)
        layers: list[Any] = []
        for nin, nout in zip(sizes, sizes[1:]):
            rows = [[next(numbers) for _ in range(nin + 1)] for _ in range(nout)]
            block = torch.tensor(rows, dtype=torch.float64)
            layer = torch.nn.Linear(nin, nout, dtype=torch.float64)
            with torch.no_grad():
                layer.weight.copy_(block[:, :-1])
                layer.bias.copy_(block[:, -1])
            layers += [layer, torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh()]
        model = torch.nn.Sequential(*layers[:-1])
        x, y = torch.from_numpy(self.x), torch.from_numpy(self.y)
        rate, alpha = programs.MOONS_RATE, programs.MOONS_ALPHA
        # The gradient of the penalty is the optimizer's own decay; its value comes on top.
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=2.0 * alpha)
        losses = []
        for _ in range(steps):
            loss = torch.relu(1.0 - y * model(x)[:, 0]).mean()
            with torch.no_grad():
                squares = sum((p * p).sum() for p in model.parameters())
            losses.append(loss.item() + alpha * squares.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return losses


class Notebook:
    """The lecture's step on four rows, compiled; `built`: and its C, too."""

    def __init__(self, *, built: bool = False) -> None:
        model = mg.MLP(3, [4, 4, 1])
        programs.load_numbers(model, programs.initial_numbers(programs.NOTEBOOK_SIZES))
        self.x, self.y = np.array(programs.NOTEBOOK_POINTS), np.array(programs.NOTEBOOK_TARGETS)
        self.program = mg.compile(lambda x, y: (model(x) - y) ** 2, self.x[0], self.y[0])
        if built:
            self.program.build()
        self.optimizer = mg.optim.SGD(model.parameters(), lr=programs.NOTEBOOK_RATE)

    def run(self, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            self.optimizer.zero_grad()
            losses.append(self.program.backward(self.x, self.y, reduction="sum"))
            self.optimizer.step()
        return losses


def random_program(instructions: int) -> Any:
    """Return a function of ten numbers: sums, products and a few others, of what came before."""

    def fn(*inputs: Any) -> Any:
        generator = random.Random(0)
        pool = list(inputs)
        while len(pool) < instructions // 2:
            a, b = (pool[-1 - generator.randrange(min(REACH, len(pool)))] for _ in range(2))
            kind = generator.random()
            if kind < 0.45:
                out = a * b * 0.7
            elif kind < 0.9:
                out = (a + b) * 0.5
            else:
                out = (a.relu() if kind < 0.95 else a.tanh()) + 0.1
            pool.append(out)
        return mg.total(pool[-REACH:])

    return fn


class WidestLoop:
    """A multiplication and an addition for each evaluation of `random_program`, and its reverse.

    Blocks of rows and their memory are as there, and so are operands: of two evaluations there one
    has two of the last values, and one has what the first computed.
    """

    lanes = 128  # rows of a block

    def __init__(self, slots: int, evaluations: int, rows: int, reach: int = REACH) -> None:
        draw = np.random.default_rng(0)
        self.sizes = self.lanes, slots, reach, evaluations, rows // self.lanes
        self.numbers = draw.normal(size=(slots, self.lanes))
        self.back = draw.integers(1, reach + 1, size=evaluations, dtype=np.uint32)

    @classmethod
    def like(cls, program: Any, rows: int) -> WidestLoop:
        """Return the loop for a program's gradients."""
        registers = re.findall(r"\br(\d+)", program.disassemble("gradient"))
        evaluations = 2 * program._traces[0].facts().instructions
        return cls(1 + max(map(int, registers)), evaluations, rows)

    @property
    def evaluations(self) -> int:
        lanes, _, _, evaluations, blocks = self.sizes
        return lanes * evaluations * blocks

    def run(self, factor: float = 2.0**-30) -> None:  # numbers keep their size
        numbers = self.numbers.ctypes.data_as(_DOUBLES)
        back = self.back.ctypes.data_as(ctypes.c_void_p)
        sizes = map(ctypes.c_size_t, self.sizes)
        library().widest_loop(numbers, *sizes, back, ctypes.c_double(factor))

    def by_numpy(self, factor: float) -> Any:
        """Return what the numbers are after a run."""
        numbers = self.numbers.copy()
        _, slots, reach, _, blocks = self.sizes
        for _ in range(blocks):
            for k, back in enumerate(self.back.astype(int)):
                slot = reach + k % (slots - reach)
                numbers[slot] = numbers[slot - back] * factor + numbers[slot - 1]
        return numbers


def long_function(nodes: int) -> Any:
    """Return a function that records so many nodes, numbers not counted."""

    def fn(x: Any) -> Any:
        out = x
        for _ in range(nodes // 3):
            out = out * 0.5 + x * 1.5
        return out

    return fn


def option_paths(count: int) -> tuple[Any, Any, list[float], Any]:
    """Return the example's payoff, its inputs' numbers and the shocks of some paths."""
    import runpy

    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "option.py"))
    months = example["MONTHS"]
    numbers = [*example["MARKET"], *(0.2 + 0.01 * month for month in range(months))]
    shocks = np.random.default_rng(1).normal(size=(count, months))
    return example["payoff"], example["closed_form"], numbers, shocks
