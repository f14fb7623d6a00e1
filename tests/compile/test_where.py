"""where(): each row selects its own side, in one recording and without guards."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from compiled import eager, normal

np = pytest.importorskip("numpy")

ROWS = np.array(
    [[x, y] for x in (-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 800.0) for y in (-1.0, 2.0)]
)


def compare(mg: Any, fn: Any, model: Any, rows: Any = ROWS, recordings: int = 1) -> Any:
    """Check fn, compiled, against a model, which branches, row by row; return the program."""
    program = mg.compile(fn, [1.0, 2.0])
    results, gradients = eager(model, mg.Value, rows)
    assert np.isfinite(gradients).all()
    for options in ({}, {"threads": 2}):
        np.testing.assert_allclose(program(rows, **options), results, rtol=1e-12, atol=1e-12)
        found = program.gradient(rows, **options)
        np.testing.assert_allclose(found, gradients, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(program.jacobian(rows), gradients, rtol=1e-12, atol=1e-12)
    assert program.specializations == recordings
    return program


# ---- values and gradients ----

# What is compiled, and what it means: each evaluates the sides that it selects alone.
SELECTIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "of two Values": (
        lambda mg, v: mg.where(v[0] > v[1], v[0] * 3, v[1] * v[0]),
        lambda mg, v: v[0] * 3 if v[0] > v[1] else v[1] * v[0],
    ),
    "of the inputs": (
        lambda mg, v: mg.where(v[0] < 1, v[0], v[1]),
        lambda mg, v: v[0] * 1 if v[0] < 1 else v[1] * 1,
    ),
    "number on a side": (
        lambda mg, v: mg.where(v[0].data >= 0.5, 7, v[1] * 2) + v[0],
        lambda mg, v: (7 if v[0].data >= 0.5 else v[1] * 2) + v[0],
    ),
    "numbers on both sides": (
        lambda mg, v: mg.where(v[0].data == 1, 2.0, Fraction(1, 2)) * v[1],
        lambda mg, v: v[1] * (2.0 if v[0].data == 1 else 0.5),
    ),
    "stand-in on a side": (
        lambda mg, v: mg.where(v[0] <= v[1], v[0].data * 2, v[1]) * v[0],
        lambda mg, v: (mg.Value(v[0].data * 2) if v[0] <= v[1] else v[1]) * v[0],
    ),
    "same on both sides": (
        lambda mg, v: mg.where(v[0] <= v[1], v[0], v[0]) * v[0],
        lambda mg, v: v[0] * v[0],
    ),
    "logarithm at 0": (
        lambda mg, v: mg.where(v[0] > 0, v[0].log(), 0.0) + v[1],
        lambda mg, v: v[0].log() + v[1] if v[0].data > 0 else v[1] * 1,
    ),
    "exp that overflows": (
        lambda mg, v: mg.where(v[0] < 700, v[0].exp() * v[0], v[0]),
        lambda mg, v: v[0].exp() * v[0] if v[0].data < 700 else v[0] * 1,
    ),
    "root at 0": (
        lambda mg, v: mg.where(v[0].data != 0, (v[0] * v[0]).sqrt(), v[0]) * v[1],
        lambda mg, v: (v[0] * v[0]).sqrt() * v[1] if v[0].data != 0 else v[0] * v[1],
    ),
    "reciprocal": (
        lambda mg, v: (
            mg.where(v[0].data == 0, 1.0, 1 / v[0]) * mg.where(v[1] > 0, v[1].log(), v[1])
        ),
        lambda mg, v: (
            (mg.Value(1.0) if v[0].data == 0 else 1 / v[0]) * (v[1].log() if v[1] > 0 else v[1])
        ),
    ),
    "nested": (
        lambda mg, v: mg.where(
            v[0] > 0,
            mg.where(v[0] > 1, v[0].log() * v[1], v[0].sqrt()),
            mg.where(v[0].data == 0, v[1], 1 / v[0]),
        ),
        lambda mg, v: (
            (v[0].log() * v[1] if v[0].data > 1 else v[0].sqrt())
            if v[0].data > 0
            else (v[1] * 1 if v[0].data == 0 else 1 / v[0])
        ),
    ),
    "nested in a condition": (
        lambda mg, v: mg.where(mg.where(v[0] > 0, v[0].log(), -1.0) > 0, v[0].log(), v[1]),
        lambda mg, v: v[0].log() if v[0].data > 1 else v[1] * 1,
    ),
    "shared inside and outside": (lambda mg, v: shared(mg, v), lambda mg, v: shared_model(v)),
    "shared by two selections": (
        lambda mg, v: two_uses(mg, v, v[0].log()),
        lambda mg, v: two_uses_model(mg, v),
    ),
    "shared by both sides": (
        lambda mg, v: (
            lambda e: mg.where(v[0] > 0, e * 2, e * v[1]) * mg.where(v[1] > 0, v[0], 2.0)
        )((v[0] / 800).exp()),
        lambda mg, v: (v[0] / 800).exp() * (2 if v[0] > 0 else v[1]) * (v[0] if v[1] > 0 else 2.0),
    ),
    "and": (
        lambda mg, v: mg.where((v[0] > 0) & (v[0] < 2), v[0].log(), v[1]),
        lambda mg, v: v[0].log() if 0 < v[0].data < 2 else v[1] * 1,
    ),
    "or": (
        lambda mg, v: mg.where((v[0] > 0) | (v[1] > 0), v[0] * v[1], v[0]),
        lambda mg, v: v[0] * v[1] if v[0].data > 0 or v[1].data > 0 else v[0] * 1,
    ),
    "not": (
        lambda mg, v: mg.where(~(v[0] <= 0), v[0].log(), ~(v[0] > 5) & (v[1] > 0)),
        lambda mg, v: v[0].log() if v[0].data > 0 else mg.Value(float(v[1].data > 0)),
    ),
    "exclusive or": (
        lambda mg, v: mg.where((v[0] > 0) ^ (v[1] > 0), v[0] * 2, v[1]),
        lambda mg, v: v[0] * 2 if (v[0].data > 0) != (v[1].data > 0) else v[1] * 1,
    ),
    "with bools": (
        lambda mg, v: mg.where(True & (v[0] > 0) | False ^ (v[1] > np.float64(0)), v[0], v[1]),
        lambda mg, v: v[0] * 1 if v[0].data > 0 or v[1].data > 0 else v[1] * 1,
    ),
    "chain": (lambda mg, v: steps(mg, v), lambda mg, v: steps_model(v)),
}


def shared(mg: Any, v: Any) -> Any:
    inside, outside = v[0] * v[0], v[0] * v[1]
    root = (inside + v[0] * v[0].data).sqrt()
    return mg.where(v[0] != 0, root * outside, outside * 2) + outside


def shared_model(v: Any) -> Any:
    outside = v[0] * v[1]
    if v[0].data == 0:
        return outside * 2 + outside
    return (v[0] * v[0] + v[0] * v[0].data).sqrt() * outside + outside


def two_uses(mg: Any, v: Any, log: Any) -> Any:
    return mg.where(v[0] > 1, log * v[1], 2.0) + mg.where(v[0] > 0, log * log, v[1])


def two_uses_model(mg: Any, v: Any) -> Any:
    left = v[0].log() * v[1] if v[0] > 1 else mg.Value(2.0)
    return left + (v[0].log() ** 2 if v[0] > 0 else v[1])


def steps(mg: Any, v: Any) -> Any:
    x = v[0]
    for k in range(1, 5):
        x = mg.where(x > k, x.log() * v[1] + k, x)
    return x * v[1]


def steps_model(v: Any) -> Any:
    x = v[0]
    for k in range(1, 5):
        x = x.log() * v[1] + k if x.data > k else x
    return x * v[1]


@pytest.mark.parametrize("name", SELECTIONS)
def test_each_row_has_the_side_that_it_selects(mg: Any, name: str) -> None:
    fn, model = SELECTIONS[name]
    program = compare(mg, lambda v: fn(mg, v), lambda v: model(mg, v))
    assert "0 guards" in repr(program)
    again = pickle.loads(pickle.dumps(program._traces[0].entries))
    assert again == program._traces[0].entries


@pytest.mark.parametrize("name", ["logarithm at 0", "root at 0", "reciprocal", "nested", "chain"])
def test_parameters_get_nothing_from_a_side_that_is_not_selected(mg: Any, name: str) -> None:
    fn, model = SELECTIONS[name]
    w, b = mg.Value(0.75), mg.Value(0.0)

    def run(use: Any, v: Any) -> Any:
        return use(mg, [v[0] * w + b, v[1] * w]) * b.exp() + w

    program = mg.compile(lambda v: run(fn, v), [1.0, 2.0])
    expected = np.zeros(2)
    for row in ROWS:
        w.grad = b.grad = 0.0
        run(model, [mg.Value(x) for x in row]).backward()
        expected += w.grad, b.grad
    w.grad = b.grad = 0.0
    program.backward(ROWS, reduction="sum")
    assert [w.grad, b.grad] == pytest.approx(expected, rel=1e-12)


def test_a_parameters_side_gets_the_gradient_of_its_rows(mg: Any) -> None:
    w, b = mg.Value(2.0), mg.Value(3.0)
    program = mg.compile(lambda x: mg.where(x > 0, w, b) * x, 1.0)
    assert program([1.0, -1.0, 5.0]).tolist() == [2.0, -3.0, 10.0]
    program.backward([1.0, -1.0, 5.0], reduction="sum")
    assert (w.grad, b.grad) == (6.0, -1.0)


# ---- parameters alone ----


def test_a_selection_among_parameters_is_made_once_a_call(mg: Any) -> None:
    w, b = mg.Value(1.0), mg.Value(3.0)

    def penalty(x: Any) -> Any:
        return mg.where((w > 0) & ~(b < 0), w.log() * b, mg.where(b > 0, b.sqrt(), 5.0)) + x

    program = mg.compile(penalty, 1.0)
    assert "0 guards" in repr(program) and "where(" in program.disassemble()
    for data, value, gradients in (
        ((0.0, 4.0), 2.0, (0.0, 0.25)),
        ((1.0, 4.0), 0.0, (4.0, 0.0)),
        ((1.0, 0.0), 0.0, (0.0, 0.0)),
        ((-1.0, 0.0), 5.0, (0.0, 0.0)),
        ((0.0, 0.0), 5.0, (0.0, 0.0)),
    ):
        w.data, b.data = data
        w.grad = b.grad = 0.0
        assert program([1.0, 2.0]).tolist() == [value + 1, value + 2]
        assert program.backward([1.0, 2.0]) == value + 1.5
        assert (w.grad, b.grad) == gradients


def test_a_parameters_logarithm_that_no_row_selects_adds_nothing(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: mg.where(x > 0, w.log() * x, x * 2), -1.0)
    w.data = 0.0
    assert program.backward([-1.0, 0.0]) == -1.0 and w.grad == 0.0
    assert program.gradient([-1.0, 0.0]).tolist() == [2.0, 2.0]
    w.data = 2.0
    program.backward([-1.0, 3.0], reduction="sum")
    assert w.grad == 1.5


def test_a_condition_on_parameters_selects_for_all_rows(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: mg.where(w > 0, x.log(), mg.where(w < -1, x * w, x * x)), 1.0)
    for data, gradients in ((1.0, [1.0, 0.5]), (-2.0, [-2.0, -2.0]), (-1.0, [2.0, 4.0])):
        w.data = data
        assert program.gradient([1.0, 2.0]).tolist() == gradients
    w.data, w.grad = -2.0, 0.0
    assert program.gradient([0.0]).tolist() == [-2.0]
    program.backward([0.0, 3.0], reduction="sum")
    assert w.grad == 3.0


def test_constant_conditions_leave_nothing_of_the_other_side(mg: Any) -> None:
    program = mg.compile(
        lambda x: mg.where(mg.Value(2.0) > 1.0, x * 3, x.log()) + mg.where(x.data != x.data, 1, 2),
        1.0,
    )
    text = program.disassemble()
    assert "log" not in text and program([0.0]).tolist() == [2.0]
    assert program.gradient([0.0]).tolist() == [3.0]


# ---- guards ----


def guards(program: Any) -> int:
    return sum(len(trace.guards) for trace in program._traces)


def test_a_condition_is_a_guard_where_python_asks_for_its_truth(mg: Any) -> None:
    def fn(x: Any) -> Any:
        positive = x > 0
        y = mg.where(positive, x * 2, x * 3)
        assert isinstance(positive, bool)
        for _ in range(3):
            y = y * 2 if positive else y * 5
        return y

    program = mg.compile(fn, 1.0)
    assert guards(program) == 1
    assert program([1.0, -1.0]).tolist() == [16.0, -375.0] and program.specializations == 2
    assert program.gradient([1.0, -1.0]).tolist() == [16.0, 375.0]


def test_conditions_that_are_not_asked_are_no_guards(mg: Any) -> None:
    def fn(x: Any) -> Any:
        seen = [x > 0, x.data == 1, x.data != 2, x == 3, x != 4, ~(x > 5), (x > 0) | (x < -1)]
        return x * len(seen)

    program = mg.compile(fn, 1.0)
    assert guards(program) == 0
    assert program([1.0, -1.0]).tolist() == [7.0, -7.0] and program.specializations == 1


USES = {
    "and": lambda c, x: 1 if c and x < 5 else 2,
    "not": lambda c, x: 1 if not c else 2,
    "bool": lambda c, x: int(bool(c)),
    "int": lambda c, x: int(c) + 1,
    "float": lambda c, x: float(c),
    "divided": lambda c, x: c / 2 + 3 // (c + 1) + divmod(c, 1)[0] + c % 2,
    "negative": lambda c, x: -c + abs(c) + (+c) + round(c),
    "index": lambda c, x: [10.0, 20.0][c],
    "key": lambda c, x: {True: 1.0, False: 2.0}[c],
    "equal": lambda c, x: 1.0 if c == True else 2.0,  # noqa: E712
    "equal to a condition": lambda c, x: 1.0 if c == (x > -5) else 2.0,
    "order": lambda c, x: 1.0 if c < 1 else 2.0,
    "text": lambda c, x: len(str(c)) + len(f"{c:>7}") + len(repr(c)),
    "shift": lambda c, x: (c << 2) + (c & 3) + (4 | c),
    "numpy": lambda c, x: float(np.where(c, 1.0, 2.0)) + float(np.array([c, True]).sum()),
    "method": lambda c, x: c.bit_length() + c.real,
    "math": lambda c, x: math.sqrt(c) + math.floor(c),
    "maximum": lambda c, x: max(c, 0) + sorted([c, 0.5])[0],
    "copy": lambda c, x: pickle.loads(pickle.dumps(c)) * 2.0,
    "in": lambda c, x: 1.0 if c in (True, 7) else 2.0,
    "comparison": lambda c, x: 1.0 if x.data < c else 2.0,
}


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("make", [lambda x: x.data > 0, lambda x: (x > 0) & (x.data < 3)])
def test_other_uses_are_those_of_a_bool(mg: Any, name: str, make: Any) -> None:
    def fn(x: Any) -> Any:
        return USES[name](make(x), x) + x

    rows = [1.0, -1.0, 0.0, 2.0, 5.0]
    program = mg.compile(fn, 1.0)
    assert program.specializations == 1 and guards(program) >= 1
    assert program(rows).tolist() == [fn(mg.Value(x)).data for x in rows]


def test_unknown_attributes_of_a_condition_are_none_of_a_bool(mg: Any) -> None:
    def fn(x: Any) -> Any:
        condition = x > 0
        assert not hasattr(condition, "nothing")
        with pytest.raises(AttributeError, match=r"'bool' object has no attribute 'value_of'"):
            condition.value_of()
        return x

    assert guards(mg.compile(fn, 1.0)) == 0


def test_guards_and_selections_mix(mg: Any) -> None:
    def fn(v: Any) -> Any:
        y = mg.where(v[0] > 0, abs(v[0]).sqrt(), v[1])
        if y.data > 1 or v[1].data > 0:
            return mg.where(y > v[1], y * 2, v[1] * y)
        return mg.where((v[1] < 0) & (v[0] > 0), y * y, v[0])

    def model(v: Any) -> Any:
        y = v[0].sqrt() if v[0].data > 0 else v[1] * 1
        if y.data > 1 or v[1].data > 0:
            return y * 2 if y.data > v[1].data else v[1] * y
        return y * y if v[1].data < 0 and v[0].data > 0 else v[0] * 1

    compare(mg, fn, model, recordings=3)


# ---- errors, and what is no program ----


def test_check_passes_over_derivatives_of_sides_not_selected(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: mg.where(x > 0, (x * w).sqrt(), x * 2), 1.0)
    assert program.gradient([0.0, 4.0], check=True).tolist() == [2.0, 0.25]
    assert program.backward([0.0, 4.0], check=True, reduction="sum") == 2.0 and w.grad == 1.0
    program = mg.compile(lambda x: mg.where(x <= 0, (x * w).sqrt(), x * 2), 1.0)
    with pytest.raises(ZeroDivisionError, match=r"row 1: .* the derivative of sqrt"):
        program.gradient([4.0, 0.0], check=True)


def test_check_raises_for_values_of_either_side(mg: Any) -> None:
    program = mg.compile(lambda x: mg.where(x > 0, x.log(), x * 2), 1.0)
    with pytest.raises(ValueError, match=r"row 1: .*log\(0\.0\)"):  # as where() itself would
        program([1.0, 0.0], check=True)
    assert program([1.0, 0.0]).tolist() == [0.0, 0.0]


def test_results_of_selections_are_several(mg: Any) -> None:
    program = mg.compile(
        lambda v: {
            "a": mg.where(v[0] > 0, v[0].log(), v[1]),
            "b": [mg.where(v[0] > 0, v[1], v[0].sqrt()) * v[0], v[0]],
        },
        [1.0, 1.0],
    )
    found = program.jacobian([[2.0, 3.0], [0.0, 4.0]])
    assert found["a"].tolist() == [[0.5, 0.0], [0.0, 1.0]]
    assert found["b"][0][0].tolist() == [3.0, 2.0]
    assert found["b"][1].tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_threads_replay_selections_alike(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda v: mg.where(v[0] > 0, (v[0] * w).log(), v[1] * w), [1.0, 1.0])
    rows = normal(3000, 2)
    values, gradients = program(rows), program.gradient(rows)
    assert (program(rows, threads=3) == values).all()
    assert (program.gradient(rows, threads=3) == gradients).all()
    program.backward(rows)
    alone, w.grad = w.grad, 0.0
    program.backward(rows, threads=3)
    assert w.grad == alone


_offset: Any = None


def selecting(x: Any) -> Any:
    where = type(_offset).where
    return where(x > 0, x.log() * _offset.value, where(x < -1, x, _offset.value))


def test_a_pickled_selection_selects(mg: Any) -> None:
    global _offset

    class Offset:
        where = staticmethod(mg.where)
        value = mg.Value(2.0)

    _offset = Offset()
    try:
        program = mg.compile(selecting, 1.0)
        other = pickle.loads(pickle.dumps(program))
        rows = [1.0, -3.0, -0.5, 0.0]
        assert other(rows).tolist() == program(rows).tolist() == [0.0, -3.0, 2.0, 2.0]
        assert other.gradient(rows).tolist() == program.gradient(rows).tolist()
    finally:
        _offset = None


def test_disassemble_shows_selections(mg: Any) -> None:
    program = mg.compile(lambda x: mg.where(x.data < 2, x, 3.0) * mg.where(x <= 1, 1, x), 1.0)
    text = program.disassemble()
    assert "r1 = r0 < 2" in text and "where(r1, r0, 3)" in text and "<= 1" in text
    assert ", 0)" in program.disassemble("gradient")


def test_equal_selections_are_made_once(mg: Any) -> None:
    program = mg.compile(lambda x: mg.where(x > 1, x, 2) + mg.where(x > 1, x, 2), 1.0)
    assert program.disassemble().count("where(") == 1
    assert program.gradient([3.0, 0.0]).tolist() == [2.0, 0.0]


def test_a_thread_without_a_recording_may_select_by_a_condition(mg: Any) -> None:
    def fn(x: Any) -> Any:
        found: list[Any] = []
        condition = x > 0
        thread = threading.Thread(target=lambda: found.append(mg.where(condition, x, 2.0)))
        thread.start()
        thread.join()
        return found[0] * 3

    assert mg.compile(fn, 1.0)([1.0, -1.0]).tolist() == [3.0, 6.0]


def test_a_condition_that_outlives_its_recording_is_a_bool(mg: Any) -> None:
    kept = []

    def fn(x: Any) -> Any:
        kept.append(x > 0)
        return x

    mg.compile(fn, 1.0)
    a = mg.Value(2.0)
    assert mg.where(kept[0], a, 1.0) is a and bool(kept[0])


# ---- without a recording ----


def test_where_returns_the_chosen_side(mg: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(2.0)
    assert mg.where(True, a, b) is a and mg.where(False, a, b) is b
    assert mg.where(np.bool_(True), 3, b).data == 3.0 and mg.where(a > b, a, 0.5).data == 0.5
    assert type(mg.where(False, 1, 2)) is mg.Value
    assert type(mg.where(False, a, np.float64(2))) is mg.Value
    (mg.where(a < b, a * 3, b) + b).backward()
    assert (a.grad, b.grad) == (3.0, 1.0)


@pytest.mark.parametrize("condition", [1, 1.0, None, "x", [True], np.array([True]), -2])
def test_a_condition_is_a_bool(mg: Any, condition: Any) -> None:
    for run in (lambda x: mg.where(condition, x, 1.0), lambda x: mg.where(x, x, 1.0)):
        with pytest.raises(TypeError, match=r"where\(\) takes a bool as its condition"):
            run(mg.Value(1.0))
        with pytest.raises(TypeError, match=r"where\(\) takes a bool as its condition"):
            mg.compile(run, 1.0)


@pytest.mark.parametrize("side", ["1", None, [1.0], 1j])
def test_a_side_is_a_value_or_a_number(mg: Any, side: Any) -> None:
    for condition in (True, False):
        with pytest.raises(TypeError, match=r"where\(\) takes Values and real numbers, not"):
            mg.where(condition, mg.Value(1.0), side)
    with pytest.raises(TypeError, match=r"where\(\) takes Values and real numbers, not"):
        mg.compile(lambda x: mg.where(x > 0, side, x), 1.0)
