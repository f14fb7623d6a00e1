"""Tasks for dask: one for each chunk of a call, and a tree that adds up what chunks have summed.

The program (parcels.py), and what is the same for all chunks, are results of tasks of their own, so
each worker gets them once. What makes a chunk is fused with what is done for it.
"""

from __future__ import annotations

from math import isnan
from operator import getitem
from typing import Any

from .chunks import Chunks, is_dask
from .needed import numpy
from .parcels import Parcel
from .tasks import Call, Place, run

_FAN_IN = 16  # sums that one task adds up


def chunk_tasks(
    parcel: Parcel, call: Call, chunks: Chunks, arrays: list[Any], shared: list[bool], stay: bool
) -> Any:
    """Return a dask array whose blocks, along its first axis, are the tuples that `run` returns.

    Its other axes are those of all arrays but for the rows, with one block each: without these dask
    would not fuse a task with what makes its arrays. `arrays` are those of the call, and `shared`
    says which of them are one row for all rows. With `stay` the parcel stays on the workers of a
    cluster for the next call.
    """
    from dask.array import Array
    from dask.base import tokenize
    from dask.blockwise import BlockwiseDepDict, blockwise
    from dask.highlevelgraph import HighLevelGraph

    lazy = [(array, one) for array, one in zip(arrays, shared) if is_dask(array)]
    token = tokenize(parcel.token, call, [(array.name, one) for array, one in lazy])
    sent = _sent(parcel) if stay else _literal(parcel, f"program-{parcel.token}")
    inputs = [(sent, True), (_literal(call, f"call-{token}"), True), *lazy]
    places = {(i,): place for i, place in enumerate(_places(chunks.sizes))}
    pairs: list[Any] = [BlockwiseDepDict(places), (0,)]
    sizes: list[Any] = [chunks.sizes]
    for array, one in inputs:
        rows = 0 if one else 1
        own = array.chunks[rows:]
        pairs += [array.name, (*range(rows), *range(len(sizes), len(sizes) + len(own)))]
        sizes += own
    name = f"micrograd-{call.method.strip('_')}-{token}"
    numblocks = {array.name: array.numblocks for array, _ in inputs}
    axes = tuple(range(len(sizes)))
    layer = blockwise(run, name, axes, *pairs, numblocks=numblocks, concatenate=True)
    graph = HighLevelGraph.from_collections(name, layer, [array for array, _ in inputs])
    return Array(graph, name, tuple(sizes), dtype=float)


def _places(sizes: tuple[Any, ...]) -> list[Place]:
    """Return the number and the first row of each chunk."""
    places: list[Place] = []
    first: Any = 0
    for i, size in enumerate(sizes):
        places.append((i, None if isnan(first) else int(first)))
        first += size
    return places


def item(blocks: Any, i: int, shape: tuple[int, ...]) -> Any:
    """Return the dask array of the i-th arrays in the blocks' tuples, with rows of this shape."""
    from dask.array import Array
    from dask.highlevelgraph import HighLevelGraph

    name, zeros = f"{blocks.name}-{i}", (0,) * len(shape)
    layer = {(name, k, *zeros): (getitem, key, i) for k, key in enumerate(_keys(blocks))}
    graph = HighLevelGraph.from_collections(name, layer, [blocks])
    return Array(graph, name, (blocks.chunks[0], *((size,) for size in shape)), dtype=float)


def _keys(blocks: Any) -> list[Any]:
    zeros = (0,) * (blocks.ndim - 1)
    return [(blocks.name, k, *zeros) for k in range(blocks.numblocks[0])]


def summed(blocks: Any, i: int, shape: tuple[int, ...]) -> Any:
    """Return the sum of the i-th arrays in the blocks' tuples, in a dask array of this shape."""
    from dask.array import Array
    from dask.highlevelgraph import HighLevelGraph

    name, zeros = f"{blocks.name}-sum-{i}", (0,) * len(shape)
    layer: dict[Any, Any] = {}
    keys: list[Any] = []
    for k, key in enumerate(_keys(blocks)):
        keys.append((f"{name}-part", k))
        layer[keys[-1]] = (getitem, key, i)
    level = 0
    while level == 0 or len(keys) > 1:
        groups = [keys[k : k + _FAN_IN] for k in range(0, len(keys), _FAN_IN)]
        last = len(groups) == 1
        keys = [(name, *zeros) if last else (f"{name}-{level}", k) for k in range(len(groups))]
        layer.update((key, (_add, group)) for key, group in zip(keys, groups))
        level += 1
    graph = HighLevelGraph.from_collections(name, layer, [blocks])
    return Array(graph, name, tuple((size,) for size in shape), dtype=float)


def _add(parts: list[Any]) -> Any:
    total = parts[0]
    with numpy().errstate(over="ignore", invalid="ignore"):
        for part in parts[1:]:
            total = total + part
    return total


def _literal(thing: Any, name: str) -> Any:
    """Return a dask array without axes, whose only block is this object."""
    from dask.array import Array

    return Array({(name,): (_arrive, thing)}, name, (), dtype=object)


def _arrive(thing: Any) -> Any:
    return thing


def _sent(parcel: Parcel) -> Any:
    """Return a dask array with the parcel, which a cluster keeps as long as this process does."""
    import dask
    from dask.base import get_scheduler

    literal = _literal(parcel, f"program-{parcel.token}")
    client = getattr(get_scheduler(), "__self__", None)
    if client is None:  # all threads have it already
        return literal
    ours, array = parcel.sent
    from distributed.client import futures_of

    if ours is not client or any(f.status in ("cancelled", "error") for f in futures_of(array)):
        (array,) = dask.persist(literal)
        parcel.sent = client, array
    return array
