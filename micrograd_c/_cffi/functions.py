"""The functions of the cffi backend: what Value is used for as a whole.

Together with Value, maximum and minimum of value.py and with the functions of threads.py this
is the backend's module, as `_value_type` is the accelerator's.
"""

from __future__ import annotations

import operator
from typing import Any

from .._library import POLL, ffi, lib
from .lifetimes import arena, graph, hold, note, proxy_of, release, wrap, wrap_as
from .operators import CUSTOM, EXPONENT, NAMES, OPS, of_form
from .threads import (
    GradOff,
    after_fork,
    grad_is_off,
    recording,
    refuse,
    start_recording,
    stop_recording,
)
from .value import (
    _LARGEST_INTEGER,
    _NULL,
    Value,
    _as_leaf,
    _label_tag,
    _make_node,
    maximum,
    minimum,
)

__all__ = [
    "GradOff",
    "Value",
    "after_fork",
    "graph",
    "maximum",
    "minimum",
    "start_recording",
    "stop_recording",
]

# ---- many nodes at once: what micrograd_c/functional.py documents ----

# A node is good for as long as something holds its Value and that shows it, or the pointer taken
# from it. Another thread may change a list meanwhile, or construct a Value again, so whoever takes
# them keeps a copy of the list, and pointers, not just an array of addresses.


def _number(value: Any) -> Any:
    """Return a float or an int, which is not converted, as a float; None for anything else."""
    if issubclass(type(value), int):
        return int.__float__(value) if -_LARGEST_INTEGER < value < _LARGEST_INTEGER else None
    return float.__float__(value) if issubclass(type(value), float) else None


def _terms(values: Any) -> Any:
    """Return Values and numbers as terms, or None if one is neither or of a subclass."""
    terms = []
    for value in values:
        if type(value) is Value:
            terms.append((value._node, 0.0, 0))
        else:
            number = _number(value)
            if number is None:
                return None
            terms.append((_NULL, number, issubclass(type(value), int)))
    return terms


def _same_length(a: Any, name_a: str, b: Any, name_b: str) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} {name_a} for {len(b)} {name_b}")


def _not_empty(values: Any, name: str) -> None:
    if not values:
        raise ValueError(f"no {name}")


def _record_many(record: Any, operands: list[Any], *args: Any) -> Any:
    """Return the Value that a bulk function records, or NotImplemented where it is not ours."""
    status = ffi.new("mg_status *")
    node = record(arena, *args, status)
    if not node and status[0] != lib.MG_NO_MEMORY:
        return NotImplemented  # the plain expression knows the operands of the error
    if not node:
        raise MemoryError("no memory for the nodes of an expression")
    for operand in operands:
        if isinstance(operand, Value) and operand._stateful:
            hold(operand)
    if lib.mg_node_references(node) == 1:
        return _shown([node])[0]
    result = proxy_of(node)  # one of the operands itself
    release(node)
    return result


def _shown(nodes: Any, tag: int = 0) -> list[Any]:
    """Return Values of nodes just recorded, or leaves in their place where nothing is recorded.

    The one reference to each node becomes its Value's.
    """
    nodes = list(nodes)
    if grad_is_off():
        for i, node in enumerate(nodes):
            try:
                nodes[i] = _as_leaf(node)
            except MemoryError:
                for other in nodes[:i] + nodes[i + 1 :]:
                    release(other)
                raise
            lib.mg_node_set_tag(nodes[i], tag)
    return [wrap(node) for node in nodes]


def _inputs(xs: Any) -> Any:
    """Return nodes, numbers and how many there are, or None, as in _terms."""
    nodes = [x._node for x in xs if type(x) is Value]
    if len(nodes) == len(xs):
        return nodes, _NULL, len(nodes)
    nodes, numbers = [], []
    for x in xs:
        ours = type(x) is Value
        number = 0.0 if ours else _number(x)
        if number is None:
            return None
        nodes.append(x._node if ours else _NULL)
        numbers.append(number)
    return nodes, numbers, len(nodes)


def _rows(rows: Any, inputs: Any, biases: Any, op: int = -1, tag: int = 0) -> Any:
    """Return an array of the nodes of dot products, a reference each.

    None means that they are to be recorded one by one: for weights that are numbers or have state,
    errors, rows of other lengths.
    """
    if inputs is None:
        return None
    xs, numbers, count = inputs
    rows = [tuple(row) for row in rows]
    ws = [w._node for row in rows for w in row if type(w) is Value]
    starts = _NULL
    if biases is not None:
        starts = [bias._node for bias in biases if type(bias) is Value]
        if len(starts) != len(rows):
            return None
    if len(ws) != count * len(rows) or any(len(row) != count for row in rows):
        return None
    out = ffi.new("mg_node *[]", len(rows))
    status = lib.mg_linear(arena, ws, len(rows), xs, numbers, count, starts, op, tag, out)
    if status == lib.MG_NO_MEMORY:
        raise MemoryError("no memory for the nodes of an expression")
    return None if status else out


def dot(ws: Any, xs: Any, bias: Any) -> Any:
    ws, xs = list(ws), list(xs)
    _same_length(ws, "weights", xs, "inputs")
    out = _rows([ws], _inputs(xs), None if bias is None else [bias])
    if out is not None:
        return _shown(out)[0]
    arrays = _terms(ws), _terms(xs), _terms([] if bias is None else [bias])
    if None in arrays:
        return NotImplemented
    start = _NULL if bias is None else arrays[2]
    return _record_many(lib.mg_dot, [*ws, *xs, bias], arrays[0], arrays[1], len(ws), start, -1)


def linear(weights: Any, xs: Any, biases: Any) -> Any:
    weights, xs = list(weights), list(xs)
    biases = None if biases is None else list(biases)
    if biases is not None and len(biases) != len(weights):
        raise ValueError(f"{len(biases)} biases for {len(weights)} rows of weights")
    if not all(isinstance(ws, (list, tuple)) for ws in weights):
        return NotImplemented  # a generator could not be read once more
    out = _rows(weights, _inputs(xs), biases)
    if out is not None:
        return _shown(out)
    starts = [None] * len(weights) if biases is None else biases
    outputs = [dot(ws, xs, bias) for ws, bias in zip(weights, starts)]
    return NotImplemented if NotImplemented in outputs else outputs


# ---- layers of neurons: what micrograd_c/nn.py documents ----

_ACTIVATIONS = of_form(lib.MG_FORM_METHOD)


def _are_own(objects: Any, cls: Any, call: Any) -> bool:
    """Whether objects are a list, all of this class itself, which calls as it was written."""
    return (
        isinstance(objects, list)
        and cls.__call__ is call
        and len(objects) != 0
        and all(type(item) is cls for item in objects)
    )


def _outputs(neurons: Any, inputs: Any, given: Any, tag: int) -> Any:
    """Return an array of the nodes of a layer's outputs, a reference each, or None."""
    if tag == 0 or not _are_own(neurons, *given):
        return None
    name, rows = neurons[0].activation, [neuron.w for neuron in neurons]
    if any(neuron.activation is not name for neuron in neurons):
        return None
    op = -1 if name is None else _ACTIVATIONS.get(name) if type(name) is str else None
    if op is None or not all(isinstance(row, (list, tuple)) for row in rows):
        return None
    return _rows(rows, inputs, [neuron.b for neuron in neurons], op, tag)


def layer(neurons: Any, xs: Any, cls: Any, call: Any, label: Any) -> Any:
    if not isinstance(xs, (list, tuple)):
        return NotImplemented
    xs = tuple(xs)
    tag = _label_tag(label)
    out = _outputs(neurons, _inputs(xs), (cls, call), tag)
    return NotImplemented if out is None else _shown(out, tag)


def network(
    layers: Any, xs: Any, layer_cls: Any, layer_call: Any, cls: Any, call: Any, label: Any
) -> Any:
    if (type(xs) is not list and type(xs) is not tuple) or not _are_own(
        layers, layer_cls, layer_call
    ):
        return NotImplemented
    xs = tuple(xs)
    tag, inputs = _label_tag(label), _inputs(xs)
    nodes: Any = []
    for each in layers:
        below = nodes
        try:
            nodes = _outputs(each.neurons, inputs, (cls, call), tag)
        finally:
            for node in below:
                release(node)
        if nodes is None:
            return NotImplemented
        inputs = nodes, _NULL, len(nodes)
    values = _shown(nodes, tag)
    return values[0] if len(values) == 1 else values


def parameters(*args: Any) -> Any:
    return NotImplemented  # layer by layer: it is asked once


def _of_one(record: Any, values: Any) -> Any:
    terms = _terms(values)
    if terms is None:
        return NotImplemented
    return _record_many(record, values, terms, len(values))


def total(values: Any) -> Any:
    return _of_one(lib.mg_total, list(values))


def mean(values: Any) -> Any:
    values = list(values)
    _not_empty(values, "values")
    return _of_one(lib.mg_mean, values)


def _of_pairs(record: Any, outputs: Any, targets: Any) -> Any:
    outputs, targets = list(outputs), list(targets)
    _same_length(outputs, "predictions", targets, "targets")
    _not_empty(outputs, "predictions")
    arrays = _terms(outputs), _terms(targets)
    if None in arrays:
        return NotImplemented
    return _record_many(record, [*outputs, *targets], *arrays, len(outputs))


def mse(predictions: Any, targets: Any) -> Any:
    return _of_pairs(lib.mg_mse, predictions, targets)


def hinge(scores: Any, targets: Any) -> Any:
    return _of_pairs(lib.mg_hinge, scores, targets)


def logistic(logits: Any, targets: Any) -> Any:
    return _of_pairs(lib.mg_logistic, logits, targets)


def logsumexp(logits: Any) -> Any:
    logits = list(logits)
    _not_empty(logits, "logits")
    return NotImplemented if recording.recorder is not None else _of_one(lib.mg_logsumexp, logits)


def _shares(record: Any, logits: Any) -> Any:
    logits = list(logits)
    _not_empty(logits, "logits")
    terms = _terms(logits)
    if terms is None or recording.recorder is not None:
        return NotImplemented
    nodes = ffi.new("mg_node *[]", len(logits))
    status = record(arena, terms, len(logits), nodes)
    if status == lib.MG_NO_MEMORY:
        raise MemoryError("no memory for the nodes of an expression")
    if status:
        return NotImplemented
    for logit in logits:
        if isinstance(logit, Value) and logit._stateful:
            hold(logit)
    return _shown(nodes)


def softmax(logits: Any) -> Any:
    return _shares(lib.mg_softmax, logits)


def log_softmax(logits: Any) -> Any:
    return _shares(lib.mg_log_softmax, logits)


def cross_entropy(logits: Any, target: Any) -> Any:
    logits, target = list(logits), operator.index(target)
    place = target + len(logits) if target < 0 else target
    if not 0 <= place < len(logits):
        raise IndexError(f"target {target} of {len(logits)} logits")
    terms = _terms(logits)
    if terms is None or recording.recorder is not None:
        return NotImplemented
    return _record_many(lib.mg_cross_entropy, logits, terms, len(logits), place)


def _array(numbers: Any, count: int) -> Any:
    view = memoryview(numbers)
    if view.readonly or not view.c_contiguous:
        raise BufferError("an array that is contiguous and can be written to is required")
    if view.format != "d" or view.nbytes != count * ffi.sizeof("double"):
        raise ValueError(f"an array of {count} doubles is required")
    return ffi.from_buffer("double[]", view, require_writable=True)


def sgd(params: Any, buffer: Any, lr: float, momentum: float, weight_decay: float) -> None:
    refuse("a step of an optimizer")
    nodes = [p._node for p in params]
    how = ffi.new("mg_sgd *", (lr, momentum, weight_decay))
    lib.mg_sgd_step(arena, nodes, len(params), how, _array(buffer, len(params)))


def adam(params: Any, m: Any, v: Any, *how: float) -> None:
    refuse("a step of an optimizer")
    nodes = [p._node for p in params]
    count = len(params)
    options = ffi.new("mg_adam *", how)
    lib.mg_adam_step(arena, nodes, count, options, _array(m, count), _array(v, count))


def zero_grad(params: Any) -> None:
    refuse("zero_grad()")
    nodes = [p._node for p in params]
    lib.mg_zero_grads(arena, nodes, len(nodes))


# ---- for copying and pickling ----


def recorded(value: Value) -> tuple[str, float, tuple[Value, ...], Any, tuple[float, ...]]:
    """Return operator, data, children, exponent (or None) and given partials of a node."""
    refuse("copying a Value")
    node = value._node
    op = lib.mg_node_operator(node)
    exponent = None
    partials: tuple[float, ...] = ()
    if op == EXPONENT:
        exponent = lib.mg_node_exponent(node)
        if lib.mg_node_exponent_is_integer(node):
            exponent = int(exponent)
    elif op == CUSTOM:
        partials = tuple(map(float, value._local_grads))
    return NAMES[op], value.data, value._children, exponent, partials


def attributes(value: Value) -> dict[str, Any] | None:
    """Return the dict of a Value's own attributes if it has any."""
    return value.__dict__ if value._stateful else None


def set_attributes(value: Value, own: dict[str, Any]) -> None:
    """Add to a Value's own attributes."""
    value.__dict__.update(own)
    note(value, own)
    if "_backward" in own:
        lib.mg_node_set_closure(arena, value._node, 1)


def restore(
    cls: type[Value],
    name: str,
    data: float,
    children: tuple[Value, ...],
    exponent: Any,
    partials: tuple[Any, ...],
) -> Value:
    """Return a node as it once was, not computed anew."""
    op = OPS.get(name)
    count = len(children)
    if op is None or (op != CUSTOM and (partials or count != lib.mg_operator_arity(op))):
        raise ValueError(f"no operator {name} of {count} children")
    if op == CUSTOM:
        node = _make_node(data, children, partials, True)
    else:
        operands = [child._node for child in children]
        power = float(exponent) if op == EXPONENT else 0.0
        integer = isinstance(exponent, int)
        node = lib.mg_restore(arena, op, data, operands, count, power, integer, ffi.NULL, ffi.NULL)
        if not node:
            raise MemoryError("no memory for a node")
        for child in children:
            if child._stateful:
                hold(child)
    return wrap(node) if cls is Value else wrap_as(cls, node)


# ---- for compiling ----


def rule(kind: int, data: float, operands: tuple[Value, ...]) -> Value:
    """Return a node that a trace knows how to compute."""
    nodes = [operand._node for operand in operands]
    node = lib.mg_record_rule(arena, kind, data, nodes, len(nodes), _NULL)
    if not node:
        raise MemoryError("no memory for a node")
    for operand in operands:
        if operand._stateful:
            hold(operand)
    return wrap(node)


def number_of(value: Value) -> float:
    """Return the data of a Value, also while recording."""
    return float(lib.mg_node_data(value._node))


def is_fresh(value: Value, position: Any) -> bool:
    """Return whether a Value was made since then and is nobody's operand."""
    return bool(lib.mg_node_is_fresh(value._node, position))


def serial(value: Value) -> int:
    """Return a number that no other Value's node ever has, higher than those of older nodes."""
    return int(lib.mg_node_serial(value._node))


def trace(
    anchor: Value, inputs: tuple[Value, ...], position: Any
) -> tuple[bytes, bytes, list[Value]]:
    """Return entries and roots of a trace, as bytes, and the list of captured Values."""
    nodes = [value._node for value in inputs]
    status, culprit = ffi.new("mg_status *"), ffi.new("mg_node **")
    args = arena, anchor._node, position, nodes, len(inputs), status, culprit
    lib.mg_arena_set_poll(arena, POLL)
    made = lib.mg_trace_new(*args)
    if not made and status[0] == lib.MG_INTERRUPTED:
        made = lib.mg_trace_new(*args)
    if not made:
        if status[0] == lib.MG_OPAQUE:
            raise TypeError("a Value with a _backward of its own cannot be replayed")
        raise MemoryError("no memory for a trace")
    try:
        entries = bytes(ffi.buffer(made.entries, made.count * ffi.sizeof("mg_entry")))
        roots = bytes(ffi.buffer(made.root, made.roots * ffi.sizeof("uint32_t")))
        return entries, roots, [proxy_of(made.captured[i]) for i in range(made.captures)]
    finally:
        lib.mg_trace_free(arena, made)


def _doubles(memory: Any, count: int) -> Any:
    doubles = ffi.from_buffer("double[]", memory)
    if len(doubles) != count:
        raise ValueError(f"an array of {count} doubles is required")
    return doubles


def get_numbers(values: tuple[Value, ...], array: Any) -> None:
    """Copy the data of Values."""
    refuse("calling a program")
    nodes = [value._node for value in values]
    lib.mg_get_data(arena, nodes, len(nodes), _doubles(array, len(nodes)))


def add_grads(values: tuple[Value, ...], array: Any) -> None:
    """Add to the gradients of Values."""
    nodes = [value._node for value in values]
    lib.mg_add_grads(arena, nodes, len(nodes), _doubles(array, len(nodes)))


# ---- the arena ----


def statistics() -> tuple[int, int, int, int, int]:
    """Return nodes, leaves, pages, free pages and bytes of the arena."""
    now = ffi.new("mg_statistics *")
    lib.mg_arena_statistics(arena, now)
    return now.nodes, now.leaves, now.pages, now.free_pages, now.bytes


def trim() -> None:
    """Give the arena's unused memory back to the system."""
    lib.mg_arena_trim(arena)


def fail_after(n: int) -> None:
    """Let the arena's n-th allocation from now fail; 0: none."""
    lib.mg_arena_fail_after(arena, n)
