"""What pytest-benchmark has recorded, as rows: seconds per operation, node or step; ratios."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPREAD = 0.15


@dataclass
class Row:
    """One contender of one workload."""

    group: str
    contender: str
    unit: str
    extra: dict[str, Any]
    rounds: dict[tuple[int, int], float] = field(default_factory=dict)  # by run and round

    @property
    def minimum(self) -> float:
        return min(self.rounds.values())

    @property
    def median(self) -> float:
        return statistics.median(self.rounds.values())


@dataclass(frozen=True)
class Ratio:
    """The median and the quartiles of a row's time over another's, round by round."""

    low: float
    median: float
    high: float

    @property
    def steady(self) -> bool:
        """Whether the quartiles lie within 15 % of the median."""
        return max(self.median - self.low, self.high - self.median) <= SPREAD * self.median


def ratio(top: Row, bottom: Row) -> Ratio | None:
    """Return the ratio over the rounds in which both took part, if there are two of them."""
    both = top.rounds.keys() & bottom.rounds.keys()
    if len(both) < 2:
        return None
    pairs = [top.rounds[each] / bottom.rounds[each] for each in both]
    return Ratio(*statistics.quantiles(pairs, n=4, method="inclusive"))


Results = dict[str, list[Row]]


def load(files: list[Path]) -> Results:
    """Return the rows of each group, fastest first; the rounds of several runs are put together."""
    rows: dict[str, Row] = {}
    for run, file in enumerate(files):
        for benchmark in json.loads(file.read_text())["benchmarks"]:
            extra = benchmark["extra_info"]
            row = rows.setdefault(
                benchmark["fullname"],
                Row(benchmark["group"], extra["contender"], extra["unit"], extra),
            )
            for k, seconds in enumerate(benchmark["stats"]["data"]):
                row.rounds[run, k * extra["every"]] = seconds / extra["count"]
    groups: Results = {}
    for row in rows.values():
        groups.setdefault(row.group, []).append(row)
    return {group: sorted(found, key=lambda row: row.minimum) for group, found in groups.items()}


def find(results: Results, group: str, contender: str) -> Row | None:
    """Return the contender's row in a group, if both took part."""
    for row in results.get(group, []):
        if row.contender == contender:
            return row
    return None
