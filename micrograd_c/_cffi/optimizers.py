"""Steps of optimizers in one call: what micrograd_c/optim.py asks for."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .arena import arena
from .threads import refuse


def _array(numbers: Any, count: int) -> Any:
    """Return the doubles of a buffer, for the library to change."""
    view = memoryview(numbers)
    if view.readonly or not view.c_contiguous:
        raise BufferError("an array that is contiguous and can be written to is required")
    if view.format != "d" or view.nbytes != count * ffi.sizeof("double"):
        raise ValueError(f"an array of {count} doubles is required")
    return ffi.from_buffer("double[]", view, require_writable=True)


def sgd(params: Any, buffer: Any, lr: float, momentum: float, weight_decay: float) -> None:
    """Do a step of SGD; raises ValueError, BufferError for what is no array of n doubles."""
    refuse("a step of an optimizer")
    nodes = [p._node for p in params]
    how = ffi.new("mg_sgd *", (lr, momentum, weight_decay))
    lib.mg_sgd_step(arena, nodes, len(params), how, _array(buffer, len(params)))


def adam(params: Any, m: Any, v: Any, *how: float) -> None:
    """Do a step of Adam or AdamW; raises what sgd raises."""
    refuse("a step of an optimizer")
    nodes = [p._node for p in params]
    count = len(params)
    options = ffi.new("mg_adam *", how)
    lib.mg_adam_step(arena, nodes, count, options, _array(m, count), _array(v, count))


def zero_grad(params: Any) -> None:
    """Set the gradients to 0; raises TypeError, as all steps do, while a program is recorded."""
    refuse("zero_grad()")
    nodes = [p._node for p in params]
    lib.mg_zero_grads(arena, nodes, len(nodes))
