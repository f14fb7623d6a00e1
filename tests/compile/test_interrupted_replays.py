"""Exceptions in the middle of a replay, and programs at the interpreter's exit."""

from __future__ import annotations

import gc
import importlib
import itertools
import subprocess
import sys
from typing import Any

import pytest
from conftest import AlarmError

np = pytest.importorskip("numpy")


# ---- exceptions in the middle ----


def deep(mg: Any, w: Any) -> Any:
    """A program of 2,000 instructions: w * x, summed."""
    return mg.compile(lambda x: sum((w * x * k for k in range(1000)), mg.Value(0.0)), 1.0)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_an_exception_ends_a_replay_in_the_middle(
    mg: Any, monkeypatch: pytest.MonkeyPatch, alarm: Any, threads: int
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    monkeypatch.setattr(replay, "PIECE", 1 << 16)
    w = mg.Value(1.0)
    program = deep(mg, w)
    x = np.ones(200_000)
    for seconds in (0.001, 0.003, 0.01, 0.02):
        with pytest.raises(AlarmError):
            alarm(seconds)
            for _ in itertools.count():
                program.backward(x, threads=threads)
                w.grad = 0.0
        assert w.grad in (0.0, 499500.0)  # of no row, or of all just when the call had ended
        w.grad = 0.0
        assert program.backward(x[:1000], reduction="sum", threads=threads) == 499500000.0
        assert w.grad == 499500000.0
        w.grad = 0.0


def test_threads_have_stopped_when_a_replay_is_left(
    mg: Any, monkeypatch: pytest.MonkeyPatch, alarm: Any
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    monkeypatch.setattr(replay, "PIECE", 1 << 16)
    crews: list[Any] = []
    stop = replay._Crew.stop

    def stop_and_note(crew: Any) -> None:
        stop(crew)
        crews.append((crew, list(crew.busy)))

    monkeypatch.setattr(replay._Crew, "stop", stop_and_note)
    program = deep(mg, mg.Value(1.0))
    x = np.ones(400_000)
    with pytest.raises(AlarmError):
        alarm(0.005)
        for _ in itertools.count():
            program(x, threads=3)
    assert [busy for _, busy in crews] == [[]] * len(crews)


def test_a_thread_that_cannot_be_started_leaves_its_share_to_others(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(
        importlib.import_module("micrograd_c._compile.replay"), "start_new_thread", refuse
    )
    program = deep(mg, mg.Value(1.0))
    assert program(np.ones(1000), threads=2).tolist() == [499500.0] * 1000


def test_a_frame_is_not_used_again_after_an_exception(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    w = mg.Value(1.0)
    program = deep(mg, w)
    x = np.ones(1000)
    program.backward(x, threads=2)
    work = replay._Crew._work

    def fail(crew: Any, k: int) -> None:
        if k == 0:
            raise AlarmError
        work(crew, k)

    monkeypatch.setattr(replay._Crew, "_work", fail)
    with pytest.raises(AlarmError):
        program.backward(x, threads=2)
    assert not any(program._traces[0].frames.values())
    monkeypatch.setattr(replay._Crew, "_work", work)
    w.grad = 0.0
    program.backward(x, reduction="sum", threads=2)
    assert w.grad == 499500000.0


def test_pieces_change_no_bit(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w = mg.Value(0.3)
    x = np.random.default_rng(0).normal(size=3000)

    def results() -> list[Any]:
        w.grad = 0.0
        loss = mg.compile(lambda x: ((w * x).tanh() - x) ** 2 if x > 0 else x.relu() * w, 1.0)
        many = mg.compile(lambda x: [(w * x * k).tanh() for k in range(5)], 1.0)
        found = [loss.backward(x, threads=2), w.grad, loss.gradient(x), many(x), many.jacobian(x)]
        return [np.array(each).tobytes() for each in found]

    whole = results()
    for piece in (1, 1000, 30_000):
        monkeypatch.setattr(importlib.import_module("micrograd_c._compile.replay"), "PIECE", piece)
        assert results() == whole


def test_signals_are_handled_within_a_block(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of few rows with much to do for each comes back to Python on the way."""
    replay = importlib.import_module("micrograd_c._compile.replay")
    calls: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

        def mg_replay_some(self, *args: Any) -> int:
            more: int = library.mg_replay_some(*args)
            calls.append(more)
            return more

    library = replay.lib
    monkeypatch.setattr(replay, "lib", Counting())
    monkeypatch.setattr(replay, "PIECE", 1000)
    program = mg.compile(lambda xs: sum(sum(xs) * x * y for x in xs for y in xs[:20]), [1.0] * 60)
    program.gradient(np.ones((3, 60)))
    assert len(calls) > 2


# ---- the interpreter's exit ----


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    [
        "program = mg.compile(lambda x: w * x, 1.0); program([1.0])",
        "mg.kept = mg.compile(lambda x: w * x, 1.0); mg.kept.backward([1.0, 2.0])",
        "import atexit; p = mg.compile(lambda x: w * x, 1.0)\n"
        "atexit.register(lambda: print(p([1.0] * 1000, threads=2).sum()))",
        "p, rows = mg.compile(lambda x: w * x, 1.0), __import__('numpy').ones(1000)\n"
        "class Model:\n"
        "    def __init__(self): self.p, self.rows = p, rows\n"
        "    def __del__(self): print(1000 * float(self.p(self.rows, threads=2)[0]))\n"
        "m = Model()",
    ],
)
def test_a_program_that_lives_until_the_exit_makes_no_noise(mg: Any, code: str) -> None:
    lines = f"import micrograd_c as mg\nw = mg.Value(2.0)\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("", "2000.0\n")


def test_a_finalizer_may_use_and_keep_a_program(mg: Any) -> None:
    """The garbage collector finds it dead with its owner, and may finalize it before."""
    kept: list[Any] = []

    class Trainer:
        def __init__(self) -> None:
            self.w = mg.Value(2.0)
            self.program = mg.compile(lambda x: x * self.w, 1.0)
            self.program([1.0])

        def __del__(self) -> None:
            kept.append((self, self.program([1.0, 2.0]).tolist()))

    Trainer()  # in a cycle with the function that it has compiled
    gc.collect()
    for _ in range(20):  # would take the memory that had been freed
        mg.compile(lambda x: x.exp() * 3 + 1, 1.0)([1.0])
    trainer, results = kept.pop()
    assert results == trainer.program([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert trainer.program.gradient([1.0, 2.0]).tolist() == [2.0, 2.0]
    trainer.__dict__.clear()
