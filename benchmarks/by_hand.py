"""By hand: the two networks' training steps in C and in numpy; and a graph as a C array.

The C files are compiled by the system's compiler, ``cc -O3 -march=native``, into a temporary
folder. The GPT's step by hand is in gpt_by_hand.py.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from array import array
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from . import programs

NAMES = "by_hand.c", "gpt_by_hand.c", "exported_by_hand.c"
COMPILER = shutil.which("cc")
FLAGS = ["-std=c11", "-O3", "-march=native", "-ffp-contract=off"]

_DOUBLES = ctypes.POINTER(ctypes.c_double)
_INTS = ctypes.POINTER(ctypes.c_int32)
_SIZE, _DOUBLE, _NODES = ctypes.c_size_t, ctypes.c_double, ctypes.c_void_p
_INT, _TOKENS = ctypes.c_int, ctypes.POINTER(ctypes.c_int)

_SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "moons_train": (
        [_DOUBLES, _DOUBLES, _DOUBLES, _SIZE, _DOUBLE, _DOUBLE, _DOUBLES, _SIZE],
        None,
    ),
    "notebook_train": ([_DOUBLES, _DOUBLES, _DOUBLES, _SIZE, _DOUBLE, _DOUBLES, _SIZE], None),
    "gpt_loss": ([_DOUBLES, _DOUBLES, _TOKENS, _INT], _DOUBLE),
    "gpt_update": ([*[_DOUBLES] * 4, _INT, *[_DOUBLE] * 4], None),
    "node_size": ([], _SIZE),
    "fill": ([_NODES, _DOUBLES, _INTS, _INTS, _INTS, _SIZE], None),
    "clear": ([_NODES, _SIZE], None),
    "gradient": ([_NODES, _SIZE], _DOUBLE),
    "sweep": ([_NODES, _SIZE], None),
}


def build(*sources: Path) -> Any:
    """Compile C files and load them."""
    if COMPILER is None:
        raise FileNotFoundError("there is no C compiler 'cc'")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / f"{sources[0].stem}.so"
        files = ["-o", str(built), *map(str, sources)]
        command = [COMPILER, *FLAGS, "-shared", "-fPIC", *files, "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(built))


@cache
def library() -> Any:
    """Return the C files of this folder but that of compiled.py, loaded."""
    library = build(*(Path(__file__).with_name(name) for name in NAMES))
    for name, (arguments, result) in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


def _doubles(numbers: Any) -> Any:
    numbers = array("d", numbers)
    return (ctypes.c_double * len(numbers)).from_buffer(numbers)


class CTraining:
    """A network trained in C: `run(steps)` takes steps, `trace` tells where they led."""

    def __init__(self, sizes: list[int], run: Callable[[Any, Any, int], None]) -> None:
        self.numbers = _doubles(programs.initial_numbers(sizes))
        self._run = run

    def run(self, steps: int) -> None:
        losses = (ctypes.c_double * steps)()
        self._run(self.numbers, losses, steps)
        self.losses = losses

    def trace(self, steps: int) -> list[float]:
        """Return the losses of some steps and the parameters they led to."""
        self.run(steps)
        return [*self.losses, *self.numbers]


def c_moons() -> CTraining:
    """Return the training of `programs.moons_training` in C."""
    points, targets = programs.moons_data()
    x, y = _doubles(chain.from_iterable(points)), _doubles(targets)
    descent = programs.MOONS_RATE, programs.MOONS_ALPHA

    def run(numbers: Any, losses: Any, steps: int) -> None:
        library().moons_train(numbers, x, y, len(y), *descent, losses, steps)

    return CTraining(programs.MOONS_SIZES, run)


def c_notebook() -> CTraining:
    """Return the training of `programs.notebook_training` in C."""
    x, y = (
        _doubles(chain.from_iterable(programs.NOTEBOOK_POINTS)),
        _doubles(programs.NOTEBOOK_TARGETS),
    )

    def run(numbers: Any, losses: Any, steps: int) -> None:
        library().notebook_train(numbers, x, y, len(y), programs.NOTEBOOK_RATE, losses, steps)

    return CTraining(programs.NOTEBOOK_SIZES, run)


class NumpyTraining:
    """A network of three layers in numpy, all points at once; a subclass has the step."""

    def __init__(self, sizes: list[int], points: Any, targets: Any) -> None:
        import numpy as np

        self.np = np
        self.x, self.y = np.array(points), np.array(targets)
        numbers = iter(programs.initial_numbers(sizes))
        shapes = [(nout, nin + 1) for nin, nout in zip(sizes, sizes[1:])]
        blocks = [
            np.array([[next(numbers) for _ in range(n)] for _ in range(m)]) for m, n in shapes
        ]
        self.weights = [np.ascontiguousarray(block[:, :-1].T) for block in blocks]
        self.biases = [block[:, -1].copy() for block in blocks]

    def step(self) -> float:
        """Forward, loss, backward, update; return the loss."""
        raise NotImplementedError

    def descend(self, inputs: list[Any], gradients: list[Any], rate: float, decay: float) -> None:
        """Update each layer by its inputs and the gradients of its sums."""
        for w, b, x, d in zip(self.weights, self.biases, inputs, gradients):
            w -= rate * (x.T @ d + decay * w)
            b -= rate * (d.sum(0) + decay * b)

    def trace(self, steps: int) -> list[float]:
        """Return the losses of some steps and the parameters they led to."""
        losses = [self.step() for _ in range(steps)]
        blocks = [self.np.column_stack([w.T, b]) for w, b in zip(self.weights, self.biases)]
        return [*losses, *(float(p) for block in blocks for p in block.ravel())]


class NumpyMoons(NumpyTraining):
    """The training of `programs.moons_training`."""

    def __init__(self) -> None:
        super().__init__(programs.MOONS_SIZES, *programs.moons_data())

    def step(self) -> float:
        """Forward, loss, backward, update; return the loss."""
        np, x, y = self.np, self.x, self.y
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        alpha = programs.MOONS_ALPHA
        h1 = np.maximum(x @ w1 + b1, 0.0)
        h2 = np.maximum(h1 @ w2 + b2, 0.0)
        margin = 1.0 - y * (h2 @ w3 + b3)[:, 0]
        squares = sum((p * p).sum() for p in (*self.weights, *self.biases))
        loss = np.maximum(margin, 0.0).mean() + alpha * squares
        d3 = np.where(margin > 0.0, -y / len(y), 0.0)[:, None]
        d2 = (d3 @ w3.T) * (h2 > 0.0)
        d1 = (d2 @ w2.T) * (h1 > 0.0)
        self.descend([x, h1, h2], [d1, d2, d3], programs.MOONS_RATE, 2.0 * alpha)
        return float(loss)


class NumpyNotebook(NumpyTraining):
    """The training of `programs.notebook_training`."""

    def __init__(self) -> None:
        points, targets = programs.NOTEBOOK_POINTS, programs.NOTEBOOK_TARGETS
        super().__init__(programs.NOTEBOOK_SIZES, points, targets)

    def step(self) -> float:
        """Forward, loss, backward, update; return the loss."""
        np, x = self.np, self.x
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        h1 = np.tanh(x @ w1 + b1)
        h2 = np.tanh(h1 @ w2 + b2)
        out = np.tanh(h2 @ w3 + b3)
        error = out - self.y[:, None]
        d3 = 2.0 * error * (1.0 - out * out)
        d2 = (d3 @ w3.T) * (1.0 - h2 * h2)
        d1 = (d2 @ w2.T) * (1.0 - h1 * h1)
        self.descend([x, h1, h2], [d1, d2, d3], programs.NOTEBOOK_RATE, 0.0)
        return float((error * error).sum())


# ---- a graph as an array ----

_LEAF, _ADD, _MULTIPLY, _RELU = range(4)


class Tape:
    """What was recorded, in the order of creation: data, operands as indices, operations."""

    def __init__(self) -> None:
        self.data = array("d")
        self.left, self.right, self.op = array("i"), array("i"), array("i")

    def value(self) -> Any:
        """Return a class `Value` that records here."""
        data, left, right, op = self.data, self.left, self.right, self.op

        class Value:
            __slots__ = ("index",)

            def __init__(self, number: float, x: int = 0, y: int = 0, what: int = _LEAF) -> None:
                self.index = len(data)
                data.append(number)
                left.append(x)
                right.append(y)
                op.append(what)

            @property
            def data(self) -> float:
                return data[self.index]

            @data.setter
            def data(self, number: float) -> None:
                data[self.index] = number

            def _binary(self, other: Any, what: int) -> Value:
                other = other if isinstance(other, Value) else Value(other)
                x, y = self.data, other.data
                z = x + y if what == _ADD else x * y
                return Value(z, self.index, other.index, what)

            def __add__(self, other: Any) -> Value:
                return self._binary(other, _ADD)

            def __mul__(self, other: Any) -> Value:
                return self._binary(other, _MULTIPLY)

            __radd__, __rmul__ = __add__, __mul__

            def relu(self) -> Value:
                return Value(max(0.0, self.data), self.index, self.index, _RELU)

        return Value


class CGraph:
    """A tape as an array of C structures, whose last one is the root."""

    def __init__(self, tape: Tape) -> None:
        self.count = len(tape.data)
        self.nodes = ctypes.create_string_buffer(self.count * library().node_size())
        ints = [(ctypes.c_int32 * self.count).from_buffer(a) for a in _indices(tape)]
        library().fill(self.nodes, _doubles(tape.data), *ints, self.count)

    def clear(self) -> None:
        """Set all gradients to zero."""
        library().clear(self.nodes, self.count)

    def sweep(self) -> None:
        """Seed the root's gradient and add to all others, downwards."""
        library().sweep(self.nodes, self.count)

    def grad(self, index: int) -> float:
        """Return a node's gradient."""
        return float(library().gradient(self.nodes, index))


def _indices(tape: Tape) -> tuple[Any, Any, Any]:
    return tape.left, tape.right, tape.op
