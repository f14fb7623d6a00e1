# ruff: noqa: F401  (what is imported here is the backend, as micrograd_c/engine.py uses it)
"""The cffi backend: Value as a Python proxy over calls to the C library.

The imports below are the list of its functions, which are those of the accelerator, too: see
micrograd_c/_value_type.pyi.

To learn how a C library is bound, read build_ffi.py (which compiles it, its declarations taken from
the C header), micrograd_c/_library.py (which loads it), then value.py, the class itself, with
table.py, errors.py, backward.py and arena.py: that is all that a binding needs. The rest, in the
order in which the files import each other, is about

- proxy, lifetimes, cycles: the Python objects that show nodes, and who keeps whom;
- threads: what a thread has asked for: no_grad, detect_anomaly, to record a program;
- labels, construct, functions: the other parts of the class, functions of two;
- sequences, expressions, network, nodes, optimizers: work on many nodes in one call;
- copying, compiling: nodes taken apart, for a copy or for a compiled program;
- calls: the numbers and the result of a jitted function's call.
"""

from . import cycles
from .arena import check, fail_after, statistics, trim
from .backward import gradients
from .calls import common_type, give_result, take_numbers
from .compiling import (
    add_grads,
    enums,
    get_grads,
    get_numbers,
    is_fresh,
    rule,
    serial,
    set_numbers,
    trace,
)
from .construct import number_of, recorder
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
from .functions import atan2, hypot, maximum, minimum, polygamma
from .lifetimes import graph
from .network import describe_network, layer, network, parameters
from .nodes import Nodes
from .optimizers import adam, clip_norm, clip_value, rmsprop, sgd, zero_grad
from .threads import GradOff, Watch, after_fork, is_anyone_watched, record, watch_by
from .value import Value
