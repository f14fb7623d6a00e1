# ruff: noqa: F401  (what is imported here is the backend, as micrograd_c/engine.py uses it)
"""The cffi backend: Value as a Python proxy over calls to the C library.

The imports below are the list of its functions, which are those of the accelerator, too: see
micrograd_c/_value_type.pyi. Read value.py first. From the bottom up, the files are about

- arena, proxy, lifetimes, cycles: nodes, the Python objects that show them, who keeps whom;
- threads, table, errors: what a thread has asked for; operators and what goes wrong with them;
- labels, construct, backward, value, functions: the class;
- sequences, expressions, network, optimizers: work on many nodes in one call;
- copying, compiling: nodes taken apart, for a copy or for a compiled program.

A file imports from those before it alone.
"""

from . import cycles
from .arena import check, fail_after, statistics, trim
from .compiling import add_grads, get_numbers, is_fresh, rule, serial, trace
from .construct import number_of
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
from .network import describe_network, layer, network, parameters
from .optimizers import adam, sgd, zero_grad
from .threads import GradOff, after_fork, record
from .value import Value
