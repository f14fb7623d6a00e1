"""Schedules of learning rates, PyTorch's (torch.optim.lr_scheduler) by their closed forms.

A schedule writes "lr" into each group of an optimizer: when it is made, for epoch 0, and in each
`step()`, for the next one. Whether an epoch is a pass over the data or one step of the optimizer,
the program says by where it calls `step()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._value_methods import as_count, as_steps, not_negative, number, numbers

if TYPE_CHECKING:
    from .optim import Optimizer

Factor = Callable[[int], float]


class LRScheduler:
    """The base class: a learning rate for each group, computed from the group's own and the epoch.

    `base_lrs` has the learning rates that the groups had when the schedule was made (that of a
    group added later: when the schedule met it); `last_epoch` counts the steps. Schedules do not
    multiply each other: the newest one of an optimizer is in force, and `step()` of an older one
    raises RuntimeError. A warm-up before another schedule is one LambdaLR.

    Raises TypeError if the optimizer is none or a setting is of another type, ValueError if a
    setting or a learning rate is out of range. After an error nothing has changed.
    """

    settings: tuple[str, ...] = ()  # names of the attributes that state_dict saves
    base_lrs: list[float]
    last_epoch: int

    def __init__(self, optimizer: Optimizer, **settings: Any) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(
                f"a schedule needs an optimizer, such as SGD, not {type(optimizer).__name__!r}"
            )
        self.optimizer = optimizer
        self.__dict__.update(self.check(settings))
        self._enter(0, [group["lr"] for group in optimizer.param_groups])
        self._serial = optimizer._schedules = optimizer._schedules + 1

    @classmethod
    def check(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they are kept: _COUNTS as ints, all others as floats."""
        return {
            name: as_count(name, value) if name in _COUNTS else not_negative(value, name)
            for name, value in settings.items()
        }

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the learning rate of a group whose own one is `base`."""
        raise TypeError("LRScheduler itself has no rule; use StepLR, CosineAnnealingLR, ...")

    def _enter(self, epoch: int, bases: list[float]) -> None:
        lrs = [
            not_negative(self.rate(base, epoch, i), "the learning rate")
            for i, base in enumerate(bases)
        ]
        for group, lr in zip(self.optimizer.param_groups, lrs):
            group["lr"] = lr
        self.base_lrs, self.last_epoch, self._last_lrs = bases, epoch, lrs

    def step(self) -> None:
        """Go on to the next epoch, after the optimizer's steps of this one."""
        if self._serial != self.optimizer._schedules:
            raise RuntimeError(
                "a newer schedule sets this optimizer's learning rates: make one LambdaLR of both"
            )
        new = self.optimizer.param_groups[len(self.base_lrs) :]
        self._enter(self.last_epoch + 1, self.base_lrs + [group["lr"] for group in new])

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group, as this schedule has set it."""
        return list(self._last_lrs)

    def state_dict(self) -> dict[str, Any]:
        """Return settings, base_lrs and last_epoch by name, to be saved; functions are left out."""
        state = {name: getattr(self, name) for name in self.settings}
        return {**state, "base_lrs": list(self.base_lrs), "last_epoch": self.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, and set the learning rates of that epoch.

        Raises TypeError if the state is no dict, KeyError if an entry is missing, ValueError if
        the state is of another number of groups, and whatever the constructor raises for such
        settings. After an error nothing has changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"a state is a dict, as of state_dict(), not {type(state).__name__!r}")
        for name in (*self.settings, "base_lrs", "last_epoch"):
            if name not in state:
                raise KeyError(f"this is no state of {type(self).__name__}: it has no {name!r}")
        settings = self.check({name: state[name] for name in self.settings})
        bases = [not_negative(x, "base_lrs") for x in numbers(state["base_lrs"], "base_lrs")]
        groups = len(self.optimizer.param_groups)
        if len(bases) != groups:
            raise ValueError(f"base_lrs is for {len(bases)} groups, the optimizer has {groups}")
        epoch = as_steps(state["last_epoch"], "last_epoch")
        before = {name: getattr(self, name) for name in self.settings}
        self.__dict__.update(settings)
        try:
            self._enter(epoch, bases)
        except BaseException:
            self.__dict__.update(before)
            raise

    def __repr__(self) -> str:
        names = (*self.settings, "last_epoch")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({shown})"


_COUNTS = ("step_size", "T_max", "total_iters")


class StepLR(LRScheduler):
    """lr = base * gamma ** (epoch // step_size): a factor every `step_size` epochs.

    Raises as LRScheduler does; `step_size` is an int above 0, `gamma` not negative.

    >>> from micrograd_c import Value, optim
    >>> optimizer = optim.SGD([Value(1.0)], lr=0.8)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates.append(optimizer.lr)
    ...     schedule.step()
    >>> rates
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    settings: tuple[str, ...] = ("step_size", "gamma")
    step_size: int
    gamma: float

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer, step_size=step_size, gamma=gamma)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2.

    From the base at epoch 0 down to `eta_min` at `T_max`, and up again (Loshchilov and Hutter,
    https://arxiv.org/abs/1608.03983, without restarts). Raises as LRScheduler does; `T_max` is an
    int above 0, `eta_min` not negative.
    """

    settings: tuple[str, ...] = ("T_max", "eta_min")
    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803
        super().__init__(optimizer, T_max=T_max, eta_min=eta_min)

    def rate(self, base: float, epoch: int, group: int) -> float:
        wave = 1.0 + math.cos(math.pi * epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * wave / 2.0


class LinearLR(LRScheduler):
    """lr = base * factor; the factor goes in a line from start_factor to end_factor.

    It has arrived at epoch `total_iters`, and stays. Raises as LRScheduler does; `total_iters` is
    an int above 0, no factor is negative.
    """

    settings: tuple[str, ...] = ("start_factor", "end_factor", "total_iters")
    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        factors = {"start_factor": start_factor, "end_factor": end_factor}
        super().__init__(optimizer, **factors, total_iters=total_iters)

    def rate(self, base: float, epoch: int, group: int) -> float:
        way = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


class LambdaLR(LRScheduler):
    """lr = base * lr_lambda(epoch), by a function, or by a list of functions, one for each group.

    A state has no functions: give them to the constructor again. A warm-up over 100 epochs times a
    decay: LambdaLR(optimizer, lambda t: min(1, (t + 1) / 100) * 0.999**t)

    Raises as LRScheduler does, TypeError for what is no function or returns no number, ValueError
    for a list of another length than that of the groups and for a negative learning rate.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor]) -> None:
        given: Any = lr_lambda
        several = not callable(given) and hasattr(type(given), "__iter__")
        self.lr_lambda: Factor | list[Factor] = list(given) if several else given
        for function in self.lr_lambda if several else [given]:
            if not callable(function):
                raise TypeError(
                    "lr_lambda must be a function of the epoch, or a list of one for each group, "
                    f"not {type(function).__name__!r}"
                )
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        function = self.lr_lambda
        if not callable(function):
            groups = len(self.optimizer.param_groups)
            if len(function) != groups:
                raise ValueError(f"{len(function)} functions for {groups} groups of parameters")
            function = function[group]
        return base * number(function(epoch), "a factor of lr_lambda")
