"""Optimizers: a step over all parameters is one call into C.

The updates are PyTorch's (torch.optim.SGD, Adam, AdamW): the same definitions, the same defaults
where the papers leave them open. The learning rate and every other setting is an attribute that
can be assigned between steps.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from ._value_methods import LARGEST_INTEGER, real
from .engine import Value, bulk

__all__ = ["SGD", "Adam", "AdamW"]


class Optimizer:
    """The base class: n parameters, settings, and arrays of n doubles, the memories.

    A parameter given twice is one parameter. Raises TypeError if a parameter is no Value,
    ValueError if a parameter is the result of an operation or if there are no parameters.
    """

    settings: tuple[str, ...] = ()  # names of the attributes that state_dict saves
    memories: tuple[str, ...] = ()  # names of the arrays, a double for each parameter

    def __init__(self, params: Iterable[Value], **settings: Any) -> None:
        checked = self.check(settings)
        if not hasattr(type(params), "__iter__"):
            raise TypeError(
                "parameters must be an iterable of Values, such as model.parameters(), "
                f"not {type(params).__name__!r}"
            )
        self.params = tuple({id(p): p for p in params}.values())
        if not self.params:
            raise ValueError("an optimizer needs at least one parameter")
        for p in self.params:
            if not isinstance(p, Value):
                raise TypeError(f"parameters must be Values, not {type(p).__name__!r}")
            if p._prev:
                raise ValueError(
                    f"parameters must be leaves, not results of operations: {p!r} was made from "
                    "other Values; step those, or Value(v.data), which forgets them"
                )
        self.__dict__.update(checked)
        for name in self.memories:
            setattr(self, name, array("d", bytes(8 * len(self.params))))

    @classmethod
    def check(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they are kept: floats.

        Raises TypeError if a setting is no number, ValueError if it is negative or nan,
        OverflowError if no float can hold it.
        """
        return {name: _not_negative(name, value) for name, value in settings.items()}

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero, before the next `backward()`."""
        bulk.zero_grad(self.params)

    def step(self) -> None:
        """Update every parameter from its gradient."""
        raise TypeError("Optimizer itself has no rule; use SGD, Adam or AdamW")

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memories by name, as plain numbers, tuples and lists, to be saved."""
        state: dict[str, Any] = {name: getattr(self, name) for name in self.settings}
        return {**state, **{name: getattr(self, name).tolist() for name in self.memories}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over settings and memories that `state_dict` returned.

        Raises TypeError if the state is no dict, KeyError if a setting or a memory is missing,
        ValueError if the state is of another number of parameters, and whatever the constructor
        raises for such settings. After an error the optimizer is as it was.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"a state is a dict, as of state_dict(), not {type(state).__name__!r}")
        for name in (*self.settings, *self.memories):
            if name not in state:
                raise KeyError(f"this is no state of {type(self).__name__}: it has no {name!r}")
        settings = self.check({name: state[name] for name in self.settings})
        memories = {name: array("d", _numbers(name, state[name])) for name in self.memories}
        for name, memory in memories.items():
            if len(memory) != len(self.params):
                raise ValueError(
                    f"{name} is for {len(memory)} parameters, this optimizer has {len(self.params)}"
                )
        self.__dict__.update(settings, **memories)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


def _number(name: str, value: Any) -> float:
    try:
        return real(value, name)
    except OverflowError:
        raise OverflowError(f"{name} must be a number that a float can hold") from None


def _numbers(name: str, values: Any) -> list[float]:
    if not hasattr(type(values), "__iter__"):
        raise TypeError(f"{name} must be a list of numbers, not {type(values).__name__!r}")
    return [_number(f"each of {name}", value) for value in values]


def _not_negative(name: str, value: Any) -> float:
    number = _number(name, value)
    if not number >= 0.0:
        raise ValueError(f"{name} must not be negative: {value}")
    return number


class SGD(Optimizer):
    """Stochastic gradient descent, as torch.optim.SGD.

    For each parameter p, with a memory b that is 0 at first:

    b = momentum * b + (grad + weight_decay * p); p = p - lr * b

    >>> p = Value(1.0)
    >>> (p * p).backward()
    >>> SGD([p], lr=0.1).step()
    >>> p.data
    0.8
    """

    settings = ("lr", "momentum", "weight_decay")
    memories = ("buffer",)
    lr: float
    momentum: float
    weight_decay: float
    buffer: array[float]

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 0.001,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def step(self) -> None:
        """Update every parameter from its gradient."""
        bulk.sgd(self.params, self.buffer, self.lr, self.momentum, self.weight_decay)


class Adam(Optimizer):
    """Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980).

    For each parameter p, with memories m and v that are 0 at first, in step t = 1, 2, ..., where
    betas are (b1, b2):

    m = b1 * m + (1 - b1) * grad; v = b2 * v + (1 - b2) * grad**2;
    p = p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    Here grad is p's gradient plus weight_decay * p.
    """

    settings = ("lr", "betas", "eps", "weight_decay", "steps")
    memories = ("m", "v")
    decoupled = False
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    steps: int
    m: array[float]
    v: array[float]

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, steps=0)

    @classmethod
    def check(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they are kept: betas is a tuple of two floats, steps an int.

        Raises as Optimizer.check does, and ValueError if a beta is not in [0, 1) or steps is not in
        [0, 2**53].
        """
        given = dict(settings)
        betas, steps = given.pop("betas"), given.pop("steps")
        if not hasattr(type(betas), "__iter__"):
            raise TypeError(f"betas must be two numbers, not {type(betas).__name__!r}")
        betas = tuple(betas)
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers, not {len(betas)}: {betas}")
        betas = tuple(_numbers("betas", betas))
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas must be at least 0 and below 1: {betas}")
        if not hasattr(type(steps), "__index__"):
            raise TypeError(f"steps must be an integer, not {type(steps).__name__!r}")
        steps = operator.index(steps)
        if steps < 0:
            raise ValueError(f"steps must not be negative: {steps}")
        if steps > LARGEST_INTEGER:
            raise ValueError("steps must be at most 2**53, up to which a double counts")
        return {**super().check(given), "betas": betas, "steps": steps}

    def step(self) -> None:
        """Update every parameter from its gradient."""
        beta1, beta2 = self.betas
        how = (self.steps + 1, self.lr, beta1, beta2, self.eps, self.weight_decay, self.decoupled)
        bulk.adam(self.params, self.m, self.v, *how)
        self.steps += 1


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101).

    p = p - lr * weight_decay * p, then Adam's step without decay.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
