"""The forms the training programs come in: whose network classes, over which engine's Value."""

from __future__ import annotations

from typing import Any

from .contenders import GPT, engine, own_copy
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
