"""Layers of neurons in one call: what micrograd_c/nn.py documents.

A function returns NotImplemented where layers and neurons are to be called one by one: if one is of
another class, or its class has been changed.
"""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .labels import tag_of
from .proxy import release
from .sequences import inputs, record_rows, shown
from .table import of_form

_ACTIVATIONS = of_form(lib.MG_FORM_METHOD)


def _are_own(objects: Any, cls: Any, call: Any) -> bool:
    """Whether objects are a list, all of this class itself, which calls as it was written."""
    return (
        isinstance(objects, list)
        and cls.__call__ is call
        and len(objects) != 0
        and all(type(item) is cls for item in objects)
    )


def _outputs(neurons: Any, xs: Any, given: Any, tag: int) -> Any:
    """Return an array of the nodes of a layer's outputs, a reference each, or None."""
    if tag == 0 or not _are_own(neurons, *given):
        return None
    name, rows = neurons[0].activation, [neuron.w for neuron in neurons]
    if any(neuron.activation is not name for neuron in neurons):
        return None
    op = -1 if name is None else _ACTIVATIONS.get(name) if type(name) is str else None
    if op is None or not all(isinstance(row, (list, tuple)) for row in rows):
        return None
    return record_rows(rows, xs, [neuron.b for neuron in neurons], op, tag)


def layer(neurons: Any, xs: Any, cls: Any, call: Any, label: Any) -> Any:
    if not isinstance(xs, (list, tuple)):
        return NotImplemented
    xs = tuple(xs)
    tag = tag_of(label)
    out = _outputs(neurons, inputs(xs), (cls, call), tag)
    return NotImplemented if out is None else shown(out, tag)


def network(
    layers: Any, xs: Any, layer_cls: Any, layer_call: Any, cls: Any, call: Any, label: Any
) -> Any:
    if type(xs) not in (list, tuple) or not _are_own(layers, layer_cls, layer_call):
        return NotImplemented
    xs = tuple(xs)
    tag, taken = tag_of(label), inputs(xs)
    nodes: Any = []
    for each in layers:
        below = nodes
        try:
            nodes = _outputs(each.neurons, taken, (cls, call), tag)
        finally:
            for node in below:
                release(node)
        if nodes is None:
            return NotImplemented
        taken = nodes, ffi.NULL, len(nodes)
    values = shown(nodes, tag)
    return values[0] if len(values) == 1 else values


def parameters(*args: Any) -> Any:
    return NotImplemented  # a program asks for them once: that may take its time
