"""micrograd_c: a scalar autograd engine in C, a drop-in for the Value of micrograd."""

from .engine import Value, maximum, minimum, no_grad
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
    "draw_dot",
    "gradcheck",
    "maximum",
    "minimum",
    "no_grad",
    "trace",
]
