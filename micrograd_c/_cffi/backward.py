"""Backward: the engine's own, and with a program's `_backward` closures in between."""

from __future__ import annotations

from signal import SIGINT, default_int_handler, getsignal
from typing import Any

from .._library import POLL, ffi, lib
from .arena import arena, not_null
from .errors import partial_error
from .lifetimes import graph, proxy_of
from .proxy import release
from .threads import hooks, is_watched, stays


def local_grads(node: Any) -> tuple[float, ...]:
    """Return the partial derivatives of a node with respect to its operands."""
    partial = ffi.new("double *")
    partials = []
    if not lib.mg_node_has_partials(node):
        return ()
    for i in range(lib.mg_node_arity(node)):
        status = lib.mg_node_partial(node, i, partial)
        if status:
            raise partial_error(status, node)
        partials.append(partial[0])
    return tuple(partials)


def push(node: Any) -> None:
    """Push a node's gradient into its operands, once."""
    status = lib.mg_push(arena, node)
    if status:
        raise partial_error(status, node)


def _follow(root: Any, order: Any, culprit: Any) -> None:
    """Let the engine push the nodes of an order, and call the closures in between.

    In detect_anomaly Python does it all, node by node.
    """
    if stays and is_watched():
        hooks.follow(graph(root))
        return
    closure = ffi.new("mg_node **")
    kept: dict[Any, Any] = {}
    while True:
        status = lib.mg_order_next(arena, order, closure, culprit)
        if status:
            raise partial_error(status, culprit[0])
        if not closure[0]:
            if lib.mg_order_done(order):
                break
            continue  # Python calls the handlers of signals here
        node = closure[0]
        proxy = proxy_of(node)
        if "_backward" not in proxy.__dict__:  # a finalizer has kept the graph: see `graph`
            kept = kept or {each._node: each for each in graph(root)}
            proxy = kept.get(node, proxy)
        proxy._backward()


def gradients(output: Any, inputs: tuple[Any, ...]) -> list[float]:
    """Return the derivatives of a Value with respect to others. No gradient changes."""
    root, nodes = output._node, [value._node for value in inputs]
    order = not_null(lib.mg_order_new(arena, root), "the order of backward")
    pinned = [root, *nodes]  # a closure could have a Value show another node
    for node in pinned:
        lib.mg_retain(node)
    try:
        not_null(not lib.mg_order_set_aside(arena, order, nodes, len(nodes)), "gradients")
        lib.mg_node_set_grad(root, 1.0)
        _follow(output, order, ffi.new("mg_node **"))
        return [lib.mg_node_grad(node) for node in nodes]
    finally:
        lib.mg_order_put_back(arena, order)
        lib.mg_order_free(arena, order)
        for node in pinned:
            release(node)


def backward(root: Any) -> None:
    """Set a Value's gradient to 1 and add to that of every node it was made from."""
    order = ffi.new("mg_order **")
    culprit = ffi.new("mg_node **")
    node = root._node
    # A handler of a program's own may only take note of Ctrl-C: then all is done to the end.
    raises = getsignal(SIGINT) is default_int_handler
    lib.mg_arena_set_poll(arena, POLL if raises else ffi.NULL)
    if stays and is_watched():
        order[0], status = lib.mg_order_new(arena, node), lib.MG_OK
        not_null(order[0], "the order of backward")
        lib.mg_node_set_grad(node, 1.0)
    else:
        status = lib.mg_backward(arena, node, order, culprit)
    if status == lib.MG_INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise partial_error(status, culprit[0])
    if order[0]:
        lib.mg_retain(node)  # a closure could have the root show another node
        try:
            _follow(root, order[0], culprit)
        finally:
            lib.mg_order_free(arena, order[0])
            release(node)
