"""The calls of a jitted function: its numbers on the way in, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from .._library import ffi, lib
from .._value_methods import real
from .arena import arena
from .construct import new_node
from .lifetimes import wrap
from .nodes import Nodes
from .proxy import note
from .threads import grad_is_off, here, is_watched, recorders
from .value import Value


def common_type(sequence: Sequence[Any]) -> type | None:
    """Return the type of all items of a list or tuple; None if there are several types, or none."""
    types = set(map(type, sequence))
    return types.pop() if len(types) == 1 else None


def take_numbers(captured: Nodes, leaves: Sequence[Any], array: Any) -> int:
    """Write the numbers of leaves, then the data of captured Values, to an array of doubles.

    Return 0, 1 in no_grad, and 2, with nothing written, if this thread records a program or is in
    detect_anomaly.
    """
    if (recorders and here.recorder is not None) or is_watched():
        return 2
    doubles, data = ffi.from_buffer("double[]", array), lib.mg_node_data
    doubles[0 : len(leaves)] = [
        data(leaf._node) if isinstance(leaf, Value) else real(leaf, "a leaf") for leaf in leaves
    ]
    nodes, count, _kept = captured.now()
    lib.mg_get_data(arena, nodes, count, doubles + len(leaves))
    return int(grad_is_off())


def give_result(
    captured: Nodes,
    leaves: Sequence[Any],
    array: Any,
    reached: bytes,
    own: dict[str, Any],
) -> Value | None:
    """Return a Value whose node is custom; None if its data or a partial is not finite.

    The array has its data, then a derivative for each leaf and for each captured Value. Those that
    are reached, and Values, are the operands: captured ones first. `own` becomes the Value's dict.
    """
    doubles = ffi.from_buffer("double[]", array)
    count = len(leaves)
    chosen = [(v, i) for i, v in enumerate(captured.values, count) if reached[i]]
    chosen += [(v, i) for i, v in enumerate(leaves) if reached[i] and isinstance(v, Value)]
    data, partials = doubles[0], tuple(doubles[1 + i] for _, i in chosen)
    if not isfinite(data) or not all(map(isfinite, partials)):
        return None
    result: Value = wrap(new_node(data, tuple(v for v, _ in chosen), partials))
    result.__dict__.update(own)
    note(result, own)
    return result
