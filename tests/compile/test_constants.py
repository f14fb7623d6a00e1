"""What of a recorded function is a constant, and what only stands for a number."""

from __future__ import annotations

import sys
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def test_numbers_and_values_made_inside_are_constants(mg: Any) -> None:
    program = mg.compile(lambda x: x * mg.Value(2.0) + 1, 1.0)
    assert program.parameters == ()
    assert program([1.0]).tolist() == [3.0]


def test_isinstance_takes_a_stand_in_for_a_float(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2 if isinstance(x.data, (float, int)) else x * 3, 1.0)
    assert program([1.0]).tolist() == [2.0]


def test_numpy_computes_with_what_depends_on_no_input(mg: Any) -> None:
    two = mg.compile(lambda x: x * np.log2(mg.Value(4.0).data), 1.0)
    assert two([1.0, 3.0]).tolist() == [2.0, 6.0]
    example = mg.compile(lambda x: x * np.sqrt(x.data), 4.0, allow_constants=True)
    assert example([1.0, 3.0]).tolist() == [2.0, 6.0]


def test_a_stand_in_has_no_methods_that_a_float_has_not(mg: Any) -> None:
    def fn(x: Any) -> Any:
        assert not hasattr(x.data, "backward") and not hasattr(x.data, "add")
        return x

    mg.compile(fn, 1.0)


def test_allow_constants_takes_the_examples_number(mg: Any) -> None:
    program = mg.compile(lambda x: x * int(x.data), 2.0, allow_constants=True)
    assert program([3.0]).tolist() == [6.0]


def test_the_data_of_a_constant_is_a_number(mg: Any) -> None:
    program = mg.compile(lambda x: x * int(mg.Value(2.0).data), 5.0)
    assert program([3.0]).tolist() == [6.0]


def test_reading_a_constant_looks_at_what_is_new_below_it(mg: Any) -> None:
    def fn(x: Any, reads: int) -> Any:
        c = mg.Value(1.0)
        for _ in range(reads):
            c = c * 1.0 + 1.0
            assert float(c.data) > 1.0
        return x * c

    def calls(reads: int) -> int:
        events: list[str] = []
        sys.setprofile(lambda frame, event, arg: events.append(event))
        try:
            mg.compile(lambda x: fn(x, reads), 1.0)
        finally:
            sys.setprofile(None)
        return len(events)

    first, second, fourth = calls(50), calls(100), calls(200)
    assert fourth - second < 2.5 * (second - first)  # in proportion: 2, each read in full: 4


def test_a_constant_that_becomes_an_input_is_none_any_more(mg: Any) -> None:
    def fn(x: Any) -> Any:
        c = mg.Value(2.0)
        assert float(c.data) == float((c * 3).data) / 3 == 2.0
        c.data = x.data
        return x * float(c.data)

    with pytest.raises(TypeError, match="turned into a float"):
        mg.compile(fn, 1.0)


def test_the_data_of_what_is_made_of_an_input_or_a_parameter_is_no_constant(mg: Any) -> None:
    w = mg.Value(2.0)
    for other in (lambda x: x, lambda x: w, lambda x: w * w):

        def fn(x: Any, other: Any = other) -> Any:
            c = mg.Value(1.0) + 1.0
            assert float(c.data) == 2.0
            return x * float((c * 2 + c * other(x)).data)

        with pytest.raises(TypeError, match="turned into a float"):
            mg.compile(fn, 1.0)
