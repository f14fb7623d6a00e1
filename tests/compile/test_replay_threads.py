"""Replays in several threads and on every processor: the same bits."""

from __future__ import annotations

import os
import random
import sys
import threading
from typing import Any

import pytest
from compiled import doubled, moons, normal

np = pytest.importorskip("numpy")


@pytest.mark.parametrize("rows", [1, 127, 129, 5000, 20001])
def test_results_do_not_depend_on_threads(mg: Any, rows: int) -> None:
    model, _, _, _, program = moons(mg)
    points, targets = normal(rows, 2, seed=7), np.sign(normal(rows, seed=8))
    found = []
    for threads in (1, 2, 3, 7):
        model.zero_grad()
        total = program.backward(points, targets, threads=threads)
        grads = [p.grad for p in model.parameters()]
        gradient = program.gradient(points, targets, threads=threads)
        found.append((total, grads, gradient[0].tolist(), program(points, targets).tolist()))
    assert all(other == found[0] for other in found[1:])


def test_branches_do_not_depend_on_threads(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: doubled(w * x, 1.0) * x, 1.0, max_specializations=30)
    x = normal(5000, seed=9) + 3.0
    found = []
    for threads in (1, 3):
        w.grad = 0.0
        found.append((program.backward(x, threads=threads), w.grad))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="threads"):
        program(x, threads=0)


@pytest.mark.parametrize("threads", [None, 1.5, 2.0, "2"], ids=repr)
@pytest.mark.parametrize("method", ["__call__", "backward", "gradient", "jacobian"])
def test_a_number_of_threads_that_is_no_integer_is_a_type_error_naming_it(
    mg: Any, method: str, threads: Any
) -> None:
    program = mg.compile(lambda x: x * 2.0, 1.0)
    kind = type(threads).__name__
    with pytest.raises(TypeError, match=f"threads must be an integer, not {kind}"):
        getattr(program, method)([1.0, 2.0], threads=threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(mg: Any) -> None:
    program = mg.compile(lambda x: x.exp(), 1.0)
    x = normal(5000)
    expected = program(x, threads=2)
    child = os.fork()
    if child == 0:
        os._exit(0 if (program(x, threads=2) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_other_threads_run_while_rows_are_replayed(mg: Any) -> None:
    program = mg.compile(lambda x: x.exp(), 1.0)
    x = normal(100_000)
    gate = threading.Semaphore(0)
    passed: list[bool] = []

    def wait() -> None:
        gate.acquire()
        passed.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # no thread has to give way to another
    try:
        gate.release()
        for _ in range(1000):
            program(x)
            if passed:
                break
        assert passed
    finally:
        sys.setswitchinterval(before)
        thread.join()


def test_several_threads_may_step_at_once(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: (w * x).exp(), 1.0)
    x = normal(500)
    expected = program.backward(x)
    found: list[float] = []

    def step() -> None:
        found.extend(program.backward(x) for _ in range(50))

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 200


def test_a_program_may_be_called_by_several_threads(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: doubled(w * x, 4.0) * x, 1.0, max_specializations=30)
    x = normal(3000, seed=9) + 3.0
    expected = mg.compile(lambda x: doubled(w * x, 4.0) * x, 1.0, max_specializations=30)(x)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(program(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all((f == expected).all() for f in found)


@pytest.mark.parametrize("rows", [3, 100, 1000])
def test_results_do_not_depend_on_the_processor(
    mg: Any, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    from micrograd_c._compile import replay as module

    random.seed(4)
    model = mg.MLP(3, [7, 5, 1])

    def fn(v: Any) -> Any:
        out = model(v) + mg.softmax(v)[1] * (v[0] * v[0] + 1).log() + v[2].sigmoid()
        return mg.maximum(out, v[1]).relu() if v[0].data > -1 else out / v[0]

    x, found = normal(rows, 3, seed=rows), []
    for kind in (0, 1, 2):
        monkeypatch.setattr(module, "KIND", kind)
        model.zero_grad()
        program = mg.compile(fn, x[0])
        total = program.backward(x)
        grads = [p.grad for p in model.parameters()]
        found.append((total, grads, program(x).tolist(), program.gradient(x).tolist()))
    assert found[1] == found[0] and found[2] == found[0]
