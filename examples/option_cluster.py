"""The Asian option of option.py over a billion paths, in chunks, on threads or on a dask cluster.

Paths are drawn where they are needed, chunk by chunk, so there is never more in memory than the
chunks under way. The inputs are an argument of the payoff, one row for all paths: their derivatives
are summed over the paths, in the same pass as the payoffs. Paths are taken in batches; after each
one the price is printed with its standard error, which falls with the square root of the paths.

    python examples/option_cluster.py --paths 10000000
    python examples/option_cluster.py --workers 4
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.diagnostics import ProgressBar
from option import MARKET, MONTHS, NAMES, payoff

from micrograd_c import compile


def draw(rows: int, seed: int, first: int, block_id: tuple[int, ...] = ()) -> Any:
    """Return the shocks of a chunk of paths: the same ones for the chunk wherever it is drawn."""
    return np.random.default_rng([seed, first + block_id[0]]).normal(size=(rows, MONTHS))


def batches(paths: int, chunk: int, count: int) -> Iterator[Any]:
    """Yield the shocks of all paths in so many dask arrays."""
    chunks = math.ceil(paths / chunk)
    size = math.ceil(chunks / count)
    for first in range(0, chunks, size):
        number = min(size, chunks - first)
        yield da.map_blocks(
            draw,
            chunk,
            1,
            first,
            chunks=((chunk,) * number, (MONTHS,)),
            dtype=float,
            meta=np.empty((0, 0)),
        )


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Have dask compute on a cluster of so many processes of this machine."""
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as local, Client(local):
        yield


def compute(found: list[Any], show: bool, workers: int) -> Any:
    """Compute dask arrays, with a progress bar."""
    if not show or not workers:
        with ProgressBar() if show else nullcontext():
            return dask.compute(*found)
    from distributed import progress

    found = dask.persist(*found)
    progress(found, notebook=False)
    print()
    return dask.compute(*found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", type=int, default=1_000_000_000)
    parser.add_argument("--chunk", type=int, default=100_000, help="paths of a chunk")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: threads of this one")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()

    names = NAMES + [f"sigma{month}" for month in range(MONTHS)]
    inputs = MARKET + [0.2 + 0.01 * month for month in range(MONTHS)]
    program = compile(payoff, inputs, [0.0] * MONTHS)

    start = time.perf_counter()
    paths, total, squares, sums = 0, 0.0, 0.0, np.zeros(len(inputs))
    with cluster(options.workers) if options.workers else nullcontext():
        for shocks in batches(options.paths, options.chunk, options.batches):
            payoffs, (derivatives, _) = program.value_and_gradient(inputs, shocks)
            found = [payoffs.sum(), (payoffs**2).sum(), derivatives]
            more = compute(found, not options.quiet, options.workers)
            total, squares, sums = total + more[0], squares + more[1], sums + more[2]
            paths += len(shocks)
            price = total / paths
            error = math.sqrt((squares / paths - price**2) / paths)
            print(f"{paths:>13,} paths: price {price:.6f}, standard error {error:.6f}", flush=True)
    seconds = time.perf_counter() - start
    for name, derivative in zip(names, sums / paths):
        print(f"  {name:8} {derivative:12.6f}")
    print(f"price and {len(inputs)} sensitivities: {seconds:.1f} s")


if __name__ == "__main__":
    main()
