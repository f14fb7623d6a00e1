"""micrograd_c: a scalar autograd engine in C, a drop-in for the Value of micrograd."""

from pkgutil import extend_path

# In the source folder, where the compiled parts are not: those of the installed package.
__path__ = extend_path(__path__, __name__)

from . import optim
from .engine import Value, maximum, minimum, no_grad
from .functional import cross_entropy, dot, hinge, linear, mean, mse, softmax, total
from .gradcheck import gradcheck
from .graph import draw_dot, trace
from .nn import MLP, Layer, Module, Neuron

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "Layer",
    "Module",
    "Neuron",
    "Value",
    "cross_entropy",
    "dot",
    "draw_dot",
    "gradcheck",
    "hinge",
    "linear",
    "maximum",
    "mean",
    "minimum",
    "mse",
    "no_grad",
    "optim",
    "softmax",
    "total",
    "trace",
]
