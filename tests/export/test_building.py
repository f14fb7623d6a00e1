"""Programs compiled as C, for calls of few rows."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
from exported import distance, needs_cc, np


def two_moons(mg: Any) -> Any:
    random.seed(3)
    model = mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None])
    return mg.compile(lambda x, y: (1 + -y * model(x)).relu(), [0.1, 0.2], 1.0)


def always(program: Any, rows: int = 1 << 20) -> None:
    """Have the built functions serve calls of so many rows, however fast they are."""
    for trace in program._traces:
        trace.built.most = dict.fromkeys(trace.built.most, rows)


def answers(program: Any, *args: Any) -> list[Any]:
    for p in program.parameters:
        p.grad = 0.0
    total = program.backward(*args)
    value, gradient = program.value_and_gradient(*args)
    flat = gradient if isinstance(gradient, tuple) else (gradient,)
    grads = [p.grad for p in program.parameters]
    return [program(*args), value, total, np.array(grads), *flat]


@needs_cc
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_a_built_program_computes_the_same(mg: Any, count: int) -> None:
    moons = two_moons(mg)
    rows = np.random.default_rng(count).normal(size=(count, 3))
    args = rows[:, :2], rows[:, 2]
    before = answers(moons, *args)
    moons.build()
    always(moons)
    after = answers(moons, *args)
    for a, b in zip(before, after):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)
    assert distance(before[0], after[0]) == 0  # arithmetic alone


@needs_cc
def test_seeds_reductions_and_weights_are_those_of_the_program(mg: Any) -> None:
    moons = two_moons(mg)
    rows = np.random.default_rng(4).normal(size=(5, 3))
    args = rows[:, :2], rows[:, 2]
    before = [
        moons.backward(*args, reduction="sum"),
        moons.backward(*args, weights=np.arange(5.0)),
        moons.vjp(*args, seeds=np.arange(5.0))[0],
    ]
    moons.build()
    always(moons)
    after = [
        moons.backward(*args, reduction="sum"),
        moons.backward(*args, weights=np.arange(5.0)),
        moons.vjp(*args, seeds=np.arange(5.0))[0],
    ]
    for a, b in zip(before, after):
        np.testing.assert_allclose(a, b, rtol=1e-13)


@needs_cc
def test_parameters_are_read_anew_at_each_call(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    program.build()
    always(program)
    assert program([3.0]).tolist() == [6.0]
    w.data = 5.0
    assert program([3.0]).tolist() == [15.0]


@needs_cc
def test_a_new_branch_is_recorded_as_ever(mg: Any) -> None:
    program = mg.compile(lambda x: x * 3 if x.data > 0 else x * 5, 1.0)
    program.build()
    always(program)
    assert program([2.0, -2.0]).tolist() == [6.0, -10.0]
    assert program.specializations == 2
    assert program([-1.0, 1.0]).tolist() == [-5.0, 3.0]


@needs_cc
def test_a_wrong_index_is_the_error_as_ever(mg: Any) -> None:
    table = [mg.Value(1.0), mg.Value(2.0)]
    program = mg.compile(lambda k: mg.take(table, k) * 2, 1.0)
    program.build()
    always(program)
    with pytest.raises(IndexError, match="row 1"):
        program([0.0, 2.0])


@needs_cc
def test_check_raises_as_ever(mg: Any) -> None:
    program = mg.compile(lambda x: x.log(), 1.0)
    program.build()
    always(program)
    with np.errstate(all="ignore"):
        assert np.isnan(program([-1.0])[0])
    with pytest.raises(ValueError, match="row 0"):
        program([-1.0], check=True)


@needs_cc
def test_threads_may_call_a_built_program_at_a_time(mg: Any) -> None:
    moons = two_moons(mg)
    moons.build()
    always(moons)
    rows = np.random.default_rng(4).normal(size=(64, 3))
    wanted = moons(rows[:, :2], rows[:, 2]).tolist()
    wrong: list[int] = []

    def work() -> None:
        for i in range(64):
            if moons(rows[i : i + 1, :2], rows[i : i + 1, 2])[0] != wanted[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@needs_cc
@pytest.mark.long
def test_a_long_program_needs_no_stack(mg: Any) -> None:
    def decay(x: Any) -> Any:
        for _ in range(30_000):
            x = x * 0.999 + 0.1
        return x

    program = mg.compile(decay, 1.0)
    wanted = program.gradient([2.0])[0]
    program.build()
    always(program)
    found: list[float] = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: found.append(program.gradient([2.0])[0]))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert found == [wanted]


@needs_cc
def test_a_lookup_among_results_finds_its_element(mg: Any) -> None:
    random.seed(1)
    model = mg.MLP(2, [5])
    program = mg.compile(lambda x, k: mg.cross_entropy(model(x), k), [0.1, 0.2], 1.0)
    rows, ks = np.random.default_rng(0).normal(size=(5, 2)), np.arange(5.0)
    wanted = program(rows, ks)
    program.build()
    always(program)
    np.testing.assert_allclose(program(rows, ks), wanted, rtol=1e-14)


@needs_cc
def test_the_function_is_not_run_again(mg: Any) -> None:
    runs = []
    program = mg.compile(lambda x: (runs.append(1), x * 2)[1], 1.0)
    program.build()
    assert runs == [1]


def test_a_program_without_a_recording_is_not_built(mg: Any) -> None:
    with pytest.raises(RuntimeError, match="nothing has been recorded yet"):
        mg.compile(lambda x: x * 2).build()


@needs_cc
def test_what_is_slower_is_not_used(mg: Any) -> None:
    program = mg.compile(lambda x: (x * 2).relu() + 1.0, 1.0)
    program.build()
    for trace in program._traces:
        assert all(most <= 64 for most in trace.built.most.values())
    assert program([1.0]).tolist() == [3.0]


def test_a_missing_compiler_is_named(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2, 1.0)
    with pytest.raises(FileNotFoundError, match="there is no C compiler 'no-such-cc'"):
        program.build(compiler="no-such-cc")
    assert program([1.0]).tolist() == [2.0]


def compiler(folder: Path, *commands: str) -> str:
    """Return the path of a compiler that does this."""
    command = folder / "cc"
    command.write_text("\n".join(["#!/bin/sh", *commands, ""]))
    command.chmod(0o755)
    return str(command)


@needs_cc
def test_a_compiler_that_fails_tells_why(mg: Any, tmp_path: Path) -> None:
    program = mg.compile(lambda x: x * 2, 1.0)
    with pytest.raises(RuntimeError, match="could not compile the program:\nno space left"):
        program.build(compiler(tmp_path, "echo 'no space left' >&2", "exit 1"))
    assert program([1.0]).tolist() == [2.0]


@needs_cc
def test_a_compiler_that_does_not_know_this_processor_will_do(mg: Any, tmp_path: Path) -> None:
    program = mg.compile(lambda x: x * 2, 1.0)
    program.build(compiler(tmp_path, 'case "$*" in *native*) exit 1;; esac', 'exec cc "$@"'))
    always(program)
    assert program([1.0]).tolist() == [2.0]
