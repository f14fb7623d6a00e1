"""Programs of many recordings: each row finds its own by the comparisons that it fails."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
from compiled import eager, normal

np = pytest.importorskip("numpy")

BRANCHES = 6


def of_inputs(v: Any) -> Any:
    total = v[0]
    for x in v:
        total = total + x * 2 if x.data > 0 else total - x * total
    return total


def of_state(v: Any) -> Any:
    x = v[0]
    for y in v:
        x = (x * 2 - y).tanh() if x.data > y.data else x * 0.5 + y
    return x


def of_either(v: Any) -> Any:
    """Compare other numbers on each side, some of them twice."""
    if v[0].data > 0:
        x = v[1] * 3 if v[1].data > 0 or v[0].data > 1 else v[2]
        return x - v[3] if x.data > v[3].data else x * 2
    x = v[2] * v[0] if v[0].data > 0 or v[4].data < v[2].data else v[5]
    return x + v[1] if v[1].data > 0 and v[2].data > 0 else x * v[1]


def way_of(fn: Any, row: Any) -> tuple[bool, ...]:
    """Return how the comparisons come out for a row, each one once."""
    outcomes: dict[tuple[float, float], bool] = {}

    class Number(float):
        def __gt__(self, other: float) -> bool:
            return outcomes.setdefault((self, other), float(self) > other)

        def __lt__(self, other: float) -> bool:
            return outcomes.setdefault((other, self), float(self) < other)

    class Plain(float):
        @property
        def data(self) -> Number:
            return Number(self)

        def tanh(self) -> Plain:
            return Plain(np.tanh(self))

    for name in ("__add__", "__sub__", "__mul__"):
        operator = getattr(float, name)
        setattr(Plain, name, lambda x, y, operator=operator: Plain(operator(x, y)))
    fn([Plain(x) for x in row])
    return tuple(outcomes.values())


@pytest.fixture(params=[of_inputs, of_state, of_either], ids=lambda fn: fn.__name__)
def fn(request: Any) -> Any:
    return request.param


@pytest.fixture
def replayed(mg: Any, monkeypatch: Any) -> Iterator[list[int]]:
    """How many rows each replay has had."""
    from micrograd_c._compile.replay import Frame

    counts: list[int] = []
    run = Frame.run

    def counted(frame: Frame, threads: int) -> bool:
        counts.append(frame.call.count)
        return run(frame, threads)

    monkeypatch.setattr(Frame, "run", counted)
    yield counts


ROWS = 400


def test_rows_of_many_ways_are_what_they_are_row_by_row(mg: Any, fn: Any) -> None:
    rows = normal(ROWS, BRANCHES, seed=3)
    program = mg.compile(fn, rows[0], max_specializations=64)
    results, gradients = eager(fn, mg.Value, rows)
    for _ in range(2):  # recording, and with all recordings there
        np.testing.assert_allclose(program(rows), results, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(program.gradient(rows), gradients, rtol=1e-12, atol=1e-12)


def test_a_way_is_recorded_once(mg: Any, fn: Any) -> None:
    rows = normal(ROWS, BRANCHES, seed=3)
    ways = {way_of(fn, row) for row in rows}
    program = mg.compile(fn, rows[0], max_specializations=64)
    for some in (rows[200:], rows[:100], rows):
        program(some)
    assert program.specializations == len(ways) > 8


def test_each_recording_is_replayed_once_a_call_with_few_rows(
    mg: Any, fn: Any, replayed: list[int]
) -> None:
    rows = normal(ROWS, BRANCHES, seed=3)
    program = mg.compile(fn, rows[0], max_specializations=64)
    program(rows)
    replayed.clear()
    program(rows)
    assert len(replayed) == program.specializations
    assert sum(replayed) <= ROWS * (1 + BRANCHES)  # not: times the number of recordings
    assert sum(replayed) < ROWS * (1 + BRANCHES / 2) * 1.2


def test_ways_are_recorded_in_the_order_of_rows(mg: Any) -> None:
    seen: list[str] = []

    def fn(v: Any) -> Any:
        way = "".join("01"[bool(x.data > 0)] for x in v)
        seen.append(way)
        return v[0] * len(way)

    rows = normal(100, 4, seed=1)
    mg.compile(fn, rows[0])(rows)
    order = ["".join("01"[x > 0] for x in row.tolist()) for row in rows]
    assert seen == list(dict.fromkeys(order))


def test_results_do_not_depend_on_the_order_of_rows(mg: Any, fn: Any) -> None:
    rows = normal(ROWS, BRANCHES, seed=3)
    order = np.random.default_rng(0).permutation(ROWS)
    first = mg.compile(fn, rows[0], max_specializations=64)(rows)
    program = mg.compile(fn, rows[-1], max_specializations=64)
    assert (program(rows[order]) == first[order]).all()
    assert (program(rows) == first).all()


def test_gradients_have_the_same_bits_for_any_number_of_threads(mg: Any, fn: Any) -> None:
    w = mg.Value(0.7)
    rows = normal(3000, BRANCHES, seed=3)
    program = mg.compile(lambda v: fn([w * x for x in v]), rows[0], max_specializations=64)
    found = []
    for threads in (1, 1, 2, 3):
        w.grad = 0.0
        found.append((program.backward(rows, threads=threads), w.grad))
        assert (program(rows, threads=threads) == program(rows)).all()
    assert len(set(found)) == 1


def test_as_many_ways_as_allowed_are_recorded(mg: Any) -> None:
    rows = np.array([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1], [-1, -1, 1]])
    results, _ = eager(of_inputs, mg.Value, rows)
    assert mg.compile(of_inputs, rows[0], max_specializations=5)(rows) == pytest.approx(results)
    program = mg.compile(of_inputs, rows[0], max_specializations=4)
    with pytest.raises(RuntimeError, match="row 4 takes another branch than the 4 recorded"):
        program(rows)
    assert program(rows[:4]) == pytest.approx(results[:4])


# ---- parameters ----


def test_a_comparison_of_parameters_behind_one_of_rows_is_recorded_once(mg: Any) -> None:
    w = mg.Value(1.0)

    def fn(x: Any) -> Any:
        if x.data > 0:
            return x * 2 if w.data > 0 else x * 3
        return x * 5

    program = mg.compile(fn, 1.0)
    rows = np.array([1.0, -1.0])
    for data in (-1.0, 1.0, -1.0):
        w.data = data
        assert program(rows).tolist() == [2.0 if data > 0 else 3.0, -5.0]
        assert program.gradient(rows).tolist() == [2.0 if data > 0 else 3.0, 5.0]
    assert program.specializations == 3


def test_a_comparison_of_parameters_in_front_is_recorded_once(mg: Any) -> None:
    w = mg.Value(1.0)

    def fn(x: Any) -> Any:
        x = x * w if w.data > 0 else x - w
        return x * 2 if x.data > 0 else x * 3

    program = mg.compile(fn, 1.0)
    rows = np.array([1.0, -5.0])
    for data in (-1.0, 1.0, -1.0):
        w.data = data
        assert program(rows).tolist() == ([2.0, -15.0] if data > 0 else [4.0, -12.0])
    assert program.specializations == 4


# ---- errors ----


def test_the_first_row_in_error_is_named_whichever_recording_it_has(mg: Any) -> None:
    def fn(v: Any) -> Any:
        x = v[0].log() if v[1].data > 0 else v[0] ** -1
        return x if v[2].data > 0 else x * 2

    rows = np.array([[1.0, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1], [1, 1, 1], [1, 1, 1]])
    program = mg.compile(fn, rows[0])
    program(rows)
    rows[5, 0] = -1.0
    rows[4, :2] = 0.0, -1.0
    with pytest.raises(ZeroDivisionError, match="row 4"):
        program(rows, check=True)
    rows[3, :] = -1.0, 1.0, -1.0
    with pytest.raises(ValueError, match="row 3"):
        program.gradient(rows, check=True)


def test_an_error_comes_before_that_of_a_later_row_which_is_recorded(mg: Any) -> None:
    def fn(v: Any) -> Any:
        return v[0].log() if v[1].data > 0 else v[0] ** -1

    rows = np.array([[1.0, 1], [-1, 1], [0, -1]])
    program = mg.compile(fn, rows[0])
    with pytest.raises(ValueError, match="row 1"):
        program(rows, check=True)
    with pytest.raises(ZeroDivisionError, match="row 2"):
        program(rows)
    with pytest.raises(ZeroDivisionError, match="row 0"):
        program(rows[::-1], check=True)


# ---- functions that do not always do the same ----


def test_comparisons_in_another_order_give_each_row_its_result(mg: Any) -> None:
    turns = cycle([False, True, True])

    def fn(v: Any) -> Any:
        a, b = v[0] * 2, v[1] * 3
        for x in (b, a) if next(turns) else (a, b):
            if x.data > 0:
                a = a * x
            if x.data > 1:
                b = b - 5
        return a + b

    def steady(v: Any) -> Any:
        a, b = v[0] * 2, v[1] * 3
        for x in (a, b):
            if x.data > 0:
                a = a * x
            if x.data > 1:
                b = b - 5
        return a + b

    rows = normal(100, 2, seed=4)
    rows[:, 0] = -abs(rows[:, 0])  # a is not multiplied before b is looked at
    results, _ = eager(steady, mg.Value, rows)
    program = mg.compile(fn, rows[0], max_specializations=40)
    assert program(rows) == pytest.approx(results, rel=1e-12)
    assert copy.copy(program)(rows) == pytest.approx(results, rel=1e-12)


def test_a_way_that_another_thread_has_recorded_meanwhile_need_not_be_right(mg: Any) -> None:
    program = mg.compile(of_inputs, [1.0, 1.0])
    specialize = program._specialize

    def beaten(way: Any, numbers: Any, row: int) -> Any:
        program._specialize = specialize
        assert specialize(way, [-1.0, -1.0], 0)
        return specialize(way, numbers, row)

    program._specialize = beaten
    rows = np.array([[1.0, 1.0], [-1.0, 1.0]])
    assert program(rows) == pytest.approx(eager(of_inputs, mg.Value, rows)[0])


# ---- copies ----


@pytest.mark.parametrize(
    "copied", [copy.copy, lambda p: pickle.loads(pickle.dumps(p))], ids=["copy", "pickle"]
)
def test_copies_know_all_ways(mg: Any, fn: Any, copied: Callable[[Any], Any]) -> None:
    rows = normal(ROWS, BRANCHES, seed=3)
    program = mg.compile(fn, rows[0], max_specializations=64)
    results = program(rows)
    second = copied(program)
    second.fn = None
    assert (second(rows[::-1])[::-1] == results).all()
    assert second.specializations == program.specializations


# ---- all derivatives ----


def random_function(seed: int, w: Any) -> Any:
    """Return a function of four numbers and a parameter with up to seven branches, some nested."""
    draw = random.Random(seed)

    def make(depth: int) -> Any:
        i, j, k = (draw.randrange(4) for _ in range(3))
        c, kind = draw.uniform(-1, 1), draw.randrange(4)
        if depth == 0:
            return lambda v, x: x * c + v[i] * w
        first, second, then = make(depth - 1), make(depth - 1), make(depth - 1)

        def step(v: Any, x: Any) -> Any:
            if kind == 0:
                x = first(v, x) if v[i].data > c else second(v, x)
            elif kind == 1:
                x = first(v, x) if x.data * v[j].data < c else second(v, x) * v[k]
            elif kind == 2:
                x = first(v, x).tanh() if v[i].data > c and (w * x).data < v[j].data else x + c
            else:
                x = first(v, x * v[k]) if (w * c).data > 0 else second(v, x)
            return then(v, x)

        return step

    body = make(2)
    return lambda v: body(v, v[0])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
def test_random_branches_have_the_derivatives_of_each_row(mg: Any, seed: int) -> None:
    w = mg.Value(0.8)
    fn = random_function(seed, w)
    rows = normal(60, 4, seed=seed)
    program = mg.compile(fn, rows[0], max_specializations=200)
    for data in (0.8, -0.6):
        w.data, w.grad = data, 0.0
        slopes = []
        for row in rows:
            before = w.grad
            fn([mg.Value(x) for x in row]).backward()
            slopes.append(w.grad - before)
        results, gradients = eager(fn, mg.Value, rows)
        close = {"rtol": 1e-11, "atol": 1e-11}
        np.testing.assert_allclose(program(rows), results, **close)
        np.testing.assert_allclose(program.gradient(rows), gradients, **close)
        np.testing.assert_allclose(program.jacobian(rows), gradients, **close)
        np.testing.assert_allclose(program.parameter_jacobian(rows)[:, 0], slopes, **close)
        w.grad = 0.0
        program.backward(rows, reduction="sum", check=True)
        assert w.grad == pytest.approx(sum(slopes), rel=1e-10, abs=1e-10)
        product = program.hvp(rows, vectors=np.ones_like(rows))
        assert product == pytest.approx(program.hessian(rows).sum(axis=2), rel=1e-9, abs=1e-9)
