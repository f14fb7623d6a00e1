"""Gradients given to parameters."""

from __future__ import annotations

from typing import Any

from ..engine import Value, bulk, restore
from .replay import Frame, Trace, is_plain


def add_grads(trace: Trace, frame: Frame) -> None:
    if trace.plain:
        if trace.captured:
            bulk.add_grads(trace.nodes, frame.grads_buffer)
        return
    partials = tuple(frame.grads[i] for i in range(len(trace.captured)))
    restore(Value, "custom", 0.0, trace.captured, None, partials).backward()


def give_grads(values: tuple[Value, ...], grads: Any) -> None:
    """Add an array of gradients to Values, and have those that were made from others pass it on."""
    if all(is_plain(value) for value in values):
        bulk.add_grads(values, grads)
    else:
        restore(Value, "custom", 0.0, values, None, tuple(grads.tolist())).backward()
