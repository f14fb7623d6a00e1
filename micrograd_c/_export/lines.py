"""From which line of the function each value comes, for the comments of exported C.

A recording does not keep lines. So the function is run once more, and wherever it begins a line a
leaf is made, a mark: entries between two marks come from the line of the first one.
"""

from __future__ import annotations

import linecache
import os
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import Any

from .._compile.extremes import record_extremes
from .._compile.recorded import Recorded
from .._compile.recording import Recorder
from .._compile.replay import Trace
from .._compile.tracing import describe_result, make_trace
from ..engine import Value
from .statements import Statements
from .text import comment

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LONGEST = 80

Line = tuple[str, int]


class Lines:
    """The lines of one recording: a trace with marks, their places among its entries."""

    def __init__(self, program: Recorded, trace: Trace) -> None:
        """Raises whatever the function raises when it is run again."""
        self.trace, self.marks, self.lines = _record(program, trace)

    def name(self, read: Statements) -> None:
        """Give the statements of the trace the lines that they come from.

        Where the function does not do now what it did when it was recorded, no line is named.
        """
        if len(self.trace.captured) != len(read.numbers):
            return
        again = Statements(self.trace, read.numbers, read.parameters, gradients=read.gradients)
        if again.meaning() != read.meaning():
            return
        for i, entry in enumerate(again.entries):
            mark = bisect_right(self.marks, entry) - 1 if entry is not None else -1
            if mark >= 0:
                read.nodes[i] = replace(read.nodes[i], origin=_text(self.lines[mark]))


def lines_of(program: Recorded, trace: Trace) -> Lines | None:
    """Return the lines of a recording; None where the function cannot be run again."""
    try:
        return Lines(program, trace)
    except (Exception, SystemExit):
        return None


def _record(program: Recorded, trace: Trace) -> tuple[Trace, tuple[int, ...], list[Line]]:
    """Return the trace recorded anew, the places of marks among its entries, and their lines."""
    recorder = Recorder(program._allow_constants)
    lines: list[Line] = []

    def work() -> Trace:
        marks: list[Value] = []
        lines.clear()
        leaves = recorder.make_inputs(trace.example)
        with _marking(marks, lines):
            result = program._run(leaves)
        recorder.finish()
        roots: list[Value] = []
        describe_result(result, roots, recorder, "the result", program._result)
        return make_trace(recorder, [*roots, *marks])

    made = recorder.run(lambda: record_extremes(recorder, work))
    count = len(trace.outputs)  # what comes behind are the marks
    marked = Trace(made.entries, made.outputs[:count], made.guards, made.captured, made.inputs)
    return marked, made.outputs[count:], lines


@contextmanager
def _marking(marks: list[Value], lines: list[Line]) -> Iterator[None]:
    """Make a mark wherever a line outside of this package begins."""

    def follow(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        path = frame.f_code.co_filename
        if path.startswith((_PACKAGE, "<frozen")):
            return None
        if event == "line":
            marks.append(Value(0.0))
            lines.append((path, frame.f_lineno))
        return follow

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        yield
    finally:
        sys.settrace(before)


@cache
def _text(line: Line) -> str:
    path, number = line
    code = linecache.getline(path, number).strip()
    return comment(f"{os.path.basename(path)}:{number}{': ' if code else ''}{code}", _LONGEST)
