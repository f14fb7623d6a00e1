"""micrograd_c: a scalar autograd engine in C, a drop-in for the Value of micrograd."""

from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

# Where this package is the source folder without compiled parts, those of the installed package are
# found.
__path__ = extend_path(__path__, __name__)

from . import _copying, _numpy_names, optim  # noqa: F401
from .engine import Value, atan2, hypot, maximum, minimum, no_grad
from .functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    dot,
    hinge,
    linear,
    log_softmax,
    logsumexp,
    mean,
    mse,
    normal_cdf,
    softmax,
    total,
)
from .gradcheck import gradcheck
from .graph import draw_dot, trace
from .nn import MLP, Layer, Module, Neuron

if TYPE_CHECKING:
    from ._compile.program import Program as Program
    from ._compile.program import compile as compile

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "Layer",
    "Module",
    "Neuron",
    "Value",
    "atan2",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dot",
    "draw_dot",
    "gradcheck",
    "hinge",
    "hypot",
    "linear",
    "log_softmax",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "mse",
    "no_grad",
    "normal_cdf",
    "optim",
    "softmax",
    "total",
    "trace",
]


def __getattr__(name: str) -> Any:
    """Import `compile` and `Program`, which few programs need, when a program asks for them.

    They are not in __all__: `from micrograd_c import *` leaves Python's own compile alone.
    """
    if name not in ("Program", "compile"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._compile import program

    return getattr(program, name)
