"""PyPy as a contender: a process that runs programs.py and gpt.py and reports its times.

`Worker` starts it and asks for rounds; `clock` is a clock that stands still but for the seconds
the worker reports, so that pytest-benchmark records these and not the time of asking.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from .contenders import FOLDER, PACKAGE, location

PYPY = shutil.which("pypy3")
SCRIPT = FOLDER / "pypy_worker.py"

_elapsed = 0.0


def clock() -> float:
    """Return the seconds reported so far."""
    return _elapsed


class Worker:
    """A PyPy process with one workload of one engine, warmed up."""

    def __init__(self, workload: str, engine: str, warm_up: float) -> None:
        """Start it and wait: `warm_up` is how many seconds it runs before it is timed."""
        if PYPY is None:
            raise FileNotFoundError("there is no pypy3")
        micrograd = location("micrograd.engine").parent.parent
        reference = location(f"{PACKAGE}._reference")
        arguments = [workload, engine, str(warm_up), str(micrograd), str(reference)]
        self._process = subprocess.Popen(
            [PYPY, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._answer()
        self.trace: list[float] = ready["trace"]
        self.count: int = ready["count"]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"pypy3 ended with {self._process.wait()}")
        return json.loads(line)

    def round(self) -> None:
        """Have it run one round, and advance the clock by the time that took there."""
        global _elapsed
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        _elapsed += self._answer()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
