"""micrograd_c: a scalar autograd engine in C, a drop-in for the Value of micrograd.

Each name has help of its own: help(micrograd_c.Value), help(micrograd_c.compile), ...

    numbers       Value; maximum, minimum, atan2, hypot, polygamma, normal_cdf; where, take
    many at once  dot, linear, total, mean, softmax, log_softmax, logsumexp; Vector, vector
    losses        mse, hinge, cross_entropy, binary_cross_entropy_with_logits
    networks      MLP, Layer, Neuron, Embedding; Module, their base class
    training      optim (SGD, Adam, ..., learning rates), clip_grad_norm, clip_grad_value,
                  no_grad; save, load
    derivatives   grad, jacobian, hessian, hvp; gradcheck, detect_anomaly
    to look at    draw_dot, trace; explain, Watch
    compiled      compile, which records a function once and replays it over many rows, as a
                  Program; jit, for the function that a loop calls; static

`compile`, `jit`, `static` and `Program` come with numpy, and are not imported by
`from micrograd_c import *`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Where this package is the source folder without compiled parts, those of the installed package are
# found.
if not os.path.exists(os.path.join(__path__[0], "_built.py")):
    from pkgutil import extend_path

    __path__ = extend_path(__path__, __name__)

from . import _copying, _numpy_names, optim  # noqa: F401
from ._anomaly import detect_anomaly
from .derivatives import grad, hessian, hvp, jacobian
from .engine import Value, atan2, hypot, maximum, minimum, no_grad, polygamma
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
    take,
    total,
    where,
)
from .gradcheck import gradcheck
from .graph import draw_dot, trace
from .nn import MLP, Embedding, Layer, Module, Neuron
from .optim import clip_grad_norm, clip_grad_value
from .vectors import Vector, vector

if TYPE_CHECKING:
    from ._compile.arguments import static as static
    from ._compile.compiling import compile as compile
    from ._compile.jit import jit as jit
    from ._compile.program import Program as Program
    from ._explain.explaining import explain as explain
    from ._explain.watch import Watch as Watch
    from .files import load, save

__version__ = "0.2.0"

__all__ = [
    "MLP",
    "Embedding",
    "Layer",
    "Module",
    "Neuron",
    "Value",
    "Vector",
    "Watch",
    "atan2",
    "binary_cross_entropy_with_logits",
    "clip_grad_norm",
    "clip_grad_value",
    "cross_entropy",
    "detect_anomaly",
    "dot",
    "draw_dot",
    "explain",
    "grad",
    "gradcheck",
    "hessian",
    "hinge",
    "hvp",
    "hypot",
    "jacobian",
    "linear",
    "load",
    "log_softmax",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "mse",
    "no_grad",
    "normal_cdf",
    "optim",
    "polygamma",
    "save",
    "softmax",
    "take",
    "total",
    "trace",
    "vector",
    "where",
]


_LAZY = {  # name: the module that it is imported from when a program asks for it
    "Watch": "._explain.watch",
    "explain": "._explain.explaining",
    "Program": "._compile.program",
    "compile": "._compile.compiling",
    "jit": "._compile.jit",
    "static": "._compile.arguments",
    "load": ".files",
    "save": ".files",
}


def __getattr__(name: str) -> Any:
    """Import what few programs need, and `compile` and `jit`, which come with numpy.

    These are not in __all__: `from micrograd_c import *` leaves Python's own compile alone.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
