"""Sums, products and losses in one call: what micrograd_c/functional.py documents.

A function returns NotImplemented where the plain Python expression is to be evaluated: for what
sequences.py does not take, and for errors, as the expression knows the operands that it names.
"""

from __future__ import annotations

import operator
from typing import Any

from .._library import ffi, lib
from .arena import arena
from .lifetimes import proxy_of
from .proxy import hold_operands, release
from .sequences import inputs, record_rows, shown, terms
from .threads import here

# ---- what all of them share ----


def _same_length(a: Any, name_a: str, b: Any, name_b: str) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {name_a} for {len(b)} {name_b}")


def _not_empty(values: Any, name: str) -> None:
    if not values:
        raise ValueError(f"no {name}")


def _record(record: Any, operands: list[Any], *args: Any) -> Any:
    """Return the Value of the one node that a function of the library returns."""
    status = ffi.new("mg_status *")
    node = record(arena, *args, status)
    if not node and status[0] != lib.MG_NO_MEMORY:
        return NotImplemented
    if not node:
        raise MemoryError("no memory for the nodes of an expression")
    hold_operands(operands)
    if lib.mg_node_references(node) == 1:
        return shown([node])[0]
    result = proxy_of(node)  # one of the operands itself
    release(node)
    return result


def _of_one(record: Any, values: list[Any], *args: Any) -> Any:
    array = terms(values)
    if array is None:
        return NotImplemented
    return _record(record, values, array, len(values), *args)


def _of_pairs(record: Any, outputs: Any, targets: Any) -> Any:
    outputs, targets = list(outputs), list(targets)
    _same_length(outputs, "predictions", targets, "targets")
    _not_empty(outputs, "predictions")
    arrays = terms(outputs), terms(targets)
    if None in arrays:
        return NotImplemented
    return _record(record, [*outputs, *targets], *arrays, len(outputs))


# ---- products ----


def dot(ws: Any, xs: Any, bias: Any) -> Any:
    """Return the sum of ws[i] * xs[i], plus bias; raises ValueError if the lengths differ."""
    ws, xs = list(ws), list(xs)
    _same_length(ws, "weights", xs, "inputs")
    out = record_rows([ws], inputs(xs), None if bias is None else [bias])
    if out is not None:
        return shown(out)[0]
    arrays = terms(ws), terms(xs), terms([] if bias is None else [bias])
    if None in arrays:
        return NotImplemented
    start = ffi.NULL if bias is None else arrays[2]
    return _record(lib.mg_dot, [*ws, *xs, bias], arrays[0], arrays[1], len(ws), start, -1)


def linear(weights: Any, xs: Any, biases: Any) -> Any:
    """Return a list of dot(ws, xs, bias), one for each row of weights."""
    weights, xs = list(weights), list(xs)
    biases = None if biases is None else list(biases)
    if not all(isinstance(ws, (list, tuple)) for ws in weights):
        return NotImplemented  # a generator could not be read once more
    out = record_rows(weights, inputs(xs), biases)
    return NotImplemented if out is None else shown(out)


# ---- sums and losses ----


def total(values: Any) -> Any:
    """Return the sum of the values."""
    return _of_one(lib.mg_total, list(values))


def mean(values: Any) -> Any:
    """Return the mean of the values; raises ValueError if there are none."""
    values = list(values)
    _not_empty(values, "values")
    return _of_one(lib.mg_mean, values)


def mse(predictions: Any, targets: Any) -> Any:
    """Return the mean squared error; raises ValueError for other lengths, or none."""
    return _of_pairs(lib.mg_mse, predictions, targets)


def hinge(scores: Any, targets: Any) -> Any:
    """Return the mean hinge loss; raises ValueError for other lengths, or none."""
    return _of_pairs(lib.mg_hinge, scores, targets)


def logistic(logits: Any, targets: Any) -> Any:
    """Return the mean logistic loss; raises ValueError for other lengths, or none."""
    return _of_pairs(lib.mg_logistic, logits, targets)


# ---- of logits ----
#
# The largest of them is a number in the plain expression, which a recorder has to see.


def logsumexp(logits: Any) -> Any:
    """Return the logarithm of the sum of exponentials; raises ValueError if there are none."""
    logits = list(logits)
    _not_empty(logits, "logits")
    return NotImplemented if here.recorder is not None else _of_one(lib.mg_logsumexp, logits)


def cross_entropy(logits: Any, target: Any) -> Any:
    """Return -log of the target's share; raises IndexError if there is no such target."""
    logits, target = list(logits), operator.index(target)
    place = target + len(logits) if target < 0 else target
    if not 0 <= place < len(logits):
        raise IndexError(f"target {target} of {len(logits)} logits")
    if here.recorder is not None:
        return NotImplemented
    return _of_one(lib.mg_cross_entropy, logits, place)


def _shares(record: Any, logits: Any) -> Any:
    logits = list(logits)
    _not_empty(logits, "logits")
    array = terms(logits)
    if array is None or here.recorder is not None:
        return NotImplemented
    nodes = ffi.new("mg_node *[]", len(logits))
    status = record(arena, array, len(logits), nodes)
    if status == lib.MG_NO_MEMORY:
        raise MemoryError("no memory for the nodes of an expression")
    if status:
        return NotImplemented
    hold_operands(logits)
    return shown(nodes)


def softmax(logits: Any) -> Any:
    """Return a list of each logit's share; raises ValueError if there are none."""
    return _shares(lib.mg_softmax, logits)


def log_softmax(logits: Any) -> Any:
    """Return a list of the logarithms of shares; raises ValueError if there are none."""
    return _shares(lib.mg_log_softmax, logits)
