"""Programs over dask arrays: what a chunk costs, what a second worker adds, what memory it takes.

    python -m benchmarks.cluster [--rows 100000000] [--folder DIR]

Each section prints its figures, the last one what these say about clusters that are not at hand
(cluster_model.py). docs/scale.md quotes them. Workers are processes of this machine.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import micrograd_c as mg

from . import cluster_model

TWO = "two workers have {:.2f} times the throughput of one"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=100_000_000, help="of the files (10^8)")
    parser.add_argument("--folder", type=Path, help="where to put the files: 24 bytes a row")
    options = parser.parse_args()
    weight, size = parcel()
    print(f"a program of {weight} bytes and {size} parameters travels once per worker")
    with workers(2) as two:
        wall, seconds, memory = per_chunk(two)
        print(
            f"per chunk: {wall * 1e6:.0f} us; of the client and the scheduler "
            f"{seconds * 1e6:.0f} us of a processor and {memory:.0f} bytes"
        )
        with workers(1) as one:
            program, cost = costly(1e-4)
            ratio = second_worker(one, two, program, ones(40, 500, 2))
            print(f"rows that take {cost * 1e6:.0f} us of a processor: {TWO.format(ratio)}")
            ratio = second_worker(one, two, cheap(), slow_rows(40, 500, 1e-4))
            print(f"rows that are waited for 100 us: {TWO.format(ratio)}")
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        write_files(folder, options.rows, 1_000_000)
        with workers(2) as two:
            found = stream(two, folder)
    finally:
        shutil.rmtree(folder)
    print(
        f"{found['rows']:.0f} rows in {found['files']:.0f} files, {found['bytes'] / 1e9:.2f} GB: "
        f"{found['seconds']:.1f} s, {found['memory'] / 2**20:.0f} MiB resident at most in "
        "client, scheduler and workers together"
    )
    print(cluster_model.table(seconds, memory))


@contextmanager
def workers(count: int) -> Iterator[Client]:
    """Have a cluster of so many processes with a thread each."""
    options = {"n_workers": count, "threads_per_worker": 1, "processes": True}
    with LocalCluster(**options, dashboard_address=":0") as cluster, Client(cluster) as client:
        client.wait_for_workers(count)
        yield client


def parcel() -> tuple[int, int]:
    """Return the bytes of a program as it travels, a network of 33 parameters, and their number."""
    model = mg.MLP(2, [8, 1], activation=["relu", None])
    program = mg.compile(lambda x, y: (1 - y * model(x)).relu(), np.zeros(2), 1.0)
    program(da.zeros((1, 2)), 1.0)
    return len(pickle.dumps(program._parcel)), len(program.parameters)


def ones(count: int, rows: int, columns: int) -> Any:
    """Return chunks of rows that the tasks make themselves."""
    return da.map_blocks(
        _ones,
        rows,
        columns,
        chunks=((rows,) * count, (columns,)),
        dtype=float,
        meta=np.empty((0, 0)),
    )


def _ones(rows: int, columns: int) -> Any:
    return np.ones((rows, columns))


def cheap() -> Any:
    """Return a program of next to no work."""
    w = mg.Value(1.0)
    return mg.compile(lambda x: w * x[0] - x[1], np.zeros(2))


# ---- what a chunk costs ----


def per_chunk(client: Client, few: int = 500, many: int = 5000) -> tuple[float, float, float]:
    """Return the seconds that a further chunk of next to no work takes, and two more figures.

    These are the seconds of a processor, and the bytes, that the client and the scheduler take for
    it, which are one process here.
    """
    program, further = cheap(), many - few
    walls, own = [], []
    with client.as_current():
        program.backward(ones(few, 1, 2))
        memory = peak_memory()
        for count in (few, many) * 3:
            start, used = perf_counter(), process_time()
            program.backward(ones(count, 1, 2))
            walls.append(perf_counter() - start)
            own.append(process_time() - used)
            if len(walls) == 2:
                memory = peak_memory() - memory
    wall, mine = (median(times[1::2]) - median(times[::2]) for times in (walls, own))
    return wall / further, mine / further, max(0.0, memory / further)


def peak_memory() -> float:
    """Return the most bytes that this process has had resident (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(status.split("VmHWM:")[1].split()[0])


# ---- what a second worker adds ----


def second_worker(one: Client, two: Client, program: Any, data: Any, rounds: int = 8) -> float:
    """Return how many times as many rows two workers do as one does.

    The clusters take turns. The ratio is that of their shortest times, for the scheduler, the
    client and whatever else the machine does take their share of the same processors.
    """
    times: dict[Client, list[float]] = {one: [], two: []}
    for _ in range(rounds):
        for client, mine in times.items():
            with client.as_current():
                program.backward(data[:1])  # all workers have the program
                start = perf_counter()
                program.backward(data)
                mine.append(perf_counter() - start)
    return min(times[one]) / min(times[two])


def slow_rows(count: int, rows: int, cost: float) -> Any:
    """Return chunks of rows for which a task waits, as for a disk, so many seconds a row."""
    return da.map_blocks(
        _wait, rows, cost, chunks=((rows,) * count, (2,)), dtype=float, meta=np.empty((0, 0))
    )


def _wait(rows: int, cost: float) -> Any:
    sleep(rows * cost)
    return np.ones((rows, 2))


def costly(cost: float) -> tuple[Any, float]:
    """Return a program whose rows take so many seconds in `backward`, about, and how many."""
    steps = 1000
    program = mg.compile(long_function(steps), np.zeros(2))
    steps = max(1, round(steps * cost / _seconds_of_a_row(program)))
    program = mg.compile(long_function(steps), np.zeros(2))
    return program, _seconds_of_a_row(program)


def _seconds_of_a_row(program: Any) -> float:
    data, times = np.ones((500, 2)), []
    for _ in range(5):
        start = perf_counter()
        program.backward(data)
        times.append(perf_counter() - start)
    return min(times) / len(data)


def long_function(steps: int) -> Any:
    a, b = mg.Value(0.9), mg.Value(0.1)

    def fn(x: Any) -> Any:
        u, v = x
        for _ in range(steps):
            u, v = (a * u + v).sin(), b * u - v
        return u * v

    return fn


# ---- files ----


def write_files(folder: Path, rows: int, at_most: int) -> None:
    """Write rows of two numbers and a target, as many as fit in each file."""
    draw = np.random.default_rng(1)
    for i, first in enumerate(range(0, rows, at_most)):
        block = draw.normal(size=(min(at_most, rows - first), 3))
        block[:, 2] = block[:, 0] - 2 * block[:, 1] > 0.3 * block[:, 2]
        np.save(folder / f"{i:05}.npy", block)


def read_files(folder: Path) -> Any:
    """Return the rows of all files as a dask array, a chunk for each file."""
    paths = sorted(map(str, folder.glob("*.npy")))
    sizes = tuple(len(np.load(path, mmap_mode="r")) for path in paths)
    return da.map_blocks(_read, paths, chunks=(sizes, (3,)), dtype=float, meta=np.empty((0, 0)))


def _read(paths: list[str], block_id: Any = None) -> Any:
    return np.load(paths[block_id[0]])


def stream(client: Client, folder: Path) -> dict[str, float]:
    """Return the figures of a step of logistic regression over the rows of all files."""
    a, b, c = mg.Value(0.5), mg.Value(-0.5), mg.Value(0.0)

    def loss(row: Any) -> Any:
        z = a * row[0] + b * row[1] + c
        return z.softplus() - row[2] * z

    program = mg.compile(loss, np.zeros(3))
    data = read_files(folder)
    with client.as_current():
        start = perf_counter()
        value = program.backward(data)
        seconds = perf_counter() - start
        memory = peak_memory() + sum(client.run(peak_memory).values())
    return {
        "value": value,
        "gradient": a.grad,
        "rows": data.shape[0],
        "files": data.numblocks[0],
        "bytes": sum(os.path.getsize(path) for path in folder.iterdir()),
        "seconds": seconds,
        "memory": memory,
    }


if __name__ == "__main__":
    main()
