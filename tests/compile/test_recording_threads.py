"""Other threads and children while one thread records."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

pytest.importorskip("numpy")


def test_other_threads_see_numbers_while_one_records(mg: Any) -> None:
    seen = []

    def fn(x: Any) -> Any:
        thread = threading.Thread(target=lambda: seen.append(type(mg.Value(1.5).data)))
        thread.start()
        thread.join()
        return x

    mg.compile(fn, 1.0)
    assert seen == [float]


def test_a_graph_that_another_thread_makes_meanwhile_is_recorded(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    made = []

    def make() -> None:
        made.append(a * b)
        made[-1].backward()

    def fn(x: Any) -> Any:
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[-1] * x + 5.0

    program = mg.compile(fn, 2.0)
    a.grad = b.grad = 0.0
    assert list(program([2.0, 3.0])) == [17.0, 23.0]
    assert made[-1].grad == 1.0


def test_another_thread_may_call_a_program_that_records(mg: Any) -> None:
    results: list[Any] = []

    def fn(x: Any) -> Any:
        if x.data > 0:
            return x * 2
        thread = threading.Thread(target=lambda: results.append(program([5.0]).tolist()))
        thread.start()
        thread.join()
        return x * 3

    program = mg.compile(fn, 1.0)
    assert program([-1.0]).tolist() == [-3.0]
    assert results == [[10.0]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_while_another_thread_records_can_record(mg: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def fn(x: Any) -> Any:
        if x.data < -5:
            inside.set()
            go_on.wait()
        return x * 2 if x.data > 0 else x * 3

    program = mg.compile(fn, 1.0)
    thread = threading.Thread(target=lambda: program([-9.0]))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if program([-1.0]).tolist() == [-3.0] else 1)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
