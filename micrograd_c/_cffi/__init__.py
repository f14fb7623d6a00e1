# ruff: noqa: F401  (what is imported here is the backend, as micrograd_c/engine.py uses it)
"""The cffi backend: Value as a Python proxy over calls to the C library.

Its functions, one list of them here, are those of the accelerator: see ../_value_type.pyi.
"""

from . import cycles
from .arena import fail_after, statistics, trim
from .compiling import add_grads, get_numbers, is_fresh, number_of, rule, serial, trace
from .copying import attributes, recorded, restore, set_attributes
from .expressions import (
    cross_entropy,
    dot,
    hinge,
    linear,
    log_softmax,
    logistic,
    logsumexp,
    mean,
    mse,
    softmax,
    total,
)
from .functions import maximum, minimum
from .lifetimes import graph
from .network import layer, network, parameters
from .optimizers import adam, sgd, zero_grad
from .threads import GradOff, after_fork, start_recording, stop_recording
from .value import Value
