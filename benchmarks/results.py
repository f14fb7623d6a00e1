"""What pytest-benchmark has recorded, as rows: seconds per operation, node or step."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One contender of one workload."""

    group: str
    contender: str
    gc: str
    unit: str
    extra: dict[str, Any]
    seconds: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


Results = dict[str, list[Row]]


def load(files: list[Path]) -> Results:
    """Return the rows of each group, fastest first; the rounds of several runs are put together."""
    rows: dict[str, Row] = {}
    for file in files:
        for benchmark in json.loads(file.read_text())["benchmarks"]:
            extra = benchmark["extra_info"]
            row = rows.setdefault(
                benchmark["fullname"],
                Row(benchmark["group"], extra["contender"], extra["gc"], extra["unit"], extra),
            )
            row.seconds += [each / extra["count"] for each in benchmark["stats"]["data"]]
    groups: Results = {}
    for row in rows.values():
        groups.setdefault(row.group, []).append(row)
    return {group: sorted(found, key=lambda row: row.minimum) for group, found in groups.items()}


def find(rows: list[Row], contender: str, gc: str | None = None) -> Row | None:
    """Return the contender's row in a group, if it took part."""
    for row in rows:
        if row.contender == contender and gc in (None, row.gc):
            return row
    return None
