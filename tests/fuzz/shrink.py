"""Makes a program that fails as short as can be."""

from __future__ import annotations

from collections.abc import Callable

from random_programs import Program


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Return a program that still fails and does so no longer without any one of its steps."""
    size = max(1, len(program) // 2)
    while True:
        start, shorter = 0, False
        while start < len(program):
            candidate = program[:start] + program[start + size :]
            if fails(candidate):
                program, shorter = candidate, True
            else:
                start += size
        if size == 1 and not shorter:
            return program
        size = max(1, size // 2)
