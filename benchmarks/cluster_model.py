"""What measured figures say about a cluster of a thousand machines: a simulation of its scheduler.

The scheduler is one process, which gives out one task after the other and takes note of its end: it
spends so many seconds on a chunk. Workers take a task as soon as they are free. Times of chunks
vary, and now and then a worker dies and its chunk is done once more. Then the tree adds up chunks'
sums, level by level. docs/scale.md shows the table.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from random import Random

MACHINES, PROCESSES = 1000, 32
LATENCY = 1e-3  # seconds between the scheduler and a worker, one way
BANDWIDTH = 1e9  # bytes a second into a worker
DEATHS = 1e-5  # of a worker, for each chunk
FAN_IN = 16
SIMULATED = 200_000  # chunks; a call of more is as many times as long


@dataclass(frozen=True)
class Work:
    """A call: how many rows, what a row costs and weighs, how many parameters there are."""

    rows: float
    seconds: float  # of a row
    bytes: float  # of a row
    parameters: int


def simulate(work: Work, size: float, per_chunk: float, workers: int) -> float:
    """Return the seconds of a call with chunks of `size` rows, on so many workers."""
    draw = Random(1)
    chunks = math.ceil(work.rows / size)
    some = min(chunks, SIMULATED)
    cost = size * work.seconds
    free = [0.0] * min(workers, some)  # when each worker is free again
    scheduler = end = 0.0
    left = some
    while left:
        left -= 1
        scheduler = max(scheduler, free[0]) + per_chunk
        taken = cost * draw.lognormvariate(0.0, 0.1)
        if draw.random() < DEATHS:
            left += 1
        done = scheduler + 2 * LATENCY + taken
        heapq.heapreplace(free, done)
        end = max(end, done)
    sums = 8 * (work.parameters + 3)
    levels = max(1, math.ceil(math.log(chunks, FAN_IN))) if chunks > 1 else 1
    tree = levels * (2 * LATENCY + FAN_IN * sums / BANDWIDTH)
    return end * chunks / some + tree


def table(per_chunk: float, memory: float) -> str:
    """Return the table for 10^12 rows on MACHINES machines, as text of Markdown."""
    workers = MACHINES * PROCESSES
    lines = [
        f"10^12 rows of 80 bytes, {MACHINES} machines of {PROCESSES} processes, "
        f"{per_chunk * 1e6:.0f} us a chunk",
        "",
        "| a row takes | rows of a chunk | chunks | memory of a chunk | of the scheduler "
        "| sums, 10^4 parameters | a call | of the workers' time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seconds in (1e-7, 1e-5, 1e-4):
        for size in (1e5, 1e6, 3e6, 1e7):
            work = Work(1e12, seconds, 80.0, 10_000)
            chunks = work.rows / size
            total = simulate(work, size, per_chunk, workers)
            busy = work.rows * seconds / workers / total
            lines.append(
                f"| {seconds * 1e6:g} us | {size:.0e} | {chunks:.0e} | {_bytes(size * work.bytes)} "
                f"| {_bytes(chunks * memory)} | {_bytes(chunks * 8 * work.parameters)} "
                f"| {_time(total)} | {busy:.0%} |"
            )
    return "\n".join(lines)


def _bytes(count: float) -> str:
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:.3g} {units[0]}"


def _time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
