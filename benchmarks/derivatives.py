"""Functions of many rows, their derivatives by compiled programs, and the same by hand and by JAX.

A workload's `contenders` are the names of what it can be called for, each of which returns the same
arrays. What is recorded or compiled is so once, when it is first asked for. JAX computes in double
precision and takes as many threads as it likes; programs take one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, cached_property
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

import micrograd_c as mg

from . import compiled, programs

OURS = "micrograd_c"
NUMPY, C, JAX = "numpy by hand", "C by hand", "JAX, jit"

Contender = Callable[[], Any]

_DOUBLES = ctypes.POINTER(ctypes.c_double)


@cache
def jax() -> Any:
    """Return the module, set to double precision."""
    module = import_module("jax")
    module.config.update("jax_enable_x64", True)
    return module


def jax_call(fn: Any, *arguments: Any) -> Contender:
    """Return a call of a jitted function with arguments that are JAX's own."""
    jitted = jax().jit(fn)
    own = jax().device_put(arguments)
    return lambda: jax().block_until_ready(jitted(*own))


class Network:
    """A tanh network of ten inputs and one output, 10-16-16-1."""

    rows = 1000

    def __init__(self) -> None:
        sizes = [10, 16, 16, 1]
        first = programs.initial_numbers(sizes)
        model = mg.MLP(sizes[0], sizes[1:], activation=["tanh", "tanh", None])
        programs.load_numbers(model, first)
        self.weights, self.biases = compiled.as_arrays(sizes, first)
        self.x = np.random.default_rng(0).normal(size=(self.rows, 10))
        self.program = mg.compile(model, self.x[0])

    def score(self, x: Any, weights: Any, biases: Any) -> Any:
        """Return the output for one row, in JAX."""
        for w, b in zip(weights[:-1], biases):
            x = jax().numpy.tanh(x @ w + b)
        return (x @ weights[-1] + biases[-1])[0]

    def through_jax(self, derivative: Any) -> Contender:
        over_rows = jax().vmap(derivative(self.score), in_axes=(0, None, None))
        return jax_call(over_rows, self.x, self.weights, self.biases)

    def layers(self) -> tuple[Any, Any, Any]:
        """Return the outputs of the layers."""
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        h1 = np.tanh(self.x @ w1 + b1)
        h2 = np.tanh(h1 @ w2 + b2)
        return h1, h2, (h2 @ w3 + b3)[:, 0]


class ValueAndGradient(Network):
    """The output and its gradient, together."""

    group = "derivatives: value and gradient of a network, 1,000 rows"
    contenders: ClassVar = {
        f"{OURS}, value_and_gradient": "together",
        f"{OURS}, call and gradient": "one_by_one",
        NUMPY: "by_hand",
        JAX: "in_jax",
    }

    def together(self) -> Any:
        return self.program.value_and_gradient(self.x)

    def one_by_one(self) -> Any:
        return self.program(self.x), self.program.gradient(self.x)

    @cached_property
    def in_jax(self) -> Contender:
        return self.through_jax(jax().value_and_grad)

    def by_hand(self) -> Any:
        w1, w2, w3 = self.weights
        h1, h2, value = self.layers()
        d2 = w3[:, 0] * (1.0 - h2 * h2)
        d1 = (d2 @ w2.T) * (1.0 - h1 * h1)
        return value, d1 @ w1.T


class Hessian(Network):
    """The second derivatives of the output, 10 x 10 a row."""

    group = "derivatives: hessian of a network of ten inputs, 1,000 rows"
    contenders: ClassVar = {f"{OURS}, hessian": "hessian", NUMPY: "by_hand", JAX: "in_jax"}

    def hessian(self) -> Any:
        return self.program.hessian(self.x)

    @cached_property
    def in_jax(self) -> Contender:
        return self.through_jax(jax().hessian)

    def by_hand(self) -> Any:
        w1, w2, w3 = self.weights
        h1, h2, _ = self.layers()
        s1, s2 = 1.0 - h1 * h1, 1.0 - h2 * h2
        d1 = (w3[:, 0] * s2) @ w2.T
        bend1, bend2 = -2.0 * h1 * s1 * d1, -2.0 * h2 * s2 * w3[:, 0]
        to_second = (w1 * s1[:, None, :]) @ w2
        bent = (to_second * bend2[:, None, :]) @ to_second.transpose(0, 2, 1)
        return (w1 * bend1[:, None, :]) @ w1.T + bent


class LotkaVolterra:
    """Hares and lynxes, by Euler's method: 400 results, each by six numbers: the two that the
    path starts from, and the equation's four.
    """

    group = "derivatives: jacobian of 200 steps of Lotka-Volterra, 100 rows"
    contenders: ClassVar = {
        f"{OURS}, jacobian": "jacobian",
        f"{OURS}, forward mode by hand": "forward_by_hand",
        NUMPY: "by_hand",
        C: "in_c",
        JAX: "in_jax",
    }
    rows, steps, h = 100, 200, 0.05

    def __init__(self) -> None:
        noise = np.random.default_rng(0).normal(size=(self.rows, 6))
        self.states = np.array([10.0, 5.0, 1.1, 0.1, 0.4, 0.02]) * np.exp(0.1 * noise)

    @cached_property
    def jacobian(self) -> Contender:
        program = mg.compile(self.euler, self.states[0])
        return lambda: program.jacobian(self.states)

    @cached_property
    def forward_by_hand(self) -> Contender:
        program = mg.compile(self.euler_with_tangents, self.states[0])
        return lambda: program(self.states)

    def euler(self, state: Any) -> Any:
        """Return the path of one row, of Values."""
        x, y, a, b, c, d = state
        path = []
        for _ in range(self.steps):
            x, y = x + self.h * (a - b * y) * x, y + self.h * (d * x - c) * y
            path += [x, y]
        return np.array(path)

    def euler_with_tangents(self, state: Any) -> Any:
        """Return the derivatives of the path of one row, of Values."""
        x, y, a, b, c, d = state
        dx, dy = [1.0, *[0.0] * 5], [0.0, 1.0, *[0.0] * 4]
        path = []
        for _ in range(self.steps):
            growth, gain = a - b * y, d * x - c
            up, down, of_x, of_y = 1 + self.h * growth, 1 + self.h * gain, self.h * x, self.h * y
            by_y, by_x = of_x * b, of_y * d
            turned = [up * s - by_y * t for s, t in zip(dx, dy)]
            dy = [down * t + by_x * s for s, t in zip(dx, dy)]
            dx = turned
            dx[2], dx[3] = dx[2] + of_x, dx[3] - of_x * y
            dy[4], dy[5] = dy[4] - of_y, dy[5] + of_y * x
            x, y = up * x, down * y
            path += [dx, dy]
        return np.array(path)

    def by_hand(self) -> Any:
        x, y, a, b, c, d = self.states.T[:, :, None]
        dx, dy = np.zeros((2, self.rows, 6))
        dx[:, 0] = dy[:, 1] = 1.0
        out = np.empty((self.rows, 2 * self.steps, 6))
        for step in range(self.steps):
            growth, gain = a - b * y, d * x - c
            change_x, change_y = growth * dx - x * b * dy, gain * dy + y * d * dx
            change_x[:, 2:4] += np.hstack([x, -x * y])
            change_y[:, 4:6] += np.hstack([-y, y * x])
            dx, dy = dx + self.h * change_x, dy + self.h * change_y
            x, y = x + self.h * growth * x, y + self.h * gain * y
            out[:, 2 * step], out[:, 2 * step + 1] = dx, dy
        return out

    def in_c(self) -> Any:
        out = np.empty((self.rows, 2 * self.steps, 6))
        compiled.library().lotka_volterra(
            self.states.ctypes.data_as(_DOUBLES),
            ctypes.c_size_t(self.rows),
            ctypes.c_size_t(self.steps),
            ctypes.c_double(self.h),
            out.ctypes.data_as(_DOUBLES),
        )
        return out

    @cached_property
    def in_jax(self) -> Contender:
        def path(state: Any) -> Any:
            _, _, a, b, c, d = state

            def step(at: Any, _: None) -> Any:
                x, y = at
                at = x + self.h * (a - b * y) * x, y + self.h * (d * x - c) * y
                return at, jax().numpy.stack(at)

            return jax().lax.scan(step, (state[0], state[1]), length=self.steps)[1].reshape(-1)

        return jax_call(jax().vmap(jax().jacfwd(path)), self.states)


class OnePath:
    """The same equation by RK4, Runge-Kutta's method: a number of its end, and the gradient."""

    group = "derivatives: value and gradient of 200 RK4 steps of Lotka-Volterra, one row"
    contenders: ClassVar = {
        OURS: "of_the_package",
        f"{OURS}, built": "built",
        NUMPY: "by_hand",
        C: "in_c",
    }
    rows, steps, h = 1, 200, 0.05
    state = np.array([[10.0, 5.0, 1.1, 0.1, 0.4, 0.02]])

    @staticmethod
    def slopes(at: Any, abcd: Any) -> Any:
        (x, y), (a, b, c, d) = at, abcd
        return (a - b * y) * x, (d * x - c) * y

    def end(self, state: Any) -> Any:
        """Return the sum of the squares of what is there after the last step."""
        at, abcd = state[:2], state[2:]
        for _ in range(self.steps):
            one = self.slopes(at, abcd)
            two = self.slopes([z + self.h / 2 * s for z, s in zip(at, one)], abcd)
            three = self.slopes([z + self.h / 2 * s for z, s in zip(at, two)], abcd)
            four = self.slopes([z + self.h * s for z, s in zip(at, three)], abcd)
            at = [
                z + self.h / 6 * (s1 + 2 * s2 + 2 * s3 + s4)
                for z, s1, s2, s3, s4 in zip(at, one, two, three, four)
            ]
        return at[0] * at[0] + at[1] * at[1]

    @cached_property
    def of_the_package(self) -> Contender:
        program = mg.compile(self.end, self.state[0])
        return lambda: program.value_and_gradient(self.state)

    @cached_property
    def built(self) -> Contender:
        program = mg.compile(self.end, self.state[0])
        program.build()
        return lambda: program.value_and_gradient(self.state)

    def by_hand(self) -> Any:
        """Forward: a number is an array of its value and its six derivatives."""
        found = self.end([_Dual(np.array([x, *row])) for x, row in zip(self.state[0], np.eye(6))])
        return found.numbers[:1], found.numbers[None, 1:]

    @cached_property
    def in_c(self) -> Contender:
        found = value, gradient = np.empty(1), np.empty((1, 6))
        state, *places = (a.ctypes.data_as(_DOUBLES) for a in (self.state, value, gradient))
        steps, h = ctypes.c_size_t(self.steps), ctypes.c_double(self.h)
        runge_kutta = compiled.library().runge_kutta

        def run() -> Any:
            runge_kutta(state, steps, h, *places)
            return found

        return run


class _Dual:
    """A number and its derivatives, in one array."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def __add__(self, other: Any) -> Any:
        return _Dual(self.numbers + other.numbers)

    def __sub__(self, other: Any) -> Any:
        return _Dual(self.numbers - other.numbers)

    def __mul__(self, other: Any) -> Any:
        product = self.numbers[0] * other.numbers
        product[1:] += other.numbers[0] * self.numbers[1:]
        return _Dual(product)

    def __rmul__(self, factor: float) -> Any:
        return _Dual(factor * self.numbers)


class Branches:
    """A sum of ten terms, each with a branch of its own; its value and gradient."""

    group = "derivatives: ten branches, value and gradient, 10,000 rows"
    contenders: ClassVar = {
        f"{OURS}, where": "by_where",
        f"{OURS}, if": "by_if",
        NUMPY: "by_hand",
        JAX: "in_jax",
    }
    rows = 10_000

    def __init__(self) -> None:
        self.x = np.random.default_rng(0).normal(size=(self.rows, 10))

    @cached_property
    def by_where(self) -> Contender:
        return self.compile(self.with_where)

    @cached_property
    def by_if(self) -> Contender:
        return self.compile(self.with_if)

    @cached_property
    def in_jax(self) -> Contender:
        return jax_call(jax().vmap(jax().value_and_grad(self.with_jax)), self.x)

    def compile(self, fn: Any) -> Contender:
        program = mg.compile(fn, self.x[0], max_specializations=2**10)
        return lambda: program.value_and_gradient(self.x)

    def with_where(self, xs: Any) -> Any:
        return mg.total([mg.where(x > 0, x * x, -0.5 * x) for x in xs])

    def with_if(self, xs: Any) -> Any:
        return mg.total([x * x if x > 0 else -0.5 * x for x in xs])

    def with_jax(self, x: Any) -> Any:
        return jax().numpy.where(x > 0, x * x, -0.5 * x).sum()

    def by_hand(self) -> Any:
        x, above = self.x, self.x > 0
        return np.where(above, x * x, -0.5 * x).sum(1), np.where(above, 2.0 * x, -0.5)


class Letters:
    """Which letter follows a letter: an embedding of 27 x 16, a linear layer, cross entropy.

    32 pairs of letters, SGD; `run(steps)` returns the losses from the same first parameters.
    """

    rows, rate = 32, 0.1

    contender: str

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.letters, self.following = random.integers(0, 27, size=(2, self.rows))
        self.first = random.normal(size=(27, 16)), random.normal(size=(27, 16)) / 4

    def run(self, steps: int) -> list[float]:
        raise NotImplementedError


class LettersByTake(Letters):
    contender = f"{OURS}, take"

    def __init__(self) -> None:
        super().__init__()
        self.embedding = mg.Embedding(27, 16)
        self.weights = [[mg.Value(0.0) for _ in range(16)] for _ in range(27)]
        self.params = [p for row in [*self.embedding.rows, *self.weights] for p in row]
        self.optimizer = mg.optim.SGD(self.params, lr=self.rate)

        def loss(letter: Any, following: Any) -> Any:
            return mg.cross_entropy(mg.linear(self.weights, self.embedding(letter)), following)

        self.program = mg.compile(loss, 0, 1)

    def run(self, steps: int) -> list[float]:
        for p, number in zip(self.params, np.concatenate(self.first).ravel().tolist()):
            p.data = number
        losses = []
        for _ in range(steps):
            self.optimizer.zero_grad()
            losses.append(self.program.backward(self.letters, self.following))
            self.optimizer.step()
        return losses


class LettersInNumpy(Letters):
    contender = NUMPY

    def run(self, steps: int) -> list[float]:
        table, weights = (array.copy() for array in self.first)
        return [self._step(table, weights) for _ in range(steps)]

    def _step(self, table: Any, weights: Any) -> float:
        each = np.arange(self.rows)
        x = table[self.letters]
        logits = x @ weights.T
        logits -= logits.max(1, keepdims=True)
        exps = np.exp(logits)
        sums = exps.sum(1)
        loss = (np.log(sums) - logits[each, self.following]).mean()
        slopes = exps / sums[:, None]
        slopes[each, self.following] -= 1.0
        slopes *= self.rate / self.rows
        of_x = slopes @ weights
        weights -= slopes.T @ x
        np.subtract.at(table, self.letters, of_x)
        return float(loss)


class LettersInJax(Letters):
    contender = JAX

    def __init__(self) -> None:
        super().__init__()

        def loss(params: Any, letters: Any, following: Any) -> Any:
            table, weights = params
            logits = table[letters] @ weights.T
            sums = jax().nn.logsumexp(logits, axis=1)
            return (sums - logits[jax().numpy.arange(self.rows), following]).mean()

        def step(params: Any, letters: Any, following: Any) -> Any:
            value, grads = jax().value_and_grad(loss)(params, letters, following)
            return value, tuple(p - self.rate * grad for p, grad in zip(params, grads))

        self.step = jax().jit(step)
        self.data = jax().device_put((self.letters, self.following))

    def run(self, steps: int) -> list[float]:
        params, losses = jax().device_put(self.first), []
        for _ in range(steps):
            loss, params = self.step(params, *self.data)
            losses.append(float(loss))
        return losses
