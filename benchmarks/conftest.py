"""How everything here is timed: `measure`, over pytest-benchmark's `pedantic`.

One round is one call of the target, and each is recorded. Before the rounds the target runs once
without being recorded, which also tells how many rounds fit in the time there is. What belongs to
the next round's preparation happens in `setup`, untimed. `extra_info` tells what a round consists
of: its unit (operation, node, step) and how many of them, what was timed, and whether Python's
cyclic garbage collector was on; where it is off, garbage is collected between the rounds.
Everything that lived before is frozen, so that a collection visits the contender's objects only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pytest

from . import by_hand

SECONDS = {"quick": 0.15, "full": 0.3}
MOST_ROUNDS = {"quick": 100, "full": 300}
FEWEST_ROUNDS = 3
SLOW = 0.5  # seconds; a round that is longer is not repeated within one run

needs_c = pytest.mark.skipif(by_hand.COMPILER is None, reason="there is no C compiler 'cc'")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--effort", choices=sorted(SECONDS), default="quick", help="how long to time each contender"
    )


class Measure:
    """Time a target as one row of its group's table."""

    def __init__(self, benchmark: Any, effort: str) -> None:
        self.benchmark = benchmark
        self.effort = effort

    def __call__(
        self,
        target: Callable[[], object],
        *,
        contender: str,
        unit: str,
        count: int,
        timed: str,
        gc_on: bool | None = True,
        setup: Callable[[], object] = lambda: None,
        **info: Any,
    ) -> None:
        """Time `target`, which does `count` units; `gc_on` None: there is nothing to collect."""

        def prepare() -> None:
            if gc_on is False:
                gc.collect()
            setup()

        def run() -> None:
            target()

        collector = {True: "on", False: "off", None: "-"}[gc_on]
        self.benchmark.extra_info.update(
            contender=contender, unit=unit, count=count, timed=timed, gc=collector, **info
        )
        with frozen(gc_on=gc_on is not False):
            rounds = self._rounds(run, prepare)
            self.benchmark.pedantic(run, setup=prepare, rounds=rounds)

    def _rounds(self, run: Callable[[], None], prepare: Callable[[], None]) -> int:
        """Run once; return how many rounds fit in the time there is, preparation half counted."""
        before = perf_counter()
        prepare()
        preparing = perf_counter() - before
        start = perf_counter()
        run()
        each = perf_counter() - start + preparing / 2
        fit = SECONDS[self.effort] / max(each, 1e-6)
        fewest = 1 if each > SLOW else FEWEST_ROUNDS
        return int(min(max(fit, fewest), MOST_ROUNDS[self.effort]))


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


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[Measure]:
    """Return what times a target."""
    yield Measure(benchmark, request.config.getoption("effort"))
