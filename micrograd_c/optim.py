"""Optimizers: a step over all parameters is one call into C.

The updates are PyTorch's (torch.optim.SGD, Adam, AdamW): the same definitions, the same defaults
where the papers leave them open. The learning rate and every other setting is an attribute that
can be assigned between steps.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from .engine import Value, bulk

__all__ = ["SGD", "Adam", "AdamW"]


class Optimizer:
    """Parameters, settings, and what is remembered of each parameter."""

    settings: tuple[str, ...] = ()  # names of the attributes that state_dict saves
    memories: tuple[str, ...] = ()  # names of the arrays, a double for each parameter

    def __init__(self, params: Iterable[Value]) -> None:
        self.params = tuple(params)
        if not self.params:
            raise ValueError("an optimizer needs at least one parameter")
        for p in self.params:
            if not isinstance(p, Value):
                raise TypeError(f"parameters must be Values, not {type(p).__name__!r}")
        for name in self.memories:
            setattr(self, name, array("d", bytes(8 * len(self.params))))

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero, before the next `backward()`."""
        bulk.zero_grad(self.params)

    def step(self) -> None:
        """Update every parameter from its gradient."""
        raise TypeError("Optimizer itself has no rule; use SGD, Adam or AdamW")

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memories as plain numbers, tuples and lists, to be saved."""
        state: dict[str, Any] = {name: getattr(self, name) for name in self.settings}
        return {**state, **{name: getattr(self, name).tolist() for name in self.memories}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises KeyError if something is missing, ValueError if it is for another number of
        parameters; nothing is changed then.
        """
        memories = {name: array("d", state[name]) for name in self.memories}
        settings = {name: state[name] for name in self.settings}
        for name, memory in memories.items():
            if len(memory) != len(self.params):
                raise ValueError(
                    f"{name} is for {len(memory)} parameters, this optimizer has {len(self.params)}"
                )
        for name, value in {**settings, **memories}.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


def check_not_negative(**settings: float) -> None:
    """Raise ValueError for the first setting that is negative or no number."""
    for name, value in settings.items():
        if not value >= 0.0:
            raise ValueError(f"{name} must not be negative: {value}")


class SGD(Optimizer):
    """Stochastic gradient descent.

    b = momentum * b + (grad + weight_decay * p); p = p - lr * b

    >>> p = Value(1.0)
    >>> (p * p).backward()
    >>> SGD([p], lr=0.1).step()
    >>> p.data
    0.8
    """

    settings = ("lr", "momentum", "weight_decay")
    memories = ("buffer",)
    buffer: array[float]

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 0.001,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params)
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay

    def step(self) -> None:
        """Update every parameter from its gradient."""
        bulk.sgd(self.params, self.buffer, self.lr, self.momentum, self.weight_decay)


class Adam(Optimizer):
    """Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980).

    m = b1 * m + (1 - b1) * grad; v = b2 * v + (1 - b2) * grad**2;
    p = p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    weight_decay is added to the gradient: grad + weight_decay * p.
    """

    settings = ("lr", "betas", "eps", "weight_decay", "steps")
    memories = ("m", "v")
    decoupled = False
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
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers, not {len(betas)}: {betas}")
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas must be at least 0 and below 1: {betas}")
        super().__init__(params)
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay
        self.steps = 0

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
