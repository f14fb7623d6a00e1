"""The forms the training programs come in: whose network classes, over which engine's Value."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from .contenders import GPT, PACKAGE, PROGRAMS, engine, own_copy
from .programs import MOONS_SIZES, NOTEBOOK_SIZES


def own_lists(name: str) -> Any:
    """Two moons, a user's own lists of Values and loops over them."""
    ours = engine(name)
    model = ours.programs.Lists(ours.value, MOONS_SIZES)
    return ours.programs.moons_training(ours.value, model)


def package_mlp(name: str) -> Any:
    """Two moons, the package's MLP."""
    ours = engine(name)
    model = ours.package_mlp(MOONS_SIZES, ["relu", "relu", None])
    return ours.programs.moons_training(ours.value, model)


def micrograd_mlp(name: str) -> Any:
    """Two moons, the MLP of micrograd's unmodified nn.py over this engine's Value."""
    ours = engine(name)
    model = ours.micrograd_mlp(MOONS_SIZES)
    return ours.programs.moons_training(ours.value, model)


def package_mlp_notebook(name: str) -> Any:
    """The notebook's network, the package's MLP."""
    ours = engine(name)
    return ours.programs.notebook_training(ours.package_mlp(NOTEBOOK_SIZES, "tanh"))


def lecture_classes(name: str) -> Any:
    """The notebook's network, the lecture's classes."""
    ours = engine(name)
    model = ours.programs.NotebookMLP(ours.value, NOTEBOOK_SIZES)
    return ours.programs.notebook_training(model)


def package_whole(name: str) -> Any:
    """Two moons, the package's MLP, losses and optimizer."""
    ours = engine(name)
    model = ours.package_mlp(MOONS_SIZES, ["relu", "relu", None])
    return ours.programs.whole_moons_training(ours.package, model)


def package_whole_notebook(name: str) -> Any:
    """The notebook's network, the package's MLP, loss and optimizer."""
    ours = engine(name)
    model = ours.package_mlp(NOTEBOOK_SIZES, "tanh")
    return ours.programs.whole_notebook_training(ours.package, model)


def jitted_lists() -> Any:
    """Two moons, a user's own lists, the loss a function with `@mg.jit`."""
    return _jitted_moons(lambda mg, programs: programs.Lists(mg.Value, MOONS_SIZES))


def jitted_mlp() -> Any:
    """Two moons, the package's MLP, the loss a function with `@mg.jit`."""
    return _jitted_moons(lambda mg, _: mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None]))


def _jitted_moons(network: Callable[[Any, Any], Any]) -> Any:
    mg = import_module(PACKAGE)
    programs: Any = own_copy("programs", PROGRAMS)
    training = programs.moons_training(mg.Value, network(mg, programs))
    training.loss = mg.jit(training.loss)
    return training


def jitted_gpt() -> Any:
    """The small GPT, the loss of a name a function with `@mg.jit`, the weights its globals."""
    return _jitted_gpt(lambda mg, program: program.Training(mg.Value))


def jitted_gpt_with_adam() -> Any:
    """The same, the parameters updated by the package's Adam."""
    return _jitted_gpt(lambda mg, program: program.WithOptimizer(mg.Value, mg.optim.Adam))


def _jitted_gpt(make: Callable[[Any, Any], Any]) -> Any:
    mg = import_module(PACKAGE)
    program: Any = own_copy("gpt", GPT)
    training, loss_of = make(mg, program), program.loss_of
    jitted = mg.jit(lambda name: loss_of(training.weights, name))
    program.loss_of = lambda _, name: jitted(name)
    return training


def gpt(name: str) -> Any:
    """The small GPT, as it is written."""
    program: Any = own_copy("gpt", GPT)
    return program.Training(engine(name).value)


def package_gpt(name: str) -> Any:
    """The small GPT with the package's functions and optimizer where they do what was written."""
    ours = engine(name)
    program: Any = own_copy("gpt", GPT)
    program.linear = ours.package.linear
    program.softmax = ours.package.softmax
    program.sum = ours.package.total
    return program.WithOptimizer(ours.value, ours.package.optim.Adam)


class _Replayed:
    """The loss of a replay, whose gradients have been added already."""

    def __init__(self, data: float) -> None:
        self.data = data

    def backward(self) -> None:
        pass


def compiled_gpt(documents: int, *, built: bool = False) -> Any:
    """The small GPT compiled, a name so many times a step; `built`: and its C, too."""
    numpy = import_module("numpy")
    program, training, compiled = gpt_program()
    rows = {
        name: numpy.array([program.tokens_of(name)] * documents, float) for name in program.NAMES
    }
    if built:
        compiled.build()
    program.loss_of = lambda _, name: _Replayed(compiled.backward(rows[name]))
    return training


def gpt_program() -> tuple[Any, Any, Any]:
    """Return a copy of gpt.py, its training, and the loss of a row of letters, compiled."""
    mg = import_module(PACKAGE)
    program: Any = own_copy("gpt", GPT)
    training = program.WithOptimizer(mg.Value, mg.optim.Adam)
    letters, weights = training.weights["token"], dict(training.weights)
    weights["token"] = type("Lookups", (), {"__getitem__": lambda _, k: mg.take(letters, k)})()

    def loss_of(tokens: Any) -> Any:
        keys: list[Any] = []
        values: list[Any] = []
        losses = []
        for position, (token, target) in enumerate(zip(tokens, tokens[1:])):
            shares = program.softmax(program.gpt(weights, token, position, keys, values))
            losses.append(-mg.take(shares, target).log())
        return sum(losses) / len(losses)

    example = import_module("numpy").array(program.tokens_of(program.NAMES[0]), float)
    return program, training, mg.compile(loss_of, example)
