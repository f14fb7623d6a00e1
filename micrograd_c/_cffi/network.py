"""Layers of neurons in one call: what micrograd_c/nn.py documents.

What a layer and a neuron are, nn.py says once, by describe_network(). A function returns
NotImplemented where they are to be called one by one: if one is of another class, or its class has
been changed since.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from .._library import ffi, lib
from .labels import tag_of
from .proxy import release
from .sequences import inputs, record_rows, shown
from .table import of_form

_ACTIVATIONS = of_form(lib.MG_FORM_METHOD)


# The classes of layers and of neurons with their calls; how their attributes are got; the number of
# the label of an output.
_layer: Any = None, None
_neuron: Any = None, None
_neurons_of: Any = None
_parts_of: Any = None  # weights, bias, activation
_tag = 0


def describe_network(layer: Any, of_layer: Any, neuron: Any, of_neuron: Any, label: str) -> None:
    """Take note of the two classes, their objects' attributes, and the label of outputs."""
    global _layer, _neuron, _neurons_of, _parts_of, _tag
    _layer, _neuron = (layer, layer.__call__), (neuron, neuron.__call__)
    _neurons_of, _parts_of = attrgetter(*of_layer), attrgetter(*of_neuron)
    _tag = tag_of(label)


def _are_own(objects: Any, cls: Any, call: Any) -> bool:
    """Whether objects are a list, all of this class itself, which calls as it was written."""
    return (
        isinstance(objects, list)
        and len(objects) != 0
        and all(type(item) is cls for item in objects)
        and cls.__call__ is call
    )


def _outputs(neurons: Any, xs: Any) -> Any:
    """Return an array of the nodes of a layer's outputs, a reference each, or None."""
    if _tag == 0 or not _are_own(neurons, *_neuron):
        return None
    parts = [_parts_of(neuron) for neuron in neurons]
    rows, name = [part[0] for part in parts], parts[0][2]
    if any(part[2] is not name for part in parts):
        return None
    op = -1 if name is None else _ACTIVATIONS.get(name) if type(name) is str else None
    if op is None or not all(isinstance(row, (list, tuple)) for row in rows):
        return None
    return record_rows(rows, xs, [part[1] for part in parts], op, _tag)


def layer(neurons: Any, xs: Any) -> Any:
    """Return a list of what each neuron gives for xs, as one Value each."""
    if not isinstance(xs, (list, tuple)):
        return NotImplemented
    out = _outputs(neurons, inputs(tuple(xs)))
    return NotImplemented if out is None else shown(out, _tag)


def network(layers: Any, xs: Any) -> Any:
    """Return the list of the last layer's outputs, or the Value itself if there is one."""
    if type(xs) not in (list, tuple) or not _are_own(layers, *_layer):
        return NotImplemented
    xs = tuple(xs)
    taken = inputs(xs)
    nodes: Any = []
    for each in layers:
        below = nodes
        try:
            nodes = _outputs(_neurons_of(each), taken)
        finally:
            for node in below:
                release(node)
        if nodes is None:
            return NotImplemented
        taken = nodes, ffi.NULL, len(nodes)
    values = shown(nodes, _tag)
    return values[0] if len(values) == 1 else values


def parameters(layers: Any) -> Any:
    """Return NotImplemented always: a program asks for them once, which may take its time."""
    return NotImplemented
