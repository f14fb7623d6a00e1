"""Plays a program on the engine and on the model, and says where they differ."""

from __future__ import annotations

import gc
from typing import Any

from random_programs import Program

from fuzz.libraries import ENGINE, MODEL
from fuzz.player import Player
from micrograd_c import engine


def difference(program: Program) -> str | None:
    """Play a program on the engine and on the model; return how they differ, or None.

    Or what is wrong with the engine's arena after a step.
    """
    threshold = gc.get_threshold()
    _settle()
    before = engine.statistics()[:2]
    ours, model = Player(ENGINE), Player(MODEL)
    try:
        found = _play_both(ours, model, program)
    finally:
        engine.fail_after(0)
        gc.set_threshold(*threshold)
        ours.finish(len(program))
        model.finish(len(program))
    del ours, model
    _settle()
    after = engine.statistics()[:2]
    if found is None and after != before:
        return f"living (nodes, leaves): {tuple(before)} before, {tuple(after)} after"
    return found


def _settle() -> None:
    for _ in range(4):
        gc.collect()


def _play_both(ours: Player, model: Player, program: Program) -> str | None:
    for place, step in enumerate(program):
        if step[0] == "fail":
            engine.fail_after(step[1])
            step = step[2]
        try:
            seen = ours.play(step)
        except MemoryError:
            if program[place][0] != "fail":
                return f"step {place}, {step}: MemoryError"
            ours.room = model.room
            continue
        finally:
            engine.fail_after(0)
        where = engine.bulk.check() or compare(seen, model.play(step))
        if where is not None:
            return f"step {place}, {step}: {where}"
    where = compare(ours.picture(), model.picture())
    return None if where is None else f"at the end: {where}"


def compare(seen: Any, expected: Any, path: str = "result") -> str | None:
    """Return where two results first differ, and how; None if they do not."""
    if seen == expected:
        return None
    if isinstance(seen, (list, tuple)) and type(seen) is type(expected):
        if len(seen) != len(expected):
            return f"{path}: length {len(seen)}, of the model {len(expected)}"
        for place, (ours, theirs) in enumerate(zip(seen, expected)):
            where = compare(ours, theirs, f"{path}[{place}]")
            if where is not None:
                return where
    return f"{path}:\n  engine {seen}\n  model  {expected}"
