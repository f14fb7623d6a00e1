"""On plain floats, without any derivative: what the interpreter takes for a program's own loops.

The same files as for every other contender, with float in the place of `Value`. A float has no
methods: their calls are written as expressions. Adam's loop goes over objects of two slots, the
attributes that Python reads and writes fastest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .contenders import GPT, PROGRAMS, location

_OPERAND = r"(\w+(?:\[\w+\])?|\([^()]*\))"
_EXPRESSIONS = [
    (_OPERAND + r"\.relu\(\)", r"(\1 if \1 > 0.0 else 0.0)"),
    (_OPERAND + r"\.(exp|log)\(\)", r"math.\2(\1)"),
    (r"\blogit\.data\b", "logit"),
]
_MICROGRAD = ("from micrograd.engine import Value", "Value = float")
_ALWAYS_A_GRADIENT = (r"\bp\.grad = 0\n", "p.grad = 0.1\n")  # as backward would see to


class _Parameter:
    """What an update needs of a Value."""

    __slots__ = ("data", "grad")

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.1


def forward_of_moons() -> Callable[[], float]:
    """Return the loss of two moons, by the loops of micrograd's nn.py."""
    programs = _on_floats(PROGRAMS)
    nin, *nouts = programs.MOONS_SIZES
    model = _on_floats(location("micrograd.nn"), _MICROGRAD).MLP(nin, nouts)
    programs.load_numbers = _load_numbers
    loss: Callable[[], float] = programs.moons_training(float, model).loss
    return loss


def step_of_gpt() -> Callable[[], float]:
    """Return the loss of the small GPT and Adam's loop, by gradients that nobody computed.

    The weights of the forward pass stay as they are.
    """
    training = _on_floats(GPT, _ALWAYS_A_GRADIENT).Training(float)
    training.params = [_Parameter(p) for p in training.params]

    def step() -> float:
        loss: float = training.loss()
        training.update()
        return loss

    return step


def _on_floats(file: Path, *more: tuple[str, str]) -> ModuleType:
    source = file.read_text()
    for pattern, replacement in (*_EXPRESSIONS, *more):
        source = re.sub(pattern, replacement, source)
    module = ModuleType(f"{file.stem} on floats")
    module.__dict__["math"] = math
    exec(compile(source, str(file), "exec"), module.__dict__)
    return module


def _load_numbers(model: Any, numbers: list[float]) -> None:
    """Give micrograd's MLP these parameters."""
    rest = iter(numbers)
    for layer in model.layers:
        for neuron in layer.neurons:
            neuron.w = [next(rest) for _ in neuron.w]
            neuron.b = next(rest)
