"""Steps of optimizers in one call: what micrograd_c/optim.py asks for."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .arena import arena
from .nodes import nodes_of
from .threads import refuse


def _array(numbers: Any, count: int) -> Any:
    """Return the doubles of a buffer, for the library to change."""
    view = memoryview(numbers)
    if view.readonly or not view.c_contiguous:
        raise BufferError("an array that is contiguous and can be written to is required")
    if view.format != "d" or view.nbytes != count * ffi.sizeof("double"):
        raise ValueError(f"an array of {count} doubles is required")
    return ffi.from_buffer("double[]", view, require_writable=True)


def _taken(groups: Any, struct: str, memories: int) -> list[tuple[Any, ...]]:
    """Return the arguments of a step for each group, a tuple (params, *memories, *numbers).

    Everything is taken before anything is changed. Beside the arguments stands what keeps their
    nodes: see Nodes.now.
    """
    refuse("a step of an optimizer")
    taken = []
    for params, *rest in groups:
        nodes, count, kept = nodes_of(params)
        how = ffi.new(struct, rest[memories:])
        arrays = [_array(memory, count) for memory in rest[:memories]]
        taken.append(((arena, nodes, count, how, *arrays), kept))
    return taken


def sgd(*groups: tuple[Any, ...]) -> None:
    """Do a step of SGD; raises ValueError, BufferError for what is no array of n doubles."""
    for arguments, _kept in _taken(groups, "mg_sgd *", 1):
        lib.mg_sgd_step(*arguments)


def adam(*groups: tuple[Any, ...]) -> None:
    """Do a step of Adam or AdamW; raises what sgd raises."""
    for arguments, _kept in _taken(groups, "mg_adam *", 3):
        lib.mg_adam_step(*arguments)


def rmsprop(*groups: tuple[Any, ...]) -> None:
    """Do a step of RMSprop; raises what sgd raises."""
    for arguments, _kept in _taken(groups, "mg_rmsprop *", 3):
        lib.mg_rmsprop_step(*arguments)


def clip_norm(params: Any, max_norm: float, norm_type: float) -> float:
    """Scale the gradients to a norm of at most max_norm; return the norm that they had."""
    refuse("clip_grad_norm()")
    nodes, count, _kept = nodes_of(params)
    return lib.mg_clip_norm(arena, nodes, count, max_norm, norm_type)  # type: ignore[no-any-return]


def clip_value(params: Any, bound: float) -> None:
    """Bring the gradients into [-bound, bound]."""
    refuse("clip_grad_value()")
    nodes, count, _kept = nodes_of(params)
    lib.mg_clip_value(arena, nodes, count, bound)


def zero_grad(params: Any) -> None:
    """Set the gradients to 0; raises TypeError, as all steps do, while a program is recorded."""
    refuse("zero_grad()")
    nodes, count, _kept = nodes_of(params)
    lib.mg_zero_grads(arena, nodes, count)
