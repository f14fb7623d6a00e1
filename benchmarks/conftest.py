"""How everything here is timed: the contenders of a group take turns, round by round.

A machine's speed changes between seconds, so only what ran side by side can be compared. A test
checks its contender and enters it with `measure`, which runs it once. When the last test of the
group has run, the contenders take turns: in each round each has one, in an order drawn anew. A
turn repeats the target for some milliseconds and is recorded as the median of its calls, some
of which another process may have interrupted; the first call, which finds the caches full of
others' data, is left out if there are more. A contender whose turns are longer takes part in every
second round, fourth or eighth, and `every` in its `extra_info` says so: its k-th time is of round
k * every.

What is timed is the target alone, not `setup` before it and `teardown` after. `extra_info` tells
what a call consists of: its unit (operation, node, step) and how many of them, and what was timed.
Everything that lived before the first round is frozen and each turn's garbage is collected behind
it, so that Python's cyclic garbage collector, where it is on, visits the contender's own objects
only; where it is off, garbage is collected between the calls.

The recorder is pytest-benchmark, whose options (`--benchmark-autosave`, `--benchmark-compare`,
`--benchmark-only`, `--benchmark-disable`, ...) do here what they do everywhere.
"""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from pytest_benchmark.logger import PytestBenchmarkWarning

from . import by_hand

TURN = 0.01  # seconds
ROUNDS = {"quick": 16, "full": 32}
FEWEST_ROUNDS = 4

needs_c = pytest.mark.skipif(by_hand.COMPILER is None, reason="there is no C compiler 'cc'")


@dataclass
class Entrant:
    """A contender of the group whose tests are running."""

    benchmark: Any
    target: Callable[[], object]
    gc_on: bool
    setup: Callable[[], object]
    teardown: Callable[[], object]

    def prepare(self) -> None:
        if not self.gc_on:
            gc.collect()
        self.setup()

    def run(self) -> None:
        self.target()

    def once(self) -> None:
        """Make a call of which pytest-benchmark knows; the only one with --benchmark-disable."""
        self.benchmark.pedantic(self.run, setup=self.prepare)
        self.teardown()

    def turn(self) -> float:
        """Call the target again and again; return the median of the seconds that they take."""
        timer: Callable[[], float] = self.benchmark.stats.options["timer"]
        seconds: list[float] = []
        (gc.enable if self.gc_on else gc.disable)()
        end = perf_counter() + TURN
        while not seconds or perf_counter() < end:
            self.prepare()
            start = timer()
            self.run()
            seconds.append(timer() - start)
            self.teardown()
        gc.collect()
        return median(seconds[1:] or seconds)


def take_turns(entrants: list[Entrant], rounds: int) -> None:
    """Time the contenders of a group, and record the times in place of the first call's."""
    times: list[list[float]] = [[] for _ in entrants]
    with frozen(gc_on=True):
        every = []
        for entrant in entrants:
            start = perf_counter()
            entrant.turn()
            every.append(share(perf_counter() - start, rounds))
        field, random = list(zip(entrants, every, times)), Random(0)
        for k in range(rounds):
            for entrant, step, seconds in random.sample(field, len(field)):
                if k % step == 0:
                    seconds.append(entrant.turn())
    for entrant, step, seconds in field:
        entrant.benchmark.extra_info["every"] = step
        entrant.benchmark.stats.stats.data[:] = seconds


def share(turn: float, rounds: int) -> int:
    """Return 1, 2, 4, ...: in every which round a contender with turns so long takes part."""
    longest = rounds // FEWEST_ROUNDS
    return 1 << round(math.log2(min(max(turn / TURN, 1), longest)))


@contextmanager
def frozen(*, gc_on: bool) -> Iterator[None]:
    """Keep the garbage collector from what lives already, and have it on or off."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    (gc.enable if gc_on else gc.disable)()
    try:
        yield
    finally:
        gc.unfreeze()
        (gc.enable if was_on else gc.disable)()


# ---- pytest ----

ENTRANTS = pytest.StashKey[list[Entrant]]()
Measure = Callable[..., None]


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    """Return what enters a contender, one row of its group's table."""

    def enter(
        target: Callable[[], object],
        *,
        contender: str,
        unit: str,
        count: int,
        timed: str,
        gc_on: bool = True,
        setup: Callable[[], object] = lambda: None,
        teardown: Callable[[], object] = lambda: None,
        **info: Any,
    ) -> None:
        """`target` does `count` units."""
        benchmark.extra_info.update(
            contender=contender, unit=unit, count=count, timed=timed, **info
        )
        entrant = Entrant(benchmark, target, gc_on, setup, teardown)
        entrant.once()
        if benchmark.enabled:
            request.config.stash.setdefault(ENTRANTS, []).append(entrant)

    return enter


def group_of(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("benchmark")
    return marker.kwargs["group"] if marker else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the contenders of a group stand side by side."""
    groups = list(dict.fromkeys(map(group_of, items)))
    items.sort(key=lambda item: groups.index(group_of(item)))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After a group's last test, have its contenders take turns."""
    if nextitem is not None and group_of(nextitem) == group_of(item):
        return
    entrants = item.config.stash.get(ENTRANTS, [])
    item.config.stash[ENTRANTS] = []
    if entrants:
        take_turns(entrants, ROUNDS[item.config.getoption("effort")])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--effort", choices=sorted(ROUNDS), default="quick", help="how many rounds")


def pytest_configure(config: pytest.Config) -> None:
    """Let what pytest-benchmark warns of, such as nothing to compare with, be no error.

    Once for what it warns of while pytest is configured, and once for the rest of the session.
    """
    warnings.filterwarnings("default", category=PytestBenchmarkWarning)
    config.addinivalue_line(
        "filterwarnings", "default::pytest_benchmark.logger.PytestBenchmarkWarning"
    )
