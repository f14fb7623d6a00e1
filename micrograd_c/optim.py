"""Optimizers: a step over all parameters is one call into C.

The updates are PyTorch's (torch.optim.SGD, Adam, AdamW, RMSprop): the same definitions, the same
defaults where the papers leave them open. The learning rate and every other setting can be assigned
between steps: for all parameters as an attribute, `optimizer.lr = 0.1`, for one group of parameters
as an entry, `optimizer.param_groups[0]["lr"] = 0.1`. StepLR and others do so over time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._value_methods import as_steps, not_negative, numbers
from .engine import Value, bulk
from .schedules import CosineAnnealingLR, LambdaLR, LinearLR, StepLR

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LambdaLR",
    "LinearLR",
    "RMSprop",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
]

# What an optimizer takes: parameters, or groups of them. A group is a dict: its "params", and the
# settings in which it differs from the constructor's.
Params = Iterable[Value | Mapping[str, Any]]


class Optimizer:
    """The base class: groups of parameters, in most programs one.

    `param_groups` is a list of dicts. Each has its settings, its "params", a tuple of n Values, and
    for each memory an array of n doubles. A setting is an attribute of the optimizer, too: it is
    set in all groups where it is assigned, and AttributeError is raised where it is read and the
    groups differ. So is a memory where there is one group. `params` has all groups' parameters.

    A parameter given twice is one parameter. Raises TypeError if a parameter is no Value or a group
    has a setting that this optimizer does not know, ValueError if a parameter is the result of an
    operation or of another group, too, or if there are no parameters.
    """

    settings: tuple[str, ...] = ()  # names of what state_dict saves of a group
    memories: tuple[str, ...] = ()  # names of the arrays, a double for each parameter
    # What states lack that were saved before there was this setting or memory.
    since: Mapping[str, Any] = {}
    _nodes: tuple[Any, ...] = ()  # of the groups, once they have been needed

    def __init_subclass__(cls) -> None:
        for name in cls.settings:
            setattr(cls, name, _setting(name))
        for name in cls.memories:
            setattr(cls, name, _memory(name))

    def __init__(self, params: Params, **settings: Any) -> None:
        self.defaults: dict[str, Any] = self.check(settings)
        self.param_groups: list[dict[str, Any]] = []
        self._schedules = 0  # how many have been made: see LRScheduler
        groups: Any = [{"params": params}]
        if isinstance(params, (list, tuple)) and params and isinstance(params[0], Mapping):
            groups = params
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Take over further parameters: a dict of "params" and settings.

        A setting that the dict lacks is the constructor's. Raises as the constructor does, and
        KeyError if there are no "params"; after an error the optimizer is as it was.
        """
        if not isinstance(group, Mapping):
            raise TypeError(
                'a group must be a dict, such as {"params": model.parameters(), "lr": 0.1}, '
                f"not {type(group).__name__!r}"
            )
        if "params" not in group:
            raise KeyError('a group must have "params"')
        for name in group:
            if name != "params" and name not in self.defaults:
                known = ", ".join(map(repr, self.defaults))
                raise TypeError(f"{type(self).__name__} has no setting {name!r}: it has {known}")
        given = {name: group.get(name, default) for name, default in self.defaults.items()}
        settings = self.check(given)
        params = _leaves(group["params"])
        others = {id(p) for other in self.param_groups for p in other["params"]}
        for p in params:
            if id(p) in others:
                raise ValueError(f"a parameter is in two groups: {p!r}")
        memories = {name: _zeros(len(params)) for name in self.memories}
        self.param_groups.append({"params": params, **settings, **memories})

    @property
    def params(self) -> tuple[Value, ...]:
        """The parameters of all groups."""
        nothing: tuple[Value, ...] = ()
        return sum((group["params"] for group in self.param_groups), nothing)

    def _nodes_of(self, group: dict[str, Any]) -> Any:
        """Return the parameters of a group, which may have been replaced, as `bulk` takes them."""
        params = group["params"]
        for nodes in self._nodes:
            if nodes.values is params:
                return nodes
        nodes = bulk.Nodes(params)
        self._nodes = nodes, *self._nodes[: len(self.param_groups) - 1]
        return nodes

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of copies and pickles what is made anew."""
        return {name: own for name, own in self.__dict__.items() if name != "_nodes"}

    @classmethod
    def check(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a group as they are kept: floats, but for what _CHECKS has.

        Raises TypeError if a setting is of another type, ValueError if it is negative, nan, or
        otherwise out of range, OverflowError if no float can hold it.
        """
        return {name: _checked(value, name) for name, value in settings.items()}

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero, before the next `backward()`."""
        for group in self.param_groups:
            bulk.zero_grad(self._nodes_of(group))

    def step(self) -> None:
        """Update every parameter from its gradient. After an error none has been updated."""
        raise TypeError("Optimizer itself has no rule; use SGD, Adam, AdamW or RMSprop")

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memories by name, as plain numbers, tuples and lists, to be saved.

        If there are several groups, the one name is "param_groups", with a list of such dicts.
        """
        states = [self._state(group) for group in self.param_groups]
        return states[0] if len(states) == 1 else {"param_groups": states}

    def _state(self, group: dict[str, Any]) -> dict[str, Any]:
        state = {name: group[name] for name in self.settings}
        return {**state, **{name: group[name].tolist() for name in self.memories}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and memories that `state_dict` returned.

        Raises TypeError if the state is no dict, KeyError if a setting or a memory is missing,
        ValueError if the state is of another number of groups or of parameters, and whatever the
        constructor raises for such settings. After an error the optimizer is as it was.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"a state is a dict, as of state_dict(), not {type(state).__name__!r}")
        states = state.get("param_groups", [state])
        if not isinstance(states, (list, tuple)):
            raise TypeError(f"param_groups must be a list, not {type(states).__name__!r}")
        if len(states) != len(self.param_groups):
            raise ValueError(
                f"the state has {len(states)} groups of parameters, this optimizer has "
                f"{len(self.param_groups)}"
            )
        loaded = [self._loaded(*pair) for pair in zip(states, self.param_groups)]
        for group, new in zip(self.param_groups, loaded):
            group.update(new)

    def _loaded(self, state: Any, group: dict[str, Any]) -> dict[str, Any]:
        """Return settings and memories of a group, taken from its state."""
        if not isinstance(state, Mapping):
            raise TypeError(f"a group's state is a dict, not {type(state).__name__!r}")
        count = len(group["params"])
        for name, lacking in self.since.items():
            state = {name: [lacking] * count if name in self.memories else lacking, **state}
        for name in (*self.settings, *self.memories):
            if name not in state:
                raise KeyError(f"this is no state of {type(self).__name__}: it has no {name!r}")
        settings = self.check({name: state[name] for name in self.settings})
        memories = {name: array("d", numbers(state[name], name)) for name in self.memories}
        for name, memory in memories.items():
            if len(memory) != count:
                raise ValueError(
                    f"{name} is for {len(memory)} parameters, this optimizer has {count}"
                )
        return {**settings, **memories}

    def __repr__(self) -> str:
        groups = (
            f"{len(group['params'])} parameters, "
            + ", ".join(f"{name}={group[name]!r}" for name in self.settings)
            for group in self.param_groups
        )
        return f"{type(self).__name__}({'; '.join(groups)})"


# ---- attributes ----


def _setting(name: str) -> property:
    """Return the attribute for a setting of all groups."""

    def get(optimizer: Optimizer) -> Any:
        first, *others = (group[name] for group in optimizer.param_groups)
        if any(other != first for other in others):
            raise AttributeError(
                f"the groups differ in {name}: read optimizer.param_groups[i][{name!r}]"
            )
        return first

    def put(optimizer: Optimizer, value: Any) -> None:
        for group in optimizer.param_groups:
            group[name] = value

    return property(get, put)


def _memory(name: str) -> property:
    """Return the attribute for a memory of the only group."""

    def only(optimizer: Optimizer) -> dict[str, Any]:
        if len(optimizer.param_groups) != 1:
            raise AttributeError(f"each group has its {name}: optimizer.param_groups[i][{name!r}]")
        return optimizer.param_groups[0]

    def put(optimizer: Optimizer, array: Any) -> None:
        only(optimizer)[name] = array

    return property(lambda optimizer: only(optimizer)[name], put)


# ---- arguments ----


def _zeros(count: int) -> array[float]:
    return array("d", bytes(8 * count))


def _tuple(params: Any) -> tuple[Any, ...]:
    if isinstance(params, Mapping) or not hasattr(type(params), "__iter__"):
        raise TypeError(
            "parameters must be an iterable of Values, such as model.parameters(), "
            f"not {type(params).__name__!r}"
        )
    return tuple(params)


def _leaves(params: Any) -> tuple[Value, ...]:
    """Return parameters without repetition. Raises as Optimizer says."""
    leaves = tuple({id(p): p for p in _tuple(params)}.values())
    if not leaves:
        raise ValueError("an optimizer needs at least one parameter, and so does each group")
    for p in leaves:
        if not isinstance(p, Value):
            raise TypeError(f"parameters must be Values, not {type(p).__name__!r}")
        if p._prev:
            raise ValueError(
                f"parameters must be leaves, not results of operations: {p!r} was made from "
                "other Values; step those, or Value(v.data), which forgets them"
            )
    return leaves


def _betas(betas: Any, name: str) -> tuple[float, float]:
    if not hasattr(type(betas), "__iter__"):
        raise TypeError(f"{name} must be two numbers, not {type(betas).__name__!r}")
    betas = tuple(betas)
    if len(betas) != 2:
        raise ValueError(f"{name} must be two numbers, not {len(betas)}: {betas}")
    beta1, beta2 = numbers(betas, name)
    if not (0.0 <= beta1 < 1.0 and 0.0 <= beta2 < 1.0):
        raise ValueError(f"{name} must be at least 0 and below 1: {betas}")
    return beta1, beta2


def _switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__!r}")
    return value


# By name of a setting: what checks it. All others are numbers from 0 up.
_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "betas": _betas,
    "steps": as_steps,
    "nesterov": _switch,
    "amsgrad": _switch,
    "centered": _switch,
}


def _checked(value: Any, name: str) -> Any:
    check = _CHECKS.get(name)
    return check(value, name) if check is not None else not_negative(value, name)


# ---- rules ----


class SGD(Optimizer):
    """Stochastic gradient descent, as torch.optim.SGD.

    For each parameter p, with a memory b that is 0 at first:

    g = grad + weight_decay * p; b = momentum * b + (1 - dampening) * g; p = p - lr * b

    In the first step with a momentum, b = g. With nesterov (Sutskever and others,
    https://proceedings.mlr.press/v28/sutskever13.html) p = p - lr * (g + momentum * b). Raises
    ValueError if nesterov comes without a momentum, or with a dampening.

    >>> p = Value(1.0)
    >>> (p * p).backward()
    >>> SGD([p], lr=0.1).step()
    >>> p.data
    0.8
    """

    settings: tuple[str, ...] = ("lr", "momentum", "weight_decay", "dampening", "nesterov", "steps")
    memories: tuple[str, ...] = ("buffer",)
    since: Mapping[str, Any] = {"dampening": 0.0, "nesterov": False, "steps": 0}
    lr: float
    momentum: float
    weight_decay: float
    dampening: float
    nesterov: bool
    steps: int  # those with a momentum
    buffer: array[float]

    def __init__(
        self,
        params: Params,
        lr: float = 0.001,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            dampening=dampening,
            nesterov=nesterov,
            steps=0,
        )

    @classmethod
    def check(cls, settings: dict[str, Any]) -> dict[str, Any]:
        checked = super().check(settings)
        if checked["nesterov"] and (checked["momentum"] == 0.0 or checked["dampening"] != 0.0):
            raise ValueError("nesterov needs a momentum above 0 and a dampening of 0")
        return checked

    def step(self) -> None:
        calls = []
        for g in self.param_groups:
            calls.append(
                (
                    self._nodes_of(g),
                    g["buffer"],
                    g["lr"],
                    g["momentum"],
                    g["weight_decay"],
                    g["dampening"] if g["steps"] else 0.0,
                    g["nesterov"],
                )
            )
        bulk.sgd(*calls)
        for group in self.param_groups:
            if group["momentum"] != 0.0:
                group["steps"] += 1


class Adam(Optimizer):
    """Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980).

    For each parameter p, with memories m and v that are 0 at first, in step t = 1, 2, ..., where
    betas are (b1, b2):

    m = b1 * m + (1 - b1) * grad; v = b2 * v + (1 - b2) * grad**2;
    p = p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    Here grad is p's gradient plus weight_decay * p. With amsgrad (Reddi, Kale and Kumar,
    https://arxiv.org/abs/1904.09237) the memory `largest`, the largest v up to now, takes the place
    of v in the last line.
    """

    settings: tuple[str, ...] = ("lr", "betas", "eps", "weight_decay", "amsgrad", "steps")
    memories: tuple[str, ...] = ("m", "v", "largest")
    since: Mapping[str, Any] = {"amsgrad": False, "largest": 0.0}
    decoupled = False
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    steps: int
    m: array[float]
    v: array[float]
    largest: array[float]

    def __init__(
        self,
        params: Params,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            steps=0,
        )

    def step(self) -> None:
        calls = []
        for g in self.param_groups:
            beta1, beta2 = g["betas"]
            calls.append(
                (
                    self._nodes_of(g),
                    g["m"],
                    g["v"],
                    g["largest"],
                    g["steps"] + 1,
                    g["lr"],
                    beta1,
                    beta2,
                    g["eps"],
                    g["weight_decay"],
                    self.decoupled,
                    g["amsgrad"],
                )
            )
        bulk.adam(*calls)
        for group in self.param_groups:
            group["steps"] += 1


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101).

    p = p - lr * weight_decay * p, then Adam's step without decay.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, lecture 6e of Neural Networks for Machine Learning, 2012).

    As torch.optim.RMSprop. For each parameter p, with memories that are 0 at first:

    g = grad + weight_decay * p; square = alpha * square + (1 - alpha) * g**2;
    buffer = momentum * buffer + g / (sqrt(square) + eps); p = p - lr * buffer

    Where centered (Graves, https://arxiv.org/abs/1308.0850), mean = alpha * mean + (1 - alpha) * g,
    and square - mean**2 takes the place of square under the root.
    """

    settings: tuple[str, ...] = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    memories: tuple[str, ...] = ("square", "mean", "buffer")
    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    square: array[float]
    mean: array[float]
    buffer: array[float]

    def __init__(
        self,
        params: Params,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
        )

    def step(self) -> None:
        calls = []
        for g in self.param_groups:
            calls.append(
                (
                    self._nodes_of(g),
                    g["square"],
                    g["mean"],
                    g["buffer"],
                    g["lr"],
                    g["alpha"],
                    g["eps"],
                    g["weight_decay"],
                    g["momentum"],
                    g["centered"],
                )
            )
        bulk.rmsprop(*calls)


# ---- gradients ----


def clip_grad_norm(parameters: Iterable[Value], max_norm: float, norm_type: float = 2.0) -> float:
    """Scale all gradients so that their common norm is at most `max_norm`; return what it was.

    As torch.nn.utils.clip_grad_norm_: the norm is the sum of |grad|**norm_type to the power of
    1 / norm_type, or the largest |grad| if norm_type is inf; each gradient is multiplied by
    max_norm / (norm + 1e-6) where that is below 1. A parameter given twice is counted once.

    No error is raised for gradients that are not finite (error_if_nonfinite=False): look at the
    norm that is returned. If it is nan, all gradients are nan afterwards; if it is inf, finite
    gradients are 0, infinite ones nan. Raises TypeError if a parameter is no Value, or `max_norm`
    or `norm_type` no number; ValueError if `max_norm` is negative or nan, or `norm_type` not
    above 0.

    >>> a, b = Value(0.0), Value(0.0)
    >>> a.grad, b.grad = 3.0, 4.0
    >>> clip_grad_norm([a, b], 1.0)
    5.0
    >>> round(a.grad, 6), round(b.grad, 6)
    (0.6, 0.8)
    """
    limit, power = not_negative(max_norm, "max_norm"), not_negative(norm_type, "norm_type")
    if power == 0.0:
        raise ValueError("norm_type must be above 0")
    return bulk.clip_norm(_tuple(parameters), limit, power)


def clip_grad_value(parameters: Iterable[Value], clip_value: float) -> None:
    """Bring each gradient into [-clip_value, clip_value], as torch.nn.utils.clip_grad_value_.

    A gradient that is nan stays nan. Raises TypeError if a parameter is no Value or `clip_value`
    is no number, ValueError if `clip_value` is negative or nan.

    >>> a = Value(0.0)
    >>> a.grad = -3.0
    >>> clip_grad_value([a], 1.0)
    >>> a.grad
    -1.0
    """
    bulk.clip_value(_tuple(parameters), not_negative(clip_value, "clip_value"))
